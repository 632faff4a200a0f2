"""Clients that write down what they saw of each answer, and the oracle that compares it with the rows."""

import http.client
import json
import random
import threading
import time


class Ledger:
    """complete: {id: completion tokens}; partial: {id: pieces seen}; lost: answers nothing of which was seen."""

    def __init__(self):
        self.lock = threading.Lock()
        self.complete, self.partial = {}, {}
        self.lost = self.refused = 0

    def note_complete(self, row_id, tokens):
        with self.lock:
            assert row_id not in self.complete, f"two answers with id {row_id}"
            self.complete[row_id] = tokens

    def note_broken(self, row_id, pieces):
        with self.lock:
            if row_id is None:
                self.lost += 1
            else:
                self.partial[row_id] = pieces

    def note_refused(self):
        with self.lock:
            self.refused += 1


def row_id_of(answer):
    return answer["id"].removeprefix("chatcmpl-")


class Client(threading.Thread):
    """One keep-alive connection after the other, plain and streamed answers by turns, until told to stop."""

    def __init__(self, port, ledger, seed):
        super().__init__(daemon=True)
        self.port, self.ledger, self.random = port, ledger, random.Random(seed)
        self.stopping = threading.Event()

    def run(self):
        connection = None
        while not self.stopping.is_set():
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.connect() if connection.sock is None else None
            except OSError:
                connection = None
                time.sleep(0.01)
                continue
            if not self.ask(connection, stream=self.random.random() < 0.5):
                connection.close()
                connection = None
        if connection:
            connection.close()

    def ask(self, connection, stream):
        """One request; False when the connection is of no further use."""
        body = {"model": "mock/m", "stream": stream, "stream_options": {"include_usage": True},
                "messages": [{"role": "user", "content": "one two three four five six seven eight"}]}
        if not stream:
            del body["stream_options"]
        row_id, pieces = None, 0
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                # A worker that leaves says so, and its row does too.
                if b"worker_stopped" in answer.read():
                    self.ledger.note_broken(None, 0)
                else:
                    self.ledger.note_refused()
                return not answer.will_close
            if not stream:
                seen = json.loads(answer.read())
                self.ledger.note_complete(row_id_of(seen), seen["usage"]["completion_tokens"])
                return not answer.will_close
            tokens = None
            for line in answer:
                if not line.startswith(b"data: "):
                    continue
                if line.strip() == b"data: [DONE]":
                    answer.read()
                    self.ledger.note_complete(row_id, tokens)
                    return not answer.will_close
                event = json.loads(line[6:])
                if "error" in event:
                    break
                row_id = row_id_of(event)
                pieces += bool(event.get("choices"))
                tokens = event["usage"]["completion_tokens"] if event.get("usage") else tokens
            self.ledger.note_broken(row_id, pieces)
        except (OSError, http.client.HTTPException, ValueError):
            self.ledger.note_broken(row_id, pieces)
        return False


def settle_accounts(ledger, rows):
    """Every whole answer has its row and the row says what the client saw; every broken one has one row; no other rows."""
    by_id = {}
    for row in rows:
        assert row["id"] not in by_id, f"two rows with id {row['id']}"
        by_id[row["id"]] = row
    missing = [i for i in ledger.complete if i not in by_id]
    assert not missing, f"{len(missing)} of {len(ledger.complete)} whole answers have no row, such as {missing[:3]}"
    for row_id, tokens in ledger.complete.items():
        row = by_id[row_id]
        assert (row["status"], row["completion_tokens"], row["crashed"]) == ("success", tokens, 0), dict(row)
    for row_id in ledger.partial:
        assert row_id in by_id, f"a stream that broke off has no row: {row_id}"
    others = [r for i, r in by_id.items() if i not in ledger.complete and i not in ledger.partial]
    assert len(others) <= ledger.lost, f"{len(others)} rows without a request; {ledger.lost} requests were lost sight of"
    return {"rows": len(rows), "whole": len(ledger.complete), "broken": len(ledger.partial), "lost": ledger.lost,
            "refused": ledger.refused, "crashed rows": sum(r["crashed"] for r in rows)}
