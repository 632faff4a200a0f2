/* One client's connection: reads requests, lets out answers as their scripts want them. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "tests/support/mockllm/answer.h"
#include "tests/support/mockllm/http_in.h"
#include "tests/support/mockllm/ledger.h"
#include "tests/support/wire/link.h"

#define CONN_MARKS     1024u         /* events rendered and not yet taken by the kernel */
#define CONN_AHEAD     (64u << 10)   /* bytes rendered ahead of the kernel; one event more */
#define CONN_IN_MAX    (96u << 20)   /* one request, pipelined ones behind it */
#define CONN_OUT_MAX   (2047u << 20) /* one plain answer */
#define CONN_LATER_MAX (1u << 20)    /* what comes while an answer is under way */
#define CONN_KEEP      (64u << 10)   /* an idle connection keeps buffers up to this size */

struct server {
	struct ev_loop *loop;
	struct ssl_ctx_st *tls; /* NULL: plain */
	struct script base;
	struct ledger ledger;
	struct asked asked;
	struct conn *conns;
	uint64_t accepted;
};

struct mark {
	uint64_t end; /* offset of the byte behind the event */
	uint32_t words;
};

struct conn {
	struct server *server;
	struct conn *next, **at; /* in server->conns */
	struct link link;
	ev_io readable, writable;
	ev_timer timer;

	struct bf_buf in, later;
	struct http_in request;
	struct bf_arena arena; /* of the request under way */

	bool busy;     /* an answer is under way */
	bool waiting;  /* for its latency */
	bool silent;   /* stalled, or half closed: only the client's end is awaited */
	bool closing;  /* close behind this answer */
	bool produced; /* all of it is rendered */
	struct answer answer;
	struct bf_buf out;
	uint64_t sent, limit; /* limit: where the fault strikes */
	uint64_t allowance;   /* trickle: bytes until the next tick */
	struct mark *marks;
	uint32_t mark_first, mark_count;
	uint64_t events, words; /* taken by the kernel */
	int64_t first_event_ns, started_wall_ns;
};

/* Takes fd over; an error closes it. */
void conn_open(struct server *s, int fd);
/* The server stops: what is under way ends as "stopped". */
void conn_close_all(struct server *s);
