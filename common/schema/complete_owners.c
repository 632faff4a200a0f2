/*
 * Owners of limits: all of them in one row, their ids and names. Called by complete_governance.c,
 * also when the file has errors. Must never show the value of a key.
 */
#include "common/schema/entity_parse.h"
#include "common/schema/owners.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define OWN_IS_FIRST(type_) \
	_Static_assert(offsetof(struct type_, own) == 0, #type_ " is read as an owner")

OWN_IS_FIRST(bf_conf_customer);
OWN_IS_FIRST(bf_conf_team);
OWN_IS_FIRST(bf_conf_provider_config);
OWN_IS_FIRST(bf_conf_model_config);
OWN_IS_FIRST(bf_conf_provider_limits);
OWN_IS_FIRST(bf_conf_virtual_key);

static const struct kind {
	const char *block, *noun;
	const char *named_by; /* its member that stands for a name */
	size_t list;          /* in struct bf_conf_governance */
	size_t size;
} kinds[BF_OWNER_COUNT] = {
    [BF_OWNER_PROVIDER] = {"providers", "provider", "name",
			   offsetof(struct bf_conf_governance, providers),
			   sizeof(struct bf_conf_provider_limits)},
    [BF_OWNER_MODEL_CONFIG] = {"model_configs", "model config", "model_name",
			       offsetof(struct bf_conf_governance, model_configs),
			       sizeof(struct bf_conf_model_config)},
    [BF_OWNER_PROVIDER_CONFIG] = {"virtual_keys", "provider config", "provider", 0,
				  sizeof(struct bf_conf_provider_config)},
    [BF_OWNER_VIRTUAL_KEY] = {"virtual_keys", "virtual key", "name",
			      offsetof(struct bf_conf_governance, virtual_keys),
			      sizeof(struct bf_conf_virtual_key)},
    [BF_OWNER_TEAM] = {"teams", "team", "name", offsetof(struct bf_conf_governance, teams),
		       sizeof(struct bf_conf_team)},
    [BF_OWNER_CUSTOMER] = {"customers", "customer", "name",
			   offsetof(struct bf_conf_governance, customers),
			   sizeof(struct bf_conf_customer)},
};

const char *bf_owner_noun(enum bf_owner kind)
{
	return kinds[kind].noun;
}

const char *bf_owner_block(enum bf_owner kind)
{
	return kinds[kind].block;
}

const char *bf_owner_path(const struct bf_owner_ref *owner, char out[BF_OWNER_PATH_MAX])
{
	if (owner->kind == BF_OWNER_PROVIDER_CONFIG)
		(void)snprintf(out, BF_OWNER_PATH_MAX,
			       "governance.virtual_keys[%" PRIu32 "].provider_configs[%" PRIu32 "]",
			       owner->key, owner->index);
	else
		(void)snprintf(out, BF_OWNER_PATH_MAX, "governance.%s[%" PRIu32 "]",
			       kinds[owner->kind].block, owner->index);
	return out;
}

struct bf_owner_ref *bf_owner_at(const struct bf_whole *w, enum bf_owner kind, uint32_t key,
				 uint32_t index)
{
	uint32_t first =
	    kind == BF_OWNER_PROVIDER_CONFIG ? w->owners->configs[key] : w->owners->first[kind];

	return &w->owners->items[first + index];
}

/* ---- collecting */

static struct bf_array *list_of(struct bf_whole *w, enum bf_owner kind)
{
	return (struct bf_array *)(void *)((char *)&w->config->governance + kinds[kind].list);
}

static uint32_t count_configs(const struct bf_array *keys)
{
	const struct bf_conf_virtual_key *items = keys->items;
	uint32_t count = 0;

	for (uint32_t i = 0; i < keys->count; i++)
		count += items[i].provider_configs.count;
	return count;
}

static const struct bf_node *first_of(const struct bf_node *list)
{
	return list && list->type == BF_NODE_LIST ? list->first : NULL;
}

static void add_list(struct bf_owners *o, enum bf_owner kind, uint32_t key,
		     const struct bf_array *list, const struct bf_node *nodes)
{
	const struct bf_node *node = first_of(nodes);

	for (uint32_t i = 0; i < list->count; i++) {
		o->items[o->count++] = (struct bf_owner_ref){
		    .kind = kind,
		    .index = i,
		    .key = key,
		    .own = (void *)((char *)list->items + i * kinds[kind].size),
		    .node = node};
		node = node ? node->next : NULL;
	}
}

static void add_configs(struct bf_whole *w)
{
	const struct bf_array *keys = &w->config->governance.virtual_keys;
	const struct bf_conf_virtual_key *items = keys->items;
	const struct bf_node *node = first_of(bf_governance_block(w, "virtual_keys"));

	for (uint32_t i = 0; i < keys->count; i++) {
		w->owners->configs[i] = w->owners->count;
		add_list(w->owners, BF_OWNER_PROVIDER_CONFIG, i, &items[i].provider_configs,
			 bf_node_member(node, "provider_configs"));
		node = node ? node->next : NULL;
	}
}

int bf_owners_collect(struct bf_whole *w)
{
	const struct bf_array *keys = &w->config->governance.virtual_keys;
	struct bf_owners *o = bf_arena_alloc(w->arena, sizeof(*o));
	size_t most = count_configs(keys);

	for (enum bf_owner kind = 0; kind < BF_OWNER_COUNT; kind++)
		if (kind != BF_OWNER_PROVIDER_CONFIG)
			most += list_of(w, kind)->count;
	if (o) {
		o->items = bf_arena_alloc(w->arena, (most + 1) * sizeof(*o->items));
		o->configs = bf_arena_alloc(w->arena, (keys->count + 1) * sizeof(*o->configs));
	}
	if (!o || !o->items || !o->configs) {
		bf_whole_is_full(w);
		return -1;
	}
	w->owners = o;
	for (enum bf_owner kind = 0; kind < BF_OWNER_COUNT; kind++) {
		o->first[kind] = o->count;
		if (kind == BF_OWNER_PROVIDER_CONFIG)
			add_configs(w);
		else
			add_list(o, kind, 0, list_of(w, kind),
				 bf_governance_block(w, kinds[kind].block));
	}
	o->first[BF_OWNER_COUNT] = o->count;
	return 0;
}

void bf_owners_done(struct bf_whole *w)
{
	for (enum bf_owner kind = 0; w->owners && kind < BF_OWNER_COUNT; kind++)
		bf_refs_done(&w->owners->ids[kind]);
}

/* ---- names and ids */

static void derive(struct bf_whole *w, struct bf_conf_owner *own, const char *text)
{
	if (text)
		bf_id_derive(w, bf_slice_from(text), &own->id);
	else
		bf_whole_is_full(w);
}

static bool is_provider(const struct bf_config *config, struct bf_slice name)
{
	const struct bf_conf_provider *items = config->providers.items;

	for (uint32_t i = 0; i < config->providers.count; i++)
		if (bf_slice_eq(items[i].name, name))
			return true;
	return false;
}

/* "openai/gpt-4o" would never be met: models are looked for without their provider. */
static void split_model(struct bf_whole *w, struct bf_conf_model_config *m)
{
	const char *slash =
	    m->model_name.len ? memchr(m->model_name.ptr, '/', m->model_name.len) : NULL;

	if (!slash)
		return;
	size_t len = (size_t)(slash - m->model_name.ptr);
	struct bf_slice provider = {m->model_name.ptr, len};
	bool is_prefix =
	    m->provider.len ? bf_slice_eq(m->provider, provider) : is_provider(w->config, provider);
	if (!is_prefix || m->model_name.len == len + 1)
		return;
	m->provider = bf_arena_dup(w->arena, provider);
	if (!m->provider.ptr)
		bf_whole_is_full(w);
	m->model_name = (struct bf_slice){slash + 1, m->model_name.len - len - 1};
}

/* Ids and names of models may have slashes, names of providers none. */
static void name_model(struct bf_whole *w, struct bf_conf_model_config *m)
{
	split_model(w, m);
	m->own.name = m->model_name;
	if (m->own.id.len == 0 && m->model_name.len)
		derive(w, &m->own,
		       bf_arena_printf(w->arena, "model_config/%d/%zu:%.*s/%.*s/%.*s",
				       (int)m->scope, m->scope_id.len, BF_SLICE_FMT(m->scope_id),
				       BF_SLICE_FMT(m->provider), BF_SLICE_FMT(m->model_name)));
}

static void derive_config(struct bf_whole *w, struct bf_slice key, struct bf_slice provider,
			  struct bf_conf_owner *own)
{
	derive(w, own,
	       bf_arena_printf(w->arena, "provider_config/%.*s/%.*s", BF_SLICE_FMT(key),
			       BF_SLICE_FMT(provider)));
}

static void name_config(struct bf_whole *w, const struct bf_owner_ref *owner)
{
	struct bf_conf_provider_config *c = (struct bf_conf_provider_config *)owner->own;
	struct bf_slice key = bf_owner_at(w, BF_OWNER_VIRTUAL_KEY, 0, owner->key)->own->id;

	c->own.name = c->provider;
	if (c->own.id.len == 0 && key.len && c->provider.len)
		derive_config(w, key, c->provider, &c->own);
}

bool bf_provider_config_is_own(struct bf_slice key_id, struct bf_slice provider, struct bf_slice id,
			       struct bf_arena *arena)
{
	struct bf_diags diags = {.arena = arena};
	struct bf_whole w = {.arena = arena, .diags = &diags};
	struct bf_conf_owner own = {.id = {NULL, 0}};

	derive_config(&w, key_id, provider, &own);
	return id.len && bf_slice_eq(id, own.id);
}

static void name_owner(struct bf_whole *w, const struct bf_owner_ref *owner)
{
	struct bf_conf_owner *own = owner->own;

	switch (owner->kind) {
	case BF_OWNER_PROVIDER:
		own->id = own->name;
		break;
	case BF_OWNER_MODEL_CONFIG:
		name_model(w, (struct bf_conf_model_config *)own);
		break;
	case BF_OWNER_PROVIDER_CONFIG:
		name_config(w, owner);
		break;
	case BF_OWNER_VIRTUAL_KEY:
		if (own->id.len == 0 && own->name.len)
			bf_id_derive(w, own->name, &own->id);
		break;
	case BF_OWNER_TEAM:
	case BF_OWNER_CUSTOMER:
		if (own->id.len == 0 && own->name.len)
			derive(w, own,
			       bf_arena_printf(w->arena, "%s/%.*s", bf_owner_name(owner->kind),
					       BF_SLICE_FMT(own->name)));
		break;
	case BF_OWNER_COUNT:
		break;
	}
}

/* ---- each only once */

/* What two model configs must not both be about; empty: not known. */
static struct bf_slice target_of(struct bf_whole *w, const struct bf_conf_model_config *m)
{
	struct bf_slice none = {NULL, 0};

	if (m->model_name.len == 0)
		return none;
	const char *text = bf_arena_printf(
	    w->arena, "%.*s%s%.*s%s%.*s", BF_SLICE_FMT(m->provider), m->provider.len ? "/" : "",
	    BF_SLICE_FMT(m->model_name), m->scope_id.len ? " of " : "", BF_SLICE_FMT(m->scope_id));
	return text ? bf_slice_from(text) : none;
}

static void check_configs(struct bf_whole *w, const struct bf_owner_ref *owner)
{
	const struct bf_owner_ref *first = owner - owner->index;
	char path[BF_OWNER_PATH_MAX];

	for (; first < owner; first++) {
		if (owner->own->name.len == 0 || !bf_slice_eq(first->own->name, owner->own->name))
			continue;
		bf_diag(w->diags, BF_DIAG_ERROR, bf_pos_of(owner->node, "provider"),
			"%s.provider: \"%.*s\" has a provider config in line %u already: make one "
			"of both",
			bf_owner_path(owner, path), BF_SLICE_FMT(owner->own->name),
			bf_node_pos(first->node).line);
		return;
	}
}

static void check_names(struct bf_whole *w, enum bf_owner kind)
{
	const struct bf_owners *o = w->owners;
	struct bf_refs names;

	if (bf_refs_init(w, &names, o->first[kind + 1] - o->first[kind]) < 0)
		return;
	for (uint32_t i = o->first[kind]; i < o->first[kind + 1]; i++) {
		const struct bf_owner_ref *owner = &o->items[i];
		struct bf_slice name = owner->own->name;

		if (kind == BF_OWNER_PROVIDER_CONFIG) {
			check_configs(w, owner);
			continue;
		}
		if (kind == BF_OWNER_MODEL_CONFIG)
			name = target_of(w, (struct bf_conf_model_config *)owner->own);
		bf_refs_add(&names, name, bf_node_member(owner->node, kinds[kind].named_by));
	}
	bf_refs_check(w, &names, kinds[kind].noun,
		      kind == BF_OWNER_MODEL_CONFIG ? "target" : "name", false);
	bf_refs_done(&names);
}

static void check_ids(struct bf_whole *w, enum bf_owner kind, bool report)
{
	struct bf_owners *o = w->owners;
	struct bf_refs *ids = &o->ids[kind];

	if (bf_refs_init(w, ids, o->first[kind + 1] - o->first[kind]) < 0)
		return;
	for (uint32_t i = o->first[kind]; i < o->first[kind + 1]; i++) {
		const struct bf_node *node = o->items[i].node;

		bf_refs_add_id(ids, o->items[i].own->id, node, kinds[kind].named_by);
	}
	if (report)
		bf_refs_check(w, ids, kinds[kind].noun, "id", false);
	else
		bf_refs_sort(ids);
}

void bf_owners_name(struct bf_whole *w)
{
	const struct bf_owners *o = w->owners;

	/* Ids of provider configs are made of those of keys. */
	for (uint32_t i = o->first[BF_OWNER_VIRTUAL_KEY]; i < o->first[BF_OWNER_VIRTUAL_KEY + 1];
	     i++)
		name_owner(w, &o->items[i]);
	for (uint32_t i = 0; i < o->count; i++)
		name_owner(w, &o->items[i]);
	for (enum bf_owner kind = 0; kind < BF_OWNER_COUNT; kind++) {
		uint32_t errors = w->diags->error_count;

		check_names(w, kind);
		/* Of two equal names two equal ids were made. */
		check_ids(w, kind, w->diags->error_count == errors);
	}
}
