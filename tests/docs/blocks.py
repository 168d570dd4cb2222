"""The fenced blocks of a Markdown document, and what a reader is told about each.

    ```cpp      a program, if it has a main; else statements, inside frame.hpp's function
    ```sh       commands, which succeed
    ```console  a terminal: `$ command`, then what it prints. `...` is any number of lines, `^C`
                ends the command that stays. Without a command: what the one that stays prints next.
    ```         anything else, and never a command

A comment on the line before says what the block can't, its parts separated by commas:

    <!-- doc: on b -->              on a machine of its own, 10.0.0.2 (a to c; else here, 10.0.0.100)
    <!-- doc: stays -->             the last command goes on, in its terminal, to the document's end
    <!-- doc: status 8 -->          the commands end with this exit status
    <!-- doc: not run: REASON -->   why it can't be run here
"""
import re
from dataclasses import dataclass, field

LANGUAGES = {"cpp", "sh", "console"}
PLAIN = {"", "text", "json", "toml", "cmake", "ini", "js", "python", "kotlin"}
COMMAND = re.compile(r"(\$ |kuilt |scripts/|cmake |ctest |apt-get |docker |g\+\+ |python3 )")


class Malformed(Exception):
    """The document itself can't be read as documents are."""


@dataclass
class Block:
    language: str
    line: int  # Of its first line of text, from 1.
    text: str
    machine: str = "here"
    stays: bool = False
    status: int = 0
    why_not_run: str = ""


@dataclass
class Step:
    """A command of a terminal; without one, what is printed there next."""

    command: str = ""
    shown: list = field(default_factory=list)


def marked(block, mark):
    if mark.startswith("not run"):
        _, _, block.why_not_run = mark.partition(": ")
        if not block.why_not_run:
            raise Malformed(f"line {block.line}: not run, without a reason")
        return
    for part in mark.split(", "):
        if match := re.fullmatch(r"on ([a-c])", part):
            block.machine = match[1]
        elif match := re.fullmatch(r"status (\d+)", part):
            block.status = int(match[1])
        elif part == "stays":
            block.stays = True
        else:
            raise Malformed(f'line {block.line}: "{part}" is no mark (see tests/docs/blocks.py)')


def blocks_of(text):
    mark, fence, indent, block = "", None, "", None
    for number, line in enumerate(text.splitlines(), 1):
        if fence is None:
            if match := re.match(r"(\s*)(```+)(\w*)\s*$", line):
                indent, fence, language = match.groups()
                block = Block(language, number + 1, "")
                if language not in LANGUAGES | PLAIN:
                    raise Malformed(f'line {number}: "{language}" is no language of a block')
                if mark:
                    marked(block, mark)
            match = re.match(r"\s*<!-- doc: (.*) -->\s*$", line)
            mark = match[1] if match else mark if not line.strip() else ""
        elif line.strip() == fence:
            yield block
            fence, mark = None, ""
        else:
            line = line.removeprefix(indent)
            if block.language in PLAIN and COMMAND.match(line):
                raise Malformed(f"line {number}: a command in a block that is neither sh nor console")
            block.text += line + "\n"


def steps_of(block):
    """What a terminal shows, command by command. A line that ends in \\ goes on in the next."""
    steps = []
    continued = False
    for line in block.text.splitlines():
        if continued:
            steps[-1].command += "\n" + line
        elif line.startswith("$ "):
            steps.append(Step(line[2:]))
        else:
            if not steps:
                steps.append(Step())
            steps[-1].shown.append(line)
            continue
        continued = line.endswith("\\")
    return steps


# What differs from run to run, and what stands for it on both sides of a comparison.
VARIES = [
    (r"\b([0-9a-f]{32}|[0-9a-f]{16})\b", "<id>"),
    (r"\d+(\.\d+)? [KMGT]?i?B\b", "<size>"),
    (r"\bpid \d+", "pid <n>"),
    (r"\d+(\.\d+)? (ms|s)\b", "<time>"),
    (r"\bleader [a-c]\b", "leader <name>"),
    (r"\bterm \d+", "term <n>"),
    (r"\b(committed|index) \d+", r"\1 <n>"),  # An election more is an entry more.
    (r"^\d+\t\d+\t", "<index> <term> "),
    (r"\bresumed on [a-c] at \d+", "resumed on <name> at <n>"),
    (r"127\.0\.0\.1:\d{5}", "127.0.0.1:<free port>"),
    (r"open files: at most \d+", "open files: at most <n>"),
    (r"[ \t]+", " "),
]


def stable(line):
    for pattern, token in VARIES:
        line = re.sub(pattern, token, line)
    return line.strip()


class Comparison:
    """How far what a command prints, on two streams, is what a document shows. The terminal mixes
    the two as it likes, so each has an order of its own."""

    def __init__(self):
        self.at = [0, 0]  # Lines of each stream that were shown.
        self.anything = [False, False]  # May come next, for "..." was shown.

    def take(self, shown, streams):
        """Nothing, if all that is shown was printed; else a sentence."""
        for line in map(stable, shown):
            if line == "...":
                self.anything = [True, True]
            elif not any(self.matches(number, line, streams) for number in (0, 1)):
                following = [stream[at] for stream, at in zip(streams, self.at) if at < len(stream)]
                return f'shown "{line}", printed {" or ".join(map(repr, following)) or "no more"}'
        return ""

    def matches(self, number, line, streams):
        behind = list(map(stable, streams[number][self.at[number]:]))
        if line not in (behind if self.anything[number] else behind[:1]):
            return False
        self.at[number] += behind.index(line) + 1
        self.anything[number] = False
        return True

    def rest(self, streams):
        """Nothing, if nothing else was printed; else a sentence."""
        for stream, at, anything in zip(streams, self.at, self.anything):
            if at < len(stream) and not anything:
                return f"printed {stream[at]!r}, which is not shown"
        return ""
