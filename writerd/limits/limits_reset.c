/*
 * Resets of usage. Called for a change that asks for it, when all rows that wait were written. Must
 * never forgive twice what was charged once: the store is told the whole sum that is forgiven, in a
 * transaction of its own, and the meter is told whole sums made of that. A writerd that is killed
 * before the commit has done nothing; killed behind it, the next one finds more resets in the store
 * than in the meter, and tells the meter (limits_begin.c).
 */
#include "writerd/limits/limits_reset.h"

#include <errno.h>

#include "common/base/macros.h"

static bool is_asked(const struct limits_reset *reset, const struct limit *limit)
{
	return reset->limit_id.len == 0 ||
	       bf_slice_eq(limited_text(limit->of, limit->limit_id), reset->limit_id);
}

/* In the window that the meter counts, which may be ahead of a clock that was set back. */
static bool look_at(const struct limits *l, const struct limit *limit, struct limits_forgiven *ret)
{
	struct shm_meter_info info;

	if (limit->state != LIMIT_BEGUN || !shm_meter_read(l->seg, limit->place, &info))
		return false;
	*ret = (struct limits_forgiven){.limit = limit_whole(limit), .place = limit->place};
	ret->window =
	    bf_limit_window_counted(&ret->limit, info.epoch, limits_now_ms(l, &ret->limit));
	return true;
}

static enum limits_reset_verdict gather(const struct limits *l, struct limits_reset *reset)
{
	const struct limited *of = limits_table_find(&l->table, reset->type, reset->id);
	bool known = reset->limit_id.len == 0;
	struct limits_forgiven *items;
	uint32_t n = 0;

	items = bf_arena_alloc(reset->arena, ((of ? of->count : 0) + 1) * sizeof(*items));
	if (!items) {
		(void)bf_err_set(&reset->err, -ENOMEM, "out of memory");
		return LIMITS_RESET_FAILED;
	}
	for (uint32_t i = 0; of && i < of->count; i++) {
		const struct limit *limit = &of->limits[i];

		if (!is_asked(reset, limit))
			continue;
		known = true;
		if (limit->endless)
			continue;
		if (!look_at(l, limit, &items[n++]))
			return LIMITS_RESET_NOT_READY;
	}
	reset->forgiven = (struct bf_array){items, n};
	return known ? LIMITS_RESET_DONE : LIMITS_RESET_UNKNOWN;
}

/* Within a transaction. */
static int forgive(const struct limits *l, struct limits_forgiven *f, struct bf_err *err)
{
	const struct store_ops *ops = l->store->ops;
	uint64_t identity = f->limit.identity;
	struct store_total more = {.resets = 1};
	int64_t window;
	int r =
	    ops->newest_total(l->store, identity, f->window, f->window, &window, &f->total, err);

	if (r <= 0)
		return r;
	f->amount = more.forgiven = store_total_used(&f->total);
	if (f->amount == 0)
		return 0;
	return ops->add_total(l->store, identity, window, &more, &f->total, err);
}

static int forgive_all(struct limits *l, const struct bf_array *list, struct bf_err *err)
{
	const struct store_ops *ops = l->store->ops;
	struct limits_forgiven *items = list->items;
	int r = ops->begin(l->store, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < list->count && r == 0; i++)
		r = forgive(l, &items[i], err);
	if (r == 0)
		r = ops->commit(l->store, err);
	if (r < 0)
		ops->rollback(l->store);
	return r;
}

/* How often comes last: until it is told the store's word counts. */
static void tell(const struct limits *l, const struct limits_forgiven *f)
{
	uint32_t epoch = (uint32_t)f->window & BF_EPOCH_MASK;

	if (f->amount == 0)
		return;
	shm_meter_set_missed(l->seg, f->place, epoch,
			     BF_MIN(store_total_missed(&f->total), SHM_METER_LIMIT_MAX));
	shm_meter_set_settled(l->seg, f->place, epoch, store_total_used(&f->total));
	shm_meter_set_resets(l->seg, f->place, epoch, store_total_resets(&f->total));
}

enum limits_reset_verdict limits_reset(struct limits *l, struct limits_reset *reset)
{
	const struct limits_forgiven *items;
	enum limits_reset_verdict v;

	if (!l->store->ops->add_total)
		return LIMITS_RESET_NO_STORE;
	if (limits_ready(l, &reset->err) < 0)
		return LIMITS_RESET_FAILED;
	v = gather(l, reset);
	if (v != LIMITS_RESET_DONE)
		return v;
	if (forgive_all(l, &reset->forgiven, &reset->err) < 0)
		return LIMITS_RESET_FAILED;
	items = reset->forgiven.items;
	for (uint32_t i = 0; i < reset->forgiven.count; i++)
		tell(l, &items[i]);
	return LIMITS_RESET_DONE;
}
