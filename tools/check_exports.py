#!/usr/bin/env python3
"""Fails when a library of ours shows or needs what it may not. CTest runs it as `exports.NAME`.

usage: check_exports.py LIBRARY LEAKY

libkuilt.so may show types of namespace kuilt, their members, and free functions of that namespace,
and the types of kuilt::detail that public templates call; libkuilt-testing.so the same of namespace
kuilt::testing. Never what lies in another namespace inside these, nor in Boost, OpenSSL, protobuf,
nlohmann or std. What they load at run time is on a list. LEAKY is a library built to break each
rule: the control.
"""
import re
import subprocess
import sys

# Libraries that it may load. Boost and nlohmann are headers, protobuf is for the tests alone.
MAY_NEED = ("libc.so", "libm.so", "libstdc++.so", "libgcc_s.so", "ld-linux", "libcrypto.so",
            "libprometheus-cpp-core.so")
# `kuilt::Type…` or `kuilt::function(`; a lower-case name before `::` is an inner namespace.
KIND = r"((typeinfo|typeinfo name|vtable) for )?"
FUNCTION = r"\w+(\[abi:cxx11\])?\("  # The mark: a string is part of what it returns.
API = re.compile(KIND + r"kuilt::((detail::)?[A-Z]\w*|" + FUNCTION + ")")
API_OF_TESTING = re.compile(KIND + r"kuilt::testing::([A-Z]\w*|" + FUNCTION + ")")
INTERNAL = re.compile(r"kuilt::[\w:]+::Impl(::|$)")
VERSION_NODE = re.compile(r"KUILT_[\d.]+$")
MUST_SHOW = ("kuilt::ClusterClient::propose(", "kuilt::ServerCluster::open(")
MUST_SHOW_OF_TESTING = ("kuilt::testing::Simulation::run(", "kuilt::testing::for_seeds(")


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def shown_by(library):
    lines = output_of("nm", "-D", "-C", "--defined-only", library).splitlines()
    symbols = [line.split(maxsplit=2)[1:] for line in lines]
    # Local ones, in lower case, nobody can link: the linker notes what another library has too.
    return [re.sub(r"@@?KUILT_[\d.]+$", "", name) for kind, name in symbols if kind not in "tdrb"]


def needed_by(library):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", output_of("readelf", "-d", library))


def is_testing(library):
    return "libkuilt-testing.so" in library


def complaints(library):
    api = API_OF_TESTING if is_testing(library) else API
    for name in shown_by(library):
        if VERSION_NODE.match(name):
            continue
        if not api.match(name) or INTERNAL.search(name):
            yield f"{library} shows {name}"
    may_need = MAY_NEED + ("libkuilt.so",) * is_testing(library)
    for name in needed_by(library):
        if not name.startswith(may_need):
            yield f"{library} needs {name}"


def missing(library):
    shown = shown_by(library)
    for start in MUST_SHOW_OF_TESTING if is_testing(library) else MUST_SHOW:
        if not any(name.startswith(start) for name in shown):
            yield f"{library} does not show {start}"


def control(leaky):
    found = "\n".join(complaints(leaky))
    for leak in ("shows boost::", "shows std::", "shows kuilt::raft::",
                 "shows kuilt::ServerCluster::Impl::", "shows leaked_c", "needs libprotobuf"):
        if leak not in found:
            sys.exit(f"check_exports does not see that {leaky} {leak}; it sees:\n{found}")
    if "kuilt::complaint_about" in found:
        sys.exit("check_exports refuses the API itself")
    if not list(missing(leaky)):
        sys.exit("check_exports does not miss an API that is not there")


def main(library, leaky):
    control(leaky)
    found = [*complaints(library), *missing(library)]
    print("\n".join(found) or "nothing but the API is shown")
    return bool(found)


sys.exit(main(*sys.argv[1:]))
