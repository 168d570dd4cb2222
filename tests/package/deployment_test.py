#!/usr/bin/env python3
"""What lies around the executable on a server: unit, settings, man page, images. CTest runs each
test by name, as `deployment.NAME`; all at once: deployment_test.py KUILT MAN_PAGE"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

SOURCE = pathlib.Path(__file__).resolve().parents[2]
KUILT = pathlib.Path(sys.argv.pop(1)).resolve()
MAN_PAGE = pathlib.Path(sys.argv.pop(1)).resolve()
UNIT = (SOURCE / "packaging/kuilt.service").read_text()
DOCKERFILE = (SOURCE / "Dockerfile").read_text().replace("\\\n", " ")
EXPOSURE_MAX = 15  # Of 100, as `systemd-analyze security` counts; it holds 14 for good reasons.


def run(*command, **variables):
    return subprocess.run([str(word) for word in command], cwd=SOURCE, text=True,
                          capture_output=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"} | variables)


def settings_are_sound(*arguments, **variables):
    done = run(KUILT, *arguments, "--check-config", **variables)
    return done.returncode == 0, done.stderr


def judged(unit, *arguments):
    """What systemd-analyze says of a unit that starts the executable of this build."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "kuilt.service"
        path.write_text(unit.replace("/usr/bin/kuilt", str(KUILT)))
        done = run("systemd-analyze", *arguments, path)
        return done.returncode, done.stdout + done.stderr


class Deployment(unittest.TestCase):
    def unit(self):
        """systemd has nothing to say against it."""
        self.assertEqual(judged(UNIT, "verify", "--man=no"), (0, ""))
        broken = UNIT.replace("TimeoutStopSec=30", "TimeoutStopsec=30")
        self.assertIn("TimeoutStopsec", judged(broken, "verify", "--man=no")[1])

    def unit_is_hardened(self):
        arguments = ("security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE_MAX}")
        status, said = judged(UNIT, *arguments)
        self.assertEqual(status, 0, said)
        exposed = UNIT.replace("ProtectSystem=strict\n", "").replace("NoNewPrivileges=yes\n", "")
        self.assertNotEqual(judged(exposed, *arguments)[0], 0)

    def unit_does_not_repeat_what_needs_a_person(self):
        """Its exit statuses that stay down are those of `kuilt --help`."""
        statuses = re.search(r"RestartPreventExitStatus=(.*)", UNIT)[1].split()
        said = run(KUILT, "--help").stdout
        meanings = [re.search(rf"\b{status} ([a-z ]+)", said)[1].strip() for status in statuses]
        self.assertEqual(meanings, ["usage or configuration", "damaged data"])

    def settings(self):
        """The file that the package brings is read; so is what it shows as a comment."""
        path = SOURCE / "packaging/kuilt.toml"
        self.assertEqual(settings_are_sound("serve", "--config", path), (True, ""))
        shown = re.sub(r"^# (?=[a-z-]+ = )", "", path.read_text(), flags=re.MULTILINE)
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(shown)
            file.flush()
            printed = run(KUILT, "serve", "--config", file.name, "--print-config")
        self.assertIn('found = "a=10.0.0.1:7401', printed.stdout, printed.stderr)
        self.assertIn("insecure-clients = true", printed.stdout)

    def man_page(self):
        """It can be shown, without a complaint, and has every command of the reference page."""
        done = run("man", "--warnings", "-l", MAN_PAGE, MANWIDTH="120")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        commands = re.findall(r"(?m)^## (kuilt .*)$", (SOURCE / "docs/cli.md").read_text())
        self.assertIn("kuilt serve", commands)
        for part in [*(command.upper() for command in commands), "--peer-listen", "Exit status:"]:
            self.assertIn(part, done.stdout)

    def compose(self):
        """Three servers with one founding list that names them all, each with sound settings."""
        whole = yaml.safe_load((SOURCE / "compose.yaml").read_text())
        servers = {name: one for name, one in whole["services"].items()
                   if one["command"][:1] == ["serve"]}
        self.assertEqual(sorted(servers), ["a", "b", "c"])
        founded = {one["environment"]["KUILT_FOUND"] for one in servers.values()}
        self.assertEqual(founded, {"a=a:7401,b=b:7401,c=c:7401"})
        for name, one in servers.items():
            command = one["command"]
            self.assertEqual(command[command.index("--name") + 1], name)
            self.assertEqual(settings_are_sound(*command, **one["environment"]), (True, ""))
            host = one["ports"][0].removesuffix(":7400")
            self.assertEqual(command[command.index("--advertise") + 1], f"ws://{host}")
            self.assert_paths_are_volumes(one, whole["volumes"])
        sound, said = settings_are_sound(*servers["a"]["command"], KUILT_LISTEN="0.0.0.0:7400")
        self.assertFalse(sound)  # The control: the environment is read.
        self.assertIn("--insecure-clients", said)

    def assert_paths_are_volumes(self, server, volumes):
        mounted = dict(reversed(text.split(":")[:2]) for text in server["volumes"])
        self.assertLessEqual(set(mounted.values()), set(volumes))
        for variable in ("KUILT_DATA", "KUILT_SECRET_FILE"):
            path = server["environment"][variable]
            self.assertTrue(any(path.startswith(place) for place in mounted), path)

    def image(self):
        """What a linter would say: known words, files that exist, no root, shells that parse."""
        lines = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines()
                 if line.strip() and not line.startswith("#")]
        known = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
                 "HEALTHCHECK", "ENTRYPOINT", "CMD"}
        self.assertLessEqual({word for word, _ in lines}, known)
        self.assertEqual([rest for word, rest in lines if word == "USER"], ["kuilt"])
        for word, rest in lines:
            if word == "RUN":
                self.assertEqual(run("sh", "-n", "-c", rest).stderr, "")
            if word == "COPY" and "--from" not in rest:
                self.assertTrue((SOURCE / rest.split()[0]).exists(), rest)
        library = (SOURCE / "scripts/lib.sh").read_text()
        for array in re.findall(r"packages_\w+", DOCKERFILE):
            self.assertRegex(library, rf"(?m)^{array}=\(")
        exposed = next(rest for word, rest in lines if word == "EXPOSE").split()
        printed = run(KUILT, "serve", "--print-config").stdout
        self.assertEqual(exposed, re.findall(r'listen = \[?"127.0.0.1:(\d+)"', printed))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *(f"Deployment.{name}" for name in sys.argv[1:])])
