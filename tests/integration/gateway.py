"""A gateway of a build folder with folders and a port of its own: `def test_x(gateway): gw = gateway(workers=2)`.
Whatever a test does to it, nothing of it is left afterwards."""

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import canary
import control

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("BIFROST_BUILD", ROOT / "build"))
# Sanitizers make everything slower; no test waits this long when all is well.
PATIENCE_S = 60
# Of what a gateway said of itself, so much is kept for the search for secrets.
SAID_BYTES = 32 << 20


def free_port():
    """Below those that the kernel gives to connections: while a gateway is down, one of them would take its port.
    Test runs beside each other have ports of their own for the same reason."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    runs = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = random.randrange(10000 + mine, max(lowest, 10100), runs)
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            return port


def wait_for(what, check, timeout=PATIENCE_S, every=0.01, instead=None):
    """The first true value of check(); fails with `what` after timeout, and with what instead() tells there is."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, f"waited {timeout} s in vain for: {what}{f', but {instead()}' if instead else ''}"
        time.sleep(every)


def alive(pid):
    """A process that still runs: not gone, not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def began(pid):
    """When it did, in ticks since the machine's start; None: it is gone. Numbers of processes come again."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def children_of(pid):
    """Pids of the living direct children, from /proc."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid and fields[0] not in "ZX":
                    found.append(int(entry))
    return found


def written(file):
    """The bytes of a file, without its holes: most of a segment was never touched."""
    parts, at = [], 0
    with contextlib.suppress(OSError):  # no more data
        while True:
            begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
            at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            parts.append(os.pread(file.fileno(), at - begin, begin))
    return b"".join(parts)


def merged(base, extra):
    result = dict(base)
    for key, value in extra.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


class Gateway:
    """config: merged over a small working one. env: added to the environment (None removes). text: the file as it is."""

    def __init__(self, folder, workers=2, config=None, env=None, text=None, args=()):
        self.folder, self.args = Path(folder), list(args)
        # A tmpfs, as in production, where there is one; short, because a socket lives in it.
        self.runtime = Path(tempfile.mkdtemp(prefix="bf", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.state = self.folder / "state"
        self.file = self.folder / "bifrost.yaml"
        self.log_path = self.folder / "log"
        self.port = free_port()
        self.config = merged({"server": {"listen": [f"127.0.0.1:{self.port}"]}, "providers": {"mock": {}},
                              "supervisor": {"workers": workers}}, config or {})
        self.file.write_text(text if text is not None else json.dumps(self.config, indent=1))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("BIFROST_", "NOTIFY_", "WATCHDOG_"))}
        self.env |= {"BIFROST_STATE_DIR": str(self.state), "BIFROST_RUNTIME_DIR": str(self.runtime)}
        for key, value in (env or {}).items():
            self.env.pop(key, None) if value is None else self.env.update({key: value})
        self.process, self.told, self.seen = None, [], {}  # seen: when each process of ours began
        self.login = {}  # headers of who may read the numbers, where not everybody may
        self.canaries, self.said, self.said_bytes, self.is_closed = canary.Canaries(), {}, 0, False
        self.canaries.add_config(self.config if text is None else {}, self.env)

    # ---- life

    def spawn(self):
        """Starts the process and returns; start() also waits."""
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.notify.bind(f"\0bifrost-test-{os.getpid()}-{self.port}-{time.monotonic_ns()}")
        env = dict(self.env, NOTIFY_SOCKET="@" + self.notify.getsockname()[1:].decode())
        self.told = []
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BUILD / "bifrost", "-c", self.file, *self.args], env=env, stderr=log,
                                            stdout=log, stdin=subprocess.DEVNULL, cwd=self.folder)
        self.see([self.process.pid])
        return self

    def start(self, timeout=PATIENCE_S):
        """Until it says READY=1 to its service manager."""
        self.spawn()
        self.wait_told("READY=1", timeout)
        self.remember()
        return self

    def wait_told(self, line, timeout=PATIENCE_S):
        """A line of sd_notify that came, or comes within timeout; the process must not exit before."""
        end = time.monotonic() + timeout
        self.notify.settimeout(0.05)
        while line not in self.told:
            with contextlib.suppress(TimeoutError):
                self.told += self.notify.recv(65536).decode().split("\n")
                continue
            code = self.process.poll()
            assert code is None, f"the gateway exited with {code} before {line}:\n{self.log()[-4000:]}"
            assert time.monotonic() < end, f"no {line} within {timeout} s:\n{self.log()[-4000:]}"

    def run_to_end(self, timeout=PATIENCE_S):
        """For starts that fail: (exit code, log)."""
        self.spawn()
        return self.process.wait(timeout), self.log()

    def stop(self, timeout=PATIENCE_S):
        """Ordered stop; returns the exit code."""
        self.remember()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill_supervisor(self):
        self.remember()
        self.process.kill()
        self.process.wait()

    def remember(self):
        if self.process and self.process.poll() is None:
            self.see(children_of(self.process.pid))

    def close(self):
        """Leaves no process and no folder behind."""
        self.remember()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.remember()
                self.process.kill()
                self.process.wait()
        for pid in self.seen:
            if self.is_ours(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        # A test may close it itself, and the fixture does it again.
        found = [] if self.is_closed else self.leaks()
        self.is_closed = True
        shutil.rmtree(self.runtime, ignore_errors=True)
        return found

    # ---- secrets

    def say(self, place, text):
        """Keeps what it told anybody who may not know its secrets."""
        raw = text if isinstance(text, bytes) else str(text).encode()
        if self.said_bytes + len(raw) <= SAID_BYTES:
            self.said_bytes += len(raw)
            self.said.setdefault(place, []).append(raw)

    def files(self):
        """All that it wrote: its log, what is in its folders."""
        yield self.log_path
        for folder in (self.state, self.runtime):
            yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())

    def leaks(self):
        """Where a secret stands that this gateway was given, or that it gave: one line each."""
        if not self.canaries.names:
            return []
        found = []
        for path in self.files():
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                found += self.canaries.hits(path.name, written(file))
        for place, parts in self.said.items():
            found += self.canaries.hits(place, b"\0".join(parts))
        return found

    def see(self, pids):
        self.seen.update((pid, began(pid)) for pid in pids)

    def is_ours(self, pid):
        """It still runs, and is not another one that has its number now."""
        return alive(pid) and began(pid) == self.seen.get(pid)

    # ---- looking at it

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def events(self, name):
        return [line for line in self.log().splitlines() if f"event={name}" in line]

    def control(self, **kw):
        return control.Control(self.runtime / "control.sock", **kw)

    def children(self):
        """{"proxyd.0": {state, pid, ...}} as the supervisor tells it."""
        with self.control() as c:
            found = {body["name"]: body for _, body in c.ask(control.CHILDREN_GET) if body}
        self.see(child["pid"] for child in found.values() if child.get("pid"))
        return found

    def pid_of(self, name):
        """Of one that is there; the 0 of one that is not would be our own group to os.kill."""
        return wait_for(f"a {name}", lambda: self.pids().get(name))

    def steady(self, name):
        """The pid of a child that was ready for a second: its successor starts at once, as after a failed start none does."""
        wait_for(f"{name} to be ready", lambda: self.children().get(name, {}).get("state") == "ready")
        time.sleep(1.1)
        return self.pid_of(name)

    def pids(self):
        """Of those that serve; one that leaves after a reload is called NAME/old."""
        return {name: child["pid"] for name, child in self.children().items() if "/" not in name}

    def ctl(self, *args, check=True):
        """bifrostctl's stdout."""
        done = subprocess.run([BUILD / "bifrostctl", *args], env=self.env, capture_output=True, text=True, timeout=60,
                              cwd=self.folder, check=False)
        self.say(f"bifrostctl {args[0] if args else ''}", done.stdout + done.stderr)
        assert not check or done.returncode == 0, f"bifrostctl {args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if check else done

    def request(self, method="GET", path="/health", body=None, timeout=PATIENCE_S, headers=None):
        """(status, headers, body) on a connection of its own; JSON is parsed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            raw = json.dumps(body) if isinstance(body, (dict, list)) else body
            self.canaries.add_request(path, body)
            connection.request(method, path, raw, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            data = answer.read()
            is_json = "json" in (answer.getheader("Content-Type") or "")
            found = answer.status, dict(answer.getheaders()), json.loads(data) if is_json and data else data
            self.heard(method, path, *found)
            return found
        finally:
            connection.close()

    def heard(self, method, path, status, headers, body):
        """An answer: what it shows once is a secret from now on, all else must show none."""
        headers, body = self.canaries.add_answer(method, path, headers, body)
        # Whoever asked is told the path that it asked for; nobody else is.
        if isinstance(body, dict) and isinstance(body.get("detail"), dict):
            body = {**body, "detail": {**body["detail"], "instance": None}}
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        if path.startswith(("/api", "/health", "/ready", "/metrics")) or status >= 400:
            self.say(f"{method} {path.partition('?')[0]}", f"{headers}\n".encode() + raw)

    def metric(self, name):
        """The number of one series."""
        text = self.request(path="/metrics", headers=self.login)[2].decode()
        return int(next(line.split()[-1] for line in text.splitlines() if line.startswith(f"{name} ")))

    def metric_sum(self, prefix):
        """Of all series whose lines begin so."""
        text = self.request(path="/metrics", headers=self.login)[2].decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(prefix))

    def chat(self, text="hello", model="mock/m", **more):
        return self.request("POST", "/v1/chat/completions",
                            {"model": model, "messages": [{"role": "user", "content": text}], **more})


@pytest.fixture
def gateway(tmp_path):
    """Makes gateways that are gone when the test is over."""
    made = []

    def make(**kw):
        folder = tmp_path / f"gw{len(made)}"
        folder.mkdir()
        made.append(Gateway(folder, **kw))
        return made[-1]

    yield make
    leaks = [leak for gw in made for leak in gw.close()]
    assert not leaks, "secrets were found:\n" + "\n".join(leaks[:20])
