"""Standard error that nobody reads: the log loses lines and counts them, nothing waits."""

import fcntl
import os
import subprocess

import pytest

from gateway import BUILD, wait_for


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_nobody_reads_standard_error(gateway, kind, monkeypatch):
    gw = gateway(workers=2, env={"BIFROST_LOG_LEVEL": "debug"}, config={"supervisor": {"log_level": "debug"}})
    if kind == "pipe":
        read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    else:
        import socket
        ends = socket.socketpair()
        ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        read_end, write_end = ends[0].detach(), ends[1].detach()
    real = subprocess.Popen

    def popen(*args, **kw):
        return real(*args, **dict(kw, stderr=write_end) if args[0][0] == BUILD / "bifrost" else kw)

    monkeypatch.setattr(subprocess, "Popen", popen)
    try:
        gw.start()
        for name in ["proxyd.0", "writerd", "reader", "proxyd.1", "clusterd", "discoveryd"]:
            assert gw.chat()[0] == 200
            gw.ctl("restart", name)
        for _ in range(20):
            assert gw.chat()[0] == 200
        wait_for("lines to be counted as lost", lambda: gw.metric("bifrost_log_lines_lost_total") > 10)
        assert gw.request(path="/api/logs")[0] == 200
        assert gw.stop(30) == 0
    finally:
        os.close(read_end)
        os.close(write_end)
