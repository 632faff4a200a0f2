/*
 * The configuration file's part of the entities. Called by writerd at its start, which a reload
 * that touches them causes. Must never undo what was changed by the API because the file still says
 * what it said before.
 */
#include "writerd/change/import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/base/pulse.h"
#include "common/crypt/seal.h"
#include "common/schema/config_auth.h"
#include "common/schema/entity_parse.h"

struct rate {
	struct bf_conf_rate_limit *conf;
	const struct bf_conf_owner *stood; /* at whom, by its id */
	uint32_t uses;
};

struct importer {
	struct import *out;
	const struct entities *t;
	const struct bf_config *config;
	const struct entity_maker *m;
	int64_t now_ms;
	struct bf_arena *arena;
	struct rate *rates; /* sorted by id */
	size_t rate_count;
	uint64_t *seen; /* entity_key() of each entry, sorted at the end */
	size_t seen_count, seen_room;
};

#define UNKEPT_VERSION_BYTES 6 /* a number that JSON has room for */

static const uint8_t no_hash[32];

/* ---- lists */

static const struct import_list {
	uint32_t type;
	size_t list; /* in struct bf_config */
} lists[] = {
    /* Those that are named before those that name them. */
    {BF_ENTITY_PROVIDER, offsetof(struct bf_config, providers)},
    {BF_ENTITY_MODEL_CATALOG, offsetof(struct bf_config, governance.model_catalogs)},
    {BF_ENTITY_RATE_LIMIT, offsetof(struct bf_config, governance.rate_limits)},
    {BF_ENTITY_CUSTOMER, offsetof(struct bf_config, governance.customers)},
    {BF_ENTITY_TEAM, offsetof(struct bf_config, governance.teams)},
    {BF_ENTITY_VIRTUAL_KEY, offsetof(struct bf_config, governance.virtual_keys)},
    {BF_ENTITY_MODEL_CONFIG, offsetof(struct bf_config, governance.model_configs)},
    {BF_ENTITY_PROVIDER_LIMITS, offsetof(struct bf_config, governance.providers)},
    {BF_ENTITY_PRICING_OVERRIDE, offsetof(struct bf_config, governance.pricing_overrides)},
    {BF_ENTITY_API_KEY, offsetof(struct bf_config, governance.api_keys)},
};

static const struct bf_array *list_of(const struct bf_config *c, size_t list)
{
	return (const struct bf_array *)(const void *)((const char *)c + list);
}

/* ---- what changes */

static int add_change(struct importer *i, struct entity *x)
{
	struct import *out = i->out;

	if (out->count == out->room) {
		uint32_t room = out->room ? 2 * out->room : 64;
		struct entity **wider =
		    realloc(out->changes, room * sizeof(struct entity *)); /* NULL: kept */

		if (!wider) {
			entity_free(x);
			return -ENOMEM;
		}
		out->changes = wider;
		out->room = room;
	}
	out->changes[out->count++] = x;
	return 0;
}

static int see(struct importer *i, uint64_t key)
{
	if (i->seen_count == i->seen_room) {
		size_t room = i->seen_room ? 2 * i->seen_room : 256;
		uint64_t *wider = realloc(i->seen, room * sizeof(*wider));

		if (!wider)
			return -ENOMEM;
		i->seen = wider;
		i->seen_room = room;
	}
	i->seen[i->seen_count++] = key;
	return 0;
}

/* Of the next version: a tombstone's too, so that none is given twice. */
static void date(struct importer *i, struct entity *x, const struct entity *before)
{
	bool goes_on = before && entity_is_live(before);

	bool is_kept = i->m->seals || !bf_entity_def(x->e.type)->sealed;

	x->e.version = before ? before->e.version + 1 : 1;
	/* Nobody will know the version of before: one that is another when it says another. */
	if (!is_kept)
		memcpy(&x->e.version, x->file_hash, UNKEPT_VERSION_BYTES);
	x->e.created_ms = goes_on ? before->e.created_ms : i->now_ms;
	x->e.updated_ms = i->now_ms;
	x->hlc = entity_hlc(i->now_ms);
}

static bool is_last_word(const struct entity_maker *m, const struct entity *x,
			 const struct entity *before)
{
	uint8_t hash[sizeof(x->file_hash)];

	entity_file_hash(m, x, hash);
	return memcmp(before->file_hash, hash, sizeof(hash)) == 0;
}

/* Also of what was deleted while there was no encryption_key, and is not to come back with it. */
static bool says_nothing_new(const struct entity_maker *m, const struct entity *x,
			     const struct entity *before)
{
	struct entity_maker plain;
	bool says_it;

	if (!before)
		return false;
	if (is_last_word(m, x, before))
		return true;
	if (!m->seals || !bf_entity_def(x->e.type)->sealed || entity_is_live(before))
		return false;
	plain = *m;
	entity_plain_file_key(&plain);
	says_it = is_last_word(&plain, x, before);
	bf_wipe(&plain, sizeof(plain));
	return says_it;
}

static int take(struct importer *i, uint32_t type, void *object, struct bf_err *err)
{
	struct entity *x = NULL;
	const struct entity *before;
	int r = entity_make(i->m, type, object, NULL, i->arena, &x);

	if (r < 0)
		return bf_err_sys(err, r, "configuration: an entry of %s",
				  bf_entity_def(type)->name);
	entity_file_hash(i->m, x, x->file_hash);
	r = see(i, entity_key(type, x->e.id));
	before = entities_find(i->t, type, x->e.id);
	if (r < 0 || says_nothing_new(i->m, x, before)) {
		entity_free(x);
		return r;
	}
	date(i, x, before);
	x->e.flags = BF_ENTITY_FROM_FILE;
	i->out->taken++;
	return add_change(i, x);
}

/* ---- rate limits that stood at their owner: they are no entities of their own */

static enum bf_owner owner_kind(uint32_t type)
{
	return type == BF_ENTITY_CUSTOMER          ? BF_OWNER_CUSTOMER
	       : type == BF_ENTITY_TEAM            ? BF_OWNER_TEAM
	       : type == BF_ENTITY_VIRTUAL_KEY     ? BF_OWNER_VIRTUAL_KEY
	       : type == BF_ENTITY_MODEL_CONFIG    ? BF_OWNER_MODEL_CONFIG
	       : type == BF_ENTITY_PROVIDER_LIMITS ? BF_OWNER_PROVIDER
						   : BF_OWNER_COUNT;
}

static int compare_rates(const void *va, const void *vb)
{
	const struct rate *a = va, *b = vb;

	return bf_slice_compare(a->conf->id, b->conf->id);
}

static struct rate *rate_of(const struct importer *i, struct bf_slice id)
{
	struct bf_conf_rate_limit conf = {.id = id};
	const struct rate wanted = {.conf = &conf};

	if (id.len == 0 || i->rate_count == 0)
		return NULL;
	return bsearch(&wanted, i->rates, i->rate_count, sizeof(*i->rates), compare_rates);
}

static void count_use(struct importer *i, enum bf_owner kind, const struct bf_conf_owner *own)
{
	struct rate *rate = rate_of(i, own->rate_limit_id);

	if (!rate)
		return;
	rate->uses++;
	if (bf_rate_limit_is_own(kind, own->id, own->rate_limit_id, i->arena))
		rate->stood = own;
}

static int note_rates(struct importer *i)
{
	const struct bf_array *list = &i->config->governance.rate_limits;
	const struct bf_array *keys = &i->config->governance.virtual_keys;
	const struct bf_conf_virtual_key *key = keys->items;

	i->rates = bf_arena_alloc(i->arena, list->count * sizeof(*i->rates));
	if (!i->rates)
		return -ENOMEM;
	i->rate_count = list->count;
	for (uint32_t k = 0; k < list->count; k++)
		i->rates[k].conf = (struct bf_conf_rate_limit *)list->items + k;
	if (list->count)
		qsort(i->rates, list->count, sizeof(*i->rates), compare_rates);
	for (size_t l = 0; l < BF_ARRAY_LEN(lists); l++) {
		enum bf_owner kind = owner_kind(lists[l].type);
		const struct bf_array *owners = list_of(i->config, lists[l].list);
		size_t size = bf_entity_def(lists[l].type)->table->size;

		for (uint32_t k = 0; kind != BF_OWNER_COUNT && k < owners->count; k++)
			count_use(i, kind, (const void *)((char *)owners->items + k * size));
	}
	for (uint32_t k = 0; k < keys->count; k++) {
		const struct bf_conf_provider_config *configs = key[k].provider_configs.items;

		for (uint32_t c = 0; c < key[k].provider_configs.count; c++)
			count_use(i, BF_OWNER_PROVIDER_CONFIG, &configs[c].own);
	}
	return 0;
}

/* orig is the owner as the configuration has it, own a copy. */
static void stand_back(const struct importer *i, const struct bf_conf_owner *orig,
		       struct bf_conf_owner *own)
{
	struct rate *rate = rate_of(i, own->rate_limit_id);

	if (!rate || rate->uses != 1 || rate->stood != orig)
		return;
	own->rate_limit = (struct bf_array){rate->conf, 1};
	own->rate_limit_id = (struct bf_slice){NULL, 0};
}

static bool stands_elsewhere(const struct importer *i, const struct bf_conf_rate_limit *conf)
{
	const struct rate *rate = rate_of(i, conf->id);

	return rate && rate->uses == 1 && rate->stood;
}

static void *copy_bytes(struct importer *i, const void *bytes, size_t len)
{
	void *copy = bf_arena_alloc(i->arena, len);

	if (copy && len)
		memcpy(copy, bytes, len);
	return copy;
}

/* The decoded configuration stays as it is: others read it. */
static void *copy_of(struct importer *i, uint32_t type, const void *object)
{
	void *copy = copy_bytes(i, object, bf_entity_def(type)->table->size);
	struct bf_conf_virtual_key *key = copy;
	const struct bf_conf_provider_config *from;
	struct bf_conf_provider_config *to;

	if (!copy || owner_kind(type) == BF_OWNER_COUNT)
		return copy;
	stand_back(i, object, copy);
	if (type != BF_ENTITY_VIRTUAL_KEY)
		return copy;
	from = key->provider_configs.items;
	to = copy_bytes(i, from, key->provider_configs.count * sizeof(*from));
	if (!to)
		return NULL;
	for (uint32_t c = 0; c < key->provider_configs.count; c++)
		stand_back(i, &from[c].own, &to[c].own);
	key->provider_configs.items = to;
	return copy;
}

/* ---- entries */

static int take_list(struct importer *i, const struct import_list *l, struct bf_err *err)
{
	size_t size = bf_entity_def(l->type)->table->size;
	const struct bf_array *list = list_of(i->config, l->list);
	int r = 0;

	for (uint32_t k = 0; k < list->count && r == 0; k++) {
		const void *item = (const char *)list->items + k * size;
		void *object;

		bf_pulse();
		if (l->type == BF_ENTITY_RATE_LIMIT && stands_elsewhere(i, item))
			continue;
		object = copy_of(i, l->type, item);
		r = object ? take(i, l->type, object, err)
			   : bf_err_sys(err, -ENOMEM, "configuration");
	}
	return r;
}

/* As it is without a word in the file, too: there is always one. */
static int take_client(struct importer *i, struct bf_err *err)
{
	struct bf_conf_client client = i->config->client;

	return take(i, BF_ENTITY_CLIENT_CONFIG, &client, err);
}

static int take_auth(struct importer *i, struct bf_err *err)
{
	struct bf_conf_auth_config auth = i->config->governance.auth_config;

	if (auth.id.len == 0 || !bf_entity_def(BF_ENTITY_AUTH_CONFIG))
		return 0;
	return take(i, BF_ENTITY_AUTH_CONFIG, &auth, err);
}

/* ---- what is gone */

static int compare(const void *va, const void *vb)
{
	const uint64_t *a = va, *b = vb;

	return (*a > *b) - (*a < *b);
}

static int bury(struct importer *i, const struct entity *x)
{
	struct entity *stone = entity_tombstone(x);

	if (!stone)
		return -ENOMEM;
	memcpy(stone->file_hash, no_hash, sizeof(no_hash));
	stone->e.updated_ms = i->now_ms;
	stone->hlc = entity_hlc(i->now_ms);
	i->out->gone++;
	return add_change(i, stone);
}

/* Of one that the API changed or deleted: when the file says it again, that is a new word. */
static int forget_word(struct importer *i, const struct entity *x, struct bf_err *err)
{
	struct entity *copy = NULL;
	int r = entity_restore(&x->e, i->arena, &copy, err);

	if (r < 0)
		return r;
	copy->hlc = x->hlc;
	return add_change(i, copy);
}

static bool has_word(const struct entity *x)
{
	return memcmp(x->file_hash, no_hash, sizeof(no_hash)) != 0;
}

static bool is_seen(const struct importer *i, const struct entity *x)
{
	uint64_t key = entity_key(x->e.type, x->e.id);

	return i->seen_count &&
	       bsearch(&key, i->seen, i->seen_count, sizeof(*i->seen), compare) != NULL;
}

/* A provider that the file takes away takes its list of models with it. */
static bool goes_with_provider(const struct importer *i, const struct entity *x)
{
	const struct entity *p;

	if (x->e.type != BF_ENTITY_MODEL_CATALOG)
		return false;
	p = entities_live(i->t, BF_ENTITY_PROVIDER, x->e.id);
	return p && p->e.flags & BF_ENTITY_FROM_FILE && !is_seen(i, p);
}

static int bury_gone(struct importer *i, struct bf_err *err)
{
	const struct entity *x;
	uint64_t at = 0;
	int r = 0;

	if (i->seen_count)
		qsort(i->seen, i->seen_count, sizeof(*i->seen), compare);
	while (r == 0 && (x = entities_each(i->t, &at)) != NULL) {
		bool goes = entity_is_live(x) &&
			    (x->e.flags & BF_ENTITY_FROM_FILE || goes_with_provider(i, x));

		if (!(goes || has_word(x)) || is_seen(i, x))
			continue;
		r = goes ? bury(i, x) : forget_word(i, x, err);
	}
	return r == -ENOMEM ? bf_err_sys(err, r, "configuration") : r;
}

int import_file(struct import *ret_import, const struct entities *t, const struct bf_config *config,
		const struct entity_maker *m, int64_t now_ms, struct bf_arena *arena,
		struct bf_err *err)
{
	struct importer i = {
	    .out = ret_import, .t = t, .config = config, .m = m, .now_ms = now_ms, .arena = arena};
	int r = 0;

	*ret_import = (struct import){.count = 0};
	if (note_rates(&i) < 0)
		r = bf_err_sys(err, -ENOMEM, "configuration");
	for (size_t l = 0; l < BF_ARRAY_LEN(lists) && r == 0; l++)
		r = take_list(&i, &lists[l], err);
	if (r == 0)
		r = take_auth(&i, err);
	if (r == 0)
		r = take_client(&i, err);
	if (r == 0)
		r = bury_gone(&i, err);
	free(i.seen);
	if (r < 0)
		import_done(ret_import);
	return r;
}

void import_done(struct import *i)
{
	for (uint32_t k = 0; k < i->count; k++)
		entity_free(i->changes[k]);
	free(i->changes);
	*i = (struct import){.count = 0};
}
