"""Proportional memory: of an idle node, per idle connection, per open stream."""

import json
import socket
import time

from . import cases
from .load import Load
from .processes import Failed, pss_bytes
from .proxies import PATH

SETTLE_S = 0.7


def answer(connection):
    """Reads one whole answer; its status."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise Failed("the connection was closed before an answer")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    chunked = b"chunked" in lines.get(b"transfer-encoding", b"")
    while not (body.endswith(b"0\r\n\r\n") if chunked else len(body) >= int(lines.get(b"content-length", 0))):
        piece = connection.recv(65536)
        if not piece:
            raise Failed("the connection was closed within an answer")
        body += piece
    return int(head.split()[1])


def request(proxy):
    body = json.dumps({"model": proxy.model_prefix + cases.PLAIN, "messages": [{"role": "user", "content": "hi"}]})
    lines = [f"POST {PATH} HTTP/1.1", f"Host: 127.0.0.1:{proxy.port}", "Content-Type: application/json",
             f"Content-Length: {len(body)}", *proxy.headers]
    return "\r\n".join([*lines, "", body]).encode()


def idle_node(proxy):
    time.sleep(1)
    return pss_bytes(proxy.pids())


def per_idle_connection(proxy):
    """Each connection made one request, as a client's pool has it, and is silent since."""
    text = request(proxy)

    def connect():
        connection = socket.create_connection(("127.0.0.1", proxy.port), 10)
        connection.sendall(text)
        if answer(connection) != 200:
            raise Failed(f"{proxy.name} refused a request")
        return connection

    # What the first ones cost is not of the connection.
    for connection in [connect() for _ in range(20)]:
        connection.close()
    time.sleep(SETTLE_S)
    before = pss_bytes(proxy.hot_pids())
    kept = [connect() for _ in range(cases.IDLE_CONNECTIONS)]
    time.sleep(SETTLE_S)
    after = pss_bytes(proxy.hot_pids())
    for connection in kept:
        connection.close()
    return (after - before) / cases.IDLE_CONNECTIONS


def per_open_stream(proxy, program, folder):
    """Client and upstream side together, after a second of events."""
    Load(cases.PLAIN, 20, 0.3, 1000).start(program, proxy, folder).wait()
    time.sleep(SETTLE_S)
    before = pss_bytes(proxy.hot_pids())
    load = Load("m;n=40;interval_ms=100", cases.OPEN_STREAMS, 2.5, 1000, stream=True).start(program, proxy, folder)
    time.sleep(2)
    after = pss_bytes(proxy.hot_pids())
    load.wait()
    return (after - before) / cases.OPEN_STREAMS
