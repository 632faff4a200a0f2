"""What the tests of the supervisor share: its children and their descriptors, a child that misbehaves, the log's end."""

import contextlib
import os

import pytest

from gateway import BUILD

ROLES = ["proxyd.0", "writerd", "reader", "clusterd", "discoveryd"]


def is_sanitized():
    return b"__asan_init" in (BUILD / "bifrost").read_bytes()


def last_line(log):
    return log.strip().splitlines()[-1]


def came_back_at_once(gw, name):
    """Its last death was followed by a new process without a pause; how long that takes is the machine's business."""
    return "in_ms=0 " in [line for line in gw.events("child_restart") if f"child={name} " in line][-1]


def descriptors_of(pid):
    """{number: what it is}; a file may be closed while we look."""
    links = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return links


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
