"""The instruments themselves: loadgen against mockllm, every fault, both ledgers must agree line by line. Then one line is
changed and the comparison must see it."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from books import compare, loadgen, mockllm, read_ledger  # noqa: F401
from gateway import BUILD, wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from fake_openai import Authority  # noqa: E402

# It ends with the last request; the times are for what hangs.
SHORT = ("--requests", 40, "--connections", 8, "--duration", 60, "--timeout", 60, "--verify", "--closed")
GIVE_UP = ("--timeout", 3)

FAULTS = {  # name: (model, further arguments, how clients end, status)
    "plain": ("m", (), {"done"}, 200),
    "sizes": ("m;size=100000;n=17", (), {"done"}, 200),
    "chunked": ("m;chunked=1;n=300", (), {"done"}, 200),
    "stream": ("m;n=30", ("--stream", "--usage"), {"done"}, 200),
    "stream-pace": ("m;n=5;interval_ms=3;latency_ms=5", ("--stream", "--usage"), {"done"}, 200),
    "stream-large": ("m;n=300;event_bytes=2000", ("--stream", "--usage"), {"done"}, 200),
    "stream-words": ("m;n=100;event_words=7", ("--stream", "--usage"), {"done"}, 200),
    "stream-words-cut": ("m;n=100;event_words=7;cut=2500", ("--stream",), {"cut"}, 200),
    "stream-words-to-end": ("m;n=20;event_words=3;interval_ms=2;chunked=0", ("--stream", "--usage"), {"done"}, 200),
    "stream-to-end": ("m;chunked=0", ("--stream", "--usage"), {"done"}, 200),
    "no-done": ("m;done=0", ("--stream", "--usage"), {"no_terminal"}, 200),
    "usage-none": ("m;usage=none", ("--stream", "--usage"), {"done"}, 200),
    "usage-late": ("m;usage=late", ("--stream", "--usage"), {"done"}, 200),
    "usage-wrong": ("m;usage=wrong", (), {"done"}, 200),
    "usage-string": ("m;usage=string", (), {"done"}, 200),
    "words": ("m;words=77/5", (), {"done"}, 200),
    "status": ("m;status=503;retry_after=2", (), {"done"}, 503),
    "status-text": ("m;status=500;body=text", (), {"done"}, 500),
    "status-empty": ("m;status=502;body=empty", (), {"done"}, 502),
    "limited": ("m;limit=sk-test-key", ("--header", "Authorization: Bearer sk-test-key"), {"done"}, 429),
    "denied": ("m;keys=sk-test-key:401", ("--header", "Authorization: Bearer sk-test-key"), {"done"}, 401),
    "cut-head": ("m;cut=20", (), {"cut"}, 0),
    "cut-nothing": ("m;cut=0", (), {"cut"}, 0),
    "cut-body": ("m;cut=350", (), {"cut"}, 200),
    "cut-stream": ("m;n=30;cut=1500", ("--stream",), {"cut"}, 200),
    "cut-stream-pace": ("m;n=30;interval_ms=2;cut=1500", ("--stream",), {"cut"}, 200),
    "rst": ("m;rst=350", (), {"rst"}, 200),
    "rst-stream": ("m;n=30;interval_ms=1;rst=2500", ("--stream",), {"rst"}, 200),
    "halfclose": ("m;n=30;halfclose=2000", ("--stream",), {"cut"}, 200),
    "stall": ("m;n=30;stall_at=2000", ("--stream", "--requests", 8, *GIVE_UP), {"timeout"}, 200),
    "trickle": ("m;n=3;trickle=40", (), {"done"}, 200),
    "trickle-stream": ("m;n=2;trickle=90", ("--stream", "--usage"), {"done"}, 200),
    "endless": ("m;headers=endless", ("--requests", 2, "--connections", 2, *GIVE_UP), {"timeout", "bad_http"}, 0),
    "completions": ("m", ("--path", "/v1/completions", "--stream", "--usage"), {"done"}, 200),
    "embeddings": ("m", ("--path", "/v1/embeddings"), {"done"}, 200),
    "responses": ("m", ("--path", "/openai/responses"), {"done"}, 200),
    "responses-stream": ("m", ("--path", "/v1/responses", "--stream"), {"done"}, 200),
    "large-request": ("m", ("--body-bytes", 3_000_000, "--requests", 8), {"done"}, 200),
}


@pytest.mark.parametrize("name", FAULTS)
def test_both_ledgers_agree(mockllm, loadgen, name):  # noqa: F811
    model, more, ends, status = FAULTS[name]
    mock = mockllm()
    run = loadgen(mock.address, *SHORT, "--model", model, *more)
    report = run.report()
    told, seen = mock.stop(), run.ledger()
    assert compare(told, seen) == report["requests"] >= 2
    assert {c["end"] for c in seen} <= ends
    assert {c["status"] for c in seen} == {status}
    assert report["ends"]["garbled"] == 0


def test_garbage(mockllm, loadgen):  # noqa: F811
    mock = mockllm()
    run = loadgen(mock.address, *SHORT, "--model", "m;garbage=1")
    assert run.report()["ends"]["bad_http"] == 40
    assert {p["end"] for p in mock.stop()} == {"done"}


def test_fail_first_counts_per_user(mockllm, loadgen):  # noqa: F811
    """The same users ask three times: the first two of each fail."""
    mock = mockllm()
    for n in range(3):
        run = loadgen(mock.address, *SHORT, "--model", "m;fail_first=2;status=503", name=f"client{n}")
        assert run.report()["statuses"] == {"503" if n < 2 else "200": 40}
    lines = mock.stop()
    assert len(lines) == 120
    assert sorted(p["status"] for p in lines if p["user"] == "P-0000000005") == [200, 503, 503]


def test_the_comparison_sees_one_changed_line(mockllm, loadgen):  # noqa: F811
    mock = mockllm()
    runs = [loadgen(mock.address, *SHORT, "--model", model, "--stream", "--usage", name=prefix, prefix=prefix)
            for prefix, model in (("A", "m;n=4"), ("B", "m;n=30;cut=1500"))]
    seen = []
    for run in runs:
        run.report()
        seen += run.ledger()
    told = mock.stop()
    assert compare(told, seen) == 80

    def broken(change, side):
        mine, theirs = copy.deepcopy(told), copy.deepcopy(seen)
        change(mine if side == "provider" else theirs)
        with pytest.raises(AssertionError):
            compare(mine, theirs)

    for side, lines in (("provider", told), ("client", seen)):
        for i in (0, 17, 79):
            broken(lambda them, i=i: them.pop(i), side)
            broken(lambda them, i=i: them.append(dict(them[i])), side)
            broken(lambda them, i=i: them[i].update(status=500), side)
            broken(lambda them, i=i: them[i].update(user="P-nobody"), side)
            broken(lambda them, i=i: them[i].update(end="rst"), side)
            key = "delivered_tokens" if side == "provider" else "tokens_seen"
            broken(lambda them, i=i, key=key: them[i].update({key: them[i][key] + 1}), side)
            broken(lambda them, i=i: them[i].update(events=them[i]["events"] - 1), side)
    whole = next(i for i, p in enumerate(told) if p["user"].startswith("A"))
    broken(lambda them: them[whole].update(prompt_tokens=told[whole]["prompt_tokens"] + 1), "provider")


def test_the_rate_is_kept_and_a_stall_is_paid_by_all_it_held_up(mockllm, loadgen):  # noqa: F811
    mock = mockllm()
    report = loadgen(mock.address, "--rate", 200, "--connections", 4, "--duration", 2, "--warmup", "0.5",
                     "--model", "m").report()
    assert report["due"] == report["requests"] == 500 and report["measured"] == 400
    # Each answer takes 100 ms and there are two connections: 20 a second of 50. What waited for a connection has waited.
    slow = loadgen(mock.address, "--rate", 50, "--connections", 2, "--duration", 1, "--model", "m;latency_ms=100",
                   name="slow").report()
    assert not slow["kept"] and "THE RATE WAS NOT KEPT" in slow["text"]
    assert slow["requests"] == 50 and slow["unsent"] == 0
    assert slow["latency_us"]["max"] > 1_000_000 and slow["service_us"]["p50"] < slow["latency_us"]["max"] / 2


def test_idle_connections_are_held_and_losses_seen(mockllm, loadgen):  # noqa: F811
    mock = mockllm()
    report = loadgen(mock.address, "--idle", 100, "--duration", 1, "--model", "m").report()
    assert (report["held"], report["held_lost"], report["requests"]) == (100, 0, 100)
    run = loadgen(mock.address, "--idle", 100, "--duration", 60, "--model", "m", name="lost")
    wait_for("all to be held", lambda: len(read_ledger(mock.ledger_path)) == 200)
    wait_for("the books", lambda: run.ledger_path.exists() and len(run.ledger()) == 100)
    mock.close()
    assert run.report()["held_lost"] == 100


def test_tls(mockllm, loadgen, tmp_path):  # noqa: F811
    cert, key = Authority(tmp_path).issue("mock", "IP:127.0.0.1")
    mock = mockllm("--tls", str(cert), str(key))
    for name, model, more in (("a", "m", ()), ("b", "m;n=50;event_bytes=3000", ("--stream", "--usage")),
                              ("c", "m;size=300000", ("--body-bytes", 400_000))):
        run = loadgen(mock.address, *SHORT, "--tls", "--model", model, *more, name=name, prefix=name)
        assert run.report()["ends"]["done"] == 40
    seen = [line for name in "abc" for line in read_ledger(tmp_path / f"{name}.ledger")]
    assert compare(mock.stop(), seen) == 120


def test_what_is_not_known_is_refused(mockllm):  # noqa: F811
    mock = mockllm()

    def ask(*args):
        done = subprocess.run(["curl", "-s", "-w", " %{http_code}", *args], capture_output=True, text=True, check=True)
        return done.stdout

    body = json.dumps({"model": "m;cutt=4"})
    assert "cutt=4" in ask("-d", body, f"{mock.url}/v1/chat/completions")
    assert ask("-d", "{", f"{mock.url}/v1/chat/completions").endswith(" 400")
    assert ask(f"{mock.url}/v1/chat/completions").endswith(" 404")
    for args in (["--target", "127.0.0.1:1"], ["--target", "127.0.0.1:1", "--closed", "--rate", "5"], ["--bogus"],
                 ["--target", "127.0.0.1:1", "--closed", "--verify"]):
        assert subprocess.run([BUILD / "tests/support/loadgen/loadgen", *args], capture_output=True,
                              check=False).returncode == 64
