/*
 * Where rows go. A store is opened by its own constructor (store_sqlite_open, store_null_open) and
 * used through this table, by one process and one thread. Calls may block for a disk: only writerd
 * may make them.
 *
 * The promise that exactness rests on: when commit returned 0 the rows survive a power cut, and a
 * row whose id is already there is left as it is. Errors are codes with a line in err; after an
 * error the caller rolls back and may try again later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/govern/plan.h"
#include "shm/meter.h"
#include "writerd/row/row.h"

struct store;
struct fold;

struct store_expired {
	unsigned rows, totals;
};

/*
 * What the rows of a window charged a meter; of that, what the meter itself never counted. Forgiven
 * is what had been settled when somebody last reset the usage, resets how often that was: sums of
 * rows stay what they are, and what is used is the rest of them.
 */
struct store_total {
	int64_t settled, missed, forgiven;
	int64_t resets;
};

static inline int64_t store_total_used(const struct store_total *t)
{
	return t->settled > t->forgiven ? t->settled - t->forgiven : 0;
}

/* As the meter is told: below 0 by what it counted itself and was forgiven. */
static inline int64_t store_total_missed(const struct store_total *t)
{
	return t->missed - t->forgiven;
}

static inline uint64_t store_total_resets(const struct store_total *t)
{
	return (uint64_t)t->resets & SHM_METER_RESETS_MAX;
}

struct store_ops {
	bool keeps_nothing; /* rows are not counted as written */
	int (*begin)(struct store *s, struct bf_err *err);
	/* ret_inserted: false when the id was there already. */
	int (*append)(struct store *s, const struct row *row, bool *ret_inserted,
		      struct bf_err *err);
	int (*commit)(struct store *s, struct bf_err *err);
	void (*rollback)(struct store *s);
	/*
	 * Totals of meters: a sum for each identity and window, changed with the rows it comes
	 * from. NULL, with those below: this store keeps none. add_total, between begin and
	 * commit: makes it when there is none; ret_now is the sum then. newest_total: the newest
	 * window from least to most; 1, or 0 when there is none.
	 */
	int (*add_total)(struct store *s, uint64_t identity, int64_t window,
			 const struct store_total *more, struct store_total *ret_now,
			 struct bf_err *err);
	int (*newest_total)(struct store *s, uint64_t identity, int64_t least, int64_t most,
			    int64_t *ret_window, struct store_total *ret_total, struct bf_err *err);
	/*
	 * Whose totals are whole: every row that was written since then has been added, because the
	 * limits of who wrote it had this one. about: which rows these are (bf_limit_about(); 0: a
	 * store of before does not say). is_watched: 1 or 0. watch, unwatch and unwatch_others (all
	 * but these, which ascend), between begin and commit.
	 */
	int (*is_watched)(struct store *s, uint64_t identity, uint64_t *ret_about,
			  struct bf_err *err);
	int (*watch)(struct store *s, uint64_t identity, uint64_t about, struct bf_err *err);
	int (*unwatch)(struct store *s, uint64_t identity, struct bf_err *err);
	int (*unwatch_others)(struct store *s, const uint64_t *identities, size_t count,
			      struct bf_err *err);
	/* What the rows that a limit is about were charged from a moment until before another, of
	 * one quantity (enum bf_quantity). NULL: this store keeps no rows. */
	int (*charged)(struct store *s, const struct bf_limit_rows *rows, uint32_t quantity,
		       int64_t from_ms, int64_t until_ms, int64_t *ret_sum, struct bf_err *err);
	/* Deletes at most limit of the rows, and of the totals, that are older than before (text of
	 * row_time), in a transaction of its own. The two newest windows of a meter stay. */
	int (*expire)(struct store *s, const char *before, unsigned limit,
		      struct store_expired *ret_deleted, struct bf_err *err);
	/* Before the next try after an error: opens the store again where that can help. */
	int (*mend)(struct store *s, struct bf_err *err);
	void (*close)(struct store *s);
};

struct owners;

struct store {
	const struct store_ops *ops;
	const struct owners *owners; /* what those are called whose rows are; NULL: not known */
};

struct store_item {
	const struct shm_usage_record *record;
	struct bf_slice input, output; /* ptr NULL: no content */
};

/*
 * All items in one transaction, or none. ret_inserted counts those that were new. fold: they, and
 * only they, are added to the totals, in the same transaction; after it they are shown. NULL: there
 * are no meters.
 */
int store_write(struct store *s, const struct store_item *items, size_t count,
		struct row_scratch *scratch, struct fold *fold, unsigned *ret_inserted,
		struct bf_err *err);
