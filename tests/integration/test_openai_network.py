"""The way to OpenAI-compatible providers: time limits, connections, names, TLS."""

import contextlib
import json
import socket
import ssl
import threading
import time

import pytest

from gateway import free_port, wait_for
from upstreams import (BODY, JSON, ask, authority, datas, error_type, fake, fo, open_stream, pair, rows,  # noqa: F401
                       tls_pair)


# ---- time


def test_a_silent_upstream(pair):
    gw, up = pair(network={"default_request_timeout_in_seconds": 1})
    gone = []
    up.on("m", lambda w, _: gone.append(w.gone(10)))
    began = time.monotonic()
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (504, "upstream_timeout") and 0.9 < time.monotonic() - began
    wait_for("closed", lambda: gone)
    assert gone == [True]


def test_a_trickle_does_not_outlast_the_timeout(pair):
    gw, up = pair(network={"default_request_timeout_in_seconds": 1})
    up.on("m", lambda w, _: w.trickle(fo.plain(b" " * 500 + BODY), 0.01))
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (504, "upstream_timeout")
    assert rows(gw)[0]["http_status"] == 504


def test_a_silent_stream(pair):
    gw, up = pair(network={"stream_idle_timeout_in_seconds": 3})

    def act(wire, _):
        said = fo.events(usage=False)
        wire.send(fo.SSE_HEAD)
        for e in said[:3]:
            time.sleep(1.1)  # each within the timeout, together beyond it
            wire.send(fo.chunked(e))
        wire.gone(20)

    up.on("m", act)
    began = time.monotonic()
    body = ask(gw, stream=True)[2]
    assert 6 < time.monotonic() - began
    events = datas(body)
    assert len(events) == 4 and json.loads(events[-1])["error"]["code"] == "upstream_timeout"
    assert rows(gw)[0]["truncated"] == 1


def test_bytes_that_are_no_events_are_silence(pair):
    gw, up = pair(network={"stream_idle_timeout_in_seconds": 1})
    up.on("m", lambda w, _: w.send(fo.SSE_HEAD) or w.trickle(fo.chunked(*[b"d"] * 3000), 0.002))
    status, _, body = ask(gw, stream=True)
    assert (status, error_type(body)) == (504, "upstream_timeout")


def test_nobody_listens(pair):
    gw, _ = pair(network={"base_url": f"http://127.0.0.1:{free_port()}"})
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (502, "upstream_connect_failed") and "refused" in body["error"]["message"]


def test_a_connect_that_hangs(pair):
    """A listener whose queue is full answers no SYN."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        stuffing = []
        for _ in range(3):
            s = socket.socket()
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                s.connect(("127.0.0.1", port))
            stuffing.append(s)
        time.sleep(0.2)
        gw, _ = pair(network={"base_url": f"http://127.0.0.1:{port}", "default_request_timeout_in_seconds": 2})
        status, _, body = ask(gw)
        assert (status, error_type(body)) == (504, "upstream_connect_timeout")
        for s in stuffing:
            s.close()


# ---- connections


def test_idle_connections_are_shared_and_newest_first(pair):
    gw, up = pair()
    gate = threading.Barrier(4)

    def meet(wire, _):
        gate.wait(60)
        wire.send(fo.plain())

    up.on("meet", meet)
    threads = [threading.Thread(target=ask, args=(gw, "meet")) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert up.connections == 4
    for _ in range(5):
        assert ask(gw)[0] == 200
    assert up.connections == 4 and len({r["connection"] for r in up.asked("m")}) == 1


def test_a_fresh_connection_is_not_tried_again(pair):
    gw, up = pair()
    up.on("m", lambda w, _: w.reset())
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (502, "upstream_closed")
    assert len(up.requests) == 1


def test_a_kept_connection_that_answered_a_byte_is_not_tried_again(pair):
    gw, up = pair()
    assert ask(gw, "warm")[0] == 200
    up.on("m", fo.cut(b"HTTP/1.1 2"))
    assert error_type(ask(gw)[2]) == "upstream_closed"
    assert len(up.asked("m")) == 1


def test_a_connection_that_closes_while_idle(pair):
    gw, up = pair()
    seen = []

    def act(wire, _):
        wire.send(fo.plain())
        wire.sock.shutdown(socket.SHUT_WR)
        seen.append(wire.gone(60))

    up.on("m", act)
    for n in range(3):
        assert ask(gw)[0] == 200
        wait_for("its end to be seen", lambda n=n: len(seen) == n + 1)
    assert seen == [True] * 3
    assert [r["connection"] for r in up.requests] == [1, 2, 3]
    assert {r["number_of_retries"] for r in rows(gw, 3)} == {0}


# ---- names


def test_localhost_needs_no_name_server(pair, fake):
    up = fake()
    gw, _ = pair(network={"base_url": f"http://localhost:{up.port}"}, upstream=up)
    assert ask(gw)[0] == 200
    assert up.requests[0]["headers"]["host"] == f"localhost:{up.port}"


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0"])
def test_addresses_that_are_never_called(pair, host):
    gw, _ = pair(network={"base_url": f"http://{host}:80"})
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (502, "upstream_address_refused")


# ---- TLS


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls(pair, fake, authority, host, version):
    def only(context):
        context.minimum_version = context.maximum_version = version

    gw, up = tls_pair(pair, fake, authority, host=host, tls=only)
    for _ in range(2):
        assert ask(gw)[2] == json.loads(BODY)
        assert ask(gw, stream=True)[2] == b"".join(fo.events(usage=False)) + fo.DONE
    assert up.connections == 1
    text = "0123456789abcdef" * 100_000
    assert ask(gw, messages=[{"role": "user", "content": text}])[0] == 200
    assert up.requests[-1]["json"]["messages"][0]["content"] == text


def test_tls_tickets_are_used_again(pair, fake, authority):
    gw, up = tls_pair(pair, fake, authority)
    up.on("m", fo.plain(BODY, 200, "application/json", "Connection: close"))
    for _ in range(3):
        assert ask(gw)[0] == 200
    assert up.handshakes == [False, True, True]


@pytest.mark.parametrize("case,why", [
    ({"names": "DNS:elsewhere.example"}, "IP address mismatch"),
    ({"names": "DNS:elsewhere.example", "host": "localhost"}, "hostname mismatch"),
    ({"days": "-1"}, "expired"),
    ({"self_signed": True}, "self-signed"),
    ({"trust": ""}, "issuer"),
])
def test_certificates_that_are_refused(pair, fake, authority, case, why):
    gw, up = tls_pair(pair, fake, authority, **case)
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (502, "upstream_tls_failed"), body
    assert why.lower() in body["error"]["message"].lower()
    assert not up.requests


def test_tls_to_a_server_that_speaks_none(pair, authority):
    def answer(sock):
        sock.recv(1000)
        sock.sendall(fo.head(400, "Connection: close"))
        sock.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: answer(listener.accept()[0]), daemon=True).start()
        gw, _ = pair(network={"base_url": f"https://127.0.0.1:{listener.getsockname()[1]}",
                              "ca_cert_pem": authority.pem})
        status, _, body = ask(gw)
    assert (status, error_type(body)) == (502, "upstream_tls_failed")


def test_a_tls_stream_that_is_held_goes_on(pair, fake, authority):
    gw, up = tls_pair(pair, fake, authority)
    words = [f"{i:06d}" + "z" * 4000 for i in range(3000)]
    up.on("m", fo.stream(words))
    with open_stream(gw) as s:
        time.sleep(1)
        got = bytearray()
        while b"0\r\n\r\n" not in got[-16:]:
            more = s.recv(1 << 20)
            assert more
            got += more
    assert got.count(b'"content": "0') == len(words) and b"[DONE]" in got


def test_a_tls_body_cut_without_goodbye(pair, fake, authority):
    """A body that ends with the connection is only whole when TLS says so."""
    gw, up = tls_pair(pair, fake, authority)

    def act(wire, _):
        wire.send(fo.head(200, JSON) + BODY)
        time.sleep(0.05)
        raw = socket.socket(fileno=wire.sock.detach())
        raw.shutdown(socket.SHUT_RDWR)
        raw.close()
        raise ConnectionError  # nothing is left to read from

    up.on("m", act)
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (502, "upstream_closed")


def test_a_bad_certificate_text_stops_the_start(gateway):
    gw = gateway(workers=1, config={"providers": {"openai": {
        "keys": [{"name": "k", "value": "v"}], "network_config": {"base_url": "https://127.0.0.1:1",
                                                                   "ca_cert_pem": "no certificate"}}},
        "supervisor": {"ready_timeout": "5s"}})
    gw.spawn()
    wait_for("the reason", lambda: "ca_cert_pem: no certificate" in gw.log())
