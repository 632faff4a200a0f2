/*
 * When a child that ended is started again. At once if it had been ready for over a second; else
 * after a pause that doubles with each failure in a row.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RESTART_STABLE_MS     1000
#define RESTART_FIRST_WAIT_MS 100
#define RESTART_MAX_WAIT_MS   30000
#define RESTART_LOOP_FAILURES 3u /* this many in a row are a crash loop */

struct restart {
	uint32_t failures; /* ends in a row that came too early */
	uint64_t starts;   /* since the supervisor began */
};

/* Notes an end and gives the pause before the next start. ready_for_ms < 0: it never was ready. */
int64_t restart_after_end(struct restart *r, int64_t ready_for_ms);

/* It has now been ready for ready_for_ms: forgets earlier failures once that is long enough. */
void restart_still_ready(struct restart *r, int64_t ready_for_ms);

/* A person asked for a start: the next failure counts as the first. */
void restart_forgive(struct restart *r);

bool restart_is_loop(const struct restart *r);
