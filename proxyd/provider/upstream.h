/*
 * HTTP/1.1 client of the request path: a pool of connections to one host, and calls over them. One
 * pool per provider and worker. Nothing here knows what the bytes mean.
 */
#pragma once

#include <ev.h>
#include <sys/uio.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/net/resolve.h"
#include "common/net/tls.h"
#include "proxyd/provider/upstream_http.h"
#include "proxyd/provider/upstream_target.h"

#define UPSTREAM_CONNS_MAX          5000u /* per pool, when nothing else is said */
#define UPSTREAM_IDLE_MAX           64u   /* idle connections kept per pool, newest used first */
#define UPSTREAM_IDLE_EXPIRY_MS     30000
#define UPSTREAM_LIFETIME_MS        300000 /* then a connection is not used again */
#define UPSTREAM_REAP_MS            1000
#define UPSTREAM_CONNECT_TIMEOUT_MS 10000       /* when nothing else is said */
#define UPSTREAM_READ_BYTES         (64u << 10) /* shared read buffer of a pool */
#define UPSTREAM_READS_PER_TURN     4u          /* of one TLS connection */
#define UPSTREAM_DRAIN_BYTES        (16u << 10) /* read over after an answer's meaning is complete */
#define UPSTREAM_DRAIN_MS           2000
#define UPSTREAM_RACE_MIN_MS        50 /* a kept connection that fails sooner may be sent anew */
#define UPSTREAM_RACE_MAX_MS        250
#define UPSTREAM_IOV_MAX            10u

struct upstream_call;
struct upstream_conn;
struct worker;

struct upstream_failure {
	int http_status;  /* for the client: 502, 503, 504 */
	bool local;       /* ours: another attempt would fare no better */
	const char *type; /* snake_case, for the row */
	const char *text; /* one line for a person; lives until the call's owner forgets the call */
};

/*
 * What a call reports. Once on_end or on_fail came, or upstream_cancel or upstream_release was
 * called, the call is over and nothing of it is touched any more.
 */
struct upstream_events {
	/* False: the call is over (cancelled or released within); the same for the others. */
	bool (*on_head)(struct upstream_call *call, const struct upstream_head *head);
	bool (*on_body)(struct upstream_call *call, struct bf_slice bytes);
	/* After each read: shall reading go on? If not, upstream_resume continues it. */
	bool (*wants_more)(struct upstream_call *call);
	/* A kept connection turned out to be dead: the request is sent once more. Must not end the
	 * call. */
	void (*on_repeat)(struct upstream_call *call);
	void (*on_end)(struct upstream_call *call);
	void (*on_fail)(struct upstream_call *call, const struct upstream_failure *failure);
};

/*
 * Who may call now and who waits, first come first served. One for all pools of a provider; it must
 * outlive them.
 */
struct upstream_queue {
	struct ev_loop *loop;
	struct worker *worker; /* whose gauge and counter; NULL: nobody's */
	unsigned running_max;  /* calls at once; 0: no limit */
	unsigned waiting_max;  /* calls that wait, when ... */
	bool drop_excess;      /* ... further ones are refused; else they wait too */
	unsigned running, waiting, pools;
	struct upstream_call *first, *last;
	ev_prepare pump; /* what became free is given away at the end of the turn */
};

struct upstream_options {
	struct upstream_queue *queue;
	unsigned conns_max;         /* 0: UPSTREAM_CONNS_MAX */
	int64_t connect_timeout_ms; /* name, connect and TLS together; 0: the default */
};

struct upstream {
	struct ev_loop *loop;
	struct bf_resolver *resolver;
	struct upstream_queue *queue;
	unsigned conns_max;
	int64_t connect_timeout_ms;
	struct bf_tls_trust *trust; /* NULL: http */
	struct bf_tls_session session;
	struct upstream_target target;
	struct upstream_conn *conns;              /* all but the dead */
	struct upstream_conn *newest_idle, *dead; /* dead: freed when the turn is over */
	unsigned conn_count, idle_count;
	ev_timer reaper;
	ev_prepare burier;
	char *in;          /* UPSTREAM_READ_BYTES: what is read is used within the call */
	size_t in_bytes;   /* its real size */
	struct bf_buf out; /* joins what leaves at once; no-dump */
};

enum upstream_phase {
	UPSTREAM_WAITING, /* for its turn */
	UPSTREAM_DIALING,
	UPSTREAM_ASKING, /* sent, or being sent; no head yet */
	UPSTREAM_ANSWERING,
};

/* Embedded in what makes the call; request lifetime. */
struct upstream_call {
	/* Set by the maker. */
	struct upstream *up;
	const struct upstream_events *events;
	struct bf_arena *arena;
	struct iovec iov[UPSTREAM_IOV_MAX]; /* the request; must stay until the call is over */
	unsigned iov_count;
	int64_t timeout_ms;    /* from its start, its wait for a turn included, to a
					deadline that the maker sets itself */
	int64_t first_byte_ms; /* from the request to the answer's head; 0: timeout_ms */
	int64_t give_up_ms;    /* monotonic: all must be over, streams too; 0: never */
	/* Read by the maker. */
	unsigned attempts; /* requests begun */

	/* upstream's own. */
	struct upstream_conn *conn;
	size_t total, sent;
	bool reused;   /* the connection carried a call before */
	bool answered; /* a byte of the answer came */
	bool paused;
	bool waiting, running; /* in the queue; counted by it */
	struct upstream_call *next_waiting, *prev_waiting;
	enum upstream_phase phase;
	struct upstream_dial *dial; /* addresses to try */
	struct bf_resolve_wait wait;
	ev_timer timer;
	int64_t started_ms;
	int64_t deadline_ms, armed_ms; /* monotonic; 0: none */
	char *text;                    /* of a failure */
};

/* Takes the limits from q, which the caller filled, and begins. */
void upstream_queue_open(struct upstream_queue *q, struct ev_loop *loop, struct worker *worker);
/* No call may run or wait. Accepts a zeroed one. */
void upstream_queue_close(struct upstream_queue *q);

/* trust NULL for http. resolver, trust and the queue must outlive it. -ENOMEM. */
int upstream_open(struct upstream *up, struct ev_loop *loop, struct bf_resolver *resolver,
		  struct bf_tls_trust *trust, const struct upstream_target *target,
		  const struct upstream_options *options);
/* No call may run. Accepts a zeroed one. */
void upstream_close(struct upstream *up);

/* Zeroes what is upstream's own and starts, or waits for its turn; may report from within. */
void upstream_start(struct upstream_call *call);
/* Closes the connection at once. Accepts a call that is over. */
void upstream_cancel(struct upstream_call *call);
/* The answer said all that matters: its end is read over and the connection kept if it comes soon.
 */
void upstream_release(struct upstream_call *call);
void upstream_resume(struct upstream_call *call);
/* From now on the call may be silent for ms; 0: for ever. */
void upstream_deadline(struct upstream_call *call, int64_t ms);
