"""Whoever is told that a key exists, or exists no more, finds it so on every worker, however busy they are."""

import http.client
import os
from concurrent.futures import ThreadPoolExecutor

from supervised import is_sanitized
from test_flips import CHAT, HOUSE, KEYS, Load, change, create

COUNT = int(os.environ.get("BIFROST_KEYS", "40"))
CONNECTIONS = 16  # new ones for every look, so that all workers are met


def once(gw, value):
    """The status on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=60)
    try:
        connection.request("POST", "/v1/chat/completions", CHAT, {"Content-Type": "application/json", "x-bf-vk": value})
        return connection.getresponse().status
    finally:
        connection.close()


def test_created_used_deleted(gateway):
    """300 keys with --all, under load: no 401 behind the 201, nobody admitted behind the 200 of their end."""
    count = 10 if is_sanitized() else COUNT
    gw = gateway(workers=4, config=HOUSE).start()
    used, ended = [], []
    with ThreadPoolExecutor(CONNECTIONS) as pool, Load(gw, connections=8, pause=0.002) as load:
        for i in range(count):
            status, key = create(gw, f"k{i}")
            assert status == 201, key
            used += pool.map(lambda _, value=key["value"]: once(gw, value), range(CONNECTIONS))
            if i % 2:
                status, rotated = change(gw, "POST", f"{KEYS}/{key['id']}/rotate")
                assert status == 200, rotated
                ended += pool.map(lambda _, value=key["value"]: once(gw, value), range(CONNECTIONS))
                key = rotated["virtual_key"]
                used += pool.map(lambda _, value=key["value"]: once(gw, value), range(CONNECTIONS))
            status, answer = change(gw, "DELETE", f"{KEYS}/{key['id']}")
            assert status == 200, answer
            ended += pool.map(lambda _, value=key["value"]: once(gw, value), range(CONNECTIONS))
    assert {status: used.count(status) for status in set(used)} == {200: len(used)}
    assert {status: ended.count(status) for status in set(ended)} == {401: len(ended)}
    assert set(load.statuses) == {200}, load.statuses
    assert gw.request(path=KEYS + "?limit=1")[2]["total_count"] == 1
