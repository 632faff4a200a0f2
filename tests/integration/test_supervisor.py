"""The supervisor with real children: life and deaths."""

import json
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway import alive, children_of, wait_for
from supervised import ROLES, came_back_at_once, descriptors_of, fake  # noqa: F401

KILLS = int(os.environ.get("BIFROST_KILLS", "5"))


def kill_and_wait(gw, name):
    """SIGKILL of one child; returns after its successor is ready. The others keep their pids."""
    before = gw.pids()
    os.kill(before[name], signal.SIGKILL)

    def replaced():
        child = gw.children()[name]
        return child["state"] == "ready" and child["pid"] != before[name] and child

    child = wait_for(f"{name} to be replaced", replaced)
    after = gw.pids()
    assert {n: p for n, p in after.items() if n != name} == {n: p for n, p in before.items() if n != name}
    assert came_back_at_once(gw, name)
    return child


# ---------------------------------------------------------------- life


def test_start_and_stop(gateway):
    gw = gateway(workers=2).start()
    children = gw.children()
    assert sorted(children) == ["clusterd", "discoveryd", "proxyd.0", "proxyd.1", "reader", "writerd"]
    assert {c["state"] for c in children.values()} == {"ready"}
    pids = gw.pids()
    assert sorted(pids.values()) == sorted(children_of(gw.pid))
    assert gw.request()[0] == 200
    assert gw.stop() == 0
    assert not [p for p in pids.values() if alive(p)]
    assert not (gw.runtime / "control.sock").exists()


def test_stop_order(gateway):
    """Workers leave before the others, the writer last."""
    gw = gateway(workers=2).start()
    gw.stop()
    order = [re.search(r"child=(\w+)", line).group(1) for line in gw.events("child_ended")]
    assert order[:2] == ["proxyd", "proxyd"] and order[-1] == "writerd" and len(order) == 6


def test_process_names(gateway):
    gw = gateway(workers=1).start()
    names = {name: Path(f"/proc/{pid}/comm").read_text().strip() for name, pid in gw.pids().items()}
    assert names == {n: ("bifrost-" + n.split(".")[0])[:15] for n in names}


def test_banner(gateway):
    gw = gateway(workers=3).start()
    log = gw.log()
    for word in ["each of 3 workers", f"http://127.0.0.1:{gw.port}", str(gw.state), str(gw.runtime), "workers    3", "at worst", "sandbox"]:
        assert word in log, word


def test_descriptors_of_children(gateway):
    """A child holds its own channel and nothing of another child's, or the end of a channel would never be seen."""
    gw = gateway(workers=3).start()
    sockets = {}
    for name, pid in gw.pids().items():
        links = descriptors_of(pid)
        assert links[4].endswith("/segment") and links[6].endswith("/lock"), links
        assert "eventfd" in links[7], links
        sockets[name] = {link for fd, link in links.items() if link.startswith("socket:") and fd < 8}
        if name.startswith("proxyd"):
            assert all(links[8 + i].startswith("socket:") for i in range(3))
        else:
            assert 8 not in links or not links[8].startswith("socket:")
    channels = [link for links in sockets.values() for link in links]
    assert len(channels) == len(set(channels)) == len(sockets)


def test_environment_of_children(gateway):
    gw = gateway(workers=1, env={"OPENAI_API_KEY": "hidden-key", "HOME": "/nowhere"}).start()
    for name, pid in gw.pids().items():
        names = {entry.split(b"=")[0] for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if entry}
        assert b"OPENAI_API_KEY" not in names and b"HOME" not in names, name
        assert b"BIFROST_ROLE" in names or not names


def test_second_signal_shortens_a_stop(gateway):
    gw = gateway(workers=1, config={"providers": {"mock": {"mock_config": {"latency": "30s"}}}}).start()
    with socket.create_connection(("127.0.0.1", gw.port)) as s:
        body = b'{"model":"mock/m","messages":[{"role":"user","content":"x"}]}'
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                  b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        wait_for("the call", lambda: gw.metric("bifrost_requests_in_flight") == 1)
        gw.remember()
        gw.process.send_signal(signal.SIGTERM)
        wait_for("the drain", lambda: gw.events("drain_started"))
        time.sleep(0.2)
        assert gw.process.poll() is None, "did not wait for the request"
        gw.process.send_signal(signal.SIGTERM)
        assert gw.process.wait(60) == 0


def test_interrupt_of_the_whole_group_is_an_ordered_stop(gateway):
    """Ctrl-C on a terminal reaches every process of the foreground group."""
    gw = gateway(workers=1).start()
    # The supervisor last: from then on its children may be gone.
    for pid in [*set(gw.pids().values()) - {gw.pid}, gw.pid]:
        os.kill(pid, signal.SIGINT)
    assert gw.process.wait(60) == 0
    assert len(gw.events("child_ended")) == 5


def test_watchdog_and_status_are_told(gateway):
    gw = gateway(workers=1, env={"WATCHDOG_USEC": "400000"}).start()
    gw.wait_told("WATCHDOG=1")
    gw.wait_told("STATUS=serving: 1 of 1 workers ready")
    gw.process.send_signal(signal.SIGHUP)
    gw.wait_told("RELOADING=1")
    gw.process.send_signal(signal.SIGTERM)
    gw.wait_told("STOPPING=1")


# ---------------------------------------------------------------- deaths


@pytest.mark.parametrize("name", ROLES)
def test_killed_child_is_replaced(gateway, name):
    gw = gateway(workers=2).start()
    for turn in range(KILLS):
        time.sleep(1.1)  # "at once" is for a child that was ready for over a second
        child = kill_and_wait(gw, name)
        assert child["restarts"] == turn + 1
        assert child["last_exit"].startswith("signal 9 (KILL)")
        assert gw.request()[0] == 200


def test_the_only_worker_is_killed(gateway):
    """Whoever connects while none is there waits in the listener's queue for the next one."""
    gw = gateway(workers=1).start()
    for _ in range(3):
        os.kill(gw.steady("proxyd.0"), signal.SIGKILL)
        assert gw.request()[0] == 200


def test_a_child_that_cannot_run_here_ends_the_start(gateway, fake):
    """No back-off for what another try cannot mend, as long as nothing ever served."""
    code, log = gateway(workers=1, env=fake("writerd", "0", "exit-at-start:77")).run_to_end()
    assert code == 77 and 'how="exit 77"' in log and not [line for line in log.splitlines() if "event=ready" in line]


def test_supervisor_killed(gateway):
    gw = gateway(workers=2).start()
    gw.chat("before")
    pids = list(gw.pids().values())
    gw.kill_supervisor()
    wait_for("all children to leave", lambda: not any(map(alive, pids)))
    gw.start()
    assert "taken over" in gw.log()
    assert gw.request()[0] == 200


def test_start_right_after_a_kill(gateway):
    """The lock is held by children that are still leaving: the start waits for them instead of failing."""
    gw = gateway(workers=2).start()
    gw.kill_supervisor()
    gw.start()
    assert gw.request()[0] == 200


def test_stopped_child_is_told_and_killed(gateway):
    gw = gateway(workers=2, config={"supervisor": {"stall_timeout": "16s"}}).start()
    pid = gw.pids()["discoveryd"]
    os.kill(pid, signal.SIGSTOP)
    wait_for("health to tell of it", lambda: "a child's heartbeat has stopped" in json.dumps(gw.request()[2]))
    wait_for("it to be replaced", lambda: gw.pids()["discoveryd"] not in (0, pid))
    assert "heartbeat stopped" in gw.children()["discoveryd"]["last_exit"]


def test_one_worker_crash_loops_and_nobody_notices(gateway, fake):
    """0 failed connects while worker 1 dies again and again: its sibling accepts for it."""
    gw = gateway(workers=2, env=fake("proxyd", "1", "crash")).start()
    steady = gw.pids()["proxyd.0"]
    failed = []

    def ask(_):
        try:
            return gw.request()[0]
        except OSError as error:
            failed.append(error)

    end = time.monotonic() + 5
    answers = []
    with ThreadPoolExecutor(8) as pool:
        while time.monotonic() < end:
            answers += pool.map(ask, range(200))
    assert not failed and set(answers) == {200} and len(answers) >= 200
    assert gw.pids()["proxyd.0"] == steady
    children = wait_for("the loop to be told", lambda: "CRASH" if "keeps exiting" in json.dumps(gw.request()[2]) else None)
    assert children and gw.children()["proxyd.1"]["restarts"] > 0


def test_a_child_that_never_becomes_ready(gateway, fake):
    gw = gateway(workers=2, config={"supervisor": {"ready_timeout": "3s"}}, env=fake("proxyd", "1", "never-ready")).start()
    wait_for("the kill", lambda: any("did not become ready" in line for line in gw.events("child_killed")))
    assert gw.request()[0] == 200
    assert "did not become ready" in gw.children()["proxyd.1"]["last_exit"]


def test_a_child_that_starts_slowly_and_says_so(gateway, fake):
    gw = gateway(workers=2, config={"supervisor": {"ready_timeout": "1s"}}, env=fake("proxyd", "1", "slow-start:15")).start()
    wait_for("READY", lambda: gw.children()["proxyd.1"]["state"] == "ready")
    assert gw.children()["proxyd.1"]["restarts"] == 0 and not gw.events("child_killed")


@pytest.mark.parametrize("how", ["garbage", "wrong-source", "late-starting", "wrong-type", "huge", "flood", "close-channel",
                                 "crash-after-ready:200", "exit-at-start:3"])
def test_a_child_that_misbehaves(gateway, fake, how):
    """Costs that child its channel, and nothing more; it is replaced, and told in the status."""
    gw = gateway(workers=2, env=fake("proxyd", "1", how)).start()
    steady = {n: p for n, p in gw.pids().items() if n != "proxyd.1"}
    wait_for("it to be replaced", lambda: gw.children()["proxyd.1"]["restarts"] >= 2)
    assert {n: p for n, p in gw.pids().items() if n != "proxyd.1"} == steady
    assert gw.children()["proxyd.1"]["last_exit"]
    assert gw.request()[0] == 200
    if how in ("garbage", "wrong-source", "wrong-type", "huge"):
        assert [line for line in gw.log().splitlines() if "child=proxyd.1" in line and "why=" in line
                and ("event=channel_broken" in line or "event=bad_frame" in line)]


def test_a_child_that_does_not_leave(gateway, fake):
    """Deaf to DRAIN and STOP: killed after supervisor.drain_timeout and the plan's stop timeout; the stop goes on."""
    gw = gateway(workers=2, config={"supervisor": {"drain_timeout": "1s"}}, env=fake("proxyd", "1", "ignore-stop")).start()
    began = time.monotonic()
    assert gw.stop() == 0
    assert 5 < time.monotonic() - began
    assert [line for line in gw.events("child_killed") if "child=proxyd.1" in line]
