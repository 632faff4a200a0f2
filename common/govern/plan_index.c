/*
 * Owners by where a request goes. Called for every request of which that matters. Must never look
 * through all of them: there may be thousands of models with limits.
 */
#include <errno.h>

#include "common/base/macros.h"
#include "common/govern/plan_priv.h"

/* ---- names */

struct bf_slice bf_model_bare(struct bf_slice model, struct bf_slice provider)
{
	while (provider.len && model.len > provider.len && model.ptr[provider.len] == '/' &&
	       bf_slice_starts_nocase(model, provider)) {
		model.ptr += provider.len + 1;
		model.len -= provider.len + 1;
	}
	return model;
}

/* Of "vendor/name" the name; empty when there is no slash. */
static struct bf_slice last_of(struct bf_slice model)
{
	const char *slash = model.len ? memrchr(model.ptr, '/', model.len) : NULL;

	if (!slash)
		return (struct bf_slice){NULL, 0};
	return (struct bf_slice){slash + 1, model.len - (size_t)(slash + 1 - model.ptr)};
}

bool bf_model_is(struct bf_slice named, struct bf_slice model, struct bf_slice provider)
{
	struct bf_slice bare = bf_model_bare(model, provider), last = last_of(bare);

	named = bf_model_bare(named, provider);
	return bf_slice_eq_nocase(named, bare) || (last.len && bf_slice_eq_nocase(named, last));
}

/* FNV-1a over eight bytes at a time of names whose case does not matter; what it takes for equal
 * too often is told apart by comparing. */
static uint64_t hash_name(struct bf_slice name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ name.len;

	for (size_t i = 0; i < name.len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, name.ptr + i, BF_MIN(name.len - i, (size_t)8));
		hash = (hash ^ (word | UINT64_C(0x2020202020202020))) * UINT64_C(0x100000001b3);
		hash ^= hash >> 32;
	}
	return hash;
}

struct plan_names plan_names_of(struct bf_slice provider, struct bf_slice bare_model)
{
	struct bf_slice last = last_of(bare_model);

	return (struct plan_names){.provider = provider,
				   .model = bare_model,
				   .last = last,
				   .provider_hash = hash_name(provider),
				   .model_hash = hash_name(bare_model),
				   .last_hash = last.len ? hash_name(last) : 0};
}

/* ---- targets */

static bool has_provider(enum plan_target target)
{
	return target != PLAN_TARGET_MODEL && target != PLAN_TARGET_ANY_MODEL;
}

static bool has_model(enum plan_target target)
{
	return target == PLAN_TARGET_MODEL_AT || target == PLAN_TARGET_MODEL;
}

static uint64_t hash_target(enum plan_target target, const struct plan_names *names)
{
	uint64_t hash = ((uint64_t)target + 1) * UINT64_C(0x9e3779b97f4a7c15);

	if (has_provider(target))
		hash = (hash ^ names->provider_hash) * UINT64_C(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	if (has_model(target))
		hash = (hash ^ names->model_hash) * UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ hash >> 29;
}

static bool is_target(const struct plan_entry *e, enum plan_target target,
		      const struct plan_names *names)
{
	return e->target == target &&
	       (!has_provider(target) || bf_slice_eq(e->provider, names->provider)) &&
	       (!has_model(target) || bf_slice_eq_nocase(e->model, names->model));
}

/* The slot of a target's chain, or the free one where it belongs. */
static uint32_t slot_of(const struct bf_plan_index *index, uint64_t hash, enum plan_target target,
			const struct plan_names *names)
{
	uint32_t s = (uint32_t)hash & index->slot_mask;

	for (; index->slots[s]; s = (s + 1) & index->slot_mask) {
		const struct plan_entry *e = &index->entries[index->slots[s] - 1];

		if (e->hash == hash && is_target(e, target, names))
			break;
	}
	return s;
}

const struct plan_entry *plan_index_find(const struct bf_plan_index *index, enum plan_target target,
					 const struct plan_names *names)
{
	uint32_t s, first;

	if ((has_provider(target) && names->provider.len == 0) ||
	    (has_model(target) && names->model.len == 0))
		return NULL;
	s = slot_of(index, hash_target(target, names), target, names);
	first = index->slots[s];
	return first ? &index->entries[first - 1] : NULL;
}

/* ---- making it */

uint32_t plan_index_entries(const struct bf_conf_governance *g)
{
	return PLAN_PLACES_MAX * g->model_configs.count + g->providers.count;
}

/* Four for each entry at most, so that those of many keys together are not more than that. */
uint32_t plan_index_slots(uint32_t entries)
{
	uint32_t slots = 4;

	while (slots < 2 * entries)
		slots *= 2;
	return slots;
}

uint32_t plan_index_count(const struct bf_conf_governance *g)
{
	return 1 + g->model_configs.count;
}

/* What is left for indexes. */
struct room {
	struct bf_plan_index *indexes;
	struct plan_entry *entries;
	uint32_t *slots;
};

static struct bf_plan_index *begin(struct room *room, uint32_t most)
{
	struct bf_plan_index *index = room->indexes++;

	*index = (struct bf_plan_index){.entries = room->entries,
					.slots = room->slots,
					.slot_mask = plan_index_slots(most) - 1};
	room->entries += most;
	room->slots += index->slot_mask + 1;
	return index;
}

/* Entries come last first, so that each goes to the front of its chain. */
static void insert(struct bf_plan_index *index, enum plan_target target,
		   const struct plan_names *names, const struct bf_plan_owner *own)
{
	struct plan_entry *e = &index->entries[index->entry_count];
	uint64_t hash = hash_target(target, names);
	uint32_t s = slot_of(index, hash, target, names);

	*e = (struct plan_entry){.hash = hash,
				 .next = index->slots[s],
				 .target = target,
				 .provider = names->provider,
				 .model = names->model,
				 .own = own};
	index->slots[s] = ++index->entry_count;
}

unsigned plan_places_of(const struct bf_conf_model_config *conf,
			struct plan_place ret_places[PLAN_PLACES_MAX])
{
	struct bf_slice model = bf_model_bare(conf->model_name, conf->provider), prefix;
	bool any = bf_slice_is(conf->model_name, "*"), at = conf->provider.len > 0;
	const char *slash = model.len ? memchr(model.ptr, '/', model.len) : NULL;

	ret_places[0] =
	    (struct plan_place){any ? (at ? PLAN_TARGET_ANY_MODEL_AT : PLAN_TARGET_ANY_MODEL)
				    : (at ? PLAN_TARGET_MODEL_AT : PLAN_TARGET_MODEL),
				conf->provider, model};
	if (at || !slash)
		return 1;
	prefix = (struct bf_slice){model.ptr, (size_t)(slash - model.ptr)};
	ret_places[1] =
	    (struct plan_place){PLAN_TARGET_MODEL_AT, prefix, bf_model_bare(model, prefix)};
	return 2;
}

static void insert_model(struct bf_plan_index *index, const struct bf_plan_model_config *model,
			 unsigned *targets)
{
	struct plan_place places[PLAN_PLACES_MAX];
	unsigned count = plan_places_of(model->conf, places);

	for (unsigned i = 0; i < count; i++) {
		struct plan_names names = plan_names_of(places[i].provider, places[i].model);

		*targets |= 1u << places[i].target;
		insert(index, places[i].target, &names, &model->own);
	}
}

static void insert_providers(struct plan_maker *m, struct bf_plan_index *index)
{
	const struct bf_conf_provider_limits *conf = m->governance->providers.items;

	for (uint32_t i = m->governance->providers.count; i-- > 0;) {
		struct plan_names names =
		    plan_names_of(conf[i].own.name, (struct bf_slice){NULL, 0});

		if (m->provider_owners[i].limit_count == 0)
			continue;
		m->plan->targets |= 1u << PLAN_TARGET_PROVIDER;
		insert(index, PLAN_TARGET_PROVIDER, &names, &m->provider_owners[i]);
	}
}

static struct bf_plan_key *key_of(const struct plan_maker *m,
				  const struct bf_conf_model_config *conf)
{
	if (conf->scope != BF_MODEL_VIRTUAL_KEY)
		return NULL;
	return &m->plan->keys[plan_ids_find(&m->keys, conf->scope_id)];
}

/* The lists of keys' own models, one after the other. */
static int list_models(struct plan_maker *m)
{
	const struct bf_conf_model_config *conf = m->governance->model_configs.items;
	uint32_t count = m->governance->model_configs.count, at = 0;
	const struct bf_plan_model_config **list =
	    bf_arena_alloc(m->arena, count * sizeof(const struct bf_plan_model_config *));
	struct bf_plan_key *key;

	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		if ((key = key_of(m, &conf[i])))
			key->model_config_count++;
	for (uint32_t k = 0; k < m->plan->key_count; k++) {
		key = &m->plan->keys[k];
		key->model_configs = &list[at];
		at += key->model_config_count;
		key->model_config_count = 0;
	}
	for (uint32_t i = 0; i < count; i++)
		if ((key = key_of(m, &conf[i])))
			list[key->model_configs - list + key->model_config_count++] = &m->models[i];
	return 0;
}

static void index_everybody(struct plan_maker *m, struct room *room)
{
	struct bf_plan *plan = m->plan;
	uint32_t most = m->governance->providers.count;
	struct bf_plan_index *index;

	for (uint32_t i = 0; i < plan->model_config_count; i++)
		if (m->models[i].conf->scope != BF_MODEL_VIRTUAL_KEY)
			most += PLAN_PLACES_MAX;
	index = begin(room, most);
	for (uint32_t i = plan->model_config_count; i-- > 0;)
		if (m->models[i].conf->scope != BF_MODEL_VIRTUAL_KEY &&
		    m->models[i].own.limit_count)
			insert_model(index, &m->models[i], &plan->targets);
	insert_providers(m, index);
	plan->index = index;
	plan->by_target = plan->targets != 0;
}

static void index_key(struct bf_plan_key *key, struct room *room)
{
	struct bf_plan_index *index;
	uint32_t most = 0;

	for (uint32_t i = 0; i < key->model_config_count; i++)
		if (key->model_configs[i]->own.limit_count)
			most += PLAN_PLACES_MAX;
	if (most == 0)
		return;
	index = begin(room, most);
	for (uint32_t i = key->model_config_count; i-- > 0;)
		if (key->model_configs[i]->own.limit_count)
			insert_model(index, key->model_configs[i], &key->targets);
	key->index = index;
}

int plan_index_make(struct plan_maker *m)
{
	const struct plan_counts n = plan_counts_of(m->governance);
	struct bf_plan *plan = m->plan;
	struct room room = {
	    .indexes =
		bf_arena_alloc(m->arena, plan_index_count(m->governance) * sizeof(*room.indexes)),
	    .entries =
		bf_arena_alloc(m->arena, plan_index_entries(m->governance) * sizeof(*room.entries)),
	    .slots = bf_arena_alloc(m->arena, n.slots * sizeof(*room.slots)),
	};
	int r = list_models(m);

	if (r < 0 || !room.indexes || !room.entries || !room.slots)
		return -ENOMEM;
	index_everybody(m, &room);
	for (uint32_t k = 0; k < plan->key_count; k++) {
		index_key(&plan->keys[k], &room);
		plan->by_target |= plan->keys[k].targets != 0;
	}
	return 0;
}
