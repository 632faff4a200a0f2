/*
 * A run of the load generator: connections, the schedule of sending, and what came of it. One
 * thread, epoll.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "tests/support/loadgen/hist.h"
#include "tests/support/loadgen/message.h"
#include "tests/support/loadgen/options.h"
#include "tests/support/loadgen/reply.h"
#include "tests/support/loadgen/schedule.h"
#include "tests/support/loadgen/seen.h"
#include "tests/support/wire/link.h"

/* How a request ended, as its client saw it. */
enum load_end {
	LOAD_DONE,        /* whole, whatever its status; a stream with its terminal event */
	LOAD_NO_TERMINAL, /* a stream that ended cleanly without it */
	LOAD_ERROR_EVENT, /* a stream whose last word was an error */
	LOAD_GARBLED,     /* words missing, doubled or of another request */
	LOAD_CUT,
	LOAD_RST,
	LOAD_BAD_HTTP,
	LOAD_TIMEOUT,
	LOAD_END_COUNT,
};

#define LOAD_STATUS_MAX 600
#define LOAD_LATE_NS    1000000 /* a request sent so much after its time counts as late */

/* Zeroed at the start; the histograms hold what was meant to be sent after the warm-up. */
struct load_report {
	uint64_t ends[LOAD_END_COUNT]; /* of all requests */
	uint64_t statuses[LOAD_STATUS_MAX];
	uint64_t requests, measured; /* ended; of them after the warm-up */
	uint64_t due, unsent;        /* open loop: meant to be sent; of them never sent */
	uint64_t late;
	uint64_t connects, connect_errors, closed_idle, held, held_lost;
	uint64_t bytes_in, bytes_out, events, tokens;
	int64_t latest_ns;  /* the worst delay of sending */
	int64_t elapsed_ns; /* measured part, to its last answer */
	struct hist latency, service, first_byte, gap;
};

enum client_state {
	CLIENT_CLOSED,
	CLIENT_CONNECTING,
	CLIENT_FREE,
	CLIENT_BUSY,
	CLIENT_HELD, /* --idle: answered, kept open */
};

struct client {
	struct load *load;
	enum client_state state;
	struct link link;
	bool waits_for_room; /* EPOLLOUT is on */
	bool was_asked;      /* --idle: had its request */
	int64_t retry_ns;    /* closed: when to connect again */
	struct reply reply;
	struct seen seen;
	uint64_t number;
	char digits[MESSAGE_DIGITS];
	size_t sent;
	int64_t intended_ns, sent_ns, first_ns, last_event_ns;
};

struct load {
	const struct options *options;
	struct message message;
	struct ssl_ctx_st *tls;
	int epoll;
	struct client *clients;
	uint32_t *free_ring; /* indices of free clients, oldest first */
	uint32_t free_first, free_count;
	struct schedule schedule;
	uint64_t issued;
	int64_t now_ns, start_ns, end_ns, measured_ns, last_end_ns;
	int ledger; /* -1: none */
	struct bf_buf lines;
	struct bf_buf input; /* what was read, for all clients */
	struct load_report report;
};

const char *load_end_name(enum load_end end);

/* Runs to the end. 0 or a negative code and a line. load is zeroed but for options. */
int load_run(struct load *l, struct bf_err *err);
void load_done(struct load *l);

/* Report as text, and as JSON. True: the rate could be kept. */
bool report_print(const struct load *l);
int report_json(const struct load *l, struct bf_err *err);
