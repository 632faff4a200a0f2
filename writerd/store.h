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
#include "writerd/row.h"

struct store;

struct store_ops {
	int (*begin)(struct store *s, struct bf_err *err);
	/* ret_inserted: false when the id was there already. */
	int (*append)(struct store *s, const struct row *row, bool *ret_inserted,
		      struct bf_err *err);
	int (*commit)(struct store *s, struct bf_err *err);
	void (*rollback)(struct store *s);
	/* Deletes at most limit of the rows older than before (text of row_time), in a transaction
	 * of its own. */
	int (*expire)(struct store *s, const char *before, unsigned limit, unsigned *ret_deleted,
		      struct bf_err *err);
	/* Before the next try after an error: opens the store again where that can help. */
	int (*mend)(struct store *s, struct bf_err *err);
	void (*close)(struct store *s);
};

struct store {
	const struct store_ops *ops;
};

struct store_item {
	const struct shm_usage_record *record;
	struct bf_slice input, output; /* ptr NULL: no content */
};

/* All items in one transaction, or none. ret_inserted counts those that were new. */
int store_write(struct store *s, const struct store_item *items, size_t count,
		struct row_scratch *scratch, unsigned *ret_inserted, struct bf_err *err);
