"""The OpenAI family's other operations, headers both ways, turns and time limits, servers of keys: real processes."""

import contextlib
import json
import socket
import threading
import time

import pytest

from gateway import wait_for
from upstreams import JSON, KEY, ask, authority, error_type, fake, fo, pair, rows, server_tls  # noqa: F401

CHAT = {"messages": [{"role": "user", "content": "hi"}]}


def post(gw, path, body, headers=None):
    return gw.request("POST", f"/openai/v1/{path}", body, headers=headers)


# ---- operations


@pytest.mark.parametrize("path,body,said,numbers,stop", [
    ("completions", {"prompt": "a"}, {"choices": [{"text": "b", "finish_reason": "length"}],
                                      "usage": {"prompt_tokens": 3, "completion_tokens": 5}}, (3, 5), "length"),
    ("embeddings", {"input": "a"}, {"data": [], "usage": {"prompt_tokens": 4, "total_tokens": 4}}, (4, 0), ""),
    ("responses", {"input": "a"}, {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
                                   "output": [], "usage": {"input_tokens": 6, "output_tokens": 2}}, (6, 2),
     "max_output_tokens"),
    ("chat/completions", CHAT, {"choices": [{"finish_reason": "tool_calls"}],
                                "usage": {"prompt_tokens": 1, "completion_tokens": 1}}, (1, 1), "tool_calls"),
])
def test_plain(pair, path, body, said, numbers, stop):
    gw, up = pair()
    up.on("m", fo.plain(json.dumps(said).encode()))
    status, _, answer = post(gw, path, {"model": "openai/m", "fallbacks": ["openai/n"], **body})
    assert status == 200 and answer == said
    assert up.requests[0]["line"] == f"POST /v1/{path} HTTP/1.1"
    assert up.requests[0]["json"] == {"model": "m", **body}  # fallbacks are for us alone
    row = rows(gw)[0]
    assert (row["prompt_tokens"], row["completion_tokens"], row["estimated"]) == (*numbers, 0)
    assert (row["stop_reason"] or "") == stop


def event(kind, **more):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


RESPONSE = [event("response.created", response={"status": "in_progress"}),
            event("response.output_text.delta", delta="Hel"), event("response.output_text.delta", delta="lo"),
            event("response.completed", response={"status": "completed", "usage": {
                "input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 3}}})]


def test_a_stream_of_responses(pair):
    gw, up = pair()
    up.on("m", fo.SSE_HEAD + fo.chunked(*RESPONSE) + b"0\r\n\r\n")
    status, _, body = post(gw, "responses", {"model": "openai/m", "input": "x", "stream": True})
    assert status == 200 and body == b"".join(RESPONSE)
    assert "stream_options" not in up.requests[0]["json"]
    row = rows(gw)[0]
    assert (row["prompt_tokens"], row["completion_tokens"], row["cached_read_tokens"]) == (9, 2, 3)
    assert (row["stop_reason"], row["truncated"], row["status"]) == ("completed", 0, "success")


def test_a_stream_of_responses_without_its_end(pair):
    gw, up = pair()
    up.on("m", fo.SSE_HEAD + fo.chunked(*RESPONSE[:-1]) + b"0\r\n\r\n")
    body = post(gw, "responses", {"model": "openai/m", "input": "x", "stream": True})[2]
    assert body.startswith(b"".join(RESPONSE[:-1])) and b"upstream_truncated" in body[len(b"".join(RESPONSE[:-1])):]
    assert rows(gw)[0]["truncated"] == 1


def test_a_response_that_failed_says_so_once(pair):
    gw, up = pair()
    failed = event("response.failed", response={"status": "failed", "error": {"message": "it broke"}})
    up.on("m", fo.SSE_HEAD + fo.chunked(*RESPONSE[:-1], failed) + b"0\r\n\r\n")
    body = post(gw, "responses", {"model": "openai/m", "input": "x", "stream": True})[2]
    assert body == b"".join(RESPONSE[:-1]) + failed
    row = rows(gw)[0]
    assert row["status"] == "error" and "it broke" in row["error_details"] and row["stop_reason"] == "failed"


def test_an_error_instead_of_a_stream_is_an_answer(pair):
    gw, up = pair()
    up.on("m", fo.SSE_HEAD + fo.chunked(b'data: {"error":{"message":"slow down","code":429}}\n\n') + b"0\r\n\r\n")
    status, headers, body = ask(gw, stream=True)
    assert status == 429 and "slow down" in body["error"]["message"]
    assert headers["Content-Type"] == "application/json"


def test_a_provider_that_does_not_send_the_marker(pair):
    gw, up = pair(provider={"custom_provider_config": {"base_provider_type": "openai", "does_not_send_done_marker": True}})
    stop = fo.chunk({}, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    up.on("m", fo.SSE_HEAD + fo.chunked(fo.chunk({"content": "a"}), stop) + b"0\r\n\r\n")
    assert ask(gw, stream=True)[2].endswith(stop + fo.DONE)
    up.on("m", fo.SSE_HEAD + fo.chunked(fo.chunk({"content": "a"})) + b"0\r\n\r\n")
    assert b"upstream_truncated" in ask(gw, stream=True)[2]
    assert [r["truncated"] for r in rows(gw, 2)] == [0, 1]


def test_operations_that_a_provider_lacks(fake, gateway):
    up = fake()
    conf = {"keys": [{"name": "k", "value": KEY}], "network_config": {"base_url": up.url}}
    other = {**conf, "keys": [{"name": "other", "value": KEY}]}
    gw = gateway(workers=1, config={"providers": {"perplexity": conf, "my-own": other}}).start()
    status, _, body = post(gw, "embeddings", {"model": "perplexity/m", "input": "x"})
    assert (status, error_type(body)) == (400, "operation_not_supported")
    assert "perplexity" in body["error"]["message"] and "embeddings" in body["error"]["message"]
    assert not up.requests
    up.on("m", fo.plain(b'{"data":[]}'))
    assert post(gw, "embeddings", {"model": "my-own/m", "input": "x"})[0] == 200


# ---- headers


def test_headers_that_go_on(pair):
    gw, up = pair(network={"extra_headers": {"X-Org": "blue"}})
    sent = {"x-bf-eh-X-Team": "red", "x-bf-eh-host": "evil", "x-bf-eh-authorization": "Bearer evil", "X-Private": "1",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    assert post(gw, "chat/completions", {"model": "openai/m", **CHAT}, sent)[0] == 200
    got = up.requests[0]["headers"]
    assert (got["x-org"], got["x-team"], got["authorization"]) == ("blue", "red", f"Bearer {KEY}")
    assert got["host"] == f"127.0.0.1:{up.port}" and "x-private" not in got
    assert "0af7651916cd43dd8448eb211c80319c" in got["traceparent"]


def test_headers_that_come_back(pair):
    gw, up = pair()
    up.on("m", fo.plain(None, 200, "application/json", "X-Ratelimit-Remaining: 7", "Set-Cookie: a=b", "Server: s",
                        "X-Request-Id: theirs", "Connection: keep-alive", "Alt-Svc: h3"))
    status, headers, _ = ask(gw)
    assert status == 200 and headers["X-Ratelimit-Remaining"] == "7" and headers.get("X-Request-Id") != "theirs"
    assert not {"Set-Cookie", "Server", "Alt-Svc"} & set(headers)
    up.on("m", fo.plain(b'{"error":{"message":"m"}}', 429, "application/json", "retry-after-ms: 1500", "X-Why: quota"))
    status, headers, _ = ask(gw)
    assert (status, headers["Retry-After"], headers["X-Why"]) == (429, "2", "quota")


# ---- turns and times


def hold(up, model="m"):
    """The upstream answers this model when it is let go."""
    go, arrived = threading.Event(), []

    def act(wire, _):
        arrived.append(1)
        go.wait(60)
        wire.send(fo.plain())

    up.on(model, act)
    return go, arrived


def test_a_full_queue_drops(pair):
    gw, up = pair(provider={"concurrency_and_buffer_size": {"concurrency": 1, "buffer_size": 1}})
    go, arrived = hold(up)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(gw))) for _ in range(2)]
    [t.start() for t in threads]
    wait_for("one runs, one waits", lambda: arrived and "bifrost_upstream_queue_requests 1" in metrics(gw))
    # Further ones wait too: drop_excess_requests is off.
    threads.append(threading.Thread(target=lambda: answers.append(ask(gw))))
    threads[-1].start()
    wait_for("two wait", lambda: "bifrost_upstream_queue_requests 2" in metrics(gw))
    go.set()
    [t.join(60) for t in threads]
    assert [a[0] for a in answers] == [200] * 3 and up.connections == 1


def metrics(gw):
    return gw.request("GET", "/metrics")[2].decode()


def test_drop_excess_requests(fake, gateway):
    up = fake()
    conf = {"keys": [{"name": "k", "value": KEY}], "network_config": {"base_url": up.url},
            "concurrency_and_buffer_size": {"concurrency": 1, "buffer_size": 1}}
    gw = gateway(workers=1, config={"client": {"drop_excess_requests": True}, "providers": {"openai": conf}}).start()
    go, arrived = hold(up)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(gw))) for _ in range(2)]
    [t.start() for t in threads]
    wait_for("one runs, one waits", lambda: arrived and "bifrost_upstream_queue_requests 1" in metrics(gw))
    status, headers, body = ask(gw)
    assert (status, error_type(body), headers["Retry-After"]) == (503, "bifrost_dropped", "1")
    go.set()
    [t.join(60) for t in threads]
    assert [a[0] for a in answers] == [200, 200]
    assert "bifrost_upstream_dropped_total 1" in metrics(gw)


def test_a_client_that_leaves_the_queue(pair):
    gw, up = pair(provider={"concurrency_and_buffer_size": {"concurrency": 1, "buffer_size": 9}})
    go, arrived = hold(up)
    first = threading.Thread(target=ask, args=(gw,))
    first.start()
    wait_for("it runs", lambda: arrived)
    body = json.dumps({"model": "openai/m", **CHAT})
    with socket.create_connection(("127.0.0.1", gw.port)) as s:
        s.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        wait_for("it waits", lambda: "bifrost_upstream_queue_requests 1" in metrics(gw))
    wait_for("it left", lambda: "bifrost_upstream_queue_requests 0" in metrics(gw))
    go.set()
    first.join(60)
    assert len(up.requests) == 1


def test_time_to_the_first_byte_and_in_total(pair):
    gw, up = pair(network={"first_byte_timeout_in_seconds": 2, "total_timeout_in_seconds": 5})
    up.on("m", lambda w, _: w.gone(20))
    status, _, body = ask(gw)
    assert (status, error_type(body)) == (504, "upstream_timeout")

    def drip(wire, _):
        wire.send(fo.SSE_HEAD)
        with contextlib.suppress(OSError):
            for _ in range(200):
                wire.send(fo.chunked(fo.chunk({"content": "x"})))
                time.sleep(0.05)

    up.on("m", drip)
    began = time.monotonic()
    body = ask(gw, stream=True)[2]
    assert 4.8 < time.monotonic() - began and b"upstream_total_timeout" in body and b"[DONE]" not in body


# ---- bad upstreams disturb nobody


def test_others_are_not_disturbed(pair):
    """Every bad upstream at once, and beside them requests that must not notice."""
    gw, up = pair(network={"default_request_timeout_in_seconds": 5})
    bad = {
        "garbage": b"\x00\xff" * 1000 + b"\r\n\r\n",
        "lengths": fo.head(200, JSON, "Content-Length: 2", "Content-Length: 3") + b"{} ",
        "short": fo.head(200, JSON, "Content-Length: 100") + b"{}",
        "flood": lambda w, _: [w.send(fo.head(103, "Link: x")) for _ in range(5000)],
        "headers": lambda w, _: [w.send(b"HTTP/1.1 200 OK\r\n" if i == 0 else b"X: " + b"y" * 1000 + b"\r\n")
                                 for i in range(500)],
        "no-answer": lambda w, _: w.gone(10),
        "half-head": lambda w, _: w.send(b"HTTP/1.1 200 O") or w.gone(10),
        "half-body": lambda w, _: w.send(fo.plain()[:-9]) or w.gone(10),
        "half-chunk": lambda w, _: w.send(fo.head(200, JSON, "Transfer-Encoding: chunked") + b"ff\r\n{") or w.gone(10),
        "reset": lambda w, _: w.reset(),
    }
    for name, act in bad.items():
        up.on(name, act)
    answers = {}
    threads = [threading.Thread(target=lambda n=n: answers.update({n: ask(gw, n)})) for n in bad]
    [t.start() for t in threads]
    for _ in range(30):
        began = time.monotonic()
        assert ask(gw, "good")[0] == 200 and time.monotonic() - began < 4.5
        time.sleep(0.02)
    [t.join(60) for t in threads]
    assert {n: a[0] for n, a in answers.items() if a[0] not in (502, 504)} == {} and len(answers) == len(bad)
    assert {error_type(a[2]) for a in answers.values()} <= {
        "upstream_protocol_error", "upstream_closed", "upstream_timeout"}


# ---- servers


def test_servers_of_keys(fake, gateway):
    one, two = fake(), fake()
    keys = [{"name": n, "value": "", "models": [n], "vllm_key_config": {"url": u.url, "model_name": n}}
            for n, u in (("one", one), ("two", two))]
    gw = gateway(workers=1, config={"providers": {"vllm": {"keys": keys}}}).start()
    for name, up in (("one", one), ("two", two), ("one", one)):
        assert post(gw, "chat/completions", {"model": f"vllm/{name}", **CHAT})[0] == 200
        assert up.requests[-1]["json"]["model"] == name
    assert (len(one.requests), len(two.requests)) == (2, 1)
    assert "authorization" not in one.requests[0]["headers"]


def test_a_certificate_that_is_not_looked_at(pair, fake, authority):
    up = fake(tls=server_tls(*authority.issue("server", "DNS:elsewhere.example", self_signed=True)))
    gw, _ = pair(network={"base_url": f"https://127.0.0.1:{up.port}", "insecure_skip_verify": True}, upstream=up,
                 workers=2)
    assert ask(gw)[0] == 200
    assert gw.log().count("provider_tls_unverified") == 1


# ---- the mock, by the vendor's client


def test_the_mock_speaks_all_operations(gateway):
    import openai
    gw = gateway(workers=1).start()
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{gw.port}/openai/v1", api_key="unused", max_retries=0)
    assert client.completions.create(model="mock/m", prompt="a b").choices[0].text == "a b"
    vectors = client.embeddings.create(model="mock/m", input=["a", "b"], dimensions=4)
    plain = client.embeddings.create(model="mock/m", input=["a", "b"], dimensions=4, encoding_format="float")
    assert [v.embedding for v in vectors.data] == [v.embedding for v in plain.data] and len(vectors.data[0].embedding) == 4
    said = client.responses.create(model="mock/m", input="a b")
    assert said.output_text == "a b" and said.usage.output_tokens == 2
    with client.responses.stream(model="mock/m", input="a b c") as stream:
        kinds = [e.type for e in stream]
        assert stream.get_final_response().output_text == "a b c"
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
