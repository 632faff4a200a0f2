"""An upstream that does exactly what a test says, to the byte: `fake.on("model", behaviour)`, behaviour(wire, request).

Every connection has a thread. What was asked is kept in `requests`, in order. TLS with an ssl.SSLContext.
"""

import contextlib
import json
import socket
import struct
import subprocess
import threading
import time

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "prompt_tokens_details": {"cached_tokens": 4}}


def completion(text="hello from upstream", **more):
    return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": USAGE,
        **more}).encode()


def models(*names):
    return json.dumps({"object": "list", "data": [{"id": n, "object": "model", "created": 1, "owned_by": "o"} for n in names]}).encode()


def chunk(delta, usage=None, **more):
    said = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
        {"index": 0, "delta": delta, "finish_reason": None}], "usage": usage, **more}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


USAGE_CHUNK = chunk({}, usage=USAGE, choices=[])
DONE = b"data: [DONE]\n\n"


def head(status=200, *lines, reason="OK"):
    return "\r\n".join([f"HTTP/1.1 {status} {reason}", *lines, "", ""]).encode()


def plain(body=None, status=200, kind="application/json", *lines):
    body = completion() if body is None else body
    return head(status, f"Content-Type: {kind}", f"Content-Length: {len(body)}", *lines) + body


SSE_HEAD = head(200, "Content-Type: text/event-stream; charset=utf-8", "Transfer-Encoding: chunked")


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces if p)


def events(words=("Hel", "lo ", "you"), usage=True):
    said = [chunk({"role": "assistant", "content": ""}), *[chunk({"content": w}) for w in words], chunk({})]
    return said + ([USAGE_CHUNK] if usage else [])


def stream(words=("Hel", "lo ", "you"), usage=True):
    return SSE_HEAD + chunked(*events(words, usage), DONE) + b"0\r\n\r\n"


def cut(data=b""):
    """A behaviour: sends this and closes, unannounced. Only for what is no whole answer, or ends with the connection: behind
    a whole one the gateway may have sent the next request already, which then fails, as it must."""
    def behaviour(wire, _):
        wire.send(data)
        wire.close()
    return behaviour


class Wire:
    """One connection, from the upstream's side."""

    def __init__(self, sock, number):
        self.sock, self.number, self.buffer = sock, number, b""

    def send(self, data):
        self.sock.sendall(data)

    def trickle(self, data, pause=0):
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])
            if pause:
                time.sleep(pause)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def gone(self, timeout):
        """Waits for the gateway to close."""
        self.sock.settimeout(timeout)
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        finally:
            self.sock.settimeout(None)

    def read_request(self):
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        raw, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = raw.decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self.buffer) < length:
            self.fill()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return {"line": first, "headers": headers, "body": body, "json": json.loads(body or b"{}"), "connection": self.number}

    def fill(self):
        more = self.sock.recv(1 << 20)
        if not more:
            raise ConnectionError
        self.buffer += more


class FakeOpenAI:
    def __init__(self, tls=None, host="127.0.0.1"):
        self.tls, self.behaviours, self.requests, self.handshakes = tls, {}, [], []
        self.listener = socket.create_server((host, 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def on(self, model, behaviour):
        """behaviour: bytes to send, or a function of (wire, request). The connection is kept, unless the function closes it
        (see cut()). Model "GET": what it answers when it is asked for its models."""
        self.behaviours[model] = behaviour

    def asked(self, model):
        return [r for r in self.requests if r["json"].get("model") == model]

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                threading.Thread(target=self.handle, args=(sock, self.connections), daemon=True).start()

    def handle(self, sock, number):
        wire = None
        with contextlib.suppress(ConnectionError, OSError, ValueError):
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self.handshakes.append(sock.session_reused)
            wire = Wire(sock, number)
            while True:
                request = wire.read_request()
                self.requests.append(request)
                asks = request["line"].startswith("GET ")
                act = self.behaviours.get("GET" if asks else request["json"]["model"])
                if act is None and asks:
                    act = plain(models())
                elif act is None:
                    act = stream() if request["json"].get("stream") else plain()
                if isinstance(act, bytes):
                    wire.send(act)
                else:
                    act(wire, request)
        with contextlib.suppress(OSError):
            (wire.close if wire else sock.close)()

    def close(self):
        self.listener.close()


class Authority:
    """A certificate authority made for one test, by openssl(1)."""

    def __init__(self, folder):
        self.folder = folder
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                     "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority")
        self.pem = (folder / "ca.pem").read_text()

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True, timeout=60)

    def issue(self, name, names, days="2", self_signed=False):
        """(certificate, key) for these subject alternative names; days may be negative: expired."""
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                     f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        signer = ["-signkey", f"{name}.key"] if self_signed else ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        self.openssl("x509", "-req", "-in", f"{name}.csr", *signer, "-out", f"{name}.pem", "-days", days, "-extfile",
                     f"{name}.ext")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"
