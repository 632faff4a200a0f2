"""Whose rows are: those of the worker's plan at admission, by whole ids, whatever happens before the row is written."""

import concurrent.futures
import contextlib
import json
import os
import signal
import sqlite3

from books import agreed, secret, wait_for_meters
from gateway import wait_for

HI = [{"role": "user", "content": "hello"}]
RATE = {"id": "r", "request_max_limit": 1000, "request_reset_duration": "1d", "token_max_limit": 10**6, "token_reset_duration": "1d"}
PRICES = [{"name": "all", "match_type": "wildcard", "pattern": "*",
           "pricing_patch": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}}]
ID = 63 * "x"  # and one letter more: the longest there is


def governance(keys, **names):
    return {"rate_limits": [RATE], "pricing_overrides": PRICES,
            "customers": [{"id": "c", "name": "acme", "rate_limit_id": "r"}],
            "teams": [{"id": ID + "1", "name": names.get("first", "blue"), "rate_limit_id": "r", "customer_id": "c"},
                      {"id": ID + "2", "name": "red", "rate_limit_id": "r"}],
            "virtual_keys": [{"value": secret(i), **key} for i, key in enumerate(keys)]}


def key(letter, **more):
    return {"id": ID + letter, "name": f"key {letter}", **more}


def ask(gw, i):
    return gw.request("POST", "/v1/chat/completions", {"model": "mock/m", "messages": HI, "max_tokens": 10}, headers={"x-bf-vk": secret(i)})


def change(gw, rules):
    gw.config["governance"] = rules
    gw.file.write_text(json.dumps(gw.config, indent=1))
    gw.ctl("reload")


def owners(gw, count):
    """(key, team, its name, customer, its name) of each row."""
    def look():
        with contextlib.closing(sqlite3.connect(gw.state / "logs.db")) as db:
            return db.execute("SELECT virtual_key_id, virtual_key_name, team_id, team_name, customer_id, customer_name FROM logs "
                              "ORDER BY timestamp").fetchall()
    return wait_for("rows", lambda: look() if len(look()) == count else None)


def test_ids_that_begin_alike(gateway):
    name = 128 * "n"
    gw = gateway(workers=1, config={"governance": governance([key("a", team_id=ID + "1"), key("b", team_id=ID + "2"),
                                                              key("c", customer_id="c", name=name)])}).start()
    wait_for_meters(gw, 6)
    for i in (0, 1, 1, 2):
        assert ask(gw, i)[0] == 200
    a, b, c = ((ID + "a", "key a", ID + "1", "blue", "c", "acme"), (ID + "b", "key b", ID + "2", "red", None, None),
               (ID + "c", name, None, None, "c", "acme"))
    assert owners(gw, 4) == [a, b, b, c]
    agreed(gw)


def test_a_key_that_goes_to_another_team(gateway):
    """While a request runs: its row is of the team whose meters it moved, under the name of today."""
    gw = gateway(workers=1, config={"providers": {"mock": {"mock_config": {"latency": "3s"}}},
                                    "governance": governance([key("a", team_id=ID + "1")])}).start()
    wait_for_meters(gw, 6)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = pool.submit(ask, gw, 0)
        wait_for("it runs", lambda: gw.metric("bifrost_requests_in_flight"))
        change(gw, governance([key("a", team_id=ID + "2")], first="azure"))
        assert ask(gw, 0)[0] == runs.result()[0] == 200
    assert owners(gw, 2) == [(ID + "a", "key a", ID + "1", "azure", "c", "acme"), (ID + "a", "key a", ID + "2", "red", None, None)]
    agreed(gw)


def test_rows_of_a_killed_worker(gateway):
    """The sweep knows whose they are although the configuration of today does not know the key."""
    gw = gateway(workers=1, config={"providers": {"mock": {"mock_config": {"latency": "20s"}}},
                                    "governance": governance([key("a", team_id=ID + "1")])}).start()
    wait_for_meters(gw, 6)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(ask, gw, 0) for _ in range(3)]
        wait_for("they run", lambda: gw.metric("bifrost_requests_in_flight") == 3)
        worker = gw.pids()["proxyd.0"]
        change(gw, governance([key("b")]))
        os.kill(worker, signal.SIGKILL)
        concurrent.futures.wait(runs)
    assert owners(gw, 3) == [(ID + "a", "key a", ID + "1", "blue", "c", "acme")] * 3
    agreed(gw)
