"""Three books of the same requests: what the provider told whom, what each client saw, and the rows. judge() compares them
request by request; `user` in the body and x-request-id are the same word, so that nothing has to be guessed. Meters are
compared with the rows by wrong_meters() of tests/integration/books.py.

(1) A row of a living worker says what the provider's ledger says, exactly. (2) A request within a killed worker has exactly
one row, marked crashed, and what its client saw <= what is charged <= what its provider gave. (3) No row without a request,
none doubled, none missing; who was refused may have one, which says so and charges nothing. (4) What a row is charged is what it says was used; one of a
killed worker is charged at least that. (5) Meters are the sums of what their rows are charged, exactly.
"""

from collections import Counter, defaultdict

from books import PRICE

REFUSED = (429, 402)  # by a limit, before anything was spent


class Books:
    def __init__(self, provider, clients, rows, keys):
        """keys: {name of a key: the last 6 characters of its value}."""
        self.keys = keys
        self.clients = {}
        for line in clients:
            assert line["user"] not in self.clients, f"a client's id twice: {line['user']}"
            self.clients[line["user"]] = line
        self.provider = defaultdict(list)
        for line in sorted(provider, key=lambda p: p["started_ns"]):
            self.provider[line["user"]].append(line)
        self.rows = defaultdict(list)
        for row in rows:
            self.rows[row["request_id"]].append(row)


def tokens_of(row):
    return [row["prompt_tokens"], row["completion_tokens"]]


def of_success(row, told, key):
    """What is wrong with a living worker's row of a whole answer."""
    if not told:
        yield "success although the provider was never asked"
        return
    last = told[-1]
    if last["end"] != "done" or last["status"] != 200:
        yield f"success, but the provider's last answer ended as {last['end']} with {last['status']}"
    if tokens_of(row) != [last["prompt_tokens"], last["completion_tokens"]]:
        yield f"tokens {tokens_of(row)}, the provider told {last['prompt_tokens']}, {last['completion_tokens']}"
    if row["http_status"] != 200 or row["truncated"] or row["estimated"]:
        yield f"success with status {row['http_status']}, truncated {row['truncated']}, estimated {row['estimated']}"
    if last["key"] != key:
        yield f"key {key}, the provider saw {last['key']}"


def of_failure(row, told, client):
    """What is wrong with a living worker's row of an answer that failed."""
    last = told[-1] if told else None
    if row["client_gone"]:
        return
    if last is None:
        yield "an error although the provider was never asked"
    elif last["end"] == "done" and last["status"] == 200:
        yield "an error although the provider gave its whole answer"
    elif last["stream"] and last["status"] == 200 and client["status"] == 200:
        # Nobody told a number: each event that came whole and carried a word counts.
        given = last["delivered_tokens"]
        if not row["truncated"] or row["completion_tokens"] != given:
            yield f"a cut stream of {given} words: truncated {row['truncated']}, {row['completion_tokens']} tokens"


def asked(row, completion):
    """How many requests a row may count whose client has no whole answer: who hangs up on a stream that began has asked."""
    if not (row["client_gone"] and row["stream"]):
        return {0}
    return {1} if completion else {0, 1}


def of_charges(row):
    """What is wrong with what a row is charged."""
    prompt, completion = tokens_of(row)
    charged = [row["charged_requests"], row["charged_tokens"], row["cost_nusd"]]
    used = [prompt + completion, prompt * PRICE["input"] + completion * PRICE["output"]]
    if row["crashed"]:
        if charged[0] > 1 or charged[1] < used[0] or charged[2] < used[1]:
            yield f"crashed and charged {charged}, used {used}"
    elif row["status"] == "success":
        if charged != [1, *used]:
            yield f"charged {charged}, used {used}"
    elif charged[0] not in asked(row, completion) or charged[1:] not in ([used] if completion else [used, [0, 0]]):
        yield f"failed and charged {charged}, used {used}"


def of_stopped(row, told, client):
    """What is wrong with the row of a worker that left because its supervisor was killed."""
    given = max((p["delivered_tokens"] for p in told), default=0)
    if not client["tokens_seen"] <= row["completion_tokens"] <= given:
        yield f"seen {client['tokens_seen']} <= told {row['completion_tokens']} <= given {given} does not hold"
    if row["status"] != "error":
        yield f"stopped with status {row['status']}"


def was_stopped(row):
    """Its worker left in order, in the midst of it."""
    return "worker_stopped" in (row["error_details"] or "")


def is_refused(row):
    """Before a provider was asked."""
    return '"refused_by"' in (row["error_details"] or "")


def of_refused(row, told, client):
    charged = [row["charged_requests"], row["charged_tokens"], row["cost_nusd"]]
    if told:
        yield f"refused, but the provider saw it {len(told)} times"
    if row["status"] != "error" or row["number_of_retries"] or tokens_of(row) != [0, 0] or any(charged):
        yield f"refused with status {row['status']}, {row['number_of_retries']} retries, {tokens_of(row)} tokens, charged {charged}"
    if client["tokens_seen"]:
        yield f"refused, but its client saw {client['tokens_seen']} words"


def of_living(row, told, client, key):
    attempts = row["number_of_retries"] + 1
    # Who left while an attempt was being made, client or worker, may have left before its bytes did.
    if attempts != len(told) and not ((row["client_gone"] or was_stopped(row)) and attempts == len(told) + 1):
        yield f"{attempts} attempts, the provider saw {len(told)}"
    if row["status"] == "success":
        yield from of_success(row, told, key)
    elif was_stopped(row):
        yield from of_stopped(row, told, client)
    else:
        yield from of_failure(row, told, client)


def of_crashed(row, told, client):
    attempts = row["number_of_retries"] + 1
    given = max((p["delivered_tokens"] for p in told), default=0)
    if not client["tokens_seen"] <= row["completion_tokens"] <= given:
        yield f"seen {client['tokens_seen']} <= charged {row['completion_tokens']} <= given {given} does not hold"
    if not len(told) <= attempts <= len(told) + 1:
        yield f"{attempts} attempts, the provider saw {len(told)}"
    if row["status"] != "error" or not row["estimated"]:
        yield f"crashed with status {row['status']}, estimated {row['estimated']}"
    if client["end"] in ("done", "error_event"):
        yield f"crashed, but its client saw a proper end: {client['end']} {client['status']}"


def of_whole(row, client):
    """What a client saw to its end is in the row."""
    if client["status"] == 200 and (row["status"] != "success" or row["crashed"]):
        yield f"its client saw a whole answer; the row says {row['status']}, crashed {row['crashed']}"
    if client["status"] != 200 and (row["status"] != "error" or row["http_status"] != client["status"]):
        yield f"its client saw {client['status']}; the row says {row['status']} {row['http_status']}"
    if client["usage"] and client["usage"] != tokens_of(row):
        yield f"its client was told {client['usage']}; the row says {tokens_of(row)}"


def of_request(books, user, client):
    """What is wrong with one request."""
    told, rows = books.provider.get(user, []), books.rows.get(user, [])
    if len(rows) > 1:
        yield f"{len(rows)} rows"
    if not rows:
        if told:
            yield f"no row, but the provider saw it {len(told)} times"
        if client["end"] == "done" and client["status"] not in REFUSED:
            yield f"no row, but its client saw {client['status']}"
        return
    row = rows[0]
    if is_refused(row):
        yield from of_refused(row, told, client)
    else:
        yield from of_admitted(books, row, told, client)
    if client["end"] == "done":
        yield from of_whole(row, client)
    if client["end"] == "garbled":
        yield "its client saw words of somebody else, or not all"


def of_admitted(books, row, told, client):
    yield from of_charges(row)
    if row["crashed"]:
        yield from of_crashed(row, told, client)
    else:
        yield from of_living(row, told, client, books.keys.get(row["selected_key_name"]))


def judge(books):
    """Every mismatch as (user, what)."""
    wrong = [(user, what) for user, client in books.clients.items() for what in of_request(books, user, client)]
    wrong += [(user, "a row without a request") for user in books.rows if user not in books.clients]
    return wrong + [(user, "the provider saw what nobody sent") for user in books.provider if user not in books.clients]


def account(books):
    """How many of what there were, to be printed and to see that the run tested what it should."""
    rows = [row for several in books.rows.values() for row in several]
    return {
        "requests": len(books.clients),
        "rows": len(rows),
        "attempts": sum(len(p) for p in books.provider.values()),
        "crashed": sum(r["crashed"] for r in rows),
        "crashed after words": sum(1 for r in rows if r["crashed"] and books.clients[r["request_id"]]["tokens_seen"]),
        "refused": sum(is_refused(r) for r in rows),
        "truncated": sum(r["truncated"] for r in rows),
        "client gone": sum(r["client_gone"] for r in rows),
        "retried": sum(1 for r in rows if r["number_of_retries"]),
        "ends": dict(Counter(c["end"] for c in books.clients.values())),
        "statuses": dict(Counter(c["status"] for c in books.clients.values())),
        "without a row": sum(1 for u in books.clients if u not in books.rows),
    }
