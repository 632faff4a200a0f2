"""Limits that come and go: whatever a configuration did not name for a while, and whoever was killed meanwhile, what a limit
counts is what the rows that it is about were charged."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import random
import signal
import time

import pytest

from books import charged, meters, mockllm, rows_of, secret  # noqa: F401
from gateway import wait_for

SEED = int(os.environ.get("BIFROST_CHAOS_SEED", "1"))
SECONDS = int(os.environ.get("BIFROST_GIVEBACK_SECONDS", "20"))
MANY = 10**6
SLOW = "m;latency_ms=1500"


class House:
    """A gateway with one key, and what its configuration says of limits."""

    def __init__(self, gateway, mock):
        self.now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.rules = {"team": "t1", "team_limit": True, "window": "1d", "budget": "a", "provider": True, "models": True, "most": {}}
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.gw = gateway(workers=2, config={
            "providers": {"openai": {"keys": [{"name": "k", "value": "sk-provider", "weight": 1}],
                                     "network_config": {"base_url": mock.url, "max_retries": 0}}},
            "governance": self.governance()}).start()
        self.placed()

    def rate(self, name):
        return {"id": name, "request_max_limit": self.rules["most"].get(name, MANY), "request_reset_duration": "1d",
                "request_last_reset": self.now, "token_max_limit": 10**9, "token_reset_duration": self.rules["window"],
                "token_last_reset": self.now, "concurrent_max_limit": 100}

    def governance(self):
        r = self.rules
        key = {"id": "vk", "name": "vk", "value": secret(1), "rate_limit_id": "rate-key",
               "budgets": [{"id": f"budget-{r['budget']}", "max_limit": 1000, "reset_duration": r["window"], "last_reset": self.now}],
               **({"team_id": r["team"]} if r["team"] else {})}
        limited = {"rate_limit_id": "rate-team"} if r["team_limit"] else {}
        return {"virtual_keys": [key], "rate_limits": [self.rate(f"rate-{n}") for n in ("key", "team", "other")],
                "teams": [{"id": "t1", "name": "blue", "customer_id": "c", **limited}, {"id": "t2", "name": "red", **limited}],
                "customers": [{"id": "c", "name": "acme", "rate_limit_id": "rate-other"}],
                "providers": [{"name": "openai", "rate_limit_id": "rate-other"}] if r["provider"] else [],
                "model_configs": [{"model_name": "*", "rate_limit_id": "rate-other"}] if r["models"] else [],
                "pricing_overrides": [{"name": "all", "match_type": "wildcard", "pattern": "*", "pricing_patch": {
                    "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}}]}

    def write(self, **rules):
        self.rules |= rules
        self.gw.config["governance"] = self.governance()
        self.gw.file.write_text(json.dumps(self.gw.config, indent=1))

    def change(self, **rules):
        self.write(**rules)
        self.gw.ctl("reload")
        self.placed()

    def ask(self, model="m"):
        try:
            return self.gw.request("POST", "/v1/chat/completions", {
                "model": f"openai/{model}", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10},
                headers={"x-bf-vk": secret(1)})[0]
        except (OSError, http.client.HTTPException):
            return 0

    def ask_all(self, n):
        """All of them are served, at once or when the children that were killed are back."""
        for _ in range(n):
            wait_for("an answer", lambda: self.ask() == 200, every=0.05)

    def begin(self, n):
        """Requests that run for a while; they are on their way when this returns."""
        running = [self.pool.submit(self.ask, SLOW) for _ in range(n)]
        wait_for("requests in flight", lambda: any(m["held"] >= n for m in self.limits() if m["quantity"] == "concurrent_requests"
                                                   and m["owner"] == "virtual_key"))
        return running

    def limits(self):
        with contextlib.suppress(AssertionError):  # writerd is being replaced
            return meters(self.gw)
        return []

    def placed(self):
        def all_of_them():
            found = self.limits()
            return found and all(m["placed"] for m in found)
        wait_for("the meters", all_of_them)

    def lose(self, segment=True):
        """Everything but the database."""
        self.gw.kill_supervisor()
        for file in self.gw.runtime.iterdir() if segment else ():
            if file.is_file():
                file.unlink()
        self.gw.start()
        self.placed()

    def kill_writerd(self):
        with contextlib.suppress(ProcessLookupError, KeyError):
            os.kill(self.gw.pids()["writerd"], signal.SIGKILL)

    def agreed(self):
        """Waits until every limit counts what its rows say, and holds nothing; {(owner, id, quantity): used}."""
        wrong = []

        def agree():
            found = self.limits()
            rows = rows_of(self.gw.state / "logs.db")
            wrong[:] = [(m["owner"], m["owner_id"], m["limit_id"], m["quantity"], m["window"], m["used"], m["held"], charged(rows, m))
                        for m in found if m["held"] != 0 or m["used"] != charged(rows, m)]
            return found if found and not wrong else None
        try:
            found = wait_for("limits and rows to agree", agree, timeout=60, every=0.1)
        except AssertionError as e:
            raise AssertionError(f"{e}: {wrong}\n{self.gw.log()[-3000:]}") from e
        return {(m["owner"], m["owner_id"], m["quantity"]): m["used"] for m in found}

    def admits_exactly(self, rate, owner, more):
        """A maximum of what was used and so many more admits so many more: what is counted is what is shown."""
        self.change(most={rate: self.agreed()[(*owner, "requests")] + more})
        assert [self.ask() for _ in range(more + 2)] == [200] * more + [429, 429], (rate, owner)
        self.change(most={})


@pytest.fixture
def house(gateway, mockllm):  # noqa: F811
    made = []

    def make():
        made.append(House(gateway, mockllm()))
        return made[-1]
    yield make
    for one in made:
        one.pool.shutdown()


TEAM = ("team", "t1")


def test_a_limit_that_is_given_back_knows_all(house):
    h = house()
    h.ask_all(2)
    h.change(team_limit=False)
    h.ask_all(3)
    h.change(team_limit=True)
    assert h.agreed()[(*TEAM, "requests")] == 5
    h.admits_exactly("rate-team", TEAM, 2)
    h.change(team_limit=False)
    h.ask_all(1)
    h.lose()
    h.ask_all(1)
    h.write(team_limit=True)
    h.lose()
    assert h.agreed()[(*TEAM, "requests")] == 9
    h.admits_exactly("rate-team", TEAM, 1)


def test_windows_and_ids_that_come_back(house):
    h = house()
    h.ask_all(1)
    for change in ({"window": "2d"}, {"window": "1d"}, {"budget": "b"}, {"budget": "a"}, {"team": "t2"}, {"team": "t1"},
                   {"provider": False, "models": False}, {"provider": True, "models": True}):
        h.change(**change)
        h.ask_all(1)
        h.agreed()


def test_requests_of_older_workers_count(house):
    h = house()
    h.change(team_limit=False, provider=False)
    running = h.begin(3)
    h.change(team_limit=True, provider=True, window="2d", budget="b", most={"rate-team": 3})
    assert {r.result() for r in running} == {200}
    assert h.agreed()[(*TEAM, "requests")] == 3
    assert h.ask() == 429
    h.change(most={})
    h.admits_exactly("rate-other", ("provider", "openai"), 2)
    # Their limit goes and comes while they run, on a meter that knows them.
    running = h.begin(2)
    h.change(team_limit=False)
    h.ask_all(1)
    h.change(team_limit=True)
    assert {r.result() for r in running} == {200}
    h.agreed()
    h.admits_exactly("rate-team", TEAM, 1)


def test_any_sequence_of_changes_and_kills(house):
    any_sequence(house())


def any_sequence(h):
    rng, steps = random.Random(SEED), []
    turns = {"team_limit": [True, False], "window": ["1d", "2d"], "budget": ["a", "b"], "team": ["t1", "t2", None],
             "provider": [True, False], "models": [True, False]}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        names = rng.sample(sorted(turns), rng.choice([1, 1, 2, 4]))
        rules = {name: rng.choice([v for v in turns[name] if v != h.rules[name]]) for name in names}
        how = rng.choice(["reload", "reload", "reload", "reload and kill", "restart", "loss"])
        steps.append((rng.choice([0, 1, 3]), how, rules))
        running = h.begin(steps[-1][0])
        h.ask_all(rng.randrange(3))
        if how.startswith("reload"):
            h.change(**rules)
        else:
            h.write(**rules)
            h.lose(segment=how == "loss")
        if "kill" in how:
            h.kill_writerd()
        h.ask_all(rng.randrange(3))
        if how == "loss" or rng.random() < 0.5:
            concurrent.futures.wait(running)
            try:
                h.agreed()
            except AssertionError as e:
                raise AssertionError(f"seed {SEED}, {steps}") from e
    concurrent.futures.wait(running)
    owners = [("rate-key", ("virtual_key", "vk"))] + ([("rate-team", ("team", h.rules["team"]))]
                                                     if h.rules["team"] and h.rules["team_limit"] else [])
    for rate, owner in owners:
        h.admits_exactly(rate, owner, 2)
    print({"seed": SEED, "steps": len(steps), "used": h.agreed()})
    assert len(steps) >= 4 and h.gw.stop() == 0
