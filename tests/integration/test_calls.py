"""Attempts by real processes: keys, retries, fallbacks, deadlines, heartbeats, and workers killed in between."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

import upstreams
from gateway import wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import fake_openai as fo  # noqa: E402

QUICK = {"retry_backoff_initial": "1ms", "retry_backoff_max": "20ms"}
NAMES = ("openai", "groq", "mistral")


def refusal(status, *lines, text="theirs"):
    return fo.plain(json.dumps({"error": {"message": text, "type": "x", "code": "y"}}).encode(), status,
                    "application/json", *lines)


def by_key(**acts):
    """A behaviour for each key; a list is played in order, its last one for ever."""
    def act(wire, request):
        key = request["headers"]["authorization"].split()[-1].replace("-", "_")
        what = acts[key]
        if isinstance(what, list):
            what = what.pop(0) if len(what) > 1 else what[0]
        if callable(what):
            what(wire, request)
        else:
            wire.send(what)
    return act


def in_turn(*acts):
    return by_key(**{"sk_1": list(acts)})


def hang(wire, request):
    wire.gone(60)


@pytest.fixture
def house(gateway):
    """(gateway, upstreams by name): three providers of the family, each with `keys` keys sk-1, sk-2, ..."""
    made = []

    def make(keys=1, network=None, workers=1, **config):
        ups, providers = {}, {}
        for name in NAMES:
            up = ups[name] = fo.FakeOpenAI()
            made.append(up)
            providers[name] = {"network_config": {"base_url": up.url, **QUICK, **(network or {})}, "keys": [
                {"name": f"{name} key {n}", "id": f"{name}-id-{n}", "value": f"sk-{n}", "weight": 1 if n == 1 else 0}
                for n in range(1, keys + 1)]}
        return gateway(workers=workers, config={"providers": providers, **config}).start(), ups

    yield make
    for up in made:
        up.close()


def ask(gw, model="openai/m", headers=None, timeout=60, **more):
    return gw.request("POST", "/v1/chat/completions",
                      {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}, headers=headers,
                      timeout=timeout)


def rows(gw, count):
    return upstreams.rows(gw, count, order="timestamp, fallback_index")


def keys_asked(up, model="m"):
    return [r["headers"]["authorization"].split()[-1] for r in up.asked(model)]


# ---- keys


def test_all_workers_spare_a_rate_limited_key(house):
    gw, ups = house(keys=3, workers=2)
    ups["openai"].on("m", by_key(sk_1=refusal(429, "Retry-After: 300"), sk_2=fo.plain(), sk_3=fo.plain()))
    for _ in range(24):
        assert ask(gw)[0] == 200
    asked = keys_asked(ups["openai"])
    assert asked.count("sk-1") == 1 and len(asked) == 25
    first = rows(gw, 24)[0]
    trail = json.loads(first["attempt_trail"])
    assert [t[:2] for t in trail][0] == ["openai key 1", 429] and trail[1][1] == 200 and len(trail) == 2
    assert first["number_of_retries"] == 1 and first["selected_key_name"] == trail[1][0]
    assert first["selected_key_id"] == "openai-id-" + trail[1][0][-1]
    text = gw.request(path="/metrics")[2].decode()
    assert 'bifrost_provider_key_up{provider="openai",key_id="openai-id-1",key_name="openai key 1"} 0' in text
    assert 'bifrost_provider_key_up{provider="openai",key_id="openai-id-2",key_name="openai key 2"} 1' in text
    assert "sk-1" not in text
    assert gw.metric_sum("bifrost_key_rotation_events_total") == 1
    assert gw.metric_sum("bifrost_upstream_requests_total") == 25


def test_key_health_outlives_a_worker(house):
    gw, ups = house(keys=2)
    ups["openai"].on("m", by_key(sk_1=refusal(429, "Retry-After: 300"), sk_2=fo.plain()))
    assert ask(gw)[0] == 200
    os.kill(gw.pid_of("proxyd.0"), signal.SIGKILL)
    wait_for("the new worker", lambda: ask_or_none(gw))
    assert keys_asked(ups["openai"])[2:] == ["sk-2"] * (len(ups["openai"].requests) - 2)


def ask_or_none(gw):
    with contextlib.suppress(OSError):
        return ask(gw)[0] == 200


@pytest.mark.parametrize("status", [401, 402, 403])
def test_refused_keys_are_left_at_once(house, status):
    gw, ups = house(keys=3)
    ups["openai"].on("m", by_key(sk_1=refusal(status), sk_2=refusal(status), sk_3=fo.plain()))
    ups["openai"].on("none", by_key(sk_1=refusal(status), sk_2=refusal(status), sk_3=refusal(status)))
    assert ask(gw)[0] == 200
    got, _, body = ask(gw, "openai/none")
    assert got == 502 and body["error"]["type"] == "upstream_credentials_exhausted" and body["is_bifrost_error"]
    assert sorted(keys_asked(ups["openai"], "none")) == ["sk-1", "sk-2", "sk-3"]
    assert sorted(t[1] for t in json.loads(rows(gw, 2)[1]["attempt_trail"])) == [status] * 3


def test_pins(house):
    gw, ups = house(keys=2)
    ups["openai"].on("m", by_key(sk_1=fo.plain(), sk_2=refusal(429, "Retry-After: 9")))
    status, headers, body = ask(gw, headers={"x-bf-api-key-id": "openai-id-2", "x-bf-api-key": "openai key 1"})
    assert status == 429 and headers["Retry-After"] == "9" and body["error"]["message"] == "theirs"
    status, _, body = ask(gw, headers={"x-bf-api-key": "key 7"})
    # Not which: it may be one that was meant to be a secret.
    assert status == 400 and body["error"]["message"] == 'provider "openai" has no key with this name'
    assert keys_asked(ups["openai"]) == ["sk-2"]


# ---- retries


@pytest.mark.parametrize("bad", [500, 502, 503, 504, "reset"])
def test_outages_are_tried_again_with_the_same_key(house, bad):
    gw, ups = house(keys=2, network={"max_retries": 2})
    act = (lambda wire, request: wire.reset()) if bad == "reset" else refusal(bad)
    ups["openai"].on("m", in_turn(act, act, fo.plain()))
    assert ask(gw)[0] == 200
    assert keys_asked(ups["openai"]) == ["sk-1"] * 3
    row = rows(gw, 1)[0]
    assert row["number_of_retries"] == 2 and row["status"] == "success"
    assert len(json.loads(row["attempt_trail"])) == 3


@pytest.mark.parametrize("bad", [400, 404, 422])
def test_mistakes_are_not(house, bad):
    gw, ups = house(keys=2, network={"max_retries": 5})
    ups["openai"].on("m", refusal(bad))
    status, _, body = ask(gw)
    assert status == bad and body["error"]["message"] == "theirs" and not body["is_bifrost_error"]
    assert len(ups["openai"].requests) == 1
    assert [t[:2] for t in json.loads(rows(gw, 1)[0]["attempt_trail"])] == [["openai key 1", bad]]


@pytest.mark.parametrize("how", ["close", "late close", "late reset"])
def test_what_an_upstream_heard_on_a_kept_connection_is_not_sent_twice(house, how):
    gw, ups = house(network={"max_retries": 0})

    def drop(wire, request):
        if how != "close":
            time.sleep(1)
        (wire.reset if how == "late reset" else wire.close)()

    ups["openai"].on("m", in_turn(fo.plain(), drop, fo.plain()))
    assert ask(gw)[0] == 200
    assert ask(gw)[0] == 502
    asked = ups["openai"].asked("m")
    assert [r["connection"] for r in asked] == [1, 1]
    row = rows(gw, 2)[1]
    assert (row["status"], row["number_of_retries"]) == ("error", 0)
    assert [t[:2] for t in json.loads(row["attempt_trail"])] == [["openai key 1", "upstream_closed"]]
    assert gw.metric_sum("bifrost_upstream_retries_total") == 0


def test_rate_limits_that_are_called_bad_requests(house):
    gw, ups = house(keys=2)
    limit = fo.plain(b'{"error": {"message": "slow", "type": "rate_limit_error", "code": null}}', 400)
    ups["openai"].on("m", by_key(sk_1=limit, sk_2=fo.plain()))
    assert ask(gw)[0] == 200
    assert keys_asked(ups["openai"]) == ["sk-1", "sk-2"]
    ups["groq"].on("m", limit)
    status, _, body = ask(gw, "groq/m")
    assert status == 400 and body["extra_fields"]["error_type"] == "provider_rate_limited"


def test_waiting_for_a_turn_is_part_of_the_time(gateway):
    up = fo.FakeOpenAI()
    gw = gateway(workers=1, config={"providers": {"openai": {
        "keys": [{"name": "k", "value": "sk-1"}],
        "network_config": {"base_url": up.url, "default_request_timeout_in_seconds": 3},
        "concurrency_and_buffer_size": {"concurrency": 1, "buffer_size": 9}}}}).start()
    up.on("endless", lambda wire, request: wire.send(fo.SSE_HEAD) or drip(wire))
    thread = in_background(gw, model="openai/endless", stream=True)
    wait_for("it runs", lambda: up.requests)
    began = time.monotonic()
    status, _, body = ask(gw)
    assert (status, body["error"]["type"]) == (504, "upstream_queue_timeout")
    assert 2 < time.monotonic() - began
    up.close()
    thread.join(60)


def drip(wire):
    """A stream that ends no sooner than the test."""
    for _ in range(100):
        wire.send(fo.chunked(fo.chunk({"content": "x"})))
        time.sleep(0.1)
    wire.send(fo.chunked(fo.DONE) + b"0\r\n\r\n")


def test_the_deadline_holds_over_all_attempts(house):
    gw, ups = house(network={"max_retries": 100, "total_timeout_in_seconds": 2, "retry_backoff_initial": "50ms",
                             "retry_backoff_max": "50ms"})
    ups["openai"].on("m", refusal(503))
    began = time.monotonic()
    # 504: an attempt ran when time was over.
    assert ask(gw)[0] in (503, 504)
    assert 1 < time.monotonic() - began
    assert 1 < len(ups["openai"].requests) < 100
    ups["groq"].on("m", hang)
    assert ask(gw, "groq/m")[0] == 504


# ---- fallbacks


def test_a_fallback_has_a_row_of_its_own(house):
    gw, ups = house()
    ups["openai"].on("m", refusal(500))
    ups["groq"].on("g", refusal(404))
    status, headers, body = ask(gw, fallbacks=["groq/g", "mistral/x"])
    assert status == 200 and body["extra_fields"]["provider"] == "mistral"
    assert [r["json"].get("fallbacks") for up in ups.values() for r in up.requests] == [None] * 3
    first, second, third = rows(gw, 3)
    assert headers["X-Request-Id"] == first["id"]
    assert first["parent_request_id"] is None
    assert [r["parent_request_id"] for r in (second, third)] == [first["id"]] * 2
    assert [r["fallback_index"] for r in (first, second, third)] == [0, 1, 2]
    assert [r["http_status"] for r in (first, second, third)] == [500, 404, 200]
    assert [r["status"] for r in (first, second, third)] == ["error", "error", "success"]
    assert [r["model"] for r in (first, second, third)] == ["m", "g", "x"]
    assert gw.metric_sum("bifrost_fallbacks_total") == 2


def test_when_all_fail_the_primary_is_told(house):
    gw, ups = house()
    ups["openai"].on("m", refusal(429, "Retry-After: 33", text="first words"))
    ups["groq"].on("m", refusal(500))
    ups["mistral"].on("m", lambda wire, request: wire.reset())
    status, headers, body = ask(gw, fallbacks=["groq/m", "mistral/m"])
    assert (status, headers["Retry-After"], body["error"]["message"]) == (429, "33", "first words")
    assert body["extra_fields"]["provider"] == "openai"
    assert [r["http_status"] for r in rows(gw, 3)] == [429, 500, 502]


# ---- streams


def test_a_stream_is_tried_again_until_its_first_event(house):
    gw, ups = house(network={"max_retries": 1})
    ups["openai"].on("m", in_turn(fo.cut(fo.SSE_HEAD), fo.stream()))
    status, _, body = ask(gw, stream=True)
    assert status == 200 and body.count(b"data: [DONE]") == 1 and b"error" not in body
    ups["openai"].on("begun", fo.cut(fo.SSE_HEAD + fo.chunked(fo.chunk({"content": "x"}))))
    status, _, body = ask(gw, "openai/begun", stream=True, fallbacks=["groq/g"])
    assert status == 200 and b"[DONE]" not in body and b'"error"' in body
    assert not ups["groq"].requests
    good, bad = rows(gw, 2)
    assert (good["number_of_retries"], good["truncated"], bad["truncated"]) == (1, 0, 1)
    assert gw.metric_sum("bifrost_streams_truncated_total") == 1
    assert gw.metric_sum("bifrost_streams_open") == 0


def test_what_fails_before_the_first_event_has_its_real_status(house):
    gw, ups = house()
    ups["openai"].on("m", fo.cut(fo.SSE_HEAD))
    status, headers, body = ask(gw, stream=True)
    assert status == 502 and "json" in headers["Content-Type"] and body["is_bifrost_error"]


def test_heartbeats(house):
    gw, ups = house(server={"heartbeat_interval": "300ms"})

    def counted():
        return gw.metric_sum("bifrost_stream_heartbeats_total")

    def slow(wire, request):
        time.sleep(1)  # before the head: nothing may be sent
        early.append(counted())
        wire.send(fo.SSE_HEAD)
        wait_for("two of them", lambda: counted() >= 2)
        wire.send(fo.chunked(*fo.events(), fo.DONE) + b"0\r\n\r\n")

    early = []
    ups["openai"].on("m", slow)
    began = time.monotonic()
    status, _, body = ask(gw, stream=True, timeout=60)
    beats = body.count(b": heartbeat\n\n")
    assert early == [0]
    assert status == 200 and 2 <= beats <= (time.monotonic() - began) / 0.3 and body.count(b"data: [DONE]") == 1
    assert counted() == beats


def test_a_client_that_leaves_stops_the_upstream(house):
    gw, ups = house(network={"max_retries": 3})
    gone = threading.Event()

    def act(wire, request):
        wire.send(fo.SSE_HEAD + fo.chunked(*fo.events(("a", "b"), usage=False)))
        if wire.gone(20):
            gone.set()

    ups["openai"].on("m", act)
    with upstreams.open_stream(gw) as client:
        seen = b""
        while b'"b"' not in seen:
            piece = client.recv(65536)
            assert piece, seen
            seen += piece
    assert gone.wait(60)
    row = rows(gw, 1)[0]
    assert row["client_gone"] == 1 and row["completion_tokens"] > 0
    assert len(ups["openai"].requests) == 1


# ---- workers that die in between


def in_background(gw, **more):
    def run():
        with contextlib.suppress(OSError, ValueError):
            ask(gw, timeout=60, **more)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_killed_in_the_middle_of_a_fallback(house):
    gw, ups = house(keys=2)
    ups["openai"].on("m", refusal(500))
    ups["groq"].on("g", by_key(sk_1=refusal(401), sk_2=hang))
    thread = in_background(gw, fallbacks=["groq/g", "mistral/x"])
    wait_for("the fallback's second attempt", lambda: len(ups["groq"].requests) == 2)
    os.kill(gw.pid_of("proxyd.0"), signal.SIGKILL)
    first, second = rows(gw, 2)
    thread.join(60)
    assert (first["status"], first["http_status"], first["crashed"], first["fallback_index"]) == ("error", 500, 0, 0)
    assert (second["crashed"], second["estimated"], second["fallback_index"]) == (1, 1, 1)
    assert (second["provider"], second["parent_request_id"]) == ("groq", first["id"])
    assert (second["selected_key_name"], second["number_of_retries"]) == ("groq key 2", 1)
    assert not ups["mistral"].requests


def test_killed_while_waiting_for_the_next_attempt(house):
    gw, ups = house(network={"max_retries": 3, "retry_backoff_initial": "30s", "retry_backoff_max": "30s"})
    ups["openai"].on("m", refusal(503))
    thread = in_background(gw)
    wait_for("the first attempt", lambda: ups["openai"].requests)
    wait_for("the pause", lambda: gw.metric_sum("bifrost_upstream_retries_total") == 1)
    os.kill(gw.pid_of("proxyd.0"), signal.SIGKILL)
    row = rows(gw, 1)[0]
    thread.join(60)
    assert row["crashed"] == 1 and row["selected_key_name"] == "openai key 1" and row["status"] == "error"
