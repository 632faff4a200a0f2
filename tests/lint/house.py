"""What the lints share: the list of files and the closing line."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def tracked(*suffixes):
    """Files git knows or would add, with one of these endings."""
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                         capture_output=True, text=True).stdout
    files = [ROOT / line for line in out.splitlines()]
    return [f for f in files if f.exists() and f.name.endswith(suffixes)]


def finish(checked, problems):
    """Prints the problems and the line that tests/run.py counts; exits."""
    for problem in problems:
        print(f"FAIL: {problem}")
    print(f"{checked - len({p.split(':')[0] for p in problems})} passed, {len(problems)} failed")
    sys.exit(1 if problems or not checked else 0)
