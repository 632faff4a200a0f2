/*
 * Small configurations out of entities: of one key, of what everybody meets. Called by workers,
 * once for a key and again when one of its parts changed. Must never leave a limit out: what a key
 * names and cannot be found is an error.
 */
#include <errno.h>
#include <stddef.h>

#include "common/base/macros.h"
#include "common/snapshot/snapshot_priv.h"

/* The search for a rate limit that was taken over already goes so far back: what stands there twice
 * does no harm. */
#define LOOK_BACK 64u

struct maker {
	const struct bf_snapshot *s;
	struct bf_arena *arena;
	struct bf_conf_governance *g;
	struct bf_snapshot_parts *parts; /* NULL: nobody asks */
	struct bf_err *err;
};

_Static_assert(offsetof(struct bf_conf_virtual_key, own) == 0 &&
		   offsetof(struct bf_conf_provider_config, own) == 0 &&
		   offsetof(struct bf_conf_model_config, own) == 0 &&
		   offsetof(struct bf_conf_provider_limits, own) == 0,
	       "an owner comes first");

/* How many of a list of owners have a rate limit: workers keep what is assembled, so there is room
 * for no more. */
static uint32_t count_rates(const struct bf_array *list, size_t size)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < list->count; i++) {
		const char *item = (const char *)list->items + i * size;
		const struct bf_conf_owner *own = (const void *)item;

		count += own->rate_limit.count || own->rate_limit_id.len;
	}
	return count;
}

/* For so many rate limits; with them a key, a team and a customer may be parts. */
static int make_room(struct maker *m, uint32_t rates)
{
	m->g->rate_limits.items =
	    bf_arena_alloc(m->arena, rates * sizeof(struct bf_conf_rate_limit));
	if (m->parts)
		m->parts->items =
		    bf_arena_alloc(m->arena, (rates + 3) * sizeof(struct bf_snapshot_part));
	return m->g->rate_limits.items && (!m->parts || m->parts->items) ? 0 : -ENOMEM;
}

static void add_part(struct maker *m, uint32_t type, struct bf_slice id,
		     const struct bf_entity *entity)
{
	if (m->parts)
		m->parts->items[m->parts->count++] =
		    (struct bf_snapshot_part){.type = type,
					      .flags = entity ? entity->flags : 0,
					      .version = entity ? entity->version : 0,
					      .updated_ms = entity ? entity->updated_ms : 0,
					      .id = id};
}

/* What an entity of the name `who` names; id lies in the arena. The text goes on after "where: ".
 */
static int find(struct maker *m, uint32_t type, struct bf_slice id, void *object)
{
	struct bf_entity entity;
	bool is = bf_snapshot_find(m->s, type, id, &entity);

	add_part(m, type, id, is ? &entity : NULL);
	if (!is)
		return bf_err_set(m->err, BF_E_UNKNOWN,
				  "no %s has the id \"%.*s\": add it, or correct the id",
				  bf_entity_def(type)->name, BF_SLICE_FMT(id));
	if (entity.flags & BF_ENTITY_QUARANTINED)
		return bf_err_set(m->err, BF_E_UNKNOWN,
				  "the %s \"%.*s\" names what does not exist: mend it",
				  bf_entity_def(type)->name, BF_SLICE_FMT(id));
	return bf_entity_decode(&entity, object, m->arena, m->err);
}

/* ---- rate limits */

static bool has_rate(const struct maker *m, struct bf_slice id)
{
	const struct bf_conf_rate_limit *items = m->g->rate_limits.items;
	uint32_t count = m->g->rate_limits.count;

	for (uint32_t i = 0; i < BF_MIN(count, LOOK_BACK); i++)
		if (bf_slice_eq(items[count - 1 - i].id, id))
			return true;
	return false;
}

/* The one that it names or holds goes where a plan looks for it. */
static int settle_rate(struct maker *m, struct bf_conf_owner *own)
{
	struct bf_conf_rate_limit *items = m->g->rate_limits.items;
	uint32_t at = m->g->rate_limits.count;
	int r = 0;

	if (own->rate_limit.count) {
		items[at] = *(const struct bf_conf_rate_limit *)own->rate_limit.items;
		own->rate_limit_id = items[at].id;
		own->rate_limit = (struct bf_array){NULL, 0};
		m->g->rate_limits.count++;
	} else if (own->rate_limit_id.len && !has_rate(m, own->rate_limit_id)) {
		r = find(m, BF_ENTITY_RATE_LIMIT, own->rate_limit_id, &items[at]);
		m->g->rate_limits.count += r == 0;
	}
	return r;
}

/* ---- model configs */

static int list_models(struct maker *m, struct bf_slice scope)
{
	struct bf_snapshot_cursor count = {0}, cursor = {0};
	struct bf_array *list = &m->g->model_configs;
	struct bf_conf_model_config *items;
	struct bf_entity entity;
	uint32_t room = 0;
	int r = 0;

	while (bf_snapshot_next_of(m->s, BF_ENTITY_MODEL_CONFIG, scope, &count, &entity))
		room++;
	items = bf_arena_alloc(m->arena, room * sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = room ? items : NULL;
	while (r == 0 && list->count < room &&
	       bf_snapshot_next_of(m->s, BF_ENTITY_MODEL_CONFIG, scope, &cursor, &entity)) {
		/* Of everybody's its budgets go on: settle_list(). */
		if (scope.len && entity.flags & BF_ENTITY_QUARANTINED)
			return bf_err_set(m->err, BF_E_UNKNOWN,
					  "its model config \"%.*s\" names what does not "
					  "exist: mend it",
					  BF_SLICE_FMT(entity.id));
		r = bf_entity_decode(&entity, &items[list->count], m->arena, m->err);
		items[list->count].own.name = items[list->count].model_name;
		list->count += r == 0;
	}
	return r;
}

/* ---- a key */

static void *one(struct maker *m, struct bf_array *list, size_t size)
{
	list->items = bf_arena_alloc(m->arena, size);
	list->count = list->items ? 1 : 0;
	return list->items;
}

static int take_customer(struct maker *m, struct bf_slice id)
{
	struct bf_conf_customer *customer = one(m, &m->g->customers, sizeof(*customer));
	int r = customer ? find(m, BF_ENTITY_CUSTOMER, id, customer) : -ENOMEM;

	return r ? r : settle_rate(m, &customer->own);
}

static int take_team(struct maker *m, struct bf_slice id, struct bf_slice *ret_customer)
{
	struct bf_conf_team *team = one(m, &m->g->teams, sizeof(*team));
	int r = team ? find(m, BF_ENTITY_TEAM, id, team) : -ENOMEM;

	if (r == 0)
		r = settle_rate(m, &team->own);
	if (r == 0 && team->customer_id.len)
		*ret_customer = team->customer_id;
	return r;
}

static int take_owners(struct maker *m, const struct bf_conf_virtual_key *key)
{
	struct bf_slice customer = key->customer_id;
	int r = 0;

	if (key->team_id.len)
		r = take_team(m, key->team_id, &customer);
	if (r == 0 && customer.len)
		r = take_customer(m, customer);
	return r;
}

static int settle_rates(struct maker *m, struct bf_conf_virtual_key *key)
{
	struct bf_conf_provider_config *configs = key->provider_configs.items;
	struct bf_conf_model_config *models = m->g->model_configs.items;
	int r = settle_rate(m, &key->own);

	for (uint32_t i = 0; r == 0 && i < key->provider_configs.count; i++) {
		configs[i].own.name = configs[i].provider;
		r = settle_rate(m, &configs[i].own);
	}
	for (uint32_t i = 0; r == 0 && i < m->g->model_configs.count; i++)
		r = settle_rate(m, &models[i].own);
	return r;
}

static int make_key(struct maker *m, const struct bf_entity *entity)
{
	struct bf_conf_virtual_key *key = one(m, &m->g->virtual_keys, sizeof(*key));
	int models, r = key ? bf_entity_decode(entity, key, m->arena, m->err) : -ENOMEM;

	if (r < 0)
		return r;
	models = list_models(m, key->own.id);
	/* One of a team and one of a customer; parts are told even when something is missing. */
	r = make_room(
	    m, 2 + count_rates(&m->g->virtual_keys, sizeof(*key)) +
		   count_rates(&key->provider_configs, sizeof(struct bf_conf_provider_config)) +
		   count_rates(&m->g->model_configs, sizeof(struct bf_conf_model_config)));
	if (r < 0)
		return r;
	add_part(m, BF_ENTITY_VIRTUAL_KEY, key->own.id, entity);
	m->parts->scoped = snap_scoped(m->s, key->own.id);
	r = models ? models : take_owners(m, key);
	return r ? r : settle_rates(m, key);
}

int bf_snapshot_key_config(const struct bf_snapshot *s, const struct bf_entity *key,
			   struct bf_arena *arena, struct bf_config *ret_config,
			   struct bf_snapshot_parts *ret_parts, struct bf_err *err)
{
	struct bf_err local = {.code = 0};
	struct maker m = {.s = s,
			  .arena = arena,
			  .g = &ret_config->governance,
			  .parts = ret_parts,
			  .err = &local};
	int r;

	*ret_config = (struct bf_config){.version = 0};
	*ret_parts = (struct bf_snapshot_parts){.count = 0};
	r = make_key(&m, key);
	if (r < 0)
		return bf_err_set(err, r, "virtual key \"%.*s\": %s", BF_SLICE_FMT(key->id),
				  local.code ? local.text : bf_err_text(r));
	return 0;
}

/* ---- everybody */

/* A rate limit that is gone nobody can keep to; the budgets of its owner hold on without it. */
static int settle_list(struct maker *m, struct bf_array *list, size_t size)
{
	char *items = list->items;
	int r = 0;

	for (uint32_t i = 0; i < list->count && r == 0; i++) {
		struct bf_conf_owner *own = (void *)(items + i * size);

		r = settle_rate(m, own);
		if (r == BF_E_UNKNOWN) {
			own->rate_limit_id = (struct bf_slice){NULL, 0};
			r = 0;
		}
	}
	return r;
}

static int list_all(struct maker *m, uint32_t type, struct bf_array *list)
{
	size_t size = bf_entity_def(type)->table->size;
	struct bf_snapshot_cursor cursor = {0};
	uint64_t room = bf_snapshot_count(m->s->base, type) +
			(m->s->overlay ? bf_snapshot_count(m->s->overlay, type) : 0);
	struct bf_entity entity;
	int r = 0;

	list->items = bf_arena_alloc(m->arena, room * size);
	if (!list->items)
		return -ENOMEM;
	while (r == 0 && list->count < room && bf_snapshot_next(m->s, type, &cursor, &entity)) {
		if (type == BF_ENTITY_PRICING_OVERRIDE && entity.flags & BF_ENTITY_QUARANTINED)
			continue;
		r = bf_entity_decode(&entity, (char *)list->items + list->count * size, m->arena,
				     m->err);
		list->count += r == 0;
	}
	return r;
}

static int make_common(struct maker *m)
{
	struct bf_conf_governance *g = m->g;
	int r = list_all(m, BF_ENTITY_PROVIDER_LIMITS, &g->providers);

	if (r == 0)
		r = list_models(m, (struct bf_slice){NULL, 0});
	if (r == 0)
		r = list_all(m, BF_ENTITY_PRICING_OVERRIDE, &g->pricing_overrides);
	if (r == 0)
		r = make_room(
		    m, count_rates(&g->providers, sizeof(struct bf_conf_provider_limits)) +
			   count_rates(&g->model_configs, sizeof(struct bf_conf_model_config)));
	if (r == 0)
		r = settle_list(m, &g->providers, sizeof(struct bf_conf_provider_limits));
	if (r == 0)
		r = settle_list(m, &g->model_configs, sizeof(struct bf_conf_model_config));
	return r;
}

int bf_snapshot_common_config(const struct bf_snapshot *s, struct bf_arena *arena,
			      struct bf_config *ret_config, struct bf_err *err)
{
	struct bf_err local = {.code = 0};
	struct maker m = {.s = s, .arena = arena, .g = &ret_config->governance, .err = &local};
	int r;

	*ret_config = (struct bf_config){.version = 0};
	r = make_common(&m);
	if (r < 0)
		return bf_err_set(err, r, "what every request meets: %s",
				  local.code ? local.text : bf_err_text(r));
	return 0;
}
