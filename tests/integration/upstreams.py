"""What the tests of the OpenAI family share: a gateway before one scripted upstream, and looks at what came of it."""

import contextlib
import json
import socket
import sqlite3
import ssl
import sys
from pathlib import Path

import pytest

from gateway import wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import fake_openai as fo  # noqa: E402

PATH = "/openai/v1/chat/completions"
KEY = "sk-test-0123456789"
BODY = fo.completion()
JSON = "Content-Type: application/json"


@pytest.fixture
def fake():
    made = []

    def make(**kw):
        made.append(fo.FakeOpenAI(**kw))
        return made[-1]

    yield make
    for f in made:
        f.close()


@pytest.fixture
def pair(fake, gateway):
    """(gateway, upstream); network: merged into network_config, provider: into the provider."""

    def make(network=None, provider=None, upstream=None, workers=1):
        up = upstream or fake()
        conf = {"keys": [{"name": "first", "value": KEY}], "network_config": {"base_url": up.url, **(network or {})},
                **(provider or {})}
        return gateway(workers=workers, config={"providers": {"openai": conf}}).start(), up

    return make


def ask(gw, model="m", **more):
    return gw.request("POST", PATH, {"model": f"openai/{model}", "messages": [{"role": "user", "content": "hi"}], **more})


OF_CALLS = "json_extract(error_details, '$.refused_by') IS NULL"


def rows(gw, count=1, columns="*", order="inc_number"):
    """Those of requests that were admitted: who was refused may have one too."""
    def look():
        with contextlib.closing(sqlite3.connect(f"file:{gw.state / 'logs.db'}?mode=ro", uri=True, timeout=5)) as db:
            db.row_factory = sqlite3.Row
            found = [dict(r) for r in db.execute(f"SELECT {columns} FROM logs WHERE {OF_CALLS} ORDER BY {order}")]
            return found if len(found) >= count else None

    found = wait_for(f"{count} rows", look)
    assert len(found) == count
    return found


def datas(body):
    return [e[6:] for e in body.decode().split("\n\n") if e.startswith("data: ")]


def error_type(body):
    """Our name of an error: its code in OpenAI's shape."""
    return body["error"]["code"]


def open_stream(gw, model="m", **more):
    body = json.dumps({"model": f"openai/{model}", "stream": True, "messages": [{"role": "user", "content": "x"}], **more})
    s = socket.create_connection(("127.0.0.1", gw.port), timeout=20)
    s.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    return s


def server_tls(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return fo.Authority(tmp_path_factory.mktemp("ca"))


def tls_pair(pair, fake, authority, names="DNS:localhost,IP:127.0.0.1", host="127.0.0.1", trust=None, tls=None, **kw):
    context = server_tls(*authority.issue("server", names, **kw))
    if tls:
        tls(context)
    up = fake(tls=context)
    network = {"base_url": f"https://{host}:{up.port}", "ca_cert_pem": authority.pem if trust is None else trust}
    return pair(network={k: v for k, v in network.items() if v}, upstream=up)
