#!/usr/bin/env python3
"""clang-format 14 has nothing to change."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from house import ROOT, finish, tracked


def look(file):
    return subprocess.run(["clang-format-14", "--dry-run", "-Werror", str(file)], cwd=ROOT, capture_output=True,
                          text=True, check=False)


def main():
    files = tracked(".c", ".h")
    problems = []
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        looked = list(pool.map(look, files))
    for file, done in zip(files, looked):
        if done.returncode:
            where = done.stderr.splitlines()[0].split(":")[1] if done.stderr else "?"
            problems.append(f"{file.relative_to(ROOT)}:{where}: not formatted (clang-format-14 -i FILE)")
    finish(len(files), problems)


main()
