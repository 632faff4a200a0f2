#!/usr/bin/env python3
"""Files up to 500 lines, headers up to 300, functions up to 80; every .c opens with its purpose."""

import re

from house import ROOT, finish, tracked

START = re.compile(r"^(?!static const|struct|enum|union|typedef|#|/|\s|\}|\{)[\w].*\)\s*$|^[\w].*\($")


def functions(lines):
    """(name, first line, length) of each function: a line `{` in column one opens it, `}` closes it."""
    opened = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            opened = number
        elif line.startswith("}") and opened:
            yield lines[opened - 2].strip()[:60], opened, number - opened - 1
            opened = None


def check(path, text, is_test):
    lines = text.splitlines()
    limit = 300 if path.endswith(".h") else 500
    if len(lines) > limit:
        yield f"{path}: {len(lines)} lines, the limit is {limit}"
    for name, number, length in functions(lines):
        if length > (120 if is_test else 80):
            yield f"{path}:{number}: function of {length} lines: {name}"
    if path.endswith(".c") and not text.lstrip().startswith("/*"):
        yield f"{path}: does not open with a comment that says what it is for"


def main():
    files = tracked(".c", ".h")
    problems = []
    for file in files:
        path = str(file.relative_to(ROOT))
        problems += check(path, file.read_text(), path.startswith("tests/"))
    finish(len(files), problems)


main()
