/*
 * Restart policy, pure: no clock, no timers. Called by seat.c with what it measured. Must never
 * answer with a pause that grows without bound, or a mended cause would not be noticed.
 */
#include "supervisor/restart.h"

int64_t restart_after_end(struct restart *r, int64_t ready_for_ms)
{
	int64_t wait = RESTART_FIRST_WAIT_MS;

	if (ready_for_ms > RESTART_STABLE_MS) {
		r->failures = 0;
		return 0;
	}
	for (uint32_t i = 0; i < r->failures && wait < RESTART_MAX_WAIT_MS; i++)
		wait *= 2;
	if (r->failures < UINT32_MAX)
		r->failures++;
	return wait < RESTART_MAX_WAIT_MS ? wait : RESTART_MAX_WAIT_MS;
}

void restart_still_ready(struct restart *r, int64_t ready_for_ms)
{
	if (ready_for_ms > RESTART_STABLE_MS)
		r->failures = 0;
}

void restart_forgive(struct restart *r)
{
	r->failures = 0;
}

bool restart_is_loop(const struct restart *r)
{
	return r->failures >= RESTART_LOOP_FAILURES;
}
