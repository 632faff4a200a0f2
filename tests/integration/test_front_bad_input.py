"""Requests that two parsers could read differently, clients that trickle, and what they do to others: nothing."""

import contextlib
import itertools
import json
import socket
import threading
import time

import pytest

from gateway import wait_for

CHAT = b"/v1/chat/completions"
BODY = json.dumps({"model": "mock/m", "messages": [{"role": "user", "content": "hello"}]}).encode()
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def gw(gateway):
    return gateway(workers=1).start()


@contextlib.contextmanager
def client(gw, timeout=60):
    with socket.create_connection(("127.0.0.1", gw.port), timeout=timeout) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield s


def read_to_end(s):
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := s.recv(65536):
            parts.append(part)
    return b"".join(parts)


def tell(gw, data):
    """Sends all of it, whether or not it is listened to, and returns all that comes until the connection ends."""
    with client(gw) as s:
        with contextlib.suppress(ConnectionError):
            s.sendall(data)
        return read_to_end(s)


def statuses(answer):
    """Of all answers in a row: their status lines begin where bodies end, so a count of Date lines is a count of answers."""
    return [int(line[9:12]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")], answer.count(b"\r\nDate: ")


def refused(gw, data, codes=(400,)):
    answer = tell(gw, data)
    found, count = statuses(answer)
    assert count == 1 and found[0] in codes, (data[:300], answer[:300])
    assert b"\r\nConnection: close\r\n" in answer and b"\r\nX-Request-Id: " in answer, (data[:300], answer[:300])
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert body["is_bifrost_error"] and body["status_code"] == found[0] and body["error"]["message"]
    return body


# ---------------------------------------------------------------- framing

TE = [b"Transfer-Encoding: chunked", b"transfer-encoding: CHUNKED", b"Transfer-Encoding:chunked", b"Transfer-Encoding: \tchunked \t"]
BAD_TE = [b"Transfer-Encoding : chunked", b" Transfer-Encoding: chunked", b"Transfer-Encoding\t: chunked",
          b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity",
          b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked,", b"Transfer-Encoding: ,chunked",
          b"Transfer-Encoding: \"chunked\"", b"Transfer-Encoding: chunked;q=1", b"Transfer-Encoding: \x0bchunked",
          b"Transfer-Encoding:\x00chunked", b"Transfer-Encoding:\nchunked", b"Transfer-Encoding:\r\n chunked",
          b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
          b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked", b"X: y\nTransfer-Encoding: chunked",
          b"X: y\rTransfer-Encoding: chunked", b"Transfer-Encoding", b"Transfer-Encoding:", b"\x00Transfer-Encoding: chunked",
          b"Transfer\x00-Encoding: chunked", b"Transfer-Encoding\x0b: chunked", b"Transfer-Encoding: chunked\x00"]
BAD_CL = [b"Content-Length : 5", b" Content-Length: 5", b"Content-Length: +5", b"Content-Length: -5", b"Content-Length: 0x5",
          b"Content-Length: 5, 5", b"Content-Length: 5 5", b"Content-Length: 5;", b"Content-Length: \"5\"", b"Content-Length: 5.0",
          b"Content-Length:", b"Content-Length: 5\r\nContent-Length: 5", b"Content-Length: 5\r\nContent-Length: 6",
          b"Content-Length: 5\r\ncontent-length: 0", b"Content-Length: 18446744073709551616", b"Content-Length:\x005",
          b"Content-Length: 5\x00", b"Content-Length: 5\r\n 0", b"Content-Length: \xb2", b"X: y\rContent-Length: 5"]


def framed(*lines):
    return b"POST " + CHAT + b" HTTP/1.1\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def mutations():
    for te in TE:
        yield "cl and te", framed(b"Content-Length: 5", te)
        yield "te and cl", framed(te, b"Content-Length: 5")
    for te, cl in itertools.product(BAD_TE, [None, b"Content-Length: 5", b"Content-Length: 0"]):
        yield "te", framed(te, *([cl] if cl else []))
        yield "te last", framed(*([cl] if cl else []), te)
    for cl in BAD_CL:
        yield "cl", framed(cl)
        yield "cl and te", framed(cl, TE[0])
        yield "te and cl", framed(TE[0], cl)


def test_framing_that_could_be_read_twice(gw):
    """Each is refused and closed, and what was smuggled in behind it is never taken for a request."""
    count = 0
    for name, head in mutations():
        for tail in (b"0\r\n\r\n" + SMUGGLED, b"hello" + SMUGGLED):
            answer = tell(gw, head + tail)
            found, answers = statuses(answer)
            assert answers == 1 and found[0] in (400, 501), (name, head, answer[:300])
            assert b"Connection: close\r\n" in answer, (name, head)
            count += 1
    assert count > 300
    assert gw.chat()[0] == 200 and gw.request(path="/smuggled")[0] == 404


CHUNKS = {
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "size with sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size with space": b"5 \r\nhello\r\n0\r\n\r\n",
    "size too large": b"fffffffffffffffff\r\nhello",
    "size by bare lf": b"5\nhello\r\n0\r\n\r\n",
    "size by bare cr": b"5\rhello\r\n0\r\n\r\n",
    "data too long": b"5\r\nhelloX\r\n0\r\n\r\n",
    "data by bare lf": b"5\r\nhello\n0\r\n\r\n",
    "end by bare lf": b"5\r\nhello\r\n0\r\n\n",
    "nul in extension": b"5;a\x00\r\nhello\r\n0\r\n\r\n",
    "lf in extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "folded trailer": b"0\r\nX: y\r\n z\r\n\r\n",
    "trailer without name": b"0\r\n: y\r\n\r\n",
    "extension flood": b"5;" + b"x" * 40_000 + b"\r\nhello\r\n0\r\n\r\n",
    "many extensions": (b"1;" + b"x" * 100 + b"\r\na\r\n") * 2_000 + b"0\r\n\r\n",
    "trailer flood": b"0\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunked_bodies(gw, name):
    body = refused(gw, framed(b"Transfer-Encoding: chunked") + CHUNKS[name] + SMUGGLED)
    assert body["error"]["type"] == "malformed_request"


HEADS = {
    "obs-fold by tab": (b"GET /live HTTP/1.1\r\nHost: a\r\nA: b\r\n\tc\r\n\r\n", 400),
    "fold of the first line": (b"GET /live HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "hosts that differ": (b"GET /live HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", 400),
    "host that names a user": (b"GET /live HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    "host with a path": (b"GET /live HTTP/1.1\r\nHost: a/live\r\n\r\n", 400),
    "te in 1.0 with a length": (b"POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "http 1.2": (b"GET /live HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "http 3.0": (b"GET /live HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    "no version": (b"GET /live\r\nHost: a\r\n\r\n", 505),
    "two spaces": (b"GET  /live HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tab in the first line": (b"GET\t/live HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "relative target": (b"GET live HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "connect": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "unknown method": (b"BREW /live HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "lower case method": (b"get /live HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bare lf at the end": (b"GET /live HTTP/1.1\r\nHost: a\r\n\n", 400),
    "bare cr in the first line": (b"GET /live\r HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "empty name": (b"GET /live HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
    "no colon": (b"GET /live HTTP/1.1\r\nHost: a\r\nA\r\n\r\n", 400),
    "many empty lines": (b"\r\n" * 4 + b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "many headers": (b"GET /live HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 128 + b"\r\n", 431),
    "expectation": (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: more\r\nContent-Length: 1\r\n\r\n", 417),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads(gw, name):
    data, code = HEADS[name]
    refused(gw, data + SMUGGLED, (code,))


# ---------------------------------------------------------------- limits


def test_header_limit_is_exact(gateway):
    """A head of just read_buffer_size passes, one byte more does not."""
    gw = gateway(workers=1, config={"server": {"read_buffer_size": 8192}}).start()
    start, end = b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\nA: ", b"\r\n\r\n"
    fit = 8192 - len(start) - len(end)
    assert tell(gw, start + b"x" * fit + end).startswith(b"HTTP/1.1 200 ")
    refused(gw, start + b"x" * (fit + 1) + end, (431,))
    refused(gw, b"GET /" + b"x" * 9000, (414,))


def test_chunked_body_over_the_limit(gateway):
    """The limit holds for bodies that do not say how long they are; nothing of them stays."""
    gw = gateway(workers=1, config={"client": {"max_request_body_size_mb": 1}}).start()
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert refused(gw, framed(b"Transfer-Encoding: chunked") + piece * 17, (413,))["error"]["type"] == "body_too_large"
    assert b"bifrost_body_memory_bytes 0\n" in gw.request(path="/metrics")[2]


# ---------------------------------------------------------------- slow clients, and others


def trickle(gw, data, every, results):
    start = time.monotonic()
    with client(gw, timeout=60) as s:
        with contextlib.suppress(OSError):
            step = 1 if every else len(data)
            for at in range(0, len(data), step):
                s.sendall(data[at:at + step])
                time.sleep(every)
        results.append((read_to_end(s), time.monotonic() - start))


def test_slowloris(gateway):
    """100 clients that send a head byte by byte, and 20 that stop in their body: each gets its 408, and nobody else notices."""
    gw = gateway(workers=1, config={"server": {"header_timeout": "2s", "body_timeout": "2s"}}).start()
    heads, bodies = [], []
    threads = [threading.Thread(target=trickle, args=(gw, b"GET /live HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 40, 0.1, heads))
               for _ in range(100)]
    half = framed(b"Content-Length: 100") + b"{"
    threads += [threading.Thread(target=trickle, args=(gw, half, 0, bodies)) for _ in range(20)]
    for t in threads:
        t.start()
    served = 0
    while any(t.is_alive() for t in threads):
        assert gw.chat()[0] == 200
        served += 1
    for t in threads:
        t.join()
    assert served > 10
    assert len(heads) == 100 and len(bodies) == 20
    for answer, _ in heads + bodies:
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408 "), answer[:200]
    # A client that still sends may lose its answer to a reset; one that waits gets it.
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer, _ in bodies)


def test_one_bad_connection_among_pipelines(gw):
    """Bad requests come all the while; every pipelined request of every other connection is answered, in order."""
    stop = threading.Event()
    bad = itertools.cycle([data for data, _ in HEADS.values()] + [framed(b"Transfer-Encoding: chunked") + c for c in CHUNKS.values()])

    def disturb():
        while not stop.is_set():
            tell(gw, next(bad))

    threads = [threading.Thread(target=disturb) for _ in range(2)]
    for t in threads:
        t.start()
    try:
        for _ in range(10):
            with client(gw) as s:
                s.sendall(b"".join(b"GET /live HTTP/1.1\r\nHost: a\r\nX-Request-Id: %d\r\n\r\n" % i for i in range(199))
                          + b"GET /live HTTP/1.1\r\nHost: a\r\nX-Request-Id: 199\r\nConnection: close\r\n\r\n")
                answer = read_to_end(s)
            ids = [int(line[14:]) for line in answer.split(b"\r\n") if line.startswith(b"X-Request-Id: ")]
            assert ids == list(range(200))
    finally:
        stop.set()
        for t in threads:
            t.join()


def test_a_bad_request_behind_good_ones(gw):
    """What came before it is answered; it is refused; what comes after it is not looked at."""
    good = b"POST " + CHAT + b" HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
    answer = tell(gw, good * 3 + b"GET /live HTTP/1.1\r\nHost : a\r\n\r\n" + good)
    assert [int(p[:3]) for p in answer.split(b"HTTP/1.1 ")[1:]] == [200, 200, 200, 400]
    wait_for("three rows", lambda: b"bifrost_log_rows_written_total 3\n" in gw.request(path="/metrics")[2])
