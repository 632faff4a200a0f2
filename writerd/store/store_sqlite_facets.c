/*
 * Names that rows have. Called by store_sqlite_search.c for the reader. Must never read all rows:
 * there may be millions, with bodies in front of what is looked for.
 */
#include "writerd/store/store_sqlite_facets.h"

#include "common/base/macros.h"
#include "common/ipc/messages.h"

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

/* ?1: how many. */
#define NEWEST(column, rows)                                      \
	"SELECT DISTINCT v FROM (SELECT " column                  \
	" AS v FROM logs ORDER BY timestamp DESC LIMIT " TEXT_OF( \
	    rows) ") WHERE v <> '' ORDER BY v LIMIT ?1"

/* From one id to the next in the index of its charges, however many rows each has. */
#define OWNERS(id, name)                                                                     \
	"WITH RECURSIVE v(id) AS (SELECT min(" id ") FROM logs WHERE " id " IS NOT NULL"     \
	" UNION ALL SELECT (SELECT min(" id ") FROM logs WHERE " id " > v.id) FROM v"        \
	" WHERE v.id IS NOT NULL LIMIT ?1 + 1)"                                              \
	" SELECT id, (SELECT " name " FROM logs WHERE " id " = v.id ORDER BY timestamp DESC" \
	" LIMIT 1) FROM v WHERE id IS NOT NULL LIMIT ?1"

static const struct {
	const char *sql;
	bool has_name;
} queries[BF_LOGS_FACETS] = {
    [BF_LOGS_PROVIDERS] = {NEWEST("provider", FACETS_INDEX_ROWS), false},
    [BF_LOGS_MODELS] = {NEWEST("model", FACETS_INDEX_ROWS), false},
    [BF_LOGS_STATUS] = {NEWEST("status", FACETS_INDEX_ROWS), false},
    [BF_LOGS_OBJECTS] = {NEWEST("object_type", FACETS_ROWS), false},
    [BF_LOGS_STOP_REASONS] = {NEWEST("stop_reason", FACETS_ROWS), false},
    [BF_LOGS_ERROR_TYPES] = {NEWEST("error_type", FACETS_ROWS), false},
    [BF_LOGS_SELECTED_KEYS] =
	{"SELECT v, n, max(t) FROM (SELECT selected_key_id AS v, selected_key_name AS n,"
	 " timestamp AS t FROM logs ORDER BY timestamp DESC LIMIT " TEXT_OF(
	     FACETS_ROWS) ")"
			  " WHERE v <> '' GROUP BY v ORDER BY v LIMIT ?1",
	 true},
    [BF_LOGS_VIRTUAL_KEYS] = {OWNERS("virtual_key_id", "virtual_key_name"), true},
    [BF_LOGS_TEAMS] = {OWNERS("team_id", "team_name"), true},
    [BF_LOGS_CUSTOMERS] = {OWNERS("customer_id", "customer_name"), true},
};

static struct bf_slice text_of(sqlite3_stmt *st, int column)
{
	const char *text = (const char *)sqlite3_column_text(st, column);

	return (struct bf_slice){text ? text : "", (size_t)sqlite3_column_bytes(st, column)};
}

static void write_row(struct bf_json_writer *j, sqlite3_stmt *st, bool has_name)
{
	if (!has_name) {
		bf_jw_string(j, text_of(st, 0));
		return;
	}
	bf_jw_object(j);
	bf_jw_key(j, "id");
	bf_jw_string(j, text_of(st, 0));
	bf_jw_key(j, "name");
	bf_jw_string(j, text_of(st, 1));
	bf_jw_end_object(j);
}

static int write_facet(sqlite3 *db, int facet, uint64_t limit, struct bf_json_writer *j)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db, queries[facet].sql, -1, &st, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(st, 1, (int64_t)BF_MIN(limit, BF_LOGS_MAX_LIMIT));
	bf_jw_key(j, bf_logs_facets[facet]);
	bf_jw_array(j);
	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(st);
		if (code == SQLITE_ROW)
			write_row(j, st, queries[facet].has_name);
	}
	bf_jw_end_array(j);
	(void)sqlite3_finalize(st);
	return code == SQLITE_DONE ? 0 : -1;
}

int facets_write(sqlite3 *db, uint64_t facets, uint64_t limit, struct bf_json_writer *j)
{
	int r = 0;

	bf_jw_object(j);
	for (int i = 0; i < BF_LOGS_FACETS && r == 0; i++) {
		if (facets >> i & 1)
			r = write_facet(db, i, limit, j);
	}
	bf_jw_end_object(j);
	return r;
}
