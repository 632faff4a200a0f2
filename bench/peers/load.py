"""The load generator and the mock, both of tests/support, on the CPU that is not the proxy's."""

import json
import subprocess

from .processes import LOAD_CPU, Failed, Process, wait_for
from .proxies import PATH, connects, free_port


class Mock:
    """The upstream. What it answers stands in the model's name."""

    def __init__(self, program, folder):
        self.port = free_port()
        self.process = Process([program, "--listen", f"127.0.0.1:{self.port}"], LOAD_CPU, folder / "mock.log")
        wait_for("the mock to listen", lambda: self.process.check() and connects(self.port))

    def stop(self):
        self.process.stop()


class Load:
    """One call of the load generator; fields are its options."""

    def __init__(self, model, connections, duration, body_bytes=0, body_file=None, rate=None, stream=False, warmup=0.0,
                 requests=None):
        self.model, self.connections, self.duration, self.body_bytes = model, connections, duration, body_bytes
        self.body_file, self.rate, self.stream, self.warmup, self.requests = body_file, rate, stream, warmup, requests

    def command(self, program, proxy, report):
        path = f"/stream{PATH}" if self.stream and proxy.name == "nginx" else PATH
        args = [program, "--target", f"127.0.0.1:{proxy.port}", "--path", path, "--connections", self.connections,
                "--duration", f"{self.duration:g}", "--warmup", f"{self.warmup:g}",
                "--model", proxy.model_prefix + self.model, "--json", report]
        args += ["--rate", self.rate] if self.rate else ["--closed"]
        args += ["--body", self.body_file] if self.body_file else ["--body-bytes", self.body_bytes]
        args += ["--stream"] if self.stream else []
        args += ["--requests", self.requests] if self.requests else []
        for header in proxy.headers:
            args += ["--header", header]
        return [str(a) for a in args]

    def start(self, program, proxy, folder):
        self.report = folder / "load.json"
        self.report.unlink(missing_ok=True)
        self.process = Process(self.command(program, proxy, self.report), LOAD_CPU, folder / "load.log")
        return self

    def wait(self):
        """What it found: its JSON."""
        try:
            code = self.process.popen.wait(self.duration + self.warmup + 60)
        except subprocess.TimeoutExpired:
            self.process.stop()
            raise Failed("the load generator did not end") from None
        # 3: the rate was not kept, which the report says too and a run may be repeated for.
        if code not in (0, 3) or not self.report.exists():
            raise Failed(f"the load generator exited with {code}: {self.process.log.read_text()[-1000:]}")
        return Report(json.loads(self.report.read_text()))


class Report:
    """What a load found. completed: whole answers with status 200, the warm-up's too, as all of them cost CPU."""

    def __init__(self, found):
        self.completed = min(found["ends"]["done"], found["statuses"].get("200", 0))
        self.errors = found["requests"] - self.completed + found["connect_errors"] + found["unsent"]
        self.rate_kept = found["rate_kept"]
        # From the intended time of sending, so that a stall of the proxy is not hidden by what was not sent.
        self.latency_us = {"p50": found["latency_us"]["p50"], "p99": found["latency_us"]["p99"],
                           "p999": found["latency_us"]["p99_9"]}
        if not self.completed:
            raise Failed(f"no request was answered: {json.dumps(found)}")
