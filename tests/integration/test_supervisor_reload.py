"""Reload, restart and drain with real children."""

import json
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import control
from gateway import free_port, wait_for
from supervised import ROLES, descriptors_of, fake, is_sanitized  # noqa: F401


def rewrite(gw, change):
    change(gw.config)
    gw.file.write_text(json.dumps(gw.config))


def test_reload_replaces_only_who_is_concerned(gateway):
    gw = gateway(workers=2).start()
    before = gw.pids()
    rewrite(gw, lambda c: c["server"].update(idle_timeout="33s"))
    with gw.control() as c:
        assert c.ask(control.RELOAD)[-1][0] == control.OK
    after = gw.pids()
    assert {n for n in after if not n.endswith("/old") and after[n] != before[n]} == {"proxyd.0", "proxyd.1"}
    assert gw.request()[0] == 200


def test_reload_of_an_unchanged_file_replaces_nobody(gateway):
    gw = gateway(workers=2).start()
    before = gw.pids()
    gw.file.write_text(gw.file.read_text() + "\n")
    gw.process.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: gw.events("reload_done"))
    assert gw.pids() == before


def test_reload_of_a_wrong_file(gateway):
    gw = gateway(workers=1).start()
    before = gw.pids()
    good = gw.file.read_text()
    gw.file.write_text("supervisor: {workers: many}\n")
    with gw.control() as c:
        with pytest.raises(control.Refused):
            c.ask(control.RELOAD)
    assert gw.pids() == before
    assert "the last reload was refused" in json.dumps(gw.request()[2])
    gw.file.write_text(good)
    with gw.control() as c:
        c.ask(control.RELOAD)
    assert "the last reload was refused" not in json.dumps(gw.request()[2])


def test_reload_that_needs_a_start(gateway):
    gw = gateway(workers=1).start()
    before = gw.pids()
    rewrite(gw, lambda c: (c["server"].update(listen=[f"127.0.0.1:{free_port()}"], idle_timeout="44s"),
                           c["supervisor"].update(workers=2)))
    with gw.control() as c:
        with pytest.raises(control.Refused) as refused:
            c.ask(control.RELOAD)
    assert "server.listen" in refused.value.text and "supervisor.workers" in refused.value.text
    assert gw.pids() == before


def test_nothing_leaks_over_reloads_and_restarts(gateway):
    gw = gateway(workers=2).start()

    def change(turn):
        rewrite(gw, lambda c: c["server"].update(idle_timeout=f"{30 + turn % 7}s"))
        with gw.control() as c:
            c.ask(control.RELOAD)
            c.ask(control.RESTART, {"name": "clusterd"})
        wait_for("the old ones to leave", lambda: len(gw.children()) == 6)

    def held():
        return sorted(re.sub(r"\d+", "N", link) for link in descriptors_of(gw.pid).values())

    def rss_kib():
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{gw.pid}/status").read_text()).group(1))

    def at_rest():
        """What is held once nothing has changed for half a second: the last control connection may still be open."""
        last, since = held(), time.monotonic()
        while time.monotonic() < since + 0.5:
            time.sleep(0.02)
            now = held()
            if now != last:
                last, since = now, time.monotonic()
        return last

    for turn in range(3):
        change(turn)
    before, memory = at_rest(), rss_kib()
    for turn in range(12):
        change(turn)
    assert at_rest() == before
    assert is_sanitized() or rss_kib() < memory + 2048


def test_reload_whose_successor_fails_goes_back(gateway, fake):
    """Worker 0 is replaced, worker 1's successor never becomes ready: both end with the old configuration."""
    gw = gateway(workers=2, config={"supervisor": {"ready_timeout": "4s"}}, env=fake("proxyd", "1", "ready-once")).start()
    rewrite(gw, lambda c: c["server"].update(idle_timeout="33s"))
    with gw.control() as c:
        with pytest.raises(control.Refused) as refused:
            c.ask(control.RELOAD)
    assert "proxyd.1" in refused.value.text
    assert gw.request()[0] == 200
    assert "the last reload was refused" in json.dumps(gw.request()[2])


@pytest.mark.parametrize("name", ROLES)
def test_restart(gateway, name):
    gw = gateway(workers=2).start()
    before = gw.pids()
    with gw.control() as c:
        c.ask(control.RESTART, {"name": name})
    after = {n: p for n, p in gw.pids().items() if not n.endswith("/old")}
    assert {n for n in after if after[n] != before[n]} == {name}
    assert gw.request()[0] == 200


def test_restart_under_load_fails_no_request(gateway):
    gw = gateway(workers=2).start()
    stop, failed, done = [], [], []

    def load():
        while not stop:
            try:
                status = gw.chat()[0]
                done.append(status)
                if status != 200:
                    failed.append(status)
            except OSError as error:
                failed.append(error)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(load)
        try:
            with gw.control() as c:
                for turn in range(3):
                    for name in ["proxyd.0", "proxyd.1", "writerd", "reader"]:
                        c.ask(control.RESTART, {"name": name})
        finally:
            stop.append(True)
    assert not failed and len(done) > 20


def test_who_connects_behind_a_reload_meets_the_new_configuration(gateway):
    """On a busy machine, where the worker of before may be slow to hear that it shall let nobody in."""
    key = {"id": "vk", "name": "key", "value": "sk-bf-revoked", "is_active": True}
    gw = gateway(workers=2, config={"governance": {"virtual_keys": [key]}}).start()
    body = {"model": "mock/m", "messages": [{"role": "user", "content": "hi"}]}
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        for turn in range(8):
            active = turn % 2 == 1
            rewrite(gw, lambda c, active=active: c["governance"]["virtual_keys"][0].update(is_active=active))
            with gw.control() as c:
                c.ask(control.RELOAD)
            told = [gw.request("POST", "/v1/chat/completions", body, headers={"x-bf-vk": key["value"]})[0] for _ in range(4)]
            assert told == [200 if active else 403] * 4, turn
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_restart_of_what_is_not_there(gateway):
    gw = gateway(workers=1).start()
    with gw.control() as c:
        for name in ["proxyd.7", "nonsense", "", "proxyd", "supervisor"]:
            with pytest.raises(control.Refused):
                c.ask(control.RESTART, {"name": name})


def test_drain_and_back(gateway):
    gw = gateway(workers=1).start()
    with gw.control() as c:
        c.ask(control.NODE_DRAIN, {"on": True})
        assert gw.request()[0] == 503
        assert gw.chat()[0] == 200
        c.ask(control.NODE_DRAIN, {"on": False})
        assert gw.request()[0] == 200
