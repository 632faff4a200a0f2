/*
 * One client connection: its states, what may follow which, and its end. Input is in input.h,
 * output in respond.h.
 *
 *   HANDSHAKE -> IDLE -> HEAD -> BODY -> BUSY -> SENDING -> IDLE ...
 *
 * Parts are skipped when nothing is to be done there; without TLS it begins with IDLE. SENDING ->
 * LINGER: the answer is out, input is thrown away so that a reset does not destroy it on its way.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "proxyd/exchange.h"
#include "proxyd/front/http1.h"

enum conn_state {
	CONN_HANDSHAKE, /* TLS is not through yet */
	CONN_IDLE,      /* between requests; no byte of the next one yet */
	CONN_HEAD,      /* some bytes of a header section */
	CONN_BODY,
	CONN_BUSY, /* the exchange is with the gate or a provider; a stream stays here until its end
		    */
	CONN_SENDING, /* the answer is complete and partly unsent */
	CONN_LINGER,
	CONN_CLOSED, /* on the dead list */
	CONN_STATE_COUNT,
};

#define CONN_REQUESTS_PER_TURN 16u /* pipelined requests served in one turn */
#define CONN_PENDING_MAX \
	(16u << 10) /* pipelined bytes held while a request runs; then reading stops */
#define CONN_STREAM_HIGH     (32u << 10) /* unsent bytes of a stream that hold its provider back */
#define CONN_STREAM_LOW      (8u << 10)  /* ... and let it go on */
#define CONN_LINGER_MS       2000
#define CONN_BODY_LEAST_RATE 1000u /* bytes a second, on the average after server.body_timeout */
#define CONN_QUIET_MS        1000  /* then an output buffer that lies empty is given back */

struct bf_addr;
struct bf_tls_peer;
struct front;

struct conn {
	struct bf_list node;      /* of front->conns or front->dead */
	struct bf_list turn_node; /* of front->turn */
	struct front *front;
	int fd;
	struct bf_tls_peer *tls; /* NULL: plain */
	ev_io reader, writer;
	enum conn_state state;
	int64_t since_ms;  /* of the state */
	int64_t active_ms; /* last progress of a body or of unsent output */
	struct http1 http;
	struct bf_buf in;  /* unfinished header section, or pipelined bytes; no-dump */
	struct bf_buf out; /* what the kernel did not take yet; no-dump; charged to the worker */
	struct exchange *x;
	uint8_t peer[16]; /* bf_addr_bytes(); zero: of this machine */
	bool from_loopback;
	bool unread;     /* TLS may hold received bytes that no event tells of */
	bool running;    /* input is being worked through further up the stack */
	bool surplus;    /* bytes follow the request that runs */
	bool keep_alive; /* the client's side of it */
	bool http10;
	bool head_only; /* answer to HEAD */
	bool eof;       /* the client has shut its side down; it may still read */
	bool broken;    /* to be closed at the end of the turn */
	bool held;      /* the provider was told to wait */
};

const char *conn_state_name(enum conn_state s);
/* The one place that changes c->state; asserts that the step is legal, keeps times and counts. */
void conn_set_state(struct conn *c, enum conn_state next);

/* NULL when memory is out; fd stays the caller's then. */
struct conn *conn_new(struct front *f, int fd, const struct bf_addr *peer);
/* Closes now, frees at the end of the turn. The exchange, if any, must be over or never admitted.
 * No-op when closed. */
void conn_close(struct conn *c);
/* The client is gone, or slow beyond its time: cancels the exchange, closes. */
void conn_lost(struct conn *c, const char *why);
/* This worker leaves: the client is told so, as far as the kernel takes it at once, and the
 * connection closes. */
void conn_leave(struct conn *c);
/* The whole answer is with the kernel: next request, linger, or close. */
void conn_sent(struct conn *c);
/* Time is up? Acts on it. */
void conn_check_time(struct conn *c, int64_t now_ms);
/* Frees the memory of a closed connection. */
void conn_free(struct conn *c);
