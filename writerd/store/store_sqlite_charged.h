/* Sums of what rows were charged, whichever rows a limit is about. */
#pragma once

#include <sqlite3.h>
#include <stdint.h>

#include "common/govern/plan.h"

#define CHARGED_FILTERS 32u /* each of the five conditions given or not */

/* One statement for each set of conditions that was asked for; all NULL at first. */
struct charged {
	sqlite3_stmt *statements[CHARGED_FILTERS];
};

/* Once for a connection, first. A code of SQLite. */
int charged_open(sqlite3 *db);

/* What rows were charged of a quantity (enum bf_quantity) from a moment until before another, both
 * as row_time() writes them. A code of SQLite; ret_sum only with SQLITE_OK. */
int charged_sum(struct charged *c, sqlite3 *db, const struct bf_limit_rows *rows, uint32_t quantity,
		const char *from, const char *until, int64_t *ret_sum);
/* Before the database is closed. */
void charged_done(struct charged *c);
