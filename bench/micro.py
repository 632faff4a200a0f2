"""Runs the micro-benchmarks several times and prints each figure as median [min-max].

A benchmark prints lines of text with figures; the same line of every round is one row here. Rounds go through all
benchmarks in turn, so that a drift of the machine's speed hits all alike.
"""

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

FIGURE = re.compile(r"(\d+(?:\.\d+)?)(?=\s+(?:ns|us|ms|MB/s|MB|rows/s|M/s|%)(?:\s|,|$))")


def one_round(programs):
    found = {}
    for program in programs:
        out = subprocess.run([str(program)], stdout=subprocess.PIPE, text=True, check=True, timeout=300).stdout
        for number, line in enumerate(out.splitlines()):
            figures = [float(x) for x in FIGURE.findall(line)]
            if figures:
                found[program.name, number] = (line, figures)
    return found


def summary(lines):
    """The first line with each figure replaced by its median and range over all rounds."""
    columns = list(zip(*(figures for _, figures in lines)))
    texts = iter(f"{statistics.median(c):g} [{min(c):g}-{max(c):g}]" for c in columns)
    return FIGURE.sub(lambda _: next(texts), re.sub(r" {2,}(?=\d)", " ", lines[0][0]))


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench micro", description=__doc__)
    parser.add_argument("build", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="part of a benchmark's name")
    options = parser.parse_args(arguments)
    programs = [p for p in sorted((options.build / "bench").glob("bench-*"))
                if p.is_file() and os.access(p, os.X_OK) and options.only in p.name]
    if not programs:
        sys.exit("bench: no micro-benchmark found; run ./dev bench micro")
    print(f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} cores, {options.rounds} rounds; "
          "median [min-max]")
    rounds = [one_round(programs) for _ in range(options.rounds)]
    last = None
    for key in rounds[0]:
        if key[0] != last:
            print(f"{key[0]}:")
            last = key[0]
        print("  " + summary([r[key] for r in rounds if key in r and len(r[key][1]) == len(rounds[0][key][1])]))
