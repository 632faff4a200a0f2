#!/usr/bin/env python3
"""Shell scripts parse, Python files compile, packages named by ./dev cover the package's build dependencies."""

import re
import subprocess

from house import ROOT, finish, tracked


def build_depends():
    control = (ROOT / "packaging/debian/control").read_text()
    block = re.search(r"^Build-Depends:(.*?)^(?=\S)", control, re.M | re.S).group(1)
    return {re.split(r"[\s(|]", item.strip())[0] for item in block.split(",") if item.strip()}


def main():
    problems = []
    scripts = tracked(".sh") + [ROOT / p for p in ("dev", ".ci/run", "packaging/build-deb", "tests/clean-root", "tests/package-life",
                                               "tests/support/boot-systemd")]
    for script in scripts:
        done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
        if done.returncode:
            problems.append(f"{script.relative_to(ROOT)}: {done.stderr.strip()}")
    pythons = tracked(".py")
    for script in pythons:
        try:
            compile(script.read_text(), str(script), "exec")
        except SyntaxError as error:
            problems.append(f"{script.relative_to(ROOT)}: {error}")
    dev = (ROOT / "dev").read_text()
    for package in sorted(build_depends() - {"debhelper-compat"}):
        if not re.search(rf"(?<![\w-]){re.escape(package)}(?![\w-])", dev):
            problems.append(f"packaging/debian/control: {package} is not installed by ./dev")
    finish(len(scripts) + len(pythons) + 1, problems)


main()
