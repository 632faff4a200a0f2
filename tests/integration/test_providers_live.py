"""Providers, their keys and what is accepted of clients change while the gateway serves: on all workers when the change is
answered, without an error for anybody, and kept over restarts; no key stands anywhere in clear."""

import contextlib
import json
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway import BUILD, wait_for
from supervised import is_sanitized
from test_api import KEYS, SEALED, ask
from upstreams import fake, fo  # noqa: F401

PROVIDERS = "/api/providers"
CANARY = "sk-canary-7f3e9a51c2d84b60"
OTHER = "sk-other-5d1e8c7b6a4f2930"


def live(up, value=CANARY, name="live", **more):
    return {"name": name, "network_config": {"base_url": up.url}, "keys": [{"name": f"{name} key", "value": value}], **more}


def chat(gw, model="live/m", headers=None, **more):
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
    return gw.request("POST", "/v1/chat/completions", body, headers=headers)


def statuses(gw, model="live/m", n=12, **kw):
    """One request on each of n connections: they are spread over the workers."""
    with ThreadPoolExecutor(n) as pool:
        return set(pool.map(lambda _: chat(gw, model, **kw)[0], range(n)))


def sent_keys(up):
    return {r["headers"]["authorization"].removeprefix("Bearer ") for r in up.requests}


def written(path):
    """What of a file was ever written: the segment is large and mostly is not."""
    with open(path, "rb") as f:
        end, at, found = f.seek(0, os.SEEK_END), 0, []
        with contextlib.suppress(OSError):  # no data behind it
            while at < end:
                start = f.seek(at, os.SEEK_DATA)
                at = f.seek(start, os.SEEK_HOLE)
                f.seek(start)
                found.append(f.read(at - start))
        return b"".join(found)


def places_of(gw, text):
    """Files of the node in which a text stands."""
    files = (p for folder in (gw.folder, gw.runtime) for p in Path(folder).rglob("*") if p.is_file() and p != gw.file)
    return {p.name for p in files if text.encode() in written(p)}


class Load:
    """Requests of several clients all the time; how they went."""

    def __init__(self, gw, model="live/m", clients=4):
        self.gw, self.model, self.end, self.seen = gw, model, threading.Event(), []
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]

    def run(self):
        while not self.end.is_set():
            self.seen.append(chat(self.gw, self.model)[0])

    def __enter__(self):
        for t in self.threads:
            t.start()
        wait_for("requests", lambda: len(self.seen) > 8)
        return self

    def __exit__(self, *_):
        self.end.set()
        for t in self.threads:
            t.join()


def test_a_provider_from_creation_to_its_end(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=3, config=SEALED).start()
    assert statuses(gw, n=2) == {400}
    made = ask(gw, "POST", PROVIDERS, live(up), 201)["provider"]
    assert made["version"] == 1 and made["keys"][0]["value_hint"] == "…" + CANARY[-4:] and "value" not in made["keys"][0]
    # Whoever has the answer can use it on every worker at once.
    assert statuses(gw) == {200} and sent_keys(up) == {CANARY}
    assert [p["name"] for p in ask(gw, "GET", PROVIDERS)["providers"]] == ["mock", "live"]
    again = ask(gw, "POST", PROVIDERS, live(up), 409)
    assert again["error"]["type"] == "already_exists"
    # What was shown goes back without harm.
    shown = ask(gw, "GET", f"{PROVIDERS}/live")["provider"]
    shown["keys"][0]["value"] = shown["keys"][0]["value_hint"]
    changed = ask(gw, "PUT", f"{PROVIDERS}/live", shown)["provider"]
    assert changed["version"] == 2 and changed["keys"] == made["keys"]
    assert statuses(gw) == {200} and sent_keys(up) == {CANARY}
    ask(gw, "DELETE", f"{PROVIDERS}/live", {"expected_version": 1}, 409)
    ask(gw, "DELETE", f"{PROVIDERS}/live")
    assert statuses(gw) == {400}
    ask(gw, "GET", f"{PROVIDERS}/live", status=404)


def test_keys_of_a_provider(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=2, config=SEALED).start()
    ask(gw, "POST", PROVIDERS, live(up), 201)
    keys = f"{PROVIDERS}/live/keys"
    first = ask(gw, "GET", keys)["keys"][0]
    assert first["value_hint"] == "…" + CANARY[-4:]
    other = ask(gw, "POST", keys, {"name": "other", "value": OTHER, "weight": 3}, 201)["key"]
    assert ask(gw, "POST", keys, {"name": "other", "value": "x"}, 409)["error"]["type"] == "duplicate"
    assert ask(gw, "POST", f"{PROVIDERS}/mock/keys", {"name": "other", "value": "x"}, 409)["error"]["type"] == "duplicate"
    ask(gw, "POST", keys, {"name": "third", "value": "x", "vllm_key_config": {"url": "http://127.0.0.1:1"}}, 400)
    ask(gw, "PUT", f"{keys}/{first['id']}", {"enabled": False})
    assert statuses(gw) == {200} and sent_keys(up) == {OTHER}
    assert ask(gw, "GET", f"{keys}/{other['id']}")["key"]["weight"] == 3
    ask(gw, "PUT", f"{keys}/{other['id']}", {"models": ["n"]})
    assert statuses(gw, n=4) == {400} and statuses(gw, "live/n", n=4) == {200}
    assert {"name": "n", "provider": "live"} in ask(gw, "GET", "/api/models")["models"]
    ask(gw, "DELETE", f"{keys}/{first['id']}")
    ask(gw, "DELETE", f"{keys}/{first['id']}", status=404)
    assert [(k["provider"], k["name"]) for k in ask(gw, "GET", "/api/keys")["keys"]] == [("live", "other")]


def test_a_key_is_rotated_under_load(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=2, config=SEALED).start()
    key = ask(gw, "POST", PROVIDERS, live(up), 201)["provider"]["keys"][0]
    with Load(gw) as load:
        for n in range(8):
            ask(gw, "PUT", f"{PROVIDERS}/live/keys/{key['id']}", {"value": f"{OTHER}-{n}"})
            begun = len(up.requests)
            time.sleep(0.1)
            # Who begins behind the answer never meets the one before; each client may have begun one before it.
            sent = [r["headers"]["authorization"] for r in up.requests[begun:]]
            assert sum(value != f"Bearer {OTHER}-{n}" for value in sent) <= len(load.threads)
    assert set(load.seen) == {200}


def test_streams_end_with_the_provider_that_they_began_with(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=1, config=SEALED).start()
    go_on = threading.Event()

    def slow(wire, _):
        wire.send(fo.stream()[:200])
        go_on.wait(60)
        wire.send(fo.stream()[200:])

    up.on("slow", slow)
    ask(gw, "POST", PROVIDERS, live(up), 201)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(chat, gw, "live/slow", stream=True)
        wait_for("the stream", lambda: up.asked("slow"))
        ask(gw, "DELETE", f"{PROVIDERS}/live")
        assert statuses(gw, n=2) == {400}
        go_on.set()
        status, _, body = answer.result()
    assert status == 200 and body.endswith(fo.DONE)
    wait_for("its connections to go", lambda: gw.metric("bifrost_upstream_connections") == 0)


def test_who_is_named_stays(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=1, config=SEALED).start()
    key = {"name": "ops", "provider_configs": [{"provider": "live"}]}
    ask(gw, "POST", KEYS, key, 400)
    ask(gw, "POST", PROVIDERS, live(up), 201)
    made = ask(gw, "POST", KEYS, key, 201)["virtual_key"]
    answer = ask(gw, "DELETE", f"{PROVIDERS}/live", status=409)
    assert answer["error"]["type"] == "in_use" and made["id"] in answer["error"]["message"]
    ask(gw, "DELETE", f"{KEYS}/{made['id']}")
    ask(gw, "DELETE", f"{PROVIDERS}/live")


def test_it_is_the_same_after_a_restart(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=2, config=SEALED).start()
    before = ask(gw, "POST", PROVIDERS, live(up), 201)["provider"]
    ask(gw, "PUT", "/api/config", {"client_config": {"required_headers": ["x-team"]}})
    gw.stop()
    gw.start()
    assert ask(gw, "GET", f"{PROVIDERS}/live")["provider"] == before
    assert statuses(gw) == {400} and statuses(gw, headers={"x-team": "a"}) == {200}
    assert sent_keys(up) == {CANARY}


def test_the_file_and_the_api(gateway, fake):  # noqa: F811
    up, other = fake(), fake()
    file = {"filed": {"network_config": {"base_url": up.url}, "keys": [{"name": "k", "value": CANARY}]}}
    gw = gateway(workers=2, config={**SEALED, "providers": file}).start()
    assert statuses(gw, "filed/m") == {200} and len(up.requests) == 12
    shown = ask(gw, "GET", f"{PROVIDERS}/filed")["provider"]
    assert shown["from_file"] is True
    # What the API says counts until the file says something else.
    ask(gw, "PUT", f"{PROVIDERS}/filed", {"network_config": {"base_url": other.url}})
    gw.ctl("reload")
    gw.stop()
    gw.start()
    assert statuses(gw, "filed/m") == {200} and len(other.requests) == 12
    gw.config["providers"]["filed"]["keys"][0]["value"] = OTHER
    gw.file.write_text(json.dumps(gw.config))
    gw.ctl("reload")
    assert statuses(gw, "filed/m") == {200} and sent_keys(up) == {CANARY, OTHER}
    del gw.config["providers"]["filed"]
    gw.file.write_text(json.dumps(gw.config))
    gw.ctl("reload")
    assert statuses(gw, "filed/m") == {400}


def test_without_an_encryption_key_the_file_alone_has_secrets(gateway, fake):  # noqa: F811
    up = fake()
    file = {"filed": {"network_config": {"base_url": up.url}, "keys": [{"name": "k", "value": CANARY}]}}
    gw = gateway(workers=2, config={"providers": file}).start()
    assert statuses(gw, "filed/m") == {200}
    answer = ask(gw, "POST", PROVIDERS, live(up), 409)
    assert answer["error"]["type"] == "encryption_key_missing" and "encryption_key" in answer["error"]["message"]
    ask(gw, "POST", f"{PROVIDERS}/filed/keys", {"name": "more", "value": OTHER}, 409)
    gw.stop()
    assert places_of(gw, CANARY) == set()


def test_what_is_accepted_of_clients(gateway):
    gw = gateway(workers=2).start()
    put = lambda status=200, **c: ask(gw, "PUT", "/api/config", {"client_config": c}, status)  # noqa: E731
    assert statuses(gw, "mock/m") == {200}
    put(required_headers=["x-team"])
    assert statuses(gw, "mock/m") == {400} and statuses(gw, "mock/m", headers={"x-team": "a"}) == {200}
    put(required_headers=None, enforce_auth_on_inference=True)
    assert statuses(gw, "mock/m") == {401}
    shown = ask(gw, "GET", "/api/config")["client_config"]
    assert shown["enforce_auth_on_inference"] is True and shown["required_headers"] == []
    put(enforce_auth_on_inference=False, max_request_body_size_mb="1KiB")
    assert chat(gw, "mock/m", pad="x" * 2000)[0] == 413
    put(400, enable_logging=False)
    put(400, max_request_body_size_mb="1GB")
    put(400, required_headers=["not a header"])
    ask(gw, "PUT", "/api/config", {"server": {}}, 400)


def test_one_that_cannot_be_opened_stops_nobody(gateway):
    gw = gateway(workers=1, config=SEALED).start()
    bad = {"name": "bad", "keys": [{"name": "b", "value": "v"}], "network_config": {"base_url": "https://h.test", "ca_cert_pem": "none"}}
    assert "ca_cert_pem" in ask(gw, "POST", PROVIDERS, bad, 400)["error"]["message"]
    for body in ({"name": "Bad Name", "network_config": {"base_url": "http://127.0.0.1:1"}}, {"name": "nowhere"}, {"keys": []},
                 {"name": "x", "keys": [{"name": "k", "value": "env.HOME"}], "network_config": {"base_url": "http://127.0.0.1:1"}}):
        ask(gw, "POST", PROVIDERS, body, 400)
    assert statuses(gw, "mock/m", n=4) == {200}


def dumpable(pid):
    """(start, end, name) of private memory that a core file would hold."""
    at, resident = [], 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            at = words
        elif words[0] == "Rss:":
            resident = int(words[1])
        elif words[0] == "VmFlags:" and "dd" not in words and resident and at[1].startswith("rw-p"):
            start, end = (int(n, 16) for n in at[0].split("-"))
            yield start, end, at[5] if len(at) > 5 else ""


def places_in_core(pid, text):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, name in dumpable(pid):
            memory.seek(start)
            if text.encode() in memory.read(end - start):
                yield f"{start:x} {name}"


def test_a_key_stands_nowhere_in_clear(gateway, fake):  # noqa: F811
    up = fake()
    file = {"filed": {"network_config": {"base_url": up.url, "extra_headers": {"x-org": CANARY}},
                      "keys": [{"name": "filed", "value": CANARY + "3"}]}}
    gw = gateway(workers=2, config={**SEALED, "providers": file}).start()
    up.on("fails", b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    with subprocess.Popen([BUILD / "bifrostctl", "trace"], env=gw.env, stdout=subprocess.PIPE, text=True) as trace:
        ask(gw, "POST", PROVIDERS, live(up), 201)
        ask(gw, "POST", f"{PROVIDERS}/live/keys", {"name": "two", "value": CANARY + "2"}, 201)
        answers = [chat(gw, "live/fails"), chat(gw), chat(gw, "filed/m"), gw.request("POST", f"{PROVIDERS}/live/keys", {"name": "n", "value": CANARY, "no": 1}),
                   gw.request("POST", PROVIDERS, live(up, name="Bad Name")),
                   *(gw.request(path=p) for p in ("/metrics", "/health", "/api/config", "/api/keys", "/api/logs", PROVIDERS))]
        trace.terminate()
        traced = trace.stdout.read()
    assert "entity_change" in traced
    for text in (str(answers), traced, gw.ctl("status")):
        assert CANARY not in text
    assert places_of(gw, CANARY) == set()
    if not is_sanitized():  # which keeps what was freed
        found = {text: [p for pid in gw.pids().values() for p in places_in_core(pid, text)] for text in (CANARY, f"127.0.0.1:{gw.port}")}
        assert found[CANARY] == [] and len(found) == 2 and all(v for k, v in found.items() if k != CANARY)
    gw.stop()
    assert places_of(gw, CANARY) == set()
