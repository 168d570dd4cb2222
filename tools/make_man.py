#!/usr/bin/env python3
"""Writes the man page kuilt(1) from docs/cli.md, which is what `kuilt COMMAND --help` prints.

usage: make_man.py docs/cli.md VERSION > kuilt.1
"""
import pathlib
import re
import sys

SECTION = re.compile(r"^## (kuilt.*?)\n+```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def verbatim(text):
    """Lines as they are: roff sees no request, no escape, and hyphens that can be copied."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").splitlines()
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in lines)


def page(reference, version):
    sections = SECTION.findall(reference)
    if not sections or sections[0][0] != "kuilt":
        sys.exit("make_man: no section `## kuilt` with what it prints")
    summary = re.match(r"(?:kuilt: )?(.*?)\.?\n", sections[0][1])[1]
    out = [r"'\" -*- coding: utf-8 -*-",
           f'.TH KUILT 1 "" "kuilt {version}" "User Commands"',
           ".SH NAME", f"kuilt \\- {verbatim(summary)}"]
    for title, text in sections:
        heading = "DESCRIPTION" if title == "kuilt" else title.upper()
        out += [f'.SH "{verbatim(heading)}"', ".nf", verbatim(text.strip("\n")), ".fi"]
    return "\n".join(out) + "\n"


sys.stdout.write(page(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2]))
