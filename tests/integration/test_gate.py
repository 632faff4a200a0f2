"""The gate against real workers: four operations under three prefixes, names of models, headers, extra_fields, errors."""

import contextlib
import json
import sqlite3
import sys
from pathlib import Path

import pytest

from gateway import wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import fake_openai as fo  # noqa: E402

PREFIXES = ["/v1", "/openai/v1", "/openai"]
MESSAGES = [{"role": "user", "content": "hi there"}]
OPERATIONS = {
    "/chat/completions": ({"messages": MESSAGES}, "chat_completion"),
    "/completions": ({"prompt": "once upon"}, "text_completion"),
    "/embeddings": ({"input": ["a", "b c"]}, "embedding"),
    "/responses": ({"input": "hi there"}, "responses"),
}


@pytest.fixture
def fake():
    made = fo.FakeOpenAI()
    yield made
    made.close()


def rows(gw, count):
    def look():
        with contextlib.closing(sqlite3.connect(f"file:{gw.state / 'logs.db'}?mode=ro", uri=True, timeout=5)) as db:
            db.row_factory = sqlite3.Row
            found = [dict(r) for r in db.execute("SELECT * FROM logs ORDER BY inc_number")]
            return found if len(found) >= count else None

    return wait_for(f"{count} rows", look)


def post(gw, path, body, **kw):
    return gw.request("POST", path, body, **kw)


def datas(body):
    return [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]


# ---- operations


def test_every_operation_under_every_prefix(gateway):
    gw = gateway(workers=1).start()
    for prefix in PREFIXES:
        for path, (body, kind) in OPERATIONS.items():
            status, _, answer = post(gw, prefix + path, {"model": "mock/m", **body})
            assert status == 200, answer
            if prefix != "/v1":
                assert "extra_fields" not in answer
                continue
            extra = answer["extra_fields"]
            assert extra.pop("latency") >= 0
            assert extra == {"request_type": kind, "provider": "mock", "original_model_requested": "m",
                             "resolved_model_used": "m",
                             "routing_info": {"provider": "mock", "model": "m", "is_fallback": False,
                                              "primary_provider": "mock", "primary_model": "m"}}


def test_streams_say_it_in_an_event(gateway):
    gw = gateway(workers=1).start()
    for path in ("/chat/completions", "/completions", "/responses"):
        body, kind = OPERATIONS[path]
        for prefix in PREFIXES:
            status, _, answer = post(gw, prefix + path, {"model": "mock/m", "stream": True, **body})
            assert status == 200, answer
            said = [json.loads(d) for d in datas(answer) if d != "[DONE]"]
            extras = [s["extra_fields"] for s in said if "extra_fields" in s]
            if prefix != "/v1":
                assert not extras
                continue
            assert extras and extras[-1]["request_type"] == kind + "_stream"
            assert extras[-1]["provider"] == "mock"
            assert [s["extra_fields"]["chunk_index"] for s in said if "extra_fields" in s] == [
                i for i, s in enumerate(said) if "extra_fields" in s]


BAD = [b"{", b'{"model":"mock/m","model":"mock/m"}', b'{"a":' + b"[" * 100000, b'{"user":"\\ud800"}', b'{"user":"\xff"}',
       b"[]", b"{}", b'{"model":"nobody/m"}', b'{"model":"mock/m","fallbacks":{}}', b'{"model":"mock/m"}']


def test_bad_bodies_on_every_route(gateway):
    gw = gateway(workers=1).start()
    for prefix in PREFIXES:
        for path in OPERATIONS:
            for body in BAD:
                status, _, answer = post(gw, prefix + path, body)
                assert status == 400, body[:50]
                if prefix == "/v1":
                    assert answer["is_bifrost_error"] is True and answer["status_code"] == 400
                    assert answer["extra_fields"]["error_type"] == "caller_invalid_request"
                else:
                    assert set(answer) == {"error"} and set(answer["error"]) == {"message", "type", "param", "code"}
    assert post(gw, "/v1/chat/completions", {"model": "mock/m", "messages": MESSAGES})[0] == 200


def test_streamed_embeddings_are_refused(gateway):
    gw = gateway(workers=1).start()
    status, _, answer = post(gw, "/v1/embeddings", {"model": "mock/m", "input": "a", "stream": True})
    assert (status, answer["error"]["message"]) == (400, "stream is not possible for embeddings")


# ---- names


def test_bare_names_and_the_list_of_models(gateway, fake):
    keys = [{"name": "k", "value": "v", "models": ["gpt-x", "org/model y"]}]
    conf = {"keys": keys, "network_config": {"base_url": fake.url}}
    gw = gateway(workers=1, config={"providers": {"openai": conf}}).start()
    fake.on("gpt-x", fo.plain())
    status, _, answer = post(gw, "/v1/chat/completions", {"model": "gpt-x", "messages": MESSAGES})
    assert status == 200, answer
    assert answer["extra_fields"]["routing_info"]["provider"] == "openai"
    assert answer["extra_fields"]["routing_info"]["key"] == "k"
    status, _, answer = post(gw, "/v1/chat/completions", {"model": "gpt-y", "messages": MESSAGES})
    assert status == 400
    assert answer["error"]["message"].startswith("provider is required in model field (format: provider/model)")
    assert [m["id"] for m in gw.request(path="/v1/models?provider=openai")[2]["data"]] == [
        "openai/gpt-x", "openai/org/model y"]
    status, _, model = gw.request(path="/openai/v1/models/openai/org%2Fmodel%20y")
    assert (status, model["id"], model["owned_by"]) == (200, "openai/org/model y", "openai")
    status, _, answer = gw.request(path="/openai/v1/models/nothing")
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


def test_fallbacks_reach_the_second_target(gateway, fake):
    conf = {"keys": [{"name": "k", "value": "v"}], "network_config": {"base_url": fake.url}}
    gw = gateway(workers=1, config={"providers": {"openai": conf}}).start()
    fake.on("down", fo.plain(b'{"error":{"message":"down"}}', 500))
    fallbacks = ["nobody/m", {"provider": "mock"}, {"provider": "mock", "model": "second"}]
    status, _, answer = post(gw, "/v1/chat/completions",
                             {"model": "openai/down", "fallbacks": fallbacks, "messages": MESSAGES})
    assert status == 200, answer
    extra = answer["extra_fields"]
    assert (extra["original_model_requested"], extra["resolved_model_used"]) == ("down", "second")
    assert extra["routing_info"] == {"provider": "mock", "model": "second", "is_fallback": True,
                                     "primary_provider": "openai", "primary_model": "down"}
    assert [(r["provider"], r["fallback_index"], r["status"]) for r in rows(gw, 2)] == [
        ("openai", 0, "error"), ("mock", 1, "success")]
    assert b"fallbacks" not in json.dumps(fake.requests[0]["json"]).encode()


# ---- headers


def test_required_headers_and_parents(gateway):
    gw = gateway(workers=1, config={"client": {"required_headers": ["x-team", "x-app"]}}).start()
    body = {"model": "mock/m", "messages": MESSAGES}
    for prefix in PREFIXES:
        status, _, answer = post(gw, prefix + "/chat/completions", body, headers={"X-App": "a"})
        assert status == 400
        assert answer["error"]["message"] == "missing required headers: x-team"
        assert answer["error"]["type" if prefix == "/v1" else "code"] == "missing_required_headers"
    given = {"X-App": "a", "X-Team": "t", "x-bf-parent-request-id": "agent-7", "x-request-id": "req-1"}
    assert post(gw, "/v1/chat/completions", body, headers=given)[0] == 200
    status, _, answer = post(gw, "/v1/chat/completions", body, headers={**given, "x-bf-parent-request-id": "a b"})
    assert (status, answer["error"]["type"]) == (400, "invalid_request")
    assert [r["parent_request_id"] for r in rows(gw, 1)] == ["agent-7"]


def test_events_of_an_upstream_are_counted(gateway, fake):
    conf = {"keys": [{"name": "k", "value": "v"}], "network_config": {"base_url": fake.url}}
    gw = gateway(workers=1, config={"providers": {"openai": conf}}).start()
    fake.on("m", fo.SSE_HEAD + fo.chunked(*fo.events()[:-2], fo.chunk({}, choices=[
        {"index": 0, "delta": {}, "finish_reason": "stop"}]), fo.USAGE_CHUNK, fo.DONE) + b"0\r\n\r\n")
    body = {"model": "openai/m", "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}
    said = [json.loads(d) for d in datas(post(gw, "/v1/chat/completions", body)[2]) if d != "[DONE]"]
    assert [s.get("extra_fields", {}).get("chunk_index") for s in said] == [None] * (len(said) - 2) + [
        len(said) - 2, len(said) - 1]


# ---- errors of an upstream


def test_an_upstreams_error_is_wrapped_or_relayed(gateway, fake):
    conf = {"keys": [{"name": "k", "value": "v"}], "network_config": {"base_url": fake.url}}
    gw = gateway(workers=1, config={"providers": {"openai": conf}}).start()
    said = {"error": {"message": "too long", "type": "invalid_request_error", "param": "messages",
                      "code": "context_length_exceeded"}}
    fake.on("long", fo.plain(json.dumps(said).encode(), 400))
    body = {"model": "openai/long", "messages": MESSAGES}
    status, _, answer = post(gw, "/v1/chat/completions", body)
    assert (status, answer["status_code"], answer["is_bifrost_error"]) == (400, 400, False)
    assert answer["error"] == said["error"]
    assert answer["extra_fields"]["error_type"] == "caller_invalid_request"
    assert answer["extra_fields"]["routing_info"]["key"] == "k"
    status, _, answer = post(gw, "/openai/v1/chat/completions", body)
    assert (status, answer) == (400, said)


def test_a_broken_stream_ends_with_an_error_event(gateway, fake):
    conf = {"keys": [{"name": "k", "value": "v"}], "network_config": {"base_url": fake.url}}
    gw = gateway(workers=1, config={"providers": {"openai": conf}}).start()

    fake.on("cut", fo.SSE_HEAD + fo.chunked(*fo.events()[:3]) + b"0\r\n\r\n")
    body = {"model": "openai/cut", "messages": MESSAGES, "stream": True}
    for prefix in PREFIXES:
        status, _, answer = post(gw, prefix + "/chat/completions", body)
        last = json.loads(datas(answer)[-1])
        assert status == 200 and last["error"]["message"]
        assert ("extra_fields" in last) == (prefix == "/v1")
        assert b"[DONE]" not in answer
