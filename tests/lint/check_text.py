#!/usr/bin/env python3
"""Nothing of one machine and no loose ends in the tree."""

import re

from house import ROOT, finish, tracked

FORBIDDEN = {
    r"\b(TODO|FIXME|XXX|HACK)\b": "a loose end",
    r"(?<![\w.$}@])/(work|root|farm)/[a-z]": "a path of one machine",
    r"(registry\.npmjs|pypi\.org|deb\.debian\.org|files\.pythonhosted)": "a registry's host name",
    r"BEGIN (RSA |EC )?PRIVATE KEY": "a private key",
    r"sk-(proj-)?[A-Za-z0-9]{32,}": "what looks like a real key",
}


def main():
    files = [f for f in tracked(".c", ".h", ".def", ".py", ".md", ".yaml", ".build", ".sh", ".service", ".5", ".8", ".1",
                                "dev", "run", "rules", "control")
             if f.name != "check_text.py"]
    problems = []
    for file in files:
        path = file.relative_to(ROOT)
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            for pattern, what in FORBIDDEN.items():
                if re.search(pattern, line):
                    problems.append(f"{path}:{number}: {what}: {line.strip()[:80]}")
    finish(len(files), problems)


main()
