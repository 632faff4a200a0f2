/* The logs store in one SQLite file: the default of a single node. */
#pragma once

#include <stdbool.h>

#include "writerd/store/store.h"

/*
 * Opens or creates the file at path and brings its schema up to date. node_id ("" when the node has
 * none) goes into every row. Errors as in sqlite_db_open; with those that go away by themselves, as
 * store_sqlite_heals() tells, and -EAGAIN (it is large and of an older schema) there is a store all
 * the same: it refuses until mend opened it. Closed by ops->close, which frees it.
 */
int store_sqlite_open(const char *path, const char *node_id, struct store **ret_store,
		      struct bf_err *err);

/* Another program locks it, or the disk is full: SQLite also says -EIO of that. */
bool store_sqlite_heals(int code);
