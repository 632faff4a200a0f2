/*
 * How much room a plan takes. Called while one is made, and for the worst case of memory that is
 * told at the start. Must never say less than a plan takes.
 */
#include <stddef.h>

#include "common/base/macros.h"
#include "common/govern/plan_priv.h"

#define ALLOCATIONS 19u   /* of a plan: how often it asks its arena */
#define SLACK       4096u /* what each may leave unused */

static uint32_t limits_of(const struct bf_conf_owner *own)
{
	return own->budgets.count + (own->rate_limit_id.len ? PLAN_RATES_PER_OWNER : 0);
}

/* Of a list of owners; the most that one of them has. */
static uint32_t add_limits_of(const struct bf_array *list, size_t stride, uint32_t *sum)
{
	const char *at = list->items;
	uint32_t most = 0;

	/* The owner comes first in each. */
	for (uint32_t i = 0; i < list->count; i++, at += stride) {
		uint32_t limits = limits_of((const struct bf_conf_owner *)(const void *)at);

		*sum += limits;
		most = BF_MAX(most, limits);
	}
	return most;
}

struct plan_counts plan_counts_of(const struct bf_conf_governance *g)
{
	const struct bf_conf_virtual_key *keys = g->virtual_keys.items;
	/* One place more than is used: each budget is made behind the others and then moved. */
	struct plan_counts n = {.keys = g->virtual_keys.count, .limits = 1};
	uint32_t above;

	(void)add_limits_of(&g->providers, sizeof(struct bf_conf_provider_limits), &n.limits);
	(void)add_limits_of(&g->model_configs, sizeof(struct bf_conf_model_config), &n.limits);
	(void)add_limits_of(&g->virtual_keys, sizeof(*keys), &n.always);
	n.limits += n.always;
	above = add_limits_of(&g->teams, sizeof(struct bf_conf_team), &n.limits);
	above += add_limits_of(&g->customers, sizeof(struct bf_conf_customer), &n.limits);
	n.always += n.keys * above;
	for (uint32_t k = 0; k < n.keys; k++) {
		n.configs += keys[k].provider_configs.count;
		(void)add_limits_of(&keys[k].provider_configs,
				    sizeof(struct bf_conf_provider_config), &n.limits);
	}
	n.slots = 4 * (plan_index_entries(g) + 1);
	return n;
}

_Static_assert(offsetof(struct bf_conf_provider_limits, own) == 0 &&
		   offsetof(struct bf_conf_model_config, own) == 0 &&
		   offsetof(struct bf_conf_provider_config, own) == 0 &&
		   offsetof(struct bf_conf_virtual_key, own) == 0 &&
		   offsetof(struct bf_conf_team, own) == 0 &&
		   offsetof(struct bf_conf_customer, own) == 0,
	       "an owner comes first");

struct bf_plan_size bf_plan_worst(const struct bf_conf_governance *g)
{
	const struct plan_counts n = plan_counts_of(g);
	uint64_t ids = (uint64_t)g->rate_limits.count + g->teams.count + g->customers.count +
		       g->virtual_keys.count;
	uint64_t owners = (uint64_t)g->providers.count + g->teams.count + g->customers.count;

	return (struct bf_plan_size){
	    .limits = n.limits,
	    .bytes = ids * sizeof(struct plan_id) + owners * sizeof(struct bf_plan_owner) +
		     g->model_configs.count * sizeof(struct bf_plan_model_config) +
		     n.configs * sizeof(struct bf_plan_provider_config) +
		     n.keys * sizeof(struct bf_plan_key) + n.limits * sizeof(struct bf_limit) +
		     plan_index_count(g) * sizeof(struct bf_plan_index) +
		     (uint64_t)plan_index_entries(g) * sizeof(struct plan_entry) +
		     n.slots * sizeof(uint32_t) +
		     /* Lists of models, of what keys meet always, of limits by identity. */
		     ((uint64_t)g->model_configs.count + n.always + n.limits) * sizeof(void *) +
		     plan_bound_worst(g) + ALLOCATIONS * SLACK};
}
