/*
 * Limits as entities change. Called for each entity at the start and for each that changed, before
 * it is in force. Must never take a meter away from workers who still admit with it, and never let
 * an entity be published whose limits nobody counts.
 */
#include "writerd/limits/limits_follow.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/pulse.h"
#include "common/log/log.h"

#define UNPLANNED_LINES_MAX 32u

/* ---- states */

static void enter_state(struct bf_list *list, struct limit *limit, enum limit_state state)
{
	bf_list_remove(&limit->node);
	limit->state = (uint8_t)state;
	if (list)
		bf_list_append(list, &limit->node);
}

static void count_class(struct limits *l, const struct limit *limit, bool comes)
{
	const struct bf_limit whole = limit_whole(limit);
	int64_t length_ms = bf_limit_length_ms(&whole);
	struct limits_class *c = &l->classes[shm_wall_class(length_ms)];

	if (limit->endless)
		return;
	if (comes)
		c->length_ms = length_ms;
	c->count = comes ? c->count + 1 : c->count - 1;
}

static void count(struct limits *l, const struct limit *limit, bool comes)
{
	l->live = comes ? l->live + 1 : l->live - 1;
	if (!limit->open)
		l->closed = comes ? l->closed + 1 : l->closed - 1;
	count_class(l, limit, comes);
}

/* ---- places */

static int64_t max_now(const struct limits *l, const struct limit *limit)
{
	const struct bf_limit whole = limit_whole(limit);

	return limit->extra ? bf_limit_max_at(&whole, limits_now_ms(l, &whole)) : limit->max;
}

/* Told again only when it is another one: whoever admits looks its keys up anew then. */
static void configure(struct limits *l, const struct limit *limit)
{
	int64_t max = max_now(l, limit);

	if (!shm_meter_configured(l->seg, limit->place, max, false))
		(void)shm_meter_configure(l->seg, limit->place, max, false, false, 0);
}

/* From here on its beginning and its end are waited for, if there will be any. */
static void watch_extra(struct limits *l, struct limit *limit)
{
	const struct bf_limit whole = limit_whole(limit);

	if (limit->extra && whole.extra_end_ms < INT64_MAX &&
	    limits_now_ms(l, &whole) < whole.extra_end_ms)
		bf_list_append(&l->raised, &limit->extra->node);
}

static void forget_extra(struct limit *limit)
{
	if (limit->extra)
		bf_list_remove(&limit->extra->node);
}

static void end_extra(struct limit *limit, const struct bf_limit *whole)
{
	forget_extra(limit);
	bf_log(BF_LOG_INFO, "override_ended", "owner=%s owner_id=%s limit_id=%s",
	       bf_owner_name(whole->owner), bf_log_quote(limit->of->texts + limit->owner_id),
	       bf_log_quote(limit->of->texts + limit->limit_id));
}

void limits_follow_extras(struct limits *l)
{
	const struct shm_wall wall = shm_wall_read(l->seg);
	int64_t boot_ns = bf_boot_ns();
	struct bf_list *it, *next;

	BF_LIST_FOREACH_SAFE(it, next, &l->raised)
	{
		struct limit *limit = BF_CONTAINER_OF(it, struct limit_extra, node)->limit;
		const struct bf_limit whole = limit_whole(limit);

		if (shm_wall_ms(&wall, boot_ns, bf_limit_length_ms(&whole)) >= whole.extra_end_ms)
			end_extra(limit, &whole);
		if (limit->open)
			configure(l, limit);
	}
}

void limits_open(struct limits *l, struct limit *limit)
{
	configure(l, limit);
	shm_meter_open(l->seg, limit->place, limit->identity, limit->quantity);
	if (!limit->open)
		l->closed--;
	limit->open = true;
}

static struct limit *at_place(const struct limits *l, uint32_t m)
{
	return l->by_place[m] ? limits_table_at(&l->table, l->by_place[m] - 1) : NULL;
}

static void forget_unwatching(struct limits *l, struct limit *limit)
{
	l->to_unwatch -= limit->watched;
	limit->watched = false;
}

/* It goes on with the meter of one that was leaving. */
static void give_back(struct limits *l, struct limit *old)
{
	forget_unwatching(l, old);
	bf_list_remove(&old->node);
	limits_table_remove(&l->table, old);
}

/* Which cannot be but for a coincidence of 64 bits. */
static void tell_doubled(struct limit *limit, const struct limit *other)
{
	if (!limit->doubled)
		bf_log(BF_LOG_ERROR, "limit_doubled", "limit_id=%s other=%s",
		       bf_log_quote(limit->of->texts + limit->limit_id),
		       bf_log_quote(other->of->texts + other->limit_id));
	limit->doubled = true;
}

/* Those of meters that live are open at once: they serve on, whatever the store says. */
static bool claim(struct limits *l, struct limit *limit)
{
	struct limit *old;
	bool is_new = false;
	uint32_t m;

	if (shm_meter_place(l->seg, limit->identity, &m, &is_new) < 0)
		return false;
	old = at_place(l, m);
	if (old && old->state != LIMIT_LEAVING) {
		tell_doubled(limit, old);
		return false;
	}
	if (old)
		give_back(l, old);
	limit->place = m;
	l->by_place[m] = 1 + limit->number;
	enter_state(&l->placed, limit, LIMIT_PLACED);
	if (!is_new)
		limits_open(l, limit);
	return true;
}

void limits_claim(struct limits *l, uint32_t most)
{
	struct bf_list *it, *next;
	uint32_t n = 0;

	BF_LIST_FOREACH_SAFE(it, next, &l->unplaced)
	{
		struct limit *limit = BF_CONTAINER_OF(it, struct limit, node);

		if (n++ == most)
			break;
		if (claim(l, limit))
			l->crowded--;
		else
			enter_state(&l->unplaced, limit, LIMIT_UNPLACED);
	}
}

/* ---- one limit */

static void come(struct limits *l, struct limit *limit)
{
	limits_table_add(&l->table, limit);
	count(l, limit, true);
	watch_extra(l, limit);
	l->missed_until_ns = INT64_MAX;
	if (claim(l, limit))
		return;
	enter_state(&l->unplaced, limit, LIMIT_UNPLACED);
	l->crowded++;
}

/* A model config may be about another model than before: limits_begin.c. */
static bool same_rows(const struct limit *a, const struct limit *b)
{
	const struct bf_limit_rows x = limit_rows(a), y = limit_rows(b);

	return bf_slice_eq(x.provider, y.provider) && bf_slice_eq(x.model, y.model) &&
	       bf_slice_eq(x.virtual_key_id, y.virtual_key_id) &&
	       bf_slice_eq(x.team_id, y.team_id) && bf_slice_eq(x.customer_id, y.customer_id);
}

/* The same meter, perhaps with another maximum. */
static void take_over(struct limits *l, struct limit *limit, struct limit *old)
{
	struct bf_list *const lists[] = {
	    [LIMIT_UNPLACED] = &l->unplaced, [LIMIT_PLACED] = &l->placed, [LIMIT_BEGUN] = NULL};

	/* What was used of the others is to be asked. */
	if (old->state == LIMIT_BEGUN && !same_rows(limit, old))
		enter_state(&l->placed, old, LIMIT_PLACED);
	limit->place = old->place;
	limit->open = old->open;
	limit->doubled = old->doubled;
	forget_extra(old);
	watch_extra(l, limit);
	enter_state(lists[old->state], limit, (enum limit_state)old->state);
	bf_list_remove(&old->node);
	limits_table_replace(&l->table, limit, old);
	if (limit->open)
		configure(l, limit);
}

void limits_retire(struct limits *l, struct limit *limit)
{
	bf_list_remove(&limit->node);
	if (limit->state != LIMIT_UNPLACED) {
		shm_meter_retire(l->seg, limit->place);
		l->by_place[limit->place] = 0;
		l->retired_left = true;
	}
	limits_table_remove(&l->table, limit);
}

static void go(struct limits *l, struct limit *limit)
{
	forget_extra(limit);
	count(l, limit, false);
	l->crowded -= limit->state == LIMIT_UNPLACED;
	/* Nobody ever found it. */
	if (!limit->open) {
		limits_retire(l, limit);
		return;
	}
	limit->watched = !limit->endless;
	l->to_unwatch += limit->watched;
	limit->retire_at_ms = 0;
	enter_state(&l->leaving, limit, LIMIT_LEAVING);
}

/* ---- one entity */

static struct limit *same_in(struct limited *of, uint64_t identity)
{
	for (uint32_t i = 0; of && i < of->count; i++)
		if (of->limits[i].identity == identity)
			return &of->limits[i];
	return NULL;
}

static void tell_unplanned(struct limits *l, const struct entity *x, const struct bf_err *err)
{
	if (l->unplanned++ < UNPLANNED_LINES_MAX)
		bf_log(BF_LOG_ERROR, "limits_not_planned", "type=%s id=%s reason=%s effect=%s",
		       bf_entity_def(x->e.type)->name, bf_log_quote_slice(x->e.id),
		       bf_log_quote(err->text),
		       bf_log_quote("its limits have no meters: requests that meet them are "
				    "refused"));
}

/* ret: with room in the table; NULL: it has none. 0, or why that is not known. */
static int plan(struct limits *l, const struct entity *x, struct limited **ret)
{
	struct bf_err err = {0};
	int r = limited_make(*l->t, x, &l->work, ret, &err);

	bf_arena_reset(&l->work);
	if (*ret && limits_table_reserve(&l->table, (*ret)->count, (*ret)->ref_count) < 0) {
		r = bf_err_sys(&err, -ENOMEM, "limits");
		free(*ret);
		*ret = NULL;
	}
	if (r < 0)
		tell_unplanned(l, x, &err);
	return r;
}

/* old and of, each NULL: none. The old one is only gone when all its meters are. */
static void change_entity(struct limits *l, struct limited *old, struct limited *of)
{
	uint32_t old_count = old ? old->count : 0;

	if (of)
		limits_table_enter(&l->table, of);
	/* Held until the end: limits that are taken over may be its last ones. */
	if (old)
		old->held++;
	for (uint32_t i = 0; of && i < of->count; i++) {
		struct limit *same = same_in(old, of->limits[i].identity);

		if (same) {
			take_over(l, &of->limits[i], same);
			same->of = NULL;
		} else {
			come(l, &of->limits[i]);
		}
	}
	for (uint32_t i = 0; i < old_count; i++)
		if (old->limits[i].of)
			go(l, &old->limits[i]);
	if (old) {
		limits_table_leave(&l->table, old);
		if (--old->held == 0)
			free(old);
	}
}

static void follow(struct limits *l, uint32_t type, struct bf_slice id)
{
	const struct entity *x = entities_live(*l->t, type, id);
	struct limited *old = limits_table_find(&l->table, type, id);
	struct limited *of = NULL;

	/* For want of memory it keeps what it has. */
	if (x && plan(l, x, &of) == -ENOMEM) {
		if (old)
			old->round = l->round;
		return;
	}
	if (of)
		of->round = l->round;
	change_entity(l, old, of);
}

/* ---- rate limits */

struct named {
	struct limited **items;
	uint32_t count;
};

static int list_named(const struct limits *l, uint64_t key, struct named *ret)
{
	uint32_t n = 0;

	for (const struct limited_ref *ref = limits_table_refs(&l->table, key); ref;
	     ref = ref->next)
		n += ref->key == key;
	*ret = (struct named){.items = calloc((size_t)n + 1, sizeof(struct limited *))};
	if (!ret->items)
		return -ENOMEM;
	for (struct limited_ref *ref = limits_table_refs(&l->table, key); ref; ref = ref->next) {
		/* One that names it twice stands there in a row. */
		if (ref->key == key && (ret->count == 0 || ret->items[ret->count - 1] != ref->who))
			ret->items[ret->count++] = ref->who;
	}
	return 0;
}

/* Whoever names it has other limits now. */
static void follow_rate(struct limits *l, struct bf_slice id)
{
	struct named named;

	if (list_named(l, entity_key(BF_ENTITY_RATE_LIMIT, id), &named) < 0) {
		bf_log(BF_LOG_ERROR, "limits_not_planned", "rate_limit=%.*s reason=%s",
		       BF_SLICE_FMT(id), bf_log_quote("out of memory"));
		return;
	}
	for (uint32_t i = 0; i < named.count; i++) {
		struct limited *of = named.items[i];

		follow(l, of->type, limited_text(of, of->id));
	}
	free(named.items);
}

/* ---- all of them */

void limits_change(struct limits *l, uint32_t type, struct bf_slice id)
{
	if (!l->loaded)
		return;
	if (type == BF_ENTITY_RATE_LIMIT)
		follow_rate(l, id);
	else if (limited_may_be(type))
		follow(l, type, id);
}

/* In the order in which people look at them. */
static void follow_all(struct limits *l)
{
	static const uint32_t types[] = {BF_ENTITY_PROVIDER_LIMITS, BF_ENTITY_MODEL_CONFIG,
					 BF_ENTITY_CUSTOMER, BF_ENTITY_TEAM, BF_ENTITY_VIRTUAL_KEY};

	for (size_t i = 0; i < BF_ARRAY_LEN(types); i++)
		for (const struct entity *x = entities_next(*l->t, types[i], NULL); x;
		     x = entities_next(*l->t, types[i], x)) {
			bf_pulse();
			follow(l, types[i], x->e.id);
		}
}

static void drop_unseen(struct limits *l)
{
	uint32_t at = 0;
	struct limited *next, *of = limits_table_each(&l->table, &at, NULL);

	for (; of; of = next) {
		next = limits_table_each(&l->table, &at, of);
		if (of->round != l->round)
			change_entity(l, of, NULL);
	}
}

void limits_load(struct limits *l)
{
	if (!*l->t)
		return;
	l->round++;
	l->unplanned = 0;
	follow_all(l);
	drop_unseen(l);
	l->others_wait = l->others_wait || !l->loaded;
	l->loaded = true;
	limits_settle(l);
}
