"""The supervisor with real children: life, deaths, wrong starts, reload, the control socket."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import control
from gateway import BUILD, alive, children_of, free_port, wait_for

KILLS = int(os.environ.get("BIFROST_KILLS", "5"))
ROLES = ["proxyd.0", "writerd", "reader", "clusterd", "discoveryd"]
SEGMENT_VERSION_AT = 8  # offset of the layout version in the header


def kill_and_wait(gw, name, limit=1.0):
    """SIGKILL of one child; returns after its successor is ready. The others keep their pids."""
    before = gw.pids()
    killed = time.monotonic()
    os.kill(before[name], signal.SIGKILL)

    def replaced():
        child = gw.children()[name]
        return child["state"] == "ready" and child["pid"] != before[name] and child

    child = wait_for(f"{name} to be replaced", replaced, timeout=30)
    took = time.monotonic() - killed
    after = gw.pids()
    assert {n: p for n, p in after.items() if n != name} == {n: p for n, p in before.items() if n != name}
    assert took < limit * (5 if is_sanitized() else 1), f"{name} took {took:.2f} s"
    return child


def is_sanitized():
    return b"__asan_init" in (BUILD / "bifrost").read_bytes()


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


def descriptors_of(pid):
    """{number: what it is}; a file may be closed while we look."""
    links = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return links


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
        time.sleep(0.5)
        gw.remember()
        gw.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert gw.process.poll() is None, "did not wait for the request"
        gw.process.send_signal(signal.SIGTERM)
        assert gw.process.wait(20) == 0


def test_interrupt_of_the_whole_group_is_an_ordered_stop(gateway):
    """Ctrl-C on a terminal reaches every process of the foreground group."""
    gw = gateway(workers=1).start()
    # The supervisor last: from then on its children may be gone.
    for pid in [*set(gw.pids().values()) - {gw.pid}, gw.pid]:
        os.kill(pid, signal.SIGINT)
    assert gw.process.wait(30) == 0
    assert len(gw.events("child_ended")) == 5


def test_watchdog_and_status_are_told(gateway):
    gw = gateway(workers=1, env={"WATCHDOG_USEC": "400000"}).start()
    gw.wait_told("WATCHDOG=1", 10)
    gw.wait_told("STATUS=serving: 1 of 1 workers ready", 10)
    gw.process.send_signal(signal.SIGHUP)
    gw.wait_told("RELOADING=1", 10)
    gw.process.send_signal(signal.SIGTERM)
    gw.wait_told("STOPPING=1", 10)


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
        time.sleep(1.1)
        os.kill(gw.pids()["proxyd.0"], signal.SIGKILL)
        assert gw.request(timeout=10)[0] == 200


def test_a_child_that_cannot_run_here_ends_the_start(gateway, fake):
    """No back-off for what another try cannot mend, as long as nothing ever served."""
    code, log = gateway(workers=1, env=fake("writerd", "0", "exit-at-start:77")).run_to_end()
    assert code == 77 and 'how="exit 77"' in log and not [line for line in log.splitlines() if "event=ready" in line]


def test_supervisor_killed(gateway):
    gw = gateway(workers=2).start()
    gw.chat("before")
    pids = list(gw.pids().values())
    gw.kill_supervisor()
    wait_for("all children to leave", lambda: not any(map(alive, pids)), timeout=2 * (5 if is_sanitized() else 1))
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
    gw = gateway(workers=2, config={"supervisor": {"stall_timeout": "12s"}}).start()
    pid = gw.pids()["discoveryd"]
    os.kill(pid, signal.SIGSTOP)
    wait_for("health to tell of it", lambda: "a child's heartbeat has stopped" in json.dumps(gw.request()[2]), timeout=25)
    wait_for("it to be replaced", lambda: gw.pids()["discoveryd"] not in (0, pid), timeout=25)
    assert "heartbeat stopped" in gw.children()["discoveryd"]["last_exit"]


def test_one_worker_crash_loops_and_nobody_notices(gateway, fake):
    """0 failed connects while worker 1 dies again and again: its sibling accepts for it."""
    gw = gateway(workers=2, env=fake("proxyd", "1", "crash")).start()
    steady = gw.pids()["proxyd.0"]
    failed = []

    def ask(_):
        try:
            return gw.request(timeout=5)[0]
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
    gw = gateway(workers=2, config={"supervisor": {"ready_timeout": "1s"}}, env=fake("proxyd", "1", "never-ready")).start()
    wait_for("the kill", lambda: any("did not become ready" in line for line in gw.events("child_killed")), timeout=20)
    assert gw.request()[0] == 200
    assert "did not become ready" in gw.children()["proxyd.1"]["last_exit"]


@pytest.mark.parametrize("how", ["garbage", "wrong-source", "wrong-type", "huge", "flood", "close-channel",
                                 "crash-after-ready:200", "exit-at-start:3"])
def test_a_child_that_misbehaves(gateway, fake, how):
    """Costs that child its channel, and nothing more; it is replaced, and told in the status."""
    gw = gateway(workers=2, env=fake("proxyd", "1", how)).start()
    steady = {n: p for n, p in gw.pids().items() if n != "proxyd.1"}
    wait_for("it to be replaced", lambda: gw.children()["proxyd.1"]["restarts"] >= 2, timeout=30)
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
    assert 5 < time.monotonic() - began < 30
    assert [line for line in gw.events("child_killed") if "child=proxyd.1" in line]


@pytest.fixture
def fake(tmp_path):
    """A folder of programs in which one role is the misbehaving child of tests/support; its environment."""
    program = next(BUILD.rglob("fake_child"), None) or next(BUILD.rglob("fake-child"), None)
    if program is None:
        pytest.skip("tests/support/fake_child is not built")

    def make(role, index, behaviour):
        folder = tmp_path / "libexec"
        folder.mkdir()
        for name in ["config", "proxyd", "clusterd", "discoveryd", "writerd"]:
            (folder / f"bifrost-{name}").symlink_to(program if name == role else BUILD / f"bifrost-{name}")
        return {"BIFROST_LIBEXEC_DIR": str(folder), "FAKE_CHILD": f"{index}:{behaviour}",
                "FAKE_CHILD_REAL": str(BUILD / f"bifrost-{role}")}

    return make


# ---------------------------------------------------------------- wrong starts


def last_line(log):
    return log.strip().splitlines()[-1]


def test_second_instance(gateway):
    first = gateway(workers=1).start()
    second = gateway(workers=1, env={"BIFROST_RUNTIME_DIR": str(first.runtime)})
    began = time.monotonic()
    code, log = second.run_to_end()
    assert code == 75
    assert f"pid {first.pid}" in last_line(log) and "BIFROST_RUNTIME_DIR" in last_line(log)
    assert time.monotonic() - began < 4
    assert first.request()[0] == 200 and first.children()


def test_port_in_use(gateway):
    gw = gateway(workers=2)
    with socket.socket() as s:
        s.bind(("127.0.0.1", gw.port))
        s.listen()
        code, log = gw.run_to_end()
    assert code == 1 and f"127.0.0.1:{gw.port}" in last_line(log) and "in use" in last_line(log).lower()
    gw.start()


@pytest.mark.parametrize("which", ["BIFROST_STATE_DIR", "BIFROST_RUNTIME_DIR"])
@pytest.mark.parametrize("what", ["a file", "below a file", "not allowed"])
def test_unusable_folder(gateway, tmp_path, which, what):
    path = tmp_path / "x"
    if what == "not allowed":
        path = Path("/proc/bifrost-test")
    else:
        path.write_text("")
        path = path / "sub" if what == "below a file" else path
    code, log = gateway(workers=1, env={which: str(path)}).run_to_end()
    assert code == 1 and str(path) in last_line(log) and which in last_line(log)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_state_folder_that_the_user_cannot_write(gateway, tmp_path):
    """Root could write to it; the user that the children become cannot."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    locked = state / "inner"
    gw = gateway(workers=1, env={"BIFROST_STATE_DIR": str(locked)}, args=["--user", "nobody"])
    code, log = gw.run_to_end()
    assert code == 1 and str(locked) in last_line(log) and "not writable" in last_line(log)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_children_become_the_user(gateway):
    gw = gateway(workers=1, args=["--user", "nobody"])
    for folder in [gw.folder, *gw.folder.parents[:3]]:
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    gw.start()
    import pwd
    uid = pwd.getpwnam("nobody").pw_uid
    for name, pid in gw.pids().items():
        status = Path(f"/proc/{pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}$", status, re.M), name
    assert "keep root" not in gw.log()
    assert {p.stat().st_uid for p in [gw.state, *gw.runtime.iterdir()]} == {uid}
    assert gw.chat()[0] == 200


def test_unknown_user_and_options(gateway):
    code, log = gateway(args=["--user", "no-such-user-here"]).run_to_end()
    assert code == 64 and "no-such-user-here" in last_line(log)
    code, log = gateway(args=["--nonsense"]).run_to_end()
    assert code == 64 and "--nonsense" in last_line(log)


def test_missing_program(gateway, tmp_path):
    code, log = gateway(env={"BIFROST_LIBEXEC_DIR": str(tmp_path)}).run_to_end()
    assert code == 1 and "bifrost-writerd" in last_line(log)


@pytest.mark.parametrize("text, needle", [
    ("server: {listen: [\"127.0.0.1:1\"]}\nsupervisor: {worker: 2}\n", "workers"),
    ("supervisor: {workers: many}\n", ":1:"),
    ("supervisor: {workers: 2}\nsupervisor: {workers: 3}\n", ":2:"),
    ("providers: {openai: {keys: [{name: a, value: env.NO_SUCH_VARIABLE_HERE}]}}\n", "NO_SUCH_VARIABLE_HERE"),
    ("a: " + "[" * 5000, ":1:"),
    ("x: [\n", "bifrost.yaml:"),
])
def test_wrong_yaml(gateway, text, needle):
    gw = gateway(text=text)
    code, log = gw.run_to_end()
    assert code == 78 and needle in log and "bifrost.yaml" in log
    assert not gw.runtime.joinpath("segment").exists()


def test_huge_file(gateway):
    gw = gateway(text="a: 1\n")
    with open(gw.file, "r+b") as f:
        f.truncate(100 << 20)
    began = time.monotonic()
    code, log = gw.run_to_end()
    assert code == 78 and "bifrost.yaml" in last_line(log) and time.monotonic() - began < 15


def test_no_file(gateway):
    gw = gateway()
    gw.file.unlink()
    code, log = gw.run_to_end()
    assert code == 78 and str(gw.file) in last_line(log)


def test_check_and_schema(gateway):
    gw = gateway()

    def run(*args):
        return subprocess.run([BUILD / "bifrost", *args], env=gw.env, capture_output=True, text=True, timeout=30, check=False)

    assert run("--check", "-c", gw.file).returncode == 0
    gw.file.write_text("supervisor: {workers: many}\n")
    wrong = run("--check", "-c", gw.file)
    assert wrong.returncode == 78 and ":1:" in wrong.stderr
    schema = json.loads(run("--dump-schema").stdout)
    assert "supervisor" in schema["properties"]
    assert run("--version").stdout.startswith("bifrost ")
    assert "--user" in run("--help").stdout
    # None of them touches the folders.
    assert not gw.state.exists() and not list(gw.runtime.iterdir())


# ---------------------------------------------------------------- segments


@pytest.fixture
def stopped(gateway):
    """A gateway that ran and left its segment."""
    gw = gateway(workers=1).start()
    assert gw.stop() == 0
    return gw


def patch(gw, offset, data):
    with open(gw.runtime / "segment", "r+b") as f:
        f.seek(offset)
        f.write(data)


def find_in_header(gw, needle):
    with open(gw.runtime / "segment", "rb") as f:
        at = f.read(4096).find(needle)
    assert at >= 0
    return at


def boot_id():
    return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))


def test_segment_is_taken_over_after_an_ordered_stop(stopped):
    stopped.start()
    assert "taken over" in stopped.log()


def test_segment_of_another_boot(stopped):
    patch(stopped, find_in_header(stopped, boot_id()), bytes(16))
    stopped.start()
    assert "another boot" in stopped.log() and (stopped.runtime / "segment.old-1").exists()
    assert stopped.request()[0] == 200


@pytest.mark.parametrize("data", [b"this is a text file, not a segment\n" * 300, b"\x7fELF" + bytes(8192)])
def test_foreign_file(stopped, data):
    (stopped.runtime / "segment").write_bytes(data)
    code, log = stopped.run_to_end()
    assert code == 76 and "segment" in last_line(log)
    assert (stopped.runtime / "segment").read_bytes() == data, "a foreign file was touched"


def test_segment_of_another_layout(stopped):
    patch(stopped, SEGMENT_VERSION_AT, struct.pack("<I", 0x7FFFFFFF))
    code, log = stopped.run_to_end()
    assert code == 76 and "layout" in last_line(log)


def test_damaged_segment(stopped):
    os.truncate(stopped.runtime / "segment", 100000)
    stopped.start()
    assert "damaged" in stopped.log() and (stopped.runtime / "segment.old-1").stat().st_size == 100000


def test_link_in_place_of_the_segment(stopped):
    (stopped.runtime / "segment").rename(stopped.runtime / "elsewhere")
    (stopped.runtime / "segment").symlink_to(stopped.runtime / "elsewhere")
    code, log = stopped.run_to_end()
    assert code == 1 and "segment" in last_line(log)


def test_runtime_folder_open_to_everybody(stopped):
    stopped.runtime.chmod(0o777)
    code, log = stopped.run_to_end()
    assert code == 1 and "everyone" in last_line(log)


# ---------------------------------------------------------------- reload and restart


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
        links = [os.readlink(f"/proc/{gw.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{gw.pid}/fd")]
        return sorted(re.sub(r"\d+", "N", link) for link in links)

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
    gw = gateway(workers=2, config={"supervisor": {"ready_timeout": "2s"}}, env=fake("proxyd", "1", "ready-once")).start()
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
        with gw.control() as c:
            for turn in range(3):
                for name in ["proxyd.0", "proxyd.1", "writerd", "reader"]:
                    c.ask(control.RESTART, {"name": name})
        stop.append(True)
    assert not failed and len(done) > 20


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


# ---------------------------------------------------------------- the control socket


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
        with gw.control(timeout=30) as c:
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
        time.sleep(0.2)
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

    wait_for("a place", has_place, timeout=5)
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
    done = subprocess.run(["python3", "-c", code], capture_output=True, text=True, timeout=20, check=False)
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
