/*
 * One line for each request that was received, written whole by a single write(2) when the request
 * ends; and the count of requests per user that fail_first looks at.
 */
#pragma once

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

struct ledger_line {
	struct bf_slice user, path, bearer; /* user: raw JSON text */
	bool stream;
	int status;
	uint64_t prompt_tokens, completion_tokens; /* as told, or as would have been told */
	uint64_t delivered_tokens, delivered_bytes, events;
	const char *end;
	int64_t started_ns, ended_ns; /* wall clock */
};

struct ledger {
	int fd; /* -1: none is kept */
	struct bf_buf line;
	uint64_t lines;
};

/* 0 or -errno. file NULL: none is kept. */
int ledger_open(struct ledger *l, const char *file);
/* A line that cannot be written ends the program: a ledger with a hole proves nothing. */
void ledger_append(struct ledger *l, const struct ledger_line *line);
void ledger_close(struct ledger *l);

#define ASKED_MAX (1u << 22)

struct asked_entry {
	uint64_t hash; /* 0: free */
	uint64_t count;
};

/* Zeroed: empty. */
struct asked {
	struct asked_entry *entries;
	uint32_t size, used; /* size: a power of two */
};

/* Requests of this user before this one; counts this one. Beyond ASKED_MAX users, or without
 * memory, UINT64_MAX: nothing fails then. */
uint64_t asked_before(struct asked *t, struct bf_slice user);
void asked_done(struct asked *t);
