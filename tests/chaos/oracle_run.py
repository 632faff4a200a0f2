"""The run behind the oracle: 500 requests a second of all sorts, plain and streamed, with a provider that fails in every
way, while children of all roles are killed. Long in tests/chaos, short in tests/integration."""

import os
import random
import signal
import time

from books import agreed, governance, secret, wait_for_meters, wrong_meters
from gateway import wait_for
from oracle import REFUSED, Books, account, is_refused, judge, was_stopped

SEED = int(os.environ.get("BIFROST_CHAOS_SEED", "1"))
KEYS = {"first": "chaos-000001", "second": "chaos-000002", "third": "chaos-000003"}
LOADS = {  # name: (requests a second, virtual key, model, further arguments)
    "plain": (170, 0, "m", ()),
    "slow": (20, 1, "m;latency_ms=60", ()),
    "stream": (120, 1, "m;n=25;interval_ms=4", ("--stream", "--usage")),
    "hidden": (40, 2, "m;n=25;interval_ms=4", ("--stream",)),
    "fast": (40, 2, "m;n=200", ("--stream", "--usage")),
    "cut": (25, 0, "m;n=40;interval_ms=3;cut=4000", ("--stream",)),
    "rst": (10, 1, "m;rst=300", ()),
    "reset": (10, 2, "m;n=40;interval_ms=3;rst=4000", ("--stream",)),
    "limit": (20, 0, "m;limit=chaos-000002", ()),
    "failing": (20, 1, "m;fail_first=2;status=503", ()),
    "stall": (5, 2, "m;n=40;stall_at=3000", ("--stream", "--timeout", 1)),
    "tight": (20, 3, "m;n=5", ()),
}


def virtual_keys(tight):
    """Two with windows that do not turn, one whose windows turn all the time, one whose requests are used up."""
    wide = {"requests": (10**9, "1h"), "tokens": (10**12, "1h"), "cost": (10**15, "1h"), "concurrent_requests": (10**5, None)}
    return [wide, {"tokens": (10**12, "1h"), "cost": (10**15, "1h")},
            {"requests": (10**9, "5s"), "tokens": (10**12, "5s"), "concurrent_requests": (10**5, None)},
            {"requests": (tight, "1h"), "cost": (10**15, "1h")}]


def owners():
    """Whoever else has limits of these keys' requests: a customer of a team of the first two keys and of the last one, the
    provider, its model "m" for everybody and for one key, and what one key has at the provider."""
    wide = {"requests": (10**9, "1h"), "tokens": (10**12, "1h"), "cost": (10**15, "1h")}
    turning = {"tokens": (10**12, "5s"), "cost": (10**15, "1h")}
    return [("customers", {"id": "c-acme", "name": "acme"}, wide, [3]),
            ("teams", {"id": "t-blue", "name": "blue", "customer_id": "c-acme"}, wide, [0, 1]),
            ("providers", {"name": "openai"}, wide | {"concurrent_requests": (10**5, None)}, []),
            ("model_configs", {"model_name": "M"}, wide, []),
            ("model_configs", {"model_name": "m", "provider": "openai", "scope": "virtual_key", "scope_id": "vk-0"}, turning, []),
            ("provider_configs", {"id": "pc-2", "provider": "openai", "allowed_models": ["*"], "key_ids": ["*"]}, turning, [2])]


def provider(mock):
    network = {"base_url": mock.url, "allow_private_network": True, "max_retries": 3, "retry_backoff_initial": "20ms",
               "retry_backoff_max": "100ms", "max_conns_per_host": 5000}
    keys = [{"name": name, "value": value} for name, value in KEYS.items()]
    return {"providers": {"openai": {"keys": keys, "network_config": network}}}


def kill_children(gw, rng, until, supervisor=0.0):
    """Kills whoever is ready for over 1.2 s (sooner, it would be held back as a crash loop), and instead the supervisor with
    that probability; returns {name: kills}."""
    ready_since, kills = {}, {}
    while time.monotonic() < until:
        if rng.random() < supervisor:
            gw.kill_supervisor()
            gw.start()
            kills["supervisor"] = kills.get("supervisor", 0) + 1
            ready_since = {}
        children, now = gw.children(), time.monotonic()
        ready_since = {n: ready_since.get(n, now) for n, c in children.items() if c["state"] == "ready" and c["pid"]}
        old = sorted(n for n, since in ready_since.items() if now - since > 1.2)
        if old:
            name = rng.choice(old)
            os.kill(children[name]["pid"], signal.SIGKILL)
            del ready_since[name]
            kills[name] = kills.get(name, 0) + 1
        time.sleep(rng.uniform(0.02, 0.3))
    return kills


def in_books(line, change):
    changed = dict(line)
    changed.update(change)
    return changed


def part_of(told, seen, rows, count=500):
    """The books of some of the requests, and of those whose worker was killed or who were refused."""
    rare = {r["request_id"] for r in rows if r["crashed"] or is_refused(r)}
    users = {c["user"] for c in seen[::len(seen) // count]} | rare
    return [[line for line in lines if line[key] in users]
            for lines, key in ((told, "user"), (seen, "user"), (rows, "request_id"))]


def check_that_it_sees(told, seen, rows, keys):
    """The comparison must notice one change in one line, whichever."""
    told, seen, rows = part_of(told, seen, rows)
    assert not judge(Books(told, seen, rows, keys))

    def must_fail(told=told, seen=seen, rows=rows):
        assert judge(Books(told, seen, rows, keys))

    by_kind = {"plain": lambda r: r["status"] == "success" and not r["stream"],
               "stream": lambda r: r["status"] == "success" and r["stream"],
               "cut": lambda r: r["truncated"] and not r["crashed"] and not was_stopped(r)}
    for kind, pick in by_kind.items():
        i = next(i for i, r in enumerate(rows) if pick(r))
        others = rows[:i] + rows[i + 1:]
        must_fail(rows=others)
        must_fail(rows=[*rows, dict(rows[i])])
        must_fail(rows=[*rows, in_books(rows[i], {"request_id": "nobody-1"})])
        for change in ({"completion_tokens": rows[i]["completion_tokens"] + 1}, {"number_of_retries": 7},
                       {"charged_tokens": rows[i]["charged_tokens"] + 1}, {"cost_nusd": rows[i]["cost_nusd"] + 1},
                       {"charged_requests": 2},
                       {"status": "error" if kind != "cut" else "success"}):
            must_fail(rows=[*others, in_books(rows[i], change)])
        j = next(j for j, p in enumerate(told) if p["user"] == rows[i]["request_id"])
        must_fail(told=told[:j] + told[j + 1:])
        must_fail(told=[*told, told[j]])
    i = next((i for i, r in enumerate(rows) if r["crashed"]), None)
    if i is not None:
        must_fail(rows=[*rows[:i], *rows[i + 1:], in_books(rows[i], {"completion_tokens": 1 << 20})])
    i = next(i for i, r in enumerate(rows) if is_refused(r))
    must_fail(rows=[*rows, dict(rows[i])])
    for change in ({"charged_requests": 1}, {"cost_nusd": 1}, {"completion_tokens": 1}, {"number_of_retries": 1}, {"status": "success"},
                   {"http_status": 500}, {"error_details": "{}"}):
        must_fail(rows=[*rows[:i], *rows[i + 1:], in_books(rows[i], change)])
    must_fail(told=[*told, in_books(told[0], {"user": rows[i]["request_id"]})])


def check_that_it_sees_meters(meters, rows, totals):
    assert not list(wrong_meters(meters, rows, totals))
    i = next(i for i, r in enumerate(rows) if r["charged_tokens"])
    for changed in (rows[:i] + rows[i + 1:], [*rows, rows[i]],
                    [*rows[:i], in_books(rows[i], {"charged_tokens": rows[i]["charged_tokens"] + 1}), *rows[i + 1:]]):
        assert list(wrong_meters(meters, changed, totals))
    for i, m in enumerate(meters):
        others = meters[:i] + meters[i + 1:]
        if m["window"] != "5s":
            assert list(wrong_meters([in_books(m, {"used": m["used"] + 1}), *others], rows, totals))
        assert list(wrong_meters([in_books(m, {"held": -1}), *others], rows, totals))
    # A row of another team, customer or key: the books of both owners are wrong.
    i = next(i for i, r in enumerate(rows) if r["team_id"] and r["cost_nusd"])
    for change in ({"team_id": None}, {"customer_id": None}, {"virtual_key_id": "vk-3"}, {"provider": "other"}):
        assert list(wrong_meters(meters, [*rows[:i], in_books(rows[i], change), *rows[i + 1:]], totals))


def run(gateway, mockllm, loadgen, seconds, share, supervisor):
    """(kills by child, provider's ledger, clients' ledgers, rows, reports by load); share of the rates above."""
    mock = mockllm()
    tight = int(LOADS["tight"][0] * share * seconds / 2)
    keys = virtual_keys(tight)
    gw = gateway(workers=3, config=provider(mock) | governance(keys, owners())).start()
    gw.canaries.forget(KEYS["second"])  # models of the mock name the key that it refuses
    for value in KEYS.values():
        gw.canaries.aloud(value)  # models of the mock name the key that they refuse
    wait_for_meters(gw, sum(len(limits) for limits in keys) + sum(len(limits) for _, _, limits, _ in owners()))
    loads = [loadgen(f"127.0.0.1:{gw.port}", "--rate", rate * share, "--connections", max(16, rate // 3), "--duration", seconds,
                     "--model", f"openai/{model}", "--request-ids", "--verify", "--timeout", 20, "--header",
                     f"x-bf-vk: {secret(key)}", *more, name=name, prefix=name)
             for name, (rate, key, model, more) in LOADS.items()]
    first = gw.pid
    kills = kill_children(gw, random.Random(SEED), time.monotonic() + seconds, supervisor)
    reports = [load.report(120) for load in loads]
    wait_for("all children back", lambda: all(c["state"] == "ready" for c in gw.children().values()))
    assert (gw.pid == first or supervisor) and gw.process.poll() is None
    meters, rows, totals = agreed(gw)
    assert gw.stop() == 0
    check_that_it_sees_meters(meters, rows, totals)
    kinds = {m["owner"] for m in meters if m["used"]}
    assert kinds == {"customer", "team", "provider", "model_config", "provider_config", "virtual_key"}, kinds
    used = next(m["used"] for m in meters if m["virtual_key_id"] == "vk-3" and m["quantity"] == "requests")
    assert used == tight, f"{used} requests of a limit of {tight}, and more were asked for"
    print({"meters": len(meters), "windows": max(len(t) for t in totals),
           "charged tokens": sum(r["charged_tokens"] for r in rows)})
    seen = [line for load in loads for line in load.ledger()]
    assert len(seen) == sum(report["requests"] for report in reports)
    return kills, mock.stop(), seen, rows, dict(zip(LOADS, reports))


def check_books(gateway, mockllm, loadgen, seconds, share=1, supervisor=0.0):
    """Runs, compares, tries the comparison; returns the number of kills. supervisor: how likely a kill is its."""
    kills, told, seen, rows, reports = run(gateway, mockllm, loadgen, seconds, share, supervisor)
    keys = {name: value[-6:] for name, value in KEYS.items()}
    books = Books(told, seen, rows, keys)
    wrong = judge(books)
    latency = {k: round(v / 1000, 1) for k, v in reports["plain"]["latency_us"].items() if k != "count"}
    print({"seed": SEED, "kills": sum(kills.values()), "by child": kills, **account(books), "plain ms": latency,
           "mismatches": len(wrong)})
    for user, what in wrong[:20]:
        print(user, what, books.clients.get(user), books.provider.get(user), books.rows.get(user), sep="\n  ")
    assert not wrong, f"{len(wrong)} mismatches, such as {wrong[:3]}"
    refused = [u for u, c in books.clients.items() if c["status"] in REFUSED and c["end"] == "done"]
    assert refused and all(u.startswith("tight") for u in refused), f"refused, though there was room: {refused[:3]}"
    assert any(u in books.rows for u in refused), f"none of {len(refused)} refused requests has a row"
    hung = [u for u, c in books.clients.items() if c["end"] == "timeout" and not u.startswith("stall")]
    assert not hung, f"{len(hung)} requests hung, such as {hung[:3]}"
    assert len(rows) > 0.9 * len(seen) >= 400 * share * seconds
    check_that_it_sees(told, seen, rows, keys)
    return sum(kills.values())
