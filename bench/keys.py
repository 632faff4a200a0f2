"""./dev bench keys [--keys N ..] [--changes N]: what many virtual keys cost. For each number of keys: the start, the memory of
every process, how long it takes until a change is in force everywhere, and the instructions of a request.

The store is filled by writing rows as writerd does, copies of one that it made; everything else goes through the API.
"""

import argparse
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from peers import processes, steps
from peers.processes import Failed

KEYS = "/api/governance/virtual-keys"
CHAT = "/v1/chat/completions"
BODY = json.dumps({"model": "mock/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10})
LIMITED_EACH = 4  # one key in so many has a budget and a limit of requests
TEMPLATE = "key-{:012d}"
BUDGET = "bud-{:012d}"
START_S = 300
USES = 16  # connections on which a new key is used at once


class Node:
    """A gateway in a folder; its provider is the mock that is built in."""

    name = "bifrost"

    def __init__(self, build, folder, workers):
        self.build, self.folder, self.headers = build, Path(folder), []
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.runtime = Path(tempfile.mkdtemp(prefix="bfk", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.state, self.process = self.folder / "state", None
        (self.folder / "bifrost.json").write_text(json.dumps({
            "server": {"listen": [f"127.0.0.1:{self.port}"]}, "supervisor": {"workers": workers}, "providers": {"mock": {}},
            "client": {"enforce_auth_on_inference": True, "disable_content_logging": True},
            "governance": {"pricing_overrides": [{"name": "all", "match_type": "wildcard", "pattern": "*", "pricing_patch": {
                "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06}}]}}))

    def start(self):
        """Seconds until it is ready."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("BIFROST_", "NOTIFY_", "WATCHDOG_"))}
        env |= {"BIFROST_STATE_DIR": str(self.state), "BIFROST_RUNTIME_DIR": str(self.runtime)}
        began = time.monotonic()
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.build / "bifrost", "-c", self.folder / "bifrost.json"], env=env, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)
        processes.wait_for("the node", self.ready, START_S)
        return time.monotonic() - began

    def ready(self):
        if self.process.poll() is not None:
            raise Failed(f"the node exited: {(self.folder / 'log').read_text()[-2000:]}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return all(self.ask("GET", path)[0] == 200 for path in ("/ready", KEYS + "?limit=1"))
        return False

    def ask(self, method, path, body=None, key=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": "application/json", **({"x-bf-vk": key} if key else {})})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def pids(self):
        return processes.tree(self.process.pid)

    def hot_pids(self):
        return [pid for pid in self.pids() if processes.name(pid).startswith("bifrost-proxyd")]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def remove(self):
        self.stop()
        shutil.rmtree(self.runtime, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- many keys


def value_of(number):
    return f"sk-bf-00000000-0000-4000-8000-{number:012d}"


def templates(node):
    """Two keys by the API: one without limits, one with."""
    limits = {"budgets": [{"id": BUDGET.format(1), "max_limit": 1000000, "reset_duration": "1d"}],
              "rate_limit": {"request_max_limit": 1000000000, "request_reset_duration": "1h"}}
    for number, more in enumerate(({}, limits)):
        status, answer = node.ask("POST", KEYS, json.dumps({
            "id": TEMPLATE.format(number), "name": TEMPLATE.format(number), "value": value_of(number),
            "allow_all_providers": True, **more}))
        if status != 201:
            raise Failed(f"the API answered {status}: {answer[:500]}")
    return json.loads(answer)["virtual_key"]["rate_limit"]["id"]


def fill(store, count, rate_id):
    """Keys 2 .. count - 1 as copies of the first two."""
    with contextlib.closing(sqlite3.connect(store)) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(entities)") if row[1] != "number"]
        made = [dict(zip(columns, db.execute(f"SELECT {', '.join(columns)} FROM entities WHERE type = 'virtual_key' AND id = ?",
                                             (TEMPLATE.format(n),)).fetchone())) for n in range(2)]
        (pepper, sealed), = db.execute("SELECT value, sealed FROM pepper")
        if sealed:
            raise Failed("a store without encryption_key is wanted")

        def rows():
            for number in range(2, count):
                kind = 0 if number % LIMITED_EACH else 1
                name = TEMPLATE.format(number)
                body = made[kind]["body"].replace(TEMPLATE.format(kind).encode(), name.encode())
                body = body.replace(BUDGET.format(1).encode(), BUDGET.format(number).encode())
                body = body.replace(rate_id.encode(), str(uuid.UUID(int=number)).encode())
                secret = hmac.digest(pepper, value_of(number).encode(), hashlib.sha256)
                row = {**made[kind], "id": name, "name": name, "body": body, "secret": secret,
                       "hlc": made[kind]["hlc"] + number}
                yield tuple(row[column] for column in columns)

        with db:
            db.executemany(f"INSERT INTO entities ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows())


# ---- figures


def memory(node):
    """{process: (PSS, what it has alone)} in MiB."""
    found = {}
    for pid in node.pids():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        figures = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in rollup.splitlines()[1:] if line.endswith("kB")}
        args = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        name = processes.name(pid) + (" (reader)" if b"--role=reader" in args else "")
        pss, own = found.get(name, (0, 0))
        found[name] = pss + figures["Pss"], own + figures["Private_Clean"] + figures["Private_Dirty"]
    return found


def snapshots(node):
    """MiB of the snapshots that are held, which processes share and of which they count what they touched."""
    found = {}
    for pid in node.pids():
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if "memfd:snapshot-" in os.readlink(fd):
                    status = os.stat(fd)
                    found[status.st_ino] = status.st_blocks * 512 / (1 << 20)
    return sum(found.values())


def show_memory(node, when):
    for name, (pss, own) in sorted(memory(node).items()):
        print(f"  {name:21} {pss:.1f} MiB, {own:.1f} MiB of its own, {when}")
    print(f"  snapshots             {snapshots(node):.1f} MiB, {when}", flush=True)


def changes(node, count):
    """Milliseconds from sending a change until its answer, and until the key was used on so many new connections; how many
    of those were refused."""
    answered, used, refused = [], [], 0
    for number in range(count):
        began = time.monotonic()
        status, answer = node.ask("POST", KEYS, json.dumps({"name": f"new-{number}", "allow_all_providers": True}))
        answered.append(1000 * (time.monotonic() - began))
        if status != 201:
            raise Failed(f"change {number}: {status} {answer[:500]}")
        value = json.loads(answer)["virtual_key"]["value"]
        first = node.ask("POST", CHAT, BODY, value)[0]
        used.append(1000 * (time.monotonic() - began))
        refused += sum(status != 200 for status in [first, *(node.ask("POST", CHAT, BODY, value)[0] for _ in range(USES - 1))])
    return answered, used, refused


def spread(figures):
    figures = sorted(figures)
    return f"P50 {statistics.median(figures):.1f} ms, P99 {figures[len(figures) * 99 // 100]:.1f} ms, at most {figures[-1]:.1f} ms"


def instructions(node, number):
    node.headers = [f"x-bf-vk: {value_of(number)}"]
    return steps.measure(node.build / "bench/count-steps", node, CHAT, BODY)[0]


def one(build, count, options):
    node = Node(build, tempfile.mkdtemp(prefix="bench-keys-", dir=options.folder), options.workers)
    try:
        node.start()
        rate_id = templates(node)
        node.stop()
        began = time.monotonic()
        fill(node.state / "config.db", count, rate_id)
        print(f"\n{count} keys, one in {LIMITED_EACH} with two limits (rows written in {time.monotonic() - began:.1f} s)", flush=True)
        print(f"  start until ready     {node.start():.2f} s", flush=True)
        for number in {0, 1, count // 2, max(count - 1, 0)}:
            status, answer = node.ask("POST", CHAT, BODY, value_of(number))
            if status != 200:
                raise Failed(f"key {number}: {status} {answer[:300]}")
        show_memory(node, "ready")
        answered, used, refused = changes(node, options.changes)
        print(f"  change, answered      {spread(answered)}\n  change, used          {spread(used)}", flush=True)
        print(f"  refused behind a 201  {refused} of {USES * len(used)}")
        show_memory(node, "after the changes")
        if options.workers == 1:
            last = count - count % LIMITED_EACH - LIMITED_EACH
            figures = [(what, instructions(node, number)) for what, number in
                       (("without limits", 0), ("with two", max(last, 1)))]
            print("  instructions          " + ", ".join(f"{n:.0f} {what}" for what, n in figures) + " a request", flush=True)
    finally:
        node.remove()


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench keys", description=__doc__.split("\n\n")[0])
    parser.add_argument("build", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--keys", type=int, nargs="+", default=[2, 100_000, 1_000_000], help="how many keys there are (2 or more)")
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1, help="instructions are counted with one alone")
    parser.add_argument("--folder", help="where the stores are put")
    options = parser.parse_args(arguments)
    for count in options.keys:
        one(options.build, count, options)
