/*
 * A snapshot of what one key meets, and the plan that a worker would make of it. Called by change.c
 * in the rare case that the bound is too coarse. Must never be asked for each change: it takes all
 * models and providers with limits.
 */
#include "writerd/change/change_exact.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "common/govern/plan.h"
#include "common/snapshot/builder.h"

struct exact {
	const struct entities *t;
	const struct entity *x; /* takes the place of the one with its id; NULL: nobody does */
	const struct entity *key, *team; /* NULL: none */
	struct bf_snapshot_builder *builder;
	struct bf_err *err;
};

static bool is_x(const struct exact *m, const struct entity *e)
{
	return m->x && e->e.type == m->x->e.type && bf_slice_eq(e->e.id, m->x->e.id);
}

static bool is_met(const struct exact *m, const struct entity *e)
{
	uint64_t self = entity_key(e->e.type, e->e.id);

	switch ((enum bf_entity_type)e->e.type) {
	case BF_ENTITY_VIRTUAL_KEY:
		return m->key && bf_slice_eq(e->e.id, m->key->e.id);
	case BF_ENTITY_TEAM:
		return m->key && entity_names(m->key, self);
	case BF_ENTITY_CUSTOMER:
		return m->key &&
		       (entity_names(m->key, self) || (m->team && entity_names(m->team, self)));
	case BF_ENTITY_MODEL_CONFIG:
		return e->e.scope.len == 0 || (m->key && bf_slice_eq(e->e.scope, m->key->e.id));
	case BF_ENTITY_RATE_LIMIT:
	case BF_ENTITY_PROVIDER_LIMITS:
		return true;
	case BF_ENTITY_PRICING_OVERRIDE:
	case BF_ENTITY_PROVIDER:
	case BF_ENTITY_PRICING:
	case BF_ENTITY_MODEL_CATALOG:
	case BF_ENTITY_CLIENT_CONFIG:
	case BF_ENTITY_AUTH_CONFIG:
	case BF_ENTITY_API_KEY:
	case BF_ENTITY_SESSION_END:
	case BF_ENTITY_TYPE_MAX:
		break;
	}
	return false;
}

static int add_all(struct exact *m)
{
	int r = m->x ? bf_snapshot_builder_add(m->builder, &m->x->e, m->err) : 0;

	for (uint32_t type = 1; type < BF_ENTITY_TYPE_MAX && r == 0; type++)
		for (const struct entity *e = entities_next(m->t, type, NULL); e && r == 0;
		     e = entities_next(m->t, type, e))
			if (!is_x(m, e) && is_met(m, e))
				r = bf_snapshot_builder_add(m->builder, &e->e, m->err);
	return r;
}

static int build(struct exact *m, struct bf_snapshot_blob **ret_blob)
{
	static const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN];
	int fd, r = bf_snapshot_builder_open(&m->builder, false, 1, pepper, m->err);

	if (r == 0)
		r = add_all(m);
	fd = r == 0 ? bf_snapshot_builder_finish(m->builder, m->err) : r;
	bf_snapshot_builder_close(m->builder);
	if (fd < 0)
		return fd;
	r = bf_snapshot_map(fd, ret_blob, m->err);
	(void)close(fd);
	return r;
}

/* ---- one configuration of both */

static bool has_rate(const struct bf_array *list, struct bf_slice id)
{
	const struct bf_conf_rate_limit *items = list->items;

	for (uint32_t i = 0; i < list->count; i++)
		if (bf_slice_eq(items[i].id, id))
			return true;
	return false;
}

static int join(struct bf_array *list, const struct bf_array *more, size_t size,
		struct bf_arena *arena)
{
	char *items = bf_arena_alloc(arena, (list->count + more->count) * size);

	if (!items)
		return -ENOMEM;
	if (list->count)
		memcpy(items, list->items, list->count * size);
	if (more->count)
		memcpy(items + list->count * size, more->items, more->count * size);
	*list = (struct bf_array){items, list->count + more->count};
	return 0;
}

static int join_rates(struct bf_array *list, const struct bf_array *more, struct bf_arena *arena)
{
	struct bf_conf_rate_limit *items = more->items;
	struct bf_array fresh = {items, 0};

	/* Those that both name are there once: more is a copy of ours. */
	for (uint32_t i = 0; i < more->count; i++)
		if (!has_rate(list, items[i].id))
			items[fresh.count++] = items[i];
	return join(list, &fresh, sizeof(*items), arena);
}

static int assemble(const struct bf_snapshot *s, const struct exact *m, struct bf_arena *arena,
		    struct bf_config *ret_config)
{
	struct bf_config everybody;
	struct bf_snapshot_parts parts;
	struct bf_conf_governance *g = &ret_config->governance;
	struct bf_entity key;
	int r;

	if (!bf_snapshot_find(s, BF_ENTITY_VIRTUAL_KEY, m->key->e.id, &key))
		return bf_err_set(m->err, BF_E_UNKNOWN, "the key is not there");
	r = bf_snapshot_key_config(s, &key, arena, ret_config, &parts, m->err);
	if (r == 0)
		r = bf_snapshot_common_config(s, arena, &everybody, m->err);
	if (r < 0)
		return r;
	g->providers = everybody.governance.providers;
	r = join(&g->model_configs, &everybody.governance.model_configs,
		 sizeof(struct bf_conf_model_config), arena);
	return r ? r : join_rates(&g->rate_limits, &everybody.governance.rate_limits, arena);
}

/* ---- asking */

static const struct entity *team_of(const struct exact *m)
{
	for (uint32_t i = 0; i < m->key->need_count; i++) {
		const struct entity *e = entities_with_key(m->t, m->key->names[i]);

		if (e && e->e.type == BF_ENTITY_TEAM)
			return e;
	}
	return NULL;
}

int change_exact_everybody(const struct entities *t, struct bf_arena *arena, struct bf_err *err)
{
	struct exact m = {.t = t, .err = err};
	struct bf_snapshot_blob *blob = NULL;
	struct bf_config config;
	struct bf_plan plan;
	int r = build(&m, &blob);

	if (r == 0) {
		const struct bf_snapshot s = {blob, NULL};

		r = bf_snapshot_common_config(&s, arena, &config, err);
	}
	if (r == 0) {
		config.version = 2;
		r = bf_plan_make(&plan, &config, arena, err);
	}
	bf_snapshot_unmap(blob);
	return r;
}

int change_exact(const struct entities *t, const struct entity *x, struct bf_arena *arena,
		 struct bf_err *err)
{
	struct exact m = {.t = t, .x = x, .key = x, .err = err};
	struct bf_snapshot_blob *blob = NULL;
	struct bf_config config = {.version = 2};
	struct bf_plan plan;
	int r;

	if (x->e.type != BF_ENTITY_VIRTUAL_KEY)
		m.key = entities_live(t, BF_ENTITY_VIRTUAL_KEY, x->e.scope);
	if (!m.key)
		return bf_err_set(err, BF_E_UNKNOWN, "its key is not there");
	m.team = team_of(&m);
	r = build(&m, &blob);
	if (r == 0) {
		const struct bf_snapshot s = {blob, NULL};

		r = assemble(&s, &m, arena, &config);
	}
	if (r == 0)
		r = bf_plan_make(&plan, &config, arena, err);
	bf_snapshot_unmap(blob);
	return r;
}
