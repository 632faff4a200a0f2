"""The price sheet that is fetched: from a server that behaves, one that does not, and none; what stays in force meanwhile."""

import contextlib
import json
import os
import signal
import socket
import threading
import time

import pytest

from books import mockllm  # noqa: F401
from gateway import wait_for
from upstreams import authority, rows, server_tls  # noqa: F401

SYNC = "/api/pricing/force-sync"


def sheet(price=1e-6, models=10, **more):
    return {f"p/m{i}": {"mode": "chat", "input_cost_per_token": price, "output_cost_per_token": price}
            for i in range(models)} | more


class Server:
    """act(wire, request) answers each connection; by default with self.sheet, its tag, and 304 for that tag."""

    def __init__(self, tls=None):
        self.sheet, self.act, self.asked, self.tls = sheet(), None, [], tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/sheet.json"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, wire):
        with contextlib.suppress(OSError), wire:
            wire = self.tls.wrap_socket(wire, server_side=True) if self.tls else wire
            request = b""
            while b"\r\n\r\n" not in request:
                request += wire.recv(65536) or b"\r\n\r\n"
            self.asked.append(request.decode())
            (self.act or self.behave)(wire, self.asked[-1])
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_WR)
                wire.recv(1)

    def body(self):
        return json.dumps(self.sheet).encode()

    def behave(self, wire, request):
        tag = f'"{hash(self.body()) & 0xffffffff:x}"'
        if f"If-None-Match: {tag}" in request:
            wire.sendall(f"HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\n\r\n".encode())
            return
        wire.sendall(self.answer(tag))

    def answer(self, tag='"x"'):
        body = self.body()
        return f"HTTP/1.1 200 OK\r\nETag: {tag}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def server():
    s = Server()
    yield s
    with contextlib.suppress(OSError):
        s.close()


def config(url, mock=None, **pricing):
    providers = {"p": {"keys": [{"name": "k", "value": "sk-x"}], "custom_provider_config": {"base_provider_type": "openai"},
                       "network_config": {"base_url": mock.url + "/v1"}}} if mock else {"mock": {}}
    return {"providers": providers, "framework": {"pricing": {"pricing_url": url, **pricing}}}


def synced(gw, times=1):
    wait_for("the sheet", lambda: len(gw.events("price_sheet_synced")) >= times)
    return gw


def force(gw, query=""):
    status, _, body = gw.request("POST", SYNC + query, timeout=60)
    return status, body["error"]["message"] if "error" in body else body


def status_of(gw, name, item):
    items = json.loads(gw.ctl("status", "--json"))
    return next(i["value"] for p in items["processes"] if p["process"] == name for i in p["items"] if i["name"] == item)


def cost(gw, model="p/m1"):
    """Nano-dollars of one request of 7 + 3 tokens; None: no price."""
    status, _, body = gw.chat(model=model)
    assert status == 200, body
    gw.requests = getattr(gw, "requests", 0) + 1
    row = rows(gw, gw.requests)[-1]
    return row["cost"] and round(row["cost"] * 10**9)


def test_fetched_changed_and_not_changed(gateway, mockllm, server):  # noqa: F811
    gw = synced(gateway(workers=2, config=config(server.url, mockllm("--default", "words=7/3"))).start())
    assert cost(gw) == 10 * 1000
    server.sheet = sheet(2e-6, models=3000, **{"p/picture": {"mode": "image_generation"}})
    status, body = force(gw)
    assert status == 200 and body == {"message": "the price sheet is in force", "models": 3000, "skipped": 1}
    # In force means on every worker at once.
    assert [cost(gw) for _ in range(4)] == [20 * 1000] * 4
    assert cost(gw, "p/m2999") == 20 * 1000
    assert force(gw) == (200, {"message": "the price sheet has not changed"})
    assert "If-None-Match: " in server.asked[-1] and "If-None-Match" not in server.asked[0]
    wait_for("the numbers", lambda: gw.metric("bifrost_price_sync_models") == 3000)
    assert gw.metric("bifrost_price_sync_skipped") == 1 and gw.metric("bifrost_price_syncs_total") == 3
    assert abs(gw.metric("bifrost_price_sync_timestamp_seconds") - time.time()) < 60
    # Fewer pieces than before: nothing is left of the others.
    server.sheet = sheet(3e-6, models=1600)
    assert force(gw)[0] == 200
    assert cost(gw) == 30 * 1000 and cost(gw, "p/m2999") is None


def test_one_that_is_bad_changes_nothing(gateway, mockllm, server):  # noqa: F811
    server.sheet = sheet(models=100)
    gw = synced(gateway(workers=1, config=config(server.url, mockllm("--default", "words=7/3"))).start())
    whole = server.answer()
    head = whole.index(b"\r\n\r\n") + 4

    def says(data):
        return lambda wire, _: wire.sendall(data)

    def sheet_of(value):
        return b"HTTP/1.1 200 OK\r\n\r\n" + (value if isinstance(value, bytes) else json.dumps(value).encode())

    def huge(wire, _):
        wire.sendall(b"HTTP/1.1 200 OK\r\n\r\n{")
        with contextlib.suppress(OSError):
            for _ in range(40):
                wire.sendall(b" " * (1 << 20))

    cases = [
        (says(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), "status 500"),
        (says(b"HTTP/1.1 304 Not Modified\r\n\r\n".replace(b"304", b"204")), "status 204"),
        (says(f"HTTP/1.1 302 There\r\nLocation: {server.url}\r\nContent-Length: 0\r\n\r\n".encode()), "3 redirects"),
        (says(b"HTTP/1.1 302 There\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"), "must be https"),
        (huge, "too large"),
        (says(sheet_of(b"{")), "not JSON"), (says(sheet_of(b"")), "not JSON"), (says(sheet_of([])), "must be a JSON object"),
        (says(sheet_of(b'{"a": "\xff"}')), "not UTF-8"),
        (says(sheet_of({"p/m": {"input_cost_per_token": -1}})), 'entry "p/m"'),
        (says(sheet_of({})), "no model"), (says(sheet_of({"x": {"mode": "rerank"}})), "no model"),
        (says(sheet_of(sheet(models=49))), "has 49 models where it had 100"),
        *[(says(whole[:at]), "") for at in (0, 1, 9, 16, head - 2, head, head + 1, len(whole) // 2, len(whole) - 1)],
    ]
    for act, told in cases:
        server.act = act
        status, message = force(gw)
        assert status == 502 and told in message, (told, message)
        assert gw.children()["reader"]["restarts"] == 0
    assert cost(gw) == 10 * 1000
    assert gw.metric("bifrost_price_sync_failures_total") == len(cases)
    # A person may say that it is right.
    server.act, server.sheet = None, sheet(5e-6, models=49)
    assert force(gw)[0] == 502
    assert force(gw, "?accept_smaller=true")[0] == 200
    assert cost(gw) == 50 * 1000


def test_a_restart_without_network(gateway, mockllm, server):  # noqa: F811
    mock = mockllm("--default", "words=7/3")
    gw = synced(gateway(workers=1, config=config(server.url, mock)).start())
    server.close()
    assert gw.stop() == 0
    gw.start()
    assert cost(gw) == 10 * 1000
    # It was looked at within the interval, so nobody is asked and nothing is wrong.
    assert not gw.events("price_sync_failed")
    assert force(gw)[0] == 502
    assert "price_sync_failed" in gw.log() and cost(gw) == 10 * 1000
    os.kill(gw.pid_of("writerd"), signal.SIGKILL)
    wait_for("another writerd", lambda: gw.children()["writerd"]["restarts"] == 1)
    assert cost(gw) == 10 * 1000
    # Without the key it goes.
    conf = gw.config
    del conf["framework"]
    gw.file.write_text(json.dumps(conf))
    gw.ctl("reload")
    wait_for("no price", lambda: cost(gw) is None)
    assert force(gw)[0] == 409


def test_overrides_before_it_and_the_file_behind_it(gateway, mockllm, server, tmp_path):  # noqa: F811
    own = tmp_path / "own.json"
    own.write_text(json.dumps({name: {"input_cost_per_token": 4e-6, "output_cost_per_token": 4e-6}
                               for name in ("p/m1", "p/m2", "p/old")}))
    conf = config(server.url, mockllm("--default", "words=7/3"), pricing_file=str(own))
    conf["governance"] = {"pricing_overrides": [{"name": "o", "pattern": "m2", "pricing_patch": {
        "input_cost_per_token": 9e-6, "output_cost_per_token": 9e-6}}]}
    gw = synced(gateway(workers=1, config=conf).start())
    assert [cost(gw, m) for m in ("p/m1", "p/m2", "p/m3", "p/old", "p/none")] == [10000, 90000, 10000, 40000, None]


def test_a_request_keeps_the_price_that_it_was_admitted_with(gateway, mockllm, server):  # noqa: F811
    gw = synced(gateway(workers=1, config=config(server.url, mockllm("--default", "words=7/3;latency_ms=1500"))).start())
    slow = threading.Thread(target=gw.chat, kwargs={"model": "p/m1"})
    slow.start()
    wait_for("it is admitted", lambda: gw.metric("bifrost_requests_in_flight") == 1)
    server.sheet = sheet(2e-6)
    assert force(gw)[0] == 200
    slow.join()
    assert round(rows(gw, 1)[0]["cost"] * 10**9) == 10 * 1000
    gw.requests = 1
    assert cost(gw) == 20 * 1000


def test_a_server_that_is_silent_holds_nobody_up(gateway, server):
    gw = synced(gateway(workers=1, config=config(server.url)).start())
    held, told = threading.Event(), []
    server.act = lambda wire, _: held.wait(60)
    asker = threading.Thread(target=lambda: told.append(force(gw)))
    asker.start()
    wait_for("the question", lambda: len(server.asked) == 2)
    for _ in range(5):
        began = time.monotonic()
        assert gw.request(path="/api/logs")[0] == 200 and gw.chat()[0] == 200
        assert time.monotonic() - began < 8
    asker.join()
    assert told == [(202, {"message": "the price sheet is still being fetched"})]
    # The reader dies in the middle of it: the next one needs nothing of it.
    os.kill(gw.pid_of("reader"), signal.SIGKILL)
    wait_for("another reader", lambda: gw.children()["reader"]["restarts"] == 1)
    held.set()
    server.act, server.sheet = None, sheet(3e-6)
    wait_for("an answer", lambda: force(gw)[0] == 200)


def test_nothing_of_it_ever_came(gateway):
    """A server that is not there: the installed sheet counts, and it is told."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
    gw = gateway(workers=1, config=config(url)).start()
    wait_for("a failure", lambda: gw.events("price_sync_failed"))
    assert gw.chat()[0] == 200
    assert gw.metric("bifrost_price_sync_timestamp_seconds") == 0
    assert "no sheet came yet" in gw.ctl("status") and "price_sync_last_error" in gw.ctl("status")


def test_a_file(gateway, mockllm, tmp_path):  # noqa: F811
    file = tmp_path / "a sheet" / "prices.json"
    file.parent.mkdir()
    file.write_text(json.dumps(sheet()))
    url = f"file://{file}".replace(" ", "%20")
    gw = synced(gateway(workers=1, config=config(url, mockllm("--default", "words=7/3"))).start())
    assert cost(gw) == 10 * 1000
    assert force(gw) == (200, {"message": "the price sheet has not changed"})
    file.write_text(json.dumps(sheet(2e-6)))
    assert force(gw)[0] == 200 and cost(gw) == 20 * 1000
    file.unlink()
    assert force(gw)[0] == 502 and cost(gw) == 20 * 1000


def test_https(gateway, mockllm, authority):  # noqa: F811
    trusted = Server(server_tls(*authority.issue("prices", "IP:127.0.0.1")))
    other = Server(server_tls(*authority.issue("elsewhere", "IP:127.0.0.9")))
    env = {"SSL_CERT_FILE": str(authority.folder / "ca.pem")}
    mock = mockllm("--default", "words=7/3")
    try:
        gw = synced(gateway(workers=1, config=config(trusted.url, mock), env=env).start())
        assert cost(gw) == 10 * 1000
        for conf, with_env in ((config(other.url), env), (config(trusted.url), {"SSL_CERT_FILE": None})):
            gw = gateway(workers=1, config=conf, env=with_env).start()
            wait_for("a refusal", lambda: gw.events("price_sync_failed"))
            assert "certificate" in gw.events("price_sync_failed")[0] and not gw.events("price_sheet_synced")
    finally:
        trusted.close()
        other.close()
