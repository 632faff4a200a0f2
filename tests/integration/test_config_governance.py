"""The governance block of the configuration: good files, what is said of bad ones, what a reload does."""

import json
import subprocess

import pytest

from gateway import BUILD, ROOT

GOOD = """
client: {enforce_auth_on_inference: false}
governance:
  customers: [{id: acme, name: Acme, budgets: [{max_limit: 100, reset_duration: 1M}]}]
  teams: [{id: shop, name: shop, customer_id: acme, rate_limit_id: usual}]
  model_configs: [{model_name: m, provider: mock, rate_limit: {request_max_limit: 50, request_reset_duration: 1m}}]
  providers: [{name: mock, rate_limit_id: usual}]
  virtual_keys:
    - name: three
      value: sk-three
      team_id: shop
      expires_at: "2036-01-01T00:00:00Z"
      provider_configs: [{provider: mock, weight: 1, allowed_models: [m]}]
    - {id: vk-1, name: one, value: sk-one, rate_limit_id: usual, budgets: [{max_limit: 10, reset_duration: 1d}]}
    - {name: two, value: sk-two, calendar_aligned: true, budget: {max_limit: 0.5, reset_duration: weekly}}
  rate_limits:
    - {id: usual, request_max_limit: 100, request_reset_duration: 1m, token_max_limit: 1000, token_reset_duration: 1h}
  budgets:
    - {id: month, max_limit: 1e2, reset_duration: 1M, virtual_key_id: vk-1, last_reset: "2026-01-01T00:00:00Z"}
  pricing_overrides:
    - name: all
      match_type: wildcard
      pattern: "*"
      pricing_patch: {input_cost_per_token: 1.5e-07, output_cost_per_token: 6e-07}
providers: {mock: {}}
"""


def check(gw, text, name="x.yaml"):
    """What bifrost --check says of a file, its folder left out."""
    file = gw.file.with_name(name)
    file.write_text(text)
    done = subprocess.run([BUILD / "bifrost", "--check", "-c", file], env=gw.env, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == (78 if ": error: " in done.stderr else 0), done.stderr
    return done.stderr.replace(f"{file.parent}/", "")


@pytest.mark.parametrize("name", ["bifrost.yaml", "quickstart.yaml", "quickstart-openai.yaml"])
def test_the_examples_are_good(gateway, name):
    gw = gateway(env={"OPENAI_API_KEY": "sk-1", "CHECKOUT_KEY": "sk-2", "BATCH_KEY": "sk-3"})
    assert check(gw, (ROOT / "examples" / name).read_text()) == ""


def test_good_governance_as_yaml_and_as_exported_json(gateway):
    gw = gateway()
    assert check(gw, GOOD) == ""
    exported = {
        "client": {"enforce_governance_header": True},
        "governance": {
            "virtual_keys": [{"id": "vk", "name": "exported", "value": "sk-bf-1", "description": "", "is_active": True,
                              "team_id": None, "customer_id": None, "rate_limit_id": "rl", "provider_configs": [],
                              "mcp_configs": [], "allow_all_providers": True, "expires_at": None}],
            "rate_limits": [{"id": "rl", "token_max_limit": 10, "token_reset_duration": "1h", "token_current_usage": 0,
                             "token_last_reset": "2026-11-21T10:00:00.123456789+01:00", "request_max_limit": None,
                             "request_reset_duration": None, "request_current_usage": 0, "request_last_reset": None}],
            "budgets": [{"id": "b", "max_limit": 12.5, "reset_duration": "1M", "current_usage": 0, "virtual_key_id": "vk",
                         "last_reset": "2026-11-01T00:00:00Z", "team_id": None, "override_amount": 0},
                        {"id": "of-c", "max_limit": 5, "reset_duration": "1d", "current_usage": 0}],
            "pricing_overrides": [{"id": "p", "name": "p", "scope_kind": "provider", "provider_id": "mock",
                                   "match_type": "exact", "pattern": "m",
                                   "pricing_patch": {"input_cost_per_token": 1.5e-07, "output_cost_per_token": 0.0000006}}],
            "teams": [{"id": "t", "name": "T", "customer_id": "c", "profile": None, "config": None, "claims": None}],
            "customers": [{"id": "c", "name": "C", "budget_id": "of-c"}]},
        "providers": {"mock": {}}}
    assert check(gw, json.dumps(exported), "x.json") == ""


KEY = "name: a, value: sk-a"
PRICES = "\n  pricing_overrides: [{name: p, pattern: m, pricing_patch: {input_cost_per_token: 0, output_cost_per_token: 0}}]"
WINDOW = ("must be a duration such as 30s, 1h or 1d, with d, w, M, Q and Y for days, weeks, months, quarters and years, or "
          "daily, weekly, monthly, yearly, not")
REFUSED = "is not part of this build and would not be enforced: remove it, or list"

# (what stands in the block, what is said of it)
BAD = [
    ("virtual_keys: [{name: a}]",
     '2:18: error: governance.virtual_keys[0]: "value" is missing: add a secret of its own, best as env.NAME or file.PATH'),
    ("virtual_keys: [{value: sk-a}]", '2:18: error: governance.virtual_keys[0]: "name" is missing: add it'),
    ("virtual_keys: [{name: a, value: ''}]", "2:35: error: governance.virtual_keys[0].value: is empty: give a secret of its own"),
    ("virtual_keys: [{name: a, value: env.NO_SUCH_THING}]",
     "2:35: error: governance.virtual_keys[0].value: environment variable NO_SUCH_THING is not set: set it before the start, or "
     "write the value"),
    ("virtual_keys: [{name: a, value: 12345}]",
     "2:35: error: governance.virtual_keys[0].value: must be a string, not a number: put it in quotes"),
    ("virtual_keys: [{name: a, value: 'a b'}]",
     "2:35: error: governance.virtual_keys[0].value: must consist of letters, digits and signs, without spaces: it travels in a "
     "header"),
    ("virtual_keys:\n    - {name: a, value: sk-1}\n    - {name: b, value: sk-1}",
     "4:24: error: this value stands in line 3 already: every virtual key needs its own"),
    ("virtual_keys:\n    - {name: a, value: sk-1}\n    - {name: a, value: sk-2}",
     '4:14: error: the virtual key name "a" stands in line 3 already: every virtual key needs its own'),
    ("virtual_keys:\n    - {id: x, name: a, value: sk-1}\n    - {id: x, name: b, value: sk-2}",
     '4:12: error: the virtual key id "x" stands in line 3 already: every virtual key needs its own'),
    ("virtual_keys: [{%s, rate_limit_id: none}]" % KEY,
     '2:56: error: governance.virtual_keys[0].rate_limit_id: no rate limit has the id "none": add it to governance.rate_limits, '
     "or remove rate_limit_id"),
    ("virtual_keys: [{%s, is_activ: true}]" % KEY,
     '2:41: error: unknown key "is_activ" in governance.virtual_keys[0]: did you mean "is_active"?'),
    ("virtual_keys: [{%s, provider_configs: [{provider: mok, allowed_models: ['*']}]}]" % KEY,
     '2:71: error: governance.virtual_keys[0].provider_configs[0].provider: no provider has the name "mok": did you mean "mock"?'),
    ("virtual_keys: [{%s, allow_all_providers: false}]" % KEY,
     "2:18: warning: governance.virtual_keys[0]: has no provider_configs and so may use no provider: add them, or "
     "allow_all_providers: true"),
    ("virtual_keys: [{%s, expires_at: never}]" % KEY,
     '2:53: error: governance.virtual_keys[0].expires_at: must be a time such as 2026-11-21T10:00:00Z, not "never"'),
    ("virtual_keys: [{%s, team_id: t}]\n  teams: [{name: t}]" % KEY,
     '2:50: error: governance.virtual_keys[0].team_id: no team has the id "t", but one has the name: give it that id too'),
    ("virtual_keys: [{%s, budget: {max_limit: 1e-10, reset_duration: 1d}}]%s" % (KEY, PRICES),
     "2:61: error: governance.virtual_keys[0].budget.max_limit: must be a decimal number with at most 9 decimals, not "
     '"1e-10"'),
    ("virtual_keys: [{%s, budget: {max_limit: -1, reset_duration: 1d}}]%s" % (KEY, PRICES),
     '2:61: error: governance.virtual_keys[0].budget.max_limit: must be from 0 to 2000000000, not "-1"'),
    ("virtual_keys: [{%s, budget: {max_limit: 1, reset_duration: 1D}}]%s" % (KEY, PRICES),
     f'2:80: error: governance.virtual_keys[0].budget.reset_duration: {WINDOW} "1D"'),
    ("virtual_keys: [{%s, budgets: [{max_limit: 1, reset_duration: 90m, calendar_aligned: true}]}]%s" % (KEY, PRICES),
     '2:82: error: governance.virtual_keys[0].budgets: "90m" is shorter than a day and cannot follow the calendar: remove '
     "calendar_aligned, or write 1d or more"),
    ("virtual_keys: [{%s, budgets: [{max_limit: 1, reset_duration: 1w}, {max_limit: 2, reset_duration: 7d}]}]%s" % (KEY, PRICES),
     '2:118: error: governance.virtual_keys[0].budgets: "7d" is the window of another budget of this key too: keep the lower one'),
    ("budgets: [{max_limit: 1, reset_duration: 1d}]",
     "2:13: error: governance.budgets[0]: names no owner: add virtual_key_id, team_id, customer_id, provider_config_id or "
     "model_config_id"),
    ("budgets: [{max_limit: 1, reset_duration: 1d, virtual_key_id: x}]",
     '2:64: error: governance.budgets[0].virtual_key_id: no virtual key has the id "x": give it to one, or mend this one'),
    ("budgets: [{max_limit: 1, reset_duration: 1d, customer_id: x}]",
     '2:61: error: governance.budgets[0].customer_id: no customer has the id "x": give it to one, or mend this one'),
    ("rate_limits: [{id: r}]",
     "2:17: error: governance.rate_limits[0]: limits nothing: give request_max_limit, token_max_limit or concurrent_max_limit, or "
     "remove it"),
    ("rate_limits: [{id: r, token_max_limit: 5}]",
     "2:17: error: governance.rate_limits[0]: token_max_limit needs token_reset_duration: add it, such as 1h"),
    ("rate_limits: [{id: r, token_max_limit: 5, token_reset_duration: 1h, token_last_reset: today}]",
     "2:89: error: governance.rate_limits[0].token_last_reset: must be a time such as 2026-11-21T10:00:00Z, not \"today\""),
    ("rate_limits: [{id: r, request_max_limit: 1.5, request_reset_duration: 1h}]",
     '2:44: error: governance.rate_limits[0].request_max_limit: must be a whole number, not "1.5"'),
    ("pricing_overrides: [{name: p, pattern: m, pricing_patch: {}}]",
     "2:23: error: governance.pricing_overrides[0]: pricing_patch gives no price: add one, such as input_cost_per_token"),
    ("pricing_overrides: [{name: p, pattern: m, pricing_patch: {input_cost_per_token: 1.55e-12, output_cost_per_token: 0}}]",
     "2:83: error: governance.pricing_overrides[0].pricing_patch.input_cost_per_token: must be a decimal number with at most 12 "
     'decimals, not "1.55e-12"'),
    ("pricing_overrides: [{name: p, pattern: 'm*', pricing_patch: {input_cost_per_token: 0, output_cost_per_token: 0}}]",
     "2:23: error: governance.pricing_overrides[0]: a pattern with * needs match_type: wildcard: add it"),
    ("pricing_overrides: [{name: p, pattern: m, scope_kind: virtual_key, pricing_patch: {input_cost_per_token: 0}}]",
     "2:23: error: governance.pricing_overrides[0]: scope_kind: virtual_key needs virtual_key_id: add it"),
    ("teams: [{id: t}]", '2:11: error: governance.teams[0]: "name" is missing: add it'),
    ("routing_rules: [{id: t}]",
     f'2:3: error: governance.routing_rules {REFUSED} "governance.routing_rules" in supervisor.accept_unbuilt to start without it'),
]


def test_bad_governance_is_told_with_its_place(gateway):
    gw = gateway()
    for block, said in BAD:
        assert check(gw, f"governance:\n  {block}\nproviders: {{mock: {{}}}}\n") == f"x.yaml:{said}\n"


def test_all_that_is_wrong_is_told_in_one_run_and_never_a_secret(gateway):
    gw = gateway()
    said = check(gw, """governance:
  virtual_keys:
    - {name: a, value: top-secret, budgets: [{max_limit: much, reset_duration: 1d}]}
    - {name: b, value: top-secret}
  rate_limits:
    - {id: r, token_max_limit: 1, token_reset_duration: soon}
  budgets:
    - {max_limit: 1, reset_duration: 1d, virtual_key_id: c}
providers: {mock: {}}
""")
    assert [line.split(": ")[0] for line in said.splitlines()] == ["x.yaml:3:58", "x.yaml:4:24", "x.yaml:6:57", "x.yaml:8:58"]
    assert "secret" not in said


def test_a_changed_key_rolls_the_store_and_workers_follow(gateway):
    gw = gateway()
    text = GOOD + f"server: {{listen: ['127.0.0.1:{gw.port}']}}\nsupervisor: {{workers: 1}}\n"
    gw.file.write_text(text)
    after = gw.start().pids()
    for old, new in (("sk-two", "sk-2"), ("allowed_models: [m]", "allowed_models: [n]"),
                     ("request_max_limit: 100", "request_max_limit: 200")):
        gw.file.write_text(text.replace(old, new))
        gw.ctl("reload")
        before, after = after, gw.pids()
        assert {n for n in after if after[n] != before[n]} == {"writerd", "reader"}
    # One that is refused changes nothing.
    gw.file.write_text(text.replace("rate_limit_id: usual", "rate_limit_id: other"))
    refused = gw.ctl("reload", check=False)
    assert refused.returncode != 0 and 'no rate limit has the id "other"' in refused.stdout + refused.stderr
    assert gw.pids() == after
