"""Clients against real workers: health, chat, streams, pipelining, slow and rude clients, rows, drain."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest

from gateway import wait_for

CHAT = "/v1/chat/completions"


@pytest.fixture(params=[1, 2], ids=["1-worker", "2-workers"])
def gw(request, gateway):
    return gateway(workers=request.param).start()


def body_of(text="hello", **more):
    return json.dumps({"model": "mock/m", "messages": [{"role": "user", "content": text}], **more})


def chat_bytes(text="hello", **more):
    body = body_of(text, **more)
    return f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@contextlib.contextmanager
def client(gw, timeout=60):
    with socket.create_connection(("127.0.0.1", gw.port), timeout=timeout) as s:
        yield s


def read_to_end(s):
    parts = []
    while True:
        with contextlib.suppress(ConnectionResetError):
            part = s.recv(65536)
            if part:
                parts.append(part)
                continue
        return b"".join(parts)


def read_answer(s, method="GET"):
    answer = http.client.HTTPResponse(s, method=method)
    answer.begin()
    return answer.status, answer.headers, answer.read()


def logs(gw, columns="*"):
    with contextlib.closing(sqlite3.connect(f"file:{gw.state / 'logs.db'}?mode=ro", uri=True, timeout=5)) as db:
        return db.execute(f"SELECT {columns} FROM logs").fetchall()


def wait_for_rows(gw, count):
    return wait_for(f"{count} rows", lambda: len(found := logs(gw, "id, status, http_status, client_gone, crashed")) >= count
                    and found)


def metrics(gw):
    text = gw.request(path="/metrics")[2].decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}


# ---------------------------------------------------------------- what is served


def test_health(gw):
    status, headers, health = gw.request()
    assert (status, health["status"]) == (200, "ok")
    assert headers["Content-Type"] == "application/json"
    assert {"supervisor", "proxyd", "clusterd", "discoveryd", "writerd", "reader"} <= set(health["components"])
    assert all(c == {"status": "ok", "reasons": []} for c in health["components"].values())
    assert health["version"] and 0 <= health["uptime_ms"] < 600_000
    assert gw.request(path="/live")[0] == gw.request(path="/ready")[0] == 200
    assert gw.request("HEAD")[2] == b""


def test_chat(gw):
    status, _, answer = gw.chat("two words")
    assert status == 200
    assert answer["object"] == "chat.completion" and answer["model"] == "m"
    assert answer["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "two words"}, "finish_reason": "stop"}]
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}


def test_chat_streamed(gw):
    connection = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=60)
    text = "one two  three\n four"
    for usage in (False, True):
        connection.request("POST", CHAT, body_of(text, stream=True, stream_options={"include_usage": usage}))
        answer = connection.getresponse()
        assert answer.status == 200 and answer.getheader("Content-Type") == "text/event-stream"
        events = answer.read().decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        chunks = [json.loads(e.removeprefix("data: ")) for e in events[:-2]]
        assert {c["object"] for c in chunks} == {"chat.completion.chunk"} and len({c["id"] for c in chunks}) == 1
        deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
        assert deltas[0]["role"] == "assistant"
        assert "".join(d.get("content", "") for d in deltas) == text
        assert ([c["usage"]["completion_tokens"] for c in chunks if not c["choices"]] == [4]) == usage
    connection.close()


def test_models_and_openai_route(gw):
    assert [m["id"] for m in gw.request(path="/v1/models")[2]["data"]] == ["mock/echo"]
    for path in ("/openai/v1/chat/completions", "/openai/chat/completions"):
        body = {"model": "mock/m", "messages": [{"role": "user", "content": "x"}]}
        assert gw.request("POST", path, body)[0] == 200
        status, _, answer = gw.request("POST", path, dict(body, model="gpt"))
        assert status == 400 and set(answer["error"]) == {"message", "type", "param", "code"}


def test_metrics_follow(gw):
    before = metrics(gw)
    for _ in range(3):
        assert gw.chat()[0] == 200
    assert gw.request(path="/nowhere")[0] == 404
    after = wait_for("rows in metrics", lambda: (m := metrics(gw))["bifrost_log_rows_written_total"] >= 3 and m)
    assert after["bifrost_http_requests_total"] - before["bifrost_http_requests_total"] >= 5
    assert after["bifrost_http_responses_4xx_total"] - before["bifrost_http_responses_4xx_total"] == 1
    assert after["bifrost_requests_in_flight"] == after["bifrost_body_memory_bytes"] == 0
    # The one that asks; one just closed by another worker may still be counted.
    wait_for("closed connections", lambda: metrics(gw)["bifrost_connections_open"] == 1)


# ---------------------------------------------------------------- how clients behave


def test_keep_alive(gw):
    connection = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=60)
    connection.connect()
    sock = connection.sock
    for i in range(50):
        connection.request("POST", CHAT, body_of(f"n{i}"), {"X-Request-Id": f"id-{i}"})
        answer = connection.getresponse()
        assert json.loads(answer.read())["choices"][0]["message"]["content"] == f"n{i}"
        assert answer.getheader("X-Request-Id") == f"id-{i}"
        assert connection.sock is sock
    connection.close()


def test_pipelining_in_order(gw):
    with client(gw) as s:
        s.sendall(b"".join(chat_bytes(f"n{i}") for i in range(100)))
        f = s.makefile("rb")
        for i in range(100):
            assert f.readline() == b"HTTP/1.1 200 OK\r\n"
            length = 0
            while (line := f.readline()) != b"\r\n":
                if line.startswith(b"Content-Length: "):
                    length = int(line[16:])
            assert json.loads(f.read(length))["choices"][0]["message"]["content"] == f"n{i}"


def test_one_byte_at_a_time(gw):
    with client(gw) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in chat_bytes("slowly"):
            s.sendall(bytes([byte]))
        assert read_answer(s)[0] == 200


def test_chunked_request_and_expect(gw):
    body = body_of().encode()
    with client(gw) as s:
        s.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n".encode())
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"".join(b"1;x=y\r\n%c\r\n" % b for b in body) + b"0\r\nTrailer: t\r\n\r\n")
        assert read_answer(s)[0] == 200
        s.sendall(chat_bytes())
        assert read_answer(s)[0] == 200


def test_slow_reader_gets_all(gateway):
    """More than every buffer between us; the client starts to read late. Others are served meanwhile."""
    gw = gateway(workers=1).start()
    text = "word " * 1_000_000
    with client(gw) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.sendall(chat_bytes(text))
        time.sleep(0.3)
        assert gw.chat()[0] == 200
        status, _, answer = read_answer(s)
        assert status == 200 and json.loads(answer)["choices"][0]["message"]["content"] == text


BAD = {
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "obs-fold": (b"GET /health HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400),
    "bare lf": (b"GET /health HTTP/1.1\nHost: a\n\n", 400),
    "bare cr": (b"GET /health HTTP/1.1\r\nHost: a\r\nA: b\rC: d\r\n\r\n", 400),
    "nul": (b"GET /health HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n", 400),
    "space before colon": (b"GET /health HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "te and cl": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhello", 400),
    "te 1.0": (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "te gzip": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    "bad chunk": (b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "extension flood": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 40000, 400),
    "http 2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "long target": (b"GET /" + b"a" * 300_000, 414),
    "long header": (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 300_000, 431),
    "huge body": (b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
}


def test_bad_requests(gw):
    """Each is answered with its code and closed; a request smuggled behind it is never answered."""
    pids = gw.pids()
    for name, (data, code) in BAD.items():
        with client(gw) as s:
            with contextlib.suppress(ConnectionError):
                s.sendall(data + b"\r\nGET /live HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = read_to_end(s)
        assert answer.startswith(f"HTTP/1.1 {code} ".encode()), (name, answer[:200])
        assert answer.count(b"\r\nDate: ") == 1 and b"Connection: close\r\n" in answer, name
    assert gw.request()[0] == 200 and gw.pids() == pids


def test_bad_chats(gw):
    for body, part in (("", "empty"), ("{", "not valid JSON"), ("[]", "must be a JSON object"),
                       ('{"model":"gpt"}', "provider is required in model field (format: provider/model)"),
                       ('{"model":"mock/m"}', "messages is required"),
                       ('{"model":"mock/m","messages":[{"role":"user","content":"' + "\\ud800" + '"}]}', "not valid JSON")):
        status, _, answer = gw.request("POST", CHAT, body)
        assert status == 400 and answer["is_bifrost_error"] and part in answer["error"]["message"], body
    assert gw.request("DELETE", CHAT)[0] == 405
    assert gw.request(path="/nowhere")[0] == 404
    assert logs(gw) == []


def test_body_limit(gateway):
    gw = gateway(workers=1, config={"client": {"max_request_body_size_mb": 1}}).start()
    padded = body_of("x" * (1 << 20))
    assert gw.request("POST", CHAT, padded[: 1 << 20])[0] == 400  # cut JSON, but not too long
    assert gw.request("POST", CHAT, padded[: (1 << 20) + 1])[0] == 413


def served(gw):
    """A connection with one answer behind it, or None when it was closed at accept."""
    s = socket.create_connection(("127.0.0.1", gw.port), timeout=60)
    try:
        s.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_answer(s)[0] == 200
        return s
    except (ConnectionError, http.client.HTTPException):
        s.close()
        return None


def test_connection_limit(gateway):
    gw = gateway(workers=1, config={"server": {"max_connections": 3}}).start()
    held = [wait_for("a connection", lambda: served(gw)) for _ in range(3)]
    assert served(gw) is None
    for s in held:
        s.close()
    found = wait_for("room again", lambda: metrics_or_none(gw))
    assert found["bifrost_connections_refused_total"] >= 1


def metrics_or_none(gw):
    try:
        return metrics(gw)
    except (ConnectionError, http.client.HTTPException):
        return None


def test_timeouts(gateway):
    gw = gateway(workers=1, config={"server": {"header_timeout": "3s", "body_timeout": "3s", "idle_timeout": "4s"}}).start()
    with client(gw) as head, client(gw) as body, client(gw) as idle:
        head.sendall(b"GET /health HTT")
        body.sendall(chat_bytes()[:-3])
        assert read_to_end(head).startswith(b"HTTP/1.1 408 ")
        assert read_to_end(body).startswith(b"HTTP/1.1 408 ")
        assert read_to_end(idle) == b""


# ---------------------------------------------------------------- rows


def test_one_row_per_admitted_request(gw):
    threads = [threading.Thread(target=lambda: [gw.chat(f"n{i}") for i in range(25)]) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    rows = wait_for_rows(gw, 100)
    assert len(rows) == len({r[0] for r in rows}) == 100
    assert {r[1:] for r in rows} == {("success", 200, 0, 0)}


def test_client_that_leaves_has_a_row(gateway):
    gw = gateway(workers=1, config={"providers": {"mock": {"mock_config": {"latency": "60s"}}}}).start()
    with client(gw) as s:
        s.sendall(chat_bytes())
        wait_for("the call", lambda: metrics(gw)["bifrost_requests_in_flight"] == 1)
    assert [r[1:] for r in wait_for_rows(gw, 1)] == [("error", 499, 1, 0)]
    assert metrics(gw)["bifrost_requests_in_flight"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_was_seen_has_its_row_even_after_sigkill(gateway, stream):
    """The record is in the segment before the answer's last bytes leave."""
    gw = gateway(workers=1).start()
    for i in range(5):
        pid = gw.pids()["proxyd.0"]
        with client(gw) as s:
            s.sendall(chat_bytes(f"n{i}", stream=stream))
            assert read_answer(s)[0] == 200
            os.kill(pid, signal.SIGKILL)
        wait_for("a new worker", lambda pid=pid: gw.pids()["proxyd.0"] not in (0, pid)
                 and gw.children()["proxyd.0"]["state"] == "ready")
    rows = wait_for_rows(gw, 5)
    assert [r[1:] for r in rows] == [("success", 200, 0, 0)] * 5


# ---------------------------------------------------------------- drain


def test_restart_tells_idle_connections(gw):
    """A rolled worker answers once more on its idle connections, and that answer says close."""
    held = [socket.create_connection(("127.0.0.1", gw.port), timeout=60) for _ in range(8)]
    for s in held:
        s.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_answer(s)[1].get("Connection") is None
    # One after the other: who drains waits five seconds for its idle connections.
    for turn, name in enumerate(sorted(name for name in gw.pids() if name.startswith("proxyd"))):
        gw.ctl("restart", name)
        # The successor serves when restart returns; the order to drain may still be on its way to the old one.
        wait_for("an old worker that drains", lambda turn=turn: len(gw.events("drain_started")) == turn + 1)
        for s in list(held):
            s.sendall(chat_bytes())
            status, headers, _ = read_answer(s)
            assert status == 200
            if headers.get("Connection") == "close":
                s.close()
                held.remove(s)
    assert held == []
    assert gw.chat()[0] == 200


def test_stream_survives_a_restart(gateway):
    gw = gateway(workers=1, config={"providers": {"mock": {"mock_config": {"token_interval": "100ms"}}}}).start()
    with client(gw) as s:
        s.sendall(chat_bytes("a b c d e f g h i j k l m n o p", stream=True))
        assert s.recv(10) == b"HTTP/1.1 2"
        gw.ctl("restart", "proxyd.0")
        rest = read_to_end(s)
    assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert [r[1] for r in wait_for_rows(gw, 1)] == ["success"]


@pytest.mark.parametrize("way", ["restart", "stop"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_what_outlives_the_drain_is_told(gateway, way, stream):
    """At the end of supervisor.drain_timeout a stream ends with an error event, a plain call with a 503."""
    mock = {"token_interval": "200ms"} if stream else {"latency": "60s"}
    gw = gateway(workers=1, config={"supervisor": {"drain_timeout": "1s"}, "providers": {"mock": {"mock_config": mock}}}).start()
    with client(gw) as s:
        s.sendall(chat_bytes(" ".join(["word"] * 200), stream=stream))
        if stream:
            assert s.recv(10) == b"HTTP/1.1 2"
        else:
            wait_for("the call", lambda: metrics(gw)["bifrost_requests_in_flight"] == 1)
        if way == "restart":
            gw.ctl("restart", "proxyd.0")
        else:
            os.kill(gw.pid, signal.SIGTERM)
        said = read_to_end(s)
    if stream:
        assert said.endswith(b"\n\n\r\n0\r\n\r\n") and b"[DONE]" not in said
        body = said.split(b"data: ")[-1].partition(b"\n\n")[0]
    else:
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1" in head and b"\r\nConnection: close" in head
    error = json.loads(body)
    assert (error["error"]["type"], error["status_code"]) == ("worker_stopped", 503)
    wait_for_rows(gw, 1)
    (row,) = logs(gw, "status, http_status, truncated, client_gone, crashed, error_details LIKE '%worker_stopped%'")
    assert row == (("error", 200, 1, 0, 0, 1) if stream else ("error", 503, 0, 0, 0, 1))


def test_metrics_please_promtool(gateway):
    gw = gateway().start()
    assert gw.chat("hello")[0] == 200
    text = gw.request(path="/metrics")[2]
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert b"# TYPE bifrost_http_requests_total counter" in text
