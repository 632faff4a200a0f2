"""The management API by real processes: entities from creation to use, versions, logins, and its own description
against what it does."""

import base64
import json
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import schemathesis
from gateway import BUILD
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

KEYS = "/api/governance/virtual-keys"
TEAMS = "/api/governance/teams"
CHAT = {"model": "mock/m", "messages": [{"role": "user", "content": "hi"}]}
ADMIN = {"admin_username": "admin", "admin_password": "a long password", "is_enabled": True}
# What a file of this name says is sealed with it; without it secrets cannot be kept.
SEALED = {"encryption_key": "0123456789abcdef0123456789abcdef"}


def ask(gw, method, path, body=None, status=200, **headers):
    """The answer's JSON, with the status that it must have."""
    got, _, answer = gw.request(method, path, body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert got == status, f"{method} {path}: {got} {answer}"
    return answer


def basic(name="admin", password="a long password"):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def chat_statuses(gw, value, n=8):
    """One request on each of n connections: they are spread over the workers."""
    with ThreadPoolExecutor(n) as pool:
        return set(pool.map(lambda _: gw.request("POST", "/v1/chat/completions", CHAT, headers={"x-bf-vk": value})[0], range(n)))


def test_a_key_from_creation_to_its_end(gateway):
    gw = gateway(workers=2).start()
    made = ask(gw, "POST", KEYS, {"name": "ops"}, 201)["virtual_key"]
    assert made["value"].startswith("sk-bf-") and made["version"] == 1
    path = f"{KEYS}/{made['id']}"
    # Whoever has the answer can use the key on every worker at once.
    assert chat_statuses(gw, made["value"]) == {200}
    shown = ask(gw, "GET", path)["virtual_key"]
    assert "value" not in shown and made["value"].endswith(shown["value_hint"][-4:])
    ask(gw, "PUT", path, {"is_active": False})
    assert chat_statuses(gw, made["value"]) == {403}
    ask(gw, "PUT", path, {"is_active": True})
    rotated = ask(gw, "POST", f"{path}/rotate")["virtual_key"]
    assert chat_statuses(gw, made["value"]) == {401}
    assert chat_statuses(gw, rotated["value"]) == {200}
    both = ask(gw, "POST", f"{KEYS}/rotate", {"ids": [made["id"], "nobody"]})
    assert len(both["virtual_keys"]) == 1 and both["errors"][0]["id"] == "nobody"
    ask(gw, "DELETE", path)
    assert chat_statuses(gw, both["virtual_keys"][0]["value"]) == {401}
    ask(gw, "GET", path, status=404)
    for value in (made["value"], rotated["value"], both["virtual_keys"][0]["value"]):
        assert value not in gw.log()


def test_lists_and_usage(gateway):
    gw = gateway(workers=1).start()
    team = ask(gw, "POST", TEAMS, {"name": "blue", "budgets": [{"max_limit": 5, "reset_duration": "1d"}]}, 201)["team"]
    for i in range(5):
        ask(gw, "POST", KEYS, {"name": f"key {i}", "team_id": team["id"] if i < 2 else None,
                               "rate_limit": {"request_max_limit": 10, "request_reset_duration": "1h"}}, 201)
    page = ask(gw, "GET", f"{KEYS}?limit=2&offset=1")
    assert (page["count"], page["total_count"], page["limit"], page["offset"]) == (2, 5, 2, 1)
    assert [k["name"] for k in page["virtual_keys"]] == ["key 1", "key 2"]
    assert ask(gw, "GET", f"{KEYS}?team_id={team['id']}")["total_count"] == 2
    assert ask(gw, "GET", f"{KEYS}?search=KEY%203")["virtual_keys"][0]["name"] == "key 3"
    # In an order, and as many as are to be kept.
    ask(gw, "PUT", f"{KEYS}/{page['virtual_keys'][1]['id']}", {"is_active": False})
    for query, names in (("sort_by=name&order=desc&limit=2", "43"), ("sort_by=created_at&offset=3", "34"),
                         ("sort_by=status&limit=1", "2"), ("sort_by=budget_spent&export=true", "01234")):
        got = ask(gw, "GET", f"{KEYS}?{query}")
        assert sorted(k["name"][-1] for k in got["virtual_keys"]) == sorted(names) and got["total_count"] == 5, query
    assert got["limit"] == 10000
    assert ask(gw, "GET", "/api/governance/budgets")["budgets"][0]["owner_id"] == team["id"]
    assert ask(gw, "GET", "/api/governance/rate-limits")["total_count"] == 5


def test_bodies_as_bifrosts_clients_write_them(gateway):
    gw = gateway(workers=1).start()
    team = ask(gw, "POST", TEAMS, {"name": "blue"}, 201)["team"]["id"]
    customer = ask(gw, "POST", "/api/governance/customers", {"name": "acme"}, 201)["customer"]["id"]
    made = ask(gw, "POST", KEYS, {"name": "a", "team_id": team, "expires_at": "2999-01-01T00:00:00Z"}, 201)["virtual_key"]
    for body, owners in (({"customer_id": customer, "expires_at": ""}, (None, customer)), ({"team_id": team}, (team, None)),
                         ({"team_id": ""}, (None, None))):
        key = ask(gw, "PUT", f"{KEYS}/{made['id']}", body)["virtual_key"]
        assert (key["team_id"], key["customer_id"]) == owners and key["expires_at"] is None
    prices = "/api/governance/pricing-overrides"
    override = {"name": "o", "scope_kind": "global", "match_type": "exact", "pattern": "m", "request_types": ["chat_completion"],
                "patch": {"input_cost_per_token": 0.000001}}
    made = ask(gw, "POST", prices, override, 201)["pricing_override"]
    changed = ask(gw, "PUT", f"{prices}/{made['id']}", {"patch": {"input_cost_per_token": 0.000002}})["pricing_override"]
    assert changed["pricing_patch"]["input_cost_per_token"] == 0.000002
    assert ask(gw, "GET", f"{prices}?provider_key_id=k")["total_count"] == 0
    assert ask(gw, "GET", "/api/config?from_db=true") == ask(gw, "GET", "/api/config")


def test_a_quota_is_its_holders(gateway):
    gw = gateway(workers=1).start()
    made = ask(gw, "POST", KEYS, {"name": "ops", "rate_limit": {"request_max_limit": 10, "request_reset_duration": "1h"}},
               201)["virtual_key"]
    quota = ask(gw, "GET", f"{KEYS}/quota", x_bf_vk=made["value"])
    assert quota["virtual_key_name"] == "ops" and quota["rate_limit"]["request_max_limit"] == 10
    ask(gw, "GET", f"{KEYS}/quota", x_bf_vk="sk-bf-nobody", status=401)
    ask(gw, "GET", f"{KEYS}/quota", status=401)


def test_two_who_change_the_same(gateway):
    gw = gateway(workers=2).start()
    team = ask(gw, "POST", TEAMS, {"name": "blue"}, 201)["team"]
    path = f"{TEAMS}/{team['id']}"
    assert gw.request(path=path)[1]["ETag"] == '"1"'
    ask(gw, "PUT", path, {"name": "red"}, If_Match='"1"')
    refused = ask(gw, "PUT", path, {"name": "green"}, 409, If_Match='"1"')
    assert refused["error"]["type"] == "version_conflict" and refused["detail"]["version"] == 2
    ask(gw, "PUT", path, {"name": "green", "expected_version": 1}, 409)
    ask(gw, "DELETE", f"{path}?expected_version=1", status=409)
    # Of twenty at once one is the next version.
    with ThreadPoolExecutor(20) as pool:
        got = list(pool.map(lambda i: gw.request("PUT", path, {"name": f"n{i}", "expected_version": 2})[0], range(20)))
    assert sorted(got) == [200] + [409] * 19
    assert ask(gw, "GET", path)["team"]["version"] == 3
    ask(gw, "DELETE", path, {"expected_version": 3})


def test_what_is_wrong_is_said(gateway):
    gw = gateway(workers=1).start()
    no = ask(gw, "POST", KEYS, {"nam": "a", "budgets": [{"max_limit": -1, "reset_duration": "1d"}]}, 400)
    pointers = {part["pointer"] for part in no["detail"]["errors"]}
    assert {"/nam", "/budgets/0/max_limit"} <= pointers and no["is_bifrost_error"]
    ask(gw, "POST", KEYS, {"name": "a", "team_id": "nobody"}, 400)
    team = ask(gw, "POST", TEAMS, {"name": "blue"}, 201)["team"]
    ask(gw, "POST", KEYS, {"name": "a", "team_id": team["id"]}, 201)
    ask(gw, "POST", KEYS, {"name": "a"}, 409)
    ask(gw, "DELETE", f"{TEAMS}/{team['id']}", status=409)


def test_logins(gateway):
    gw = gateway(workers=2, config={"governance": {"auth_config": ADMIN}, **SEALED}).start()
    ask(gw, "GET", KEYS, status=401)
    assert gw.request(path=KEYS)[1]["WWW-Authenticate"].startswith("Bearer ")
    ask(gw, "GET", "/v1/models", status=401)
    ask(gw, "GET", KEYS, Authorization=basic())
    ask(gw, "GET", "/v1/models", Authorization=basic())
    status, headers, _ = gw.request("POST", "/api/session/login", {"username": "admin", "password": "a long password"})
    cookie = headers["Set-Cookie"].split(";")[0]
    assert status == 200 and "HttpOnly" in headers["Set-Cookie"]
    for _ in range(8):
        ask(gw, "GET", KEYS, Cookie=cookie)
    token = cookie.removeprefix("token=")
    ask(gw, "GET", KEYS, Authorization=f"Bearer {token}")
    key = ask(gw, "POST", "/api/api-keys", {"name": "ci"}, 201, Cookie=cookie)["api_key"]["value"]
    made = ask(gw, "POST", KEYS, {"name": "ops"}, 201, Authorization=f"Bearer {key}")["virtual_key"]
    # Authorization is the gateway's; a virtual key stands beside it.
    assert gw.request("POST", "/v1/chat/completions", CHAT, headers={"Authorization": f"Bearer {made['value']}"})[0] == 401
    assert gw.request("POST", "/v1/chat/completions", CHAT,
                      headers={"Authorization": f"Bearer {key}", "x-bf-vk": made["value"]})[0] == 200
    # Logged out on every worker once that is answered.
    ask(gw, "POST", "/api/session/logout", Cookie=cookie)
    for _ in range(8):
        ask(gw, "GET", KEYS, status=401, Cookie=cookie)
    ask(gw, "GET", KEYS, Authorization=f"Bearer {key}")
    log = gw.log()
    assert "a long password" not in log and token not in log and key not in log


def test_keys_of_the_file(gateway):
    """The file's keys open the API as those that it made; another value in the file counts, what the API made of one stays."""
    key = {"id": "deploy", "name": "deploy", "value": "a-key-of-the-file-0123456789"}
    gw = gateway(workers=2, config={"governance": {"auth_config": ADMIN, "api_keys": [key]}, **SEALED}).start()
    ask(gw, "GET", KEYS, status=401)
    ask(gw, "GET", KEYS, Authorization=f"Bearer {key['value']}")
    (shown,) = ask(gw, "GET", "/api/api-keys", Authorization=basic())["api_keys"]
    assert shown["from_file"] is True and shown["value_hint"].endswith("6789") and key["value"] not in json.dumps(shown)
    rotated = ask(gw, "POST", "/api/api-keys/deploy/rotate", Authorization=basic())["api_key"]["value"]
    gw.ctl("reload")
    ask(gw, "GET", KEYS, status=401, Authorization=f"Bearer {key['value']}")
    ask(gw, "GET", KEYS, Authorization=f"Bearer {rotated}")
    gw.config["governance"]["api_keys"] = [{**key, "value": "another-key-of-the-file-0123456789"}]
    gw.canaries.add_config(gw.config, gw.env)
    gw.file.write_text(json.dumps(gw.config))
    gw.ctl("reload")
    ask(gw, "GET", KEYS, status=401, Authorization=f"Bearer {rotated}")
    ask(gw, "GET", KEYS, Authorization="Bearer another-key-of-the-file-0123456789")
    del gw.config["governance"]["api_keys"]
    gw.file.write_text(json.dumps(gw.config))
    gw.ctl("reload")
    ask(gw, "GET", KEYS, status=401, Authorization="Bearer another-key-of-the-file-0123456789")


def test_guesses_are_slowed_down(gateway):
    gw = gateway(workers=1, config={"governance": {"auth_config": ADMIN}, **SEALED}).start()
    key = ask(gw, "POST", "/api/api-keys", {"name": "prometheus"}, 201, Authorization=basic())["api_key"]["value"]
    gw.login = {"Authorization": f"Bearer {key}"}
    got = [gw.request("POST", "/api/session/login", {"username": "admin", "password": f"guess {i}"})[0] for i in range(8)]
    assert got == [401] * 5 + [429] * 3
    assert gw.metric("bifrost_login_failures_total") == 5
    assert "by=password peer=127.0.0.1\n" in gw.log()


def test_numbers_name_nobody_to_strangers(gateway):
    """With a login they are for those who log in: they tell who the customers are and what they have left."""
    gw = gateway(workers=2, config=SEALED).start()
    ask(gw, "POST", KEYS, {"name": "a-customer-of-ours", "budgets": [{"max_limit": 5, "reset_duration": "1d"}]}, 201)
    assert b"a-customer-of-ours" in gw.request(path="/metrics")[2]
    ask(gw, "PUT", "/api/config", {"auth_config": {**ADMIN, "disable_auth_on_inference": True}})
    for _ in range(8):
        refused = ask(gw, "GET", "/metrics", status=401)
        assert "a-customer-of-ours" not in json.dumps(refused)
    assert b"a-customer-of-ours" in ask(gw, "GET", "/metrics", Authorization=basic())
    ask(gw, "GET", "/v1/models")
    ask(gw, "GET", "/health")


def test_a_stranger_fills_no_memory(gateway):
    """The body of a request to the API is bounded before it is known who asks."""
    gw = gateway(workers=1, config={"governance": {"auth_config": ADMIN}, **SEALED}).start()
    head = f"POST {KEYS} HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gw.port), timeout=60) as s:
        s.sendall(head.encode())
        assert s.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_provider_and_its_keys_apart(gateway):
    """As Bifrost's clients do it since 1.5: the provider first, then its keys."""
    gw = gateway(workers=2, config=SEALED).start()
    made = ask(gw, "POST", "/api/providers", {"provider": "groq"}, 201)["provider"]
    assert made["keys"] == []
    asked = {"model": "groq/llama", "messages": CHAT["messages"]}
    # Nothing is sent there without a key.
    refused = ask(gw, "POST", "/v1/chat/completions", asked, 400)
    assert refused["error"]["type"] == "no_provider_key" or refused["type"] == "no_provider_key", refused
    ids = [ask(gw, "POST", "/api/providers/groq/keys", {"name": name, "value": f"gsk-of-{name}-0123456789", "models": ["llama"]},
               201)["key"]["id"] for name in ("one", "two")]
    page = ask(gw, "GET", "/api/providers/groq/keys")
    assert page["total"] == 2 and [k["id"] for k in page["keys"]] == ids
    ask(gw, "GET", "/api/providers/nobody/keys", status=404)
    assert ask(gw, "GET", "/api/models?provider=groq&query=LLA")["total"] == 1
    done = ask(gw, "POST", "/api/providers/groq/keys/batch", {"key_ids": ids, "enabled": False})
    assert done["updated"] == 2
    assert [k["enabled"] for k in ask(gw, "GET", "/api/providers/groq/keys")["keys"]] == [False, False]
    ask(gw, "POST", "/v1/chat/completions", asked, 400)
    ask(gw, "POST", "/api/providers/groq/keys/batch", {"key_ids": [ids[0], "nobody"], "enabled": True}, 404)
    assert not any(k["enabled"] for k in ask(gw, "GET", "/api/providers/groq/keys")["keys"])
    for key in ids:
        ask(gw, "DELETE", f"/api/providers/groq/keys/{key}")
    assert ask(gw, "GET", "/api/providers/groq")["provider"]["keys"] == []


def test_a_login_that_the_api_makes(gateway):
    gw = gateway(workers=2, config=SEALED).start()
    ask(gw, "GET", "/api/auth-config", status=404)
    ask(gw, "PUT", "/api/auth-config", {**ADMIN, "disable_auth_on_inference": True})
    for _ in range(8):
        ask(gw, "GET", KEYS, status=401)
    ask(gw, "GET", "/v1/models")
    shown = ask(gw, "GET", "/api/auth-config", Authorization=basic())["auth_config"]
    assert shown["admin_username"] == "admin" and "admin_password" not in shown


# ---- the document


@pytest.fixture(name="document", scope="module")
def fixture_document():
    done = subprocess.run([BUILD / "bifrost", "--dump-openapi"], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_the_document_is_one(document):
    validate(document)


CHECKS = [schemathesis.checks.not_a_server_error, schemathesis.checks.status_code_conformance,
          schemathesis.checks.content_type_conformance, schemathesis.checks.response_schema_conformance,
          schemathesis.checks.negative_data_rejection]


@pytest.mark.parametrize("login", [False, True])
def test_whatever_is_asked_is_answered(gateway, document, login):
    """Requests made of the document, good ones and bad ones: none is answered by a fault of ours, bad ones are
    refused, and answers are what the document says."""
    gw = gateway(workers=2, config={**SEALED, **({"governance": {"auth_config": ADMIN}} if login else {})}).start()
    headers = {}
    if login:
        key = ask(gw, "POST", "/api/api-keys", {"name": "of the test"}, 201, Authorization=basic())["api_key"]["value"]
        headers = {"Authorization": f"Bearer {key}"}
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.update(modes=list(schemathesis.GenerationMode))
    # Whatever is logged in or out there would end the run.
    operations = [result.ok() for result in schema.get_all_operations()]
    operations = [o for o in operations if "/session/" not in o.path and "/auth-config" not in o.path]
    statuses = set()

    @seed(1)
    @settings(max_examples=600, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data):
        case = data.draw(data.draw(st.sampled_from(operations)).as_strategy())
        # Ids that were made up are nearly always nobody's.
        if data.draw(st.booleans()) and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = data.draw(st.sampled_from(sorted(known)))
        answer = case.call(base_url=f"http://127.0.0.1:{gw.port}", timeout=60, headers=headers)
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    known = {"mock"}
    for path, kind, body in ((KEYS, "virtual_key", {"name": "a"}), (TEAMS, "team", {"name": "b"}),
                             ("/api/governance/customers", "customer", {"name": "c"}),
                             ("/api/governance/model-configs", "model_config", {"model_name": "d"}),
                             ("/api/api-keys", "api_key", {"name": "e"})):
        known.add(ask(gw, "POST", path, body, 201, **headers)[kind]["id"])
    run()
    assert {200, 201, 400, 404, 409} <= statuses
    assert gw.process.poll() is None
    assert not gw.events("child_exited")
