"""OpenAI-compatible providers against scripted upstreams: what goes out, plain answers, errors, the vendor's client."""

import json
import socket
import threading
import time

import pytest

from upstreams import BODY, JSON, KEY, PATH, ask, error_type, fake, fo, pair, rows  # noqa: F401


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
    up.on("m", FRAMINGS[name] if pace == "whole" else lambda w, _: w.trickle(FRAMINGS[name]))
    for _ in range(3):
        status, headers, body = ask(gw)
        assert status == 200 and body == json.loads(BODY) and headers["Content-Type"] == "application/json"
    assert up.connections == 1  # kept and used again
    assert {r["prompt_tokens"] for r in rows(gw, 3)} == {11}


@pytest.mark.parametrize("head", [fo.head(200, JSON), b"HTTP/1.0 200 OK\r\n\r\n", fo.head(200, JSON, "Connection: close")])
def test_a_body_that_ends_with_the_connection(pair, head):
    gw, up = pair()
    up.on("m", fo.cut(head + BODY))
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
        up.on("m", fo.cut(whole[:cut]))
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
        answered.wait(60)
        sock.close()

    answered = threading.Event()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        gw, _ = pair(network={"base_url": f"http://127.0.0.1:{listener.getsockname()[1]}"})
        threading.Thread(target=lambda: early(listener.accept()[0]), daemon=True).start()
        status, _, body = ask(gw, messages=[{"role": "user", "content": "x" * 8_000_000}])
        answered.set()
    assert (status, body["error"]["message"]) == (413, "too big")


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
