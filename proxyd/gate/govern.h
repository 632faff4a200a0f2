/*
 * Governance of one worker: the virtual keys and their limits as the configuration has them, what
 * is known of models, and where the meters stand. Process lifetime.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/govern/plan.h"
#include "proxyd/gate/infer.h"
#include "proxyd/gate/tariff.h"
#include "proxyd/gate/vkey.h"
#include "proxyd/worker.h"

/* Where a limit's meter was when it was last looked up, and its window then. */
struct govern_place {
	uint32_t meter; /* SHM_METER_NOWHERE: to be looked up */
	uint32_t config;
	uint32_t epoch;
	int64_t max;                /* as it was configured: a plan may be older */
	int64_t since_ms, until_ms; /* between them the epoch holds: clocks may be turned back */
	int64_t ends_ms; /* of the window that the meter counts, which may be a later one then */
};

struct governance {
	struct bf_arena arena; /* of the plan */
	struct bf_plan plan;
	struct vkey_table keys;
	struct govern_place *places; /* one for each of plan.limits */
	struct tariff tariff;
	bool keyed; /* requests are asked for their virtual key; else there are only prices */
	int64_t unpriced_mono_ms;  /* when a call was last refused for want of a price; 0: never */
	int64_t uncharged_mono_ms; /* when one was let through all the same */
};

/*
 * Hangs itself into w->governance, and takes the identity of w over in the meters. Nothing, and 0,
 * when the configuration has neither keys nor prices nor limits. -ENOMEM, or what bf_plan_make
 * says.
 */
int govern_open(struct worker *w, struct bf_err *err);
void govern_close(struct worker *w);
/* About once a second: what this worker has to say about health. */
void govern_beat(struct worker *w);

/* Forgets where the meters of these limits stand. */
void govern_forget(struct governance *g, const struct bf_plan_path *path);
static inline struct govern_place *govern_place(const struct governance *g,
						const struct bf_limit *limit)
{
	return &g->places[limit - g->plan.limits];
}

/* Whether requests of x's key, or without one, may meet limits at all; of tokens or dollars. */
bool govern_limits(const struct exchange *x);
bool govern_counts_tokens(const struct exchange *x);

/* x->virtual_key by the request's headers. 0, or -1 with e: the key lacks, is unknown or blocked.
 * Only with w->governance. */
int govern_key(struct exchange *x, struct infer_error *e);
