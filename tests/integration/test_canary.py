"""Secrets stay where they belong: in everything that a gateway writes, says or would leave in a core file there is none of them.
Every other test looks too, when its gateway closes (gateway.py); here are the ways on which one might get out."""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from urllib.parse import quote

import pytest

import canary
from gateway import BUILD, wait_for
from supervised import is_sanitized
from upstreams import fake, fo  # noqa: F401

KEYS = "/api/governance/virtual-keys"
CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "one two three"}]


class House:
    """A gateway with a secret of every kind, each of which was used in every way that there is."""

    def __init__(self, gateway, up):
        self.up = up
        self.admin, self.provider, self.key, self.api = (canary.made_up(f"sk-bf-{name}")
                                                         for name in ("admin", "provider", "key", "api"))
        self.header, self.seal = canary.made_up("header"), canary.made_up("seal", 40)
        self.gw = gateway(workers=2, env={"CANARY_HEADER": self.header}, config={
            "encryption_key": self.seal,
            "providers": {"openai": {"keys": [{"name": "k", "value": self.provider}], "network_config": {
                "base_url": up.url, "max_retries": 0, "extra_headers": {"x-extra": "env.CANARY_HEADER"}}}},
            "governance": {
                "auth_config": {"admin_username": "admin", "admin_password": self.admin, "is_enabled": True,
                                "disable_auth_on_inference": True},
                "api_keys": [{"name": "of file", "value": self.api}],
                "virtual_keys": [{"id": "of-file", "name": "of file", "value": self.key, "allow_all_providers": True}]}})
        assert len(self.gw.canaries.names) == 6, self.gw.canaries.names
        self.gw.start()
        self.login = self.basic(self.admin)
        self.gw.login = {"Authorization": self.login}

    def asked(self, method, path, body=None, **headers):
        headers = {"Authorization": self.login, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.gw.request(method, path, body, headers={k: v for k, v in headers.items() if v is not None})

    @staticmethod
    def basic(password):
        return "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()

    def chat(self, model="openai/m", path=CHAT, **headers):
        return self.gw.request("POST", path, {"model": model, "messages": HI, "max_tokens": 5},
                               headers={k.replace("_", "-"): v for k, v in headers.items()})

    def make(self):
        """Keys, a session and an API key: made, used, rotated; the values that are in force now."""
        status, _, made = self.asked("POST", KEYS, {"name": "made", "allow_all_providers": True})
        assert status == 201, made
        made = made["virtual_key"]
        given = canary.made_up("sk-bf-given")
        self.gw.canaries.add(given, "a value that a client gave")
        status, _, answer = self.asked("POST", KEYS, {"name": "given", "value": given, "allow_all_providers": True})
        assert status == 201, answer
        assert self.chat(x_bf_vk=made["value"])[0] == self.chat(x_bf_vk=given)[0] == 200
        status, _, rotated = self.asked("POST", f"{KEYS}/{made['id']}/rotate")
        assert status == 200
        status, _, api = self.asked("POST", "/api/api-keys", {"name": "ci"})
        assert status == 201
        assert self.asked("GET", "/api/api-keys", Authorization=f"Bearer {self.api}")[0] == 200
        # Guesses at the password slow it down, not this.
        self.login = f"Bearer {api['api_key']['value']}"
        status, headers, _ = self.gw.request("POST", "/api/session/login", {"username": "admin", "password": self.admin})
        assert status == 200
        return [rotated["virtual_key"]["value"], given, api["api_key"]["value"],
                headers["Set-Cookie"].split(";")[0].partition("=")[2]]

    def wrong(self, values):
        """Every secret in every place where it does not belong."""
        for value in [*values, self.admin, self.provider, self.key, self.api]:
            for headers in ({"Authorization": f"Bearer {value}"}, {"Authorization": self.basic(value + "x")},
                            {"x_bf_vk": value + "x"}, {"x_api_key": value}, {"x_goog_api_key": value}, {"api_key": value},
                            {"Cookie": f"token={value}"}, {"x_bf_api_key": value}, {"x_bf_vk": value[:-1]}):
                self.chat(**headers)
                self.asked("GET", KEYS, **{"Authorization": None, **headers})
            at = quote(value, safe="")
            for path in (f"/v1/models?key={at}", f"/api/governance/virtual-keys?value={at}", f"/api/nothing/{at}",
                         f"/{at}", f"/api/session/login?password={at}"):
                self.gw.request(path=path)
            for body in ({"name": "x", "value": value, "nothing": value}, {"name": "made", "value": value},
                         {"value": [value]}, {"name": {"value": value}}, f'{{"value": "{value[:9]}'):
                self.asked("POST", KEYS, body)
                self.gw.request("POST", "/api/session/login", body)
            self.asked("PUT", f"{KEYS}/of-file", {"value": value, "expected_version": 99})
            self.asked("PUT", "/api/auth-config", {"admin_username": "admin", "admin_password": value, "is_enabled": 7})

    def look(self):
        """What it says of itself."""
        for path in ("/health", "/v1/models"):
            self.gw.request(path=path)
        for path in ("/metrics", KEYS, f"{KEYS}/of-file", "/api/api-keys", "/api/auth-config", "/api/config", "/api/logs", "/api/version",
                     "/api/governance/explain?virtual_key_id=of-file&model=openai/m", "/api/governance/providers"):
            status, _, answer = self.asked("GET", path)
            assert status == 200, (path, answer)
        for words in (["status"], ["status", "--json"], ["limits"], ["limits", "--json"], ["dump"]):
            self.gw.ctl(*words)

    def live(self):
        """All of it, traced; a reload and a restart between. What is in force then."""
        trace = subprocess.Popen([BUILD / "bifrostctl", "--json", "trace"], env=self.gw.env, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        wait_for("the trace", lambda: self.gw.metric_sum("bifrost_build_info") >= 0)
        try:
            values = self.make()
            # Which takes what is wrong away from those who guess, so what is right comes first.
            assert self.chat(x_bf_vk=self.key)[0] == 200
            self.wrong(values)
            self.gw.ctl("reload")
            self.gw.ctl("restart", "proxyd.0")
            self.look()
            assert self.chat(x_bf_vk=values[0])[0] == 200
        finally:
            trace.send_signal(signal.SIGINT)
            said, _ = trace.communicate(timeout=60)
        assert b"ENTITY_CHANGE" in said.upper() and len(said) > 1000, said[:500]
        self.gw.say("bifrostctl trace", said)
        return values


@pytest.fixture
def house(gateway, fake):  # noqa: F811
    return House(gateway, fake())


# ---- the search itself


def test_the_search_finds_every_form(gateway):
    """A search that finds nothing must have been able to."""
    secret = canary.made_up("sk-planted")
    gw = gateway(config={"providers": {"mock": {"keys": [{"name": "k", "value": secret}]}}})
    gw.state.mkdir(parents=True)
    raw = secret.encode()
    ways = {raw, quote(secret).encode(), quote(secret, safe="").encode(), raw.hex().encode(), json.dumps(secret).encode(),
            *[base64.b64encode(b"a" * n + raw + b"bc") for n in range(4)],
            *[base64.urlsafe_b64encode(b"a" * n + raw + b"bc") for n in range(4)]}
    assert len(ways) >= 8
    for place in (gw.log_path, gw.state / "config.db", gw.runtime / "segment"):
        for way in ways:
            place.write_bytes(b"\0" * 5000 + way + b"\0" * 100)
            assert any("value of k" in leak and place.name in leak for leak in gw.leaks()), (place, way)
        place.write_bytes(raw[:-1] + b"\0" + raw[1:])
        assert gw.leaks() == []
    gw.heard("GET", "/api/x", 200, {}, {"a": [secret]})
    assert len(gw.leaks()) == 1
    gw.said.clear()
    answer = {"virtual_key": {"name": "n", "value": "sk-bf-of-an-answer"}}
    gw.heard("POST", KEYS, 201, {}, answer)
    assert gw.leaks() == []
    gw.heard("GET", KEYS, 200, {}, answer)
    assert len(gw.leaks()) == 1
    gw.said.clear()


def test_a_leak_of_every_kind_is_found(gateway):
    """What the gateway tells on purpose, its names, is looked for as if it were a secret: the search must see every place."""
    gw = gateway(workers=1).start()
    planted = canary.made_up("planted")
    made = {"id": planted, "name": planted, "allow_all_providers": True,
            "rate_limit": {"request_max_limit": 10, "request_reset_duration": "1d"}}
    status, _, answer = gw.request("POST", KEYS, made)
    assert status == 201, answer
    gw.canaries.add(planted, "what was planted")
    vk = {"x-bf-vk": answer["virtual_key"]["value"]}
    assert gw.request("POST", CHAT, {"model": "mock/m", "messages": HI, "max_tokens": 5}, headers=vk)[0] == 200
    wait_for("the row", lambda: gw.request(path="/api/logs")[2]["logs"])
    gw.request(path=KEYS)
    gw.request(path="/metrics")
    assert gw.request("POST", KEYS, {"name": planted})[0] == 409
    gw.ctl("limits")
    found = gw.leaks()
    for place in ("log,", "config.db", "logs.db", f"GET {KEYS},", "GET /metrics,", "GET /api/logs,", f"POST {KEYS},",
                  "bifrostctl limits,"):
        assert any(f"what was planted is in {place}" in leak for leak in found), (place, found)
    gw.canaries.forget(planted)


@pytest.mark.skipif(os.geteuid() != 0, reason="the memory of another process is root's to write")
def test_a_leak_into_memory_is_found(gateway, tmp_path):
    gw = gateway(workers=1).start()
    planted = canary.made_up("planted")
    gw.canaries.add(planted, "what was planted")
    pid = gw.pids()["proxyd.0"]
    assert not [hit for name, data in dumped(pid) for hit in gw.canaries.hits(name, data)]
    maps = open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace").read()
    lowest = int(re.search(r"([0-9a-f]+)-[0-9a-f]+ rw-p .*\[stack\]", maps)[1], 16)
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(lowest)  # nothing has ever been so deep
        memory.write(planted.encode())
    assert [hit for name, data in dumped(pid) for hit in gw.canaries.hits(name, data)]
    core = core_of(pid, tmp_path)
    assert core is None or gw.canaries.hits("the core file", core)
    gw.canaries.forget(planted)


# ---- all that is written and said


def test_nothing_is_written_or_said(house):
    house.live()
    # The copy of what was last in force is made with time.
    house.gw.stop()
    assert {path.name for path in house.gw.files()} >= {"log", "config.db", "logs.db"}


def test_what_a_provider_says_of_its_key(house):
    """A provider that quotes the key it was given must not make clients, rows and logs know it."""
    gw, up = house.gw, house.up

    def quotes(status):
        def behaviour(wire, request):
            said = {"error": {"message": f"wrong key: {request['headers']['authorization']}, {house.header}", "code": "c"}}
            wire.send(fo.plain(json.dumps(said).encode(), status))
        return behaviour
    for status in (400, 401, 403, 429, 500):
        up.on(f"m{status}", quotes(status))
        for path in (CHAT, "/openai/v1/chat/completions"):
            got, _, answer = house.chat(f"openai/m{status}", path, x_bf_vk=house.key)
            assert got >= 400, answer
        up.on("GET", quotes(status))
        got, _, answer = house.asked("POST", "/api/providers/openai/refresh-models")
        assert got == 502 and answer["error"]["message"] == f"the provider answered with status {status}", answer
    assert house.provider in up.requests[-1]["headers"]["authorization"] and up.requests[-1]["line"].startswith("GET ")
    assert house.provider in up.requests[0]["headers"]["authorization"]
    wait_for("the rows", lambda: house.asked("GET", "/api/logs")[2]["logs"])


@pytest.mark.parametrize("where", ["base_url", "encryption_key", "pricing_url", "value", "unknown", "text"])
def test_a_file_that_is_refused(gateway, where):
    secret = canary.made_up("sk-refused")
    provider = {"keys": [{"name": "k", "value": secret}], "network_config": {"base_url": "http://127.0.0.1:1"}}
    config = {"providers": {"openai": provider}, "server": {"listen": ["127.0.0.1:1"]}}
    if where == "base_url":
        provider["network_config"]["base_url"] = f"http://user:{quote(secret, safe='')}@127.0.0.1:1"
    elif where == "encryption_key":
        config["encryption_key"] = {"a": secret}
    elif where == "pricing_url":
        config["framework"] = {"pricing": {"pricing_url": f"ftp://u:{quote(secret, safe='')}@127.0.0.1/x"}}
    elif where == "value":
        provider["keys"] = [{"name": "k", "value": [secret]}, {"name": "k", "value": secret + "\n"}]
    elif where == "unknown":
        provider["keys"][0]["valeu"] = secret
    text = json.dumps(config)
    gw = gateway(text=text[:-20] if where == "text" else text)
    gw.canaries.add(secret, "the secret of a file that is refused")
    code, log = gw.run_to_end()
    assert code != 0 and log, log
    gw.ctl("check", str(gw.file), check=False)


# ---- core files


def kept_out(flags):
    return {"dd", "io"} & set(flags)


def dumped(pid):
    """(name, bytes) of what a core file of that process would hold: every mapping that is not left out, whatever the filter
    of kinds says."""
    name, span = None, None
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace"):
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)", line)
            if head:
                span, name = (int(head[1], 16), int(head[2], 16)), f"{head[4] or 'anonymous'} {head[3]}"
                private, resident = head[3].endswith("p") and head[3].startswith("r"), 0
            elif line.startswith("Rss:"):
                resident = int(line.split()[1])
            elif line.startswith("VmFlags:") and resident and private and not kept_out(line.split()[1:]):
                with contextlib.suppress(OSError):  # [vvar]
                    yield name, read_span(memory, *span)


def read_span(memory, begin, end):
    parts = []
    while begin < end:
        memory.seek(begin)
        part = memory.read(min(end - begin, 1 << 24))
        if not part:
            break
        parts.append(part)
        begin += len(part)
    return b"".join(parts)


def core_of(pid, folder):
    """A core file as gcore writes it, by the process's own filter; None: not here."""
    if not shutil.which("gcore") or is_sanitized():
        return None
    done = subprocess.run(["gcore", "-o", folder / "core", str(pid)], capture_output=True, timeout=120, check=False)
    file = folder / f"core.{pid}"
    return file.read_bytes() if done.returncode == 0 and file.exists() else None


@pytest.mark.skipif(os.geteuid() != 0, reason="the memory of another process is root's to read")
@pytest.mark.skipif(is_sanitized(), reason="a sanitizer keeps what was freed, where nobody leaves it out")
def test_nothing_is_in_core_files(house, tmp_path):
    values = house.live()
    for value in values[:2]:
        assert house.chat(x_bf_vk=value)[0] == 200
    house.asked("GET", KEYS)
    found = []
    for name, pid in house.gw.pids().items():
        total = 0
        for mapping, data in dumped(pid):
            total += len(data)
            found += house.gw.canaries.hits(f"{name}: {mapping}", data)
        assert total > 100_000, (name, total)
        core = core_of(pid, tmp_path)
        if core:
            found += house.gw.canaries.hits(f"the core file of {name}", core)
    assert not found, "secrets would be in core files:\n" + "\n".join(found)
