/* What a test's configuration has of governance, put in force in its worker as writerd and the
 * supervisor would. Only for tests. */
#pragma once

#include "common/govern/plan.h"
#include "proxyd/gate/govern.h"
#include "proxyd/snapshot.h"
#include "tests/support/snapshot_of.h"

static struct bf_snapshot_holder in_force;
static struct bf_arena in_force_arena;
static struct bf_plan in_force_plan; /* of all of it: the same limits as in the plans of each */

static inline void in_force_list(struct bf_snapshot_builder *b, uint32_t type,
				 const struct bf_array *list, uint64_t version)
{
	size_t size = bf_entity_def(type)->table->size;

	for (uint32_t i = 0; i < list->count; i++)
		snapshot_of_add(b, type, (const char *)list->items + i * size, version);
}

/* Everything is new: whatever was kept of it is made anew. */
static inline int in_force_base(const struct bf_conf_governance *g, uint64_t generation)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(false, generation);

	in_force_list(b, BF_ENTITY_CUSTOMER, &g->customers, generation);
	in_force_list(b, BF_ENTITY_TEAM, &g->teams, generation);
	in_force_list(b, BF_ENTITY_RATE_LIMIT, &g->rate_limits, generation);
	in_force_list(b, BF_ENTITY_VIRTUAL_KEY, &g->virtual_keys, generation);
	in_force_list(b, BF_ENTITY_MODEL_CONFIG, &g->model_configs, generation);
	in_force_list(b, BF_ENTITY_PROVIDER_LIMITS, &g->providers, generation);
	in_force_list(b, BF_ENTITY_PRICING_OVERRIDE, &g->pricing_overrides, generation);
	/* Providers were put together by hand: none of the snapshot's leaves them as they are. */
	return snapshot_of_finish(b);
}

static inline void in_force_take(struct worker *w, int fd, uint64_t generation)
{
	struct bf_err err = {.code = 0};

	w->snapshots = &in_force;
	if (bf_snapshot_take(&in_force, fd, generation, &err) < 0)
		snapshot_of_no(&err);
	(void)close(fd);
}

/* The configuration as it is now. */
static inline void in_force_publish(struct worker *w)
{
	uint64_t generation = shm_generation(w->seg) + 1;
	struct bf_err err = {.code = 0};

	bf_arena_done(&in_force_arena);
	bf_arena_init(&in_force_arena, 64u << 20);
	if (bf_plan_make(&in_force_plan, w->config, &in_force_arena, &err) < 0)
		snapshot_of_no(&err);
	(void)snapshots_now(w);
	in_force_take(w, in_force_base(&w->config->governance, generation), 0);
	in_force_take(w, snapshot_of_finish(snapshot_of_begin(true, generation)), generation);
	if (govern_prepare(w, &err) < 0)
		snapshot_of_no(&err);
	shm_set_generation(w->seg, generation);
}

static inline void in_force_open(struct worker *w)
{
	struct bf_err err = {.code = 0};

	w->snapshots = &in_force;
	if (govern_open(w, &err) < 0)
		snapshot_of_no(&err);
	in_force_publish(w);
	if (!govern_follow(w))
		abort();
}

static inline void in_force_close(struct worker *w)
{
	govern_close(w);
	bf_snapshot_release(&in_force);
	bf_arena_done(&in_force_arena);
	w->snapshots = NULL;
}
