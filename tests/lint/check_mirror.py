#!/usr/bin/env python3
"""Every public function of common/ and shm/ is called by a unit test, a torture program or a fuzz target.

Public: declared in a header that another room includes. What daemons do is shown by their unit tests and by real
processes in tests/integration.
"""

import re

from house import ROOT, tracked

# Steps of a process's own life: shown by the children that tests/unit/common/proc starts and by tests/integration.
LIFE = {"bf_child_leave"}


def functions(header):
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
    return re.findall(r"^(?!static|typedef|#|\s)[\w \*]+?\b((?:bf|shm)_\w+)\(", text, re.M)


def main():
    sources = {str(f.relative_to(ROOT)): f.read_text() for f in tracked(".c", ".h")}
    tests = "".join(t for p, t in sources.items() if p.startswith(("tests/unit/", "tests/torture/", "tests/fuzz/")))
    checked, problems = 0, []
    for path in sorted(p for p in sources if p.startswith(("common/", "shm/")) and p.endswith(".h")):
        room = path.rsplit("/", 1)[0] + "/"
        if not any(f'"{path}"' in text for p, text in sources.items() if not p.startswith((room, "tests/"))):
            continue
        for name in functions(ROOT / path):
            checked += 1
            if name not in LIFE and not re.search(rf"\b{name}\b", tests):
                problems.append(f"{path}: no test calls {name}")
    for problem in problems:
        print(f"FAIL: {problem}")
    print(f"{checked - len(problems)} passed, {len(problems)} failed")
    raise SystemExit(1 if problems or not checked else 0)


main()
