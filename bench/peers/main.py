"""./dev bench: our gateway side by side with nginx, HAProxy and Portkey. See bench/README.md."""

import argparse
import os
import resource
import sys
from pathlib import Path

from . import cases, namespace, proxies, report
from .processes import LOAD_CPU, Ended, Failed, end_when_told
from .runner import Programs, Runner

DESCRIPTORS = 20_000


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("build", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, help="how often everything is measured; 15 unless told")
    parser.add_argument("--quick", action="store_true", help="3 short rounds: does it work, and where about are we?")
    parser.add_argument("--only", action="append", metavar="CASE", choices=[c.name for c in cases.TIMED],
                        help="this timed case and no other measurement; may be given again")
    parser.add_argument("--proxy", action="append", metavar="NAME", help="this proxy only; may be given again")
    parser.add_argument("--instructions", action="store_true", help="user instructions per request, and nothing else")
    parser.add_argument("--syscalls", action="store_true", help="system calls per request, and nothing else")
    parser.add_argument("--memory", action="store_true", help="memory, and nothing else")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was measured")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (3 if options.quick else 15)
    options.seconds = 0.8 if options.quick else None
    options.tries = 1 if options.quick else 3
    options.memory_rounds = 1 if options.quick else 3
    return options


def prepare(options):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        raise Failed(f"{hard} descriptors are allowed, {DESCRIPTORS} are needed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    if len(os.sched_getaffinity(0)) < 2:
        raise Failed("it takes two CPUs: one for the proxies, one for load and mock")
    os.sched_setaffinity(0, {LOAD_CPU})
    build = options.build.resolve()
    kinds = proxies.prepare(build, build / "peers")
    if options.proxy:
        kinds = [k for k in kinds if k.name in options.proxy]
    return Runner(Programs(build), kinds, options)


def run(runner, options):
    alone = options.instructions or options.syscalls or options.memory
    if not alone:
        runner.rounds()
    if options.memory or not (alone or options.only):
        runner.memory()
    if options.syscalls or not (alone or options.only):
        runner.count_syscalls()
    if options.instructions or not (alone or options.only or options.quick):
        runner.count_steps()


def tell(results, options):
    print(report.text(results, options), flush=True)
    if options.json:
        options.json.write_text(report.as_json(results, options))


def main(arguments):
    options = parse(arguments)
    namespace.enter()
    try:
        runner = prepare(options)
    except Failed as failure:
        sys.exit(f"bench: {failure}")
    end_when_told()
    try:
        run(runner, options)
    except (Ended, Failed) as failure:
        # What was measured until then is worth as much as before.
        runner.stop()
        if runner.results.figures:
            runner.results.note(f"ended in round {runner.number} of {options.rounds}")
            tell(runner.results, options)
        sys.exit(f"bench: {failure}")
    tell(runner.results, options)
