"""Lists of the models that providers have: told by the file and the management API, in force on all workers with the answer, for bare names
and lists of models alike; kept over restarts, gone with their provider."""

import json
from concurrent.futures import ThreadPoolExecutor

from gateway import wait_for
from test_api import SEALED, ask
from test_providers_live import CANARY, PROVIDERS, Load, chat, live, statuses
from upstreams import fake  # noqa: F401

CATALOG = "/api/models/catalog"


def listed(gw, path, n=8):
    """What a list tells on each of n connections: they are spread over the workers."""
    with ThreadPoolExecutor(n) as pool:
        answers = list(pool.map(lambda _: gw.request("GET", path)[2], range(n)))
    assert all(a == answers[0] for a in answers)
    return answers[0]


def ids(gw):
    return [m["id"] for m in listed(gw, "/v1/models")["data"] if m["owned_by"] != "mock"]


def names(gw):
    return [(m["provider"], m["name"]) for m in listed(gw, "/api/models")["models"] if m["provider"] != "mock"]


def test_a_list_from_its_making_to_its_end(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=3, config=SEALED).start()
    ask(gw, "POST", PROVIDERS, live(up), 201)
    assert statuses(gw, "gpt-x") == {400} and ids(gw) == []
    made = ask(gw, "PUT", f"{CATALOG}/live", {"models": ["gpt-x", "vendor/m:free"]})
    assert made["message"] == "List of models updated successfully"
    assert made["model_catalog"]["models"] == ["gpt-x", "vendor/m:free"] and made["model_catalog"]["version"] == 1
    # Whoever has the answer finds it on every worker at once.
    assert statuses(gw, "gpt-x") == {200} and statuses(gw, "vendor/m:free", n=4) == {200}
    assert {r["json"]["model"] for r in up.requests} == {"gpt-x", "vendor/m:free"}
    assert ids(gw) == ["live/gpt-x", "live/vendor/m:free"]
    assert names(gw) == [("live", "gpt-x"), ("live", "vendor/m:free")]
    assert ask(gw, "GET", "/v1/models/gpt-x")["id"] == "live/gpt-x"
    assert ask(gw, "GET", f"{CATALOG}/live")["model_catalog"] == made["model_catalog"]
    page = ask(gw, "GET", CATALOG)
    assert page["model_catalogs"] == [made["model_catalog"]] and page["total_count"] == 1
    ask(gw, "PUT", f"{CATALOG}/live", {"models": [], "expected_version": 7}, 409)
    # The whole list, in place of what there was.
    ask(gw, "PUT", f"{CATALOG}/live", {"models": ["gpt-y"]})
    assert statuses(gw, "gpt-x", n=6) == {400} and statuses(gw, "gpt-y") == {200} and ids(gw) == ["live/gpt-y"]
    wait_for("its gauge", lambda: gw.metric('bifrost_entities{type="model_catalog"}') == 1)
    gw.stop()
    gw.start()
    assert statuses(gw, "gpt-y") == {200} and ids(gw) == ["live/gpt-y"]
    ask(gw, "DELETE", f"{CATALOG}/live")
    assert statuses(gw, "gpt-y") == {400} and ids(gw) == [] and names(gw) == []
    ask(gw, "GET", f"{CATALOG}/live", status=404)
    ask(gw, "DELETE", f"{CATALOG}/live", status=404)
    # With its provider in front it was never asked for the list.
    assert statuses(gw, "live/gpt-y", n=2) == {200}


def test_who_names_a_model_comes_first(gateway, fake):  # noqa: F811
    first, second, gw = fake(), fake(), gateway(workers=2, config=SEALED).start()
    ask(gw, "POST", PROVIDERS, live(first), 201)
    other = live(second, "sk-another-0123456789", "other")
    other["keys"][0]["models"] = ["shared"]
    ask(gw, "POST", PROVIDERS, other, 201)
    assert statuses(gw, "shared", n=2) == {200} and len(second.requests) == 2
    ask(gw, "PUT", f"{CATALOG}/live", {"models": ["only", "shared", "refused"]})
    assert statuses(gw, "shared", n=6) == {200} and len(second.requests) == 8 and not first.requests
    assert statuses(gw, "only", n=2) == {200} and len(first.requests) == 2
    assert names(gw) == [("other", "shared"), ("live", "only"), ("live", "shared"), ("live", "refused")]
    # What no key serves is not there; the list keeps it.
    key = ask(gw, "GET", f"{PROVIDERS}/live/keys")["keys"][0]["id"]
    ask(gw, "PUT", f"{PROVIDERS}/live/keys/{key}", {"blacklisted_models": ["REFUSED"]})
    assert names(gw) == [("other", "shared"), ("live", "only"), ("live", "shared")] and statuses(gw, "refused", n=4) == {400}
    assert ask(gw, "GET", f"/api/models?keys={key}&query=only")["models"] == [
        {"name": "only", "provider": "live", "accessible_by_keys": [key]}]
    ask(gw, "PUT", f"{PROVIDERS}/live/keys/{key}", {"models": ["one"], "blacklisted_models": []})
    assert names(gw) == [("live", "one"), ("other", "shared")]
    assert ask(gw, "GET", f"{CATALOG}/live")["model_catalog"]["models"] == ["only", "shared", "refused"]
    # A key of the provider that lists nothing of its own brings them back.
    ask(gw, "PUT", f"{PROVIDERS}/live/keys/{key}", {"models": ["*"]})
    assert statuses(gw, "only", n=4) == {200}


def test_it_goes_with_its_provider(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=2, config=SEALED).start()
    answer = ask(gw, "PUT", f"{CATALOG}/live", {"models": ["m"]}, 400)
    assert 'no provider has the id "live"' in answer["error"]["message"]
    ask(gw, "POST", PROVIDERS, live(up), 201)
    ask(gw, "PUT", f"{CATALOG}/live", {"models": ["m"]})
    ask(gw, "DELETE", f"{PROVIDERS}/live")
    ask(gw, "GET", f"{CATALOG}/live", status=404)
    ask(gw, "POST", PROVIDERS, live(up), 201)
    assert statuses(gw, "m", n=4) == {400} and ids(gw) == []
    bad = {"models": ["a", "a"]}
    assert ask(gw, "PUT", f"{CATALOG}/live", bad, 400)["error"]["type"] == "invalid_request"
    assert CANARY not in gw.log()


def test_the_file_and_the_api(gateway, fake):  # noqa: F811
    up = fake()
    provider = {"network_config": {"base_url": up.url}, "keys": [{"name": "k", "value": CANARY}]}
    catalog = {"provider": "live", "models": ["filed", "vendor/m:free"]}
    gw = gateway(workers=2, config={**SEALED, "providers": {"live": provider}, "governance": {"model_catalogs": [catalog]}}).start()

    def rewrite(*catalogs):
        gw.config["governance"]["model_catalogs"] = catalogs
        gw.file.write_text(json.dumps(gw.config))
        gw.ctl("reload")

    assert statuses(gw, "filed") == {200} and ids(gw) == ["live/filed", "live/vendor/m:free"]
    assert ask(gw, "GET", f"{CATALOG}/live")["model_catalog"]["from_file"] is True
    # What the API says counts until the file says something else.
    ask(gw, "PUT", f"{CATALOG}/live", {"models": ["told"]})
    rewrite(catalog)
    assert ids(gw) == ["live/told"] and statuses(gw, "filed", n=4) == {400}
    rewrite({**catalog, "models": ["again"]})
    assert ids(gw) == ["live/again"] and statuses(gw, "again", n=4) == {200}
    rewrite()
    assert ids(gw) == [] and statuses(gw, "again", n=4) == {400}
    ask(gw, "GET", f"{CATALOG}/live", status=404)


def test_lists_change_under_load(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=2, config=SEALED).start()
    ask(gw, "POST", PROVIDERS, live(up), 201)
    ask(gw, "PUT", f"{CATALOG}/live", {"models": ["m"]})
    with Load(gw, "m") as load:
        for i in range(12):
            ask(gw, "PUT", f"{CATALOG}/live", {"models": [f"n{i}-{k}" for k in range(1000)] + ["m"]})
            assert chat(gw, f"n{i}-999")[0] == 200
    assert set(load.seen) == {200}
    assert listed(gw, "/api/models?provider=live&limit=1", n=2)["total"] == 1001
