/* Where the meters of limits stand, as this worker last saw them: a place beside each limit of a
 * plan. */
#pragma once

#include "common/base/arena.h"
#include "common/govern/plan.h"

/* Where a limit's meter was when it was last looked up, and its window then. */
struct place {
	uint32_t meter; /* SHM_METER_NOWHERE: to be looked up */
	uint32_t config;
	uint32_t epoch;
	int64_t max;  /* as it was configured: a plan may be older */
	int64_t most; /* no more than that when it was last asked, see limits_most() */
	int64_t since_ms, until_ms; /* between them the epoch holds: clocks may be turned back */
	int64_t ends_ms; /* of the window that the meter counts, which may be a later one then */
};

/* One for each limit of the plan, in the arena. 0 or -ENOMEM. */
int places_make(struct bf_plan *plan, struct bf_arena *arena);

/* Of a limit of such a plan. */
static inline struct place *place_of(const struct bf_limit *limit)
{
	return limit->place;
}

/* Forgets where the meters of these limits stand. */
void places_forget(const struct bf_plan_path *path);
