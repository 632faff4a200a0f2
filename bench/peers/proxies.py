"""The proxies that are compared: how each is set up, started, found in /proc and addressed.

Every one gets the same upstream (the mock), one CPU and one worker, and the settings its own manual gives for a reverse
proxy with kept-alive upstream connections.
"""

import contextlib
import http.client
import json
import os
import shutil
import socket
import tempfile
from pathlib import Path

from . import processes
from .processes import PROXY_CPU, Failed, Process, wait_for

PATH = "/v1/chat/completions"
KEY = "bench-key-of-the-mock"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connects(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Proxy:
    """name: in tables. model: what a request names. headers: what a request needs beside the usual."""

    name = ""
    model_prefix = ""
    streams = True

    def __init__(self, folder, mock_port):
        self.folder, self.mock_port = Path(folder), mock_port
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = None

    @property
    def headers(self):
        return [f"Authorization: Bearer {KEY}"]

    def command(self):
        """(arguments, environment)"""
        raise NotImplementedError

    def start(self):
        args, env = self.command()
        self.process = Process(args, PROXY_CPU, self.folder / "log", env, self.folder)
        wait_for(f"{self.name} to listen", lambda: self.process.check() and self.ready())
        return self

    def ready(self):
        return connects(self.port)

    def pids(self):
        """All its processes."""
        return processes.tree(self.process.pid)

    def hot_pids(self):
        """The processes that a request passes through."""
        return self.pids()

    def stop(self):
        if self.process:
            self.process.stop()
        self.process = None


class Direct(Proxy):
    """No proxy: what load and mock alone take."""

    name = "direct"

    def start(self):
        self.port = self.mock_port
        return self

    def pids(self):
        return []

    def hot_pids(self):
        return []


NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr error; worker_rlimit_nofile 20000; {user}
events {{ worker_connections 10000; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
    client_body_buffer_size 128k; client_max_body_size 100m; tcp_nodelay on;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    upstream mock {{ server 127.0.0.1:{mock}; keepalive 2048; keepalive_requests 1000000000; keepalive_timeout 600s; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Authorization "Bearer {key}";
        proxy_read_timeout 600s;
        location / {{ proxy_pass http://mock; }}
        location /stream/ {{ proxy_pass http://mock/; proxy_buffering off; }}
    }}
}}
"""


class Nginx(Proxy):
    """Buffering off only where a stream is asked for, by path: plain answers are cheaper with it."""

    name = "nginx"
    program = "nginx"

    def command(self):
        conf = self.folder / "nginx.conf"
        conf.write_text(NGINX.format(user="user root;" if os.geteuid() == 0 else "", mock=self.mock_port, port=self.port,
                                     key=KEY))
        return [self.program, "-p", self.folder, "-e", "stderr", "-c", conf], None

    def hot_pids(self):
        """The worker: its master only waits."""
        return [pid for pid in self.pids() if pid != self.process.pid]


HAPROXY = """
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 10s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    http-reuse always
    option http-no-delay
frontend in
    bind 127.0.0.1:{port}
    default_backend mock
backend mock
    http-request set-header Authorization "Bearer {key}"
    server mock 127.0.0.1:{mock} pool-max-conn -1 pool-purge-delay 600s
"""


class Haproxy(Proxy):
    name = "haproxy"
    program = "haproxy"

    def command(self):
        conf = self.folder / "haproxy.cfg"
        conf.write_text(HAPROXY.format(port=self.port, mock=self.mock_port, key=KEY))
        return [self.program, "-db", "-f", conf], None


class Portkey(Proxy):
    """The rival that is a gateway for language models. Its streaming is left out: version 1.15.2 answers them with 500."""

    name = "portkey"
    streams = False
    script = None

    @property
    def headers(self):
        return [*super().headers, "x-portkey-provider: openai", f"x-portkey-custom-host: http://127.0.0.1:{self.mock_port}/v1"]

    def command(self):
        return (["node", self.script, "--headless", f"--port={self.port}"], dict(os.environ, NODE_ENV="production"))


class Bifrost(Proxy):
    """One worker, one key, a row per request in SQLite; content logging off."""

    name = "bifrost"
    model_prefix = "openai/"
    log_content = False
    build = None

    def command(self):
        # A tmpfs for the segment, as in production; the store on a disk.
        shm = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.runtime = Path(tempfile.mkdtemp(prefix="bfb", dir=shm))
        state = self.folder / "state"
        conf = self.folder / "bifrost.json"
        conf.write_text(json.dumps(self.config(), indent=1))
        env = {k: v for k, v in os.environ.items() if not k.startswith(("BIFROST_", "NOTIFY_", "WATCHDOG_"))}
        env |= {"BIFROST_STATE_DIR": str(state), "BIFROST_RUNTIME_DIR": str(self.runtime)}
        return [self.build / "bifrost", "-c", conf], env

    def config(self):
        return {
            "server": {"listen": [f"127.0.0.1:{self.port}"]},
            "client": {"disable_content_logging": not self.log_content},
            "supervisor": {"workers": 1},
            "providers": {"openai": {
                "keys": [{"name": "bench", "value": KEY, "models": ["*"], "weight": 1.0}],
                "network_config": {"base_url": f"http://127.0.0.1:{self.mock_port}", "max_conns_per_host": 5000},
                "concurrency_and_buffer_size": {"concurrency": 4000, "buffer_size": 5000},
            }},
        }

    def ready(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        return False

    def hot_pids(self):
        found = [pid for pid in self.pids() if processes.name(pid).startswith("bifrost-proxyd")]
        if len(found) != 1:
            raise Failed(f"{len(found)} workers instead of one: {(self.folder / 'log').read_text()[-1000:]}")
        return found

    def stop(self):
        super().stop()
        shutil.rmtree(getattr(self, "runtime", "/nonexistent"), ignore_errors=True)
        shutil.rmtree(self.folder / "state", ignore_errors=True)


class BifrostContent(Bifrost):
    """The same with prompts and answers in the rows."""

    name = "bifrost+content"
    log_content = True


class BifrostLimits(Bifrost):
    """The same with a virtual key and four meters: requests, tokens, and dollars of a day and of 30."""

    name = "bifrost+limits"
    virtual_key = "sk-bf-0be0c400-0000-4000-8000-000000000001"

    @property
    def headers(self):
        return [f"Authorization: Bearer {self.virtual_key}"]

    def config(self):
        wide = 10**12
        return super().config() | {"governance": {
            "virtual_keys": [{"id": "bench", "name": "bench", "value": self.virtual_key, "rate_limit_id": "bench", "budgets": [
                {"id": "day", "max_limit": 1_000_000, "reset_duration": "1d"},
                {"id": "month", "max_limit": 10_000_000, "reset_duration": "30d"}]}],
            "rate_limits": [{"id": "bench", "request_max_limit": wide, "request_reset_duration": "1h",
                             "token_max_limit": wide, "token_reset_duration": "1h"}],
            "pricing_overrides": [{"name": "all", "match_type": "wildcard", "pattern": "*", "pricing_patch": {
                "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05}}]}}

    def ready(self):
        """Its key's meters are placed too."""
        return super().ready() and self.answers()

    def answers(self):
        body = json.dumps({"model": f"{self.model_prefix}m", "messages": [{"role": "user", "content": "hi"}]})
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("POST", PATH, body, dict(h.split(": ", 1) for h in self.headers))
            return connection.getresponse().status == 200
        return False


ALL = [Nginx, Haproxy, Bifrost, BifrostLimits, BifrostContent, Portkey]


def prepare(build, peers):
    """Where the programs are: build is ours; peers is the folder that ./dev filled."""
    Bifrost.build = build
    for kind in (Nginx, Haproxy):
        unpacked = peers / "root/usr/sbin" / kind.program
        kind.program = str(unpacked) if unpacked.exists() else kind.program
        if not shutil.which(kind.program):
            raise Failed(f"no {kind.name}; run ./dev bench")
    Portkey.script = peers / "npm/node_modules/@portkey-ai/gateway/build/start-server.js"
    return [kind for kind in ALL if kind is not Portkey or (Portkey.script.exists() and shutil.which("node"))]
