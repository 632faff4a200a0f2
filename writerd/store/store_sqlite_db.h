/* What the two SQLite databases share: opening safely, migrations, errors as one line. Only
 * store_sqlite*.c include this. */
#pragma once

#include <sqlite3.h>
#include <stdint.h>

#include "common/base/err.h"
#include "writerd/store/schema_sql.h"

/*
 * Opens or creates path (mode 0600), WAL, synchronous=FULL, and runs the migrations of schema that
 * are missing. 0, or a code with "logs_store: PATH: what: how to mend it": BF_E_VERSION (the file
 * has a newer schema), BF_E_CORRUPT, BF_E_DENIED (read-only), BF_E_TYPE (another program's file),
 * BF_E_FULL, -errno.
 */
int sqlite_db_open(const char *path, const struct schema *schema, sqlite3 **ret_db,
		   struct bf_err *err);

/* The same, but a large file of an older schema is left as it is: -EAGAIN. To migrate it takes
 * longer than whoever waits for our start has patience. */
int sqlite_db_open_quickly(const char *path, const struct schema *schema, sqlite3 **ret_db,
			   struct bf_err *err);

/*
 * What is there, for looking alone where nothing can be written because the disk is full. Nothing
 * is made or migrated: BF_E_VERSION of an older schema, too. Nobody else can open it until it is
 * closed.
 */
int sqlite_db_look(const char *path, const struct schema *schema, sqlite3 **ret_db,
		   struct bf_err *err);

/* Closes and clears; accepts NULL. */
void sqlite_db_close(sqlite3 **db);

/* Code and line of the last failed call on db. */
int sqlite_db_err(sqlite3 *db, const struct schema *schema, const char *path, struct bf_err *err);

/* Runs sql to its end; rows are thrown away. */
int sqlite_db_exec(sqlite3 *db, const char *sql, const struct schema *schema, const char *path,
		   struct bf_err *err);

/* First column of the first row of sql as a number; 0 when there is no row. */
int sqlite_db_number(sqlite3 *db, const char *sql, int64_t *ret_value);

/* Is the file that db writes to still the one its path names? 1 when it is not. */
int sqlite_db_moved(sqlite3 *db);
