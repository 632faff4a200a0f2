/*
 * What the loader completes in an entry of the governance block, for one entity: it is put into a
 * configuration of its own, where whoever it names stands by its id alone. Called by writerd. Must
 * never find fault with those: whether they exist, the caller has looked up.
 */
#include "common/schema/entity_priv.h"

#include <stddef.h>
#include <string.h>

struct small {
	struct bf_config config;
	struct bf_whole whole;
	bool full; /* memory */
};

/* By table: where it stands in the file. */
static const struct place {
	const struct bf_table *table;
	const char *block;
	size_t list;
} places[] = {
    {&bf_customer_table, "customers", offsetof(struct bf_conf_governance, customers)},
    {&bf_team_table, "teams", offsetof(struct bf_conf_governance, teams)},
    {&bf_virtual_key_table, "virtual_keys", offsetof(struct bf_conf_governance, virtual_keys)},
    {&bf_model_config_table, "model_configs", offsetof(struct bf_conf_governance, model_configs)},
    {&bf_provider_limits_table, "providers", offsetof(struct bf_conf_governance, providers)},
};

static const struct place *place_of(const struct bf_table *table)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(places); i++)
		if (places[i].table == table)
			return &places[i];
	return NULL;
}

/* ---- whom it names */

static void *stub(struct small *s, struct bf_array *list, size_t size)
{
	void *item = bf_arena_alloc(s->whole.arena, size);

	if (!item)
		s->full = true;
	else
		*list = (struct bf_array){item, 1};
	return item;
}

static void stub_owner(struct small *s, struct bf_array *list, size_t size, struct bf_slice id)
{
	struct bf_conf_owner *own = id.len ? stub(s, list, size) : NULL;

	if (own)
		own->id = own->name = id;
}

static void stub_rate(struct small *s, struct bf_slice id)
{
	struct bf_array *list = &s->config.governance.rate_limits;
	struct bf_conf_rate_limit *items = list->items;

	for (uint32_t i = 0; i < list->count; i++)
		if (bf_slice_eq(items[i].id, id))
			return;
	if (id.len == 0)
		return;
	items = bf_arena_resize(s->whole.arena, items, list->count * sizeof(*items),
				(list->count + 1) * sizeof(*items));
	if (!items) {
		s->full = true;
		return;
	}
	items[list->count].id = id;
	*list = (struct bf_array){items, list->count + 1};
}

static void stub_named(struct small *s, const struct bf_table *table, void *object)
{
	struct bf_conf_governance *g = &s->config.governance;
	const struct bf_conf_virtual_key *key = object;
	const struct bf_conf_team *team = object;
	const struct bf_conf_model_config *model = object;
	const struct bf_conf_provider_config *configs;

	stub_rate(s, entity_own(table, object)->rate_limit_id);
	if (table == &bf_team_table)
		stub_owner(s, &g->customers, sizeof(struct bf_conf_customer), team->customer_id);
	if (table == &bf_model_config_table)
		stub_owner(s, &g->virtual_keys, sizeof(*key), model->scope_id);
	if (table != &bf_virtual_key_table)
		return;
	stub_owner(s, &g->teams, sizeof(struct bf_conf_team), key->team_id);
	stub_owner(s, &g->customers, sizeof(struct bf_conf_customer), key->customer_id);
	configs = key->provider_configs.items;
	for (uint32_t i = 0; i < key->provider_configs.count; i++)
		stub_rate(s, configs[i].own.rate_limit_id);
}

/* ---- the file that it would stand in */

static struct bf_node *above(struct small *s, enum bf_node_type type, const char *key,
			     struct bf_node *child)
{
	struct bf_node *node = bf_arena_alloc(s->whole.arena, sizeof(*node));

	if (!node) {
		s->full = true;
		return child;
	}
	*node = (struct bf_node){.type = (uint8_t)type, .count = 1, .first = child};
	if (child && key)
		child->key = bf_slice_from(key);
	return node;
}

static void lay_out(struct small *s, struct bf_entity_body *body, const struct place *place)
{
	struct bf_node *list = above(s, BF_NODE_LIST, NULL, body->root);
	struct bf_node *block = above(s, BF_NODE_MAP, place->block, list);

	s->whole.root = above(s, BF_NODE_MAP, "governance", block);
}

/* ---- rate limits that stood at their owner go back there */

static void take_back(struct small *s, struct bf_conf_owner *own)
{
	const struct bf_array *list = &s->config.governance.rate_limits;
	const struct bf_conf_rate_limit *items = list->items;
	struct bf_conf_rate_limit *copy = bf_arena_alloc(s->whole.arena, sizeof(*copy));

	if (!copy) {
		s->full = true;
		return;
	}
	/* Those that were moved stand behind those that are named. */
	for (uint32_t i = list->count; i-- > 0;) {
		if (!bf_slice_eq(items[i].id, own->rate_limit_id))
			continue;
		*copy = items[i];
		own->rate_limit = (struct bf_array){copy, 1};
		own->rate_limit_id = (struct bf_slice){NULL, 0};
		return;
	}
}

static void complete(struct small *s)
{
	struct bf_whole *w = &s->whole;
	bool *stood;

	if (bf_owners_collect(w) < 0)
		return;
	stood = bf_arena_alloc(w->arena, w->owners->count + 1);
	if (!stood) {
		s->full = true;
		return;
	}
	for (uint32_t i = 0; i < w->owners->count; i++)
		stood[i] = w->owners->items[i].own->rate_limit.count != 0;
	bf_owners_name(w);
	bf_rates_complete(w);
	if (w->owners->rates)
		bf_references_check(w);
	bf_budgets_complete(w);
	if (w->diags->error_count == 0)
		bf_limits_check(w);
	bf_owners_done(w);
	for (uint32_t i = 0; i < w->owners->count && !w->diags->error_count; i++)
		if (stood[i])
			take_back(s, w->owners->items[i].own);
}

/* ---- keys: whom nothing is said of, may use all providers in a file that names no version; a
 * change must never open what was closed. */

static void settle_providers(const struct bf_entity_body *body, struct bf_conf_virtual_key *key,
			     bool allowed_all)
{
	const struct bf_conf_virtual_key *before = body->before;

	if (!before || bf_entity_gives(body, "allow_all_providers"))
		return;
	key->allow_all_providers = allowed_all;
	/* It was open because nothing was said. */
	if (bf_entity_gives(body, "provider_configs") && before->provider_configs.count == 0 &&
	    key->provider_configs.count)
		key->allow_all_providers = false;
}

int bf_entity_complete(struct bf_entity_body *body, const struct bf_config *config, void *object)
{
	const struct place *place = place_of(body->table);
	bool is_key = body->table == &bf_virtual_key_table;
	struct small s = {.full = false};
	struct bf_conf_virtual_key *key = object;
	bool allowed_all = is_key && key->allow_all_providers;

	if (body->table == &bf_provider_table) {
		entity_complete_provider(body, config, object);
		return body->diags.error_count ? BF_E_SYNTAX : 0;
	}
	if (!place)
		return 0;
	s.config.version = config->version;
	s.config.names_version = config->names_version;
	s.config.providers = config->providers;
	s.whole =
	    (struct bf_whole){.config = &s.config, .arena = body->arena, .diags = &body->diags};
	*(struct bf_array *)(void *)((char *)&s.config.governance + place->list) =
	    (struct bf_array){object, 1};
	stub_named(&s, body->table, object);
	lay_out(&s, body, place);
	if (!s.full)
		complete(&s);
	body->root->key = (struct bf_slice){NULL, 0};
	if (s.full)
		bf_whole_is_full(&s.whole);
	if (is_key)
		settle_providers(body, object, allowed_all);
	entity_strip_place(body, place->block);
	return body->diags.error_count ? BF_E_SYNTAX : 0;
}
