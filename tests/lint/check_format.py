#!/usr/bin/env python3
"""clang-format 14 has nothing to change."""

import subprocess

from house import ROOT, finish, tracked


def main():
    files = tracked(".c", ".h")
    problems = []
    for file in files:
        done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", str(file)], cwd=ROOT, capture_output=True,
                              text=True, check=False)
        if done.returncode:
            where = done.stderr.splitlines()[0].split(":")[1] if done.stderr else "?"
            problems.append(f"{file.relative_to(ROOT)}:{where}: not formatted (clang-format-14 -i FILE)")
    finish(len(files), problems)


main()
