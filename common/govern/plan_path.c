/*
 * Which limits a request meets, in the order in which they are decided. Called for every target of
 * every request of a worker with limits. Must never take memory where nothing depends on the
 * target.
 */
#include <errno.h>

#include "common/base/err.h"
#include "common/govern/plan_priv.h"

const struct bf_plan_provider_config *bf_plan_provider_config(const struct bf_plan_key *key,
							      struct bf_slice provider)
{
	for (uint32_t i = 0; i < key->conf->provider_configs.count; i++)
		if (bf_slice_eq(key->provider_configs[i].conf->provider, provider))
			return &key->provider_configs[i];
	return NULL;
}

static void lay(struct plan_lane *lane, const struct bf_limit *limits, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++, lane->count++)
		if (lane->count < lane->room)
			lane->items[lane->count] = &limits[i];
}

static void lay_rates(struct plan_lane *lane, const struct bf_plan_owner *own)
{
	if (own)
		lay(lane, own->limits, own->rate_count);
}

static void lay_budgets(struct plan_lane *lane, const struct bf_plan_owner *own)
{
	if (!own || own->limit_count == own->rate_count)
		return;
	lay(lane, own->limits + own->rate_count, own->limit_count - own->rate_count);
	lane->has_budget = true;
}

static void lay_chain(struct plan_lane *lane, const struct bf_plan_index *index,
		      const struct plan_entry *e)
{
	for (; e; e = plan_index_next(index, e)) {
		lay_rates(lane, e->own);
		lay_budgets(lane, e->own);
		lane->by_target = true;
	}
}

void plan_lane_target(struct plan_lane *lane, const struct bf_plan_index *index,
		      enum plan_target target, const struct plan_names *names)
{
	struct plan_names last;

	lay_chain(lane, index, plan_index_find(index, target, names));
	if (target > PLAN_TARGET_MODEL || names->last.len == 0)
		return;
	last = plan_names_last(names);
	lay_chain(lane, index, plan_index_find(index, target, &last));
}

static void lay_models(struct plan_lane *lane, const struct bf_plan_index *index, unsigned targets,
		       const struct plan_names *names)
{
	unsigned left = targets & PLAN_TARGETS_OF_MODELS;

	for (; left; left &= left - 1)
		plan_lane_target(lane, index, (enum plan_target)__builtin_ctz(left), names);
}

static void lay_key(struct plan_lane *lane, const struct bf_plan_key *key,
		    const struct plan_names *names)
{
	const struct bf_plan_provider_config *config = NULL;

	if (key->targets & 1u << PLAN_TARGET_CONFIG)
		config = bf_plan_provider_config(key, names->provider);
	if (config && config->own.limit_count) {
		lane->by_target = true;
		lay_rates(lane, &config->own);
	}
	lay_rates(lane, &key->own);
	if (config)
		lay_budgets(lane, &config->own);
	lay_budgets(lane, &key->own);
	lay_budgets(lane, key->team);
	lay_budgets(lane, key->customer);
	lay_models(lane, key->index, key->targets, names);
	lay_rates(lane, key->customer);
	lay_rates(lane, key->team);
}

void plan_lane_lay(struct plan_lane *lane, const struct bf_plan *plan,
		   const struct bf_plan_key *key, const struct plan_names *names)
{
	if (plan->targets & 1u << PLAN_TARGET_PROVIDER)
		plan_lane_target(lane, plan->index, PLAN_TARGET_PROVIDER, names);
	lay_models(lane, plan->index, plan->targets, names);
	if (key)
		lay_key(lane, key, names);
}

int bf_plan_path(const struct bf_plan *plan, const struct bf_plan_key *key,
		 struct bf_slice provider, struct bf_slice model, struct bf_arena *arena,
		 struct bf_plan_path *ret_path)
{
	const struct bf_limit *items[BF_PLAN_LIMITS_PER_REQUEST];
	struct plan_lane lane = {.items = items, .room = BF_PLAN_LIMITS_PER_REQUEST};
	const struct bf_limit **kept;
	struct plan_names names;

	*ret_path = key ? key->always : (struct bf_plan_path){NULL, 0, false};
	if (!plan->targets && !(key && key->targets))
		return 0;
	names = plan_names_of(provider, bf_model_bare(model, provider));
	plan_lane_lay(&lane, plan, key, &names);
	if (!lane.by_target)
		return 0;
	/* Within one plan plan_bound.c has seen to it that there is room for all. */
	if (lane.count > lane.room)
		return BF_E_LIMIT;
	kept = bf_arena_alloc(arena, lane.count * sizeof(const struct bf_limit *));
	if (!kept)
		return -ENOMEM;
	memcpy(kept, items, lane.count * sizeof(const struct bf_limit *));
	*ret_path = (struct bf_plan_path){kept, lane.count, lane.has_budget};
	return 0;
}

/* ---- what keys meet always */

static uint32_t count_of(const struct bf_plan_owner *own)
{
	return own ? own->limit_count : 0;
}

int plan_always_make(struct plan_maker *m)
{
	const struct plan_names nowhere = {.provider = {NULL, 0}};
	struct bf_plan *plan = m->plan;
	const struct bf_limit **items;
	size_t sum = 0;

	for (uint32_t k = 0; k < plan->key_count; k++)
		sum += plan->keys[k].own.limit_count + count_of(plan->keys[k].team) +
		       count_of(plan->keys[k].customer);
	items = bf_arena_alloc(m->arena, sum * sizeof(const struct bf_limit *));
	if (!items)
		return -ENOMEM;
	for (uint32_t k = 0; k < plan->key_count; k++) {
		struct bf_plan_key *key = &plan->keys[k];
		struct bf_plan_key alone = *key;
		struct plan_lane lane = {.items = items, .room = UINT32_MAX};

		alone.targets = 0;
		lay_key(&lane, &alone, &nowhere);
		key->always = (struct bf_plan_path){items, lane.count, lane.has_budget};
		items += lane.count;
	}
	return 0;
}
