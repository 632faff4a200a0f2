"""Starts of the supervisor that must fail, and the segments that a start may find."""

import json
import os
import re
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from gateway import BUILD
from supervised import last_line

SEGMENT_VERSION_AT = 8  # offset of the layout version in the header


# ---------------------------------------------------------------- wrong starts


def test_second_instance(gateway):
    first = gateway(workers=1).start()
    second = gateway(workers=1, env={"BIFROST_RUNTIME_DIR": str(first.runtime)})
    code, log = second.run_to_end()
    assert code == 75
    assert f"pid {first.pid}" in last_line(log) and "BIFROST_RUNTIME_DIR" in last_line(log)
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
    for folder in [gw.folder, *gw.folder.parents]:
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
    assert code == 78 and "bifrost.yaml" in last_line(log) and time.monotonic() - began < 30


def test_no_file(gateway):
    gw = gateway()
    gw.file.unlink()
    code, log = gw.run_to_end()
    assert code == 78 and str(gw.file) in last_line(log)


def test_check_and_schema(gateway):
    gw = gateway()

    def run(*args):
        return subprocess.run([BUILD / "bifrost", *args], env=gw.env, capture_output=True, text=True, timeout=60, check=False)

    assert run("--check", "-c", gw.file).returncode == 0
    gw.file.write_text("supervisor: {workers: many}\n")
    wrong = run("--check", "-c", gw.file)
    assert wrong.returncode == 78 and ":1:" in wrong.stderr
    schema = json.loads(run("--dump-schema").stdout)
    assert "supervisor" in schema["properties"]
    assert "/api/governance/virtual-keys" in json.loads(run("--dump-openapi").stdout)["paths"]
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
