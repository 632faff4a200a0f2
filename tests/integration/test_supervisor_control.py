"""The control socket: what it answers, what it refuses, and who may ask."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

import control
from gateway import wait_for


def test_status_of_every_process(gateway):
    gw = gateway(workers=1).start()
    with gw.control() as c:
        for name in ["supervisor", "proxyd.0", "writerd", "reader", "clusterd", "discoveryd"]:
            (kind, body), = c.ask(control.STATUS_GET, target=name)
            assert kind == 17 and body["process"] == name and body["items"]
        with pytest.raises(control.Refused):
            c.ask(control.STATUS_GET, target="proxyd.9")


def test_equal_request_ids_of_two_connections(gateway):
    gw = gateway(workers=1).start()
    with gw.control() as a, gw.control() as b:
        a.send(control.STATUS_GET, target="writerd", request=77)
        b.send(control.STATUS_GET, target="proxyd.0", request=77)
        assert b.receive()[3]["process"] == "proxyd.0"
        assert a.receive()[3]["process"] == "writerd"


def test_questions_to_a_silent_process_are_bounded_and_answered(gateway):
    gw = gateway(workers=1).start()
    pid = gw.pids()["discoveryd"]
    os.kill(pid, signal.SIGSTOP)
    try:
        with gw.control(timeout=60) as c:
            for i in range(72):
                c.send(control.STATUS_GET, target="discoveryd", request=i + 1)
            answers = [c.receive() for _ in range(8)]
            assert all(a[1] & control.ERROR and "too many" in a[3]["text"] for a in answers)
            late = [c.receive() for _ in range(64)]
            assert all("did not answer" in a[3]["text"] for a in late)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert gw.request()[0] == 200


def test_question_to_a_process_that_dies(gateway):
    gw = gateway(workers=1).start()
    pid = gw.pids()["discoveryd"]
    os.kill(pid, signal.SIGSTOP)
    with gw.control() as c:
        c.send(control.STATUS_GET, target="discoveryd", request=5)
        c.ask(control.CHILDREN_GET)  # what was asked before it is on its way
        os.kill(pid, signal.SIGKILL)
        assert "ended before it answered" in c.receive()[3]["text"]


def test_trace(gateway):
    gw = gateway(workers=1).start()
    with gw.control() as watcher, gw.control() as asker:
        asker.ask(control.CHILDREN_GET)
        request = watcher.send(control.TRACE)
        watcher.ask(control.NODE_DRAIN, {"on": False})
        asker.ask(control.STATUS_GET, target="writerd")
        seen = []
        while len(seen) < 2:
            kind, flags, answered, body = watcher.receive()
            assert kind == control.TRACED and answered == request and flags & control.MORE
            seen.append(control.HEADER.unpack(body["frame"][:16])[2])
        assert seen == [control.STATUS_GET, 17]
        watcher.send(control.TRACE, request=request, flags=control.CANCEL)
        watcher.ask(control.CHILDREN_GET)
        asker.ask(control.STATUS_GET, target="writerd")
        watcher.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            watcher.receive()


def test_slow_reader_of_a_trace_is_dropped(gateway):
    gw = gateway(workers=1).start()
    with gw.control() as slow, gw.control() as asker:
        slow.send(control.TRACE)
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for _ in range(3000):
            asker.ask(control.STATUS_GET, target="writerd")
            if gw.events("trace_dropped"):
                break
        assert gw.events("trace_dropped")
        assert gw.request()[0] == 200
        (_, body), = asker.ask(control.STATUS_GET)
        assert {"name": "trace_readers_dropped", "value": "1"} in body["items"]


def test_too_many_connections(gateway):
    gw = gateway(workers=1).start()
    many = [gw.control() for _ in range(16)]
    with gw.control(hello=False) as last:
        request = last.send(control.HELLO, {"protocol": 1, "build_id": "t", "layout_version": 1})
        _, flags, answered, body = last.receive()
        assert flags & control.ERROR and answered == request and "16" in body["text"]
        assert last.receive() is None
    many.pop().sock.close()

    def has_place():
        try:
            return gw.children()
        except (control.Refused, ConnectionError):
            return None

    wait_for("a place", has_place)
    for c in many:
        c.sock.close()


def raw(kind=control.CHILDREN_GET, version=1, flags=0, source=control.CTL, target="supervisor", request=1, length=None, body=b""):
    length = len(body) if length is None else length
    return control.HEADER.pack(version, flags, kind, source, control.endpoint(target), request, length) + body


@pytest.mark.parametrize("data", [
    b"x", b"x" * 15, bytes(16), raw(version=9), raw(flags=0xE0), raw(length=5), raw(length=0xFFFFFFFF), raw(kind=9999),
    raw(kind=2), raw(kind=5, target="writerd"), raw(source=0xFFFF), raw(source=control.endpoint("writerd")),
    raw(kind=17, flags=control.REPLY), raw(kind=20, body=b"\xc1garbage"), raw(kind=20, body=b"\x81"),
    raw(flags=control.CANCEL, request=0), raw(kind=23, body=control.pack({"on": 7})), raw(body=b"x" * 60000),
], ids=lambda d: f"{len(d)}-{d[:8].hex()}")
def test_malformed_frames(gateway, data):
    """Garbage costs the connection it came on, never more."""
    gw = gateway(workers=1).start()
    before = gw.pids()
    with gw.control() as good, gw.control() as bad:
        good.ask(control.CHILDREN_GET)
        bad.sock.send(data)
        while True:
            try:
                frame = bad.receive()
            except ConnectionResetError:
                break
            if frame is None:
                break
            assert frame[1] & control.ERROR
        good.ask(control.CHILDREN_GET)
    assert gw.pids() == before and gw.request()[0] == 200


def test_no_word_before_hello(gateway):
    gw = gateway(workers=1).start()
    with gw.control(hello=False) as c:
        with pytest.raises(control.Refused):
            c.ask(control.CHILDREN_GET)
        assert c.receive() is None


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_only_root_and_the_owner_may_connect(gateway):
    gw = gateway(workers=1).start()
    gw.runtime.chmod(0o755)
    (gw.runtime / "control.sock").chmod(0o777)
    code = ("import os, socket; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
            f"s.connect({str(gw.runtime / 'control.sock')!r}); s.settimeout(5); print(len(s.recv(10)))")
    done = subprocess.run(["python3", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "0", done.stderr
    assert gw.events("control_refused")


def test_bifrostctl(gateway):
    gw = gateway(workers=1).start()
    status = json.loads(gw.ctl("--json", "status"))
    assert {c["name"] for c in status["children"]} == {"proxyd.0", "writerd", "reader", "clusterd", "discoveryd"}
    assert len(status["status"]) == 6
    gw.ctl("restart", "discoveryd")
    gw.ctl("reload")
    gw.ctl("drain")
    assert gw.request()[0] == 503
    gw.ctl("drain", "--off")
    assert gw.ctl("restart", "proxyd.9", check=False).returncode == 3
    gw.stop()
    assert gw.ctl("status", check=False).returncode == 2


def test_several_instances_side_by_side(gateway):
    first, second = gateway(workers=1).start(), gateway(workers=1).start()
    assert first.request()[0] == second.request()[0] == 200
    assert not set(first.pids().values()) & set(second.pids().values())
    first.stop()
    assert second.request()[0] == 200


def test_long_runtime_path(gateway, tmp_path):
    """Longer than a socket's name may be."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    gw = gateway(workers=1, env={"BIFROST_RUNTIME_DIR": str(deep)}).start()
    assert "proxyd.0" in gw.ctl("status")
    shutil.rmtree(gw.runtime)
    gw.runtime = deep
