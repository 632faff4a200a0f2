"""The mock LLM and the load generator as fixtures, the comparison of their ledgers line by line, and that of meters with rows."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from gateway import BUILD, wait_for

# How a request ends for its client when its provider ends it so, with nothing between them.
ENDS = {"done": {"done", "no_terminal"}, "cut": {"cut"}, "rst": {"rst"}, "stalled": {"timeout"},
        "client_gone": {"timeout", "bad_http"}}


class MockLLM:
    def __init__(self, folder, *args, name="provider"):
        self.ledger_path = Path(folder) / f"{name}.ledger"
        self.process = subprocess.Popen([BUILD / "tests/support/mockllm/mockllm", "--listen", "127.0.0.1:0", "--ledger",
                                         self.ledger_path, *args], stdout=subprocess.PIPE, text=True)
        said = self.process.stdout.readline()
        assert said.startswith("listening on "), said
        self.address = said.split()[-1]
        self.url = f"http://{self.address}"

    def stop(self):
        """Ends it, so that every request has its line; returns the ledger."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        return read_ledger(self.ledger_path)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Load:
    """One run of loadgen under way; report() waits for it."""

    def __init__(self, folder, target, *args, name="client", prefix="P", keeps_ledger=True):
        self.ledger_path, self.json_path = Path(folder) / f"{name}.ledger", Path(folder) / f"{name}.json"
        ledger = ("--ledger", self.ledger_path) if keeps_ledger else ()
        self.process = subprocess.Popen(
            [BUILD / "tests/support/loadgen/loadgen", "--target", target, "--user-prefix", prefix, *ledger,
             "--json", self.json_path, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def report(self, timeout=120):
        out, _ = self.process.communicate(timeout=timeout)
        assert self.process.returncode in (0, 3), out
        return json.loads(self.json_path.read_text()) | {"text": out, "kept": self.process.returncode == 0}

    def ledger(self):
        return read_ledger(self.ledger_path)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def read_ledger(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def one_each(lines, whose):
    """{user: line}; two lines for a user are an error."""
    found = {}
    for line in lines:
        assert line["user"] not in found, f"two lines of {line['user']} with the {whose}"
        found[line["user"]] = line
    return found


def compare(provider, client):
    """Both ledgers of requests that went straight from client to provider must say the same of each."""
    told, seen = one_each(provider, "provider"), one_each(client, "client")
    assert set(told) == set(seen), f"only one of them knows {sorted(set(told) ^ set(seen))[:3]}"
    for user, p in told.items():
        c = seen[user]
        assert c["end"] in ENDS[p["end"]], (p, c)
        whole = p["end"] == "done"
        if whole or c["status"]:
            assert c["status"] == p["status"], (p, c)
        # What was cut behind the last whole word was given to the kernel, and loopback loses nothing.
        assert c["tokens_seen"] == p["delivered_tokens"] if p["stream"] or whole else c["tokens_seen"] == 0, (p, c)
        if p["stream"] and p["status"] == 200:
            assert c["events"] == p["events"], (p, c)
        if whole and c["usage"]:
            assert c["usage"] == [p["prompt_tokens"], p["completion_tokens"]], (p, c)
    return len(told)


@pytest.fixture
def mockllm(tmp_path):
    """Makes mock LLMs that are gone when the test is over."""
    made = []

    def make(*args, **kw):
        made.append(MockLLM(tmp_path, *args, **kw))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def loadgen(tmp_path):
    """Starts loadgen against HOST:PORT; what still runs at the end of the test is killed."""
    made = []

    def make(target, *args, **kw):
        made.append(Load(tmp_path, target, *args, **kw))
        return made[-1]

    yield make
    for one in made:
        one.close()


# ---- limits: who may use what, what rows were charged, what the meters say

PRICE = {"input": 1000, "output": 2000}  # nano-dollars per token
QUANTITIES = {"requests": "request", "tokens": "token", "concurrent_requests": "concurrent", "cost": "budget"}


def secret(n):
    """The value of key n."""
    return f"sk-bf-00000000-0000-4000-8000-{n:012d}"


def limited(owner, limits, rates, name, now):
    """The owner with these limits, of which its rates go to a rate limit of its own."""
    rate = {"id": f"rate-{name}"}
    for quantity, (most, window) in limits.items():
        word = QUANTITIES[quantity]
        anchor = {} if window != "1h" else {"last_reset": now} if word == "budget" else {f"{word}_last_reset": now}
        if word == "budget":
            owner["budgets"] = [{"id": f"budget-{name}", "max_limit": most / 1e9, "reset_duration": window, **anchor}]
        else:
            rate |= {f"{word}_max_limit": most, **({f"{word}_reset_duration": window} if window else {}), **anchor}
    if len(rate) > 1:
        owner["rate_limit_id"] = rate["id"]
        rates.append(rate)
    return owner


def governance(keys, owners=()):
    """The block of these keys: [{quantity: (max, window)}], the max of "cost" in nano-dollars; windows of an hour begin now, so
    that a test sees none turn. owners: [(list of the block, its members, limits, keys)]; keys: numbers of those that name it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    rates = []
    virtual = [limited({"id": f"vk-{n}", "name": f"key {n}", "value": secret(n)}, limits, rates, n, now)
               for n, limits in enumerate(keys)]
    others = {}
    for n, (kind, members, limits, members_of) in enumerate(owners):
        others.setdefault(kind, []).append(limited(dict(members), limits, rates, f"{kind}-{n}", now))
        for k in members_of:
            if kind == "provider_configs":
                virtual[k].setdefault(kind, []).append(others[kind].pop())
            else:
                virtual[k][f"{kind.removesuffix('s')}_id"] = members["id"]
    others.pop("provider_configs", None)
    prices = [{"name": "all", "match_type": "wildcard", "pattern": "*", "pricing_patch": {
        "input_cost_per_token": PRICE["input"] / 1e9, "output_cost_per_token": PRICE["output"] / 1e9}}]
    return {"governance": {"virtual_keys": virtual, "rate_limits": rates, "pricing_overrides": prices, **others}}


def meters(gw, *key):
    """[{owner, owner_id, virtual_key_id, quantity, used, held, max, ...}]"""
    return json.loads(gw.ctl("limits", "--json", *key))["limits"]


def wait_for_meters(gw, count):
    """Until writerd has placed all of them."""
    def placed():
        with contextlib.suppress(AssertionError):  # writerd is being replaced
            found = meters(gw)
            return found if len(found) == count and all(m["placed"] for m in found) else None
        return None
    return wait_for(f"{count} limits with meters", placed, every=0.05)


def is_about(m, row):
    """Whether the meter counts this row: those of its owner, at its provider, for its model."""
    owner = m["owner"] if m["owner"] in ("team", "customer") else None
    return ((not owner or row[f"{owner}_id"] == m["owner_id"])
            and (not m["virtual_key_id"] or row["virtual_key_id"] == m["virtual_key_id"])
            and (not m["provider"] or row["provider"].lower() == m["provider"].lower())
            and (not m["model"] or row["model"].lower() == m["model"].lower()))


def charged(rows, m):
    """What these rows were charged by what a meter counts."""
    column = {"requests": "charged_requests", "tokens": "charged_tokens", "cost": "cost_nusd"}.get(m["quantity"])
    return sum(r[column] for r in rows if is_about(m, r)) if column else 0


def rows_of(path):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as db:
        db.row_factory = sqlite3.Row
        # Without the bodies: of a long run they would not fit into memory.
        names = [row["name"] for row in db.execute("SELECT name FROM pragma_table_xinfo('logs')")]
        names = ", ".join(n for n in names if n not in ("input_history", "output_message"))
        return [dict(row) for row in db.execute(f"SELECT {names} FROM logs")]


def totals_of(path):
    """[{window: (settled, forgiven)}], one for each meter that ever was charged."""
    found = {}
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as db:
        for identity, window, *sums in db.execute("SELECT identity, window, settled, forgiven FROM meter_totals"):
            found.setdefault(identity, {})[window] = tuple(sums)
    return list(found.values())


def wrong_meters(found, rows, totals):
    """What does not agree once nothing runs: meters of long windows, rows, and the store's totals. Totals know no names: of those
    of a meter's sum one must have forgiven what the meter does not show."""
    left = [tuple(map(sum, zip(*t.values(), strict=True))) for t in totals]
    left = [t for t in left if t[0]]
    for m in found:
        name = f"{m['owner']} {m['owner_id']} {m['quantity']}"
        sum_of_rows = charged(rows, m)
        is_long = m["window"] in ("", "1h", "1d")
        if m["held"] != 0:
            yield f"{name}: {m['held']} held, but nothing runs"
        if not sum_of_rows and m["used"] and is_long:
            yield f"{name}: {m['used']} used, but there are no rows"
        if not sum_of_rows:
            continue
        fits = [t for t in left if t[0] == sum_of_rows and (not is_long or t[0] - t[1] == m["used"])]
        if fits:
            left.remove(fits[0])
        else:
            yield f"{name}: {m['used']} used, the rows say {sum_of_rows}; totals that are left: {left}"
    if left:
        yield f"totals {left} are of no meter's rows"


def agreed(gw):
    """Waits until rows, totals and meters say the same; (meters, rows, totals)."""
    database, wrong = gw.state / "logs.db", []

    def agree():
        with contextlib.suppress(AssertionError):  # writerd is being replaced
            found = meters(gw)
            rows, totals = rows_of(database), totals_of(database)
            wrong[:] = list(wrong_meters(found, rows, totals))
            return None if wrong else (found, rows, totals)
        return None
    try:
        return wait_for("meters and rows to agree", agree, timeout=30, every=0.2)
    except AssertionError as e:
        raise AssertionError(f"{e}: {wrong}") from e
