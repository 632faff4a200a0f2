/*
 * What was used of an entity's limits, by the meters of the segment: the plan that everybody makes
 * of it says which these are. Used by the reader.
 */
#pragma once

#include "common/base/arena.h"
#include "common/govern/plan.h"
#include "common/snapshot/snapshot.h"
#include "shm/segment.h"
#include "shm/wall.h"
#include "writerd/entity/entity_json.h"

/* The limits of one entity. */
struct entity_meters {
	const struct shm_segment *seg;
	struct shm_wall wall;
	int64_t boot_ns;
	struct bf_plan plan;
	struct entity_usages usages; /* for entity_json() */
};

/* The clock is read once, so that all entities of an answer are of one moment. */
void entity_meters_init(struct entity_meters *m, const struct shm_segment *seg);

/*
 * Of an object of this type; m->usages tells nothing where it has no limits, or where no plan can
 * be made of it. Everything lies in the arena, object included. -ENOMEM, else 0.
 */
int entity_meters_of(struct entity_meters *m, const struct bf_snapshot *s, uint32_t type,
		     const void *object, struct bf_arena *arena);
/* Of a key's own budgets the usage of the one of which most was spent, in nano-dollars. -ENOMEM,
 * else 0. */
int entity_meters_spent(struct entity_meters *m, const struct bf_snapshot *s,
			const struct bf_conf_virtual_key *key, struct bf_arena *arena,
			int64_t *ret_spent);
