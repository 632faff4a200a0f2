"""Rows: each answer has exactly one, whatever happens to writerd, to the workers and to the disk."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from gateway import wait_for


def ask(path, sql="SELECT count(*) FROM logs", *values):
    """First row of a question to a database, a single column without its tuple; None: there is no such file yet."""
    if not path.exists():
        return None
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as db:
        try:
            row = db.execute(sql, values).fetchone()
        except sqlite3.OperationalError as e:
            if "no such table" in str(e):  # the file is being made
                return None
            raise
    return row[0] if row and len(row) == 1 else row


def logs(gw):
    return gw.state / "logs.db"


def rows(gw, where="1"):
    return ask(logs(gw), f"SELECT count(*) FROM logs WHERE {where}")


def reasons(gw, component="writerd"):
    return gw.request()[2]["components"][component]["reasons"]


class Load:
    """Chats from several threads until the block ends; self.answers counts the 200s, self.others the rest."""

    def __init__(self, gw, threads=4, pause=0.0):
        self.gw, self.answers, self.others, self.pause = gw, 0, [], pause
        self.over, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        while not self.over.is_set():
            try:
                status = self.gw.chat()[0]
            except OSError as e:
                status = repr(e)
            with self.lock:
                if status == 200:
                    self.answers += 1
                else:
                    self.others.append(status)
            time.sleep(self.pause)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()


def test_who_writes_rows_does_not_interrupt_requests(gateway):
    gw = gateway(workers=1).start()
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    for name, pid in gw.pids().items():
        lower = (os.SCHED_BATCH, min(ours + 5, 19))
        wanted = lower if name.split(".")[0] in ("writerd", "reader") else (os.SCHED_OTHER, ours)
        assert (os.sched_getscheduler(pid), os.getpriority(os.PRIO_PROCESS, pid)) == wanted, name


def test_an_answer_becomes_a_row(gateway):
    gw = gateway().start()
    before = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    assert gw.chat("what is a row?", model="mock/m-1")[0] == 200
    wait_for("the row", lambda: rows(gw) == 1)
    names = ("status, provider, model, http_status, object_type, stream, number_of_retries, crashed, estimated, truncated, "
             "client_gone")
    assert ask(logs(gw), f"SELECT {names} FROM logs") == ("success", "mock", "m-1", 200, "chat.completion", 0, 0, 0, 0, 0, 0)
    timestamp, created = ask(logs(gw), "SELECT timestamp, created_at FROM logs")
    assert before <= timestamp <= created
    latency, first_byte, prompt, completion, total = ask(
        logs(gw), "SELECT latency, first_byte_ms, prompt_tokens, completion_tokens, total_tokens FROM logs")
    assert latency > 0 and (first_byte is None or 0 < first_byte <= latency)
    assert prompt > 0 and completion > 0 and total == prompt + completion
    assert ask(logs(gw), "SELECT input_history LIKE '%what is a row?%' AND length(output_message) > 0 FROM logs") == 1
    assert ask(logs(gw), "SELECT cluster_node_id FROM logs") == ask(gw.state / "config.db", "SELECT id FROM node")
    # No price is known: no cost is told.
    assert ask(logs(gw), "SELECT cost IS NULL AND cost_nusd = 0 FROM logs") == 1
    assert logs(gw).stat().st_mode & 0o777 == 0o600


def test_a_stream_becomes_one_row(gateway):
    gw = gateway().start()
    assert gw.chat("one two three", stream=True)[0] == 200
    wait_for("the row", lambda: rows(gw, "stream AND object_type = 'chat.completion' AND status = 'success'") == 1)
    assert rows(gw) == 1


def test_a_node_keeps_its_id_over_restarts(gateway):
    gw = gateway().start()
    first = wait_for("the id", lambda: ask(gw.state / "config.db", "SELECT id FROM node"))
    gw.stop()
    gw.start()
    assert ask(gw.state / "config.db", "SELECT id FROM node") == first
    # Noted once: nothing changed in between.
    noted = "SELECT count(*) FROM config_history WHERE length(config_hash) = 64"
    wait_for("the note", lambda: ask(gw.state / "config.db", noted) == 1)


def test_every_configuration_that_was_applied_is_noted(gateway):
    gw = gateway().start()
    writer = gw.pids()["writerd"]
    gw.file.write_text(gw.file.read_text() + "\n")
    gw.ctl("reload")
    assert gw.pids()["writerd"] == writer, "a change of white space replaces nobody"
    wait_for("the second note", lambda: ask(gw.state / "config.db", "SELECT count(DISTINCT config_hash) FROM config_history") == 2)


def test_writerd_killed_twenty_times_under_load(gateway):
    gw = gateway(workers=2).start()
    with Load(gw, pause=0.002) as load:
        for _ in range(20):
            old = gw.steady("writerd")
            os.kill(old, signal.SIGKILL)
            wait_for("another writerd", lambda old=old: gw.pids().get("writerd") not in (None, 0, old))
    assert load.others == []
    assert load.answers > 100
    wait_for("all rows", lambda: rows(gw) == load.answers)
    time.sleep(0.5)
    assert ask(logs(gw), "SELECT count(*), count(DISTINCT id) FROM logs") == (load.answers, load.answers)
    assert rows(gw, "crashed OR estimated") == 0
    assert rows(gw, "input_history IS NULL OR output_message IS NULL") == 0


def test_a_killed_worker_leaves_one_row_for_each_request(gateway):
    gw = gateway(workers=1, config={"providers": {"mock": {"mock_config": {"latency": "30s"}}}}).start()
    results = []

    def call():
        with contextlib.suppress(OSError):
            results.append(gw.chat()[0])

    calls = [threading.Thread(target=call) for _ in range(10)]
    for t in calls:
        t.start()
    wait_for("ten requests in flight", lambda: gw.metric("bifrost_requests_in_flight") == 10)
    os.kill(gw.pid_of("proxyd.0"), signal.SIGKILL)
    for t in calls:
        t.join()
    wait_for("their rows", lambda: rows(gw) == 10)
    assert rows(gw, "crashed AND estimated AND status = 'error' AND error_details LIKE '%worker_crashed%'") == 10
    wait_for("the worker's place", lambda: gw.metric("bifrost_log_rows_swept_total") == 10)


def test_a_stop_writes_everything(gateway):
    gw = gateway().start()
    with Load(gw) as load:
        wait_for("some answers", lambda: load.answers > 200)
    assert gw.stop() == 0
    assert not (gw.state / "logs.db-wal").exists()
    assert gw.events("rows_left") == []
    assert rows(gw) == load.answers


def test_nothing_is_lost_when_all_die_at_once(gateway):
    gw = gateway().start()
    with Load(gw) as load:
        wait_for("some answers", lambda: load.answers > 100)
        os.kill(gw.pid_of("writerd"), signal.SIGSTOP)
        wait_for("more answers", lambda: load.answers > 300)
        gw.kill_supervisor()
        load.over.set()
    wait_for("the children's end", lambda: not any(gw.is_ours(p) for p in gw.seen))
    gw.start()
    # The client of a request that died with its worker may have read a part of the answer: that row is there too.
    wait_for("all rows", lambda: rows(gw, "NOT crashed") >= load.answers)
    assert ask(logs(gw), "SELECT count(*) - count(DISTINCT id) FROM logs") == 0
    assert rows(gw) - load.answers <= len(load.threads)


def test_a_locked_store_is_shown_and_heals(gateway):
    gw = gateway().start()
    assert gw.chat()[0] == 200
    wait_for("the row", lambda: rows(gw) == 1)
    with contextlib.closing(sqlite3.connect(logs(gw), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(5):
            assert gw.chat()[0] == 200
        wait_for("red health", lambda: any("refuses rows" in r for r in reasons(gw)))
        assert gw.request()[0] == 200
        assert gw.request()[2]["status"] == "degraded"
        assert gw.chat()[0] == 200
        assert rows(gw) == 1
        assert gw.metric("bifrost_store_errors_total") > 0
    wait_for("all rows", lambda: rows(gw) == 7)
    wait_for("green health", lambda: not reasons(gw))
    assert len(gw.events("store_failing")) == 1
    assert len(gw.events("store_healed")) == 1


def test_a_file_that_is_moved_away_is_made_anew(gateway):
    gw = gateway().start()
    assert gw.chat()[0] == 200
    wait_for("the row", lambda: rows(gw) == 1)
    logs(gw).rename(gw.state / "old.db")
    for _ in range(3):
        assert gw.chat()[0] == 200
    wait_for("the new rows", lambda: rows(gw) == 3)
    assert ask(gw.state / "old.db") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="a small tmpfs needs root")
def test_a_full_disk_loses_nothing(gateway, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "bifrost-test", small], check=False).returncode:
        pytest.skip("no right to mount")
    try:
        gw = gateway(config={"logs_store": {"enabled": True, "type": "sqlite", "config": {"path": str(small / "logs.db")}}})
        gw.start()
        sent = 0
        while not gw.events("store_failing"):
            assert sent < 2000
            assert gw.chat("x" * 8000)[0] == 200
            sent += 1
        for _ in range(20):
            assert gw.chat("x" * 8000)[0] == 200
        assert ask(small / "logs.db") < sent
        assert any("refuses rows" in r for r in reasons(gw))
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        wait_for("all rows", lambda: ask(small / "logs.db") == sent + 20)
        # Bodies may be dropped before rows, and are counted then; a row may have its question still.
        whole = "input_history IS NOT NULL AND output_message IS NOT NULL"
        assert ask(small / "logs.db", "SELECT count(DISTINCT id) FROM logs") == sent + 20
        kept = ask(small / "logs.db", f"SELECT count(*) FROM logs WHERE {whole}")
        assert kept > 0 and sent + 20 - kept == gw.metric("bifrost_content_dropped_total")
        assert ask(small / "logs.db", "PRAGMA integrity_check") == "ok"
        gw.stop()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_old_rows_leave(gateway):
    gw = gateway(config={"logs_store": {"enabled": True, "type": "sqlite", "config": {"path": "logs.db"},
                                        "retention_days": 2}}).start()
    for _ in range(5):
        assert gw.chat()[0] == 200
    wait_for("the rows", lambda: rows(gw) == 5)
    gw.stop()
    with contextlib.closing(sqlite3.connect(logs(gw))) as db:
        day = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{} days')"
        db.execute(f"UPDATE logs SET timestamp = {day.format(3)} WHERE inc_number <= 3")
        db.execute(f"UPDATE logs SET timestamp = {day.format(1)} WHERE inc_number = 4")
        db.commit()
    gw.start()
    wait_for("old rows to leave", lambda: rows(gw) == 2)
    assert rows(gw, "inc_number IN (4, 5)") == 2


def test_logging_off_keeps_no_rows_and_blocks_nothing(gateway):
    gw = gateway(config={"client": {"enable_logging": False}}).start()
    with Load(gw) as load:
        wait_for("more answers than a ring has places", lambda: load.answers > 1500)
    assert load.others == []
    gw.stop()
    assert not logs(gw).exists()


def test_a_store_that_is_off_still_sweeps(gateway):
    gw = gateway(workers=1, config={"logs_store": {"enabled": False}}).start()
    for _ in range(3):
        with Load(gw) as load:
            wait_for("answers", lambda: load.answers > 100)
        pid = gw.pids()["proxyd.0"]
        os.kill(pid, signal.SIGKILL)
        wait_for("another worker", lambda: gw.pids()["proxyd.0"] not in (0, pid))
    gw.stop()
    assert not logs(gw).exists()


def test_rows_without_content(gateway):
    gw = gateway(config={"client": {"disable_content_logging": True}}).start()
    assert gw.chat("a secret")[0] == 200
    wait_for("the row", lambda: rows(gw) == 1)
    assert rows(gw, "input_history IS NULL AND output_message IS NULL") == 1
    gw.stop()
    assert b"a secret" not in logs(gw).read_bytes()


@pytest.mark.parametrize("damage, words", [
    ("newer", "schema version 99"),
    ("junk", "not a database"),
    ("foreign", "another program"),
])
def test_a_file_that_is_not_ours_is_refused_in_one_line(gateway, damage, words):
    gw = gateway()
    if damage == "newer":
        gw.start()
        gw.stop()
        with contextlib.closing(sqlite3.connect(logs(gw))) as db:
            db.execute("INSERT INTO schema_migrations VALUES (99, 'later', '')")
            db.commit()
    elif damage == "junk":
        gw.state.mkdir(parents=True)
        logs(gw).write_bytes(b"junk" * 1000)
    else:
        gw.state.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(logs(gw))) as db:
            db.execute("CREATE TABLE theirs (id TEXT)")
            db.commit()
    before = logs(gw).read_bytes()
    gw.spawn()
    line = wait_for("its complaint", lambda: gw.events("store_unusable"))[0]
    assert words in line and str(logs(gw)) in line
    wait_for("exit 78", lambda: any("exit=78" in e for e in gw.events("leaving")))
    assert logs(gw).read_bytes() == before


def test_a_waiting_writerd_does_not_wait_for_a_full_disk_to_stop(gateway):
    gw = gateway().start()
    with contextlib.closing(sqlite3.connect(wait_for("the file", lambda: logs(gw).exists() and logs(gw)),
                                            isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert gw.chat()[0] == 200
        began = time.monotonic()
        assert gw.stop() == 0
        assert time.monotonic() - began < 40
    assert gw.events("rows_left")
    gw.start()
    wait_for("the row", lambda: rows(gw) == 1)


def test_backup_copy_can_be_read_while_running(gateway, tmp_path):
    gw = gateway().start()
    assert gw.chat()[0] == 200
    wait_for("the row", lambda: rows(gw) == 1)
    copy = tmp_path / "copy.db"
    with contextlib.closing(sqlite3.connect(logs(gw))) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    assert ask(copy) == 1
    shutil.copy(copy, tmp_path / "second.db")
    assert ask(tmp_path / "second.db") == 1
