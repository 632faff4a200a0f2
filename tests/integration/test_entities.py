"""What the management API changed, by real processes: it outlives whoever is killed while it is stored, published or
answered, the file's word and the API's do not undo each other, and a node without its store serves."""

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest
from gateway import wait_for

KEYS = "/api/governance/virtual-keys"
TEAMS = "/api/governance/teams"
CHAT = {"model": "mock/m", "messages": [{"role": "user", "content": "hi"}]}
ENCRYPTION = {"encryption_key": "0123456789abcdef0123456789abcdef"}


def ask(gw, method, path, body=None, status=200):
    got, _, answer = gw.request(method, path, body)
    assert got == status, f"{method} {path}: {got} {answer}"
    return answer


def chat(gw, value):
    return gw.request("POST", "/v1/chat/completions", CHAT, headers={"x-bf-vk": value})[0]


def rewrite(gw, **governance):
    gw.config["governance"] = governance
    gw.file.write_text(json.dumps(gw.config))
    gw.ctl("reload")


def test_keys_outlive_their_node(gateway):
    gw = gateway(workers=1).start()
    team = ask(gw, "POST", TEAMS, {"name": "blue"}, 201)["team"]
    limit = {"request_max_limit": 2, "request_reset_duration": "1h"}
    made = ask(gw, "POST", KEYS, {"name": "ops", "team_id": team["id"], "rate_limit": limit}, 201)["virtual_key"]
    gone = ask(gw, "POST", KEYS, {"name": "gone"}, 201)["virtual_key"]
    ask(gw, "DELETE", f"{KEYS}/{gone['id']}")
    assert made["value"].encode() not in (gw.state / "config.db").read_bytes()
    assert gw.stop() == 0
    gw.start()
    # Its limits have meters from the start on.
    assert [chat(gw, made["value"]) for _ in range(3)] == [200, 200, 429]
    assert chat(gw, gone["value"]) == 401
    assert ask(gw, "GET", f"{KEYS}/{made['id']}")["virtual_key"]["version"] == made["version"]


def test_the_file_and_the_api_do_not_undo_each_other(gateway):
    key = {"id": "k", "name": "ops", "value": "the-value-of-ops"}
    gw = gateway(workers=1, config={"governance": {"virtual_keys": [key], "teams": [{"id": "t", "name": "blue"}]}}).start()
    assert chat(gw, key["value"]) == 200
    ask(gw, "PUT", f"{KEYS}/k", {"is_active": False})
    made = ask(gw, "POST", KEYS, {"name": "mine", "team_id": "t"}, 201)["virtual_key"]
    # A reload that says the same of this key says nothing new.
    rewrite(gw, virtual_keys=[key], teams=[{"id": "t", "name": "navy"}])
    assert (chat(gw, key["value"]), chat(gw, made["value"])) == (403, 200)
    assert ask(gw, "GET", f"{TEAMS}/t")["team"]["name"] == "navy"
    # What the file says anew counts; who names what is gone is blocked, and told.
    rewrite(gw, virtual_keys=[{**key, "description": "again"}])
    assert (chat(gw, key["value"]), chat(gw, made["value"])) == (200, 403)
    wait_for("health", lambda: "they name what does not exist" in json.dumps(gw.request()[2]))
    ask(gw, "PUT", f"{KEYS}/{made['id']}", {"team_id": None})
    assert chat(gw, made["value"]) == 200


def test_a_file_with_too_many_limits_beside_the_apis(gateway):
    """Every request would meet more than can be decided at once: the reload is refused, and what was in force stays."""
    def budgets(count):
        return [{"max_limit": 1, "reset_duration": f"{n + 1}h"} for n in range(count)]

    gw = gateway(workers=1, config={"governance": {"providers": [{"name": "mock", "budgets": budgets(15)}]}}).start()
    ask(gw, "POST", "/api/governance/model-configs", {"model_name": "gpt", "budgets": budgets(25)}, 201)
    file = gw.file.read_text()
    gw.config["governance"]["providers"][0]["budgets"] = budgets(16)
    gw.file.write_text(json.dumps(gw.config))
    refused = gw.ctl("reload", check=False)
    assert refused.returncode != 0 and "writerd" in refused.stderr + refused.stdout
    assert "meets 41 limits, and at most 40 can be decided at once: remove some of" in gw.events("file_refused")[0]
    made = wait_for("writerd", lambda: gw.request("POST", KEYS, {"name": "ops"})[2].get("virtual_key"))
    assert chat(gw, made["value"]) == 403  # it is known, and mock/m has no price
    gw.file.write_text(file)
    gw.ctl("reload")
    wait_for("health", lambda: gw.request()[2]["status"] == "ok")


def change_until(gw, stop, books):
    """Creates keys one after the other; books: id -> value when it was answered, None when nobody knows."""
    number = 0
    while not stop.is_set():
        number += 1
        name = f"{threading.get_ident()}-{number}"
        books[name] = None
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, _, answer = gw.request("POST", KEYS, {"id": name, "name": name})
            if status == 201:
                books[name] = answer["virtual_key"]["value"]
            else:
                assert status in (503, 504), answer


def test_nothing_that_was_answered_is_lost_when_writerd_is_killed(gateway):
    gw = gateway(workers=2).start()
    stop, books = threading.Event(), {}
    threads = [threading.Thread(target=change_until, args=(gw, stop, books)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        writerd = gw.steady("writerd")
        time.sleep(random.uniform(0, 0.1))
        os.kill(writerd, signal.SIGKILL)
    wait_for("answers", lambda: sum(value is not None for value in list(books.values())) > 10)
    stop.set()
    for thread in threads:
        thread.join()
    answered = {name: value for name, value in books.items() if value}
    for value in answered.values():
        assert chat(gw, value) == 200
    # Who was not answered finds it whole, or not at all.
    for name in set(books) - set(answered):
        status, _, answer = gw.request("GET", f"{KEYS}/{name}")
        assert status in (200, 404)
        assert status == 404 or answer["virtual_key"]["version"] == 1
    assert ask(gw, "GET", f"{KEYS}?limit=1")["total_count"] >= len(answered)


def fill(path):
    """What is left of its disk, to the last byte."""
    with open(path, "wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2


@pytest.mark.skipif(os.geteuid() != 0, reason="a small tmpfs needs root")
def test_a_start_with_a_full_disk(gateway):
    """No encryption_key, so no copy: store and file are in force as they are, and stored when there is room."""
    keys = [{"id": f"k{n}", "name": f"k{n}", "value": f"the-value-of-k{n}"} for n in range(3)]
    gw = gateway(workers=1, config={"governance": {"virtual_keys": keys[:2]}})
    gw.state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "bifrost-test", gw.state], check=False).returncode:
        pytest.skip("no right to mount")
    try:
        gw.start()
        ask(gw, "DELETE", f"{KEYS}/k1")
        made = ask(gw, "POST", KEYS, {"name": "mine"}, 201)["virtual_key"]
        assert gw.stop() == 0
        fill(gw.state / "fill")
        gw.config["governance"]["virtual_keys"] = keys
        gw.file.write_text(json.dumps(gw.config))
        gw.start()
        values = [*(key["value"] for key in keys), made["value"]]
        assert [chat(gw, value) for value in values] == [200, 401, 200, 200]
        refused = gw.request("POST", KEYS, {"name": "b"})
        assert refused[0] == 503 and "disk" in json.dumps(refused[2])
        wait_for("health", lambda: "the config store cannot be used" in json.dumps(gw.request()[2]))
        assert "store and file, not stored" in gw.ctl("status")
        (gw.state / "fill").unlink()
        wait_for("the store", lambda: gw.request("POST", KEYS, {"name": "b"})[0] == 201, every=0.5)
        assert [chat(gw, value) for value in values] == [200, 401, 200, 200]
        wait_for("health", lambda: gw.request()[2]["status"] == "ok", every=0.5)
        assert gw.stop() == 0
    finally:
        subprocess.run(["umount", "-l", gw.state], check=True)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_node_without_its_store(gateway, sealed):
    gw = gateway(workers=1, config=ENCRYPTION if sealed else {}).start()
    made = ask(gw, "POST", KEYS, {"name": "ops"}, 201)["virtual_key"]
    copy = gw.state / "snapshot.last"
    if sealed:
        # It is written once a minute at most: the first one may be of before the key.
        assert gw.stop() == 0
        copy.unlink(missing_ok=True)
        gw.start()
        wait_for("the copy", copy.exists)
    assert gw.stop() == 0
    config_db = gw.state / "config.db"
    whole = config_db.read_bytes()
    for left in gw.state.glob("config.db-*"):
        left.unlink()
    config_db.write_bytes(b"no database" * 100)
    gw.start()
    assert chat(gw, made["value"]) == (200 if sealed else 503)
    assert gw.request("POST", KEYS, {"name": "b"})[0] == 503
    wait_for("health", lambda: "the config store cannot be used" in json.dumps(gw.request()[2]))
    config_db.write_bytes(whole)
    wait_for("the store", lambda: gw.request("POST", KEYS, {"name": "b"})[0] == 201, every=0.5)
    assert chat(gw, made["value"]) == 200
