"""Answers that are none: good statuses without an answer, errors of any shape, cuts, and what is counted of them."""

import json
import socket
import time

import pytest

from upstreams import JSON, ask, error_type, fake, fo, pair, rows  # noqa: F401

ERROR = b'{"error":{"message":"slow down","type":"t","param":null,"code":"rate_limit_exceeded"}}'
NO_ANSWERS = {
    "broken": fo.plain(b'{"id":'),
    "empty": fo.plain(b""),
    "array": fo.plain(b"[1,2]"),
    "object": fo.plain(b"{}"),
    "no-type": fo.head(200, "Content-Length: 2") + b"{}",
    "no-content": fo.head(204, reason="No Content"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_is_no_answer(pair, name, stream):
    gw, up = pair()
    up.on("m", NO_ANSWERS[name])
    status, headers, body = ask(gw, stream=stream)
    assert (status, error_type(body)) == (502, "upstream_protocol_error"), body
    assert headers["Content-Type"] == "application/json"
    assert ("something else" in body["error"]["message"]) == stream
    row = rows(gw)[0]
    assert (row["status"], row["http_status"], row["truncated"], row["completion_tokens"]) == ("error", 502, 0, 0)


def test_a_stream_answered_with_a_plain_answer(pair):
    gw, up = pair(network={"max_retries": 1, "retry_backoff_initial": "1ms"})
    up.on("m", fo.plain())
    status, _, body = ask(gw, stream=True)
    assert (status, error_type(body)) == (502, "upstream_protocol_error")
    assert len(up.asked("m")) == 2  # it was tried again
    status, _, body = ask(gw, stream=True, fallbacks=["openai/other"])
    assert status == 200 and body.endswith(fo.DONE)
    assert [r["status"] for r in rows(gw, 3)] == ["error", "error", "success"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_with_a_good_status(pair, stream):
    gw, up = pair()
    up.on("m", fo.plain(ERROR))
    up.on("text", fo.plain(b'{"error":"it broke"}'))
    status, _, body = ask(gw, stream=stream)
    assert status == 429 and body == json.loads(ERROR)
    status, _, body = ask(gw, model="text", stream=stream)
    assert status == 502 and body == {"error": {"message": "it broke", "type": "server_error", "param": None, "code": None}}
    status, _, body = gw.request("POST", "/v1/chat/completions", {
        "model": "openai/m", "messages": [{"role": "user", "content": "x"}], "stream": stream})
    assert (status, body["status_code"], body["error"]["message"]) == (429, 429, "slow down")
    assert [(r["status"], r["http_status"]) for r in rows(gw, 3)] == [("error", 429), ("error", 502), ("error", 429)]


def test_a_cut_that_the_framing_does_not_tell(pair):
    gw, up = pair()
    up.on("m", fo.cut(fo.head(200, JSON) + fo.completion()[:-20]))
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (502, "upstream_protocol_error")
    row = rows(gw)[0]
    assert (row["status"], row["truncated"]) == ("error", 1)


@pytest.mark.parametrize("cut", [1, 20])
def test_a_cut_within_the_head(pair, cut):
    gw, up = pair()
    up.on("m", fo.cut(fo.plain()[:cut]))
    assert error_type(ask(gw)[2]) == "upstream_closed"
    row = rows(gw)[0]
    assert (row["status"], row["truncated"]) == ("error", 1)


def test_an_upstream_that_says_nothing_did_not_cut(pair):
    gw, up = pair()
    up.on("m", fo.cut())
    assert error_type(ask(gw)[2]) == "upstream_closed"
    assert rows(gw)[0]["truncated"] == 0


# ---- numbers that were not told


def test_the_text_alone_is_counted(pair):
    gw, up = pair()
    said = {"id": "x" * 400, "choices": [{"message": {"content": "hello \u00e4 you"}, "finish_reason": "stop"}]}
    up.on("m", fo.plain(json.dumps(said).encode()))
    assert ask(gw)[0] == 200
    row = rows(gw)[0]
    assert (row["completion_tokens"], row["estimated"]) == (3, 1)  # 12 bytes


@pytest.mark.parametrize("stop", [True, False])
def test_a_stream_in_one_piece(pair, stop):
    gw, up = pair()
    said = [fo.chunk({"role": "assistant", "content": ""}), fo.chunk({"content": "a"}), fo.chunk({"content": "b"})]
    if stop:
        said.append(fo.chunk({}, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    text = b"".join(said) + fo.DONE
    up.on("m", fo.head(200, "Content-Type: text/event-stream", f"Content-Length: {len(text)}") + text)
    assert ask(gw, stream=True)[2] == text
    row = rows(gw)[0]
    assert (row["completion_tokens"], row["estimated"], row["status"]) == (2, 1, "success")
    assert row["prompt_tokens"] > 0


def test_a_call_that_timed_out_was_paid_for(pair):
    gw, up = pair(network={"default_request_timeout_in_seconds": 1})
    up.on("m", lambda w, _: w.gone(10))
    assert ask(gw, pad="x" * 400)[0] == 504
    row = rows(gw)[0]
    assert row["prompt_tokens"] > 100 and (row["completion_tokens"], row["estimated"]) == (0, 1)


def test_a_call_whose_client_left_was_paid_for(pair):
    gw, up = pair()
    asked = []
    up.on("m", lambda w, _: asked.append(1) or w.gone(10))
    body = json.dumps({"model": "openai/m", "messages": [{"role": "user", "content": "x" * 400}]})
    with socket.create_connection(("127.0.0.1", gw.port), timeout=60) as s:
        s.sendall(f"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        while not asked:
            time.sleep(0.01)
    row = rows(gw)[0]
    assert row["prompt_tokens"] > 100 and (row["completion_tokens"], row["estimated"], row["client_gone"]) == (0, 1, 1)


# ---- errors of other shapes


@pytest.mark.parametrize("said,message,kind", [
    (b'{"detail":"no such thing"}', "no such thing", "invalid_request_error"),
    (b'{"detail":[{"msg":"m"}]}', '{"detail":[{"msg":"m"}]}', "invalid_request_error"),
    (b'{"error":"text"}', "text", "invalid_request_error"),
    (b'{"object":"error","message":"bad","type":"BadRequest","code":7}', "bad", "BadRequest"),
    (b"[1]", "[1]", "invalid_request_error"),
    (b'{"error":{"mess', '{"error":{"mess', "invalid_request_error"),
])
def test_errors_of_other_shapes(pair, said, message, kind):
    gw, up = pair()
    up.on("m", fo.plain(said, 422))
    status, _, body = ask(gw)
    assert status == 422 and set(body["error"]) == {"message", "type", "param", "code"}
    assert (body["error"]["message"], body["error"]["type"]) == (message, kind)


def test_headers_that_the_connection_names(pair):
    gw, up = pair()
    up.on("m", fo.plain(None, 200, "application/json", "X-Secret: s", "Connection: keep-alive, X-Secret, x-also", "X-Up: yes",
                        "X-Also: s"))
    headers = ask(gw)[1]
    assert headers["X-Up"] == "yes" and "X-Secret" not in headers and "X-Also" not in headers
