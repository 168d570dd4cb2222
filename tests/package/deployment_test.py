#!/usr/bin/env python3
"""What lies around the executable on a server: unit, settings, man page. CTest runs each
test by name, as `deployment.NAME`; all at once: deployment_test.py KUILT MAN_PAGE"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
KUILT = pathlib.Path(sys.argv.pop(1)).resolve()
MAN_PAGE = pathlib.Path(sys.argv.pop(1)).resolve()
UNIT = (SOURCE / "packaging/kuilt.service").read_text()
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


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *(f"Deployment.{name}" for name in sys.argv[1:])])
