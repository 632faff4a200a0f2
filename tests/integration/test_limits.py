"""Limits of virtual keys: what bifrostctl limits tells, reloads, and kills of writerd while it places them. Totals, rows and
the segment must say the same, also after everything was lost but the database."""

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import threading
import time

import pytest

from gateway import wait_for

KEY = "sk-bf-00000000-0000-4000-8000-000000000001"


def governance(keys=1, budget=100.0, **rate):
    """One rate limit for all keys, each with a budget of a day."""
    rate = {"token_max_limit": 1000000, "token_reset_duration": "1d", "request_max_limit": 100000,
            "request_reset_duration": "1d", "concurrent_max_limit": 50} | rate
    return {"governance": {
        "rate_limits": [{"id": "rates", **rate}],
        "virtual_keys": [{"id": f"vk-{n}", "name": f"key {n}", "value": f"{KEY[:-1]}{n}", "rate_limit_id": "rates",
                          "budgets": [{"id": f"budget-{n}", "max_limit": budget, "reset_duration": "1d"}]}
                         for n in range(1, keys + 1)],
        "pricing_overrides": [{"name": "all", "match_type": "wildcard", "pattern": "*", "pricing_patch": {
            "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}}]}}


def limits(gw, *key):
    return json.loads(gw.ctl("limits", "--json", *key))["limits"]


def by_quantity(gw, key="vk-1"):
    return {x["quantity"]: x for x in limits(gw, key)}


def change(gw, config):
    gw.config.update(config)
    gw.file.write_text(json.dumps(gw.config, indent=1))
    gw.ctl("reload")


def settled_limits(gw, count):
    """All limits, once every one of them has its meter."""
    def placed():
        with contextlib.suppress(AssertionError):  # writerd is being replaced
            found = limits(gw)
            return found if len(found) == count and all(x["placed"] for x in found) else None
        return None
    return wait_for(f"{count} limits with meters", placed, every=0.05)


def test_limits_are_told(gateway):
    gw = gateway(workers=1, config=governance(keys=2)).start()
    assert len(settled_limits(gw, 8)) == 8
    now = time.time() * 1000
    found = by_quantity(gw)
    assert set(found) == {"requests", "tokens", "concurrent_requests", "cost"}
    for name, x in found.items():
        assert (x["virtual_key_id"], x["virtual_key_name"], x["used"], x["held"]) == ("vk-1", "key 1", 0, 0), name
        assert x["left"] == x["max"] and not x["frozen"]
    assert found["cost"]["max"] == 100 * 10**9 and found["cost"]["limit_id"] == "budget-1"
    assert found["tokens"]["window"] == "1d" and found["tokens"]["start_ms"] <= now < found["tokens"]["end_ms"]
    assert found["tokens"]["end_ms"] - found["tokens"]["start_ms"] == 86400 * 1000
    assert found["concurrent_requests"]["start_ms"] == 0
    text = gw.ctl("limits", "key 2")
    assert len(text.splitlines()) == 4 and "max $100.000000000" in text
    refused = gw.ctl("limits", "nobody", check=False)
    assert refused.returncode == 3 and "no virtual key" in refused.stderr
    assert gw.metric("bifrost_limits") == 8 and gw.metric("bifrost_limits_unplaced") == 0
    assert KEY not in gw.log() and KEY not in text


def test_without_limits_there_is_nothing_to_tell(gateway):
    gw = gateway(workers=1).start()
    assert gw.ctl("limits") == "no limits are configured\n"
    assert json.loads(gw.ctl("limits", "--json")) == {"limits": [], "clock_ahead_ms": 0}
    assert gw.ctl("limits", "--accept-clock") == "windows of limits follow the wall clock\n"


def test_reloads_change_limits(gateway):
    gw = gateway(workers=1, config=governance(keys=2)).start()
    settled_limits(gw, 8)
    change(gw, governance(keys=1, budget=7.5, concurrent_max_limit=0))
    settled_limits(gw, 3)
    assert by_quantity(gw)["cost"]["max"] == 7_500_000_000
    change(gw, governance(keys=3))
    settled_limits(gw, 12)
    assert gw.events("limits_not_placed") == []


def test_pages_of_limits(gateway):
    gw = gateway(workers=1, config=governance(keys=9)).start()
    found = settled_limits(gw, 36)
    assert [x["virtual_key_id"] for x in found] == [f"vk-{n}" for n in range(1, 10) for _ in range(4)]


def many(keys):
    config = governance(keys=1)
    config["governance"]["virtual_keys"] = [
        {"id": f"vk-{n}", "name": f"key {n}", "value": f"{KEY[:-12]}{n:012x}", "rate_limit_id": "rates"}
        for n in range(keys)]
    return config


def test_writerd_killed_while_it_places_limits(gateway):
    """At its start it places thousands of them, under load; each kill comes a little later than the last one. Until a
    key's limits have meters it is told to come back, nothing else."""
    gw = gateway(workers=1, config=many(1500)).start()
    settled_limits(gw, 4500)
    gw.stop()
    (gw.runtime / "segment").unlink()
    gw.start()
    with Load(gw, threads=2) as load:
        for n in range(6):
            pid = wait_for("a writerd", lambda: gw.pids().get("writerd"), every=0.001)
            time.sleep(0.004 * n * n)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_for("its end", lambda pid=pid: gw.pids().get("writerd") != pid, every=0.001)
        found = settled_limits(gw, 4500)
        wait_for("an answer", lambda: load.answers > 0)
    assert len({(x["virtual_key_id"], x["quantity"]) for x in found}) == 4500
    assert set(load.others) <= {503}
    assert agree(gw)["requests"] == load.answers
    assert gw.request(path="/health")[0] in (200, 503)
    # The next reload takes most of them away; their places are free again for others.
    change(gw, many(10))
    settled_limits(gw, 30)


# ---- with requests


def database(gw):
    return contextlib.closing(sqlite3.connect(f"file:{gw.state / 'logs.db'}?mode=ro", uri=True, timeout=5))


def sums(gw):
    """What the rows of vk-1 were charged: {quantity: sum}."""
    with database(gw) as db:
        row = db.execute("SELECT coalesce(sum(charged_requests), 0), coalesce(sum(charged_tokens), 0),"
                         " coalesce(sum(cost_nusd), 0) FROM logs WHERE virtual_key_id = 'vk-1'").fetchone()
    return dict(zip(("requests", "tokens", "cost"), row))


def totals(gw):
    """The same as the store's totals, which know no names: as a sorted list of those above 0."""
    with database(gw) as db:
        return sorted(n for (n,) in db.execute("SELECT settled FROM meter_totals WHERE settled > 0"))


class Load:
    """Chats with the key from several threads until the block ends."""

    def __init__(self, gw, threads=4):
        self.gw, self.answers, self.others = gw, 0, []
        self.over, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        while not self.over.is_set():
            try:
                status = chat(self.gw)[0]
            except OSError as e:
                status = repr(e)
            with self.lock:
                self.answers += status == 200
                if status != 200:
                    self.others.append(status)
            time.sleep(0.002)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()


def chat(gw, key=KEY, **more):
    body = {"model": "mock/m", "messages": [{"role": "user", "content": "hello"}], **more}
    return gw.request("POST", "/v1/chat/completions", body, headers={"x-bf-vk": key})


def ready(gw):
    """Workers know the meters."""
    wait_for("an answer", lambda: chat(gw)[0] == 200, every=0.05)


def agree(gw):
    """Rows, totals and meters say the same, once nothing runs and all rows are written."""
    def same():
        with contextlib.suppress(AssertionError):
            found = by_quantity(gw)
            rows = {q: n for q, n in sums(gw).items() if q in found}
            if all(found[q]["used"] == rows[q] and found[q]["held"] == 0 for q in rows) and \
                    found["concurrent_requests"]["held"] == 0 and totals(gw) == sorted(n for n in rows.values() if n):
                return rows
        return None
    try:
        return wait_for("rows, totals and meters to agree", same, every=0.1)
    except AssertionError as e:
        raise AssertionError(f"{e}: rows {sums(gw)}, totals {totals(gw)}, meters {by_quantity(gw)}") from e


def test_used_is_the_sum_of_rows(gateway):
    gw = gateway(workers=2, config=governance()).start()
    settled_limits(gw, 4)
    ready(gw)
    with Load(gw) as load:
        time.sleep(2)
    assert load.others == []
    rows = agree(gw)
    assert rows["requests"] == load.answers + 1 and rows["tokens"] > rows["requests"] and rows["cost"] > 0
    shown = gw.request(path="/api/logs?virtual_key_ids=vk-1&limit=1")[2]
    assert shown["pagination"]["total_count"] == rows["requests"]
    assert shown["logs"][0]["virtual_key_name"] == "key 1" and shown["logs"][0]["charged_requests"] == 1
    assert gw.request(path="/api/logs?virtual_key_ids=vk-2")[2]["pagination"]["total_count"] == 0


def test_what_was_used_survives_the_loss_of_the_segment(gateway):
    gw = gateway(workers=2, config=governance()).start()
    settled_limits(gw, 4)
    ready(gw)
    with Load(gw):
        time.sleep(1)
    before = agree(gw)
    gw.stop()
    (gw.runtime / "segment").unlink()
    gw.start()
    settled_limits(gw, 4)
    assert agree(gw) == before
    ready(gw)
    assert agree(gw)["requests"] == before["requests"] + 1


def test_writerd_and_workers_killed_under_load(gateway):
    gw = gateway(workers=2, config=governance()).start()
    settled_limits(gw, 4)
    ready(gw)
    with Load(gw, threads=6) as load:
        for n in range(8):
            os.kill(gw.steady(("writerd", "proxyd.0", "proxyd.1")[n % 3]), signal.SIGKILL)
    assert load.answers > 100
    rows = agree(gw)
    assert rows["requests"] >= load.answers + 1
    with database(gw) as db:
        assert db.execute("SELECT count(*) FROM logs WHERE charged_requests > 1").fetchone() == (0,)


class KeptAlive:
    """Clients that keep their connections, as SDKs do: a worker that leaves goes on serving them until it has told them."""

    def __init__(self, gw, keys, each):
        self.clients = [(http.client.HTTPConnection("127.0.0.1", gw.port, timeout=60), key) for key in keys for _ in range(each)]
        self.headers = {"Content-Type": "application/json"}

    def ask(self):
        """One request on each: their statuses."""
        body = json.dumps({"model": "mock/m", "messages": [{"role": "user", "content": "hello"}]})
        found = []
        for client, key in self.clients:
            try:
                client.request("POST", "/v1/chat/completions", body, self.headers | {"x-bf-vk": key})
                answer = client.getresponse()
            except (ConnectionError, http.client.RemoteDisconnected):
                # Idle for longer than a worker that leaves waits for it: what clients do then, and never after an answer began.
                client.close()
                client.request("POST", "/v1/chat/completions", body, self.headers | {"x-bf-vk": key})
                answer = client.getresponse()
            answer.read()
            found.append(answer.status)
        return found

    def close(self):
        for client, _ in self.clients:
            client.close()


def test_workers_that_leave_keep_their_limits(gateway):
    """A reload gives one key another window and removes another key. Who is still connected to a worker that leaves is
    served as long as it may drain, by what is in force."""
    both = [KEY, f"{KEY[:-1]}2"]
    gw = gateway(workers=2, config=governance(keys=2)).start()
    settled_limits(gw, 8)
    ready(gw)
    old = KeptAlive(gw, both, each=8)
    assert set(old.ask()) == {200}
    with Load(gw) as load:
        change(gw, governance(keys=1, token_reset_duration="2d", request_reset_duration="2d"))
        answers = old.ask()
        settled_limits(gw, 4)
        time.sleep(1)
    assert answers == [200] * 8 + [401] * 8
    old.close()
    assert load.others == []
    assert chat(gw)[0] == 200 and chat(gw, key=both[1])[0] == 401
    # Theirs were rows of the key too.
    wait_for("rows", lambda: sums(gw)["requests"] == load.answers + 18)


def test_a_changed_window_keeps_what_was_used(gateway):
    """Rolling or of the calendar, longer, moved: what the key used since the new window's beginning stays used."""
    gw = gateway(workers=1, config=governance()).start()
    settled_limits(gw, 4)
    ready(gw)
    for _ in range(4):
        assert chat(gw)[0] == 200
    before = agree(gw)
    assert before["requests"] == 5
    aligned = governance(token_reset_duration="1w", request_reset_duration="1M")
    aligned["governance"]["virtual_keys"][0]["calendar_aligned"] = True
    moved = governance(token_last_reset="2020-01-01T00:00:01Z", request_reset_duration="30d")
    for config in (aligned, moved, aligned):
        change(gw, config)
        settled_limits(gw, 4)
        found = by_quantity(gw)
        assert {q: found[q]["used"] for q in before} == before
        assert all(found[q]["left"] == found[q]["max"] - before[q] for q in before)
    told = gw.events("limit_begun")
    assert len(told) >= 5 and all("vk-1" in line for line in told)
    assert chat(gw)[0] == 200
    wait_for("one more", lambda: by_quantity(gw)["requests"]["used"] == 6)


def test_a_locked_store_at_a_reload(gateway):
    """writerd waits for the lock and goes on by itself; who has its meter already is served meanwhile."""
    gw = gateway(workers=1, config=governance()).start()
    settled_limits(gw, 4)
    ready(gw)
    with contextlib.closing(sqlite3.connect(gw.state / "logs.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        change(gw, governance(keys=2))
        assert chat(gw)[0] == 200
        assert wait_for("a word about it", lambda: gw.events("store_locked"))
        time.sleep(2)
        assert not any(x["placed"] for x in limits(gw, "vk-2"))
        db.execute("COMMIT")
    settled_limits(gw, 8)
    assert chat(gw, key=f"{KEY[:-1]}2")[0] == 200
    wait_for("rows", lambda: sums(gw)["requests"] == 2)


def test_a_writerd_that_does_not_answer_is_named(gateway):
    gw = gateway(workers=1, config=governance()).start()
    settled_limits(gw, 4)
    pid = gw.pids()["writerd"]
    os.kill(pid, signal.SIGSTOP)
    try:
        refused = gw.ctl("limits", check=False)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert refused.returncode == 1 and "writerd does not answer" in refused.stderr


@pytest.mark.parametrize("off", [{"logs_store": {"enabled": False}}])
def test_meters_without_a_store_of_logs(gateway, off):
    gw = gateway(workers=1, config=governance() | off).start()
    settled_limits(gw, 4)
    ready(gw)
    for _ in range(5):
        assert chat(gw)[0] == 200
    wait_for("what was used", lambda: by_quantity(gw)["requests"]["used"] == 6 and by_quantity(gw)["requests"]["held"] == 0)


def to_older_schema(path, megabytes):
    """The logs store as the version before owners left it, with so many megabytes of bodies."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for index in ("logs_team_charges", "logs_customer_charges", "logs_timestamp_provider_status"):
            db.execute(f"DROP INDEX {index}")
        for column in ("team_id", "team_name", "customer_id", "customer_name"):
            db.execute(f"ALTER TABLE logs DROP COLUMN {column}")
        db.execute("CREATE INDEX logs_timestamp_provider_status ON logs (timestamp, provider, status)")
        for column in ("missed", "forgiven", "resets"):
            db.execute(f"ALTER TABLE meter_totals DROP COLUMN {column}")
        db.execute("DROP TABLE meter_watched")
        db.execute("DELETE FROM schema_migrations WHERE version > 6")
        db.execute("UPDATE logs SET input_history = zeroblob(? * 1048576) WHERE inc_number = 1", (megabytes,))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("megabytes", [0, 80])
def test_an_older_store_is_brought_up_to_date(gateway, megabytes):
    """A small one at once, a large one while the gateway serves already; no row and nothing that was used is lost."""
    gw = gateway(workers=1, config=governance()).start()
    settled_limits(gw, 4)
    ready(gw)
    before = agree(gw)
    gw.stop()
    (gw.runtime / "segment").unlink()
    to_older_schema(gw.state / "logs.db", megabytes)
    gw.start()
    settled_limits(gw, 4)
    assert agree(gw) == before
    ready(gw)
    assert agree(gw)["requests"] == before["requests"] + 1
    assert len(gw.events("store_old")) == len(gw.events("store_migrated")) == (1 if megabytes else 0)
    with database(gw) as db:
        assert db.execute("SELECT max(version) FROM schema_migrations").fetchone() == (10,)
    assert gw.request(path="/api/logs?team_ids=none")[2]["pagination"]["total_count"] == 0


def test_an_older_store_that_is_locked_is_migrated_later(gateway):
    """A migration that failed is told once and tried again, also when no row comes meanwhile."""
    gw = gateway(workers=1, config=governance()).start()
    settled_limits(gw, 4)
    ready(gw)
    before = agree(gw)
    gw.stop()
    (gw.runtime / "segment").unlink()
    to_older_schema(gw.state / "logs.db", 80)
    with contextlib.closing(sqlite3.connect(gw.state / "logs.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        gw.start()
        wait_for("a try", lambda: gw.events("store_not_migrated"))
        wait_for("red health", lambda: "the logs store refuses rows" in str(gw.request(path="/health")[2]))
        time.sleep(4)
        assert not any(x["placed"] for x in limits(gw))
        db.execute("COMMIT")
    settled_limits(gw, 4)
    assert agree(gw) == before
    wait_for("a word about it", lambda: gw.events("store_migrated"))
    wait_for("green health", lambda: "the logs store refuses rows" not in str(gw.request(path="/health")[2]))
    assert [len(gw.events(e)) for e in ("store_old", "store_not_migrated", "store_migrated")] == [1, 1, 1]
    assert not [f.name for f in gw.state.iterdir() if "etilqs" in f.name]
