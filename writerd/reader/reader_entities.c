/*
 * Looks at what is in force. Called by reader.c for each question. A page costs a walk over its
 * type: what is passed by is told by its record alone wherever that is enough. Must never show a
 * secret.
 */
#include "writerd/reader/reader_entities.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/codec/problem.h"
#include "writerd/reader/entity_usage.h"
#include "writerd/reader/look_filter.h"
#include "writerd/reader/look_order.h"

#define LOOK_ARENA_BYTES (64u << 20)

struct look {
	const struct bf_snapshot *s;
	const struct bf_msg_entity_query *q;
	struct bf_arena *arena; /* of one entity */
	struct bf_json_writer w;
	struct entity_meters meters;
	struct look_order order; /* of a page that is sorted */
	uint64_t passed, count;  /* those that match; those that were written */
};

/* ---- refusals */

static int refuse(struct bf_buf *out, struct entities_answer *a, int http_status, const char *type,
		  const char *text)
{
	a->http_status = http_status;
	return bf_problem_write(&(struct bf_problem){.http_status = http_status,
						     .type = type,
						     .message = bf_slice_from(text)},
				out);
}

/* ---- one */

/* In the arena; NULL: no memory, or a body that cannot be read. */
static void *object_of(struct look *l, const struct bf_entity *e)
{
	const struct bf_entity_def *def = bf_entity_def(e->type);
	void *object = bf_arena_alloc(l->arena, def->table->size);

	if (object && bf_entity_decode(e, object, l->arena, NULL) < 0)
		return NULL;
	return object;
}

static int write_one(struct look *l, const struct bf_entity *e, const void *object)
{
	int r = entity_meters_of(&l->meters, l->s, e->type, object, l->arena);

	if (r == 0)
		entity_json(&l->w, bf_entity_def(e->type), e, object, &l->meters.usages);
	return r;
}

static int look_one(struct look *l, struct bf_buf *out, struct entities_answer *a)
{
	struct bf_entity e;
	void *object;
	int r;

	if (!bf_snapshot_find(l->s, (uint32_t)l->q->type, l->q->id, &e))
		return refuse(out, a, 404, "not_found", "nothing of this type has this id");
	object = object_of(l, &e);
	if (!object)
		return -ENOMEM;
	a->version = e.version;
	bf_jw_object(&l->w);
	bf_jw_key(&l->w, bf_entity_def(e.type)->name);
	r = write_one(l, &e, object);
	bf_jw_end_object(&l->w);
	return r;
}

/* To its holder, as when he asks a model. */
static bool is_gone(const struct bf_conf_virtual_key *key)
{
	return key->delete_after_expire && bf_is_expired(key->expires_at_ms, bf_wall_ms());
}

/* What its holder may know. */
static int look_quota(struct look *l, struct bf_buf *out, struct entities_answer *a)
{
	const uint8_t *secret = (const uint8_t *)l->q->secret.ptr;
	struct bf_conf_virtual_key *key = NULL;
	struct bf_entity e;
	bool found;
	int r;

	found = l->q->secret.len == BF_ENTITY_SECRET_LEN &&
		bf_snapshot_find_secret(l->s, BF_ENTITY_VIRTUAL_KEY, secret, &e);
	if (found)
		key = object_of(l, &e);
	if (!found || (key && is_gone(key)))
		return refuse(out, a, 401, "virtual_key_not_found",
			      "this virtual key does not exist");
	r = key ? entity_meters_of(&l->meters, l->s, e.type, key, l->arena) : -ENOMEM;
	if (r < 0)
		return r;
	bf_jw_object(&l->w);
	bf_jw_key(&l->w, "virtual_key_name");
	bf_jw_string(&l->w, key->own.name);
	entity_quota_json(&l->w, key, &l->meters.usages);
	bf_jw_end_object(&l->w);
	return 0;
}

/* ---- pages */

static bool in_page(const struct look *l)
{
	return l->passed > l->q->offset && l->count < l->q->limit;
}

/* Leaves in *ret_object what it had to look at, else NULL. */
static bool matches(struct look *l, const struct bf_entity *e, void **ret_object)
{
	*ret_object = NULL;
	if (!look_is_called(l->q, e->id, e->name))
		return false;
	if (!look_has_filters(l->q))
		return true;
	*ret_object = object_of(l, e);
	return *ret_object && look_matches(l->q, e->type, *ret_object);
}

/* object NULL: it was not looked at yet. */
static int show(struct look *l, const struct bf_entity *e, const void *object)
{
	if (!object)
		object = object_of(l, e);
	if (!object)
		return -ENOMEM;
	l->count++;
	return write_one(l, e, object);
}

static int list_entity(struct look *l, const struct bf_entity *e)
{
	void *object;

	if (!matches(l, e, &object))
		return 0;
	l->passed++;
	return in_page(l) ? show(l, e, object) : 0;
}

static int list_type(struct look *l, uint32_t type,
		     int (*list)(struct look *l, const struct bf_entity *e))
{
	struct bf_snapshot_cursor cursor = {0};
	struct bf_entity e;
	int r = 0;

	while (r == 0 && l->w.error == 0 && bf_snapshot_next(l->s, type, &cursor, &e)) {
		r = list(l, &e);
		bf_arena_reset(l->arena);
	}
	return r;
}

/* ---- pages that are sorted */

static int number_of(struct look *l, const struct bf_entity *e, void *object, int64_t *ret_number)
{
	*ret_number = l->q->sort_by == BF_ORDER_CREATED_AT ? e->created_ms : 0;
	if (l->q->sort_by != BF_ORDER_STATUS && l->q->sort_by != BF_ORDER_BUDGET_SPENT)
		return 0;
	if (!object)
		object = object_of(l, e);
	if (!object)
		return -ENOMEM;
	if (l->q->sort_by == BF_ORDER_BUDGET_SPENT)
		return entity_meters_spent(&l->meters, l->s, object, l->arena, ret_number);
	*ret_number = ((const struct bf_conf_virtual_key *)object)->is_active;
	return 0;
}

static int gather(struct look *l, const struct bf_entity *e)
{
	int64_t number;
	void *object;
	int r;

	if (!matches(l, e, &object))
		return 0;
	r = number_of(l, e, object, &number);
	return r < 0 ? r : look_order_add(&l->order, e, number);
}

static int list_sorted(struct look *l)
{
	uint64_t i = l->q->offset;
	struct bf_entity e;
	int r = 0;

	look_order_sort(&l->order, (enum bf_entity_order)l->q->sort_by, l->q->descending);
	l->passed = l->order.count;
	for (; r == 0 && l->w.error == 0 && i < l->passed && l->count < l->q->limit; i++) {
		if (bf_snapshot_find(l->s, (uint32_t)l->q->type, l->order.items[i].id, &e))
			r = show(l, &e, NULL);
		bf_arena_reset(l->arena);
	}
	return r;
}

/* ---- limits of all owners */

/* Whether an owner's limits are asked for. */
static bool is_owner_asked(const struct look *l, uint32_t type, struct bf_slice id)
{
	const struct bf_msg_entity_query *q = l->q;

	if (!look_has_filters(q))
		return true;
	return (type == BF_ENTITY_VIRTUAL_KEY && q->virtual_key_id.len &&
		bf_slice_eq(q->virtual_key_id, id)) ||
	       (type == BF_ENTITY_TEAM && q->team_id.len && bf_slice_eq(q->team_id, id)) ||
	       (type == BF_ENTITY_CUSTOMER && q->customer_id.len &&
		bf_slice_eq(q->customer_id, id));
}

/* The next limit: is it one of the page? */
static bool counts(struct look *l, struct bf_slice id, struct bf_slice owner_name)
{
	if (!look_is_called(l->q, id, owner_name))
		return false;
	l->passed++;
	if (!in_page(l))
		return false;
	l->count++;
	return true;
}

static void list_own(struct look *l, const char *kind, const struct bf_conf_owner *own)
{
	const struct bf_conf_budget *budgets = own->budgets.items;
	const struct bf_conf_rate_limit *rate = own->rate_limit.items;
	bool of_rates = l->q->type == BF_ENTITY_RATE_LIMIT;

	for (uint32_t i = 0; !of_rates && i < own->budgets.count; i++) {
		if (counts(l, budgets[i].id, own->name))
			entity_budget_json(&l->w, &budgets[i], kind, own, &l->meters.usages);
	}
	if (of_rates && own->rate_limit.count && counts(l, rate->id, own->name))
		entity_rate_limit_json(&l->w, rate, kind, own, &l->meters.usages);
}

static int list_limits_of(struct look *l, const struct bf_entity *e)
{
	struct bf_conf_virtual_key *key;
	struct bf_conf_provider_config *configs;
	void *object;
	int r;

	if (!is_owner_asked(l, e->type, e->id))
		return 0;
	object = object_of(l, e);
	if (!object)
		return -ENOMEM;
	r = entity_meters_of(&l->meters, l->s, e->type, object, l->arena);
	if (r < 0)
		return r;
	if (e->type == BF_ENTITY_MODEL_CONFIG)
		((struct bf_conf_model_config *)object)->own.name = e->name;
	list_own(l, bf_entity_def(e->type)->name, object);
	if (e->type != BF_ENTITY_VIRTUAL_KEY)
		return 0;
	key = object;
	configs = key->provider_configs.items;
	for (uint32_t i = 0; i < key->provider_configs.count; i++) {
		configs[i].own.name = configs[i].provider;
		list_own(l, "provider_config", &configs[i].own);
	}
	return 0;
}

/* One that stands by itself limits whoever names it. */
static int list_rate_limit(struct look *l, const struct bf_entity *e)
{
	const struct bf_conf_rate_limit *rate;
	const struct bf_slice nobody = {NULL, 0};

	if (look_has_filters(l->q))
		return 0;
	rate = object_of(l, e);
	if (!rate)
		return -ENOMEM;
	if (counts(l, rate->id, nobody))
		entity_rate_limit_json(&l->w, rate, NULL, NULL, NULL);
	return 0;
}

static int list_limits(struct look *l)
{
	static const uint32_t owners[] = {BF_ENTITY_CUSTOMER, BF_ENTITY_TEAM, BF_ENTITY_VIRTUAL_KEY,
					  BF_ENTITY_MODEL_CONFIG, BF_ENTITY_PROVIDER_LIMITS};
	int r = 0;

	if (l->q->type == BF_ENTITY_RATE_LIMIT)
		r = list_type(l, BF_ENTITY_RATE_LIMIT, list_rate_limit);
	for (size_t i = 0; r == 0 && i < sizeof(owners) / sizeof(owners[0]); i++)
		r = list_type(l, owners[i], list_limits_of);
	return r;
}

/* ---- keys of providers */

static void write_key(struct look *l, const struct bf_conf_provider *provider,
		      const struct bf_conf_provider_key *key)
{
	if (!look_is_called(l->q, key->id, key->name))
		return;
	l->passed++;
	if (!in_page(l))
		return;
	l->count++;
	entity_part_json_of(&l->w, bf_entity_part(BF_ENTITY_PROVIDER), key, "provider",
			    provider->name);
}

static int list_keys_of(struct look *l, const struct bf_entity *e)
{
	const struct bf_conf_provider *provider = object_of(l, e);
	const struct bf_conf_provider_key *keys = provider ? provider->keys.items : NULL;

	for (uint32_t i = 0; provider && i < provider->keys.count; i++)
		write_key(l, provider, &keys[i]);
	return provider ? 0 : -ENOMEM;
}

/* A page of what is not there would look as if it had none. */
static bool names_nobody(const struct look *l)
{
	struct bf_entity e;

	return l->q->is_sub && l->q->id.len &&
	       !bf_snapshot_find(l->s, (uint32_t)l->q->type, l->q->id, &e);
}

/* Of one provider, or of all. */
static int list_keys(struct look *l)
{
	struct bf_entity e;

	if (l->q->id.len == 0)
		return list_type(l, BF_ENTITY_PROVIDER, list_keys_of);
	return bf_snapshot_find(l->s, BF_ENTITY_PROVIDER, l->q->id, &e) ? list_keys_of(l, &e) : 0;
}

static int look_key(struct look *l, struct bf_buf *out, struct entities_answer *a)
{
	const struct bf_conf_provider *provider = NULL;
	const struct bf_conf_provider_key *keys;
	struct bf_entity e;

	if (bf_snapshot_find(l->s, BF_ENTITY_PROVIDER, l->q->id, &e))
		provider = object_of(l, &e);
	keys = provider ? provider->keys.items : NULL;
	for (uint32_t i = 0; provider && i < provider->keys.count; i++) {
		if (!bf_slice_eq(keys[i].id, l->q->sub_id))
			continue;
		a->version = e.version;
		bf_jw_object(&l->w);
		bf_jw_key(&l->w, "key");
		entity_part_json(&l->w, bf_entity_part(BF_ENTITY_PROVIDER), &keys[i]);
		bf_jw_end_object(&l->w);
		return 0;
	}
	return refuse(out, a, 404, "not_found", "no provider of this name has a key with this id");
}

static int list_parts(struct look *l)
{
	return l->q->type == BF_ENTITY_PROVIDER ? list_keys(l) : list_limits(l);
}

static const char *plural_of(const struct bf_msg_entity_query *q)
{
	const struct bf_entity_def *def = q->is_sub ? bf_entity_part((uint32_t)q->type) : NULL;

	if (!def)
		def = bf_entity_def((uint32_t)q->type);
	return def ? def->plural : "budgets";
}

static void write_number(struct look *l, const char *key, uint64_t n)
{
	bf_jw_key(&l->w, key);
	bf_jw_u64(&l->w, n);
}

static int list(struct look *l)
{
	if (l->q->is_sub)
		return list_parts(l);
	if (l->q->sort_by)
		return list_sorted(l);
	return list_type(l, (uint32_t)l->q->type, list_entity);
}

static int look_page(struct look *l)
{
	int r;

	bf_jw_object(&l->w);
	bf_jw_key(&l->w, plural_of(l->q));
	bf_jw_array(&l->w);
	r = list(l);
	bf_jw_end_array(&l->w);
	write_number(l, "count", l->count);
	write_number(l, "total_count", l->passed);
	/* What Bifrost calls it here. */
	if (l->q->type == BF_ENTITY_PROVIDER)
		write_number(l, "total", l->passed);
	write_number(l, "limit", l->q->limit);
	write_number(l, "offset", l->q->offset);
	bf_jw_end_object(&l->w);
	return r;
}

/* Before anything of it is written: it may be too many. */
static int look_sorted(struct look *l, struct bf_buf *out, struct entities_answer *a)
{
	int r;

	if (l->q->type != BF_ENTITY_VIRTUAL_KEY)
		return refuse(out, a, 400, "invalid_request", "only virtual keys can be sorted");
	r = list_type(l, BF_ENTITY_VIRTUAL_KEY, gather);
	if (r == 0)
		return look_page(l);
	if (r != BF_E_FULL)
		return r;
	_Static_assert(LOOK_ORDER_MAX == 100000, "the text says so");
	return refuse(out, a, 400, "too_many_to_sort",
		      "more than 100,000 of them match: ask for fewer with search, team_id, "
		      "customer_id or provider, or leave sort_by out");
}

/* ---- the question */

/* Types whose entities the API shows. */
static bool is_type(const struct bf_msg_entity_query *q)
{
	if (q->is_sub)
		return q->type == 0 || q->type == BF_ENTITY_RATE_LIMIT ||
		       q->type == BF_ENTITY_PROVIDER;
	return q->type < BF_ENTITY_TYPE_MAX && bf_entity_def((uint32_t)q->type);
}

static int look(struct look *l, struct bf_buf *out, struct entities_answer *a)
{
	int r;

	if (l->q->secret.len)
		r = look_quota(l, out, a);
	else if (l->q->sub_id.len)
		r = look_key(l, out, a);
	else if (l->q->id.len && !l->q->is_sub)
		r = look_one(l, out, a);
	else if (names_nobody(l))
		r = refuse(out, a, 404, "not_found", "there is no provider of this name");
	else if (l->q->sort_by && !l->q->is_sub)
		r = look_sorted(l, out, a);
	else
		r = look_page(l);
	return r == 0 && a->http_status == 200 ? bf_jw_finish(&l->w) : r;
}

int entities_look(const struct bf_snapshot *s, const struct shm_segment *seg,
		  const struct bf_msg_entity_query *q, struct bf_buf *out,
		  struct entities_answer *ret_answer)
{
	struct bf_arena arena;
	struct look l = {.s = s, .q = q, .arena = &arena};
	int r;

	*ret_answer = (struct entities_answer){.http_status = 200};
	if (!s)
		return refuse(out, ret_answer, 503, "governance_not_loaded",
			      "nothing is in force yet: try again");
	if (!is_type(q))
		return refuse(out, ret_answer, 404, "not_found", "there is no such type");
	bf_arena_init_nodump(&arena, LOOK_ARENA_BYTES);
	bf_jw_init(&l.w, out);
	entity_meters_init(&l.meters, seg);
	r = look(&l, out, ret_answer);
	look_order_done(&l.order);
	bf_arena_done(&arena);
	return r;
}
