/*
 * The life of limits. Called by main.c at the start, after flips and once a second; must never open
 * a meter whose window it does not know, and never give a place back that a record or a request
 * still names (shm_meter_collect() looks).
 */
#include "writerd/limits/limits_follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/log/log.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "writerd/limits/limits_begin.h"
#include "writerd/limits/limits_missed.h"

#define COLLECT_EVERY_MS 5000
#define WORK_BYTES       (64u << 20)
#define CLAIM_AT_ONCE    4096u
#define RETIRE_AT_ONCE   4096u
/* Seconds in which each limit is looked at: less than a day. */
#define JANITOR_ROUND_S 65536u

_Static_assert((uint32_t)BF_QUANTITY_REQUESTS == SHM_METER_REQUESTS &&
		   (uint32_t)BF_QUANTITY_TOKENS == SHM_METER_TOKENS &&
		   (uint32_t)BF_QUANTITY_CONCURRENT == SHM_METER_CONCURRENT &&
		   (uint32_t)BF_QUANTITY_NUSD == SHM_METER_NUSD,
	       "rows, meters and plans mean the same");

int64_t limits_now_ms(const struct limits *l, const struct bf_limit *limit)
{
	struct shm_wall wall = shm_wall_read(l->seg);

	return shm_wall_ms(&wall, bf_boot_ns(), bf_limit_length_ms(limit));
}

/* ---- windows by name */

/* A meter that no limit names any more still gets what its last rows were charged: the store knows
 * its windows since it was placed. */
static int window_of(void *owner, uint32_t m, uint64_t identity, uint32_t epoch,
		     int64_t *ret_window, struct bf_err *err)
{
	const struct limits *l = owner;
	struct store_total total;
	int64_t newest = epoch;
	int r;

	if (l->by_place[m] > 0) {
		const struct limit *limit = limits_table_at(&l->table, l->by_place[m] - 1);
		const struct bf_limit whole = limit_whole(limit);

		*ret_window = bf_limit_window_of(&whole, epoch, limits_now_ms(l, &whole));
		return 0;
	}
	r = l->store->ops->newest_total(l->store, identity, INT64_MIN, INT64_MAX, &newest, &total,
					err);
	*ret_window = r == 1 ? bf_window_nearest(newest, epoch) : epoch;
	return r < 0 ? r : 0;
}

/* ---- totals that are whole */

int limits_ready(struct limits *l, struct bf_err *err)
{
	int r = 0;

	if (!l->forgotten)
		r = limits_forget_others(l, err);
	if (r == 0 && (l->to_unwatch > 0 || !bf_list_empty(&l->placed)))
		r = limits_begin(l, err);
	return r;
}

int limits_keep(struct limits *l, struct bf_err *err)
{
	for (uint32_t i = 0; i < l->table.top; i++) {
		struct limit *limit = limits_table_at(&l->table, i);

		if (!limit || limit->state != LIMIT_BEGUN)
			continue;
		limit->state = LIMIT_PLACED;
		bf_list_append(&l->placed, &limit->node);
	}
	l->forgotten = false;
	return limits_ready(l, err);
}

static bool is_ready(const struct limits *l)
{
	return l->forgotten && l->to_unwatch == 0 && bf_list_empty(&l->placed);
}

static void tell_store(struct limits *l, int r, const struct bf_err *err)
{
	if (r < 0 && !l->store_told && l->closed > l->crowded)
		bf_log(BF_LOG_ERROR, "limits_not_placed", "limits=%u reason=%s effect=%s",
		       l->closed, bf_log_quote(err->text),
		       bf_log_quote("requests that need them are refused with 503; it is tried "
				    "again every second"));
	l->store_told = r < 0;
}

/* Asks a store again that failed, perhaps as another file. */
static void try_again(struct limits *l)
{
	struct bf_err err = {0};
	int r = 0;

	/* It may never have been opened, and without meters no rows come that would ask for it. */
	if (l->store_told && l->store->ops->mend)
		r = l->store->ops->mend(l->store, &err);
	if (r == 0)
		r = l->store_told ? limits_keep(l, &err) : limits_ready(l, &err);
	tell_store(l, r, &err);
}

/* ---- who leaves */

/* What no limit names: found by nobody from here on, given back when nothing in flight does. */
static void retire_others(struct limits *l)
{
	for (uint32_t m = 0; (m = shm_meter_next(l->seg, m)) != SHM_METER_NOWHERE; m++) {
		if (l->by_place[m])
			continue;
		shm_meter_retire(l->seg, m);
		l->retired_left = true;
	}
}

/* The time of each begins with the flip behind which nobody begins to admit with it. */
void limits_in_force(struct limits *l)
{
	int64_t until_ms = bf_mono_ms() + l->others_ms;

	if (!l->loaded)
		return;
	for (struct bf_list *it = l->leaving.prev; it != &l->leaving; it = it->prev) {
		struct limit *limit = BF_CONTAINER_OF(it, struct limit, node);

		if (limit->retire_at_ms)
			break;
		limit->retire_at_ms = until_ms;
	}
	if (l->others_wait)
		l->retire_at_ms = until_ms;
	l->others_wait = false;
	if (l->missed_until_ns == INT64_MAX)
		l->missed_until_ns = bf_wall_ns() + l->others_ms * 1000000;
}

static void retire_leaving(struct limits *l, int64_t now_ms)
{
	for (uint32_t n = 0; n < RETIRE_AT_ONCE && !bf_list_empty(&l->leaving); n++) {
		struct limit *limit = BF_CONTAINER_OF(l->leaving.next, struct limit, node);

		if (!limit->retire_at_ms || now_ms < limit->retire_at_ms || limit->watched)
			return;
		limits_retire(l, limit);
	}
}

/* ---- life */

size_t limits_memory(void)
{
	return SHM_METERS * sizeof(uint32_t) + FOLD_SUMS_MAX * sizeof(struct fold_sum) +
	       FOLD_PLACES * sizeof(uint32_t);
}

void limits_done(struct limits *l)
{
	if (l->store)
		l->store->owners = NULL;
	fold_done(&l->fold);
	limits_table_close(&l->table);
	free(l->by_place);
	bf_arena_done(&l->work);
	*l = (struct limits){.seg = NULL};
}

static void tell_state(struct limits *l)
{
	struct shm_wall wall = shm_wall_read(l->seg);
	uint32_t frozen = 0;
	bool behind = false;

	for (unsigned c = 0; c < SHM_WALL_CLASSES; c++) {
		if (l->classes[c].count == 0)
			continue;
		if (shm_wall_frozen(&wall, l->classes[c].length_ms))
			frozen += l->classes[c].count;
		behind |= shm_wall_behind(&wall, l->classes[c].length_ms);
	}
	shm_metric_set(l->seg, l->proc_slot, SHM_M_LIMITS, l->live);
	shm_metric_set(l->seg, l->proc_slot, SHM_M_LIMITS_FROZEN, frozen);
	shm_metric_set(l->seg, l->proc_slot, SHM_M_LIMITS_UNPLACED, l->closed);
	shm_health_set(l->seg, l->proc_slot, SHM_H_LIMITS_FROZEN, frozen > 0);
	shm_health_set(l->seg, l->proc_slot, SHM_H_CLOCK_BEHIND, behind);
	shm_health_set(l->seg, l->proc_slot, SHM_H_LIMITS_UNPLACED, l->closed > l->crowded);
	shm_health_set(l->seg, l->proc_slot, SHM_H_METERS_FULL, l->crowded > 0);
}

void limits_settle(struct limits *l)
{
	struct bf_err err = {0};

	tell_store(l, limits_ready(l, &err), &err);
	tell_state(l);
}

/* A part of them each second, so that a million are no burden. */
static void keep_words_young(struct limits *l)
{
	uint32_t some = 1 + l->table.top / JANITOR_ROUND_S;

	for (uint32_t n = 0; n < some; n++) {
		const struct limit *limit;

		if (l->janitor_at >= l->table.top)
			l->janitor_at = 0;
		limit = limits_table_at(&l->table, l->janitor_at++);
		if (limit && limit->open) {
			const struct bf_limit whole = limit_whole(limit);

			(void)shm_meter_janitor(l->seg, limit->place,
						bf_limit_epoch(&whole, limits_now_ms(l, &whole)));
		}
	}
}

static void look_after(struct limits *l)
{
	int64_t now_ms = bf_mono_ms();

	if (l->retire_at_ms && now_ms >= l->retire_at_ms) {
		retire_others(l);
		l->retire_at_ms = 0;
	}
	retire_leaving(l, now_ms);
	if (l->retired_left && now_ms >= l->collect_at_ms) {
		l->retired_left = shm_meter_collect(l->seg) > 0;
		l->collect_at_ms = now_ms + COLLECT_EVERY_MS;
	}
	keep_words_young(l);
	tell_state(l);
}

int limits_start(struct limits *l, struct shm_segment *seg, struct store *store,
		 struct entities *const *t, int64_t others_ms, uint32_t proc_slot,
		 struct bf_err *err)
{
	*l = (struct limits){.seg = seg,
			     .store = store,
			     .t = t,
			     .owners = {t},
			     .others_ms = others_ms,
			     .proc_slot = proc_slot};
	bf_arena_init(&l->work, WORK_BYTES);
	bf_list_init(&l->unplaced);
	bf_list_init(&l->placed);
	bf_list_init(&l->leaving);
	bf_list_init(&l->raised);
	l->by_place = calloc(SHM_METERS, sizeof(*l->by_place));
	if (!l->by_place || limits_table_open(&l->table) < 0 || fold_init(&l->fold, seg) < 0) {
		limits_done(l);
		return bf_err_set(err, -ENOMEM, "limits: out of memory");
	}
	l->fold.window_of = window_of;
	l->fold.missed = limits_missed;
	l->fold.owner = l;
	store->owners = &l->owners;
	/* Those of a writerd before us may be waiting for their end. */
	l->retired_left = true;
	look_after(l);
	return 0;
}

void limits_second(struct limits *l)
{
	if (l->crowded > 0)
		limits_claim(l, CLAIM_AT_ONCE);
	if (!is_ready(l))
		try_again(l);
	limits_follow_extras(l);
	look_after(l);
}
