"""Streams of OpenAI-compatible providers: events as they come, cuts at every byte, slow and absent clients."""

import contextlib
import json
import sqlite3
import threading
import time

import pytest

from gateway import wait_for
from upstreams import ask, datas, error_type, fake, fo, open_stream, pair, rows  # noqa: F401


def test_events_leave_as_they_come(pair):
    gw, up = pair()
    go = threading.Event()

    def act(wire, _):
        said = fo.events()
        wire.send(fo.SSE_HEAD + fo.chunked(said[0]) + fo.chunked(said[1])[:-9])
        go.wait(60)
        wire.send(fo.chunked(said[1])[-9:] + fo.chunked(*said[2:], fo.DONE) + b"0\r\n\r\n")

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
    up.on("m", fo.cut(raw) if framing == "close" else raw)
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
        up.on("m", fo.cut(raw[:cut]))
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
        gone.append(wire.gone(20))

    up.on("m", act)
    with open_stream(gw) as s:
        s.recv(1000)
    wait_for("the upstream sees it", lambda: gone)
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
    gw, up = pair(network={"stream_idle_timeout_in_seconds": 3})
    words = [f"{i:06d}" + "y" * 4000 for i in range(5000)]
    up.on("m", fo.stream(words))
    with open_stream(gw) as s:
        time.sleep(4.5)  # longer than the idle timeout: the client is slow, not the upstream
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
