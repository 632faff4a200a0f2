/*
 * No request may meet more limits than can be decided at once. Called while a plan is made. Must
 * never refuse for a path that nobody can take: what maxima tell is looked into before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/macros.h"
#include "common/govern/plan_priv.h"

#define FAULTS_MAX   100u /* a loader tells no more */
#define WITNESS_ROOM 512u

/* Providers that something depends on, "" for others, each with the model that meets the most
 * limits of everybody's there. */
struct places {
	struct bf_slice *providers, *models;
	uint32_t count;
};

/* Who meets the most limits where. */
struct witness {
	const struct bf_plan_key *key;
	struct bf_slice provider, model;
	uint32_t count;
};

/* Whoever asks may put prefixes before a name, so any text may be a bare model: those that somebody
 * named meet the most, with the limits of the rest of their names if they hold a slash. */
static void look(const struct bf_plan *plan, struct witness *worst, struct bf_slice provider,
		 struct bf_slice model)
{
	const struct plan_names names = plan_names_of(provider, bf_model_bare(model, provider));
	struct plan_lane lane = {.room = 0};

	plan_lane_lay(&lane, plan, worst->key, &names);
	if (lane.count <= worst->count)
		return;
	worst->provider = provider;
	worst->model = names.model;
	worst->count = lane.count;
}

/* ---- providers and their worst models */

static int compare_providers(const void *va, const void *vb)
{
	const struct bf_slice *a = va, *b = vb;

	return bf_slice_compare(*a, *b);
}

static uint64_t places_most(const struct bf_conf_governance *g)
{
	const struct bf_conf_virtual_key *keys = g->virtual_keys.items;
	uint64_t most = 1 + (uint64_t)plan_index_entries(g);

	for (uint32_t k = 0; k < g->virtual_keys.count; k++)
		most += keys[k].provider_configs.count;
	return most;
}

static void list_providers_of(const struct bf_plan_index *index, struct places *p, uint32_t *n)
{
	for (uint32_t i = 0; index && i < index->entry_count; i++)
		p->providers[(*n)++] = index->entries[i].provider;
}

static void list_providers(const struct plan_maker *m, struct places *p)
{
	uint32_t n = 1;

	list_providers_of(m->plan->index, p, &n);
	for (uint32_t k = 0; k < m->plan->key_count; k++) {
		const struct bf_plan_key *key = &m->plan->keys[k];

		list_providers_of(key->index, p, &n);
		for (uint32_t i = 0; i < key->conf->provider_configs.count; i++)
			p->providers[n++] = key->provider_configs[i].conf->provider;
	}
	qsort(p->providers, n, sizeof(*p->providers), compare_providers);
	p->count = 1;
	for (uint32_t i = 1; i < n; i++)
		if (!bf_slice_eq(p->providers[i], p->providers[p->count - 1]))
			p->providers[p->count++] = p->providers[i];
}

static int make_places(const struct plan_maker *m, struct places *ret_places)
{
	const struct bf_plan_index *index = m->plan->index;
	size_t most = places_most(m->governance);
	struct places p = {.providers = bf_arena_alloc(m->arena, most * sizeof(*p.providers)),
			   .models = bf_arena_alloc(m->arena, most * sizeof(*p.models))};

	if (!p.providers || !p.models)
		return -ENOMEM;
	list_providers(m, &p);
	for (uint32_t i = 0; i < p.count; i++) {
		struct witness worst = {.key = NULL};

		for (uint32_t k = 0; k < index->entry_count; k++)
			look(m->plan, &worst, p.providers[i], index->entries[k].model);
		p.models[i] = worst.model;
	}
	*ret_places = p;
	return 0;
}

static void look_everywhere(const struct bf_plan *plan, struct witness *worst,
			    const struct places *p, struct bf_slice model)
{
	for (uint32_t i = 0; i < p->count; i++)
		look(plan, worst, p->providers[i], model);
}

/* A model of the key's own, and those of everybody's that are this one with a prefix. */
static void look_around(const struct bf_plan *plan, struct witness *worst, const struct places *p,
			struct bf_slice model)
{
	const struct bf_slice nobody = {NULL, 0};
	const struct bf_plan_index *index = plan->index;

	look_everywhere(plan, worst, p, model);
	for (uint32_t i = 0; i < index->entry_count; i++)
		if (bf_model_is(model, index->entries[i].model, nobody))
			look_everywhere(plan, worst, p, index->entries[i].model);
}

/* A model of which the key has no limits meets no more than the worst of everybody's. */
static struct witness worst_of(const struct bf_plan *plan, const struct places *p,
			       const struct bf_plan_key *key)
{
	struct witness worst = {.key = key};
	struct plan_place places[PLAN_PLACES_MAX];

	for (uint32_t i = 0; i < p->count; i++)
		look(plan, &worst, p->providers[i], p->models[i]);
	for (uint32_t k = 0; key && k < key->model_config_count; k++) {
		unsigned count = plan_places_of(key->model_configs[k]->conf, places);

		for (unsigned i = 0; i < count; i++)
			look_around(plan, &worst, p, places[i].model);
	}
	return worst;
}

/* ---- what maxima tell */

static uint32_t limits_at(const struct bf_plan_index *index, enum plan_target target,
			  struct bf_slice provider, struct bf_slice model)
{
	const struct plan_names names = plan_names_of(provider, model);
	struct plan_lane lane = {.room = 0};

	plan_lane_target(&lane, index, target, &names);
	return lane.count;
}

static uint32_t sum_of(const uint32_t most[PLAN_TARGET_COUNT + 1])
{
	uint32_t sum = 0;

	for (unsigned t = 0; t <= PLAN_TARGET_COUNT; t++)
		sum += most[t];
	return sum;
}

static void add_most(const struct bf_plan_index *index, uint32_t most[PLAN_TARGET_COUNT + 1])
{
	for (uint32_t i = 0; i < index->entry_count; i++) {
		const struct plan_entry *e = &index->entries[i];

		most[e->target] =
		    BF_MAX(most[e->target], limits_at(index, e->target, e->provider, e->model));
	}
}

static uint32_t most_of_everybody(const struct bf_plan *plan)
{
	uint32_t most[PLAN_TARGET_COUNT + 1] = {0};

	add_most(plan->index, most);
	return sum_of(most);
}

static uint32_t most_of_key(const struct bf_plan_key *key)
{
	uint32_t most[PLAN_TARGET_COUNT + 1] = {0};

	for (uint32_t i = 0; i < key->conf->provider_configs.count; i++)
		most[PLAN_TARGET_CONFIG] =
		    BF_MAX(most[PLAN_TARGET_CONFIG], key->provider_configs[i].own.limit_count);
	if (key->index)
		add_most(key->index, most);
	return key->always.count + sum_of(most);
}

/* ---- saying so */

static const char *quoted(const char *what, struct bf_slice name, char out[64])
{
	if (name.len)
		(void)snprintf(out, 64, "%s \"%.*s\"", what, (int)BF_MIN(name.len, 50u), name.ptr);
	else
		(void)snprintf(out, 64, "any %s", what);
	return out;
}

static int tell(struct plan_maker *m, const struct witness *worst)
{
	const struct bf_limit *items[WITNESS_ROOM];
	struct plan_lane lane = {.items = items, .room = WITNESS_ROOM};
	const struct plan_names names = plan_names_of(worst->provider, worst->model);
	char owners[300], provider[64], model[64];

	plan_lane_lay(&lane, m->plan, worst->key, &names);
	plan_name_owners(owners, sizeof(owners), items, BF_MIN(lane.count, lane.room));
	if (worst->key)
		m->fault = (struct bf_plan_fault){.owner = BF_OWNER_VIRTUAL_KEY,
						  .index = (uint32_t)(worst->key - m->plan->keys)};
	else
		plan_seat_of(m, items[0]);
	return plan_no(m, BF_PLAN_OWNER,
		       bf_err_set(&m->err, BF_E_LIMIT,
				  "a request to %s for %s meets %" PRIu32
				  " limits, and at most %u can be decided at once: remove some of "
				  "%s",
				  quoted("provider", worst->provider, provider),
				  quoted("model", worst->model, model), worst->count,
				  BF_PLAN_LIMITS_PER_REQUEST, owners));
}

static int check(struct plan_maker *m, struct places *p, const struct bf_plan_key *key,
		 uint32_t most, uint32_t *faults)
{
	struct witness worst;
	int r = 0;

	if (most <= BF_PLAN_LIMITS_PER_REQUEST || *faults == FAULTS_MAX)
		return 0;
	if (!p->count)
		r = make_places(m, p);
	if (r < 0)
		return r;
	worst = worst_of(m->plan, p, key);
	if (worst.count <= BF_PLAN_LIMITS_PER_REQUEST)
		return 0;
	++*faults;
	return plan_judge(m, tell(m, &worst));
}

int plan_bound_check(struct plan_maker *m)
{
	struct places p = {.count = 0};
	uint32_t most = most_of_everybody(m->plan), faults = 0;
	int r = check(m, &p, NULL, most, &faults);
	uint32_t everybody = faults;

	/* What everybody meets is not said of each key. */
	for (uint32_t k = 0; r == 0 && everybody == 0 && k < m->plan->key_count; k++)
		r = check(m, &p, &m->plan->keys[k], most + most_of_key(&m->plan->keys[k]), &faults);
	return r;
}

uint64_t plan_bound_worst(const struct bf_conf_governance *governance)
{
	return 2 * places_most(governance) * sizeof(struct bf_slice);
}
