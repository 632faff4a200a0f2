"""What the management API tells of models: of the keys that providers have, of price sheets from a file and fetched, and which
of what is configured for models a list shows."""

import json

from gateway import wait_for
from test_api import ADMIN, SEALED, ask, basic

MODELS = "/api/models"
COSTS = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2.5e-6}
SHEET = {
    "groq/llama": {"mode": "chat", "base_model": "llama-4", "context_length": 131072, "max_input_tokens": 131072,
                   "max_output_tokens": 8192, "supports_vision": True, "supports_reasoning": False, **COSTS},
    "groq/embed": {"mode": "embedding", "input_cost_per_token": 1e-8},
    "openai/gpt": {"mode": "chat", **COSTS},
}


def config(tmp_path, **pricing):
    (tmp_path / "sheet.json").write_text(json.dumps(SHEET))
    return {**SEALED, "framework": {"pricing": {"pricing_file": str(tmp_path / "sheet.json"), **pricing}}}


def groq(gw, *models, name="one"):
    return ask(gw, "POST", "/api/providers/groq/keys", {"name": name, "value": f"gsk-of-{name}-0123456789", "models": models}, 201)["key"]["id"]


def test_details_follow_keys_and_overrides(gateway, tmp_path):
    gw = gateway(workers=2, config=config(tmp_path)).start()
    ask(gw, "POST", "/api/providers", {"provider": "groq"}, 201)
    one, two = groq(gw, "llama", "other"), groq(gw, "llama", "embed", name="two")
    llama = {"name": "llama", "provider": "groq", "context_length": 131072, "max_input_tokens": 131072,
             "max_output_tokens": 8192, **COSTS}
    shown = ask(gw, "GET", f"{MODELS}/details?provider=groq")
    assert shown == {"models": [llama, {"name": "other", "provider": "groq"},
                                {"name": "embed", "provider": "groq", "input_cost_per_token": 1e-8}], "total": 3}
    assert ask(gw, "GET", f"{MODELS}/details?provider=groq&limit=1&offset=1")["models"] == shown["models"][1:2]
    both = ask(gw, "GET", f"{MODELS}/details?provider=groq&keys={one},{two}&query=L")["models"]
    assert both == [{**llama, "accessible_by_keys": [one, two]}]
    assert ask(gw, "GET", f"{MODELS}?keys={two}") == {"total": 2, "models": [
        {"name": name, "provider": "groq", "accessible_by_keys": [two]} for name in ("llama", "embed")]}
    # What is in force on the worker that answers: any of them.
    over = ask(gw, "POST", "/api/governance/pricing-overrides", {
        "name": "half", "pattern": "ll*", "match_type": "wildcard", "pricing_patch": {"input_cost_per_token": 5e-7}}, 201)
    for _ in range(4):
        changed = ask(gw, "GET", f"{MODELS}/details?query=llama")["models"][0]
        assert changed == {**llama, "overridden_pricing": {"input_cost_per_token": 5e-7},
                           "applied_override_id": over["pricing_override"]["id"]}
    # The sheet's own word is not changed by it.
    assert ask(gw, "GET", f"{MODELS}/parameters?model=llama") == {
        "model": "groq/llama", "base_model": "llama-4", "mode": "chat", "supports_vision": True,
        **{k: v for k, v in llama.items() if k != "name"}}
    assert ask(gw, "GET", f"{MODELS}/parameters?model=nothing", status=404)["error"]["type"] == "not_found"
    assert ask(gw, "GET", f"{MODELS}/base") == {"models": ["embed", "gpt", "llama-4"], "total": 3}
    assert ask(gw, "GET", f"{MODELS}/base?query=G&provider=openai&limit=1") == {"models": ["gpt"], "total": 1}


def test_a_fetched_sheet_tells_as_much(gateway, tmp_path):
    fetched = {"groq/llama": SHEET["groq/llama"] | {"max_output_tokens": 4096, "supports_web_search": True}}
    (tmp_path / "fetched.json").write_text(json.dumps(fetched))
    gw = gateway(workers=1, config=config(tmp_path, pricing_url=f"file://{tmp_path}/fetched.json")).start()

    def told():
        return ask(gw, "GET", f"{MODELS}/parameters?model=groq/llama")

    wait_for("the sheet", lambda: told()["max_output_tokens"] == 4096)
    assert told() == {"model": "groq/llama", "provider": "groq", **{k: v for k, v in fetched["groq/llama"].items() if v}}
    # Both sheets have their base models.
    assert ask(gw, "GET", f"{MODELS}/base")["models"] == ["embed", "gpt", "llama-4"]


def test_only_those_who_log_in_are_told(gateway, tmp_path):
    gw = gateway(workers=1, config={**config(tmp_path), "governance": {"auth_config": ADMIN}}).start()
    for path in ("", "/details", "/base", "/parameters?model=gpt"):
        ask(gw, "GET", MODELS + path, status=401)
        ask(gw, "GET", MODELS + path, Authorization=basic())


def test_lists_by_scope(gateway):
    gw = gateway(workers=1, config=SEALED).start()
    key = ask(gw, "POST", "/api/governance/virtual-keys", {"name": "k"}, 201)["virtual_key"]["id"]
    configs, prices = "/api/governance/model-configs", "/api/governance/pricing-overrides"
    for body in ({"model_name": "all"}, {"model_name": "own", "scope": "virtual_key", "scope_id": key}):
        ask(gw, "POST", configs, body, 201)
    patch = {"pricing_patch": {"input_cost_per_token": 1e-6}, "pattern": "m"}
    ask(gw, "POST", prices, {"name": "all", **patch}, 201)
    ask(gw, "POST", prices, {"name": "mock's", "scope_kind": "provider", "provider_id": "mock", **patch}, 201)

    def listed(path, what, member, query):
        page = ask(gw, "GET", f"{path}?{query}")
        assert page["total_count"] == len(page[what])
        return [x[member] for x in page[what]]

    for query, found in (("scope=global", ["all"]), ("scope=virtual_key", ["own"]), (f"scope_id={key}", ["own"]),
                         (f"scope=global&scope_id={key}", []), ("scope=team", []), (f"virtual_key_id={key}", ["own"])):
        assert listed(configs, "model_configs", "model_name", query) == found, query
    for query, found in (("scope_kind=global", ["all"]), ("scope_kind=provider", ["mock's"]), ("provider_id=mock", ["mock's"]),
                         ("scope_kind=provider_key", [])):
        assert listed(prices, "pricing_overrides", "name", query) == found, query
    assert ask(gw, "GET", f"{configs}?scope_id=a&virtual_key_id=a", status=400)["error"]["param"] == "scope_id"
    assert ask(gw, "GET", f"{prices}?provider_id=a&provider=a", status=400)["error"]["param"] == "provider_id"
