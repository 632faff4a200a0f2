/*
 * What every request meets, with a virtual key or without: the providers, what is said of clients,
 * the limits of providers and models, and the prices. One object for as long as nobody changes
 * them; requests in flight hold the one that they were admitted by.
 */
#pragma once

#include "common/govern/plan.h"
#include "common/govern/price_book.h"
#include "common/snapshot/snapshot.h"
#include "proxyd/gate/pricelist.h"
#include "proxyd/provider/provider.h"

struct everybody {
	uint32_t refs;
	uint64_t mark; /* bf_snapshot_common() of what it was made of */
	bool idle;     /* it limits nobody and knows no price */
	struct bf_arena arena;
	struct bf_config config; /* the file's, with what the snapshot has of it */
	bool has_client;         /* the snapshot says what is accepted of clients */
	struct provider_set *providers;
	struct bf_plan plan;
	struct pricelist *prices; /* of book; NULL: none were fetched */
	struct bf_price_book book;
};

/*
 * With one reference. w->config must outlive it; nothing refers to the snapshot. Providers that are
 * as in `before` (NULL: there are none) are taken from it. 0; -ENOMEM, or what
 * bf_snapshot_common_config() and bf_plan_make() say.
 */
int everybody_make(struct everybody **ret_everybody, struct worker *w, const struct bf_snapshot *s,
		   struct provider_set *before, struct bf_err *err);

static inline struct everybody *everybody_hold(struct everybody *e)
{
	e->refs++;
	return e;
}

void everybody_free(struct everybody *e);

/* Accepts NULL. */
static inline void everybody_drop(struct everybody *e)
{
	if (e && --e->refs == 0)
		everybody_free(e);
}
