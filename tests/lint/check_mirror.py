#!/usr/bin/env python3
"""Every source file of the libraries has tests that name its functions: a/b.c is met by tests/unit/a/test_*.c."""

import re

from house import ROOT, finish, tracked

ROOMS = ("common/", "shm/", "supervisor/", "proxyd/", "writerd/", "ctl/")
# Shells around a process: what they do is shown by tests/integration with real processes.
SHELLS = re.compile(r"(^|/)(main|control|config_helper)\.c$")


def main():
    sources = [f for f in tracked(".c") if str(f.relative_to(ROOT)).startswith(ROOMS)]
    problems = []
    for file in sources:
        path = str(file.relative_to(ROOT))
        if SHELLS.search(path):
            continue
        room = path.split("/")[0] if not path.startswith("common/") else "/".join(path.split("/")[:2])
        tests = "".join(t.read_text() for t in (ROOT / "tests/unit" / room).rglob("test_*.c"))
        tests += "".join(t.read_text() for t in (ROOT / "tests/torture").glob("*.c"))
        public = re.findall(r"^(?!static)[\w \*]*?\b(\w+)\([^;]*$", file.read_text(), re.M)
        if public and not any(re.search(rf"\b{name}\b", tests) for name in public):
            problems.append(f"{path}: no unit test in tests/unit/{room} calls {', '.join(public[:4])}")
    finish(len(sources), problems)


main()
