#!/usr/bin/env python3
"""Fails when a file includes or names something that its layer may not. CTest runs it as `layers`.

The arrows are those of docs/ARCHITECTURE.md. `--self-test` shows that each rule can refuse.
"""
import pathlib
import re
import sys

# layer: folders of src/ that it may include; include/kuilt is open to all.
ALLOWED = {
    "raft": {"raft"},
    "explore": {"explore", "raft"},
    "wire": {"wire", "raft/messages", "raft/configuration"},
    "storage": {"storage", "raft"},
    "cluster": {"cluster", "raft", "wire"},
    "transport": {"transport"},
    "client": {"client", "wire", "transport", "storage/posix_file"},
    "client_core": {"client/client_core", "wire"},
    "server": {"server", "cluster", "raft", "wire", "storage", "transport"},
    "sim": {"sim", "cluster", "raft", "wire", "storage", "client/client_core"},
    "testing": {"testing", "sim", "cluster/application", "wire/room_name"},
    "bench": {"bench", "wire", "raft/messages"},
    "cli": {"cli", "bench", "server/secret", "storage/posix_disk", "storage/survey", "wire/base64",
            "wire/entry", "wire/utf8"},
}
PURE = {"raft", "explore", "wire", "storage", "cluster", "client_core", "sim", "testing"}
# They call the operating system.
NOT_PURE = {"src/storage/posix_disk.cpp", "src/storage/posix_directory.cpp",
            "src/storage/posix_file.cpp", "src/sim/main.cpp", "src/explore/main.cpp",
            "src/testing/report.cpp"}
BANNED_WHEN_PURE = re.compile(
    r'[<"]boost/|<thread>|<mutex>|<shared_mutex>|<condition_variable>|<atomic>|<random>'
    r"|<iostream>|<fstream>|<filesystem>|<unistd\.h>|<fcntl\.h>|<sys/|_clock::now|random_device"
    r"|\bsleep|\bgetenv\b")
# The one header for users who have an Asio of their own.
ASIO_INCLUDE = re.compile(r"#include <(boost/)?asio/[\w/]+\.hpp>")
# Headers that take only a part of a large one, where the standard library has it apart.
PART_INCLUDE = re.compile(r"#include <bits/(chrono|std_function)\.h>")
PUBLIC_INCLUDE = re.compile(r'#include (<\w+>|"kuilt/[\w/]+\.hpp")')
INCLUDE = re.compile(r'\s*#include "([\w/]+)\.(?:hpp|h|pb\.h)"')


def layer_of(path):
    layer = path.parts[1]
    return "client_core" if path.stem.startswith("client_core") else layer


def may_include(layer, name):
    if name.startswith("kuilt/"):
        return True
    return any(name == a or name.startswith((a + "/", a + "_")) for a in ALLOWED[layer])


def complaints(path, text):
    layer = layer_of(path)
    pure = layer in PURE and path.as_posix() not in NOT_PURE
    for number, line in enumerate(text.splitlines(), 1):
        include = INCLUDE.match(line)
        if include and not may_include(layer, include[1]):
            yield f"{path}:{number}: {layer} may not include {include[1]}"
        if pure and BANNED_WHEN_PURE.search(line.split("//")[0]):
            yield f"{path}:{number}: {layer} knows no thread, socket, file or clock: {line.strip()}"


def public_complaints(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if path.name == "asio.hpp" and ASIO_INCLUDE.match(line.strip()):
            continue
        if path.name in ("chrono.hpp", "function.hpp") and PART_INCLUDE.match(line.strip()):
            continue
        if line.lstrip().startswith("#include") and not PUBLIC_INCLUDE.match(line.strip()):
            yield f"{path}:{number}: a public header includes only the standard library and kuilt/"


def self_test():
    bad = [
        ("src/raft/core.cpp", '#include "wire/entry.hpp"'),
        ("src/raft/core.cpp", "#include <thread>"),
        ("src/wire/x.cpp", '#include "raft/core.hpp"'),
        ("src/client/client_core.cpp", '#include "transport/link.hpp"'),
        ("src/client/client_core.cpp", '#include "client/client.hpp"'),
        ("src/client/client.cpp", '#include "storage/wal.hpp"'),
        ("src/cluster/feed.cpp", "auto now = std::chrono::steady_clock::now();"),
        ("src/cli/main.cpp", '#include "raft/core.hpp"'),
    ]
    good = [
        ("src/raft/core.cpp", '#include "raft/messages.hpp"'),
        ("src/client/client.cpp", '#include "transport/link.hpp"'),
        ("src/client/client_core.cpp", '#include "client/client_core_feed.hpp"'),
        ("src/storage/posix_disk.cpp", "#include <fcntl.h>"),
    ]
    for path, text in bad:
        if not list(complaints(pathlib.PurePosixPath(path), text)):
            sys.exit(f"check_layers lets through: {path}: {text}")
    for path, text in good:
        if list(complaints(pathlib.PurePosixPath(path), text)):
            sys.exit(f"check_layers refuses: {path}: {text}")
    if not list(public_complaints(pathlib.PurePosixPath("include/kuilt/x.hpp"),
                                  "#include <boost/asio.hpp>")):
        sys.exit("check_layers lets Boost into a public header")
    if not list(public_complaints(pathlib.PurePosixPath("include/kuilt/types.hpp"),
                                  "#include <bits/chrono.h>")):
        sys.exit("check_layers lets parts of the standard library into any public header")
    if list(public_complaints(pathlib.PurePosixPath("include/kuilt/asio.hpp"),
                              "#include <boost/asio/post.hpp>")):
        sys.exit("check_layers keeps Asio out of the header that is for it")


def main():
    self_test()
    found = []
    for path in sorted(pathlib.Path("src").rglob("*.?pp")):
        found += complaints(path, path.read_text())
    for path in sorted(pathlib.Path("include").rglob("*.hpp")):
        found += public_complaints(path, path.read_text())
    print("\n".join(found) or "layers hold")
    return bool(found)


sys.exit(main())
