/* Parts of the upstream client, for proxyd/provider/upstream*.c. */
#pragma once

#include "proxyd/provider/upstream.h"

enum upstream_conn_state {
	UPSTREAM_CONNECTING,
	UPSTREAM_HANDSHAKE,
	UPSTREAM_BUSY,     /* carries a call */
	UPSTREAM_DRAINING, /* reads over the end of a released call's answer */
	UPSTREAM_IDLE,
	UPSTREAM_DEAD, /* closed; freed when the turn is over */
	UPSTREAM_CONN_STATE_COUNT,
};

/* Connection lifetime. */
struct upstream_conn {
	struct upstream *up;
	enum upstream_conn_state state;
	int fd;
	ev_io reader, writer;
	struct bf_tls *tls;
	struct upstream_http http;
	struct upstream_call *call;
	struct upstream_conn *next, **prev_next; /* in up->conns or up->dead */
	struct upstream_conn *older_idle, *newer_idle;
	int64_t born_ms, since_ms; /* since: in this state */
	size_t drained;
};

/* Addresses of one attempt to connect; in the call's arena. */
struct upstream_dial {
	struct bf_addr addrs[BF_RESOLVE_ADDRS];
	size_t count, next;
	char why[200]; /* what the last one failed with */
};

/* The one place that changes c->state: asserts that the step is legal, keeps the idle list. */
void upstream_conn_set_state(struct upstream_conn *c, enum upstream_conn_state next);
/* Begins to connect for a call. NULL with *ret_code when the system refuses. */
struct upstream_conn *upstream_conn_dial(struct upstream *up, const struct bf_addr *addr,
					 struct upstream_call *call, int *ret_code);
/* Gives a connection that is up to a call and sends its request. */
void upstream_conn_use(struct upstream_conn *c, struct upstream_call *call);
/* Goes on reading after a pause. */
void upstream_conn_wake(struct upstream_conn *c);
/* Closes now, frees later. Its call, if any, is not told. */
void upstream_conn_close(struct upstream_conn *c);

/* Lived long enough: balancers in front of providers want to be asked anew now and then. */
bool upstream_conn_is_old(const struct upstream_conn *c, int64_t now_ms);

/* A call has its turn: begins, on a kept connection or a new one. */
void upstream_call_begin(struct upstream_call *call);
/* Takes a turn, or a place in the queue. False: the queue is full. */
bool upstream_queue_enter(struct upstream_call *call);
/* Gives turn or place back. Accepts a call that has neither. */
void upstream_queue_leave(struct upstream_call *call);
/* A connection became free or went. */
static inline void upstream_queue_stir(struct upstream_queue *q)
{
	if (q->waiting)
		ev_prepare_start(q->loop, &q->pump);
}

/* What connections tell calls. */
void upstream_call_connected(struct upstream_call *call);
void upstream_call_answers(struct upstream_call *call);
void upstream_call_connect_failed(struct upstream_call *call, const char *why);
/* Ours, not the provider's. */
void upstream_call_refuse(struct upstream_call *call, int http_status, const char *type,
			  const char *fmt, ...) BF_PRINTF(4, 5);
/* tls, protocol: the connection is closed already. */
void upstream_call_fail(struct upstream_call *call, int http_status, const char *type,
			const char *fmt, ...) BF_PRINTF(4, 5);
/* A kept connection was dead before the request reached anybody: once more, on a new one. */
void upstream_call_repeat(struct upstream_call *call);
/* The whole answer came. */
void upstream_call_ended(struct upstream_call *call);
