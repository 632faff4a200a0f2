"""Kills over all roles under load: what clients saw and what the rows say must agree. Seeds are printed by pytest."""

import os
import random
import signal
import time

from books import rows_of
from gateway import wait_for
from ledger import Client, Ledger, settle_accounts

SECONDS = int(os.environ.get("BIFROST_CHAOS_SECONDS", "90"))
SEED = int(os.environ.get("BIFROST_CHAOS_SEED", "1"))
MOCK = {"providers": {"mock": {"mock_config": {"latency": "5ms", "token_interval": "2ms"}}}}


def start_clients(gw, count=8):
    ledger = Ledger()
    clients = [Client(gw.port, ledger, SEED * 1000 + i) for i in range(count)]
    for client in clients:
        client.start()
    return ledger, clients


def stop_clients(clients):
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive(), "a client hangs"


def test_kills_of_children(gateway):
    gw = gateway(workers=2, config=MOCK).start()
    ledger, clients = start_clients(gw)
    rng, kills, end = random.Random(SEED), {}, time.monotonic() + SECONDS
    while time.monotonic() < end:
        name, child = rng.choice(sorted(gw.children().items()))
        if child["pid"]:
            os.kill(child["pid"], signal.SIGKILL)
            kills[name] = kills.get(name, 0) + 1
        time.sleep(rng.uniform(0.05, 0.5))
    stop_clients(clients)
    supervisor = gw.pid
    wait_for("all children back", lambda: all(c["state"] == "ready" for c in gw.children().values()))
    assert gw.pid == supervisor and gw.process.poll() is None
    assert gw.stop() == 0
    account = settle_accounts(ledger, rows_of(gw.state / "logs.db"))
    print({"kills": sum(kills.values()), "by child": kills, **account})
    assert sum(kills.values()) >= 2 * SECONDS and account["whole"] > 10 * SECONDS


def test_kills_of_the_supervisor(gateway):
    """The whole node dies at a random instant, again and again; the next start settles what was in flight."""
    gw = gateway(workers=2, config=MOCK)
    gw.start()
    ledger, clients = start_clients(gw)
    rng = random.Random(SEED)
    for _ in range(max(5, SECONDS // 6)):
        time.sleep(rng.uniform(0.3, 1.5))
        gw.kill_supervisor()
        gw.start()
    stop_clients(clients)
    assert gw.stop() == 0
    account = settle_accounts(ledger, rows_of(gw.state / "logs.db"))
    print(account)
    assert account["whole"] > 100
