/*
 * Which limits are told. Called for each scrape. Must never look through more of the snapshot than
 * what may be told, nor keep anything of it.
 */
#include "proxyd/gate/told.h"

#include <string.h>

#include "proxyd/gate/keyring.h"

#define TOLD_ARENA (16u << 20)
#define LIST_ARENA (64u << 20)
/* Bytes of a sample beside the names. */
#define SAMPLE_FRAME 192u

void told_open(struct told *t)
{
	memset(t, 0, sizeof(*t));
	bf_arena_init(&t->arena, TOLD_ARENA);
}

void told_close(struct told *t)
{
	bf_arena_done(&t->arena);
}

size_t told_escaped(struct bf_slice text)
{
	size_t bytes = text.len;

	for (size_t i = 0; i < text.len; i++)
		bytes += text.ptr[i] == '\n' || text.ptr[i] == '"' || text.ptr[i] == '\\';
	return bytes;
}

static size_t sample_bytes(const struct bf_limit *limit)
{
	size_t names = limit->owner == BF_OWNER_VIRTUAL_KEY ? 2 : 1;

	return SAMPLE_FRAME + told_escaped(limit->owner_id) +
	       names * told_escaped(limit->owner_name) + told_escaped(limit->rows.virtual_key_id) +
	       told_escaped(limit->limit_id) + told_escaped(limit->reset);
}

/* ---- one after the other */

static struct bf_slice keep(struct told *t, struct bf_slice text)
{
	struct bf_slice copy = bf_arena_dup(&t->arena, text);

	return copy.ptr ? copy : (struct bf_slice){"", 0};
}

/* False: there is no room for more. */
static bool tell(struct told *t, const struct bf_limit *limit)
{
	struct bf_limit *to = &t->items[t->count];
	size_t bytes = sample_bytes(limit);

	if (t->count == TOLD_MAX || t->bytes + bytes > TOLD_BYTES)
		return false;
	*to = *limit;
	to->owner_id = keep(t, limit->owner_id);
	to->owner_name = keep(t, limit->owner_name);
	to->limit_id = keep(t, limit->limit_id);
	to->reset = keep(t, limit->reset);
	to->rows = (struct bf_limit_rows){.virtual_key_id = keep(t, limit->rows.virtual_key_id)};
	to->place = NULL;
	t->count++;
	t->bytes += bytes;
	return true;
}

/* Those of a plan that are of one key, or that are not. */
static bool tell_plan(struct told *t, const struct bf_plan *plan, bool of_key)
{
	for (uint32_t i = 0; i < plan->limit_count; i++) {
		if ((plan->limits[i].rows.virtual_key_id.len > 0) == of_key &&
		    !tell(t, &plan->limits[i]))
			return false;
	}
	return true;
}

/* ---- owners of many keys */

_Static_assert(offsetof(struct bf_conf_team, own) == 0 &&
		   offsetof(struct bf_conf_customer, own) == 0,
	       "an owner comes first");

/* The rate limit that an owner names goes where a plan looks for it. */
static int settle_rate(const struct bf_snapshot *s, struct bf_conf_owner *own,
		       struct bf_array *rates, struct bf_arena *arena)
{
	struct bf_conf_rate_limit *to = (struct bf_conf_rate_limit *)rates->items + rates->count;
	struct bf_entity entity;

	if (own->rate_limit.count) {
		*to = *(const struct bf_conf_rate_limit *)own->rate_limit.items;
		own->rate_limit = (struct bf_array){NULL, 0};
		own->rate_limit_id = to->id;
	} else if (own->rate_limit_id.len == 0) {
		return 0;
	} else if (!bf_snapshot_find(s, BF_ENTITY_RATE_LIMIT, own->rate_limit_id, &entity) ||
		   bf_entity_decode(&entity, to, arena, NULL) < 0) {
		return BF_E_UNKNOWN;
	}
	rates->count++;
	return 0;
}

/* As many of a type as could be told; who is whose does not matter here. */
static void list_owners(const struct bf_snapshot *s, uint32_t type, struct bf_array *list,
			struct bf_array *rates, struct bf_arena *arena)
{
	size_t size = bf_entity_def(type)->table->size;
	struct bf_snapshot_cursor cursor = {0};
	struct bf_entity entity;

	list->items = bf_arena_alloc(arena, TOLD_MAX * size);
	while (list->items && list->count < TOLD_MAX &&
	       bf_snapshot_next(s, type, &cursor, &entity)) {
		void *item = (char *)list->items + list->count * size;

		if (bf_entity_decode(&entity, item, arena, NULL) == 0 &&
		    settle_rate(s, item, rates, arena) == 0)
			list->count++;
	}
}

static bool tell_owners(struct told *t, const struct bf_snapshot *s)
{
	struct bf_config config = {.version = 0};
	struct bf_conf_governance *g = &config.governance;
	struct bf_conf_team *teams;
	struct bf_arena arena;
	struct bf_plan plan;
	bool more = true;

	bf_arena_init(&arena, LIST_ARENA);
	g->rate_limits.items =
	    bf_arena_alloc(&arena, 2u * (TOLD_MAX + 1) * sizeof(struct bf_conf_rate_limit));
	if (g->rate_limits.items) {
		list_owners(s, BF_ENTITY_TEAM, &g->teams, &g->rate_limits, &arena);
		list_owners(s, BF_ENTITY_CUSTOMER, &g->customers, &g->rate_limits, &arena);
	}
	teams = g->teams.items;
	for (uint32_t i = 0; i < g->teams.count; i++)
		teams[i].customer_id = (struct bf_slice){NULL, 0};
	if (bf_plan_make(&plan, &config, &arena, NULL) == 0)
		more = tell_plan(t, &plan, false);
	bf_arena_done(&arena);
	return more;
}

/* ---- keys */

static void tell_keys(struct told *t, const struct bf_snapshot *s)
{
	struct bf_snapshot_cursor cursor = {0};
	struct bf_entity entity;
	bool more = true;

	for (uint32_t n = 0;
	     more && n < TOLD_MAX && bf_snapshot_next(s, BF_ENTITY_VIRTUAL_KEY, &cursor, &entity);
	     n++) {
		struct keyring_key *key;

		if (keyring_make(s, &entity, (struct bf_slice){NULL, 0}, &key) < 0)
			continue;
		if (!key->broken)
			more = tell_plan(t, &key->plan, true);
		keyring_drop(key);
	}
}

void told_follow(struct told *t, const struct bf_snapshot *s, uint64_t generation,
		 const struct bf_plan *everybody, int64_t now_mono_ms)
{
	if (t->generation == generation ||
	    (t->generation && now_mono_ms - t->made_mono_ms < TOLD_EVERY_MS))
		return;
	bf_arena_done(&t->arena);
	t->generation = generation;
	t->made_mono_ms = now_mono_ms;
	t->count = 0;
	t->bytes = 0;
	t->items = bf_arena_alloc(&t->arena, TOLD_MAX * sizeof(t->items[0]));
	if (t->items && tell_plan(t, everybody, false) && tell_owners(t, s))
		tell_keys(t, s);
}
