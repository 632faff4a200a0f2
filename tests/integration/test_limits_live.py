"""Limits that the management API changes, by real processes: they hold on every worker as soon as the change is answered, and
count what the rows that they are about were charged, whatever changed and whoever was killed meanwhile."""

import contextlib
import http.client
import os
import random
import signal
import threading

import pytest
from books import meters
from gateway import wait_for
from test_giveback import TEAM, House, any_sequence, mockllm  # noqa: F401

KEYS = "/api/governance/virtual-keys"
TEAMS = "/api/governance/teams"
MODELS = "/api/governance/model-configs"
CHAT = {"model": "mock/m", "messages": [{"role": "user", "content": "hi"}]}


def requests(most, window="1d"):
    return {"request_max_limit": most, "request_reset_duration": window}


def ask(gw, method, path, body=None, status=200):
    got, _, answer = gw.request(method, path, body)
    assert got == status, f"{method} {path}: {got} {answer}"
    return answer


def statuses(gw, value, n):
    """Of n requests, each on a connection of its own: they are spread over the workers."""
    return sorted(gw.request("POST", "/v1/chat/completions", CHAT, headers={"x-bf-vk": value})[0] for _ in range(n))


def exactly(gw, value, passes, of):
    assert statuses(gw, value, of) == [200] * passes + [429] * (of - passes)


def used(gw, owner_id):
    """None while writerd is being replaced."""
    with contextlib.suppress(AssertionError):
        return {m["quantity"]: m["used"] for m in meters(gw) if m["owner_id"] == owner_id}
    return None


def test_a_limit_from_creation_to_its_end(gateway):
    gw = gateway(workers=3).start()
    made = ask(gw, "POST", KEYS, {"name": "ops", "rate_limit": requests(5)}, 201)["virtual_key"]
    path, value = f"{KEYS}/{made['id']}", made["value"]
    exactly(gw, value, 5, of=8)
    ask(gw, "PUT", path, {"rate_limit": requests(7)})
    exactly(gw, value, 2, of=4)
    # Without it nothing is refused, and all of it counts when it is given back.
    ask(gw, "PUT", path, {"rate_limit": None})
    exactly(gw, value, 3, of=3)
    ask(gw, "PUT", path, {"rate_limit": requests(12)})
    exactly(gw, value, 2, of=4)
    wait_for("the rows", lambda: used(gw, made["id"]) == {"requests": 12})
    # Another window is another meter, which knows the same.
    ask(gw, "PUT", path, {"rate_limit": requests(14, "2d")})
    exactly(gw, value, 2, of=3)
    ask(gw, "PUT", path, {"rate_limit": requests(1)})
    exactly(gw, value, 0, of=2)
    # A team of its own counts from the moment that the key is in it.
    team = ask(gw, "POST", TEAMS, {"name": "blue", "rate_limit": requests(2)}, 201)["team"]
    ask(gw, "PUT", path, {"rate_limit": None, "team_id": team["id"]})
    exactly(gw, value, 2, of=4)
    ask(gw, "PUT", f"{TEAMS}/{team['id']}", {"rate_limit": requests(3)})
    exactly(gw, value, 1, of=2)
    ask(gw, "DELETE", path)
    assert statuses(gw, value, 2) == [401, 401]
    assert used(gw, made["id"]) == {}
    assert gw.metric_sum("bifrost_limits_unplaced") == 0
    assert gw.stop() == 0


def test_after_a_restart_all_is_as_it_was(gateway):
    gw = gateway(workers=2).start()
    made = ask(gw, "POST", KEYS, {"name": "ops", "rate_limit": requests(4)}, 201)["virtual_key"]
    exactly(gw, made["value"], 3, of=3)
    ask(gw, "PUT", f"{KEYS}/{made['id']}", {"rate_limit": None})
    exactly(gw, made["value"], 2, of=2)
    gw.kill_supervisor()
    for file in gw.runtime.iterdir():
        if file.is_file():
            file.unlink()
    gw.start()
    ask(gw, "PUT", f"{KEYS}/{made['id']}", {"rate_limit": requests(6)})
    exactly(gw, made["value"], 1, of=3)


def test_writerd_is_killed_while_limits_change(gateway):
    """Of a limit that goes up by one again and again, exactly as many pass as it says at the end."""
    gw = gateway(workers=2).start()
    made = ask(gw, "POST", KEYS, {"name": "ops", "rate_limit": requests(1)}, 201)["virtual_key"]
    path = f"{KEYS}/{made['id']}"
    passed, most = 0, 1
    for most in range(2, 14):
        writerd = gw.steady("writerd")
        killer = threading.Timer(random.uniform(0, 0.03), os.kill, (writerd, signal.SIGKILL))
        killer.start()
        for rate in (None, requests(most)) if most % 3 == 0 else (requests(most),):
            wait_for("the change", lambda rate=rate: put(gw, path, {"rate_limit": rate}) == 200, every=0.1)
        killer.join()
        passed += statuses(gw, made["value"], 2).count(200)
    for last in iter(lambda: statuses(gw, made["value"], 1)[0], 429):
        passed += last == 200
    assert passed == most
    wait_for("the rows", lambda: used(gw, made["id"]) == {"requests": most})


def put(gw, path, body):
    try:
        return gw.request("PUT", path, body)[0]
    except (OSError, http.client.HTTPException):
        return 0


class ApiHouse(House):
    """The same with changes of entities instead of reloads."""

    def write(self, **rules):
        """The file stays as it is, so what the API says stands."""
        self.rules |= rules
        everything = self.governance()
        rates = {r.pop("id"): r for r in everything["rate_limits"]}

        def owner(of):
            return {"rate_limit": rates[of["rate_limit_id"]] if "rate_limit_id" in of else None,
                    **({"budgets": of["budgets"]} if "budgets" in of else {})}

        key = everything["virtual_keys"][0]
        self.put(f"{KEYS}/vk", {**owner(key), "team_id": key.get("team_id")})
        for team in everything["teams"]:
            self.put(f"{TEAMS}/{team['id']}", owner(team))
        for provider in everything["providers"] or [{}]:
            self.put("/api/governance/providers/openai", owner(provider))
        model = self.gw.request(path=MODELS)[2]["model_configs"][0]
        for config in everything["model_configs"] or [{}]:
            self.put(f"{MODELS}/{model['id']}", owner(config))

    def put(self, path, body):
        wait_for(f"PUT {path}", lambda: put(self.gw, path, body) in (200, 201), every=0.1)

    def change(self, **rules):
        self.write(**rules)
        self.placed()


@pytest.fixture
def api_house(gateway, mockllm):  # noqa: F811
    made = []

    def make():
        made.append(ApiHouse(gateway, mockllm()))
        return made[-1]
    yield make
    for one in made:
        one.pool.shutdown()


def test_windows_and_ids_that_come_back(api_house):
    h = api_house()
    h.ask_all(1)
    for change in ({"window": "2d"}, {"window": "1d"}, {"budget": "b"}, {"budget": "a"}, {"team": "t2"}, {"team": "t1"},
                   {"provider": False, "models": False}, {"provider": True, "models": True}):
        h.change(**change)
        h.ask_all(1)
        h.agreed()


def test_requests_that_run_while_limits_come_and_go(api_house):
    h = api_house()
    h.change(team_limit=False, provider=False)
    running = h.begin(3)
    h.change(team_limit=True, provider=True, window="2d", budget="b", most={"rate-team": 3})
    assert {r.result() for r in running} == {200}
    assert h.agreed()[(*TEAM, "requests")] == 3
    assert h.ask() == 429
    h.change(most={})
    running = h.begin(2)
    h.change(team_limit=False)
    h.ask_all(1)
    h.change(team_limit=True)
    assert {r.result() for r in running} == {200}
    h.agreed()
    h.admits_exactly("rate-team", TEAM, 1)


def test_any_sequence_of_changes_and_kills(api_house):
    any_sequence(api_house())
