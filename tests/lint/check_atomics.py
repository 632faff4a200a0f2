#!/usr/bin/env python3
"""Every atomic access in shm/ says its order and what it pairs with; no fences; no default orders."""

import re

from house import ROOT, finish, tracked

ACCESS = re.compile(r"\batomic_(load|store|exchange|compare_exchange_(?:strong|weak)|fetch_[a-z]+)(_explicit)?\s*\(|__sync_\w+\s*\(|"
                    r"__atomic_\w+\s*\(|\bshm_cas128\s*\(")


def check(path, lines):
    for number, line in enumerate(lines, 1):
        code = line.split("/*")[0]
        if "atomic_thread_fence" in code or "__sync_synchronize" in code:
            yield f"{path}:{number}: a standalone fence (ThreadSanitizer cannot follow it)"
        found = ACCESS.search(code)
        if not found or code.lstrip().startswith(("#", "*")):
            continue
        if found.group(1) and not found.group(2):
            yield f"{path}:{number}: name the memory order (atomic_{found.group(1)}_explicit)"
        near = "\n".join(lines[max(0, number - 9):number + 3])
        if "mo:" not in near:
            yield f"{path}:{number}: no `mo:` comment that says the order and what it pairs with"


def main():
    files = [f for f in tracked(".c", ".h") if str(f.relative_to(ROOT)).startswith("shm/")]
    problems = []
    for file in files:
        problems += check(str(file.relative_to(ROOT)), file.read_text().splitlines())
    finish(len(files), problems)


main()
