/* The rule for leaving. Called by the front after every turn and sweep while draining. Must never
 * touch a connection. */
#include "proxyd/front/drain.h"

#include "common/base/macros.h"

void drain_begin(struct drain *d, int64_t idle_timeout_ms)
{
	*d = (struct drain){.on = true,
			    .grace_ms = BF_MIN(idle_timeout_ms, (int64_t)DRAIN_GRACE_MS)};
}

enum drain_step drain_next(struct drain *d, int64_t now_ms, uint32_t busy, uint32_t idle)
{
	if (!d->on)
		return DRAIN_WAIT;
	if (busy == 0 && idle == 0)
		return DRAIN_DONE;
	if (busy == 0 && !d->was_quiet) {
		d->was_quiet = true;
		d->quiet_since_ms = now_ms;
	}
	if (idle > 0 && d->was_quiet && now_ms - d->quiet_since_ms >= d->grace_ms)
		return DRAIN_CLOSE_IDLE;
	return DRAIN_WAIT;
}
