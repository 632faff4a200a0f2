/*
 * From the configuration to its limits. Called by every worker and by writerd at their start, and
 * by the loader, which asks what they would say. Must never depend on anything but the
 * configuration: two processes that disagree would count into different meters.
 */
#include "common/govern/plan.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/govern/plan_priv.h"

/* ---- room */

static int make_room(struct plan_maker *m)
{
	const struct bf_conf_governance *g = m->governance;
	const struct plan_counts n = plan_counts_of(g);
	struct bf_arena *a = m->arena;

	m->plan->keys = bf_arena_alloc(a, n.keys * sizeof(*m->plan->keys));
	m->plan->limits = bf_arena_alloc(a, n.limits * sizeof(*m->plan->limits));
	m->provider_owners = bf_arena_alloc(a, g->providers.count * sizeof(struct bf_plan_owner));
	m->team_owners = bf_arena_alloc(a, g->teams.count * sizeof(struct bf_plan_owner));
	m->customer_owners = bf_arena_alloc(a, g->customers.count * sizeof(struct bf_plan_owner));
	m->models = bf_arena_alloc(a, g->model_configs.count * sizeof(*m->models));
	m->configs = bf_arena_alloc(a, n.configs * sizeof(*m->configs));
	m->plan->providers = m->provider_owners;
	m->plan->model_configs = m->models;
	m->plan->model_config_count = g->model_configs.count;
	return m->plan->keys && m->plan->limits && m->provider_owners && m->team_owners &&
		       m->customer_owners && m->models && m->configs
		   ? 0
		   : -ENOMEM;
}

static int sort_ids(struct plan_maker *m)
{
	const struct bf_conf_governance *g = m->governance;
	struct bf_arena *a = m->arena;
	int r = plan_ids_make(&m->rates, &g->rate_limits, sizeof(struct bf_conf_rate_limit),
			      offsetof(struct bf_conf_rate_limit, id), a);

	if (r == 0)
		r = plan_ids_make(&m->teams, &g->teams, sizeof(struct bf_conf_team),
				  offsetof(struct bf_conf_team, own.id), a);
	if (r == 0)
		r = plan_ids_make(&m->customers, &g->customers, sizeof(struct bf_conf_customer),
				  offsetof(struct bf_conf_customer, own.id), a);
	if (r == 0)
		r = plan_ids_make(&m->keys, &g->virtual_keys, sizeof(struct bf_conf_virtual_key),
				  offsetof(struct bf_conf_virtual_key, own.id), a);
	return r;
}

/* ---- identities */

static int compare_identities(const void *va, const void *vb)
{
	const struct bf_limit *const *a = va, *const *b = vb;

	if ((*a)->identity != (*b)->identity)
		return (*a)->identity > (*b)->identity ? 1 : -1;
	return (*a > *b) - (*a < *b);
}

static int same(struct plan_maker *m, const struct bf_limit *first, const struct bf_limit *again)
{
	plan_seat_of(m, again);
	return plan_judge(
	    m, plan_no(m, BF_PLAN_OWNER,
		       bf_err_set(&m->err, BF_E_DUPLICATE,
				  "its limit \"%.*s\" has the identity of one of "
				  "%s \"%.*s\": give owners and limits ids of "
				  "their own",
				  BF_SLICE_FMT(again->limit_id), bf_owner_name(first->owner),
				  BF_SLICE_FMT(first->owner_id))));
}

/* Owners with one id, or, once in 2^64, a coincidence. */
static int check_identities(struct plan_maker *m)
{
	uint32_t count = m->plan->limit_count;
	const struct bf_limit **sorted =
	    bf_arena_alloc(m->arena, count * sizeof(const struct bf_limit *));

	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		sorted[i] = &m->plan->limits[i];
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare_identities);
	for (uint32_t i = 1; i < count; i++)
		if (sorted[i - 1]->identity == sorted[i]->identity)
			return same(m, sorted[i - 1], sorted[i]);
	return 0;
}

/* ---- all of it */

/* 0; -ENOMEM; or, where nobody is told, the first fault's code. */
static int make(struct plan_maker *m)
{
	int r = make_room(m);

	if (r == 0)
		r = sort_ids(m);
	if (r == 0)
		r = plan_owners_make(m);
	if (r == 0 && m->first == 0)
		r = check_identities(m);
	/* Paths lead over all owners: they need all to be well. */
	if (r < 0 || m->first < 0)
		return r;
	r = plan_always_make(m);
	if (r == 0)
		r = plan_index_make(m);
	return r ? r : plan_bound_check(m);
}

int bf_plan_make(struct bf_plan *ret_plan, const struct bf_config *config, struct bf_arena *arena,
		 struct bf_err *err)
{
	struct bf_plan plan = {.key_count = 0};
	struct plan_maker m = {.governance = &config->governance, .arena = arena, .plan = &plan};
	int r = make(&m);

	if (r < 0 && m.first == 0)
		return bf_err_sys(err, r, "governance: the plan of limits");
	if (r < 0)
		return plan_say(&m, r, err);
	*ret_plan = plan;
	return 0;
}

int bf_plan_check(const struct bf_config *config, struct bf_arena *arena,
		  const struct bf_plan_report *report)
{
	struct bf_plan plan = {.key_count = 0};
	struct plan_maker m = {
	    .governance = &config->governance, .arena = arena, .plan = &plan, .report = report};
	int r = make(&m);

	return r ? r : m.first;
}
