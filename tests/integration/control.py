"""The control socket from outside: frames, and as much msgpack as control messages use. Written from the protocol's
description and on purpose without the project's own code."""

import socket
import struct

HEADER = struct.Struct("<BBHHHII")
REPLY, MORE, ERROR, CANCEL, FD = 1, 2, 4, 8, 16
ROLES = {"supervisor": 1, "proxyd": 2, "clusterd": 3, "discoveryd": 4, "writerd": 5, "ctl": 6, "reader": 7}
HELLO, STATUS_GET, CHILDREN_GET, RESTART, RELOAD, NODE_DRAIN, TRACE = 1, 16, 18, 20, 21, 23, 24
TRACED, DIAG, OK, ERROR_MSG = 25, 22, 26, 27
CTL = ROLES["ctl"] << 10


def endpoint(name):
    role, _, index = name.partition(".")
    return ROLES[role] << 10 | int(index or 0)


def pack(value):
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return struct.pack(">BQ", 0xCF, value) if value >= 0 else struct.pack(">Bq", 0xD3, value)
    if isinstance(value, (str, bytes)):
        code, raw = (0xDB, value.encode()) if isinstance(value, str) else (0xC6, value)
        return struct.pack(">BI", code, len(raw)) + raw
    if isinstance(value, list):
        return struct.pack(">BI", 0xDD, len(value)) + b"".join(map(pack, value))
    return struct.pack(">BI", 0xDF, len(value)) + b"".join(pack(k) + pack(v) for k, v in value.items())


def unpack(data):
    value, rest = _unpack(data)
    assert not rest, f"{len(rest)} bytes left over"
    return value


FIXED = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
SIZED = {0xC4: (">B", "bin"), 0xC5: (">H", "bin"), 0xC6: (">I", "bin"), 0xD9: (">B", "str"), 0xDA: (">H", "str"),
         0xDB: (">I", "str"), 0xDC: (">H", "array"), 0xDD: (">I", "array"), 0xDE: (">H", "map"), 0xDF: (">I", "map")}


def _take(fmt, data):
    size = struct.calcsize(fmt)
    return struct.unpack(fmt, data[:size])[0], data[size:]


def _unpack(data):
    code, data = data[0], data[1:]
    if code < 0x80:
        return code, data
    if code >= 0xE0:
        return code - 256, data
    if code in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[code], data
    if code in FIXED:
        return _take(FIXED[code], data)
    if code in SIZED:
        fmt, kind = SIZED[code]
        count, data = _take(fmt, data)
    else:
        kind = "map" if code < 0x90 else "array" if code < 0xA0 else "str"
        count = code & (0x1F if kind == "str" else 0x0F)
    if kind in ("str", "bin"):
        raw, data = data[:count], data[count:]
        return (raw.decode() if kind == "str" else raw), data
    items = []
    for _ in range(count * (2 if kind == "map" else 1)):
        value, data = _unpack(data)
        items.append(value)
    return (dict(zip(items[::2], items[1::2])) if kind == "map" else items), data


class Refused(Exception):
    """The gateway answered with an error message."""

    def __init__(self, body):
        super().__init__(f"{body.get('code')}: {body.get('text')}")
        self.code, self.text = body.get("code"), body.get("text")


class Control:
    """One connection to control.sock, greeted."""

    def __init__(self, path, timeout=60, hello=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        self.last = 0
        if hello:
            self.send(HELLO, {"protocol": 1, "build_id": "test", "layout_version": 1}, wants_reply=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, kind, body=None, target="supervisor", flags=0, request=None, wants_reply=True):
        if request is None:
            self.last += 1
            request = self.last if wants_reply else 0
        raw = b"" if body is None else pack(body)
        self.sock.send(HEADER.pack(1, flags, kind, CTL, endpoint(target), request, len(raw)) + raw)
        return request

    def receive(self):
        """(type, flags, request, body) of the next frame; None when the gateway closed the connection."""
        data = self.sock.recv(65536)
        if not data:
            return None
        _, flags, kind, _, _, request, length = HEADER.unpack(data[:16])
        assert length == len(data) - 16
        return kind, flags, request, unpack(data[16:]) if length else None

    def ask(self, kind, body=None, target="supervisor"):
        """All parts of the answer, as (type, body); raises Refused."""
        request = self.send(kind, body, target)
        parts = []
        while True:
            frame = self.receive()
            if frame is None:
                raise ConnectionError("closed before the last part")
            kind, flags, answered, body = frame
            if answered != request:
                continue
            if flags & ERROR:
                raise Refused(body)
            parts.append((kind, body))
            if not flags & MORE:
                return parts
