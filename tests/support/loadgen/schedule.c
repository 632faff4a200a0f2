/* Intended times for load.c: computed from the index, so that no error adds up. Pure. */
#include "tests/support/loadgen/schedule.h"

__extension__ typedef unsigned __int128 u128;

#define NS_SCALE ((u128)1000000000 * 1000000)

int64_t schedule_time_ns(const struct schedule *s, uint64_t i)
{
	/* Rounded up: a request is never meant to be early. */
	return s->start_ns + (int64_t)((i * NS_SCALE + s->rate_micro - 1) / s->rate_micro);
}

uint64_t schedule_due(const struct schedule *s, int64_t now_ns)
{
	if (now_ns < s->start_ns)
		return 0;
	return (uint64_t)((u128)(now_ns - s->start_ns) * s->rate_micro / NS_SCALE) + 1;
}
