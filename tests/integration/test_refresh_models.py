"""A provider is asked for its models: what it tells is its list, in force on all workers with the answer; whatever else it does
leaves the list as it is, and says neither its words nor its key to anybody."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from books import mockllm  # noqa: F401
from gateway import wait_for
from test_api import SEALED, ask
from test_model_catalog import CATALOG, ids
from test_providers_live import CANARY, PROVIDERS, live, statuses
from upstreams import fake, fo  # noqa: F401


def refresh(gw, name="live", status=200, **more):
    return ask(gw, "POST", f"{PROVIDERS}/{name}/refresh-models", status=status, **more)


def refused(gw, status, kind, name="live"):
    answer = refresh(gw, name, status)
    assert answer["error"]["type"] == kind, answer
    return answer["error"]["message"]


def test_what_a_provider_tells_is_in_force(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=3, config=SEALED).start()
    ask(gw, "POST", PROVIDERS, live(up, name="other", value="sk-another-0123456789"), 201)
    ask(gw, "POST", PROVIDERS, live(up), 201)
    assert statuses(gw, "gpt-x", n=4) == {400}
    up.on("GET", fo.plain(fo.models("gpt-x", "vendor/m:free", "gpt-x", "", "*")))
    told = refresh(gw)
    assert told["message"] == "Models refreshed: 2; left out, as no request could name them: 2"
    assert told["model_catalog"]["models"] == ["gpt-x", "vendor/m:free"] and told["model_catalog"]["version"] == 1
    request = up.requests[-1]
    assert request["line"] == "GET /v1/models HTTP/1.1" and request["headers"]["authorization"] == f"Bearer {CANARY}"
    assert statuses(gw, "gpt-x") == {200} and statuses(gw, "vendor/m:free", n=4) == {200}
    assert {r["headers"]["authorization"] for r in up.requests} == {f"Bearer {CANARY}"}
    assert ids(gw) == ["live/gpt-x", "live/vendor/m:free"]
    assert ask(gw, "GET", f"{CATALOG}/live")["model_catalog"] == told["model_catalog"]
    # Again: what is told now, in place of what there was.
    up.on("GET", fo.plain(fo.models("gpt-y")))
    assert ask(gw, "POST", f"{PROVIDERS}/live/refresh-models", {"expected_version": 7}, 409)["error"]["type"] == "version_conflict"
    assert ask(gw, "POST", f"{PROVIDERS}/live/refresh-models", {"expected_version": 1})["model_catalog"]["models"] == ["gpt-y"]
    assert statuses(gw, "gpt-y") == {200} and statuses(gw, "gpt-x", n=6) == {400}
    # A provider that has none says so.
    up.on("GET", fo.plain(fo.models()))
    assert refresh(gw)["model_catalog"]["models"] == [] and ids(gw) == []
    # The one that is built in tells, too; no question has a row.
    assert refresh(gw, "mock")["model_catalog"]["models"] == ["echo"]
    assert gw.metric_sum("bifrost_model_refreshes_total") == 5
    rows = wait_for("the rows", lambda: [r for r in [ask(gw, "GET", "/api/logs?limit=100")["logs"]] if len(r) >= 28])[0]
    assert all(r["model"] for r in rows) and len(rows) == len([r for r in up.requests if r["line"].startswith("POST")])


def test_another_process_is_asked(gateway, mockllm):  # noqa: F811
    provider, gw = mockllm(), gateway(workers=2, config=SEALED).start()
    ask(gw, "POST", PROVIDERS, live(provider), 201)
    assert refresh(gw)["model_catalog"]["models"] == ["mock-small", "mock-large"]
    assert statuses(gw, "mock-large") == {200} and ids(gw) == ["live/mock-small", "live/mock-large"]


def slow(wire, request):
    wire.gone(30)


def quoting(status):
    """Errors that say what nobody may know."""
    def behaviour(wire, request):
        said = {"error": {"message": f"of {request['headers']['authorization']}: secret words"}}
        wire.send(fo.plain(json.dumps(said).encode(), status))
    return behaviour


def test_what_leaves_the_list_as_it_is(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=2, config=SEALED).start()
    body = live(up)
    body["network_config"]["default_request_timeout_in_seconds"] = 4
    ask(gw, "POST", PROVIDERS, body, 201)
    up.on("GET", fo.plain(fo.models("kept")))
    refresh(gw)
    for status, kind in ((401, "upstream_auth_failed"), (404, "upstream_refused"), (429, "upstream_rate_limited"),
                         (500, "upstream_error")):
        up.on("GET", quoting(status))
        message = refused(gw, 502, kind)
        assert message == f"the provider answered with status {status}"
    huge = b'{"data":[' + b" " * (4 << 20) + b"]}"
    for act, status, kind in ((slow, 504, "upstream_timeout"), (b"what?\r\n\r\n", 502, "upstream_protocol_error"),
                              (fo.plain(b"<html>"), 502, "upstream_protocol_error"),
                              (fo.plain(json.dumps({"data": [{"id": CANARY}]}).encode()[:-1]), 502, "upstream_protocol_error"),
                              (fo.plain(huge), 502, "answer_too_large"),
                              (fo.plain(fo.models(*map(str, range(4097)))), 502, "answer_too_large"),
                              (fo.plain(fo.models(*(f"{n:040}" for n in range(1500)))), 502, "answer_too_large"),
                              (fo.plain()[:-9], 504, "upstream_timeout"),
                              (lambda wire, request: wire.reset(), 502, "upstream_closed")):
        up.on("GET", act)
        answer = refresh(gw, status=status)
        assert answer["error"]["type"] == kind, (answer, kind)
    assert ask(gw, "GET", f"{CATALOG}/live")["model_catalog"]["version"] == 1 and statuses(gw, "kept") == {200}
    assert gw.metric_sum("bifrost_model_refresh_failures_total") == 13
    # The search for secrets, which every test ends with, knows this one.
    assert CANARY.encode() in gw.canaries.names


def test_who_may_not_be_asked(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=1, config=SEALED).start()
    assert "nothing" in refused(gw, 404, "not_found", "nothing")
    ask(gw, "POST", PROVIDERS, {"name": "groq", "keys": []}, 201)
    assert "no enabled key" in refused(gw, 409, "no_provider_key", "groq")
    key = {"name": "k", "value": CANARY, "models": ["one"]}
    ask(gw, "POST", PROVIDERS, {**live(up, name="named"), "keys": [key]}, 201)
    refused(gw, 409, "no_provider_key", "named")
    assert not up.requests
    # Unless it is asked for: then what it tells stays unserved, and is shown to who wants all.
    named = ask(gw, "GET", f"{PROVIDERS}/named/keys")["keys"][0]["id"]
    up.on("GET", fo.plain(fo.models("one", "two")))
    by_key = ask(gw, "POST", f"{PROVIDERS}/named/keys/{named}/refresh-models")
    assert by_key["model_catalog"]["models"] == ["one", "two"]
    shown = ask(gw, "GET", "/api/models?provider=named"), ask(gw, "GET", "/api/models?provider=named&unfiltered=true")
    assert [[m["name"] for m in s["models"]] for s in shown] == [["one"], ["one", "two"]]
    # The first one that may be asked is.
    ask(gw, "POST", f"{PROVIDERS}/named/keys", {"name": "all", "value": "sk-of-all-0123456789"}, 201)
    up.on("GET", fo.plain(fo.models("m")))
    refresh(gw, "named")
    assert up.requests[-1]["headers"]["authorization"] == "Bearer sk-of-all-0123456789"
    # A server that wants no key gets none.
    ask(gw, "POST", PROVIDERS, {"name": "vllm", "network_config": {"base_url": up.url}}, 201)
    refresh(gw, "vllm")
    assert "authorization" not in up.requests[-1]["headers"]
    assert statuses(gw, "m", n=2) == {200}


def test_places_that_cannot_be_reached(gateway, fake):  # noqa: F811
    gw = gateway(workers=1, config=SEALED).start()
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    for name, url, kind in (("shut", f"http://127.0.0.1:{port}", "upstream_connect_failed"),
                            ("private", "http://10.1.2.3:80", "upstream_address_refused"),
                            ("metadata", "http://169.254.169.254", "upstream_address_refused")):
        body = {"name": name, "network_config": {"base_url": url}, "keys": [{"name": name, "value": f"{CANARY}-{name}"}]}
        ask(gw, "POST", PROVIDERS, body, 201)
        refused(gw, 502, kind, name)
        ask(gw, "GET", f"{CATALOG}/{name}", status=404)


def test_a_client_that_leaves_ends_the_call(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=1, config=SEALED).start()
    ask(gw, "POST", PROVIDERS, live(up), 201)
    left = threading.Event()

    def waits(wire, request):
        if wire.gone(20):
            left.set()

    up.on("GET", waits)
    with socket.create_connection(("127.0.0.1", gw.port), timeout=60) as s:
        s.sendall(f"POST {PROVIDERS}/live/refresh-models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        wait_for("the question", lambda: up.requests)
    assert left.wait(60)
    ask(gw, "GET", f"{CATALOG}/live", status=404)
    up.on("GET", fo.plain(fo.models("m")))
    assert refresh(gw)["model_catalog"]["models"] == ["m"]


def test_a_provider_that_changes_or_goes_meanwhile(gateway, fake):  # noqa: F811
    up, gw = fake(), gateway(workers=1, config=SEALED).start()
    ask(gw, "POST", PROVIDERS, live(up), 201)
    asked, go = threading.Event(), threading.Event()

    def waits(wire, request):
        asked.set()
        assert go.wait(60)
        wire.send(fo.plain(fo.models("m")))

    up.on("GET", waits)
    for act, status in ((("PUT", {"network_config": {"base_url": up.url, "max_retries": 1}}), 200), (("DELETE", None), 400)):
        asked.clear(), go.clear()
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(gw.request, "POST", f"{PROVIDERS}/live/refresh-models")
            assert asked.wait(60)
            ask(gw, act[0], f"{PROVIDERS}/live", act[1])
            go.set()
            assert call.result()[0] == status
    ask(gw, "GET", f"{CATALOG}/live", status=404)
    assert gw.metric_sum("bifrost_model_refreshes_total") == 2 and not gw.events("child_ended")
