"""What both clients talk to behind the gateway: an upstream with one behaviour per model, the same for `py-NAME` and
`js-NAME`, and a small server that tells the Node.js side what the upstream and the rows saw."""

import base64
import contextlib
import hashlib
import json
import sqlite3
import struct
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fake_openai as fo

WORDS = ("Hel", "lo ", "from ", "up", "stream")
TEXT = "".join(WORDS)
UNICODE = "grüße 🌉 日本語 \u0000\u2028 e\u0301 👩‍👩‍👧"
VECTORS = ([0.5, -1.25, 3.0], [1.0, 0.0, -0.125])
EMBED_USAGE = {"prompt_tokens": 5, "total_tokens": 5}
ERRORS = {400: "bad_request", 401: "bad_key", 404: "no_model", 422: "odd", 429: "slow_down", 500: "broken",
          503: "overloaded"}


def sse(*datas, done=True, name=False):
    """Events as an upstream writes them, one chunk each."""
    said = []
    for d in datas:
        kind = f"event: {d['type']}\n" if name else ""
        said.append(f"{kind}data: {json.dumps(d, ensure_ascii=False)}\n\n".encode())
    return said + ([fo.DONE] if done else [])


def whole(pieces):
    return fo.SSE_HEAD + fo.chunked(*pieces) + b"0\r\n\r\n"


def wants_usage(said):
    return bool((said.get("stream_options") or {}).get("include_usage"))


def chat_chunk(delta, finish=None, **more):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
        {"index": 0, "delta": delta, "finish_reason": finish}], **more}


def usage_chunk():
    return {**chat_chunk({}), "choices": [], "usage": fo.USAGE}


def chat_chunks(words, said):
    chunks = [chat_chunk({"role": "assistant", "content": ""}), *[chat_chunk({"content": w}) for w in words],
              chat_chunk({}, "stop")]
    return chunks + ([usage_chunk()] if wants_usage(said) else [])


def answer(wire, body, *lines, status=200):
    wire.send(fo.plain(json.dumps(body, ensure_ascii=False).encode(), status, "application/json", *lines))


def chat(words=WORDS):
    def act(wire, request):
        said = request["json"]
        if said.get("stream"):
            wire.send(whole(sse(*chat_chunks(words, said))))
        else:
            wire.send(fo.plain(fo.completion("".join(words))))

    return act


# ---- tools

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln"}'}}


def tools(wire, request):
    """Asks for the tool, in pieces when streamed; with its result, says what came."""
    said = request["json"]
    last = said["messages"][-1]
    if last["role"] == "tool":
        assert said["messages"][-2]["tool_calls"][0]["id"] == last["tool_call_id"] == "call_1"
        return chat((f"it is {last['content']}",))(wire, request)
    assert said["tools"][0]["function"]["name"] == "weather"
    if not said.get("stream"):
        return answer(wire, {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": fo.USAGE, "choices": [
            {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": None, "tool_calls": [CALL]}}]})
    arguments = CALL["function"]["arguments"]
    pieces = [{"role": "assistant", "content": None, "tool_calls": [
        {"index": 0, "id": CALL["id"], "type": "function", "function": {"name": "weather", "arguments": ""}}]}]
    pieces += [{"tool_calls": [{"index": 0, "function": {"arguments": arguments[i:i + 3]}}]}
               for i in range(0, len(arguments), 3)]
    chunks = [chat_chunk(p) for p in pieces] + [chat_chunk({}, "tool_calls")]
    wire.send(whole(sse(*chunks, *([usage_chunk()] if wants_usage(said) else []))))


def structured(wire, request):
    """Tells the schema that arrived, as the answer to it."""
    form = request["json"]["response_format"]
    assert form["type"] == "json_schema" and form["json_schema"]["strict"] is True
    wire.send(fo.plain(fo.completion(json.dumps({"city": "Köln", "schema": form["json_schema"]["name"]}, ensure_ascii=False))))


# ---- other operations


def text(wire, request):
    said = request["json"]
    assert request["line"].startswith("POST /v1/completions ")

    def part(words, finish, **more):
        return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "text": words, "logprobs": None, "finish_reason": finish}], **more}

    if not said.get("stream"):
        return answer(wire, part(f"{said['prompt']} - {TEXT}", "stop", usage=fo.USAGE))
    parts = [part(w, None) for w in WORDS] + [part("", "stop")]
    if wants_usage(said):
        parts.append({**part("", None), "choices": [], "usage": fo.USAGE})
    wire.send(whole(sse(*parts)))


def embeddings(wire, request):
    said = request["json"]
    assert request["line"].startswith("POST /v1/embeddings ")
    given = said["input"] if isinstance(said["input"], list) else [said["input"]]
    packed = said.get("encoding_format") == "base64"
    vectors = [base64.b64encode(struct.pack("<3f", *v)).decode() if packed else v for v in VECTORS[:len(given)]]
    return answer(wire, {"object": "list", "model": "m", "usage": EMBED_USAGE, "data": [
        {"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]})


def response(status, words):
    output = [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
        {"type": "output_text", "text": words, "annotations": []}]}] if words else []
    usage = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18, "input_tokens_details": {"cached_tokens": 4},
             "output_tokens_details": {"reasoning_tokens": 0}}
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m", "output": output,
            "error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "parallel_tool_calls": True,
            "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "usage": usage if status == "completed" else None}


def response_events(words=WORDS, last="response.completed"):
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    said = [{"type": "response.created", "response": response("in_progress", "")},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.content_part.added", **where, "part": {"type": "output_text", "text": "", "annotations": []}},
            *[{"type": "response.output_text.delta", **where, "delta": w, "logprobs": []} for w in words],
            {"type": "response.output_text.done", **where, "text": "".join(words), "logprobs": []}]
    if last:
        said.append({"type": last, "response": response(last.split(".")[1], "".join(words))})
    return [{**event, "sequence_number": i} for i, event in enumerate(said)]


def responses(wire, request):
    assert request["line"].startswith("POST /v1/responses ")
    if request["json"].get("stream"):
        wire.send(whole(sse(*response_events(), done=False, name=True)))
    else:
        answer(wire, response("completed", TEXT))


def responses_cut(wire, _):
    wire.send(whole(sse(*response_events(last=None), done=False, name=True)))


# ---- what goes wrong


def error(status):
    body = {"error": {"message": f"upstream said {status}", "type": ERRORS[status], "param": None, "code": f"code_{status}"}}
    return lambda wire, _: answer(wire, body, status=status)


class Flaky:
    """Refuses so often, then serves; told per model, with the times of the attempts."""

    def __init__(self, status, times, *lines):
        self.status, self.times, self.lines, self.seen = status, times, lines, []

    def __call__(self, wire, request):
        self.seen.append(time.monotonic())
        if len(self.seen) <= self.times:
            return answer(wire, {"error": {"message": "not yet", "type": "wait"}}, *self.lines, status=self.status)
        return chat()(wire, request)


def digest(wire, request):
    """The content's length and hash: did a large body arrive as it was?"""
    content = request["json"]["messages"][0]["content"].encode()
    wire.send(fo.plain(fo.completion(f"{len(content)} {hashlib.sha256(content).hexdigest()}")))


def split(wire, request):
    """Every byte of the body in a write and a chunk of its own."""
    body = b"".join(sse(*chat_chunks((UNICODE,), request["json"])))
    wire.send(fo.SSE_HEAD)
    for i in range(len(body)):
        wire.send(fo.chunked(body[i:i + 1]))
    wire.send(b"0\r\n\r\n")


def cut(wire, request):
    """Ends in good order, but for the event that says that all was said."""
    wire.send(whole(sse(*chat_chunks(WORDS, request["json"])[:-2], done=False)))


def torn(wire, request):
    fo.cut(fo.SSE_HEAD + fo.chunked(*sse(*chat_chunks(WORDS, request["json"])[:3], done=False)))(wire, request)


class Watched:
    """Behaviours whose client is expected to leave: notes when the gateway closed the connection."""

    def __init__(self, start, pause=0.02, give_up=60):
        self.start, self.pause, self.give_up, self.gone = start, pause, give_up, []

    def __call__(self, wire, _):
        began = time.monotonic()
        if self.start:
            wire.send(fo.SSE_HEAD)
        while time.monotonic() - began < self.give_up:
            try:
                if self.start:
                    wire.send(fo.chunked(*sse(chat_chunk({"content": "word "}), done=False)))
            except OSError:
                self.gone.append(True)
                return
            if wire.gone(self.pause):
                self.gone.append(True)
                return
        self.gone.append(False)


def stuck(wire, _):
    wire.gone(8)


def behaviours():
    """Fresh ones, because some count."""
    made = {"m": chat(), "other": chat(), "tools": tools, "structured": structured, "text": text, "embed": embeddings,
            "resp": responses, "resp-cut": responses_cut, "big": digest, "split": split, "cut": cut, "torn": torn,
            "stuck": stuck, "silent": Watched(False), "endless": Watched(True),
            "later": Flaky(429, 1, "Retry-After: 1"), "again": Flaky(503, 2, "Retry-After: 0"),
            "never": Flaky(500, 1000, "Retry-After: 0")}
    made.update({f"e{status}": error(status) for status in ERRORS})
    return made


class Upstream(fo.FakeOpenAI):
    def __init__(self):
        super().__init__()
        for prefix in ("py", "js"):
            for name, act in behaviours().items():
                self.on(f"{prefix}-{name}", act)
        for name in ("m", "other"):
            self.on(name, chat())

    def seen(self, model):
        """How often the upstream was asked for it."""
        return len(self.asked(model))

    def left(self, model, timeout=60):
        """Did the gateway close the connection of every call to it?"""
        end = time.monotonic() + timeout
        while not self.behaviours[model].gone and time.monotonic() < end:
            time.sleep(0.01)
        return bool(self.behaviours[model].gone) and all(self.behaviours[model].gone)


def row_of(gw, model, timeout=60):
    """The newest row of a model, as the store has it."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with contextlib.closing(sqlite3.connect(f"file:{gw.state / 'logs.db'}?mode=ro", uri=True, timeout=5)) as db:
            db.row_factory = sqlite3.Row
            found = db.execute("SELECT * FROM logs WHERE model = ? ORDER BY inc_number DESC LIMIT 1", (model,)).fetchone()
        if found:
            return dict(found)
        time.sleep(0.02)
    return None


class Inspector(ThreadingHTTPServer):
    """GET /seen?MODEL, /left?MODEL, /row?MODEL, /last?MODEL (the newest request's body), for the Node.js side."""

    daemon_threads = True

    def __init__(self, gw, up):
        self.gw, self.up = gw, up
        super().__init__(("127.0.0.1", 0), InspectorHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class InspectorHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        what, _, model = self.path.partition("?")
        model = urllib.parse.unquote(model)
        up = self.server.up
        told = {"/seen": lambda: up.seen(model), "/left": lambda: up.left(model),
                "/row": lambda: row_of(self.server.gw, model),
                "/last": lambda: (up.asked(model) or [{"json": None}])[-1]["json"]}[what]()
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
