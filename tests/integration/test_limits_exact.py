"""Limits are exact: in each window of 1,000 clients' load, in dollars and tokens beyond what was reserved, at once, and after
kills of everything. Counted in three places: the provider's ledger, the rows, the meters."""

import contextlib
import json
import os
import random
import re
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from books import PRICE, agreed, governance, loadgen, meters, mockllm, rows_of, secret, wait_for_meters  # noqa: F401
from gateway import wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "chaos"))
from oracle_run import kill_children  # noqa: E402

WINDOWS = int(os.environ.get("BIFROST_WINDOWS", "6"))
SEED = int(os.environ.get("BIFROST_CHAOS_SEED", "1"))
PROMPT = "one two three four five six seven eight nine ten"


def key_header(n=0):
    return ("--header", f"x-bf-vk: {secret(n)}")


def config(mock, keys):
    network = {"base_url": mock.url, "allow_private_network": True, "max_conns_per_host": 5000}
    return {"providers": {"openai": {"keys": [{"name": "only", "value": "sk-upstream"}], "network_config": network,
                                     "concurrency_and_buffer_size": {"concurrency": 4000, "buffer_size": 5000}}},
            **governance(keys)}


def start(gateway, mock, *keys, workers=2):
    gw = gateway(workers=workers, config=config(mock, keys)).start()
    wait_for_meters(gw, sum(len(k) for k in keys))
    # Workers look their meters up when they are first asked for; a model that the provider refuses charges nothing.
    for n in range(len(keys)):
        for _ in range(8):
            wait_for("a worker that knows its meters",
                     lambda n=n: ask(gw, "warm;status=400", n)[0] == 400, every=0.05)
    return gw


def ask(gw, model, n=0, **more):
    body = {"model": f"openai/{model}", "messages": [{"role": "user", "content": PROMPT}], **more}
    return gw.request("POST", "/v1/chat/completions", body, headers={"x-bf-vk": secret(n)})


def used(found, quantity, n=0):
    return next(m["used"] for m in found if m["virtual_key_id"] == f"vk-{n}" and m["quantity"] == quantity)


def row_of(rows, model):
    (row,) = (r for r in rows if r["model"] == model)
    return row


def body_file(folder, **members):
    """A request as loadgen sends it again and again, and how many prompt tokens are reserved for it."""
    text = json.dumps({"messages": [{"role": "user", "content": PROMPT}], **members}, separators=(",", ":"))
    path = folder / f"body-{len(list(folder.glob('body-*')))}"
    path.write_text(text)
    sent = len(text) + len('"user":"P1-0000000001",')
    return path, -(-sent // 3) + 8


# ---- requests


class Watch(threading.Thread):
    """What bifrostctl limits says while the load runs; no moment may show more than the limit. And in which windows somebody
    was refused: those were asked for more than they had, which a window that this machine slept through was not."""

    def __init__(self, gw, most):
        super().__init__(daemon=True)
        self.gw, self.most, self.seen, self.wrong, self.over = gw, most, 0, [], threading.Event()
        self.asked_in_full = set()

    def refused(self):
        """(before, how many, after)"""
        before = time.time() - 0.03  # the gateway's clock is its own
        return before, self.gw.metric_sum('bifrost_limit_refusals_total{reason="requests"}'), time.time() + 0.03

    def run(self):
        last = self.refused()
        while not self.over.wait(0.1):
            now = self.refused()
            if int(last[0]) == int(now[2]) and now[1] > last[1]:
                self.asked_in_full.add(int(now[2]))
            last = now
            (m,) = meters(self.gw)
            self.seen += 1
            if m["used"] + max(m["held"], 0) + m["left"] != self.most or m["used"] + m["held"] > self.most:
                self.wrong.append(m)


def milliseconds(timestamp):
    whole, _, part = timestamp.rstrip("Z").partition(".")
    return (time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone) * 1000 + float(f"0.{part or 0}") * 1000


def check_turns(full, counts, told, rows):
    """No request was let in before its window: by the provider's clock and by when they came."""
    started = [line["started_ns"] / 1e6 for line in told]
    came = [milliseconds(row["timestamp"]) for row in rows]
    for window in full:
        begin = window * 1000
        before = sum(n for w, n in counts.items() if w < window)
        assert sum(t < begin - 5 for t in started) <= before, f"the provider was asked before window {window} began"
        assert sum(t >= begin + 25 for t in came) <= sum(counts.values()) - before, f"too many came after {window} began"


def test_each_window_admits_exactly_its_limit(gateway, mockllm, loadgen):  # noqa: F811
    most = 400
    mock = mockllm()
    gw = start(gateway, mock, {"requests": (most, "1s")})
    warm = len(rows_of(gw.state / "logs.db"))
    watch = Watch(gw, most)
    load = loadgen(f"127.0.0.1:{gw.port}", "--closed", "--connections", 1000, "--duration", WINDOWS + 4, "--model",
                   "openai/m;n=3;latency_ms=40", "--timeout", 20, *key_header(), keeps_ledger=False)
    wait_for("the first answers", lambda: len(rows_of(gw.state / "logs.db")) > warm, every=0.05)
    full = range(int(time.time()) + 1, int(time.time()) + 1 + WINDOWS)
    watch.start()
    time.sleep(full.stop - time.time())
    assert load.process.poll() is None
    watch.over.set()
    watch.join()
    report = load.report()
    found, rows, totals = agreed(gw)
    told = [line for line in mock.stop() if line["status"] == 200]
    admitted = [r for r in rows if r["charged_requests"]]
    (counts,) = ({w: settled for w, (settled, _) in t.items()} for t in totals if any(map(any, t.values())))
    asked = watch.asked_in_full & set(full)
    print({"windows": len(full), "asked in full": len(asked), "limit": most, "statuses": report["statuses"], "looks": watch.seen,
           "counts": sorted({counts.get(w, 0) for w in full})})
    assert {w: counts.get(w) for w in asked} == {w: most for w in asked} and len(asked) >= WINDOWS / 3
    assert all(n <= most for n in counts.values())
    assert sum(counts.values()) == len(admitted) == len(told) == report["statuses"]["200"]
    check_turns(full, counts, told, admitted)
    assert set(report["statuses"]) <= {"200", "429", "503"} and report["ends"]["done"] == report["requests"]
    assert report["statuses"].get("503", 0) < report["requests"] / 100
    assert watch.seen >= WINDOWS and not watch.wrong, watch.wrong[:3]
    assert found[0]["max"] == most


# ---- dollars


@pytest.mark.parametrize("asked,given", [(50, 100), (500, 100)], ids=["more than asked", "less than asked"])
def test_dollars(gateway, mockllm, loadgen, tmp_path, asked, given):  # noqa: F811
    """The provider's answers do not keep to max_tokens: each may add what it used beyond its reservation, no more."""
    cost = 10 * PRICE["input"] + given * PRICE["output"]
    limit, clients = 300 * cost, 12
    model = f"m;words=10/{given};latency_ms=5"
    body, prompt = body_file(tmp_path, model=f"openai/{model}", max_tokens=asked)
    reserved = prompt * PRICE["input"] + asked * PRICE["output"]
    mock = mockllm()
    gw = start(gateway, mock, {"cost": (limit, "1h")})
    load = loadgen(f"127.0.0.1:{gw.port}", "--closed", "--connections", clients, "--duration", 4, "--body", body, *key_header())
    report = load.report()
    found, rows, _ = agreed(gw)
    settled = used(found, "cost")
    paid = [r for r in rows if r["cost_nusd"]]
    print({"limit": limit, "settled": settled, "share": round(settled / limit, 4), "calls": len(paid), "reserved": reserved,
           "cost": cost, "statuses": report["statuses"]})
    assert {r["cost_nusd"] for r in paid} == {cost} and len(paid) == report["statuses"]["200"]
    # Not more than all calls together used beyond their reservations, as only those were over that ran at the end.
    assert settled <= limit + clients * max(cost - reserved, 0)
    assert settled > 0.95 * limit
    assert set(report["statuses"]) == {"200", "402"}
    status, headers, body = ask(gw, model, max_tokens=asked)
    assert status == 402 and body["error"]["type"] == "budget_exceeded"
    assert 0 < int(headers["Retry-After"]) <= 3600
    (m,) = meters(gw)
    assert (m["used"], m["held"]) == (settled, 0)


# ---- tokens


def stream(gw, model, n=0, **more):
    """(events, the error that ended it or None)"""
    status, _, text = ask(gw, model, n, stream=True, **more)
    assert status == 200, text
    events = [line[6:] for line in text.decode().splitlines() if line.startswith("data: ")]
    parsed = [json.loads(e) for e in events if e != "[DONE]"]
    error = next((e["error"] for e in parsed if "error" in e), None)
    return parsed, error, events[-1] == "[DONE]"


def counted(words):
    """What an event of so many words of the mock is taken for until the provider tells: a word alone for one token, more for
    a token every 4 bytes."""
    return 1 if words == 1 else -(-10 * words // 4)


def words_in(events):
    deltas = (e["choices"][0]["delta"].get("content", "") for e in events if e.get("choices"))
    return sum(len(text.split()) for text in deltas)


@pytest.mark.parametrize("each", [1, 7, 100])
def test_a_stream_is_extended_until_its_limit(gateway, mockllm, each):  # noqa: F811
    """Nobody said max_tokens: more is reserved as words come; what is refused ends the stream, and says so."""
    endless = 200000 * max(1, each // 5)  # no socket holds so many, however few events they make
    most, short, long = 20000, f"m;words=10/3000;event_words={each}", f"m;words=10/{endless};event_words={each}"
    mock = mockllm()
    gw = start(gateway, mock, {"tokens": (most, "1h")})
    events, error, done = stream(gw, short)
    assert error is None and done and words_in(events) == 3000
    found, rows, _ = agreed(gw)
    assert used(found, "tokens") == row_of(rows, short)["charged_tokens"] == 3010
    events, error, done = stream(gw, long)
    assert error and error["type"] == "token_limited" and not done, events[-2:]
    seen = words_in(events) // each * counted(each)
    found, rows, _ = agreed(gw)
    row = row_of(rows, long)
    print({"seen": seen, "charged": row["charged_tokens"], "used": used(found, "tokens")})
    assert row["status"] == "error" and "token_limited" in row["error_details"], row
    # What the provider has written of the event that was too much is paid for.
    assert seen <= row["completion_tokens"] <= row["charged_tokens"] < most - 3010 + counted(each)
    assert seen > (most - 3010) * 0.95
    assert row["charged_requests"] == 0
    # Upstream was told to stop, long before its last word.
    told = mock.stop()
    assert [line["end"] for line in told if line["completion_tokens"] == endless] == ["client_gone"]


@pytest.mark.parametrize("each", [1, 50])
def test_a_client_that_leaves_before_the_numbers(gateway, mockllm, each):  # noqa: F811
    """What was delivered until then is charged, as near as it can be told."""
    model = f"m;words=10/2000;event_words={each};stall_at={300_000 if each == 1 else 20_000}"
    mock = mockllm()
    gw = start(gateway, mock, {"tokens": (10**6, "1h"), "cost": (10**12, "1h")})
    body = json.dumps({"model": f"openai/{model}", "messages": [{"role": "user", "content": PROMPT}], "stream": True})
    with socket.create_connection(("127.0.0.1", gw.port), timeout=5) as s, contextlib.suppress(TimeoutError):
        s.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nx-bf-vk: {secret(0)}\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        text = b""
        while some := s.recv(65536):
            text += some
    found, rows, _ = agreed(gw)
    row = row_of(rows, model)
    (told,) = (line for line in mock.stop() if line["stream"])
    print({"told": told["delivered_tokens"], "completion": row["completion_tokens"], "charged": row["charged_tokens"]})
    assert len(re.findall(rb"[0-9a-f]{4}[0-9]{5} ", text)) == told["delivered_tokens"] > 1000
    assert row["completion_tokens"] == told["delivered_tokens"] // each * counted(each)
    assert row["charged_tokens"] == row["prompt_tokens"] + row["completion_tokens"] == used(found, "tokens")
    assert (row["estimated"], row["client_gone"]) == (1, 1)


def test_a_response_in_the_background_is_refused(gateway, mockllm):  # noqa: F811
    """Its answer tells no numbers, and whoever fetches it later does not ask us."""
    mock = mockllm()
    gw = start(gateway, mock, {"tokens": (10**6, "1h")}, {"requests": (1000, "1h")})
    for n, background, want in ((0, True, 400), (0, False, 200), (1, True, 200)):
        said = {"model": "openai/m", "input": "a", "background": background}
        for path in ("/v1/responses", "/openai/v1/responses"):
            status, _, body = gw.request("POST", path, said, headers={"x-bf-vk": secret(n)})
            assert status == want, (n, background, body)
            assert status == 200 or "background is not possible" in body["error"]["message"]


@pytest.mark.parametrize("each", [1, 5])
def test_tokens_of_many_streams(gateway, mockllm, loadgen, each):  # noqa: F811
    """The provider tells no more of the prompt than was reserved for it, so that nothing may pass the limit."""
    most = 60000
    mock = mockllm()
    gw = start(gateway, mock, {"tokens": (most, "1h")})
    load = loadgen(f"127.0.0.1:{gw.port}", "--closed", "--connections", 40, "--duration", 4, "--stream", "--usage", "--model",
                   f"openai/m;words=10/150;event_words={each};interval_ms=1", *key_header())
    report = load.report()
    found, rows, _ = agreed(gw)
    settled = used(found, "tokens")
    print({"limit": most, "settled": settled, "ends": report["ends"], "statuses": report["statuses"]})
    assert settled <= most
    assert set(report["statuses"]) <= {"200", "429"} and report["ends"]["garbled"] == 0
    assert all("token_limited" in r["error_details"] for r in rows if r["status"] == "error" and r["charged_tokens"])


# ---- at once


def most_at_once(told):
    moments = sorted([(line["started_ns"], 1) for line in told] + [(line["ended_ns"], -1) for line in told],
                     key=lambda m: (m[0], m[1]))
    now = most = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


def test_no_more_at_once(gateway, mockllm, loadgen):  # noqa: F811
    most = 7
    mock = mockllm()
    gw = start(gateway, mock, {"concurrent_requests": (most, None)})
    load = loadgen(f"127.0.0.1:{gw.port}", "--closed", "--connections", 60, "--duration", 3, "--model",
                   "openai/m;n=3;latency_ms=20", *key_header())
    report = load.report()
    found, rows, _ = agreed(gw)
    told = [line for line in mock.stop() if line["status"] == 200]
    print({"at once": most_at_once(told), "statuses": report["statuses"]})
    assert most_at_once(told) == most
    assert len(told) == report["statuses"]["200"] > 100 and set(report["statuses"]) == {"200", "429"}
    assert found[0]["held"] == 0


# ---- kills


def check_crashed(rows, seen, prompt, asked):
    """Of each request within a killed worker: what its client saw <= what it is charged <= what was reserved."""
    by_user = {line["user"]: line for line in seen}
    crashed = [r for r in rows if r["crashed"] and r["request_id"] in by_user]
    for row in crashed:
        client = by_user[row["request_id"]]
        assert client["tokens_seen"] <= row["completion_tokens"] <= row["charged_tokens"] <= prompt + asked, (row, client)
        assert row["charged_requests"] <= 1
        assert row["cost_nusd"] <= prompt * PRICE["input"] + asked * PRICE["output"], row
    return crashed


def test_kills_of_everything_leave_meters_exact(gateway, mockllm, loadgen, tmp_path):  # noqa: F811
    asked, rng = 100, random.Random(SEED)
    mock = mockllm()
    everything = {"requests": (10**6, "1h"), "tokens": (10**9, "1h"), "cost": (10**12, "1h"), "concurrent_requests": (200, None)}
    gw = start(gateway, mock, everything, {"requests": (150, "1h"), "tokens": (10**9, "1h")})
    loads, reserved = [], {}
    for n, (model, more) in enumerate([("m;n=30;interval_ms=5", {"stream": True}), ("m;n=20;latency_ms=20", {})]):
        body, prompt = body_file(tmp_path, model=f"openai/{model}", max_tokens=asked, **more)
        reserved[f"vk-{n}"] = prompt
        loads.append(loadgen(f"127.0.0.1:{gw.port}", "--rate", 150, "--connections", 60, "--duration", 10, "--timeout", 5,
                             "--request-ids", "--body", body, *key_header(n), name=f"load{n}", prefix=f"P{n}"))
    kills = kill_children(gw, rng, time.monotonic() + 9, supervisor=0.1)
    for load in loads:
        load.report()
    wait_for("all children back", lambda: all(c["state"] == "ready" for c in gw.children().values()))
    found, rows, _ = agreed(gw)
    seen = [line for load in loads for line in load.ledger()]
    crashed = [r for n in (0, 1) for r in check_crashed([r for r in rows if r["virtual_key_id"] == f"vk-{n}"], seen,
                                                        reserved[f"vk-{n}"], asked)]
    print({"seed": SEED, "kills": kills, "rows": len(rows), "crashed": len(crashed), "held": [m["held"] for m in found]})
    # Some nine of each, but how many fit into the time is this machine's to say.
    assert sum(kills.values()) >= 3 and len(rows) > 100
    assert crashed or sum(n for child, n in kills.items() if child.startswith("proxyd")) < 2
    assert used(found, "requests", 1) <= 150
    assert len({r["id"] for r in rows}) == len(rows)
    assert gw.stop() == 0
