"""GET /api/logs: rows of real requests, by way of a process that nothing else depends on."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import pytest

import control
from gateway import BUILD, alive, free_port, wait_for
from supervised import came_back_at_once



def logs(gw, timeout=60, **parameters):
    status, _, body = gw.request(path="/api/logs" + ("?" + urlencode(parameters) if parameters else ""), timeout=timeout)
    return status, body


def rows(gw, **parameters):
    status, body = logs(gw, **parameters)
    assert status == 200, body
    return body["logs"]


def total(gw):
    status, body = logs(gw, limit=1)
    return body["pagination"]["total_count"] if status == 200 else -1


def texts(gw, **parameters):
    """What the rows of a search were asked, by way of their content."""
    found = []
    for row in rows(gw, **parameters):
        status, _, whole = gw.request(path="/api/logs/" + row["id"])
        assert status == 200
        found.append(whole["input_history"]["messages"][0]["content"])
    return found


def refused(gw, status, part, path):
    got, _, body = gw.request(path=path)
    assert got == status and part in body["error"]["message"] + body["error"].get("type", ""), body
    assert body["is_bifrost_error"] is True


def fill(gw, count, bytes_each=0):
    """Rows by the thousand, into the file itself."""
    with contextlib.closing(sqlite3.connect(gw.state / "logs.db", timeout=60)) as db:
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO logs (id, timestamp, created_at, object_type, status, stream, provider, model,"
            " number_of_retries, selected_key_name, http_status, latency, prompt_tokens, completion_tokens,"
            " total_tokens, cached_read_tokens, cost_nusd, worker, crashed, estimated, truncated, client_gone,"
            " error_details, input_history) SELECT printf('%08x-0000-7000-8000-%012x', i, i), '2026-01-01T00:00:00.000Z',"
            " '', 'chat.completion', 'success', 0, 'filler', 'm', 0, '', 200, i, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0,"
            " printf('%.*c', ?, 'e'), printf('%.*c', ?, 'x') FROM n", (count, bytes_each, bytes_each))
        db.commit()


@pytest.fixture
def gw(gateway):
    return gateway(workers=1).start()


# ---------------------------------------------------------------- what is shown


def test_a_row_appears(gw):
    assert logs(gw)[1]["has_logs"] is False
    gw.request("POST", "/v1/chat/completions", {"model": "mock/m-1", "messages": [{"role": "user", "content": "find me"}]},
               headers={"x-request-id": "mine-1"})
    wait_for("the row", lambda: total(gw) == 1)
    (row,) = rows(gw)
    assert (row["provider"], row["model"], row["status"], row["http_status"]) == ("mock", "m-1", "success", 200)
    assert (row["object_type"], row["stream"], row["fallback_index"]) == ("chat.completion", False, 0)
    assert row["request_id"] == "mine-1" and row["cost"] is None and row["crashed"] is False
    assert row["token_usage"]["prompt_tokens"] == row["prompt_tokens"] == 2
    assert row["token_usage"]["total_tokens"] == row["total_tokens"]
    assert "input_history" not in row
    status, _, whole = gw.request(path="/api/logs/" + row["id"])
    assert status == 200 and {k: v for k, v in whole.items() if k in row} == row
    assert whole["input_history"]["messages"][0]["content"] == "find me"
    assert "find me" in json.dumps(whole["output_message"])


def test_a_row_by_its_clients_name(gw):
    name = "of-mine/" + "x" * 120
    for text in ("older", "newer"):
        gw.request("POST", "/v1/chat/completions", {"model": "mock/m", "messages": [{"role": "user", "content": text}]},
                   headers={"x-request-id": name})
    gw.chat("another")
    wait_for("three rows", lambda: total(gw) == 3)
    assert texts(gw, request_id=name) == ["newer", "older"] and not rows(gw, request_id=name[:64])
    status, _, whole = gw.request(path="/api/logs/" + quote(name, safe=""))
    assert status == 200 and whole["request_id"] == name
    assert whole["input_history"]["messages"][0]["content"] == "newer"


def test_only_programs_of_this_machine(gateway):
    """A browser on a stranger's page and a proxy in front have loopback addresses, too."""
    gw = gateway(workers=1, config={"client": {"allowed_origins": ["*"]}}).start()
    wait_for("the store", lambda: logs(gw)[0] == 200)
    own = f"http://127.0.0.1:{gw.port}"
    for headers in ({"Origin": own}, {"Sec-Fetch-Site": "none"}, {"Host": f"localhost:{gw.port}"}):
        status, answer, _ = gw.request(path="/api/logs", headers=headers)
        assert status == 200 and not any(name.lower().startswith("access-control") for name in answer)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"http://localhost:{gw.port}"},
                    {"X-Forwarded-For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"}, {"X-Real-IP": "10.0.0.1"},
                    {"Via": "1.1 front"}, {"Host": "gateway.example"}, {"Sec-Fetch-Site": "cross-site"}):
        for path in ("/api/logs", "/api/logs/x", "/api/else"):
            status, answer, body = gw.request(path=path, headers=headers)
            assert status == 403 and body["error"]["type"] == "loopback_only", (headers, body)
            assert body["error"]["message"].startswith(next(iter(headers)) + ": ")
            assert not any(name.lower().startswith("access-control") for name in answer)
    status, answer, _ = gw.request("OPTIONS", "/api/logs", headers={"Origin": own, "Access-Control-Request-Method": "GET"})
    assert status == 403 and not any(name.lower().startswith("access-control") for name in answer)
    assert gw.request(path="/v1/models", headers={"Origin": "https://evil.example"})[1]["Access-Control-Allow-Origin"] == "*"


def test_filters(gw):
    gw.chat("first one", "mock/alpha")
    middle = time.time() * 1000
    time.sleep(0.05)
    gw.chat("second_one 100%", "mock/beta")
    gw.chat("third", "mock/beta", stream=True)
    wait_for("three rows", lambda: total(gw) == 3)
    assert texts(gw) == ["third", "second_one 100%", "first one"]
    assert texts(gw, order="asc") == ["first one", "second_one 100%", "third"]
    assert texts(gw, models="alpha") == ["first one"]
    assert len(rows(gw, models="alpha,beta", providers="mock,other")) == 3
    assert not rows(gw, providers="other") and not rows(gw, status="error") and not rows(gw, objects="embedding")
    assert texts(gw, content_search="ECOND_ONE 100%") == ["second_one 100%"]
    assert not rows(gw, content_search="f_rst")
    assert texts(gw, end_time=int(middle)) == ["first one"]
    assert len(rows(gw, start_time=int(middle))) == 2 and len(rows(gw, period="1h")) == 3
    assert len(rows(gw, start_time="2020-01-01T00:00:00Z", end_time="2020-01-02T00:00:00+02:00")) == 0
    assert len(rows(gw, stop_reasons="stop")) in (0, 3)
    assert not rows(gw, parent_request_id="nobody") and not rows(gw, selected_key_ids="none") and not rows(gw, min_cost="0.01")
    most = max(row["total_tokens"] for row in rows(gw))
    assert rows(gw, sort_by="tokens", limit=1)[0]["total_tokens"] == most
    assert {row["total_tokens"] for row in rows(gw, min_tokens=most, max_tokens=most)} == {most}
    slowest = max(row["latency"] for row in rows(gw))
    assert rows(gw, sort_by="latency", limit=1)[0]["latency"] == slowest


def test_paging_and_stats(gw):
    for n in range(7):
        gw.chat(f"row {n}")
    assert gw.chat("no", "nobody/m")[0] == 400
    wait_for("the rows", lambda: total(gw) == 7)
    pages = [row["id"] for offset in range(0, 9, 3) for row in rows(gw, limit=3, offset=offset)]
    assert len(pages) == 7 and pages == [row["id"] for row in rows(gw)]
    _, body = logs(gw, limit=2, offset=5, sort_by="cost", order="asc")
    assert body["pagination"] == {"limit": 2, "offset": 5, "sort_by": "cost", "order": "asc", "total_count": 7}
    stats = body["stats"]
    assert stats["total_requests"] == 7 and stats["success_rate"] == 100 and stats["total_cost"] == 0
    assert stats["total_tokens"] == sum(row["total_tokens"] for row in rows(gw))
    assert body["has_logs"] is True and len(body["logs"]) == 2


def test_classes_of_errors(gateway):
    """A row says what went wrong in the words of the error counters, and is found by them."""
    config = {"providers": {"openai": {"keys": [{"name": "k", "value": "v"}],
                                       "network_config": {"base_url": f"http://127.0.0.1:{free_port()}"}}}}
    gw = gateway(workers=1, config=config).start()
    assert gw.chat("fine")[0] == 200 and gw.chat("lost", "openai/m")[0] == 502
    wait_for("two rows", lambda: total(gw) == 2)
    (row,) = rows(gw, error_types="provider_connection_failed,provider_timeout")
    assert row["error_type"] == "provider_connection_failed" and row["error_details"]["type"] == "upstream_connect_failed"
    assert [row["error_type"] for row in rows(gw, status="success")] == [None] and not rows(gw, error_types="_OTHER")


def test_a_long_stream_that_is_kept_in_part_says_so(gw):
    gw.chat("some", stream=True)
    gw.chat("word " * 3000, stream=True)
    wait_for("two rows", lambda: total(gw) == 2)
    long, short = rows(gw)
    assert (long["content_truncated"], long["truncated"], short["content_truncated"]) == (True, False, False)


def test_a_content_that_is_cut_says_so(gw):
    gw.chat("whole")
    gw.chat("x" * (1 << 20))
    wait_for("two rows", lambda: total(gw) == 2)
    long, short = rows(gw)
    assert (long["content_truncated"], long["truncated"]) == (True, False) and short["content_truncated"] is False
    _, _, whole = gw.request(path="/api/logs/" + long["id"])
    assert whole["content_truncated"] is True and len(whole["input_history"]) == 1 << 20
    with contextlib.closing(sqlite3.connect(f"file:{gw.state / 'logs.db'}?mode=ro", uri=True)) as db:
        assert list(db.execute("SELECT content_truncated, error_type FROM logs ORDER BY inc_number")) == [(0, None), (1, None)]


def test_what_is_refused(gw):
    refused(gw, 400, "limit: must be", "/api/logs?limit=1001")
    refused(gw, 400, "provider: no such parameter", "/api/logs?provider=x")
    refused(gw, 400, "start_time: is no time", "/api/logs?start_time=today")
    refused(gw, 404, "no row has the id", "/api/logs/01890000-0000-7000-8000-000000000000")
    refused(gw, 404, "no row has the id", "/api/logs/nonsense")
    refused(gw, 404, "not_found", "/api/logs/a%20b")
    assert gw.request("POST", "/api/logs", {})[0] == 405
    assert gw.request("HEAD", "/api/logs")[0] == 200


def test_logs_switched_off(gateway):
    gw = gateway(workers=1, config={"client": {"enable_logging": False}}).start()
    status, body = logs(gw)
    assert status == 503 and "no logs are kept" in body["error"]["message"]
    assert gw.chat()[0] == 200


def test_a_store_elsewhere(gateway, tmp_path):
    folder = tmp_path / "a folder?#%"
    folder.mkdir()
    gw = gateway(workers=1, config={"logs_store": {"enabled": True, "config": {"path": str(folder / "rows.db")}}}).start()
    gw.chat("elsewhere")
    wait_for("the row", lambda: total(gw) == 1)
    assert texts(gw) == ["elsewhere"]


def test_clients_elsewhere_are_refused(gateway):
    """A network namespace whose one other address is not this machine's own."""
    name, own, other = f"bf{os.getpid()}", "10.231.7.1", "10.231.7.2"

    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)

    if os.geteuid() != 0 or ip("netns", "add", name).returncode != 0:
        pytest.skip("network namespaces cannot be made here")
    try:
        assert ip("link", "add", name + "a", "type", "veth", "peer", "name", name + "b", "netns", name).returncode == 0
        ip("addr", "add", own + "/30", "dev", name + "a")
        ip("link", "set", name + "a", "up")
        ip("-n", name, "addr", "add", other + "/30", "dev", name + "b")
        ip("-n", name, "link", "set", name + "b", "up")
        gw = gateway(workers=1, config={"server": {"listen": ["0.0.0.0:0"]}})
        gw.config["server"]["listen"] = [f"0.0.0.0:{gw.port}"]
        gw.file.write_text(json.dumps(gw.config))
        gw.start()
        assert logs(gw)[0] == 200
        script = ("import http.client, sys\n"
                  f"c = http.client.HTTPConnection('{own}', {gw.port}, timeout=60)\n"
                  "for path in ['/api/logs', '/api/logs/01890000-0000-7000-8000-000000000000', '/health']:\n"
                  "    c.request('GET', path); a = c.getresponse(); print(a.status, a.read().decode())\n")
        done = subprocess.run(["ip", "netns", "exec", name, "python3", "-c", script], capture_output=True, text=True,
                              timeout=60, check=False)
        lines = done.stdout.splitlines()
        assert [line[:3] for line in lines] == ["403", "403", "200"], done
        assert "loopback_only" in lines[0] and "ssh -L" in lines[0]
    finally:
        ip("link", "del", name + "a")
        ip("netns", "del", name)


# ---------------------------------------------------------------- how much


def test_a_large_answer(gw):
    wait_for("the store", lambda: logs(gw)[0] == 200)
    fill(gw, 2000, 1500)
    status, body = logs(gw, limit=1000, providers="filler")
    assert status == 200 and len(body["logs"]) == 1000 and len(json.dumps(body)) > 1 << 20
    assert body["pagination"]["total_count"] == 2000
    assert [row["latency"] for row in rows(gw, limit=3, sort_by="latency")] == [2000, 1999, 1998]


def test_an_answer_that_is_too_large(gw):
    wait_for("the store", lambda: logs(gw)[0] == 200)
    fill(gw, 600, 40000)
    status, body = logs(gw, limit=1000)
    assert status == 400 and "fewer rows" in body["error"]["message"]
    assert len(rows(gw, limit=10)) == 10


def test_a_hundred_at_once(gateway):
    gw = gateway(workers=2).start()
    for n in range(20):
        gw.chat(f"row {n}")
    wait_for("the rows", lambda: total(gw) == 20)
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda n: logs(gw, timeout=60, limit=1 + n % 20), range(100)))
    # A worker has 64 places; whoever finds none is told to come again.
    assert {status for status, _ in answers} <= {200, 503}
    good = [(n, body) for n, (status, body) in enumerate(answers) if status == 200]
    assert len(good) >= 64 and all(len(body["logs"]) == 1 + n % 20 for n, body in good)
    assert all(body["error"]["type"] == "logs_busy" for status, body in answers if status == 503)
    text = gw.request(path="/metrics")[2].decode()
    numbers = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert numbers["bifrost_log_queries_waiting"] == "0"
    assert int(numbers["bifrost_log_queries_total"]) >= len(good)


# ---------------------------------------------------------------- when something is missing


def test_the_reader_is_killed(gw):
    gw.chat("here")
    wait_for("the row", lambda: total(gw) == 1)
    for _ in range(3):
        time.sleep(1.1)  # ready for a second: the next start is at once
        pid = gw.pid_of("reader")
        os.kill(pid, signal.SIGKILL)
        assert gw.chat("not held up")[0] == 200
        wait_for("another reader", lambda: logs(gw)[0] == 200)
        assert came_back_at_once(gw, "reader")
        wait_for("the old one to be gone", lambda old=pid: not alive(old))
    wait_for("health", lambda: gw.request()[2]["status"] == "ok")


def test_the_reader_is_killed_within_a_question(gw):
    wait_for("the store", lambda: logs(gw)[0] == 200)
    pid = gw.pids()["reader"]
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(logs, gw) for _ in range(8)]
        wait_for("all questions", lambda: waiting(gw) == 8)
        os.kill(pid, signal.SIGKILL)
        # 503 and not the 504 of a question that nobody answers in time.
        assert {a.result()[0] for a in answers} == {503}
    wait_for("another reader", lambda: logs(gw)[0] == 200)


def test_the_reader_stands_still(gw):
    wait_for("the store", lambda: logs(gw)[0] == 200)
    pid = gw.pids()["reader"]
    os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(3) as pool:
            began = time.monotonic()
            answers = [pool.submit(logs, gw, timeout=60) for _ in range(3)]
            slowest = 0
            while not all(a.done() for a in answers):
                before = time.monotonic()
                assert gw.chat()[0] == 200
                slowest = max(slowest, time.monotonic() - before)
                time.sleep(0.1)
            assert {a.result()[0] for a in answers} == {504} and 9.5 < time.monotonic() - began
            assert slowest < 9, "a chat waited for the reader"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert wait_for("an answer", lambda: logs(gw)[0] == 200)


def waiting(gw):
    return int(re.search(r"^bifrost_log_queries_waiting (\d+)", gw.request(path="/metrics")[2].decode(), re.M).group(1))


def test_a_client_that_leaves_takes_its_question_along(gw):
    wait_for("the store", lambda: logs(gw)[0] == 200)
    pid = gw.pids()["reader"]
    os.kill(pid, signal.SIGSTOP)
    try:
        clients = [socket.create_connection(("127.0.0.1", gw.port)) for _ in range(64)]
        for c in clients:
            c.sendall(b"GET /api/logs HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # Seen from outside: a question asked before the table is full would wait in it until the time limit.
        wait_for("a full table", lambda: waiting(gw) == 64)
        assert logs(gw)[0] == 503
        for c in clients:
            c.close()
        wait_for("an empty table", lambda: waiting(gw) == 0)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert logs(gw)[0] == 200
    with gw.control() as c:
        (_, body), = c.ask(control.STATUS_GET, target="reader")
    items = {item["name"]: item["value"] for item in body["items"]}
    assert items["questions_waiting"] == "0" and int(items["questions_dropped"]) >= 60


def test_a_corrupt_store_refuses_the_start(gateway):
    gw = gateway(workers=1)
    gw.state.mkdir()
    (gw.state / "logs.db").write_bytes(b"no database " * 1000)
    code, log = gw.run_to_end()
    assert code == 78 and "logs.db" in log


def test_a_store_that_becomes_junk(gw):
    gw.chat("old")
    wait_for("the row", lambda: total(gw) == 1)
    for name in ["logs.db", "logs.db-wal", "logs.db-shm"]:
        (gw.state / name).unlink(missing_ok=True)
    (gw.state / "logs.db").write_bytes(b"no database " * 1000)
    assert wait_for("an answer", lambda: logs(gw)[0] == 503)
    assert gw.chat()[0] == 200


def test_a_store_that_goes_away_and_comes_back(gw):
    gw.chat("old")
    wait_for("the row", lambda: total(gw) == 1)
    for name in ["logs.db", "logs.db-wal", "logs.db-shm"]:
        (gw.state / name).unlink(missing_ok=True)
    assert logs(gw)[0] in (200, 503)
    gw.chat("new")
    wait_for("the new file's row", lambda: logs(gw)[0] == 200 and texts(gw) == ["new"])


def test_restart_of_writer_and_reader_under_questions(gw):
    gw.chat("steady")
    wait_for("the row", lambda: total(gw) == 1)
    over, others = threading.Event(), []

    def load():
        while not over.is_set():
            status, body = logs(gw)
            if status != 200:
                others.append((status, body["error"]["message"]))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for t in threads:
        t.start()
    for name in ["reader", "writerd", "reader"]:
        gw.ctl("restart", name)
    over.set()
    for t in threads:
        t.join()
    # What the old reader had not answered is refused and told so, nothing else happens.
    assert all(status == 503 for status, _ in others), others
    assert total(gw) == 1


def test_the_reader_cannot_write(gw):
    """Its sandbox reads the store's folder; every other file is out of reach."""
    with gw.control() as c:
        (_, body), = c.ask(control.STATUS_GET, target="reader")
    items = {item["name"]: item["value"] for item in body["items"]}
    if "landlock-files" not in items["sandbox"]:
        pytest.skip("no Landlock here")
    gw.chat("x")
    wait_for("the row", lambda: total(gw) == 1)
    pid, held = gw.pids()["reader"], []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:  # closed meanwhile
            continue
        if str(gw.state) in target:
            with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                flags = next(int(line.split()[1], 8) for line in f if line.startswith("flags:"))
            assert flags & os.O_ACCMODE == os.O_RDONLY, target
            held.append(target)
    assert len(held) >= 3  # the file, its log and the log's index


def test_status_shows_the_reader(gw):
    assert logs(gw)[0] == 200
    status = json.loads(gw.ctl("--json", "status"))
    assert "reader" in {child["name"] for child in status["children"]}
    assert "reader" in gw.request()[2]["components"]


def test_what_filters_may_name(gw):
    for model in ("mock/b", "mock/a", "mock/a"):
        gw.request("POST", "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "hi"}]})
    wait_for("the rows", lambda: total(gw) == 3)
    status, _, told = gw.request(path="/api/logs/filterdata")
    assert status == 200 and set(told) == {"providers", "models", "status", "objects", "stop_reasons", "error_types", "selected_keys",
                                           "virtual_keys", "teams", "customers"}
    assert told["models"] == ["a", "b"] and told["providers"] == ["mock"] and told["status"] == ["success"]
    assert gw.request(path="/api/logs/filterdata?dimensions=teams,models&limit=1")[2] == {"models": ["a"], "teams": []}
    for wrong in ("dimensions=nothing", "dimensions=models,", "dimensions=", "limit=0", "limit=1001", "models=a"):
        assert gw.request(path=f"/api/logs/filterdata?{wrong}")[0] == 400, wrong
    fill(gw, 50000)
    assert "m" in gw.request(path="/api/logs/filterdata", timeout=60)[2]["models"]
    assert gw.request(path="/api/logs/dropped")[2] == {"dropped_requests": 0}
