/*
 * All entities as one governance block, for the plan of all limits. Called at the start of writerd.
 * Must never leave one out that somebody may use: its limits would have no meters.
 */
#include "writerd/registry.h"

#include <errno.h>
#include <string.h>

#include "common/base/macros.h"

static const struct part {
	uint32_t type;
	size_t list; /* in struct bf_conf_governance */
} parts[] = {
    {BF_ENTITY_RATE_LIMIT, offsetof(struct bf_conf_governance, rate_limits)},
    {BF_ENTITY_CUSTOMER, offsetof(struct bf_conf_governance, customers)},
    {BF_ENTITY_TEAM, offsetof(struct bf_conf_governance, teams)},
    {BF_ENTITY_VIRTUAL_KEY, offsetof(struct bf_conf_governance, virtual_keys)},
    {BF_ENTITY_MODEL_CONFIG, offsetof(struct bf_conf_governance, model_configs)},
    {BF_ENTITY_PROVIDER_LIMITS, offsetof(struct bf_conf_governance, providers)},
};

struct rates {
	struct bf_conf_rate_limit *items;
	uint32_t count, room;
};

/* Those that stand at their owner go where a plan looks for them. */
static int move_rate(struct rates *rates, struct bf_conf_owner *own, struct bf_arena *arena)
{
	if (!own->rate_limit.count)
		return 0;
	if (rates->count == rates->room) {
		uint32_t room = rates->room ? 2 * rates->room : 64;
		struct bf_conf_rate_limit *wider = bf_arena_resize(
		    arena, rates->items, rates->room * sizeof(*wider), room * sizeof(*wider));

		if (!wider)
			return -ENOMEM;
		rates->items = wider;
		rates->room = room;
	}
	rates->items[rates->count] = *(const struct bf_conf_rate_limit *)own->rate_limit.items;
	own->rate_limit_id = rates->items[rates->count++].id;
	own->rate_limit = (struct bf_array){NULL, 0};
	return 0;
}

static int move_rates(struct rates *rates, uint32_t type, void *object, struct bf_arena *arena)
{
	struct bf_conf_virtual_key *key = object;
	struct bf_conf_provider_config *configs;
	int r;

	if (type == BF_ENTITY_RATE_LIMIT)
		return 0;
	r = move_rate(rates, object, arena);
	if (type != BF_ENTITY_VIRTUAL_KEY)
		return r;
	configs = key->provider_configs.items;
	for (uint32_t i = 0; i < key->provider_configs.count && r == 0; i++)
		r = move_rate(rates, &configs[i].own, arena);
	return r;
}

static int add_part(const struct registry *r, const struct part *part, struct rates *rates,
		    struct bf_arena *arena, struct bf_array *list)
{
	size_t size = bf_entity_def(part->type)->table->size;
	uint32_t count = 0, most = entities_count(r->t, part->type);
	char *items = bf_arena_alloc(arena, (size_t)most * size);
	int code = items ? 0 : -ENOMEM;

	for (const struct entity *x = entities_next(r->t, part->type, NULL); x && code == 0;
	     x = entities_next(r->t, part->type, x)) {
		void *object = items + (size_t)count * size;

		if (x->e.flags & BF_ENTITY_QUARANTINED)
			continue;
		code = bf_entity_decode(&x->e, object, arena, NULL);
		if (code == 0)
			code = move_rates(rates, part->type, object, arena);
		count++;
	}
	*list = (struct bf_array){count ? items : NULL, count};
	return code;
}

static int join_rates(struct bf_array *list, const struct rates *rates, struct bf_arena *arena)
{
	uint32_t count = list->count + rates->count;
	struct bf_conf_rate_limit *items = bf_arena_alloc(arena, count * sizeof(*items));

	if (!items)
		return -ENOMEM;
	if (list->count)
		memcpy(items, list->items, list->count * sizeof(*items));
	if (rates->count)
		memcpy(items + list->count, rates->items, rates->count * sizeof(*items));
	*list = (struct bf_array){count ? items : NULL, count};
	return 0;
}

int registry_config(const struct registry *r, struct bf_arena *arena, struct bf_config *io_config)
{
	struct bf_conf_governance *g = &io_config->governance;
	struct rates rates = {.items = NULL};
	int code = 0;

	for (size_t i = 0; i < BF_ARRAY_LEN(parts) && code == 0; i++)
		code = add_part(r, &parts[i], &rates, arena,
				(struct bf_array *)(void *)((char *)g + parts[i].list));
	g->budgets = (struct bf_array){NULL, 0};
	return code ? code : join_rates(&g->rate_limits, &rates, arena);
}
