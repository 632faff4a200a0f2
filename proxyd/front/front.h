/*
 * All client connections of one worker, and the end of each turn of the loop: answers that were
 * made together leave together, deferred work goes on, closed connections are freed.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/net/addr.h"
#include "common/net/tls_server.h"
#include "proxyd/front/drain.h"
#include "proxyd/front/http1.h"
#include "proxyd/front/listener.h"
#include "proxyd/worker.h"

#define FRONT_READ_BYTES (64u << 10) /* one read; the buffer is shared by all connections */
#define FRONT_SWEEP_MS   250         /* a timeout takes effect at most this much late */
#define FRONT_SCRATCH    (FRONT_READ_BYTES + BF_TLS_RECORD_MAX)

struct conn;

struct front {
	struct worker *w;
	struct listener listener;
	struct bf_list conns; /* living connections */
	struct bf_list turn;  /* those with work left for the end of the turn */
	struct bf_list dead;  /* closed, freed at the end of the turn */
	uint32_t conn_count, idle_count;
	char *scratch; /* FRONT_READ_BYTES, no-dump */
	char *record;  /* BF_TLS_RECORD_MAX, behind it: bytes that leave as one record */
	struct http1_table table;
	ev_check turn_begin;
	ev_prepare turn_end;
	ev_idle again; /* runs while work is left for another turn */
	ev_timer sweep;
	struct drain drain;
	void (*on_drained)(void *ctx); /* once */
	void *drained_ctx;
	int64_t date_until_ms; /* of the coarse clock; 0: there is none yet */
	int64_t date_day;      /* days since 1970 that date stands for */
	char date[40];
};

int front_init(struct front *f, struct worker *w, struct bf_err *err);
/* Ends every exchange (their clients are told, their rows say worker_stopped), closes everything.
 * Accepts a zeroed front. */
void front_done(struct front *f);

/* Takes an accepted, non-blocking socket of a client of this machine (peer NULL) or of peer.
 * -ENOMEM: the caller keeps it. */
int front_take(struct front *f, int fd, const struct bf_addr *peer);

/* Stops accepting and finishes what runs; on_drained is called once, from the loop, when nothing is
 * left. */
void front_drain(struct front *f, void (*on_drained)(void *ctx), void *ctx);

/* Every answer from now on says `Connection: close`: this worker or the whole node is draining. */
bool front_closes(const struct front *f);

/* Puts c on the list of the end of this turn. */
void front_later(struct front *f, struct conn *c);

/* Applies all timeouts as of now. Called by the sweep timer; tests call it with a clock of their
 * own. */
void front_sweep(struct front *f, int64_t now_ms);

/* The line "Date: " with the IMF-fixdate of now and CRLF: made once per second, so that a wall
 * clock that was set shows up to a second late. */
struct bf_slice front_date_line(struct front *f);
