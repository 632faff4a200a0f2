/*
 * First sums of meters. Called by limits.c once they have a place; must never count a row twice:
 * sums of rows are taken once, in the transaction that notes them as the total of the window and
 * the identity as watched.
 *
 * A meter that lives counts on by itself, so what rows say beyond its total is noted as missed and
 * given to it as a whole sum (shm_meter_set_missed): a death between the commit and that is made
 * good by the next writerd, which finds the same number. A new meter begins with all of it as its
 * own, and has missed nothing.
 */
#include "writerd/limits/limits_begin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/macros.h"
#include "common/log/log.h"

#define BEGIN_BATCH     4096u /* limits in one transaction */
#define BEGUN_LINES_MAX 32u   /* a change may begin thousands */

struct begin {
	struct limit *limit;
	bool from_rows; /* not all of it was known */
	int64_t window;
	struct store_total total;
};

/* ---- who is watched */

static int by_number(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int unwatch_others(struct limits *l, const uint64_t *placed, size_t n, struct bf_err *err)
{
	const struct store_ops *ops = l->store->ops;
	int r = ops->begin(l->store, err);

	if (r < 0)
		return r;
	r = ops->unwatch_others(l->store, placed, n, err);
	if (r == 0)
		r = ops->commit(l->store, err);
	if (r < 0)
		ops->rollback(l->store);
	return r;
}

/* Nobody who leaves is watched any more. */
static void forget_leaving(struct limits *l)
{
	for (struct bf_list *it = l->leaving.prev; l->to_unwatch > 0; it = it->prev) {
		struct limit *limit = BF_CONTAINER_OF(it, struct limit, node);

		l->to_unwatch -= limit->watched;
		limit->watched = false;
	}
}

int limits_forget_others(struct limits *l, struct bf_err *err)
{
	uint64_t *placed;
	size_t n = 0;
	int r = 0;

	placed = calloc((size_t)l->table.count + 1, sizeof(*placed));
	if (!placed)
		return bf_err_set(err, -ENOMEM, "limits: out of memory");
	for (uint32_t i = 0; i < l->table.top; i++) {
		const struct limit *limit = limits_table_at(&l->table, i);

		if (limit && (limit->state == LIMIT_PLACED || limit->state == LIMIT_BEGUN))
			placed[n++] = limit->identity;
	}
	qsort(placed, n, sizeof(*placed), by_number);
	if (l->store->ops->unwatch_others)
		r = unwatch_others(l, placed, n, err);
	free(placed);
	if (r == 0)
		forget_leaving(l);
	l->forgotten = r == 0;
	return r;
}

/* Within a transaction. They were the last to leave, so they stand together. */
static int unwatch_leaving(const struct limits *l, struct bf_err *err)
{
	uint32_t left = l->to_unwatch;
	int r = 0;

	if (!l->store->ops->unwatch)
		return 0;
	for (struct bf_list *it = l->leaving.prev; left > 0 && r == 0; it = it->prev) {
		const struct limit *limit = BF_CONTAINER_OF(it, struct limit, node);

		if (limit->watched)
			r = l->store->ops->unwatch(l->store, limit->identity, err);
		left -= limit->watched;
	}
	return r;
}

/* ---- what is known */

/* The newest window from now on that the store knows: a clock that was set back must not begin a
 * window anew that has been used. */
static int ask_store(const struct limits *l, const struct bf_limit *limit, struct begin *b,
		     struct bf_err *err)
{
	int64_t now = bf_limit_window(limit, limits_now_ms(l, limit));
	int r = l->store->ops->newest_total(l->store, limit->identity, now, now + BF_EPOCH_AHEAD,
					    &b->window, &b->total, err);

	if (r == 0) {
		b->window = now;
		b->total = (struct store_total){0};
	}
	return BF_MIN(r, 0);
}

/* What is used in a window, and what its meter does not count itself. */
struct known {
	int64_t used, missed;
	int64_t resets;
};

/* What a meter that lives shows is known too, also when somebody moved the store away. But not what
 * it shows of before a reset: whoever made that died before it could tell the meter. */
static struct known shown(const struct limits *l, const struct bf_limit *limit, struct begin *b)
{
	struct known k = {store_total_used(&b->total), store_total_missed(&b->total),
			  b->total.resets};
	struct shm_meter_info info;
	int64_t window, resets;
	uint32_t epoch;

	if (!b->limit->open || !shm_meter_read(l->seg, b->limit->place, &info))
		return k;
	window = bf_limit_window_counted(limit, info.settled_epoch, limits_now_ms(l, limit));
	if (info.settled > 0 && window > b->window) {
		b->window = window;
		b->total = (struct store_total){0};
		k = (struct known){0};
	}
	epoch = (uint32_t)b->window & BF_EPOCH_MASK;
	resets = info.resets_epoch == epoch ? (int64_t)info.resets : 0;
	if (resets < k.resets)
		return k;
	/* The store is an older one. */
	if (resets > k.resets)
		k = (struct known){0, info.missed_epoch == epoch ? info.missed : 0, resets};
	if (info.settled_epoch == epoch)
		k.used = BF_MAX(k.used, info.settled);
	if (info.missed_epoch == epoch)
		k.missed = BF_MAX(k.missed, info.missed);
	return k;
}

/* ---- one meter */

static int sum_rows(const struct limits *l, const struct bf_limit *limit, const struct begin *b,
		    int64_t *ret_sum, struct bf_err *err)
{
	const struct store_ops *ops = l->store->ops;

	*ret_sum = 0;
	/* Later rows are of a clock that was set back since. */
	return ops->charged ? ops->charged(l->store, &limit->rows, limit->quantity,
					   bf_window_start_ms(&limit->window, b->window),
					   bf_limit_window_end_ms(limit, b->window), ret_sum, err)
			    : 0;
}

/* sum: of the rows; 0 where the total is known to have all of them. */
static struct store_total what_to_add(struct begin *b, const struct known *k, int64_t sum)
{
	const struct store_total *has = &b->total;
	/* What the meter has less than nothing of was forgiven. */
	int64_t forgiven = BF_MAX(has->forgiven, -k->missed), settled = k->used + forgiven;
	/* Rows may be gone that were counted: a total never falls. */
	int64_t late = BF_MAX(sum - settled, 0);
	int64_t missed = b->limit->open ? k->missed + late : 0;

	b->from_rows = late > 0;
	return (struct store_total){.settled = settled + late - has->settled,
				    .missed = missed + forgiven - has->missed,
				    .forgiven = forgiven - has->forgiven,
				    .resets = k->resets - has->resets};
}

/* What it counted was of others: it begins anew with the sum of those that it is about now. As
 * after a reset the meter is told, below 0 by what it counted itself. */
static struct store_total what_it_becomes(struct begin *b, const struct known *k, int64_t sum)
{
	const struct store_total *has = &b->total;
	int64_t own = b->limit->open ? BF_MAX(k->used - k->missed, 0) : 0;
	int64_t settled = BF_MAX(sum, own), missed = b->limit->open ? settled - own : 0;

	b->from_rows = true;
	return (struct store_total){.settled = settled - has->settled,
				    .missed = missed - has->missed,
				    .forgiven = settled - sum - has->forgiven,
				    .resets = k->resets + 1 - has->resets};
}

/* Within a transaction. */
static int begin_one(const struct limits *l, struct begin *b, struct bf_err *err)
{
	const struct bf_limit whole = limit_whole(b->limit), *limit = &whole;
	const struct store_ops *ops = l->store->ops;
	struct store_total more;
	struct known known;
	uint64_t about = bf_limit_about(limit), was_about = 0;
	int64_t sum = 0;
	bool is_other;
	int r, watched;

	b->window = bf_limit_window(limit, limits_now_ms(l, limit));
	if (limit->endless || !ops->add_total)
		return 0;
	watched = ops->is_watched(l->store, limit->identity, &was_about, err);
	r = watched < 0 ? watched : ask_store(l, limit, b, err);
	if (r < 0)
		return r;
	known = shown(l, limit, b);
	is_other = watched && was_about && was_about != about;
	if (!watched || is_other)
		r = sum_rows(l, limit, b, &sum, err);
	more = is_other ? what_it_becomes(b, &known, sum) : what_to_add(b, &known, sum);
	if (r == 0 && (!watched || more.settled || more.missed || more.forgiven || more.resets))
		r = ops->add_total(l->store, limit->identity, b->window, &more, &b->total, err);
	if (r == 0 && (!watched || was_about != about))
		r = ops->watch(l->store, limit->identity, about, err);
	return r;
}

static void tell_living(const struct limits *l, const struct begin *b)
{
	uint32_t m = b->limit->place, epoch = (uint32_t)b->window & BF_EPOCH_MASK;
	int64_t used = store_total_used(&b->total), missed = store_total_missed(&b->total);
	struct shm_meter_info info;

	/* Nothing is known. */
	if (b->total.settled == 0 && b->total.resets == 0)
		return;
	if (!shm_meter_read(l->seg, m, &info))
		info = (struct shm_meter_info){.settled = -1, .missed = INT64_MIN};
	if (info.missed != missed || (missed != 0 && info.missed_epoch != epoch))
		shm_meter_set_missed(l->seg, m, epoch, BF_MIN(missed, SHM_METER_LIMIT_MAX));
	if (info.settled_epoch != epoch || info.settled != used)
		shm_meter_set_settled(l->seg, m, epoch, used);
	if (b->total.resets > 0)
		shm_meter_set_resets(l->seg, m, epoch, store_total_resets(&b->total));
}

static void log_begun(struct limits *l, const struct begin *b)
{
	const struct bf_limit limit = limit_whole(b->limit);

	if (!b->from_rows || l->begun_told > BEGUN_LINES_MAX)
		return;
	if (l->begun_told++ == BEGUN_LINES_MAX) {
		bf_log(BF_LOG_INFO, "limits_begun", "effect=%s",
		       bf_log_quote("more limits begin with what was used; see bifrostctl "
				    "limits"));
		return;
	}
	bf_log(BF_LOG_INFO, "limit_begun",
	       "owner=%s owner_id=%s limit_id=%s quantity=%s window=%s used=%lld",
	       bf_owner_name(limit.owner), bf_log_quote_slice(limit.owner_id),
	       bf_log_quote_slice(limit.limit_id), bf_quantity_name(limit.quantity),
	       bf_log_quote_slice(limit.reset), (long long)store_total_used(&b->total));
}

static void publish(struct limits *l, const struct begin *b)
{
	struct limit *limit = b->limit;

	if (limit->open) {
		tell_living(l, b);
	} else {
		uint32_t epoch = (uint32_t)b->window & BF_EPOCH_MASK;

		shm_meter_load(l->seg, limit->place, epoch,
			       BF_MIN(store_total_used(&b->total), SHM_METER_LIMIT_MAX));
		shm_meter_set_resets(l->seg, limit->place, epoch, store_total_resets(&b->total));
		limits_open(l, limit);
	}
	bf_list_remove(&limit->node);
	limit->state = LIMIT_BEGUN;
	log_begun(l, b);
}

/* ---- all of them */

/* n may be 0: then some leave. */
static int begin_batch(struct limits *l, struct begin *list, uint32_t n, struct bf_err *err)
{
	int r = l->store->ops->begin(l->store, err);

	if (r < 0)
		return r;
	r = unwatch_leaving(l, err);
	for (uint32_t k = 0; k < n && r == 0; k++)
		r = begin_one(l, &list[k], err);
	if (r == 0)
		r = l->store->ops->commit(l->store, err);
	if (r < 0) {
		l->store->ops->rollback(l->store);
		return r;
	}
	forget_leaving(l);
	for (uint32_t k = 0; k < n; k++)
		publish(l, &list[k]);
	return 0;
}

/* As the store sorts them: neighbours lie in one page, and are written with it once. */
static int by_identity(const void *a, const void *b)
{
	const struct begin *x = a, *y = b;
	int64_t i = (int64_t)x->limit->identity, k = (int64_t)y->limit->identity;

	return (i > k) - (i < k);
}

/* Room for one of them, too, where there is none. */
static struct begin *list_placed(const struct limits *l, uint32_t *ret_count)
{
	struct begin *list;
	uint32_t n = 0;

	for (const struct bf_list *it = l->placed.next; it != &l->placed; it = it->next)
		n++;
	list = calloc((size_t)n + 1, sizeof(*list));
	*ret_count = n;
	n = 0;
	for (struct bf_list *it = l->placed.next; list && it != &l->placed; it = it->next)
		list[n++] = (struct begin){.limit = BF_CONTAINER_OF(it, struct limit, node)};
	if (n > 1)
		qsort(list, n, sizeof(*list), by_identity);
	return list;
}

int limits_begin(struct limits *l, struct bf_err *err)
{
	uint32_t count, at = 0;
	struct begin *list = list_placed(l, &count);
	int r = list ? 0 : bf_err_set(err, -ENOMEM, "limits: out of memory");

	while (r == 0 && (l->to_unwatch > 0 || at < count)) {
		uint32_t n = BF_MIN(count - at, BEGIN_BATCH);

		r = begin_batch(l, list + at, n, err);
		at += n;
	}
	free(list);
	return r;
}
