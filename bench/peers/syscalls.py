"""System calls of a request, by strace in a run of its own. It slows the proxy down, so nothing is timed meanwhile."""

import re
import signal
import subprocess
import time
from pathlib import Path

from .processes import LOAD_CPU, Failed, wait_for

# "% time  seconds  usecs/call  calls  errors  syscall"
LINE = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.M)


def parse(text):
    """{system call: how often} of a table that strace -c printed."""
    return {name: int(calls) for calls, name in LINE.findall(text) if name != "total"}


class Counter:
    """Counts between start and stop."""

    def __init__(self, pids, folder):
        self.table = Path(folder) / "strace"
        self.table.unlink(missing_ok=True)
        args = ["taskset", "-c", str(LOAD_CPU), "strace", "-c", "-f", "-o", str(self.table)]
        for pid in pids:
            args += ["-p", str(pid)]
        self.popen = subprocess.Popen(args, stderr=subprocess.PIPE, text=True)
        wait_for("strace to attach", lambda: all("TracerPid:\t0" not in Path(f"/proc/{p}/status").read_text()
                                                 for p in pids))
        time.sleep(0.2)

    def stop(self):
        self.popen.send_signal(signal.SIGINT)
        _, errors = self.popen.communicate(timeout=20)
        found = parse(self.table.read_text())
        if not found:
            raise Failed(f"strace counted nothing: {errors}")
        return found


def per_request(counts, requests):
    return {name: n / requests for name, n in sorted(counts.items(), key=lambda item: -item[1]) if n / requests >= 0.005}
