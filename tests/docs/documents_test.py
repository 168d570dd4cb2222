"""Documents are true: their C++ compiles and runs, their commands run and print what is shown.

usage: documents_test.py BINARY_DIR COMPILER [DOCUMENT...]
       documents_test.py BINARY_DIR COMPILER --control
"""
import copy
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import blocks
import machines
import references
from references import ROOT

GENERATED = {ROOT / "docs/cli.md"}  # By tests/cli/help_test.cpp; it shows what --help prints.
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-variable"]


def documents():
    found = [ROOT / "README.md", ROOT / "examples/README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    return [path for path in found if path not in GENERATED]


class Wrong(Exception):
    """What a document says is not so. Its text names the line."""


class Compiler:
    def __init__(self, binary_dir, command):
        self.library = pathlib.Path(binary_dir).resolve() / "lib"
        self.command = [command, "-std=c++20", f"-I{ROOT}/include", f"-I{ROOT}/tests/docs", *WARNINGS]

    def run(self, source, *arguments):
        done = subprocess.run([*self.command, "-x", "c++", "-", "-x", "none", *arguments],
                              input=source, text=True, capture_output=True)
        if done.returncode != 0:
            raise Wrong(f"does not compile:\n{done.stderr}")

    def check_fragments(self, name, fragments):
        """All of a document's at once: the headers are what takes time."""
        includes, functions = "", ""
        for block in fragments:
            lines = block.text.splitlines()
            includes += "\n".join(line for line in lines if line.startswith("#")) + "\n"
            body = "\n".join("" if line.startswith("#") else line for line in lines)
            kind = "Coroutine" if "co_await" in body else "void"
            functions += f'{kind} line_{block.line}() {{\n#line {block.line} "{name}"\n{body}\n}}\n'
        if fragments:
            self.run(f'#include "frame.hpp"\n{includes}{functions}', "-fsyntax-only")

    def build(self, name, block, program):
        self.run(f'#line {block.line} "{name}"\n{block.text}', "-o", str(program),
                 f"-L{self.library}", "-lkuilt-testing", "-lkuilt", f"-Wl,-rpath,{self.library}")


@dataclass
class Terminal:
    machine: str
    command: machines.Command
    comparison: blocks.Comparison = field(default_factory=blocks.Comparison)


class Document:
    def __init__(self, name, text, compiler):
        self.name = name
        self.compiler = compiler
        self.blocks = list(blocks.blocks_of(text))
        self.staying = []  # Terminals, the newest last.

    def check(self, tools):
        cpp = [block for block in self.blocks if block.language == "cpp"]
        self.compiler.check_fragments(self.name, [b for b in cpp if "int main(" not in b.text])
        run = [b for b in self.blocks if b.language in blocks.LANGUAGES and not b.why_not_run
               and (b.language != "cpp" or "int main(" in b.text)]
        if not run:
            return
        with tempfile.TemporaryDirectory() as scratch, \
                machines.Machines(scratch, tools) as self.machines:
            for block in run:
                getattr(self, "run_" + block.language)(block)
            for terminal in self.staying:
                command = terminal.command
                if command.process.poll() is None and command.end(signal.SIGTERM) not in (0, 130):
                    raise Wrong(f"what stays on {terminal.machine} does not end as told: "
                                f"{command.streams()}")

    def run_cpp(self, block):
        machine = self.machines[block.machine]
        program = machine.home / f"program-{block.line}"
        self.compiler.build(self.name, block, program)
        self.wait(block, machine.start(str(program)))

    def run_sh(self, block):
        self.wait(block, self.machines[block.machine].start("set -euo pipefail\n" + block.text))

    def run_console(self, block):
        steps = blocks.steps_of(block)
        for step in steps:
            if not step.command:
                newest = [t for t in self.staying if t.machine == block.machine][-1]
                self.await_shown(block, newest, step.shown)
                continue
            terminal = Terminal(block.machine, self.machines[block.machine].start(step.command))
            if block.stays and step is steps[-1]:
                self.staying.append(terminal)
                self.await_shown(block, terminal, step.shown)
            else:
                self.wait(block, terminal.command)
                self.compare(block, terminal, step.shown)

    def wait(self, block, command):
        status = command.wait()
        if status != block.status:
            raise self.wrong(block, f"ended with {status} (None: took too long), not {block.status}",
                             command)

    def compare(self, block, terminal, shown):
        streams = terminal.command.streams()
        said = terminal.comparison.take(shown, streams) or terminal.comparison.rest(streams)
        if said:
            raise self.wrong(block, said, terminal.command)

    def await_shown(self, block, terminal, shown):
        """Waits until it is there; with ^C, ends the command then."""
        before = shown[:shown.index("^C")] if "^C" in shown else shown
        command = terminal.command
        result = {}

        def is_shown():
            has_ended = command.process.poll() is not None
            result["comparison"] = copy.deepcopy(terminal.comparison)
            result["wrong"] = result["comparison"].take(before, command.streams())
            return has_ended or not result["wrong"]
        machines.await_condition(is_shown)
        if result["wrong"]:
            raise self.wrong(block, result["wrong"], command)
        terminal.comparison = result["comparison"]
        if before is not shown:
            command.end(signal.SIGINT)
            self.compare(block, terminal, shown[len(before) + 1:])

    def wrong(self, block, what, command):
        return Wrong(f"line {block.line}: {what}\nall that was printed: {command.streams()}")


def complaint_about(name, text, compiler, tools, tests):
    """Nothing, if the document is true."""
    begin = time.monotonic()
    try:
        if wrong := references.complaint_about(ROOT / name, text, tests):
            return f"{name}: {wrong}"
        Document(name, text, compiler).check(tools)
    except (Wrong, blocks.Malformed) as wrong:
        return f"{name}: {wrong}"
    took = time.monotonic() - begin
    if took > 0.5:
        print(f"{name}: {took:.1f} s", flush=True)
    return ""


CONTROL = [  # A document that is wrong, and what must be said of it.
    ("```cpp\nint x = nothing;\n```", "does not compile"),
    ("```cpp\nint main() { return 3; }\n```", "ended with 3"),
    ("```sh\nfalse\ntrue\n```", "ended with 1"),
    ("<!-- doc: status 1 -->\n```sh\ntrue\n```", "ended with 0"),
    ("```console\n$ echo one\ntwo\n```", 'shown "two", printed \'one'),
    ("```console\n$ echo one; echo two\none\n```", 'which is not shown'),
    ("```console\n$ echo one\none\n...\ntwo\n```", 'shown "two", printed no more'),
    ("<!-- doc: stays -->\n```console\n$ echo one\ntwo\n```", 'shown "two", printed \'one'),
    ("<!-- doc: stays -->\n```console\n$ sleep 9\n```", "does not end as told"),
    ("```\n$ echo one\n```", "neither sh nor console"),
    ("```\nkuilt status\n```", "neither sh nor console"),
    ("```shell\ntrue\n```", "no language"),
    ("<!-- doc: not run -->\n```sh\nfalse\n```", "without a reason"),
    ("[here](docs/not-here.md#at-all)", "points at docs/not-here.md"),
    ("[here](docs/testing.md#not-here)", "points at docs/testing.md#not-here"),
    ("[here](#not-here)", "points at #not-here"),
    ("shown by `Documents.ThatAreNotThere`", "names the test Documents.ThatAreNotThere"),
    ("<!-- doc: sometimes -->\n```sh\nfalse\n```", "no mark"),
]
GOOD = """
# Good, 1 of 1
[good](#good-1-of-1), [here](docs/testing.md#mutants), as `Examples.HelloProposesAndObserves` shows

<!-- doc: not run: it fails -->
```sh
false
```
<!-- doc: on a, stays -->
```console
$ sh -c 'trap exit TERM; echo one; while :; do sleep 0.01; done'
one
```
<!-- doc: on b -->
```console
$ echo 'took 3 ms'; echo two; echo three
took 7 ms
...
three
```
   ```cpp
   client.propose("x").give_up();
   ```
<!-- doc: on a, stays -->
```console
$ sh -c 'trap "echo bye; exit" INT; echo one; while :; do sleep 0.01; done'
one
^C
bye
```
<!-- doc: status 130 -->
```sh
exit 130
```
"""


def control(*means):
    failed = [f"{wanted!r} was not said of {text!r}, but: {said!r}" for text, wanted in CONTROL
              if wanted not in (said := complaint_about("control.md", text, *means))]
    of_bugs = references.known_bugs_without_a_line("| B1 | a mistake | nothing |\n")
    failed += [f"it was not said that {wanted}" for wanted in
               ("docs/known-bugs.md: B1 names no test and no reason",
                "docs/known-bugs.md: K72 has 0 lines") if wanted not in of_bugs]
    return failed + list(filter(None, [complaint_about("control.md", GOOD, *means)]))


def main(binary_dir, compiler_command, *names):
    if os.geteuid() != 0 and "KUILT_DOCUMENTS" not in os.environ:
        os.environ["KUILT_DOCUMENTS"] = "root of a namespace"
        os.execvp("unshare", ["unshare", "-r", sys.executable, *sys.argv])
    compiler = Compiler(binary_dir, compiler_command)
    bin_dir = pathlib.Path(binary_dir).resolve() / "bin"
    tools = [bin_dir / "kuilt", *bin_dir.glob("example_*")]
    means = (compiler, tools, references.tests_of_the_project())
    if names == ("--control",):
        failed = control(*means)
    else:
        paths = [ROOT / name for name in names] or documents()
        with ThreadPoolExecutor(2) as pool:  # Each on machines of its own.
            failed = list(filter(None, pool.map(
                lambda p: complaint_about(str(p.relative_to(ROOT)), p.read_text(), *means),
                paths)))
        failed += [] if names else references.metrics_that_lack_words()
        failed += [] if names else references.known_bugs_without_a_line(
            (ROOT / "docs/known-bugs.md").read_text())
    print("\n".join(failed) or "all true")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
