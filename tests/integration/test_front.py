"""The side that clients see: TLS and its reload, CORS, ids and traces, memory of connections that wait."""

import contextlib
import http.client
import json
import re
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway import wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from fake_openai import Authority  # noqa: E402

CHAT = "/v1/chat/completions"


def body_of(text="hello", **more):
    return json.dumps({"model": "mock/m", "messages": [{"role": "user", "content": text}], **more})


def metric(gw, name, **kw):
    text = ask(gw, path="/metrics", **kw)[2].decode()
    return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])


class Tls:
    """A gateway with a certificate of its own, and clients that trust its authority."""

    def __init__(self, gateway, folder, **kw):
        self.authority = Authority(folder)
        self.cert, self.key = self.authority.issue("one", "IP:127.0.0.1")
        config = kw.pop("config", {})
        config.setdefault("server", {})["tls"] = {"cert": f"file.{self.cert}", "key": f"file.{self.key}"}
        self.gw = gateway(config=config, **kw)
        self.context = ssl.create_default_context(cadata=self.authority.pem)

    def replace(self, name):
        """Another certificate in the place of the old one."""
        for new, old in zip(self.authority.issue(name, "IP:127.0.0.1"), (self.cert, self.key), strict=True):
            old.write_bytes(new.read_bytes())


@pytest.fixture
def tls(gateway, tmp_path):
    made = Tls(gateway, tmp_path, workers=2)
    made.gw.start()
    return made


@contextlib.contextmanager
def wire(tls, context=None, session=None):
    with socket.create_connection(("127.0.0.1", tls.gw.port), timeout=60) as raw:
        with (context or tls.context).wrap_socket(raw, server_hostname="127.0.0.1", session=session) as s:
            yield s


def ask(gw, method="GET", path="/live", body=None, headers=None, context=None):
    kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
    connection = kind("127.0.0.1", gw.port, timeout=60, **({"context": context} if context else {}))
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def name_of(tls):
    with wire(tls) as s:
        return dict(part[0] for part in s.getpeercert()["subject"])["commonName"]


# ---------------------------------------------------------------- TLS


def test_tls_serves_all_of_it(tls):
    """Plain answers, streams, 5 MB each way, many requests on one connection, one byte a record."""
    connection = http.client.HTTPSConnection("127.0.0.1", tls.gw.port, timeout=60, context=tls.context)
    for i in range(20):
        connection.request("POST", CHAT, body_of(f"n{i}"))
        assert json.loads(connection.getresponse().read())["choices"][0]["message"]["content"] == f"n{i}"
    text = "word " * 1_000_000
    connection.request("POST", CHAT, body_of(text))
    assert json.loads(connection.getresponse().read())["choices"][0]["message"]["content"] == text
    connection.request("POST", CHAT, body_of("a b c d", stream=True))
    assert connection.getresponse().read().endswith(b"data: [DONE]\n\n")
    connection.close()
    with wire(tls) as s:
        s.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        f = s.makefile("rb")
        for _ in range(100):
            while f.readline() != b"\r\n":
                pass
            assert f.read(17) == b'{"status":"live"}'
        for byte in b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n":
            s.sendall(bytes([byte]))
        assert f.readline() == b"HTTP/1.1 200 OK\r\n"
    assert metric(tls.gw, "bifrost_tls_handshakes_total", context=tls.context) >= 3


def test_tls_slow_reader(tls):
    """More than every buffer between us, read late."""
    text = "word " * 1_000_000
    body = body_of(text)
    with wire(tls) as s:
        s.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        time.sleep(0.5)
        assert ask(tls.gw, context=tls.context)[0] == 200
        answer = http.client.HTTPResponse(s)
        answer.begin()
        assert json.loads(answer.read())["choices"][0]["message"]["content"] == text


def limited(tls, **kw):
    context = ssl.create_default_context(cadata=tls.authority.pem)
    for key, value in kw.items():
        setattr(context, key, value)
    return context


def test_tls_versions_and_alpn(tls):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with wire(tls, limited(tls, minimum_version=version, maximum_version=version)) as s:
            assert s.version() == version.name.replace("v1_", "v1.")
    both = limited(tls)
    both.set_alpn_protocols(["h2", "http/1.1"])
    with wire(tls, both) as s:
        assert s.selected_alpn_protocol() == "http/1.1"
    only = limited(tls)
    only.set_alpn_protocols(["h2"])
    with pytest.raises(OSError), wire(tls, only) as s:
        s.recv(1)


def test_tls_tickets_are_good_at_every_worker(tls):
    """One ticket after the other, whichever worker the connection comes to."""
    session = None
    for i in range(12):
        with wire(tls, session=session) as s:
            s.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while s.recv(65536):
                pass
            assert s.session_reused == (i > 0)
            session = s.session


def test_plain_http_on_the_tls_port(tls):
    status, headers, body = ask(tls.gw)
    assert (status, headers["Connection"]) == (400, "close")
    assert json.loads(body)["error"]["message"] == "this port speaks TLS: use https://"


def test_tls_handshakes_that_fail_or_stop(gateway, tmp_path):
    """Garbage is closed, silence is closed after header_timeout, both are counted; others are served all the while."""
    tls = Tls(gateway, tmp_path, workers=1, config={"server": {"header_timeout": "3s"}})
    tls.gw.start()
    with socket.create_connection(("127.0.0.1", tls.gw.port), timeout=60) as garbage:
        garbage.sendall(b"\x16\x03\x01\x00\x05hello and more")
        with contextlib.suppress(ConnectionResetError):
            while garbage.recv(65536):
                pass
    silent = [socket.create_connection(("127.0.0.1", tls.gw.port), timeout=60) for _ in range(50)]
    for s in silent[:25]:
        s.sendall(b"\x16\x03\x01")
    assert ask(tls.gw, context=tls.context)[0] == 200
    for s in silent:
        assert s.recv(100) == b""
        s.close()
    assert metric(tls.gw, "bifrost_tls_handshake_errors_total", context=tls.context) == 51


def test_a_new_certificate_after_reload(tls):
    """It is served as soon as reload returns, and no connection is refused meanwhile."""
    assert name_of(tls) == "one"
    stop, done, failed = threading.Event(), [0], []

    def clients():
        while not stop.is_set():
            try:
                assert ask(tls.gw, "POST", CHAT, body_of(), context=tls.context)[0] == 200
                done[0] += 1
            except Exception as e:  # noqa: BLE001
                failed.append(repr(e))

    threads = [threading.Thread(target=clients) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for name in ("two", "three"):
            before = done[0]
            tls.replace(name)
            tls.gw.ctl("reload")
            assert {name_of(tls) for _ in range(20)} == {name}
            wait_for("further requests", lambda before=before: done[0] > before + 20)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert failed == []


def test_a_wrong_pair_is_refused_by_name(gateway, tmp_path):
    """At start, and at reload, which leaves the good one in place."""
    tls = Tls(gateway, tmp_path, workers=1)
    tls.gw.start()
    other = tls.authority.issue("other", "IP:127.0.0.1")[1]
    good = tls.key.read_bytes()
    tls.key.write_bytes(other.read_bytes())
    assert tls.gw.ctl("reload", check=False).returncode != 0
    assert name_of(tls) == "one"
    broken = gateway(workers=1, config={"server": {"tls": {"cert": f"file.{tls.cert}", "key": f"file.{other}"}}}).spawn()
    wait_for("the reason", lambda: "server.tls.key: does not belong to the first certificate of server.tls.cert" in broken.log())
    assert "READY=1" not in broken.told
    tls.key.write_bytes(good)
    tls.gw.ctl("reload")
    assert name_of(tls) == "one"


# ---------------------------------------------------------------- CORS


def test_cors_of_one_origin(gateway):
    gw = gateway(workers=1, config={"client": {"allowed_origins": ["https://app.example.com"], "allowed_headers": ["x-mine"]}})
    gw.start()
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-stainless-os, x-other"}
    for origin in ("https://app.example.com", "http://localhost:5173"):
        status, headers, body = ask(gw, "OPTIONS", CHAT, headers={"Origin": origin, **asked})
        assert (status, body) == (204, b"")
        assert headers["Access-Control-Allow-Origin"] == origin and headers["Vary"] == "Origin"
        assert headers["Access-Control-Max-Age"] == "86400" and "POST" in headers["Access-Control-Allow-Methods"]
        granted = headers["Access-Control-Allow-Headers"].split(", ")
        assert {"authorization", "content-type", "x-mine", "x-stainless-os"} <= set(granted) and "x-other" not in granted
        for method, path, sent, code in (("POST", CHAT, body_of(), 200), ("POST", CHAT, body_of(stream=True), 200),
                                         ("POST", CHAT, "{", 400), ("GET", "/nowhere", None, 404)):
            status, headers, _ = ask(gw, method, path, sent, {"Origin": origin})
            assert status == code and headers["Access-Control-Allow-Origin"] == origin, (path, sent)
            assert "x-request-id" in headers["Access-Control-Expose-Headers"]
    status, headers, body = ask(gw, "OPTIONS", CHAT, headers={"Origin": "https://evil.example", **asked})
    assert status == 403 and "client.allowed_origins" in json.loads(body)["error"]["message"]
    assert "Access-Control-Allow-Origin" not in headers
    assert ask(gw, "POST", CHAT, body_of(), {"Origin": "https://evil.example"})[1]["Access-Control-Allow-Origin"] is None
    assert ask(gw, "OPTIONS", CHAT)[1]["Allow"]


def test_cors_by_default(gateway):
    gw = gateway(workers=1).start()
    status, headers, _ = ask(gw, "POST", CHAT, body_of(), {"Origin": "https://anyone.example"})
    assert (status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (200, "*", None)
    assert ask(gw, "POST", CHAT, body_of())[1]["Access-Control-Allow-Origin"] is None


# ---------------------------------------------------------------- ids, traces, memory


def test_every_answer_has_an_id_and_a_trace(gateway):
    gw = gateway(workers=1).start()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    seen = set()
    for method, path, sent in (("POST", CHAT, body_of()), ("POST", CHAT, body_of(stream=True)), ("POST", CHAT, "{"),
                               ("GET", "/live", None), ("GET", "/nowhere", None)):
        _, headers, _ = ask(gw, method, path, sent)
        seen.add(headers["X-Request-Id"])
        assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00", headers["traceparent"])
        _, headers, _ = ask(gw, method, path, sent, {"X-Request-Id": "mine", "traceparent": trace})
        assert headers["X-Request-Id"] == "mine"
        assert re.fullmatch(trace[:36] + r"(?!00f067aa0ba902b7)[0-9a-f]{16}-01", headers["traceparent"])
        assert len(headers.get_all("X-Request-Id")) == len(headers.get_all("traceparent")) == 1
    assert len(seen) == 5 and all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", i) for i in seen)


def anonymous_bytes(pid):
    return 1024 * int(re.search(r"^Pss_Anon:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])


def sanitized(pid):
    return "asan" in Path(f"/proc/{pid}/maps").read_text()


def test_memory_of_idle_connections(gateway):
    """1,000 connections that had a request each and wait for the next: less than 2 KB each."""
    gw = gateway(workers=1).start()
    pid, body = gw.pids()["proxyd.0"], body_of("x" * 1000)
    lines = "".join(f"X-Header-{i}: some value of it\r\n" for i in range(12))
    request = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    held = []

    def serve(count):
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", gw.port), timeout=60)
            held.append(s)
            s.sendall(request)
            answer = http.client.HTTPResponse(s)
            answer.begin()
            assert answer.status == 200 and answer.read()

    serve(20)
    before = anonymous_bytes(pid)
    serve(1000)
    each = (anonymous_bytes(pid) - before) / 1000
    for s in held:
        s.close()
    # Sanitizers keep what was freed for a while; there it says nothing.
    assert sanitized(pid) or each < 2048, each
