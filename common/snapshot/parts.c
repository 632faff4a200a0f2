/*
 * What an assembled configuration was made of. Called by workers when a key's next request comes
 * after a flip. Must never look at more than its parts: a flip concerns few of many keys.
 */
#include "common/snapshot/snapshot_priv.h"

uint64_t snap_scoped(const struct bf_snapshot *s, struct bf_slice key_id)
{
	struct bf_snapshot_cursor cursor = {0};
	struct bf_entity entity;
	uint64_t sum = 0;

	while (bf_snapshot_next_of(s, BF_ENTITY_MODEL_CONFIG, key_id, &cursor, &entity))
		sum += snap_mark(s->base->head.pepper, &entity);
	return sum;
}

static bool holds(const struct bf_snapshot *s, const struct bf_snapshot_part *part)
{
	struct bf_entity now;

	if (!bf_snapshot_find(s, part->type, part->id, &now))
		return part->version == 0;
	/* A store that was restored gives versions again. */
	return now.version == part->version && now.updated_ms == part->updated_ms &&
	       now.flags == part->flags;
}

bool bf_snapshot_parts_hold(const struct bf_snapshot *s, const struct bf_snapshot_parts *parts)
{
	for (uint32_t i = 0; i < parts->count; i++)
		if (!holds(s, &parts->items[i]))
			return false;
	/* What could not be read has none: it is looked at each time. */
	return parts->count > 0 && parts->scoped == snap_scoped(s, parts->items[0].id);
}
