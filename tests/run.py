#!/usr/bin/env python3
"""Runs the stages of the test suite and ends with `N passed, N failed`.

A stage builds what it needs in a folder of its own (build-NAME) and reports each case it ran. The short form is what
every change must pass; --all adds the long forms. What a run leaves out is printed before the last line.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = "build-shipped"
JOBS = str(os.cpu_count() or 2)
WAITING_JOBS = str(2 * int(JOBS))  # of tests that wait for clocks and children more than they compute
SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


class Results:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add(self, passed, failures=()):
        self.passed += passed
        self.failed.extend(failures)


def run(args, env=None, cwd=ROOT, timeout=None):
    """Runs a command with its output kept; returns (exit code, output)."""
    merged = dict(os.environ, **(env or {}))
    try:
        done = subprocess.run(args, cwd=cwd, env=merged, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, errors="replace", check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        out = late.stdout or b""
        text = out.decode(errors="replace") if isinstance(out, bytes) else out
        return 124, f"{text}\ntimed out after {timeout} s"


def tail(text, lines=60):
    return "\n".join(text.splitlines()[-lines:])


def build(results, folder, *options, cc=None, targets=()):
    """Configures and builds; a failure is one failed case. Returns the folder, or None."""
    path = ROOT / folder
    env = {"CC": cc} if cc else {}
    setup = ["meson", "setup", str(path), "--werror", *options]
    if (path / "build.ninja").exists():
        setup.insert(2, "--reconfigure")
    for command in (setup, ["ninja", "-C", str(path), "-j", JOBS, "--quiet", *targets]):
        code, out = run(command, env)
        if code != 0:
            print(tail(out))
            results.add(0, [f"{folder}: build"])
            return None
    results.add(1)
    return path


def count_cases(output):
    """cmocka's own count of a program, or None when it is no cmocka program."""
    passed = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", output))
    failed = re.findall(r"^\[  FAILED  \] (?!\d+ test)(\S+)", output, re.M)
    if not passed and not failed:
        return None
    return passed, sorted(set(failed))


def meson_tests(results, path, suites, label, timeout_factor=1, env=None):
    """Runs the tests of these suites in a built folder."""
    at_once = WAITING_JOBS if "unit" in suites else JOBS
    args = ["meson", "test", "-C", str(path), "--no-rebuild", "--num-processes", at_once, "-t", str(timeout_factor)]
    if "long" in suites:
        args += ["--setup", "long"]
    for suite in suites:
        args += ["--suite", suite]
    # The log's name depends on the setup; what an earlier run left must not be counted.
    logs = path / "meson-logs"
    for old in logs.glob("testlog*.json"):
        old.unlink()
    code, out = run(args, dict(SANITIZER_ENV, **(env or {})))
    seen = 0
    for line in [line for log in logs.glob("testlog*.json") for line in log.read_text(errors="replace").splitlines()]:
        test = json.loads(line)
        name = f"{label}: {test['name'].split(' / ')[-1]}"
        seen += 1
        text = test.get("stdout", "") + test.get("stderr", "")
        good = test["result"] in ("OK", "EXPECTEDFAIL")
        cases = count_cases(text)
        if good:
            results.add(cases[0] if cases else 1)
        else:
            print(f"--- {name} ({test['result']})\n{tail(text)}")
            results.add(cases[0] if cases else 0, [f"{name}: {c}" for c in cases[1]] if cases and cases[1] else [name])
    if seen == 0:
        print(tail(out))
        results.add(0, [f"{label}: no test ran (exit {code})"])


def counted(results, args, label, env=None, timeout=None):
    """Runs a program that ends with a line `N passed, N failed`."""
    count(results, label, *run(args, env, timeout=timeout))


def count(results, label, code, out):
    """Takes over what a program's last line `N passed, N failed` says."""
    found = re.findall(r"^(\d+) passed, (\d+) failed", out, re.M)
    passed, failed = (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)
    if code != 0 or not found or failed:
        print(f"--- {label} (exit {code})\n{tail(out)}")
    names = re.findall(r"^FAIL:? (\S.*)$", out, re.M)[:failed] or [f"case {i + 1}" for i in range(failed)]
    results.add(passed, [f"{label}: {n}" for n in names])
    if not found or (code != 0 and not failed):
        results.add(0, [label])


# ---------------------------------------------------------------- stages


def stage_lint(results, _options):
    scripts = sorted((ROOT / "tests/lint").glob("check_*.py"))
    with ThreadPoolExecutor(int(JOBS)) as pool:
        for script, ran in zip(scripts, pool.map(lambda script: run(["python3", str(script)]), scripts)):
            count(results, script.stem, *ran)


def stage_gcc(results, _options):
    path = build(results, "build-gcc", "-Dbench=true", cc="gcc")
    if path:
        meson_tests(results, path, ["unit", "fuzz", "torture", "docs"], "gcc")


def stage_clang(results, _options):
    path = build(results, "build-clang", "-Dbench=true", cc="clang")
    if path:
        meson_tests(results, path, ["unit", "fuzz"], "clang")


def stage_asan(results, _options):
    path = build(results, "build-asan", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Darena=malloc",
                 "-Ddocs=false", cc="clang")
    if path:
        meson_tests(results, path, ["unit", "fuzz"], "asan", timeout_factor=4)


def stage_tsan(results, _options):
    for cc in ("gcc", "clang"):
        path = build(results, f"build-tsan-{cc}", "-Db_sanitize=thread", "-Db_lundef=false", "-Ddocs=false", cc=cc,
                     targets=["tests/torture/torture-threads", "tests/torture/torture-meter-threads"])
        if path:
            meson_tests(results, path, ["tsan"], f"tsan-{cc}", timeout_factor=4)


def stage_model(results, options):
    args = ["bash", str(ROOT / "tests/model/check.sh")]
    counted(results, args + (["long"] if options.all else ["short"]), "model", timeout=3600 if options.all else 300)


def pytest(results, folder, files, label, env=None, show=False, at_once=WAITING_JOBS):
    """Runs test files against a built folder, so many tests at once; show: names each case."""
    report = ROOT / folder / f"pytest-{label}.xml"
    args = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", at_once, "--dist", "worksteal",
            f"--junitxml={report}", *files]
    code, out = run(args, dict(SANITIZER_ENV, BIFROST_BUILD=str(ROOT / folder), **(env or {})))
    if not report.exists():
        print(tail(out))
        results.add(0, [f"{label}: pytest did not run (exit {code})"])
        return
    passed, failures = 0, []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{label}: {case.get('classname', '')}::{case.get('name')}"
        bad = case.find("failure") is not None or case.find("error") is not None
        if show and case.find("skipped") is None:
            print(f"{'FAIL' if bad else 'ok'}: {case.get('classname', '').rpartition('.')[2]}: {case.get('name')} "
                  f"({float(case.get('time', 0)):.2f} s)")
        if bad:
            failures.append(name)
        elif case.find("skipped") is not None:
            results.skipped.append(f"{name} ({case.find('skipped').get('message', '')[:120]})")
        else:
            passed += 1
    if failures or code not in (0, 1):
        print(tail(out, 150))
    results.add(passed, failures)


def build_shipped(results):
    """The programs as the package has them: what the compiler makes of them over all files at once is tested too."""
    daemons = ["bifrost", "bifrostctl", "bifrost-config", *(f"bifrost-{role}d" for role in ("proxy", "writer", "cluster", "discovery"))]
    support = ["tests/support/fake_child", "tests/support/pricer", *(f"tests/support/{name}/{name}" for name in ("mockllm", "loadgen"))]
    return build(results, SHIPPED, "-Dbuildtype=release", "-Db_lto=true", "-Ddocs=false", cc="gcc", targets=daemons + support)


def stage_integration(results, options):
    path = build_shipped(results)
    files = sorted(str(f) for f in (ROOT / "tests/integration").glob("test_*.py"))
    if path:
        pytest(results, SHIPPED, files, "integration",
               {"BIFROST_KILLS": "50", "BIFROST_WINDOWS": "100", "BIFROST_KEYS": "300"} if options.all else {"BIFROST_KILLS": "10"})


def stage_sdk(results, _options):
    path = build_shipped(results)
    files = sorted(str(f) for f in (ROOT / "tests/sdk").glob("test_*.py"))
    if path:
        pytest(results, SHIPPED, files, "sdk", show=True)


def stage_integration_asan(results, options):
    path = build(results, "build-asan", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Darena=malloc",
                 "-Ddocs=false", cc="clang")
    files = sorted(str(f) for f in (ROOT / "tests/integration").glob("test_*.py"))
    if path:
        pytest(results, "build-asan", files, "integration-asan", {"BIFROST_KILLS": "5"})


def stage_package(results, _options):
    code, out = run(["packaging/build-deb", "--lintian"], timeout=900)
    if code:
        print(tail(out))
    results.add(0 if code else 1, ["package: build or lintian"] if code else [])


def stage_torture(results, _options):
    path = build(results, "build-gcc", "-Dbench=true", cc="gcc")
    if path:
        meson_tests(results, path, ["long"], "torture", timeout_factor=30)


def stage_chaos(results, _options):
    path = build_shipped(results)
    files = sorted(str(f) for f in (ROOT / "tests/chaos").glob("test_*.py"))
    if path and files:
        pytest(results, SHIPPED, files, "chaos", at_once="0")


def stage_fuzz(results, options):
    path = build(results, "build-fuzz", "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                 "-Darena=malloc", "-Ddocs=false", cc="clang")
    if not path:
        return

    def fuzz_one(target):
        name = target.name[len("fuzz-"):]
        found = path / "found" / name
        found.mkdir(parents=True, exist_ok=True)
        code, out = run([str(target), f"-max_total_time={options.fuzz_seconds}", "-timeout=10", "-rss_limit_mb=2048",
                         "-max_len=65536", f"-artifact_prefix={path}/crash-{name}-", str(found),
                         str(ROOT / "tests/fuzz/corpus" / name)], SANITIZER_ENV)
        return name, code, out

    targets = [t for t in sorted((path / "tests/fuzz").glob("fuzz-*")) if t.is_file() and os.access(t, os.X_OK)]
    with ThreadPoolExecutor(int(JOBS)) as pool:
        for name, code, out in pool.map(fuzz_one, targets):
            runs = re.findall(r"Done (\d+) runs", out)
            print(f"fuzz {name}: {runs[-1] if runs else '?'} runs, exit {code}", flush=True)
            if code:
                print(tail(out))
            results.add(0 if code else 1, [f"fuzz: {name}"] if code else [])
    if not targets:
        results.add(0, ["fuzz: no target was built"])


def stage_clean_root(results, _options):
    counted(results, [str(ROOT / "tests/clean-root")], "clean-root", timeout=2400)


def stage_package_life(results, _options):
    code, out = run(["packaging/build-deb"], timeout=900)
    if code:
        print(tail(out))
    counted(results, [str(ROOT / "tests/package-life")], "package-life", timeout=1200)


STAGES = {  # name: (function, in the short form, what it is)
    "lint": (stage_lint, True, "house rules, formatting"),
    "gcc": (stage_gcc, True, "gcc -Werror: unit, fuzz corpora, short torture"),
    "clang": (stage_clang, True, "clang -Werror: unit, fuzz corpora"),
    "asan": (stage_asan, True, "ASan and UBSan: unit, fuzz corpora"),
    "tsan": (stage_tsan, True, "TSan with both compilers: shm/"),
    "model": (stage_model, True, "Promela models and their mutants"),
    "integration": (stage_integration, True, "real processes; 50 kills of each child and 100 windows of limits with --all, else 10 and 6; 300 keys, else 40"),
    "sdk": (stage_sdk, True, "the vendors' clients, unmodified: Python and Node.js"),
    "package": (stage_package, True, ".deb and lintian"),
    "integration-asan": (stage_integration_asan, False, "real processes under ASan and UBSan"),
    "torture": (stage_torture, False, "long torture of shm/"),
    "chaos": (stage_chaos, False, "kills under load over all roles"),
    "fuzz": (stage_fuzz, False, "libFuzzer on every target"),
    "package-life": (stage_package_life, False, "the package under a real systemd in its own namespaces"),
    "clean-root": (stage_clean_root, False, "./dev run and the package in a new Debian 12 root"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="the long forms too")
    parser.add_argument("--stage", action="append", choices=sorted(STAGES), help="only this stage (repeatable)")
    parser.add_argument("--list", action="store_true", help="name the stages")
    parser.add_argument("--fuzz-seconds", type=int, default=60, help="for each fuzz target")
    options = parser.parse_args()
    if options.list:
        for name, (_, short, text) in STAGES.items():
            print(f"{name:18} {'short' if short else '--all':6} {text}")
        return 0
    chosen = options.stage or [n for n, (_, short, _) in STAGES.items() if short or options.all]
    results = Results()
    for name in chosen:
        start = time.monotonic()
        before = results.passed, len(results.failed)
        print(f"== {name}: {STAGES[name][2]}", flush=True)
        STAGES[name][0](results, options)
        print(f"== {name}: {results.passed - before[0]} passed, {len(results.failed) - before[1]} failed "
              f"in {time.monotonic() - start:.0f} s", flush=True)
    left_out = [n for n in STAGES if n not in chosen]
    print(f"left out: {', '.join(left_out) if left_out else 'nothing'}")
    for name in results.skipped:
        print(f"skipped: {name}")
    for name in results.failed:
        print(f"FAILED: {name}")
    print(f"{results.passed} passed, {len(results.failed)} failed")
    return 1 if results.failed or not results.passed else 0


if __name__ == "__main__":
    shutil.which("meson") or sys.exit("tests/run.py: meson is missing; start it through ./dev test")
    sys.exit(main())
