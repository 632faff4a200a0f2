#!/usr/bin/env python3
"""Who may include whom, and the one home of each library header."""

import re

from house import ROOT, finish, tracked

# room: prefixes of ours it may include besides itself
ROOMS = {
    "common/base": [],
    "common/log": ["common/base"],
    "common/crypt": ["common/base"],
    "common/codec": ["common/base"],
    # Only the structs of the configuration; the loader asks it back whether a plan can be made.
    "common/govern": ["common/base", "common/schema/config.h", "common/schema/field.h"],
    "common/schema": ["common/base", "common/codec", "common/govern/plan.h"],
    "common/snapshot": ["common/base", "common/codec", "common/schema", "common/govern"],
    "common/net": ["common/base", "common/log"],
    "common/ipc": ["common/base", "common/log", "common/codec", "common/schema", "common/net"],
    "common/proc": ["common/"],
    "shm": ["common/base"],
    "supervisor": ["common/", "shm/"],
    "clusterd": ["common/", "shm/"],
    "discoveryd": ["common/", "shm/"],
    # The write path: a record becomes a row, the row is stored, what it charged goes to its meters. A change becomes
    # entities, these a snapshot. Both stand over the same store.
    "writerd/entity": ["common/", "shm/"],
    "writerd/row": ["common/", "shm/", "writerd/entity/"],
    "writerd/store": ["common/", "shm/", "writerd/entity/", "writerd/row/", "writerd/priority.h"],
    "writerd/limits": ["common/", "shm/", "writerd/entity/", "writerd/row/", "writerd/store/"],
    "writerd/usage": ["common/", "shm/", "writerd/row/", "writerd/store/", "writerd/limits/", "writerd/priority.h"],
    "writerd/change": ["common/", "shm/", "writerd/entity/", "writerd/store/", "writerd/limits/"],
    "writerd/reader": ["common/", "shm/", "writerd/entity/", "writerd/row/", "writerd/store/", "writerd/paths.h", "writerd/priority.h"],
    "writerd": ["common/", "shm/", "writerd/"],
    "ctl": ["common/", "shm/"],
    # The request path: data flows front -> gate -> provider -> record over the ground floor.
    "proxyd/front": ["common/", "shm/", "proxyd/exchange.h", "proxyd/worker.h", "proxyd/head_field.h", "proxyd/head_scan.h",
                     "proxyd/gate/route.h", "proxyd/gate/error.h"],
    # The management API: asks others, and stands beside the gate, whose route table it extends.
    "proxyd/api": ["common/", "shm/", "proxyd/ask.h", "proxyd/exchange.h", "proxyd/worker.h", "proxyd/snapshot.h",
                   "proxyd/gate/route.h", "proxyd/gate/error.h", "proxyd/gate/local.h", "proxyd/gate/query.h",
                   "proxyd/gate/listing.h", "proxyd/gate/logs.h", "proxyd/gate/models.h", "proxyd/gate/explain.h", "proxyd/gate/vkey.h"],
    "proxyd/gate": ["common/", "shm/", "proxyd/api/api.h", "proxyd/ask.h", "proxyd/exchange.h", "proxyd/snapshot.h",
                    "proxyd/worker.h", "proxyd/provider/provider.h",
                    "proxyd/provider/key.h",
                    "proxyd/record/record.h"],
    "proxyd/provider": ["common/", "shm/", "proxyd/exchange.h", "proxyd/worker.h", "proxyd/record/record.h",
                        "proxyd/head_field.h", "proxyd/head_scan.h"],
    "proxyd/record": ["common/", "shm/", "proxyd/exchange.h", "proxyd/worker.h"],
    "proxyd": ["common/", "shm/", "proxyd/"],
}
LIBRARY_HOME = {
    "yaml.h": ["common/schema/"],
    "msgpack.h": ["common/codec/mp"],
    "msgpack/": ["common/codec/mp"],
    "sqlite3.h": ["writerd/store/store_sqlite", "tests/", "bench/"],
    "llhttp.h": ["proxyd/front/http1", "proxyd/provider/"],
    "stdatomic.h": ["shm/", "tests/torture/", "tests/unit/shm/", "bench/"],
    "openssl/": ["tests/support/wire/link", "common/crypt/", "common/net/tls", "common/schema/", "tests/unit/common/net/test_tls"],
    "ares.h": ["common/net/resolve"],
    "curl/": ["common/net/fetch"],
    "linux/seccomp.h": ["common/proc/"],
    "linux/landlock.h": ["common/proc/"],
}


def room_of(path):
    for room in sorted(ROOMS, key=len, reverse=True):
        if path.startswith(room + "/"):
            return room
    return None


def check(path, text):
    room = room_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not found:
            continue
        kind, name = found.groups()
        if kind == "<":
            for header, homes in LIBRARY_HOME.items():
                if name.startswith(header) and not any(path.startswith(h) for h in homes):
                    yield f"{path}:{number}: <{name}> belongs to {', '.join(homes)}"
        elif "/" in name:
            if room and not name.startswith(room + "/") and not any(name.startswith(p) for p in ROOMS[room]):
                yield f"{path}:{number}: {room} must not include {name}"
        elif path.startswith(("common/", "shm/", "supervisor/", "proxyd/", "clusterd/", "discoveryd/", "writerd/", "ctl/")):
            yield f'{path}:{number}: "{name}": include by the path from the root'


def main():
    files = tracked(".c", ".h", ".def")
    problems = []
    for file in files:
        path = str(file.relative_to(ROOT))
        problems += check(path, file.read_text())
        if file.suffix == ".h" and "#pragma once" not in file.read_text():
            problems.append(f"{path}: no #pragma once")
    finish(len(files), problems)


main()
