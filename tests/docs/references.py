"""What documents point at: files, headings, tests and metrics of this repository."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tests_of_the_project():
    """Their names, as documents name them: Suite.Sentence."""
    names = re.compile(r"^TEST(?:_[FP])?\((\w+),\s+(\w+)\)", re.MULTILINE)
    return {".".join(name) for path in ROOT.glob("tests/**/*.cpp")
            for name in names.findall(path.read_text())}


def anchors_of(text):
    """Of each heading, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def complaint_about(path, text, tests):
    """Nothing, if all is there that the document points at."""
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(#[^)]*)?\)", text):
        of = path.parent / target
        if target and not of.exists():
            return f"points at {target}, which is not there"
        if anchor and anchor[1:] not in anchors_of(of.read_text() if target else text):
            return f"points at {target}{anchor}, which is not there"
    for name in re.findall(r"`([A-Z]\w+\.[A-Z]\w+)`", text):
        if name not in tests:
            return f"names the test {name}, which is not there"
    return ""


def known_bugs_without_a_line(text):
    """The table of docs/known-bugs.md has one line for each, and each says something."""
    lines = re.findall(r"^\| ([BK]\d+) \| [^|]+ \| ([^|]*) \|$", text, re.MULTILINE)
    numbers = [number for number, _ in lines]
    wanted = [f"B{i}" for i in range(1, 88)] + [f"K{i}" for i in range(1, 73)]
    says_something = re.compile(r"`\w+\.\w+`|\]\(|Waits for \w+|Cannot be: \w+")
    return [f"docs/known-bugs.md: {number} has {numbers.count(number)} lines"
            for number in wanted if numbers.count(number) != 1] + \
        [f"docs/known-bugs.md: {number} names no test and no reason"
         for number, here in lines if not says_something.search(here)]


def metrics_that_lack_words():
    """What /metrics serves and docs/operations.md says nothing of, and the other way round."""
    served = set(re.findall(r'"(kuilt_\w+)"', (ROOT / "src/server/metrics.cpp").read_text()))
    said = set(re.findall(r"`(kuilt_\w+)`", (ROOT / "docs/operations.md").read_text()))
    return [f"docs/operations.md: says nothing of {name}" for name in sorted(served - said)] + \
        [f"docs/operations.md: there is no metric {name}" for name in sorted(said - served)]
