"""Every way to be refused, by real processes: as the reference lists them, in both families of routes, with keys that the API
made a moment before. What is said, to whom a program may turn, and what is kept of it."""

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field

import pytest

import canary
from gateway import Gateway, wait_for
from upstreams import fo

GOVERNANCE = "/api/governance/"
BASES = ("/v1", "/openai/v1")
HI = [{"role": "user", "content": "one two three"}]
PRICES = [{"name": "all", "match_type": "wildcard", "pattern": "m*",
           "pricing_patch": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-05}}]
CENT = {"budgets": [{"max_limit": 0.00001, "reset_duration": "1d"}]}  # less than ten tokens cost
DIME = {"budgets": [{"max_limit": 0.00015, "reset_duration": "1d"}]}  # enough for ten, not for twice as many
ONCE = {"rate_limit": {"request_max_limit": 1, "request_reset_duration": "1d"}}
FEW = {"rate_limit": {"token_max_limit": 5, "token_reset_duration": "1d"}}
SOME = {"rate_limit": {"token_max_limit": 60, "token_reset_duration": "1d"}}
ALONE = {"rate_limit": {"concurrent_max_limit": 1}}

NEVER, LATER = "never", "later"  # what a program that asks again may hope for; None: nothing is said


@dataclass
class Row:
    name: str
    status: int
    type: str
    text: str
    error_class: str
    key: dict | None = field(default_factory=dict)  # None: no key is sent
    owners: tuple = ()  # (path, body) made before the key; {name} is the row's, {id:0} the id of the first of them
    after: tuple = ()  # made behind the key; {key} is its id
    model: str = "openai/m"
    headers: dict = field(default_factory=dict)
    body: dict | bytes = field(default_factory=dict)
    before: int = 0  # requests that are served first
    retry: str | None = None
    has_row: bool = False  # it was admitted, so its call is kept
    bases: tuple = BASES

    def __str__(self):
        return self.name


def at(provider, **more):
    return {"provider_configs": [{"provider": provider, "allowed_models": ["*"], "key_ids": ["*"], **more}]}


ROWS = [
    # 400: nobody could answer that
    Row("not JSON", 400, "invalid_request", "", "caller_invalid_request", body=b'{"model": "openai/m", '),
    Row("no model", 400, "invalid_request", "model", "caller_invalid_request", model=""),
    Row("nobody's provider", 400, "invalid_request", "nobody", "caller_invalid_request", model="nobody/m",
        bases=BASES[:1]),
    Row("no such key of the provider", 400, "no_provider_key", "has no key with this name", "caller_model_not_available",
        headers={"x-bf-api-key": "absent"}, has_row=True),
    Row("a header is missing", 400, "missing_required_headers", "x-tenant", "caller_invalid_request", headers={"x-tenant": None}),
    # 401: who asks?
    Row("no key", 401, "virtual_key_required", "a virtual key is required", "policy_access_denied", key=None),
    Row("an unknown key", 401, "virtual_key_not_found", "does not exist", "policy_access_denied", key=None,
        headers={"x-bf-vk": "sk-bf-nobody's"}),
    Row("a key that expired and is gone", 401, "virtual_key_not_found", "does not exist", "policy_access_denied",
        key={"expires_at": "2020-01-01T00:00:00Z", "delete_after_expire": True}),
    # 402: dollars
    Row("budget of the key", 402, "budget_exceeded", 'virtual key "{name}": budget exceeded', "policy_budget_exceeded",
        key=CENT, retry=NEVER),
    Row("budget of the key, used", 402, "budget_exceeded", 'virtual key "{name}": budget exceeded: $0.0001 of $0.0002',
        "policy_budget_exceeded", key=DIME, before=1, retry=LATER),
    Row("budget of the key's provider", 402, "budget_exceeded", 'provider of the virtual key "openai": budget exceeded',
        "policy_budget_exceeded", key=at("openai", **CENT), retry=NEVER),
    Row("budget of the team", 402, "budget_exceeded", 'team "{name}": budget exceeded', "policy_budget_exceeded",
        owners=(("teams", {"name": "{name}", **CENT}),), key={"team_id": "{id:0}"}, retry=NEVER),
    Row("budget of the customer", 402, "budget_exceeded", 'customer "{name}": budget exceeded', "policy_budget_exceeded",
        owners=(("customers", {"name": "{name}", **CENT}),), key={"customer_id": "{id:0}"}, retry=NEVER),
    Row("budget of the team's customer", 402, "budget_exceeded", 'customer "{name}": budget exceeded',
        "policy_budget_exceeded", owners=(("customers", {"name": "{name}", **CENT}),
                                          ("teams", {"name": "{name}", "customer_id": "{id:0}"})),
        key={"team_id": "{id:1}"}, retry=NEVER),
    Row("budget of a model", 402, "budget_exceeded", 'model "m-global": budget exceeded', "policy_budget_exceeded",
        owners=(("model-configs", {"model_name": "m-global", **CENT}),), model="openai/m-global", retry=NEVER),
    Row("budget of a key's model", 402, "budget_exceeded", 'model "m-own": budget exceeded', "policy_budget_exceeded",
        after=(("model-configs", {"model_name": "m-own", "scope": "virtual_key", "scope_id": "{key}", **CENT}),),
        model="openai/m-own", retry=NEVER),
    # 403: not for you
    Row("an inactive key", 403, "virtual_key_blocked", 'virtual key "{name}" is inactive', "policy_access_denied",
        key={"is_active": False}),
    Row("an expired key", 403, "virtual_key_blocked", 'virtual key "{name}" expired at 2020-01-01T00:00:00Z',
        "policy_access_denied", key={"expires_at": "2020-01-01T00:00:00Z"}),
    Row("another provider", 403, "provider_blocked", 'virtual key "{name}" may not use provider "openai"',
        "policy_provider_blocked", key={**at("groq"), "allow_all_providers": False}),
    Row("no provider", 403, "provider_blocked", 'virtual key "{name}" may not use provider "openai"',
        "policy_provider_blocked", key={"allow_all_providers": False}),
    Row("a model that is not listed", 403, "model_blocked", "allowed_models", "policy_model_blocked",
        key=at("openai", allowed_models=["m-2"])),
    Row("a model that is denied", 403, "model_blocked", "blacklisted_models", "policy_model_blocked",
        key=at("openai", blacklisted_models=["m"])),
    Row("another key of the provider", 403, "provider_key_blocked", 'virtual key "{name}"', "policy_access_denied",
        key=at("openai", key_ids=["second"]), headers={"x-bf-api-key": "first"}),
    Row("a model without a price", 403, "model_unpriced", 'virtual key "{name}"', "policy_access_denied", key=DIME,
        model="openai/unpriced"),
    # 413
    Row("too much", 413, "body_too_large", "", "caller_invalid_request",
        body=b'{"model": "openai/m", "messages": [{"role": "user", "content": "' + b"x" * (1 << 20) + b'"}]}'),
    # 429: not so fast
    Row("requests of the key", 429, "request_limited", 'virtual key "{name}": request limit exceeded: 1/1 requests per 1d',
        "policy_rate_limited", key=ONCE, before=1, retry=LATER),
    Row("tokens of the key", 429, "token_limited", 'virtual key "{name}": token limit exceeded', "policy_rate_limited", key=FEW,
        retry=NEVER),
    Row("tokens of the key, used", 429, "token_limited", 'virtual key "{name}": token limit exceeded: 18/60',
        "policy_rate_limited", key=SOME, before=1, retry=LATER),
    Row("requests of the key's provider", 429, "request_limited", 'provider of the virtual key "openai": request limit',
        "policy_rate_limited", key=at("openai", **ONCE), before=1, retry=LATER),
    Row("requests of the team", 429, "request_limited", 'team "{name}": request limit exceeded: 1/1', "policy_rate_limited",
        owners=(("teams", {"name": "{name}", **ONCE}),), key={"team_id": "{id:0}"}, before=1, retry=LATER),
    Row("requests of the team's customer", 429, "request_limited", 'customer "{name}": request limit exceeded: 1/1',
        "policy_rate_limited", owners=(("customers", {"name": "{name}", **ONCE}),
                                       ("teams", {"name": "{name}", "customer_id": "{id:0}"})),
        key={"team_id": "{id:1}"}, before=1, retry=LATER),
    Row("tokens of a model", 429, "token_limited", 'model "m-few": token limit exceeded', "policy_rate_limited",
        owners=(("model-configs", {"model_name": "m-few", **FEW}),), model="openai/m-few", retry=NEVER),
    Row("tokens of a provider", 429, "token_limited", 'provider "groq": token limit exceeded', "policy_rate_limited",
        model="groq/m", retry=NEVER),
    Row("of the provider itself", 429, "upstream_rate_limited", "slow down", "provider_rate_limited", model="openai/m-429",
        has_row=True),
    # 502, 504: the provider
    Row("keys of the provider used up", 502, "upstream_credentials_exhausted", "", "provider_credentials_exhausted",
        model="openai/m-401", has_row=True),
    Row("nobody there", 502, "upstream_connect_failed", "", "provider_connection_failed", model="xai/m", has_row=True),
    Row("no answer in time", 504, "upstream_timeout", "", "provider_timeout", model="groq/m-slow", has_row=True,
        key=at("groq")),
]


def filled(value, **words):
    """The value with {name}, {key} and {id:0} put in."""
    if isinstance(value, str):
        for word, text in words.items():
            value = value.replace("{" + word.replace("_", ":") + "}", text)
        return value
    if isinstance(value, dict):
        return {key: filled(part, **words) for key, part in value.items()}
    return [filled(part, **words) for part in value] if isinstance(value, list) else value


class House:
    """A gateway without any key, and three providers: openai, groq that is slow, xai that is not there."""

    def __init__(self, folder):
        self.up = fo.FakeOpenAI()
        self.up.on("m-401", fo.plain(b'{"error":{"message":"wrong key"}}', 401))
        self.up.on("m-429", fo.plain(
            b'{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"too_fast"}}', 429))
        self.up.on("m-slow", lambda wire, request: wire.gone(60))

        def provider(*names, url=self.up.url, patience=60, **more):
            return {"keys": [{"name": name, "value": canary.made_up(f"sk-{name}")} for name in names], **more,
                    "network_config": {"base_url": url, "max_retries": 0, "default_request_timeout_in_seconds": patience}}
        self.gw = Gateway(folder, workers=1, config={
            "providers": {
                "openai": provider("first", "second"), "groq": provider("g", patience=2), "xai": provider("x", url="http://127.0.0.1:1"),
                "mistral": provider("few", concurrency_and_buffer_size={"concurrency": 1, "buffer_size": 1})},
            "client": {"enforce_auth_on_inference": True, "required_headers": ["x-tenant"], "max_request_body_size_mb": 1,
                       "drop_excess_requests": True},
            "governance": {"pricing_overrides": PRICES}}).start()

    def made(self, path, body):
        status, _, answer = self.gw.request("POST", GOVERNANCE + path, body)
        if (status, path) == (409, "model-configs"):
            return {}  # the same for both families of routes
        assert status == 201, (path, body, answer)
        return next(part for part in answer.values() if isinstance(part, dict) and "id" in part)

    def key(self, name, row=Row("", 0, "", "", "")):
        """A key as the row wants it, and whom it belongs to; its value."""
        words = {"name": name}
        for n, (path, body) in enumerate(row.owners):
            words[f"id_{n}"] = self.made(path, filled(body, **words)).get("id", "")
        made = self.made("virtual-keys", {"allow_all_providers": True, **filled(row.key, **words), "name": name})
        for path, body in row.after:
            self.made(path, filled(body, key=made["id"], **words))
        return made["value"]

    def ask(self, base, value, model="openai/m", headers=(), body=(), path="/chat/completions"):
        headers = {"x-tenant": "t", **({"x-bf-vk": value} if value else {}), **dict(headers)}
        if not isinstance(body, bytes):
            body = {"model": model, "messages": HI, "max_tokens": 10, **dict(body)}
        return self.gw.request("POST", base + path, body, headers={k: v for k, v in headers.items() if v is not None})

    def rows(self):
        return self.gw.request(path="/api/logs?limit=1")[2]["logs"]

    def close(self):
        self.up.close()
        return self.gw.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    made = House(tmp_path_factory.mktemp("refusals"))
    yield made
    leaks = made.close()
    assert not leaks, "\n".join(leaks)


def check(base, answer, row, name):
    status, headers, body = answer
    assert status == row.status, body
    relayed = row.type == "upstream_rate_limited"
    if base == "/v1":
        assert body["status_code"] == status and body["is_bifrost_error"] is not relayed
        assert relayed or (body["type"], body["error"]["type"]) == (row.type, row.type)
        assert body["extra_fields"]["error_type"] == row.error_class
    else:
        assert set(body) == {"error"} and {"message", "type", "param", "code"} <= set(body["error"])
        assert relayed or body["error"]["code"] == row.type
        kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
        assert body["error"]["type"] == kind
    assert filled(row.text, name=name) in body["error"]["message"], body
    lower = {key.lower(): text for key, text in headers.items()}
    if row.retry == NEVER:
        assert (lower.get("retry-after"), lower.get("x-should-retry")) == (None, "false")
    elif row.retry == LATER:
        assert 1 <= int(lower["retry-after"]) <= 86400 and "x-should-retry" not in lower


OWNERS = {"provider of the virtual key": "provider_config", "provider": "provider", "model": "model_config", "team": "team",
          "customer": "customer", "virtual key": "virtual_key"}
QUANTITIES = {"budget_exceeded": "cost", "token_limited": "tokens", "request_limited": "requests", "model_unpriced": "cost"}
UNREAD = ("missing_required_headers", "body_too_large")  # told before anybody asked whose key it is


def by_limit(row):
    return row.type in QUANTITIES


def check_kept(house, answer, row):
    """What is kept of a refusal: whose limit, which, and the words that the client had."""
    told = {key.lower(): text for key, text in answer[1].items()}["x-request-id"]
    kept = wait_for("its row", lambda: [row for status, _, row in [house.gw.request(path=f"/api/logs/{told}")] if status == 200])[0]
    details = kept["error_details"]
    assert (kept["status"], kept["http_status"], kept["error_type"]) == ("error", row.status, row.error_class)
    assert details["type"] == row.type
    assert details["message"] == answer[2]["error"]["message"][:len(details["message"])] and len(details["message"]) > 20
    assert (kept["cost"], kept["charged_requests"], kept["charged_tokens"], kept["number_of_retries"]) == (None, 0, 0, 0)
    by = details["refused_by"]
    if by_limit(row):
        assert by["owner"] == next(owner for words, owner in OWNERS.items() if answer[2]["error"]["message"].startswith(words))
        assert by["quantity"] == QUANTITIES[row.type] and by["limit_id"] and by["owner_id"]
    elif row.status == 403:
        assert by == {"owner": "virtual_key", "owner_id": kept["virtual_key_id"]}
    else:
        assert by == {}


@pytest.mark.parametrize(("row", "base"), [(row, base) for row in ROWS for base in row.bases], ids=str)
def test_a_refusal(house, row, base):
    name = f"{row.name} {'unified' if base == '/v1' else 'openai'}"
    if row.model.startswith("groq") and row.retry:
        limit_groq(house, 5)
    value = house.key(name, row) if row.key is not None else None
    for _ in range(row.before):
        assert house.ask(base, value, row.model, row.headers, row.body)[0] == 200
    asked, counted = len(house.up.requests), counters(house, row)
    answer = house.ask(base, value, row.model, row.headers, row.body)
    check(base, answer, row, name)
    assert row.has_row or len(house.up.requests) == asked
    # Once by its class, and as a row of a call or as a refusal.
    assert counters(house, row) == [counted[0] + 1, counted[1] + row.has_row, counted[2] + (not row.has_row)]
    if row.has_row:
        kept = wait_for("its row", lambda: [r for r in house.rows() if r["virtual_key_name"] == name])
        assert (kept[0]["status"], kept[0]["error_type"]) == ("error", row.error_class)
    elif row.key is not None and row.type not in UNREAD:
        check_kept(house, answer, row)
    if row.model.startswith("groq") and row.retry:
        limit_groq(house, None)


def counters(house, row):
    lines = house.gw.request(path="/metrics")[2].decode().splitlines()
    names = (f'bifrost_errors_by_class_total{{error_type="{row.error_class}"}}', "bifrost_error_requests_total",
             "bifrost_refused_requests_total")
    return [sum(int(line.split()[-1]) for line in lines if line.startswith(name)) for name in names]


def limit_groq(house, most):
    """A limit of the provider for everybody, which there is for this row alone."""
    limit = {"token_max_limit": most, "token_reset_duration": "1d"} if most else None
    status, _, answer = house.gw.request("PUT", GOVERNANCE + "providers/groq", {"rate_limit": limit})
    assert status in (200, 201), answer


@pytest.mark.parametrize("base", BASES)
def test_too_many_at_once(house, base):
    name = f"alone {base}"
    value = house.key(name, Row("", 0, "", "", "", key=ALONE))
    go = threading.Event()
    arrived = threading.Event()

    def wait(wire, request):
        arrived.set()
        go.wait(60)
        wire.send(fo.plain())
    house.up.on("m-wait", wait)
    answers = []
    first = threading.Thread(target=lambda: answers.append(house.ask(base, value, "openai/m-wait")))
    first.start()
    try:
        assert arrived.wait(60)
        refused = Row("", 429, "rate_limited", 'virtual key "{name}": too many requests at once', "policy_rate_limited",
                      retry=LATER)
        check(base, house.ask(base, value), refused, name)
    finally:
        go.set()
        first.join(60)
    assert answers[0][0] == 200 and house.ask(base, value)[0] == 200


@pytest.mark.parametrize("base", BASES)
def test_no_room_at_the_provider(house, base):
    """503: one runs, one waits, and drop_excess_requests lets no third one wait."""
    value = house.key(f"crowd {base}")
    go, answers = threading.Event(), []

    def wait(wire, request):
        go.wait(60)
        wire.send(fo.plain())
    house.up.on("m-crowd", wait)
    crowd = [threading.Thread(target=lambda: answers.append(house.ask(base, value, "mistral/m-crowd")[0])) for _ in range(2)]
    for thread in crowd:
        thread.start()
    try:
        wait_for("one waits", lambda: house.gw.metric_sum("bifrost_upstream_queue_requests") == 1)
        answer = house.ask(base, value, "mistral/m")
        check(base, answer, Row("", 503, "bifrost_dropped", "", "bifrost_dropped", retry=LATER), "")
    finally:
        go.set()
        for thread in crowd:
            thread.join(60)
    assert answers == [200, 200]


@pytest.mark.parametrize("base", BASES)
def test_who_left(house, base):
    """499: nobody hears it, the row says it."""
    name = f"left {base}"
    value = house.key(name)
    body = json.dumps({"model": "openai/m-slow", "messages": HI, "stream": True}).encode()
    with contextlib.closing(socket.create_connection(("127.0.0.1", house.gw.port))) as client:
        client.sendall(f"POST {base}/chat/completions HTTP/1.1\r\nHost: a\r\nx-tenant: t\r\nx-bf-vk: {value}\r\n"
                       f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        asked = len(house.up.requests)
        wait_for("it arrived", lambda: len(house.up.requests) > asked or house.up.asked("m-slow"))
        time.sleep(0.1)
    kept = wait_for("its row", lambda: [r for r in house.rows() if r["virtual_key_name"] == name])
    assert (kept[0]["error_type"], kept[0]["status_code"] if "status_code" in kept[0] else 499) == ("caller_cancelled", 499)


# ---- one door


def doors(gw):
    """(method, path) of everything that is routed, as the program tells it: what a path does not know is in its Allow."""
    paths = ("/chat/completions", "/completions", "/responses", "/embeddings", "/models", "/models/openai/m")
    found = []
    for prefix in ("/v1", "/openai/v1", "/openai"):
        for path in paths:
            status, headers, _ = gw.request("PATCH", prefix + path, {})
            assert status == 405, (prefix + path, status)
            found += [(method, prefix + path) for method in headers["Allow"].split(", ") if method not in ("HEAD", "OPTIONS")]
    return found


@pytest.mark.parametrize("what", ["exhausted", "inactive", "nowhere", "deleted"])
def test_one_door(house, what):
    """A key that may not, on every route that reaches a provider; in every header that a key may stand in."""
    key, wanted = {"exhausted": (CENT, 402), "inactive": ({"is_active": False}, 403), "deleted": ({}, 401),
                   "nowhere": ({"allow_all_providers": False}, 403)}[what]
    value = house.key(f"door {what}", Row("", 0, "", "", "", key=key))
    if what == "deleted":
        found = house.gw.request(path=f"{GOVERNANCE}virtual-keys?search=door%20deleted")[2]["virtual_keys"]
        assert house.gw.request("DELETE", f"{GOVERNANCE}virtual-keys/{found[0]['id']}")[0] == 200
    asked, walked = len(house.up.requests), 0
    body = {"model": "openai/m", "messages": HI, "prompt": "one two three", "input": "one two three", "max_tokens": 10}
    for method, path in doors(house.gw):
        if method == "GET":
            continue
        for more in ({}, {"stream": True}, {"fallbacks": ["groq/m", "openai/m-2"]}):
            for header in ("x-bf-vk", "Authorization", "x-api-key", "x-goog-api-key", "api-key"):
                text = f"Bearer {value}" if header == "Authorization" else value
                status, _, answer = house.gw.request(method, path, {**body, **more}, headers={header: text, "x-tenant": "t"})
                cheap = "embeddings" in path and (what == "exhausted" or more.get("stream"))
                assert status == wanted or cheap and status in (400, 200), (path, header, more, answer)
                walked += status == wanted
    assert walked > 100
    free = [r for r in house.up.requests[asked:] if "embeddings" not in r["path"]]
    assert not free
