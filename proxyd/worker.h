/*
 * What every stage of one worker process needs: configuration, segment, identity, budgets. Process
 * lifetime; passed explicitly. Holds no state of a stage of its own.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/schema/config.h"
#include "shm/meter.h"
#include "shm/metrics.h"
#include "shm/segment.h"
#include "shm/series.h"

struct bf_tls_server;
struct api;
struct ask_table;
struct bf_snapshot_holder;
struct exchange;
struct governance;
struct provider_net;
struct provider_set;
struct refused_rows;

#define WORKER_ANSWER_MAX (16u << 20) /* largest plain answer of a provider */
#define WORKER_TEXT_MAX   (1u << 20)  /* largest text made here: /metrics, errors */
#define WORKER_TAPE_MAX   (32u << 20) /* largest tape of a request body, with what it grew out of */
#define WORKER_TAPE_KEEP  (512u << 10)

/* Descriptors that clients leave to calls of providers, and both to the supervisor: what it sends
 * and there is no room for would end the control channel, and with that the worker. */
#define WORKER_FDS_BEYOND_CLIENTS 64
#define WORKER_FDS_BEYOND_CALLS   32

struct worker {
	struct ev_loop *loop;
	struct shm_segment *seg;
	uint32_t proc_slot;
	uint32_t index;   /* worker slot */
	uint32_t workers; /* worker slots of the node: shares of limits */
	uint64_t incarnation;
	int doorbell_fd;
	int fd_limit; /* numbers of descriptors are below; 0: they need not be looked at */
	const struct bf_config *config;
	const char *version;
	int64_t started_mono_ms;
	struct provider_net *net;            /* what all providers have in common */
	struct provider_set *providers;      /* in force: x->providers are x's */
	const struct bf_conf_client *client; /* in force; never kept beyond the step at hand */
	void (*follow)(struct worker *w); /* what is in force becomes so here; NULL: nothing is */
	struct governance *governance;    /* NULL: no virtual keys and no prices */
	struct shm_meter_writer meters;   /* only with governance */
	struct ask_table *asks;           /* NULL: nobody can be asked */
	struct api *api;                  /* NULL: there are no logins */
	struct bf_snapshot_holder *snapshots; /* NULL: there are none; read with snapshots_now() */
	struct bf_tls_server *tls;            /* NULL: clients speak plain HTTP */
	struct bf_buf text;                   /* scratch: bodies made and sent within one call */
	/* Scratch, no-dump: the tape of a request body. Whoever fills it empties it before it
	 * returns. */
	struct bf_arena tape_arena;
	/* Budgets, each within server.body_memory. */
	uint64_t body_bytes; /* request bodies and what else their requests hold */
	uint64_t
	    answer_bytes; /* answers being collected, and answers their clients have not read yet */
	uint64_t
	    inflight; /* admitted and not settled: each keeps one record's room in the usage ring */
	struct {      /* of the last row that had one: most rows are like the one before */
		struct shm_series_name name;
		uint32_t method, series;
	} last_series;
	struct refused_rows *refused; /* of the record; NULL: there were none yet */
	struct exchange *spares;
	unsigned spare_count;
};

/* Clears w, then takes what it is given; config and seg must outlive it. */
void worker_init(struct worker *w, struct ev_loop *loop, struct shm_segment *seg,
		 uint32_t proc_slot, const struct bf_config *config);
void worker_done(struct worker *w);

/* Takes n bytes of a budget, or returns false and counts the refusal. The gauge follows exactly. */
bool worker_body_take(struct worker *w, uint64_t n) BF_MUST_CHECK;
/* Would n bytes fit? Takes nothing; a no is counted. */
bool worker_body_fits(struct worker *w, uint64_t n) BF_MUST_CHECK;
void worker_body_give(struct worker *w, uint64_t n);
bool worker_answer_take(struct worker *w, uint64_t n) BF_MUST_CHECK;
void worker_answer_give(struct worker *w, uint64_t n);

/* Is a new descriptor one that leaves so many to others? */
static inline bool worker_fd_fits(const struct worker *w, int fd, int spare)
{
	return w->fd_limit == 0 || fd < w->fd_limit - spare;
}

static inline void worker_count(struct worker *w, enum shm_metric m)
{
	shm_metric_add(w->seg, w->proc_slot, m, 1);
}
