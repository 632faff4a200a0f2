/*
 * Totals of meters in logs.db, and whose are watched: tables meter_totals and meter_watched. Codes
 * are SQLite's. Only for store_sqlite.c.
 */
#pragma once

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "writerd/store/store.h"

enum totals_statement {
	TOTALS_ADD,
	TOTALS_NEWEST,
	TOTALS_IS_WATCHED,
	TOTALS_WATCH,
	TOTALS_LIST,
	TOTALS_UNWATCH,
	TOTALS_STATEMENTS,
};

struct totals {
	sqlite3_stmt *statements[TOTALS_STATEMENTS];
};

/* SQLITE_OK; after an error too totals_done() ends it. */
int totals_open(struct totals *t, sqlite3 *db);
void totals_done(struct totals *t);

/* As the functions of store.h: SQLITE_ROW where there is one, else SQLITE_DONE; SQLITE_NOMEM and
 * SQLite's other errors. */
int totals_add(struct totals *t, uint64_t identity, int64_t window, const struct store_total *more,
	       const char *created_at, struct store_total *ret_now);
int totals_newest(struct totals *t, uint64_t identity, int64_t least, int64_t most,
		  int64_t *ret_window, struct store_total *ret_total);
int totals_is_watched(struct totals *t, uint64_t identity, uint64_t *ret_about);
int totals_watch(struct totals *t, uint64_t identity, uint64_t about);
int totals_unwatch(struct totals *t, uint64_t identity);
int totals_unwatch_others(struct totals *t, const uint64_t *identities, size_t count);
