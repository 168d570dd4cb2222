#!/usr/bin/env python3
"""The package, as those see it who have nothing but it. CTest runs each test by name, as
`package.NAME`; all of them at once: package_test.py BUILD_DIRECTORY COMPILER

`installed` comes first: the other tests use the tree that it leaves."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HERE = SOURCE / "tests/package"
BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
COMPILER = sys.argv.pop(1)
WORK = BUILD / "package"
MOVED = WORK / "moved"
# What kuilt is built with must not be needed by those who use it.
WITHOUT_OURS = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON"
                for name in ("Boost", "OpenSSL", "Protobuf", "nlohmann_json", "prometheus-cpp")]


def environment(**more):
    """Nothing that says where libraries are, unless the test says it. ccache as in scripts/lib.sh."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "CCACHE_DIR") if name in os.environ}
    return kept | {"CCACHE_BASEDIR": str(SOURCE), "CCACHE_NOHASHDIR": "1"} | more


def run(*command, status=0, cwd="/", **more):
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment(**more),
                          text=True, capture_output=True, timeout=1200)
    if status is not None and done.returncode != status:
        raise AssertionError(f"{' '.join(map(str, command))}: status {done.returncode}\n"
                             f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout + done.stderr


def empty(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def configure(project, folder, *flags, status=0):
    return run("cmake", "-S", HERE / project, "-B", folder, "-G", "Ninja",
               f"-DCMAKE_CXX_COMPILER={COMPILER}", *flags, status=status)


def build_consumer(project, folder, *flags):
    """Answers with the path of the consumer."""
    configure(project, folder, *flags)
    run("cmake", "--build", folder, "--target", "consumer")
    return folder / "consumer"


class Package(unittest.TestCase):
    def assert_runs(self, consumer, **more):
        self.assertIn("observed: packed and unpacked", run(consumer, **more))

    def installed(self):
        """The tree is installed in one place, and then moved to another."""
        empty(WORK)
        run("cmake", "--install", BUILD, "--prefix", WORK / "built")
        (WORK / "built").rename(MOVED)
        for path in MOVED.rglob("*"):
            if path.suffix in (".cmake", ".pc"):
                self.assertNotIn(str(WORK), path.read_text(), path)

    def find_package(self):
        consumer = build_consumer("find_package", empty(WORK / "find_package"),
                                  f"-DCMAKE_PREFIX_PATH={MOVED}", *WITHOUT_OURS)
        self.assert_runs(consumer)

    def other_version(self):
        """A version that breaks the ABI is not taken for the one asked for."""
        said = configure("find_package", empty(WORK / "other_version"),
                         f"-DCMAKE_PREFIX_PATH={MOVED}", "-DKUILT_WANTED=0.99", status=1)
        self.assertIn("compatible with requested version", re.sub(r"\s+", " ", said))

    def pkg_config(self):
        self.assert_runs(self.made("pkg_config"))

    def made(self, folder, *settings):
        out = empty(WORK / folder)
        run("make", "-C", HERE / "pkg_config", f"CXX={COMPILER}", f"OUT={out}", *settings,
            PKG_CONFIG_PATH=f"{MOVED}/lib/pkgconfig")
        return out / "consumer"

    def testing(self):
        """The simulator is a component of its own, with a library of its own."""
        consumer = build_consumer("testing", empty(WORK / "testing"),
                                  f"-DCMAKE_PREFIX_PATH={MOVED}", *WITHOUT_OURS)
        self.assert_runs(consumer)
        self.assertIn("libkuilt-testing.so", run("readelf", "-d", consumer))

    def testing_pkg_config(self):
        self.assert_runs(self.made("testing_pkg_config", "PACKAGE=kuilt-testing",
                                   "SOURCE=../testing/main.cpp"))

    def standalone_asio(self):
        """kuilt/asio.hpp in a program that has the Asio without Boost, and no other."""
        consumer = self.made("standalone_asio", "SOURCE=../standalone_asio/main.cpp")
        self.assertIn("committed: 2", run(consumer))

    def no_simulator_in_what_runs(self):
        library = MOVED / "lib/libkuilt.so"
        self.assertNotIn("kuilt::sim::", run("nm", "-C", library.resolve(), status=None))
        self.assertNotIn("kuilt-testing", run("readelf", "-d", library))

    def other_boost(self):
        """kuilt's Boost does not meet the user's, though both have the same names."""
        consumer = build_consumer("other_boost", empty(WORK / "other_boost"),
                                  f"-DCMAKE_PREFIX_PATH={MOVED}", *WITHOUT_OURS)
        self.assertIn("epoll_reactor::register_descriptor",
                      run("nm", "-D", "-C", "--defined-only", consumer))
        self.assert_runs(consumer)

    def other_boost_would_be_met(self):
        """The control: the same program with the layers in it does meet the other Boost."""
        self.assertIn("kuilt called a Boost that is not its own",
                      run(BUILD / "bin/met_by_other_boost", status=3))

    def add_subdirectory(self):
        self.assert_runs(self.from_source("add_subdirectory"))

    def fetch_content(self):
        self.assert_runs(self.from_source("fetch_content",
                                          f"-DFETCHCONTENT_SOURCE_DIR_KUILT={SOURCE}"))

    def from_source(self, project, *flags):
        """What is looked at is how kuilt is found and linked: it need not be fast."""
        launcher = shutil.which("ccache")
        if launcher:
            flags += (f"-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}",)
        return build_consumer(project, empty(BUILD.with_name(f"{BUILD.name}-{project}")),
                              "-DCMAKE_CXX_FLAGS=-O0", *flags)

    def executable(self):
        """It finds its library beside itself, wherever the tree is."""
        self.assertRegex(run(MOVED / "bin/kuilt", "--version"), r"^kuilt \d")
        alone = empty(WORK / "alone")
        shutil.copy(MOVED / "bin/kuilt", alone)
        self.assertIn("libkuilt.so", run(alone / "kuilt", "--version", status=127))

    def packed(self, generator):
        """Answers with the one file that cpack makes."""
        out = empty(WORK / generator)
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", generator, "-B", out, cwd=BUILD)
        files = [path for path in out.iterdir() if path.is_file()]
        self.assertEqual(len(files), 1, files)
        return files[0]

    def tarball(self):
        """It is unpacked anywhere, and all of it works there."""
        archive = self.packed("TGZ")
        run("tar", "-xzf", archive, "-C", empty(WORK / "unpacked"))
        tree = next((WORK / "unpacked").iterdir())
        self.assertRegex(run(tree / "bin/kuilt", "--version"), r"^kuilt \d")
        self.assert_runs(build_consumer("find_package", empty(WORK / "of_tarball"),
                                        f"-DCMAKE_PREFIX_PATH={tree}", *WITHOUT_OURS))

    def debian(self):
        """The .deb has all its parts, needs no -dev package, and what it lays down works."""
        archive = self.packed("DEB")
        root = empty(WORK / "root")
        run("dpkg-deb", "-x", archive, root)
        for path in ("usr/bin/kuilt", "usr/lib/libkuilt.so.0.1",
                     "usr/lib/libkuilt-testing.so.0.1", "usr/include/kuilt/client.hpp",
                     "usr/lib/cmake/kuilt/kuilt-config.cmake", "usr/lib/pkgconfig/kuilt.pc",
                     "usr/lib/systemd/system/kuilt.service", "usr/share/kuilt/kuilt.toml",
                     "usr/share/man/man1/kuilt.1", "usr/share/doc/kuilt/copyright",
                     "usr/share/bash-completion/completions/kuilt",
                     "usr/share/zsh/vendor-completions/_kuilt",
                     "usr/share/fish/vendor_completions.d/kuilt.fish"):
            self.assertTrue((root / path).exists(), path)
        self.assertRegex(run(root / "usr/bin/kuilt", "--version"), r"^kuilt \d")
        bash = root / "usr/share/bash-completion/completions/kuilt"
        self.assertIn("kuilt", run("bash", "-c", f". {bash} && complete -p kuilt"))
        depends = run("dpkg-deb", "-f", archive, "Depends")
        for package in ("libssl3", "libstdc++6", "libc6", "passwd"):
            self.assertIn(package, depends)
        self.assertNotIn("-dev", depends)
        run("dpkg-deb", "-e", archive, root / "DEBIAN")
        for script in ("postinst", "prerm", "postrm"):
            run("sh", "-n", root / "DEBIAN" / script)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *(f"Package.{name}" for name in sys.argv[1:])])
