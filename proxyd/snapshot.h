/* What is in force, as this worker has it. */
#pragma once

#include "common/snapshot/holder.h"
#include "proxyd/worker.h"

/* NULL: nothing is yet, or this worker has not heard of it. One load when nothing changed; never
 * kept beyond the step at hand. */
static inline const struct bf_snapshot *snapshots_now(struct worker *w)
{
	return w->snapshots ? bf_snapshot_now(w->snapshots, shm_generation(w->seg)) : NULL;
}
