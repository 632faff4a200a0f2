"""What requests cost: a table of them worked out twice, by the gateway's own code and by tests/prices/cost.py; some of them
through real processes. Sheets that are missing, wrong, or changed; models without a price."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

from books import mockllm  # noqa: F401
from gateway import BUILD, ROOT, wait_for
from upstreams import rows

PRICES = ROOT / "tests/prices"
REQUESTS = json.loads((PRICES / "requests.json").read_text())
spec = importlib.util.spec_from_file_location("cost", PRICES / "cost.py")
cost = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cost)
SHEET = cost.load(PRICES / "sheet.json")
EXPECTED = [cost.cost_nusd(SHEET, request) for request in REQUESTS]
BUDGET = {"id": "vk", "name": "key", "value": "sk-bf-prices", "allow_all_providers": True,
          "budgets": [{"id": "b", "max_limit": 100, "reset_duration": "1M"}]}
KEY = {"x-bf-vk": BUDGET["value"]}


def test_the_table_is_a_table():
    assert len(REQUESTS) >= 50 and len({r["name"] for r in REQUESTS}) == len(REQUESTS)
    assert sum(r.get("live", False) for r in REQUESTS) >= 10
    # Numbers that a slip would change.
    by_name = dict(zip((r["name"] for r in REQUESTS), EXPECTED, strict=True))
    assert by_name["plain"] == 210000 and by_name["half a nano-dollar up"] == 1 and by_name["below half"] == 0
    assert by_name["272001 tokens"] == 271001 * 1300 + 1000 * 2300


def test_every_request_costs_what_python_says():
    told = subprocess.run([BUILD / "tests/support/pricer", PRICES / "sheet.json", PRICES / "requests.json"],
                          capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(told) == len(REQUESTS)
    for request, expected, line in zip(REQUESTS, EXPECTED, told, strict=True):
        got, bound = map(int, line.split())
        assert got == expected, request
        # What would be reserved covers it, but for searches and a provider's own word.
        if not request.get("searches") and not request.get("cost_nusd"):
            assert bound >= got, request


def script(request):
    keys = ("cached", "written", "written_1hr", "searches", "cost_nusd", "tier", "heard", "spoken", "thought")
    return ";".join([f"words={request['prompt']}/{request['completion']}",
                     *(f"{key}={request[key]}" for key in keys if key in request)])


def ask(gw, provider, request, headers=None):
    model, stream = f"{provider}/{request['model']}", {"stream": True} if request.get("stream") else {}
    if request.get("mode") == "responses":
        return gw.request("POST", "/v1/responses", {"model": model, "input": "hi", **stream}, headers=headers or KEY)
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **stream}
    return gw.request("POST", "/v1/chat/completions", body, headers=headers or KEY)


def custom(mock):
    return {"keys": [{"name": "k-" + mock.address.split(":")[1], "value": "sk-x"}],
            "custom_provider_config": {"base_provider_type": "openai"},
            "network_config": {"base_url": mock.url + "/v1"}}


def used(gw):
    return next(x["used"] for x in json.loads(gw.ctl("limits", "--json"))["limits"] if x["quantity"] == "cost")


def ready(gw):
    wait_for("the meters", lambda: all(x["placed"] for x in json.loads(gw.ctl("limits", "--json"))["limits"]))
    return gw


def test_through_the_whole_gateway(gateway, mockllm):  # noqa: F811
    live = [(r, e) for r, e in zip(REQUESTS, EXPECTED, strict=True) if r.get("live")]
    mocks = [mockllm("--default", script(r), name=f"provider{i}") for i, (r, _) in enumerate(live)]
    gw = ready(gateway(workers=1, config={
        "providers": {f"live-{i}": custom(mock) for i, mock in enumerate(mocks)},
        "framework": {"pricing": {"pricing_file": str(PRICES / "sheet.json")}},
        "governance": {"virtual_keys": [BUDGET]}}).start())
    for i, (request, _) in enumerate(live):
        status, _, body = ask(gw, f"live-{i}", request)
        assert status == 200, body
    found = rows(gw, len(live), columns="cost, provider")
    by_provider = {row["provider"]: round(row["cost"] * 10**9) for row in found}
    for i, (request, expected) in enumerate(live):
        assert by_provider[f"live-{i}"] == expected, request
    wait_for("the budget to say the same", lambda: used(gw) == sum(e for _, e in live))


def test_the_installed_sheet_has_prices(gateway, mockllm):  # noqa: F811
    mock = mockllm("--default", "words=1000/10;cached=400")
    gw = gateway(workers=1, config={"providers": {"openai": {
        "keys": [{"name": "k", "value": "sk-x"}], "network_config": {"base_url": mock.url}}}}).start()
    for model in ("gpt-4o-mini", "gpt-5-2025-08-07", "nobody-knows-it"):
        assert ask(gw, "openai", {"model": model}, headers={"x": "y"})[0] == 200
    assert [row["cost"] and round(row["cost"] * 10**9) for row in rows(gw, 3)] == [
        600 * 150 + 400 * 75 + 10 * 600, 600 * 1250 + 400 * 125 + 10 * 10000, None]


@pytest.mark.parametrize("policy, cost_nusd", [
    ({}, None), ({"unpriced_models": "deny"}, None), ({"unpriced_models": "warn"}, 0),
    ({"unpriced_models": "default_price", "default_price": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}},
     7 * 1000 + 3 * 2000)])
def test_models_without_a_price(gateway, mockllm, policy, cost_nusd):  # noqa: F811
    mock = mockllm("--default", "words=7/3")
    gw = ready(gateway(workers=1, config={
        "providers": {"p": custom(mock)}, "governance": {"virtual_keys": [BUDGET], **policy}}).start())
    status, _, body = ask(gw, "p", {"model": "unheard-of"})
    if cost_nusd is None:
        assert status == 403 and "model_unpriced" in json.dumps(body)
        return
    assert status == 200, body
    row = rows(gw, 1)[0]
    if cost_nusd:
        assert round(row["cost"] * 10**9) == cost_nusd
        wait_for("the budget", lambda: used(gw) == cost_nusd)
        return
    assert not row["cost"]
    assert "bifrost_unpriced_calls_total 1" in gw.request(path="/metrics")[2].decode()
    wait_for("degraded health", lambda: any("unpriced_models is warn" in reason for reason in
                                            gw.request()[2]["components"]["limits"]["reasons"]))


def test_a_tier_that_the_provider_decides_is_reserved(gateway, mockllm):  # noqa: F811
    """Nobody asked for it: what is settled is the dear tier's price, and it was reserved."""
    mock = mockllm("--default", "words=20/50;tier=priority")
    price = {"input_cost_per_token": 0.000001, "output_cost_per_token": 0.0001, "output_cost_per_token_priority": 0.001}
    key = BUDGET | {"budgets": [{"id": "b", "max_limit": 0.07, "reset_duration": "1M"}]}
    gw = ready(gateway(workers=1, config={
        "providers": {"p": custom(mock)},
        "governance": {"virtual_keys": [key], "pricing_overrides": [{"name": "o", "pattern": "m", "pricing_patch": price}]}}).start())
    body = {"model": "p/m", "messages": [{"role": "user", "content": "hi"}]}
    # 100 tokens may cost 0.1 dollars at that tier, though 0.01 at the usual one.
    status, _, answer = gw.request("POST", "/v1/chat/completions", body | {"max_tokens": 100}, headers=KEY)
    assert status == 402, answer
    assert gw.request("POST", "/v1/chat/completions", body | {"max_tokens": 60}, headers=KEY)[0] == 200
    assert round(rows(gw, 1)[0]["cost"] * 10**9) == 20 * 1000 + 50 * 1000000


def test_keys_have_prices_of_their_own(gateway, mockllm):  # noqa: F811
    mock = mockllm("--default", "words=10/1")
    patch = {"input_cost_per_token": 2e-6}
    overrides = [
        {"name": "all", "pattern": "m*", "match_type": "wildcard",
         "pricing_patch": {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}},
        {"name": "vk", "scope_kind": "virtual_key", "virtual_key_id": "vk", "pattern": "bare", "pricing_patch": patch},
        {"name": "key", "scope_kind": "provider_key", "provider_key_id": "pk", "pattern": "bare",
         "pricing_patch": {"input_cost_per_token": 3e-6}},
        {"name": "type", "pattern": "m", "request_types": ["responses"],
         "pricing_patch": {"input_cost_per_token": 4e-6, "output_cost_per_token": 0}}]
    provider = custom(mock) | {"keys": [{"name": "k", "id": "pk", "value": "sk-x"}]}
    gw = ready(gateway(workers=1, config={
        "providers": {"p": provider}, "framework": {"pricing": {"pricing_file": str(PRICES / "sheet.json")}},
        "governance": {"virtual_keys": [BUDGET], "pricing_overrides": overrides}}).start())
    anyone = {"x": "y"}
    for request, headers in (({"model": "bare"}, KEY), ({"model": "bare"}, anyone), ({"model": "m"}, anyone),
                             ({"model": "m", "mode": "responses"}, anyone)):
        assert ask(gw, "p", request, headers)[0] == 200
    assert [round(row["cost"] * 10**9) for row in rows(gw, 4)] == [30000, 40000, 11000, 40000]


def test_the_key_that_answered_has_the_price(gateway, mockllm):  # noqa: F811
    """The first key is refused by the provider: what was reserved was for the dearer one."""
    mock, model = mockllm(), "m;words=10/1;deny=sk-a"
    price = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}
    provider = custom(mock) | {"keys": [{"name": "a", "id": "pa", "value": "sk-a", "weight": 1000},
                                        {"name": "b", "id": "pb", "value": "sk-b", "weight": 0.000001}]}
    gw = ready(gateway(workers=1, config={
        "providers": {"p": provider}, "governance": {"virtual_keys": [BUDGET], "pricing_overrides": [
            {"name": "all", "pattern": model, "pricing_patch": price},
            {"name": "b", "scope_kind": "provider_key", "provider_key_id": "pb", "pattern": model,
             "pricing_patch": {"output_cost_per_token": 5e-6, "input_cost_per_token": 2e-6}}]}}).start())
    assert ask(gw, "p", {"model": model})[0] == 200
    row = rows(gw, 1)[0]
    assert row["selected_key_name"] == "b" and round(row["cost"] * 10**9) == 10 * 2000 + 5000
    wait_for("the budget", lambda: used(gw) == 25000)


def check(folder, config):
    file = Path(folder) / "bifrost.yaml"
    file.write_text(json.dumps({"providers": {"mock": {}}, **config}))
    done = subprocess.run([BUILD / "bifrost-config", "--check", file], capture_output=True, text=True)
    return done.returncode, done.stderr


def test_sheets_that_cannot_be_read(tmp_path):
    pricing = {"framework": {"pricing": {"pricing_file": "sheets/own.json"}}}
    code, told = check(tmp_path, pricing)
    assert code and f"{tmp_path}/sheets/own.json: error: the price sheet cannot be read" in told
    (tmp_path / "sheets").mkdir()
    sheet = tmp_path / "sheets/own.json"
    sheet.write_text('{\n "a/b": {"mode": "chat",\n  "input_cost_per_token": -1}}')
    code, told = check(tmp_path, pricing)
    assert code and f'{sheet}:3:27: error: entry "a/b": input_cost_per_token: must be from 0 to 1' in told
    sheet.write_bytes(b'{"\xff": {}}')
    assert "is not UTF-8" in check(tmp_path, pricing)[1]
    sheet.write_text("{}")
    assert check(tmp_path, pricing) == (0, "")
    code, told = check(tmp_path, {"framework": {"pricing": {"pricing_url": "http://x.test/y"}}})
    assert code and "framework.pricing.pricing_url: prices that came over http:// could be anybody's" in told


def test_a_changed_sheet_counts_after_a_reload(gateway, mockllm, tmp_path):  # noqa: F811
    mock = mockllm("--default", "words=10/1")
    sheet = tmp_path / "sheet.json"

    def write(price, **more):
        sheet.write_text(json.dumps({"p/m": {"input_cost_per_token": price, "output_cost_per_token": price}, **more}))

    def told():
        """What status says of the sheet: as the metrics do."""
        items = {item["name"]: item["value"] for item in json.loads(gw.ctl("status", "--json"))["status"][0]["items"]}
        assert items["price_sheet"] == str(sheet)
        for name in ("models", "skipped"):
            assert gw.metric(f"bifrost_price_sheet_{name}") == int(items[f"price_sheet_{name}"])
        return int(items["price_sheet_models"]), int(items["price_sheet_skipped"])

    write(1e-6)
    gw = gateway(workers=1, config={"providers": {"p": custom(mock)},
                                    "framework": {"pricing": {"pricing_file": str(sheet)}}}).start()
    assert ask(gw, "p", {"model": "m"}, {"x": "y"})[0] == 200
    assert told() == (1, 0)
    write(2e-6, pictures={"mode": "image_generation", "output_cost_per_image": 1}, free={"mode": "chat"})
    gw.ctl("reload")
    assert told() == (1, 2)
    assert ask(gw, "p", {"model": "m"}, {"x": "y"})[0] == 200
    assert [round(row["cost"] * 10**9) for row in rows(gw, 2)] == [11000, 22000]
