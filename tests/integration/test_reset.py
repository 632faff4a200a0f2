"""What was used is forgiven, and budgets are raised for a time: by the management API, exactly, on every worker, and so that no
restart and no kill makes more or less of it."""

import contextlib
import http.client
import json
import os
import random
import signal
import threading

from books import agreed, meters
from gateway import wait_for
from test_limits_live import CHAT, KEYS, TEAMS, ask, requests

# A request costs half a dollar, whatever it is.
PRICES = {"governance": {"pricing_overrides": [
    {"name": "all", "match_type": "wildcard", "pattern": "*", "pricing_patch": {
        "input_cost_per_token": 0, "output_cost_per_token": 0, "cost_per_request": 0.5}}]}}


def budget(most, window="1d"):
    return {"id": "b", "max_limit": most, "reset_duration": window}


def spend(gw, value, n):
    """The statuses of n requests, each on a connection of its own."""
    return [gw.request("POST", "/v1/chat/completions", CHAT, headers={"x-bf-vk": value})[0] for _ in range(n)]


def cost_of(gw, owner_id):
    return next(m for m in meters(gw) if m["owner_id"] == owner_id and m["quantity"] == "cost")


def lose_segment(gw):
    gw.kill_supervisor()
    for file in gw.runtime.iterdir():
        if file.is_file():
            file.unlink()


def test_what_was_used_is_forgiven(gateway):
    gw = gateway(workers=2, config=PRICES).start()
    key = ask(gw, "POST", KEYS, {"name": "ops", "budgets": [budget(1.5)]}, 201)["virtual_key"]
    path = f"{KEYS}/{key['id']}"
    assert spend(gw, key["value"], 4) == [200] * 3 + [402]
    answer = ask(gw, "POST", f"{path}/reset-usage")
    assert [(r["limit_id"], r["quantity"], r["forgiven"]) for r in answer["reset"]] == [("b", "cost", 1.5)]
    shown = ask(gw, "GET", path)["virtual_key"]
    assert shown["version"] == 1 and shown["budgets"][0]["current_usage"] == shown["budgets"][0]["held"] == 0
    assert spend(gw, key["value"], 4) == [200] * 3 + [402]
    # Kills and losses: it is neither forgotten nor done again.
    writerd = gw.pid_of("writerd")
    os.kill(writerd, signal.SIGKILL)
    wait_for("another writerd", lambda: gw.pids().get("writerd", writerd) != writerd)
    wait_for("what was used", lambda: reads(lambda: cost_of(gw, key["id"])["used"]) == 1_500_000_000)
    assert spend(gw, key["value"], 1) == [402]
    lose_segment(gw)
    gw.start()
    wait_for("the meters", lambda: reads(lambda: all(m["placed"] for m in meters(gw))))
    assert cost_of(gw, key["id"])["used"] == 1_500_000_000
    assert spend(gw, key["value"], 1) == [402]
    ask(gw, "POST", f"{path}/reset-usage")
    agreed(gw)
    assert spend(gw, key["value"], 4) == [200] * 3 + [402]
    agreed(gw)
    told = gw.events("usage_reset")[-1]
    assert "actor=\"local\"" in told and f'owner_id="{key["id"]}" limit_id="b" quantity=cost' in told
    assert told.endswith("forgiven=1.5"), told


def reads(look):
    """None while writerd is being replaced."""
    with contextlib.suppress(AssertionError, StopIteration):
        return look()
    return None


def test_limits_of_all_kinds(gateway):
    """Requests of a team and money of a key, one alone and all of an owner; rows stay what they were."""
    gw = gateway(workers=2, config=PRICES).start()
    team = ask(gw, "POST", TEAMS, {"name": "blue", "rate_limit": requests(2)}, 201)["team"]
    key = ask(gw, "POST", KEYS, {"name": "ops", "team_id": team["id"], "budgets": [budget(2)],
                                 "rate_limit": requests(6)}, 201)["virtual_key"]
    assert spend(gw, key["value"], 3) == [200, 200, 429]
    path = f"{TEAMS}/{team['id']}/reset-usage"
    assert ask(gw, "POST", path)["reset"][0]["forgiven"] == 2
    assert ask(gw, "POST", path)["reset"][0]["forgiven"] == 0
    # The key's budget comes before the team's requests.
    assert spend(gw, key["value"], 3) == [200, 200, 402]
    ask(gw, "POST", path)
    assert spend(gw, key["value"], 1) == [402]
    path = f"{KEYS}/{key['id']}/reset-usage"
    assert [r["quantity"] for r in ask(gw, "POST", f"{path}?limit_id=b")["reset"]] == ["cost"]
    assert spend(gw, key["value"], 3) == [200, 200, 429]
    assert sorted(r["forgiven"] for r in ask(gw, "POST", path)["reset"]) == [1, 6]
    assert ask(gw, "POST", f"{path}?limit_id=x", status=404)
    ask(gw, "POST", f"{path}?expected_version=9", status=409)
    ask(gw, "POST", f"{KEYS}/nobody/reset-usage", status=404)
    wait_for("the rows", lambda: gw.request(path="/api/logs?status=success")[2]["pagination"]["total_count"] == 6)


def post(gw, path):
    try:
        return gw.request("POST", path)[0]
    except (OSError, http.client.HTTPException):
        return 0


def test_writerd_is_killed_while_usage_is_reset(gateway):
    gw = gateway(workers=2, config=PRICES).start()
    key = ask(gw, "POST", KEYS, {"name": "ops", "budgets": [budget(1)]}, 201)["virtual_key"]
    for _ in range(4):
        assert spend(gw, key["value"], 3) == [200, 200, 402]
        writerd = gw.steady("writerd")
        killer = threading.Timer(random.uniform(0, 0.01), os.kill, (writerd, signal.SIGKILL))
        killer.start()
        wait_for("the reset", lambda: post(gw, f"{KEYS}/{key['id']}/reset-usage") == 200, every=0.05)
        killer.join()
    assert spend(gw, key["value"], 3) == [200, 200, 402]


def test_a_raised_budget_until_its_window_ends(gateway):
    gw = gateway(workers=2, config=PRICES).start()
    key = ask(gw, "POST", KEYS, {"name": "ops", "budgets": [budget(1, "8s")]}, 201)["virtual_key"]
    path = f"{KEYS}/{key['id']}/budgets/b/override"

    def window():
        return cost_of(gw, key["id"])["start_ms"]

    first = window()
    wait_for("a new window", lambda: window() != first, every=0.02)
    assert spend(gw, key["value"], 3) == [200, 200, 402]
    answer = ask(gw, "PUT", path, {"amount": 1, "cycles": 1})
    assert answer["effective_max_limit"] == 2 and answer["budget"]["override_amount"] == 1
    assert spend(gw, key["value"], 3) == [200, 200, 402]
    shown = ask(gw, "GET", f"{KEYS}/{key['id']}")["virtual_key"]["budgets"][0]
    assert shown["effective_max_limit"] == 2 and shown["override_cycles_remaining"] == 1
    assert shown["override_ends_at"] == shown["window_end"] and shown["max_limit"] == 1
    limit = cost_of(gw, key["id"])
    assert (limit["max"], limit["extra"], limit["left"], limit["extra_end_ms"]) == (
        2 * 10**9, 10**9, 0, limit["end_ms"])
    assert "override $1.000000000 until 2" in gw.ctl("limits")
    # It is over with the window, and nobody asked.
    wait_for("its end", lambda: gw.events("override_ended"), every=0.02)
    assert spend(gw, key["value"], 3) == [200, 200, 402]
    shown = ask(gw, "GET", f"{KEYS}/{key['id']}")["virtual_key"]["budgets"][0]
    assert shown["effective_max_limit"] == 1 and shown["override_cycles_remaining"] == 0
    assert cost_of(gw, key["id"])["max"] == 10**9


def test_a_raised_budget_over_restarts(gateway):
    gw = gateway(workers=2, config=PRICES).start()
    key = ask(gw, "POST", KEYS, {"name": "ops", "budgets": [budget(1)]}, 201)["virtual_key"]
    path = f"{KEYS}/{key['id']}/budgets/b/override"
    ask(gw, "PUT", path, {"amount": 0.5, "mode": "forever"})
    assert spend(gw, key["value"], 4) == [200] * 3 + [402]
    lose_segment(gw)
    gw.start()
    wait_for("the meters", lambda: reads(lambda: all(m["placed"] for m in meters(gw))))
    assert spend(gw, key["value"], 1) == [402]
    assert cost_of(gw, key["id"])["max"] == 1_500_000_000
    # Another maximum, and what is on top of it stays.
    ask(gw, "PUT", f"{KEYS}/{key['id']}", {"budgets": [{"max_limit": 2, "reset_duration": "1d"}]})
    assert spend(gw, key["value"], 3) == [200, 200, 402]
    assert ask(gw, "DELETE", path)["effective_max_limit"] == 2
    ask(gw, "DELETE", path, status=404)
    assert cost_of(gw, key["id"])["max"] == 2 * 10**9
    assert spend(gw, key["value"], 1) == [402]
    ask(gw, "PUT", path, {"amount": 1, "cycles": 1, "expected_version": 1}, status=409)
    assert gw.events("budget_override")[0].endswith("amount=0.5 effective_max_limit=1.5")
    agreed(gw)
    assert json.loads(gw.ctl("limits", "--json"))["limits"][0]["extra"] == 0
