/*
 * Places of limits. Called by main.c at the start and once a second; must never open a meter whose
 * window it does not know, and never give a place back that a record or a request still names
 * (shm_meter_collect() looks).
 */
#include "writerd/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/log/log.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "writerd/limits_begin.h"
#include "writerd/limits_missed.h"

#define COLLECT_EVERY_MS 5000
#define JANITOR_EVERY_MS (INT64_C(20) * 3600 * 1000)
#define ARENA_BYTES      (1u << 30)
/* Between our start and the last worker of before being told to leave: the others roll first. */
#define RETIRE_MARGIN_MS 300000

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
	uint32_t i = l->by_place[m];
	int r;

	if (i > 0) {
		const struct bf_limit *limit = &l->plan.limits[i - 1];

		*ret_window = bf_limit_window_of(limit, epoch, limits_now_ms(l, limit));
		return 0;
	}
	r = l->store->ops->newest_total(l->store, identity, INT64_MIN, INT64_MAX, &newest, &total,
					err);
	*ret_window = r == 1 ? bf_window_nearest(newest, epoch) : epoch;
	return r < 0 ? r : 0;
}

/* ---- places */

/* Told again only when it is another one: whoever admits looks its keys up anew then. */
static void configure(struct limits *l, uint32_t i)
{
	int64_t max = l->plan.limits[i].max;

	if (!shm_meter_configured(l->seg, l->places[i], max, false))
		(void)shm_meter_configure(l->seg, l->places[i], max, false, false, 0);
}

void limits_open(struct limits *l, uint32_t i)
{
	const struct bf_limit *limit = &l->plan.limits[i];

	configure(l, i);
	shm_meter_open(l->seg, l->places[i], limit->identity, (uint32_t)limit->quantity);
	l->open[i] = true;
	l->unplaced--;
}

/* A place for each limit that has none yet. Those of meters that live are open at once: they serve
 * on, whatever the store says. */
static void claim_all(struct limits *l)
{
	l->crowded = 0;
	for (uint32_t i = 0; i < l->plan.limit_count; i++) {
		bool is_new = false;
		uint32_t m;

		if (l->open[i])
			continue;
		l->places[i] = LIMITS_NOT_PLACED;
		if (shm_meter_place(l->seg, l->plan.limits[i].identity, &m, &is_new) < 0) {
			l->crowded++;
			continue;
		}
		l->places[i] = m;
		l->by_place[m] = 1 + i;
		l->ready = false;
		if (!is_new)
			limits_open(l, i);
	}
}

static void tell_store(struct limits *l, int r, const struct bf_err *err)
{
	if (r < 0 && !l->store_told && l->unplaced > l->crowded)
		bf_log(BF_LOG_ERROR, "limits_not_placed", "limits=%u reason=%s effect=%s",
		       l->unplaced, bf_log_quote(err->text),
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

/* What no limit names: found by nobody from here on, given back when nothing in flight does. Only
 * once all have left who admit by an older configuration: to them these limits are true. */
static void retire_others(struct limits *l)
{
	for (uint32_t m = 0; (m = shm_meter_next(l->seg, m)) != SHM_METER_NOWHERE; m++) {
		if (l->by_place[m])
			continue;
		shm_meter_retire(l->seg, m);
		l->retired_left = true;
	}
}

/* ---- totals that are whole */

int limits_ready(struct limits *l, struct bf_err *err)
{
	int r;

	if (l->ready)
		return 0;
	r = limits_forget_others(l, err);
	if (r == 0)
		r = limits_begin(l, err);
	l->ready = r == 0;
	return r;
}

int limits_keep(struct limits *l, struct bf_err *err)
{
	memset(l->begun, 0, l->plan.limit_count * sizeof(*l->begun));
	l->ready = false;
	return limits_ready(l, err);
}

/* ---- life */

static void count_classes(struct limits *l)
{
	for (uint32_t i = 0; i < l->plan.limit_count; i++) {
		const struct bf_limit *limit = &l->plan.limits[i];
		int64_t length_ms = bf_limit_length_ms(limit);
		struct limits_class *c = &l->classes[shm_wall_class(length_ms)];

		if (limit->endless)
			continue;
		c->length_ms = length_ms;
		c->count++;
	}
}

static int make_tables(struct limits *l, struct bf_err *err)
{
	l->places = calloc((size_t)l->plan.limit_count + 1, sizeof(*l->places));
	l->open = calloc((size_t)l->plan.limit_count + 1, sizeof(*l->open));
	l->begun = calloc((size_t)l->plan.limit_count + 1, sizeof(*l->begun));
	l->by_place = calloc(SHM_METERS, sizeof(*l->by_place));
	if (!l->places || !l->open || !l->begun || !l->by_place ||
	    owners_init(&l->owners, &l->config->governance) < 0 || limits_missed_init(l) < 0 ||
	    fold_init(&l->fold, l->seg) < 0)
		return bf_err_set(err, -ENOMEM, "limits: out of memory");
	l->fold.window_of = window_of;
	l->fold.missed = limits_missed;
	l->fold.owner = l;
	return 0;
}

size_t limits_memory(void)
{
	return SHM_METERS * sizeof(uint32_t) + FOLD_SUMS_MAX * sizeof(struct fold_sum) +
	       FOLD_PLACES * sizeof(uint32_t);
}

void limits_done(struct limits *l)
{
	if (l->store)
		l->store->owners = NULL;
	owners_done(&l->owners);
	fold_done(&l->fold);
	limits_missed_done(l);
	free(l->places);
	free(l->open);
	free(l->begun);
	free(l->by_place);
	bf_arena_done(&l->arena);
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
	shm_metric_set(l->seg, l->proc_slot, SHM_M_LIMITS, l->plan.limit_count);
	shm_metric_set(l->seg, l->proc_slot, SHM_M_LIMITS_FROZEN, frozen);
	shm_metric_set(l->seg, l->proc_slot, SHM_M_LIMITS_UNPLACED, l->unplaced);
	shm_health_set(l->seg, l->proc_slot, SHM_H_LIMITS_FROZEN, frozen > 0);
	shm_health_set(l->seg, l->proc_slot, SHM_H_CLOCK_BEHIND, behind);
	shm_health_set(l->seg, l->proc_slot, SHM_H_LIMITS_UNPLACED, l->unplaced > l->crowded);
	shm_health_set(l->seg, l->proc_slot, SHM_H_METERS_FULL, l->crowded > 0);
}

static void keep_words_young(struct limits *l)
{
	for (uint32_t i = 0; i < l->plan.limit_count; i++) {
		const struct bf_limit *limit = &l->plan.limits[i];

		if (l->open[i])
			(void)shm_meter_janitor(l->seg, l->places[i],
						bf_limit_epoch(limit, limits_now_ms(l, limit)));
	}
}

static void look_after(struct limits *l)
{
	int64_t now_ms = bf_mono_ms();

	if (l->retire_at_ms && now_ms >= l->retire_at_ms) {
		retire_others(l);
		l->retire_at_ms = 0;
	}
	if (l->retired_left && now_ms >= l->collect_at_ms) {
		l->retired_left = shm_meter_collect(l->seg) > 0;
		l->collect_at_ms = now_ms + COLLECT_EVERY_MS;
	}
	if (now_ms >= l->janitor_at_ms) {
		keep_words_young(l);
		l->janitor_at_ms = now_ms + JANITOR_EVERY_MS;
	}
	tell_state(l);
}

int limits_start(struct limits *l, struct shm_segment *seg, struct store *store,
		 const struct bf_config *config, uint32_t proc_slot, struct bf_err *err)
{
	int64_t others_ms = config->supervisor.drain_timeout_ms + RETIRE_MARGIN_MS;
	int r;

	*l = (struct limits){.seg = seg, .store = store, .config = config, .proc_slot = proc_slot};
	bf_arena_init(&l->arena, ARENA_BYTES);
	r = bf_plan_make(&l->plan, config, &l->arena, err);
	if (r == 0)
		r = make_tables(l, err);
	if (r < 0) {
		limits_done(l);
		return r;
	}
	store->owners = &l->owners;
	l->unplaced = l->plan.limit_count;
	count_classes(l);
	claim_all(l);
	try_again(l);
	/* Those of a writerd before us may be waiting for their end. */
	l->retired_left = true;
	l->retire_at_ms = bf_mono_ms() + others_ms;
	l->missed_until_ns = bf_wall_ns() + others_ms * 1000000;
	look_after(l);
	return 0;
}

void limits_second(struct limits *l)
{
	if (l->unplaced > 0)
		claim_all(l);
	if (!l->ready)
		try_again(l);
	look_after(l);
}
