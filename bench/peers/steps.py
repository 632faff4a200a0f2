"""User-space instructions of a request: counted one by one while a few requests pass, and by function.

Counts hardly drift with the machine's mood, which makes them the figure to watch from one change to the next. What a
process does by the clock is counted too, and a stepped request takes long: differences of some hundred mean nothing.
"""

import bisect
import http.client
import os
import re
import subprocess
import time
from pathlib import Path

from .processes import PROXY_CPU, Failed

WARM, COUNTED = 20, 5
SETTLED = 2.5  # seconds; what a process does once in its life, at its first beat, belongs to no request


def mappings(pid):
    """[(start, end, file offset, path)] of executable memory."""
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, offset, _, _, *path = line.split(None, 5)
        if "x" in rights:
            start, end = (int(n, 16) for n in span.split("-"))
            found.append((start, end, int(offset, 16), path[0] if path else "?"))
    return found


def symbols(path):
    """Sorted [(address, name)] of the functions in a file; none when it is stripped, as what it exports would be named
    for its neighbours too."""
    out = subprocess.run(["nm", "--defined-only", path], capture_output=True, text=True, check=False).stdout
    return sorted((int(a, 16), n) for a, kind, n in re.findall(r"^([0-9a-f]+) (\w) (\S+)$", out, re.M) if kind in "tTwWi")


def load_bias(path, offset):
    """What to add to a file offset to get the address that symbols have: from the program header that holds it."""
    out = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=False).stdout
    for file_at, address, size in re.findall(r"LOAD\s+0x([0-9a-f]+) 0x([0-9a-f]+) 0x\w+ 0x([0-9a-f]+)", out):
        if int(file_at, 16) <= offset < int(file_at, 16) + int(size, 16) + 4096:
            return int(address, 16) - int(file_at, 16)
    return 0


def by_function(counts, maps, pid):
    """{function: instructions}, from {address: instructions}."""
    result, tables = {}, {}
    for address, count in counts.items():
        name = "?"
        for start, end, offset, path in maps:
            if start <= address < end:
                if path not in tables:
                    # The file as it is mapped, even if it was replaced or deleted.
                    real = f"/proc/{pid}/map_files/{start:x}-{end:x}"
                    real = real if os.path.exists(real) else path
                    tables[path] = (symbols(real), load_bias(real, offset)) if path.startswith("/") else ([], 0)
                table, bias = tables[path]
                at = bisect.bisect_right(table, (address - start + offset + bias, "~")) - 1
                name = f"{table[at][1]} ({os.path.basename(path)})" if at >= 0 else os.path.basename(path)
                break
        result[name] = result.get(name, 0) + count
    return result


def post(connection, proxy, path, body):
    headers = dict(h.split(": ", 1) for h in proxy.headers)
    connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise Failed(f"{proxy.name} answered {answer.status}")


def measure(tool, proxy, path, body):
    """(instructions per request, {function: instructions per request}) over one kept-alive connection."""
    pid, = proxy.hot_pids()[-1:]
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=120)
    for _ in range(WARM):
        post(connection, proxy, path, body)
    time.sleep(SETTLED)
    maps = mappings(pid)
    stepper = subprocess.Popen([tool, str(pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: os.sched_setaffinity(0, {PROXY_CPU}))
    if stepper.stdout.readline() != "attached\n":
        raise Failed(stepper.communicate()[1])
    try:
        for _ in range(COUNTED):
            post(connection, proxy, path, body)
    finally:
        stepper.terminate()
        out, _ = stepper.communicate(timeout=60)
        connection.close()
    counts = {int(address, 16): int(n) for address, n in (line.split() for line in out.splitlines())}
    functions = {name: n / COUNTED for name, n in by_function(counts, maps, pid).items()}
    return sum(functions.values()), dict(sorted(functions.items(), key=lambda item: -item[1]))
