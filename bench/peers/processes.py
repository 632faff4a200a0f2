"""Processes of the bench: started pinned, measured from /proc, ended by pid."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

PROXY_CPU, LOAD_CPU = 0, 1
PATIENCE_S = 20


class Failed(Exception):
    """Something of the bench did not work; the text says what."""


def wait_for(what, check, timeout=PATIENCE_S):
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {timeout} s in vain for {what}")
        time.sleep(0.02)


class Ended(Exception):
    """Somebody told the bench to end."""


def end_when_told():
    """Once: what then is stopped must not be disturbed in it."""
    def told(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Ended("told to end")
    signal.signal(signal.SIGTERM, told)


class Process:
    """A program on one CPU, in a process group of its own, with its output in a file."""

    def __init__(self, args, cpu, log, env=None, cwd=None):
        self.args, self.log = [str(a) for a in args], Path(log)
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(self.args, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env, cwd=cwd,
                                          preexec_fn=lambda: os.sched_setaffinity(0, {cpu}), start_new_session=True)
        self.pid = self.popen.pid

    def check(self):
        """Raises when it has exited."""
        code = self.popen.poll()
        if code is not None:
            raise Failed(f"{self.args[0]} exited with {code}: {self.log.read_text(errors='replace')[-2000:]}")
        return True

    def stop(self, patience=10):
        if self.popen.poll() is None:
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(patience)
        # What it left in its group, and itself if it did not listen.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()


def parents():
    """{pid: parent} of every process."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                found[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def tree(root):
    """root and all its descendants."""
    above, found = parents(), {root}
    while True:
        more = {pid for pid, parent in above.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def name(pid):
    with contextlib.suppress(OSError):
        return os.path.basename(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode())
    return ""


def cpu_ns(pids):
    """CPU that these processes used, in ns: user and kernel, softirq work done in their context included."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
    return total


def own_cpu_ns():
    """CPU of this process and of its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return int(sum(u.ru_utime + u.ru_stime for u in used) * 1e9)


def pss_bytes(pids):
    """Proportional memory of these processes together."""
    total = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M).group(1)) * 1024
    return total


class Machine:
    """How busy each CPU is, and how much of that is not ours."""

    USAGE = Path("/sys/fs/cgroup/cpuacct/cpuacct.usage_percpu")

    @classmethod
    def busy_ns(cls):
        """Busy time per CPU since some moment: exact where the kernel counts it per cgroup, else in ticks."""
        with contextlib.suppress(OSError, ValueError):
            return [int(n) for n in cls.USAGE.read_text().split()]
        tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines() if re.match(r"cpu\d", line)]
        # user nice system irq softirq; steal is the hypervisor's and counts as foreign too
        return [tick * sum(int(line[i]) for i in (1, 2, 3, 6, 7, 8)) for line in lines]

    @staticmethod
    def steal_ticks():
        return [int(line.split()[8]) for line in Path("/proc/stat").read_text().splitlines() if re.match(r"cpu\d", line)]
