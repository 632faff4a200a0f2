"""Changes while requests run: a change is in force on every worker before its maker hears of it, however many there are and
whoever dies in between."""

import contextlib
import http.client
import itertools
import json
import os
import random
import resource
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from gateway import wait_for
from supervised import is_sanitized

KEYS = "/api/governance/virtual-keys"
CHAT = json.dumps({"model": "mock/m", "messages": [{"role": "user", "content": "hi"}]})
STEADY = "sk-bf-steady"
HOUSE = {"client": {"enforce_auth_on_inference": True},
         "governance": {"virtual_keys": [{"id": "steady", "name": "steady", "value": STEADY, "allow_all_providers": True}]}}


class Connection:
    """One that is kept, so that it stays with the worker that took it; opened again when that one has gone."""

    def __init__(self, gw):
        self.gw, self.http = gw, None

    def ask(self, key, timeout=60):
        """The status; None: the connection broke, as it may when its worker dies."""
        try:
            if not self.http:
                self.http = http.client.HTTPConnection("127.0.0.1", self.gw.port, timeout=timeout)
            self.http.request("POST", "/v1/chat/completions", CHAT, {"Content-Type": "application/json", "x-bf-vk": key})
            answer = self.http.getresponse()
            answer.read()
            if answer.getheader("Connection") == "close":
                self.close()
            return answer.status
        except (OSError, http.client.HTTPException):
            self.close()
            return None

    def close(self):
        if self.http:
            self.http.close()
        self.http = None


class Load:
    """Requests of a key that nobody changes, all the time, on connections to all workers."""

    def __init__(self, gw, connections=6, pause=0.0):
        self.gw, self.pause, self.end = gw, pause, threading.Event()
        self.statuses, self.lock = {}, threading.Lock()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(connections)]

    def run(self):
        connection = Connection(self.gw)
        while not self.end.is_set():
            status = connection.ask(STEADY)
            with self.lock:
                self.statuses[status] = self.statuses.get(status, 0) + 1
            time.sleep(self.pause)
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join()


def change(gw, method, path, body=None):
    """(status, answer); None: nobody answered."""
    try:
        status, _, answer = gw.request(method, path, body, timeout=60)
        return status, answer
    except (OSError, http.client.HTTPException):
        return None, None


def create(gw, name, **more):
    status, answer = change(gw, "POST", KEYS, {"name": name, "allow_all_providers": True, **more})
    return status, answer["virtual_key"] if status == 201 else answer


@pytest.fixture
def everywhere():
    """The statuses that a key gets on connections which, among them, reach all workers."""
    made = []

    def make(gw, n=10):
        made.extend(Connection(gw) for _ in range(n))
        mine = made[-n:]
        for connection in mine:
            connection.ask(STEADY)

        def ask(key):
            return {connection.ask(key) for connection in mine}

        return ask

    yield make
    for connection in made:
        connection.close()


def test_a_key_can_be_used_once_its_maker_has_it(gateway, everywhere):
    gw = gateway(workers=3, config=HOUSE).start()
    ask = everywhere(gw)
    with Load(gw) as load:
        for i in range(40):
            status, key = create(gw, f"k{i}")
            assert status == 201, key
            assert ask(key["value"]) == {200}
            if i % 2:
                status, _ = change(gw, "PUT", f"{KEYS}/{key['id']}", {"is_active": False})
                assert status == 200
                assert ask(key["value"]) == {403}
            status, _ = change(gw, "DELETE", f"{KEYS}/{key['id']}")
            assert status == 200
            assert ask(key["value"]) == {401}
    assert set(load.statuses) == {200}, load.statuses
    # Each worker made it when it was asked for, and once more when it had changed.
    assert gw.metric("bifrost_snapshot_generation") >= 100
    assert gw.metric("bifrost_snapshot_kills_total") == 0
    assert 40 * 3 <= gw.metric("bifrost_virtual_keys_assembled_total") <= 60 * 3 + 30
    assert "snapshot_generation" in gw.ctl("status", "--json")


def test_a_thousand_changes_under_load(gateway):
    """From four clients at once; each uses what it has changed. Prints how long it takes until a change is live."""
    changes = 100 if is_sanitized() else 1000
    gw = gateway(workers=2, config=HOUSE).start()
    numbers, took, wrong = itertools.count(), [], []

    def work(_):
        connection = Connection(gw)
        while next(numbers) < changes:
            began = time.monotonic()
            status, key = create(gw, f"k{random.getrandbits(64):x}")
            used = connection.ask(key["value"]) if status == 201 else None
            took.append(time.monotonic() - began)
            if (status, used) != (201, 200):
                wrong.append((status, used))
        connection.close()

    with Load(gw, connections=3, pause=0.002) as load, ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert not wrong, wrong[:5]
    assert set(load.statuses) == {200}, load.statuses
    took.sort()
    print(f"{len(took)} changes under load: live after P50 {took[len(took) // 2] * 1000:.1f} ms, "
          f"P99 {took[len(took) * 99 // 100] * 1000:.1f} ms, at most {took[-1] * 1000:.1f} ms")
    assert gw.metric("bifrost_snapshot_kills_total") == 0, "a flip waited for a worker as long as it may"
    wait_for("all of them are counted",
             lambda: gw.request(path=KEYS + "?limit=1")[2]["total_count"] == len(took) + 1)


class Changes:
    """Keys that are created one after the other, whatever happens to the gateway; what their makers were told."""

    def __init__(self, gw):
        self.gw, self.end = gw, threading.Event()
        self.told, self.refused, self.unheard = [], [], 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        for i in itertools.count():
            if self.end.is_set():
                return
            value = f"sk-bf-{i:06}"
            status, answer = create(self.gw, f"n{i}", value=value)
            if status == 201:
                self.told.append(value)
            elif status is None:
                self.unheard += 1
                time.sleep(0.02)
            else:
                self.refused.append((status, answer))
                time.sleep(0.02)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


def settled(gw, ask, changes):
    """Whoever was told that a key exists finds it, on all workers; of the others all workers think the same."""
    wait_for("all are up", lambda: all(child["state"] == "ready" for child in gw.children().values()))
    assert ask(STEADY) <= {200, None}
    ask(STEADY)
    for value in changes.told:
        assert ask(value) == {200}, value
    # A no for now is one that can be told: nobody gets an answer that is none.
    assert {status for status, _ in changes.refused} <= {409, 503, 504}, changes.refused[:3]


@pytest.mark.parametrize("victim", ["writerd", "reader", "proxyd.0"])
def test_a_kill_in_the_middle_of_changes_loses_none(gateway, everywhere, victim):
    kills = 3 if is_sanitized() else 8
    gw = gateway(workers=2, config=HOUSE).start()
    ask = everywhere(gw, 6)
    with Load(gw, connections=2, pause=0.005) as load, Changes(gw) as changes:
        for _ in range(kills):
            told = len(changes.told)
            wait_for("some changes", lambda told=told: len(changes.told) >= told + 3)
            pid = gw.steady(victim)
            time.sleep(random.random() * 0.01)
            os.kill(pid, signal.SIGKILL)
            wait_for("another one", lambda pid=pid: gw.pids().get(victim) not in (None, 0, pid))
            wait_for("it is ready", lambda: gw.children()[victim]["state"] == "ready")
    settled(gw, ask, changes)
    assert set(load.statuses) <= ({200} if victim != "proxyd.0" else {200, None}), load.statuses
    # And the next one goes on.
    status, key = create(gw, "last")
    assert status == 201 and ask(key["value"]) == {200}


def test_a_supervisor_killed_in_the_middle_of_changes(gateway, everywhere):
    gw = gateway(workers=2, config=HOUSE).start()
    generations = []
    for _ in range(2):
        with Changes(gw) as changes:
            wait_for("some changes", lambda c=changes: len(c.told) >= 5)
            gw.kill_supervisor()
        gw.start()
        generations.append(gw.metric("bifrost_snapshot_generation"))
        settled(gw, everywhere(gw, 6), changes)
        for value in changes.told:
            status, _ = change(gw, "DELETE", f"{KEYS}/" + next(
                key["id"] for key in gw.request(path=KEYS + "?limit=1000")[2]["virtual_keys"]
                if key["value_hint"][-4:] == value[-4:]))
            assert status == 200
    # No number is used twice: a worker of before has none of those of now.
    assert 0 < generations[0] < generations[1]


def test_a_stopped_worker_is_replaced_and_the_change_is_live(gateway, everywhere):
    gw = gateway(workers=2, config=HOUSE).start()
    ask = everywhere(gw)
    victim = wait_for("a worker", lambda: gw.pids().get("proxyd.1"))
    os.kill(victim, signal.SIGSTOP)
    try:
        began = time.monotonic()
        status, key = change(gw, "POST", KEYS, {"name": "slow", "allow_all_providers": True})
        # The request itself may have met the worker that stands still.
        for _ in range(5):
            if status == 201:
                break
            status, key = change(gw, "POST", KEYS, {"name": "slow", "allow_all_providers": True})
        assert status == 201, key
        assert time.monotonic() - began >= 4.5
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGCONT)
    wait_for("another worker", lambda: gw.pids().get("proxyd.1") not in (None, 0, victim))
    wait_for("it is ready", lambda: gw.children()["proxyd.1"]["state"] == "ready")
    ask(STEADY)
    assert ask(key["virtual_key"]["value"]) == {200}
    assert gw.metric("bifrost_snapshot_kills_total") == 1


def test_a_worker_that_starts_knows_all(gateway, everywhere):
    """It serves from its first request on by what is in force: nobody gets a 401 or 503 from it."""
    gw = gateway(workers=2, config=HOUSE).start()
    _, key = create(gw, "before")
    ask = everywhere(gw)
    with Load(gw) as load:
        for _ in range(3):
            gw.ctl("restart", "proxyd.0")
            assert ask(key["value"]) <= {200, None}
            status, key = create(gw, f"k{random.getrandbits(64):x}")
            assert status == 201
    assert set(load.statuses) <= {200, None} and load.statuses[200] > 10, load.statuses


class Strangers(Load):
    """The same, on a new connection for each request: they meet a worker from its first moment on."""

    def run(self):
        while not self.end.is_set():
            connection = Connection(self.gw)
            status = connection.ask(STEADY)
            connection.close()
            with self.lock:
                self.statuses[status] = self.statuses.get(status, 0) + 1


def test_a_worker_that_starts_while_things_change_turns_nobody_away(gateway):
    """What came into force while it started, it does not know yet: until it does, others serve."""
    gw = gateway(workers=2, config=HOUSE).start()
    with Strangers(gw, connections=3) as strangers, Changes(gw) as changes:
        for _ in range(3 if is_sanitized() else 8):
            told = len(changes.told)
            gw.ctl("restart", "proxyd.0")
            wait_for("some changes", lambda told=told: len(changes.told) >= told + 3)
    assert set(strangers.statuses) == {200}, strangers.statuses


def running_worker(gw):
    """A connection to a worker that answers, of those that stand still and those that do not."""
    for turn in range(50):
        connection = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=0.3 + turn / 10)
        try:
            connection.request("GET", "/live")
            if connection.getresponse().read():
                connection.sock.settimeout(30)
                return connection
        except OSError:
            connection.close()
    raise AssertionError("no worker answers")


def ask_on(connection, method, path, body=None):
    connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"null")


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_what_is_in_force_is_read_while_the_next_change_waits(gateway):
    gw = gateway(workers=2, config=HOUSE).start()
    victim = wait_for("a worker", lambda: gw.pids().get("proxyd.1"))
    with stopped(victim):
        changing, reading = running_worker(gw), running_worker(gw)
    status, first = create(gw, "first")
    assert status == 201
    with ThreadPoolExecutor(1) as pool:
        with stopped(victim):
            second = pool.submit(ask_on, changing, "POST", KEYS, {"name": "second", "allow_all_providers": True})
            # The reader has taken the next one by now, and it is not in force.
            time.sleep(0.2)
            found = ask_on(reading, "GET", f"{KEYS}/{first['id']}")
            assert found[0] == 200 and found[1]["virtual_key"]["name"] == "first", found
            assert not second.done()
        assert second.result()[0] == 201


def test_a_busy_reader_answers_by_what_is_in_force(gateway):
    """It hears of one change at a time; who asks behind two has been told that both are in force."""
    gw = gateway(workers=1, config=HOUSE).start()
    wait_for("the reader", lambda: gw.children()["reader"]["state"] == "ready")
    for n in range(5):
        with ThreadPoolExecutor(3) as pool:
            with stopped(gw.pids()["reader"]):
                keys = [create(gw, f"k{n}.{i}")[1] for i in range(3)]
                found = [pool.submit(gw.request, "GET", f"{KEYS}/{key['id']}", timeout=60) for key in keys]
                time.sleep(0.1)
            assert [one.result()[0] for one in found] == [200] * 3


def test_clients_without_number_do_not_end_a_worker(gateway):
    """Descriptors that clients took up have no room for the next snapshot: some are kept for it."""
    gw = gateway(workers=1, config=HOUSE).start()
    resource.prlimit(gw.process.pid, resource.RLIMIT_NOFILE, (400, 400))
    gw.ctl("restart", "proxyd.0")
    worker = wait_for("a worker", lambda: gw.pids().get("proxyd.0"))
    kept = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=60)
    kept.connect()
    crowd = []
    try:
        for _ in range(500):
            crowd.append(socket.create_connection(("127.0.0.1", gw.port), timeout=5))
        wait_for("it is full", lambda: "accept_paused" in gw.log())
        assert ask_on(kept, "POST", KEYS, {"name": "one more", "allow_all_providers": True})[0] == 201
        assert gw.pids().get("proxyd.0") == worker
    finally:
        for one in crowd:
            one.close()
        kept.close()
