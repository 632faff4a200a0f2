"""Keys and what they may use, by real processes: every refusal that there is, fallbacks and keys of providers within what is
allowed, weights, expiry, and explanations."""

import concurrent.futures
import contextlib
import json
import re
import sqlite3
import time
from urllib.parse import urlencode

import pytest

from books import mockllm  # noqa: F401
from gateway import ROOT, wait_for

HI = [{"role": "user", "content": "one two three"}]
ANY = ["*"]
DAY = {"reset_duration": "1d"}
PRICES = [{"name": "all", "match_type": "wildcard", "pattern": "m*",
           "pricing_patch": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-05}}]


def upstream(mock, *names):
    return {"keys": [{"name": name, "value": f"sk-up-{name}"} for name in names],
            "network_config": {"base_url": mock.url, "max_retries": 0}}


def at(provider, **more):
    return {"provider": provider, "allowed_models": ANY, "key_ids": ANY, **more}


def secret(name):
    return f"sk-bf-{name.replace(' ', '-')}-secret"


def key(name, *configs, **more):
    return {"id": f"vk-{name}", "name": name, "value": secret(name), **({"provider_configs": list(configs)} if configs else {}),
            **more}


def ask(gw, name=None, model="openai/m", path="/v1/chat/completions", headers=None, **more):
    headers = {"x-tenant": "t", **({"x-bf-vk": secret(name)} if name else {}), **(headers or {})}
    return gw.request("POST", path, {"model": model, "messages": HI, "max_tokens": 10, **more}, headers=headers)


def explain(gw, **query):
    return gw.request(path="/api/governance/explain?" + urlencode(query))


def ready(gw):
    def placed():
        with contextlib.suppress(AssertionError):
            return all(limit["placed"] for limit in json.loads(gw.ctl("limits", "--json"))["limits"])
        return False
    wait_for("the meters", placed, every=0.05)
    return gw


@pytest.fixture
def house(gateway, mockllm):  # noqa: F811
    """(gateway, the mock behind openai, the one behind groq)"""

    def make(governance, workers=1, **config):
        ups = [mockllm(name="openai"), mockllm(name="groq")]
        gw = gateway(workers=workers, config={
            "providers": {"openai": upstream(ups[0], "k1", "k2"), "groq": upstream(ups[1], "g1")},
            "governance": {"pricing_overrides": PRICES, **governance}, **config}).start()
        return ready(gw), *ups

    return make


# ---- every refusal

CENT = [{"max_limit": 0.00001, **DAY}]  # less than ten tokens cost

OWNERS = {
    "customers": [{"id": "c", "name": "acme", "budgets": CENT}, {"id": "c2", "name": "rates", "rate_limit_id": "one"}],
    "teams": [{"id": "t", "name": "blue", "budgets": CENT}, {"id": "t2", "name": "of rates", "customer_id": "c2"}],
    "providers": [{"name": "groq", "rate_limit_id": "few tokens"}],
    "model_configs": [{"id": "mc", "model_name": "m-global", "budgets": CENT},
                      {"id": "mk", "model_name": "m-own", "scope": "virtual_key", "scope_id": "vk-model", "budgets": CENT}],
    "rate_limits": [{"id": "one", "request_max_limit": 1, "request_reset_duration": "1d"},
                    {"id": "few tokens", "token_max_limit": 5, "token_reset_duration": "1d"},
                    {"id": "none at once", "concurrent_max_limit": 1}],
    "virtual_keys": [
        key("free"), key("off", is_active=False), key("old", expires_at="2020-01-01T00:00:00Z"),
        key("gone", expires_at="2020-01-01T00:00:00Z", delete_after_expire=True),
        key("groq only", at("groq")), key("nobody", allow_all_providers=False),
        key("lists", at("openai", allowed_models=["m", "openai/M-2"], blacklisted_models=["m-2"])),
        key("second key", at("openai", key_ids=["k2"])), key("no key", at("openai", key_ids=[])),
        key("poor", budgets=CENT), key("poor at openai", at("openai", budgets=CENT)),
        key("of blue", team_id="t"), key("of acme", customer_id="c"), key("of rates", team_id="t2"), key("model"),
        key("one request", rate_limit_id="one"), key("few tokens", rate_limit_id="few tokens"),
        key("one at once", rate_limit_id="none at once"),
    ],
}

# (key, model, headers, status, type, what the text names)
REFUSALS = [
    (None, "openai/m", {}, 401, "virtual_key_required", "a virtual key is required"),
    ("unknown", "openai/m", {}, 401, "virtual_key_not_found", "does not exist"),
    ("gone", "openai/m", {}, 401, "virtual_key_not_found", "does not exist"),
    ("off", "openai/m", {}, 403, "virtual_key_blocked", 'virtual key "off" is inactive'),
    ("old", "openai/m", {}, 403, "virtual_key_blocked", 'virtual key "old" expired at 2020-01-01T00:00:00Z'),
    ("groq only", "openai/m", {}, 403, "provider_blocked", 'virtual key "groq only" may not use provider "openai"'),
    ("nobody", "openai/m", {}, 403, "provider_blocked", 'virtual key "nobody" may not use provider "openai"'),
    ("lists", "openai/m-2", {}, 403, "model_blocked", "blacklisted_models"),
    ("lists", "openai/OpenAI/openai/M-2", {}, 403, "model_blocked", "blacklisted_models"),
    ("lists", "openai/vendor/m-2", {}, 403, "model_blocked", "blacklisted_models"),
    ("lists", "openai/vendor/m", {}, 403, "model_blocked", "allowed_models"),
    ("lists", "openai/m-2 ", {}, 400, "invalid_request", "must not begin or end with a blank"),
    ("lists", "openai/m-3", {}, 403, "model_blocked", "allowed_models"),
    ("no key", "openai/m", {}, 403, "provider_key_blocked", "key_ids"),
    ("second key", "openai/m", {"x-bf-api-key": "k1"}, 403, "provider_key_blocked", 'virtual key "second key"'),
    ("second key", "openai/m", {"x-bf-api-key": "nobody's"}, 403, "provider_key_blocked", 'virtual key "second key"'),
    ("free", "openai/unpriced", {}, 200, None, None),
    ("poor", "openai/unpriced", {}, 403, "model_unpriced", 'virtual key "poor"'),
    ("poor", "openai/m", {}, 402, "budget_exceeded", 'virtual key "poor": budget exceeded'),
    ("poor at openai", "openai/m", {}, 402, "budget_exceeded", 'provider of the virtual key "openai": budget exceeded'),
    ("of blue", "openai/m", {}, 402, "budget_exceeded", 'team "blue": budget exceeded'),
    ("of acme", "openai/m", {}, 402, "budget_exceeded", 'customer "acme": budget exceeded'),
    ("free", "openai/m-global", {}, 402, "budget_exceeded", 'model "m-global": budget exceeded'),
    ("model", "openai/m-own", {}, 402, "budget_exceeded", 'model "m-own": budget exceeded'),
    ("free", "groq/m", {}, 429, "token_limited", 'provider "groq": token limit exceeded'),
    ("few tokens", "openai/m", {}, 429, "token_limited", 'virtual key "few tokens": token limit exceeded'),
    ("one request", "openai/m", {}, 200, None, None),
    ("one request", "openai/m", {}, 429, "request_limited", 'virtual key "one request": request limit exceeded: 1/1'),
    ("of rates", "openai/m", {}, 200, None, None),
    ("of rates", "openai/m", {}, 429, "request_limited", 'customer "rates": request limit exceeded: 1/1'),
    ("free", "openai/m", {"x-tenant": ""}, 400, "missing_required_headers", "x-tenant"),
    ("free", "openai/m", {"x-tenant": None}, 400, "missing_required_headers", "x-tenant"),
]


def check_refused(base, answer, status, type_, text):
    code, _, body = answer
    assert code == status, body
    if status == 200:
        return
    if base == "/v1":
        assert (body["type"], body["is_bifrost_error"], body["status_code"]) == (type_, True, status)
        assert body["error"]["type"] == type_
    else:
        assert set(body) == {"error"} and body["error"]["code"] == type_ and body["error"]["param"] is None
        assert body["error"]["type"] == ("rate_limit_error" if status == 429 else "invalid_request_error")
    assert text in body["error"]["message"], body
    assert "-secret" not in json.dumps(body)


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
def test_every_refusal(house, base):
    gw, openai, groq = house(OWNERS, client={"enforce_auth_on_inference": True, "required_headers": ["x-tenant"]})
    for name, model, headers, status, type_, text in REFUSALS:
        given = {k: v for k, v in {"x-tenant": "t", **headers}.items() if v is not None}
        if name:
            given["x-bf-vk"] = secret(name)
        answer = gw.request("POST", base + "/chat/completions", {"model": model, "messages": HI, "max_tokens": 10}, headers=given)
        check_refused(base, answer, status, type_, text)
    served = sum(status == 200 for _, _, _, status, _, _ in REFUSALS)
    assert len(openai.stop()) == served and groq.stop() == []
    for reason, count in {"provider_blocked": 2, "model_blocked": 5, "provider_key_blocked": 3, "virtual_key_blocked": 2,
                          "virtual_key_not_found": 2, "virtual_key_required": 1}.items():
        assert gw.metric_sum(f'bifrost_limit_refusals_total{{reason="{reason}"}}') == count, reason


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
def test_too_many_at_once(house, base):
    gw, openai, _ = house(OWNERS)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, gw, "one at once", "openai/m;latency_ms=3000")
        wait_for("the first", lambda: gw.metric("bifrost_requests_in_flight") == 1)
        check_refused(base, ask(gw, "one at once", path=base + "/chat/completions"), 429, "rate_limited",
                      'virtual key "one at once": too many requests at once')
        assert first.result()[0] == 200
    assert ask(gw, "one at once")[0] == 200
    assert len(openai.stop()) == 2


# ---- one door


def routes():
    """(method, path) of the table of routes."""
    text = (ROOT / "proxyd/gate/route.c").read_text()
    table = text[text.index("gate_routes[] = {"):text.index("gate_route_count")]
    found = re.findall(r'ROUTE_(GET|POST)\("([^"]+)"', table)
    assert len(found) == table.count("ROUTE_") and len(found) > 20
    return found


def test_an_exhausted_key_reaches_no_provider(house):
    """The same walk in one process, with every handler told apart: tests/unit/proxyd/gate/test_door.c."""
    gw, openai, groq = house(OWNERS)
    body = {"model": "openai/m", "messages": HI, "prompt": "x", "input": "x", "max_tokens": 10}
    doors = 0
    for name, wanted in (("poor", 402), ("few tokens", 429), ("nobody", 403), ("off", 403)):
        for method, path in routes():
            for more in ({}, {"fallbacks": ["groq/m", "openai/m-global"]}, {"stream": True}):
                if method == "GET" and more:
                    continue
                status, _, _ = gw.request(method, path + ("openai/m" if path.endswith("/") else ""), {**body, **more},
                                          headers={"x-bf-vk": secret(name)})
                if method == "POST":
                    doors += 1
                    assert status in (wanted, 400) and (status == wanted or "embeddings" in path), (name, path, more, status)
    assert doors > 100
    assert openai.stop() == [] and groq.stop() == []


# ---- what is allowed


def test_fallbacks_and_keys_within_what_is_allowed(house):
    gw, openai, groq = house({"virtual_keys": [
        key("a", at("groq", allowed_models=["m-1"]), at("openai", key_ids=["k2"], blacklisted_models=["m-1"]))]})
    # The primary is not allowed, the first fallback neither, the second is.
    status, _, body = ask(gw, "a", "openai/m-1", fallbacks=["groq/m-2", "groq/m-1"])
    assert status == 200 and body["extra_fields"]["provider"] == "groq"
    for _ in range(10):
        assert ask(gw, "a", "openai/m")[0] == 200
    assert ask(gw, "a", "openai/m", headers={"x-bf-api-key": "k2"})[0] == 200
    # Without a virtual key nothing is restricted.
    assert ask(gw, None, "openai/m-1", headers={"x-bf-api-key": "k1"})[0] == 200
    with contextlib.closing(sqlite3.connect(gw.state / "logs.db")) as db:
        wait_for("the rows", lambda: db.execute("SELECT count(*) FROM logs").fetchone()[0] == 13)
        keys = db.execute("SELECT selected_key_name, count(*) FROM logs WHERE virtual_key_id = 'vk-a' AND provider = 'openai' "
                          "GROUP BY 1").fetchall()
        assert keys == [("k2", 11)]
        assert db.execute("SELECT fallback_index FROM logs WHERE provider = 'groq'").fetchall() == [(2,)]
    assert len(groq.stop()) == 1 and len(openai.stop()) == 12
    listed = gw.request(path="/v1/models", headers={"x-bf-vk": "sk-bf-a-secret"})[2]["data"]
    assert [m["id"] for m in listed if m["id"].startswith("mock/")] == []


def test_weights_of_bare_models(house):
    gw, openai, groq = house({"virtual_keys": [key("a", at("openai", weight=0.2), at("groq", weight=0.8))]})
    for n in range(60):
        path = ("/v1/chat/completions", "/openai/v1/chat/completions")[n % 2]
        assert ask(gw, "a", "m", path=path)[0] == 200
    # The other one is the fallback of each.
    for _ in range(12):
        assert ask(gw, "a", "m;limit=sk-up-g1")[0] == 200
    at_groq, at_openai = groq.stop(), openai.stop()
    served = [line for line in at_groq if line["status"] == 200]
    assert len(served) + len(at_openai) == 72 and len(at_groq) > len(served)
    # 48 of 60 are expected at groq; five standard deviations are 16.
    assert 32 <= len(served) <= 59


def at_time(ahead):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ahead))


def test_keys_expire_while_they_are_used(house):
    gw, _, _ = house({"virtual_keys": [
        key("a", expires_at=at_time(3600))]})
    assert ask(gw, "a")[0] == 200
    assert gw.request("PUT", "/api/governance/virtual-keys/vk-a", {"expires_at": at_time(2)})[0] == 200
    wait_for("its end", lambda: ask(gw, "a")[0] == 403, every=0.2)
    assert explain(gw, virtual_key_id="vk-a", model="openai/m")[2]["type"] == "virtual_key_blocked"


@pytest.mark.parametrize("disabled", [False, True])
def test_a_key_decides_about_content(house, disabled):
    gw, _, _ = house({"virtual_keys": [key("a", disable_content_logging=True), key("b", disable_content_logging=False),
                                       key("c")]}, client={"disable_content_logging": disabled})
    for name in "abc":
        assert ask(gw, name)[0] == 200
    with contextlib.closing(sqlite3.connect(gw.state / "logs.db")) as db:
        wait_for("the rows", lambda: db.execute("SELECT count(*) FROM logs").fetchone()[0] == 3)
    kept = {row["virtual_key_name"]: bool(gw.request(path=f"/api/logs/{row['id']}")[2].get("input_history"))
            for row in gw.request(path="/api/logs")[2]["logs"]}
    assert kept == {"a": False, "b": True, "c": not disabled}


# ---- explanations


def test_explanations(house):
    gw, openai, groq = house(OWNERS)
    found = explain(gw, virtual_key_name="of rates", model="openai/m", max_tokens=100)[2]
    assert found["allowed"] and found["virtual_key"]["id"] == "vk-of rates"
    target, = found["targets"]
    limit, = target["limits"]
    assert (limit["owner_kind"], limit["owner_name"], limit["quantity"], limit["max"], limit["left"]) == (
        "customer", "rates", "requests", 1, 1)
    assert target["price_known"] and target["reserves"] == {"tokens": 101, "cost_nusd": 1_001_000}
    assert set(target["provider_keys"]) == {"k1", "k2"}
    assert ask(gw, "of rates")[0] == 200
    refused = ask(gw, "of rates")[2]
    found = explain(gw, virtual_key_name="of rates", model="openai/m")[2]
    assert (found["http_status"], found["type"], found["message"]) == (429, "request_limited", refused["error"]["message"])
    for name, model, headers, status, type_, text in REFUSALS:
        if headers or status == 400 or name in (None, "unknown", "gone", "one request", "of rates", "free"):
            continue
        found = explain(gw, virtual_key_name=name, model=model, max_tokens=10)[2]
        assert (found["http_status"], found["type"]) == (status, type_), (name, found)
        assert text in found["message"], (name, found)
    assert explain(gw, virtual_key_id="vk-nobody else", model="openai/m")[0] == 404
    assert gw.request(path="/api/governance/explain?model=m", headers={"Origin": "http://a.example"})[0] == 403
    assert len(openai.stop()) == 1 and groq.stop() == []
