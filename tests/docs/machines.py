"""Machines to try a document on: namespaces of network, processes and mounts, joined by a switch.

Each has addresses, processes and a home of its own, so that a document's fixed ports, its
10.0.0.1 and its `kill $(pidof kuilt)` are meant as they stand there, and touch nobody else.
"""
import contextlib
import os
import pathlib
import subprocess
import time

ADDRESSES = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3", "here": "10.0.0.100"}
PATIENCE = 30  # Seconds, for whatever is awaited.

# Copies to another machine's home, which is what `scp FILE MACHINE:` does.
SCP = """#!/bin/sh
for last; do :; done
case $last in {cases} *) echo "scp: $last: no such machine" >&2; exit 1 ;; esac
cp -p "$1" "{homes}/$to/"
"""


def await_condition(condition):
    """Whether it held within PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def children_of(pid):
    with contextlib.suppress(FileNotFoundError):
        return list(map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return []


class Command:
    """A command line in a terminal. What it prints is kept in files, one for each stream."""

    def __init__(self, process, outputs):
        self.process = process
        self.outputs = outputs

    def streams(self):
        """The lines that it has printed to standard output, and to standard error."""
        return [path.read_text(errors="replace").splitlines() for path in self.outputs]

    def wait(self):
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None

    def end(self, number):
        """By a signal to what its shell runs in the foreground, as a terminal would send it."""
        def foreground():
            return [pid for shell in children_of(self.process.pid) for pid in children_of(shell)]
        await_condition(lambda: self.process.poll() is not None or foreground())
        for pid in foreground():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return self.process.wait(PATIENCE)


class Machine:
    def __init__(self, name, homes, tools):
        self.name = name
        self.home = homes / name
        self.home.mkdir()
        self.tools = tools
        self.terminals = 0
        self.life = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sh", "-c", "echo up; exec sleep infinity"], stdout=subprocess.PIPE, text=True)
        self.life.stdout.readline()
        self.pid = children_of(self.life.pid)[0]
        self.check("ip link set lo up")

    def start(self, command):
        script = self.home / f".terminal-{self.terminals}"
        outputs = [script.with_suffix(suffix) for suffix in (".out", ".err")]
        self.terminals += 1
        script.write_text(command)  # Not an argument: `pkill -f` would find it there.
        environment = {"HOME": str(self.home), "LANG": "C.UTF-8",
                       "PATH": f"{self.tools}:{os.environ['PATH']}",
                       **{k: v for k, v in os.environ.items() if k.startswith("CCACHE_")}}
        with outputs[0].open("w") as out, outputs[1].open("w") as err:
            process = subprocess.Popen(
                ["nsenter", "-t", str(self.pid), "-n", "-m", "-p", f"--wd={self.home}",
                 "bash", script.name],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        return Command(process, outputs)

    def check(self, command):
        ran = self.start(command)
        if ran.wait() != 0:
            raise RuntimeError(f"{self.name}: {command}: {ran.streams()}")

    def end(self):
        self.life.kill()
        self.life.wait()
        self.life.stdout.close()


class Machines:
    """Those of one document, made when they are first named. Used in a `with`."""

    def __init__(self, scratch, tools):
        self.homes = pathlib.Path(scratch)
        self.tools = self.homes / "tools"
        self.tools.mkdir()
        for tool in tools:
            (self.tools / tool.name).symlink_to(tool)
        cases = " ".join(f"{address}:) to={name} ;;" for name, address in ADDRESSES.items())
        scp = self.tools / "scp"
        scp.write_text(SCP.format(cases=cases, homes=self.homes))
        scp.chmod(0o755)
        self.machines = {}

    def __enter__(self):
        self.switch = Machine("switch", self.homes, self.tools)
        self.switch.check("ip link add switch type bridge && ip link set switch up")
        for name in ADDRESSES:
            self.machines[name] = self.make(name)
        return self

    def __exit__(self, *_):
        for machine in [*self.machines.values(), self.switch]:
            machine.end()

    def __getitem__(self, name):
        return self.machines[name]

    def make(self, name):
        machine = Machine(name, self.homes, self.tools)
        self.switch.check(f"ip link add port-{name} type veth peer name plug-{name} && "
                          f"ip link set port-{name} master switch up")
        # From outside: who is in the switch can't name processes of other namespaces.
        subprocess.run(["nsenter", "-t", str(self.switch.pid), "-n", "ip", "link", "set",
                        f"plug-{name}", "netns", str(machine.pid)], check=True)
        machine.check(f"ip link set plug-{name} up && "
                      f"ip address add {ADDRESSES[name]}/24 dev plug-{name}")
        return machine
