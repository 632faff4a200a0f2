"""OpenAI-compatible providers against scripted upstreams: what goes out, what comes back, and what may go wrong."""

import contextlib
import json
import socket
import sqlite3
import ssl
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway import free_port, wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import fake_openai as fo  # noqa: E402

PATH = "/openai/v1/chat/completions"
KEY = "sk-test-0123456789"


@pytest.fixture
def fake():
    made = []

    def make(**kw):
        made.append(fo.FakeOpenAI(**kw))
        return made[-1]

    yield make
    for f in made:
        f.close()


@pytest.fixture
def pair(fake, gateway):
    """(gateway, upstream); network: merged into network_config, provider: into the provider."""

    def make(network=None, provider=None, upstream=None, workers=1):
        up = upstream or fake()
        conf = {"keys": [{"name": "first", "value": KEY}], "network_config": {"base_url": up.url, **(network or {})},
                **(provider or {})}
        return gateway(workers=workers, config={"providers": {"openai": conf}}).start(), up

    return make


def ask(gw, model="m", **more):
    return gw.request("POST", PATH, {"model": f"openai/{model}", "messages": [{"role": "user", "content": "hi"}], **more})


def rows(gw, count=1, columns="*"):
    def look():
        with contextlib.closing(sqlite3.connect(f"file:{gw.state / 'logs.db'}?mode=ro", uri=True, timeout=5)) as db:
            db.row_factory = sqlite3.Row
            found = [dict(r) for r in db.execute(f"SELECT {columns} FROM logs ORDER BY inc_number")]
            return found if len(found) >= count else None

    found = wait_for(f"{count} rows", look)
    assert len(found) == count
    return found


def datas(body):
    return [e[6:] for e in body.decode().split("\n\n") if e.startswith("data: ")]


def error_type(body):
    """Our name of an error: its code in OpenAI's shape."""
    return body["error"]["code"]


# ---- what goes out


def test_the_request_is_spliced_not_rewritten(pair):
    gw, up = pair()
    body = b'{ "temperature":1.50,\n "model" : "openai\\/g\\u0070t" , "messages":[{"role":"user","content":"\\u00e4"}], "x":[1e2] }'
    status, _, answer = gw.request("POST", PATH, body)
    assert status == 200 and answer == json.loads(fo.completion())
    sent = up.requests[0]
    assert sent["line"] == "POST /v1/chat/completions HTTP/1.1"
    assert sent["body"] == body.replace(b'"openai\\/g\\u0070t"', b'"gpt"')
    assert sent["headers"]["authorization"] == f"Bearer {KEY}"
    assert sent["headers"]["host"] == f"127.0.0.1:{up.port}"
    assert sent["headers"]["accept-encoding"] == "identity"
    row = rows(gw)[0]
    assert (row["status"], row["provider"], row["model"], row["selected_key_name"], row["http_status"]) == (
        "success", "openai", "gpt", "first", 200)
    assert (row["prompt_tokens"], row["completion_tokens"], row["cached_read_tokens"], row["estimated"]) == (11, 7, 4, 0)
    assert KEY not in gw.log()


@pytest.mark.parametrize("base,path", [("", "/v1/chat/completions"), ("/v1", "/v1/chat/completions"),
                                       ("/v1/", "/v1/chat/completions"), ("/api", "/api/v1/chat/completions"),
                                       ("/v1beta/openai", "/v1beta/openai/chat/completions")])
def test_base_urls(pair, fake, base, path):
    up = fake()
    gw, _ = pair(network={"base_url": up.url + base}, upstream=up)
    assert ask(gw)[0] == 200
    assert up.requests[0]["line"].split()[1] == path


@pytest.mark.parametrize("options,sent", [
    (None, {"include_usage": True}), ({}, {"include_usage": True}), ({"a": 1}, {"include_usage": True, "a": 1}),
    ({"include_usage": False}, {"include_usage": True}), ({"include_usage": True}, {"include_usage": True})])
def test_usage_is_asked_for_and_hidden_again(pair, options, sent):
    gw, up = pair()
    more = {} if options is None else {"stream_options": options}
    status, headers, body = ask(gw, stream=True, **more)
    assert status == 200 and headers["Content-Type"] == "text/event-stream"
    assert up.requests[0]["json"]["stream_options"] == sent
    wanted = bool(options) and options.get("include_usage") is True
    assert body == b"".join(fo.events(usage=wanted)) + fo.DONE
    row = rows(gw)[0]
    assert (row["prompt_tokens"], row["completion_tokens"], row["stream"], row["estimated"]) == (11, 7, 1, 0)


def test_a_large_body_arrives_whole(pair):
    gw, up = pair()
    text = "0123456789abcdef" * 500_000
    assert ask(gw, messages=[{"role": "user", "content": text}])[0] == 200
    assert up.requests[0]["json"]["messages"][0]["content"] == text


def test_keys_by_model_and_by_weight(pair):
    keys = [{"name": "heavy", "value": "a", "weight": 3, "models": ["m", "only-heavy"]},
            {"name": "light", "value": "b", "weight": 1, "blacklisted_models": ["only-heavy"]},
            {"name": "off", "value": "c", "weight": 9, "enabled": False},
            {"name": "idle", "value": "d", "weight": 0}]
    gw, up = pair(provider={"keys": keys})
    for _ in range(120):
        assert ask(gw)[0] == 200
    used = [r["headers"]["authorization"] for r in up.requests]
    assert set(used) == {"Bearer a", "Bearer b"}
    assert 60 <= used.count("Bearer a") <= 115  # 90 expected; 1 in 10^6 falls outside
    for _ in range(10):
        ask(gw, model="only-heavy")
    assert {r["headers"]["authorization"] for r in up.asked("only-heavy")} == {"Bearer a"}


def test_no_key_for_the_model(pair):
    gw, up = pair(provider={"keys": [{"name": "k", "value": "a", "models": ["other"]}]})
    status, _, body = ask(gw)
    assert status == 400 and error_type(body) == "no_provider_key" and '"m"' in body["error"]["message"]
    assert not up.requests
    assert rows(gw)[0]["status"] == "error"


def test_a_local_server_needs_no_key(pair):
    gw, up = pair(provider={"keys": []})
    assert ask(gw)[0] == 200
    assert "authorization" not in up.requests[0]["headers"]


# ---- plain answers, however they are framed


BODY = fo.completion()
JSON = "Content-Type: application/json"
FRAMINGS = {
    "length": fo.plain(),
    "chunked": fo.head(200, JSON, "Transfer-Encoding: chunked") + fo.chunked(BODY[:5], BODY[5:6], BODY[6:]) + b"0\r\n\r\n",
    "trailers": fo.head(200, JSON, "Transfer-Encoding: Chunked") + fo.chunked(BODY) + b"0\r\nA: b\r\n\r\n",
    "extensions": fo.head(200, JSON, "Transfer-Encoding: chunked") + b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    "continue": fo.head(100, reason="Continue") + fo.head(103, "Link: x") + fo.plain(),
    "no-type": fo.head(200, f"Content-Length: {len(BODY)}") + BODY,
}


@pytest.mark.parametrize("name", FRAMINGS)
@pytest.mark.parametrize("pace", ["whole", "trickle"])
def test_framings(pair, name, pace):
    gw, up = pair()
    up.on("m", FRAMINGS[name] if pace == "whole" else lambda w, _: w.trickle(FRAMINGS[name]) or True)
    for _ in range(3):
        status, headers, body = ask(gw)
        assert status == 200 and body == json.loads(BODY) and headers["Content-Type"] == "application/json"
    assert up.connections == 1  # kept and used again
    assert {r["prompt_tokens"] for r in rows(gw, 3)} == {11}


@pytest.mark.parametrize("head", [fo.head(200, JSON), b"HTTP/1.0 200 OK\r\n\r\n", fo.head(200, JSON, "Connection: close")])
def test_a_body_that_ends_with_the_connection(pair, head):
    gw, up = pair()
    up.on("m", lambda w, _: w.send(head + BODY))
    for _ in range(2):
        assert ask(gw)[2] == json.loads(BODY)
    assert up.connections == 2


def test_connection_close_is_heeded(pair):
    gw, up = pair()
    up.on("m", fo.plain(BODY, 200, "application/json", "Connection: close"))
    for _ in range(2):
        assert ask(gw)[0] == 200
    assert up.connections == 2


def test_bytes_behind_an_answer_end_the_connection(pair):
    gw, up = pair()
    up.on("m", fo.plain() + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
    for _ in range(3):
        assert ask(gw)[2] == json.loads(BODY)
    assert up.connections == 3


BAD = {
    "garbage": b"\x16\x03\x01\x02\x00 this is no HTTP\r\n\r\n",
    "http2": b"HTTP/2 200\r\n\r\n",
    "fold": fo.head(200, JSON, "X: a", " b", "Content-Length: 2") + b"{}",
    "lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "two-lengths": fo.head(200, JSON, "Content-Length: 2", "Content-Length: 3") + b"{} ",
    "same-length-twice": fo.head(200, JSON, "Content-Length: 2", "Content-Length: 2") + b"{}",
    "length-and-chunks": fo.head(200, JSON, "Content-Length: 2", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "two-codings": fo.head(200, JSON, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "bad-length": fo.head(200, JSON, "Content-Length: 2x") + b"{}",
    "bad-chunk": fo.head(200, JSON, "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
    "gzip": fo.head(200, JSON, "Content-Encoding: gzip", "Content-Length: 2") + b"{}",
    "switch": fo.head(101, "Upgrade: x", "Connection: upgrade"),
    "redirect": fo.head(302, "Location: http://127.0.0.1/", "Content-Length: 0"),
    "html": fo.plain(b"<html>", 200, "text/html"),
    "unasked-stream": fo.stream(),
    "endless-interim": fo.head(100) * 50 + fo.plain(),
}


@pytest.mark.parametrize("name", BAD)
def test_answers_that_are_refused(pair, name):
    gw, up = pair()
    up.on("m", BAD[name])
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (502, "upstream_protocol_error"), body
    up.on("m", fo.plain())
    assert ask(gw)[0] == 200
    assert up.connections == 2  # the bad one was not used again
    row = rows(gw, 2)[0]
    assert (row["status"], row["http_status"]) == ("error", 502)


def test_endless_headers(pair):
    gw, up = pair()

    def flood(wire, _):
        wire.send(b"HTTP/1.1 200 OK\r\n")
        for i in range(10_000):
            wire.send(b"X-%d: %s\r\n" % (i, b"y" * 1000))

    up.on("m", flood)
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (502, "upstream_protocol_error")


def test_a_cut_answer_is_never_passed_on(pair):
    gw, up = pair()
    whole = fo.plain()
    for cut in [1, 8, 12, len(whole) - len(BODY) - 1, len(whole) - len(BODY), len(whole) - 1]:
        up.on("m", lambda w, _, n=cut: w.send(whole[:n]))
        status, _, body = ask(gw)
        assert (status, error_type(body)) == (502, "upstream_closed"), cut
    assert ask(gw, model="other")[0] == 200


def test_a_reset_in_mid_answer(pair):
    gw, up = pair()

    def act(wire, _):
        wire.send(fo.plain()[:-5])
        time.sleep(0.05)
        wire.reset()

    up.on("m", act)
    assert error_type(ask(gw)[2]) == "upstream_closed"


# ---- the upstream's own errors


def test_errors_are_relayed(pair):
    gw, up = pair()
    said = b'{"error":{"message":"slow down","type":"rate"}}'
    up.on("m", fo.plain(said, 429, "application/json", "Retry-After: 7"))
    for stream in (False, True):
        status, headers, body = ask(gw, stream=stream)
        assert status == 429 and body == json.loads(said) and headers["Retry-After"] == "7"
    row = rows(gw, 2)[1]
    assert (row["status"], row["http_status"], row["prompt_tokens"]) == ("error", 429, 0)
    assert "upstream_rate_limited" in row["error_details"]


def test_an_error_page_is_not_called_json(pair):
    gw, up = pair()
    up.on("m", fo.plain(b"<html>bad gateway</html>", 503, "text/html"))
    status, _, body = ask(gw)
    assert status == 503 and error_type(body) == "upstream_error" and "503" in body["error"]["message"]


def test_an_early_error_to_a_large_body(pair):
    def early(sock):
        sock.recv(1000)
        sock.sendall(fo.plain(b'{"error":{"message":"too big"}}', 413, "application/json", "Connection: close"))
        time.sleep(0.3)
        sock.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        gw, _ = pair(network={"base_url": f"http://127.0.0.1:{listener.getsockname()[1]}"})
        threading.Thread(target=lambda: early(listener.accept()[0]), daemon=True).start()
        status, _, body = ask(gw, messages=[{"role": "user", "content": "x" * 8_000_000}])
    assert (status, body["error"]["message"]) == (413, "too big")


# ---- streams


def open_stream(gw, model="m", **more):
    body = json.dumps({"model": f"openai/{model}", "stream": True, "messages": [{"role": "user", "content": "x"}], **more})
    s = socket.create_connection(("127.0.0.1", gw.port), timeout=20)
    s.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    return s


def test_events_leave_as_they_come(pair):
    gw, up = pair()
    go = threading.Event()

    def act(wire, _):
        said = fo.events()
        wire.send(fo.SSE_HEAD + fo.chunked(said[0]) + fo.chunked(said[1])[:-9])
        go.wait(10)
        wire.send(fo.chunked(said[1])[-9:] + fo.chunked(*said[2:], fo.DONE) + b"0\r\n\r\n")
        return True

    up.on("m", act)
    with open_stream(gw) as s:
        got = b""
        while fo.events()[0] not in got:
            got += s.recv(65536)
        time.sleep(0.1)
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            got += s.recv(65536)
        assert fo.events()[1][:20] not in got[got.index(fo.events()[0]) + len(fo.events()[0]):]  # no half event
        s.settimeout(10)
        go.set()
        while b"[DONE]" not in got:
            got += s.recv(65536)


@pytest.mark.parametrize("framing", ["chunked", "one-byte-chunks", "close", "crlf", "comments", "no-space"])
def test_stream_framings(pair, framing):
    gw, up = pair()
    said = b"".join(fo.events())
    shown = b"".join(fo.events(usage=False))
    head = fo.SSE_HEAD
    if framing == "crlf":
        said, shown = said.replace(b"\n", b"\r\n"), shown.replace(b"\n", b"\r\n")
    if framing == "comments":
        said, shown = b": waiting\n\n" + said, b": waiting\n\n" + shown
    if framing == "no-space":
        said, shown = said.replace(b"data: ", b"data:"), shown.replace(b"data: ", b"data:")
    done = fo.DONE.replace(b"\n", b"\r\n") if framing == "crlf" else fo.DONE
    pieces = [bytes([b]) for b in said + done] if framing == "one-byte-chunks" else [said + done]
    raw = head + fo.chunked(*pieces) + b"0\r\n\r\n"
    if framing == "close":
        raw = fo.head(200, "Content-Type: text/event-stream") + said + done
    up.on("m", lambda w, _: w.send(raw) or framing != "close")
    for _ in range(2):
        status, _, body = ask(gw, stream=True)
        assert status == 200 and body == shown + done
    assert up.connections == (2 if framing == "close" else 1)


def test_a_stream_cut_at_every_byte(pair):
    """Whatever arrives: whole events, then an error event and no [DONE], unless [DONE] was among them."""
    gw, up = pair()
    said = fo.events(("a",)) + [fo.DONE]
    raw = fo.SSE_HEAD + fo.chunked(*said) + b"0\r\n\r\n"
    visible = [e for e in said if e != fo.USAGE_CHUNK]
    cut = len(fo.SSE_HEAD)
    ends = early = 0
    while cut < len(raw):
        up.on("m", lambda w, _, n=cut: w.send(raw[:n]))
        status, _, body = ask(gw, stream=True)
        if isinstance(body, dict):  # nothing was passed on yet: a real status
            assert status == 502 and error_type(body) in ("upstream_closed", "upstream_truncated"), cut
            early += 1
            cut += 1
            continue
        assert status == 200
        got = body.split(b"\n\n")[:-1]
        *events, last = [e + b"\n\n" for e in got]
        assert events == visible[:len(events)], cut
        if last == fo.DONE:
            ends += 1
            assert events == visible[:-1]
        else:
            assert json.loads(last[6:])["error"]["code"] in ("upstream_closed", "upstream_truncated"), cut
        cut += 1
    assert early >= len(visible[0])
    assert 0 < ends <= 10  # only where nothing but chunk framing is missing
    with contextlib.closing(sqlite3.connect(f"file:{gw.state / 'logs.db'}?mode=ro", uri=True)) as db:
        count = len(raw) - len(fo.SSE_HEAD)
        wait_for("all rows", lambda: db.execute("SELECT count(*) FROM logs").fetchone()[0] == count)
        assert db.execute("SELECT count(*) FROM logs WHERE truncated AND status = 'error'").fetchone()[0] == count - ends


def test_an_orderly_end_without_done_is_an_error(pair):
    gw, up = pair()
    up.on("m", fo.SSE_HEAD + fo.chunked(*fo.events()) + b"0\r\n\r\n")
    body = ask(gw, stream=True)[2]
    last = json.loads(datas(body)[-1])
    assert last["error"]["code"] == "upstream_truncated" and b"[DONE]" not in body
    row = rows(gw)[0]
    assert (row["status"], row["truncated"], row["completion_tokens"]) == ("error", 1, 7)


def test_without_numbers_they_are_estimated(pair):
    gw, up = pair()
    up.on("m", fo.stream(usage=False))
    assert ask(gw, stream=True)[0] == 200
    row = rows(gw)[0]
    assert row["estimated"] == 1 and row["completion_tokens"] > 0 and row["status"] == "success"


def test_numbers_inside_of_a_text_are_no_usage(pair):
    gw, up = pair()
    up.on("m", fo.stream(words=('"usage": {"prompt_tokens": 999}', "usage")))
    assert ask(gw, stream=True)[0] == 200
    assert rows(gw)[0]["prompt_tokens"] == 11


def test_a_client_that_leaves_ends_the_call(pair):
    gw, up = pair()
    gone = []

    def act(wire, _):
        wire.send(fo.SSE_HEAD + fo.chunked(*fo.events(usage=False)))
        gone.append(wire.gone(10))

    up.on("m", act)
    with open_stream(gw) as s:
        s.recv(1000)
    wait_for("the upstream sees it", lambda: gone, timeout=5)
    assert gone == [True]
    row = rows(gw)[0]
    assert (row["client_gone"], row["estimated"]) == (1, 1)


def test_a_slow_client_slows_the_upstream(pair):
    gw, up = pair()
    sent = [0]

    def act(wire, _):
        wire.send(fo.SSE_HEAD)
        wire.sock.settimeout(2)
        piece = fo.chunked(fo.chunk({"content": "x" * 20_000})) * 5
        with contextlib.suppress(TimeoutError):
            while sent[0] < 200_000_000:
                wire.send(piece)
                sent[0] += len(piece)
        wire.sock.settimeout(20)
        with contextlib.suppress(TimeoutError):
            wire.gone(5)

    up.on("m", act)
    with open_stream(gw) as s:
        s.recv(1000)
        wait_for("the upstream is held up", lambda: sent[0] > 0)
        last = -1
        while sent[0] != last:
            last = sent[0]
            time.sleep(0.5)
        assert sent[0] < 30_000_000  # socket buffers, and little of ours


def test_a_held_stream_goes_on(pair):
    """Nothing is lost or doubled when the client stops reading for a while."""
    gw, up = pair(network={"stream_idle_timeout_in_seconds": 1})
    words = [f"{i:06d}" + "y" * 4000 for i in range(5000)]
    up.on("m", lambda w, _: w.send(fo.stream(words)) or True)
    with open_stream(gw) as s:
        time.sleep(2.5)  # longer than the idle timeout: the client is slow, not the upstream
        got = bytearray()
        while b"0\r\n\r\n" not in got[-16:]:
            more = s.recv(1 << 20)
            assert more
            got += more
    assert got.count(b'"content": "0') == len(words) and b"[DONE]" in got
    at = -1
    for i in range(0, 5000, 250):
        now = got.find(b"%06dy" % i)
        assert now > at
        at = now
    assert b"error" not in got[-2000:]


# ---- time


def test_a_silent_upstream(pair):
    gw, up = pair(network={"default_request_timeout_in_seconds": 1})
    gone = []
    up.on("m", lambda w, _: gone.append(w.gone(10)))
    began = time.monotonic()
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (504, "upstream_timeout") and 0.9 < time.monotonic() - began < 5
    wait_for("closed", lambda: gone, timeout=5)
    assert gone == [True]


def test_a_trickle_does_not_outlast_the_timeout(pair):
    gw, up = pair(network={"default_request_timeout_in_seconds": 1})
    up.on("m", lambda w, _: w.trickle(fo.plain(b" " * 500 + BODY), 0.01))
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (504, "upstream_timeout")
    assert rows(gw)[0]["http_status"] == 504


def test_a_silent_stream(pair):
    gw, up = pair(network={"stream_idle_timeout_in_seconds": 1})

    def act(wire, _):
        said = fo.events(usage=False)
        wire.send(fo.SSE_HEAD)
        for e in said[:3]:
            time.sleep(0.6)  # each within the timeout, together beyond it
            wire.send(fo.chunked(e))
        wire.gone(10)

    up.on("m", act)
    began = time.monotonic()
    body = ask(gw, stream=True)[2]
    assert 2.5 < time.monotonic() - began < 8
    events = datas(body)
    assert len(events) == 4 and json.loads(events[-1])["error"]["code"] == "upstream_timeout"
    assert rows(gw)[0]["truncated"] == 1


def test_bytes_that_are_no_events_are_silence(pair):
    gw, up = pair(network={"stream_idle_timeout_in_seconds": 1})
    up.on("m", lambda w, _: w.send(fo.SSE_HEAD) or w.trickle(fo.chunked(*[b"d"] * 600), 0.002))
    began = time.monotonic()
    status, _, body = ask(gw, stream=True)
    assert (status, error_type(body)) == (504, "upstream_timeout") and time.monotonic() - began < 5


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
        gate.wait(10)
        wire.send(fo.plain())
        return True

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
    up.on("m", lambda w, _: w.send(b"HTTP/1.1 2"))
    assert error_type(ask(gw)[2]) == "upstream_closed"
    assert len(up.asked("m")) == 1


def test_a_connection_that_closes_while_idle(pair):
    gw, up = pair()
    up.on("m", lambda w, _: w.send(fo.plain()))
    for _ in range(3):
        assert ask(gw)[0] == 200
        time.sleep(0.05)
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


def server_tls(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return fo.Authority(tmp_path_factory.mktemp("ca"))


def tls_pair(pair, fake, authority, names="DNS:localhost,IP:127.0.0.1", host="127.0.0.1", trust=None, tls=None, **kw):
    context = server_tls(*authority.issue("server", names, **kw))
    if tls:
        tls(context)
    up = fake(tls=context)
    network = {"base_url": f"https://{host}:{up.port}", "ca_cert_pem": authority.pem if trust is None else trust}
    return pair(network={k: v for k, v in network.items() if v}, upstream=up)


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
    up.on("m", lambda w, _: w.send(fo.stream(words)) or True)
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


# ---- the vendor's own client


def test_the_openai_client(pair):
    import openai  # pinned in requirements.txt
    gw, up = pair()
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{gw.port}/openai/v1", api_key="unused", max_retries=0)
    said = client.chat.completions.create(model="openai/m", messages=[{"role": "user", "content": "hi"}])
    assert said.choices[0].message.content == "hello from upstream" and said.usage.prompt_tokens == 11
    stream = client.chat.completions.create(model="openai/m", stream=True, messages=[{"role": "user", "content": "hi"}])
    assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == "Hello you"
    stream = client.chat.completions.create(model="openai/m", stream=True, stream_options={"include_usage": True},
                                            messages=[{"role": "user", "content": "hi"}])
    assert list(stream)[-1].usage.completion_tokens == 7
    up.on("bad", fo.plain(b'{"error":{"message":"slow down"}}', 429, "application/json"))
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="openai/bad", messages=[{"role": "user", "content": "hi"}])
    up.on("cut", fo.SSE_HEAD + fo.chunked(*fo.events()) + b"0\r\n\r\n")
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="openai/cut", stream=True, messages=[{"role": "user", "content": "x"}]))
