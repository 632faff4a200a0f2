/*
 * Places of meters. Made with each plan, forgotten when the segment says that a meter is another
 * one. Must never outlive the plan: they lie in its arena.
 */
#include "proxyd/gate/place.h"

#include <errno.h>

#include "shm/meter.h"

int places_make(struct bf_plan *plan, struct bf_arena *arena)
{
	struct place *places = bf_arena_alloc(arena, plan->limit_count * sizeof(*places));

	if (!places)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->limit_count; i++) {
		places[i].meter = SHM_METER_NOWHERE;
		plan->limits[i].place = &places[i];
	}
	return 0;
}

void places_forget(const struct bf_plan_path *path)
{
	for (uint32_t k = 0; k < path->count; k++)
		*place_of(path->items[k]) = (struct place){.meter = SHM_METER_NOWHERE};
}
