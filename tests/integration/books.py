"""The mock LLM and the load generator as fixtures, and the comparison of their ledgers, line by line."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from gateway import BUILD

# How a request ends for its client when its provider ends it so, with nothing between them.
ENDS = {"done": {"done", "no_terminal"}, "cut": {"cut"}, "rst": {"rst"}, "stalled": {"timeout"},
        "client_gone": {"timeout", "bad_http"}}


class MockLLM:
    def __init__(self, folder, *args, name="provider"):
        self.ledger_path = Path(folder) / f"{name}.ledger"
        self.process = subprocess.Popen([BUILD / "tests/support/mockllm/mockllm", "--listen", "127.0.0.1:0", "--ledger",
                                         self.ledger_path, *args], stdout=subprocess.PIPE, text=True)
        said = self.process.stdout.readline()
        assert said.startswith("listening on "), said
        self.address = said.split()[-1]
        self.url = f"http://{self.address}"

    def stop(self):
        """Ends it, so that every request has its line; returns the ledger."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        return read_ledger(self.ledger_path)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Load:
    """One run of loadgen under way; report() waits for it."""

    def __init__(self, folder, target, *args, name="client", prefix="P"):
        self.ledger_path, self.json_path = Path(folder) / f"{name}.ledger", Path(folder) / f"{name}.json"
        self.process = subprocess.Popen(
            [BUILD / "tests/support/loadgen/loadgen", "--target", target, "--user-prefix", prefix, "--ledger",
             self.ledger_path, "--json", self.json_path, *map(str, args)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def report(self, timeout=120):
        out, _ = self.process.communicate(timeout=timeout)
        assert self.process.returncode in (0, 3), out
        return json.loads(self.json_path.read_text()) | {"text": out, "kept": self.process.returncode == 0}

    def ledger(self):
        return read_ledger(self.ledger_path)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def read_ledger(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def one_each(lines, whose):
    """{user: line}; two lines for a user are an error."""
    found = {}
    for line in lines:
        assert line["user"] not in found, f"two lines of {line['user']} with the {whose}"
        found[line["user"]] = line
    return found


def compare(provider, client):
    """Both ledgers of requests that went straight from client to provider must say the same of each."""
    told, seen = one_each(provider, "provider"), one_each(client, "client")
    assert set(told) == set(seen), f"only one of them knows {sorted(set(told) ^ set(seen))[:3]}"
    for user, p in told.items():
        c = seen[user]
        assert c["end"] in ENDS[p["end"]], (p, c)
        whole = p["end"] == "done"
        if whole or c["status"]:
            assert c["status"] == p["status"], (p, c)
        # What was cut behind the last whole word was given to the kernel, and loopback loses nothing.
        assert c["tokens_seen"] == p["delivered_tokens"] if p["stream"] or whole else c["tokens_seen"] == 0, (p, c)
        if p["stream"] and p["status"] == 200:
            assert c["events"] == p["events"], (p, c)
        if whole and c["usage"]:
            assert c["usage"] == [p["prompt_tokens"], p["completion_tokens"]], (p, c)
    return len(told)


@pytest.fixture
def mockllm(tmp_path):
    """Makes mock LLMs that are gone when the test is over."""
    made = []

    def make(*args, **kw):
        made.append(MockLLM(tmp_path, *args, **kw))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def loadgen(tmp_path):
    """Starts loadgen against HOST:PORT; what still runs at the end of the test is killed."""
    made = []

    def make(target, *args, **kw):
        made.append(Load(tmp_path, target, *args, **kw))
        return made[-1]

    yield make
    for one in made:
        one.close()
