/*
 * What every request meets, with a virtual key or without: the limits of providers and models, and
 * the prices. One object for as long as nobody changes them; requests in flight hold the one that
 * they were admitted by.
 */
#pragma once

#include "common/govern/plan.h"
#include "common/govern/price_book.h"
#include "common/snapshot/snapshot.h"

struct everybody {
	uint32_t refs;
	uint64_t mark; /* bf_snapshot_common() of what it was made of */
	struct bf_arena arena;
	struct bf_config config; /* the file's, with the lists of the snapshot */
	struct bf_plan plan;
	struct bf_price_book book;
};

/* With one reference. file must outlive it; nothing refers to the snapshot. 0; -ENOMEM, or what
 * bf_snapshot_common_config() and bf_plan_make() say. */
int everybody_make(struct everybody **ret_everybody, const struct bf_config *file,
		   const struct bf_snapshot *s, struct bf_err *err);

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
