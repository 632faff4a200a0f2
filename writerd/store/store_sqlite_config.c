/*
 * config.db through SQLite. Called once by main.c at start; must never change a node id that
 * exists: rows of other days and other nodes' memory refer to it.
 */
#include "writerd/store/store_sqlite_config.h"

#include <string.h>

#include "common/base/clock.h"
#include "writerd/row/row.h"
#include "writerd/store/store_sqlite_db.h"

#define STR_(x) #x
#define STR(x)  STR_(x)

/* Runs sql with up to three texts; the first column of the first row is copied to out (size bytes,
 * may be NULL). */
static int run(sqlite3 *db, const char *sql, const struct bf_slice *texts, int count, char *out,
	       size_t size)
{
	sqlite3_stmt *st = NULL;
	int r = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	for (int i = 0; i < count && r == SQLITE_OK; i++)
		r = sqlite3_bind_text64(st, i + 1, texts[i].ptr, texts[i].len, SQLITE_STATIC,
					SQLITE_UTF8);
	if (r == SQLITE_OK)
		r = sqlite3_step(st);
	if (r == SQLITE_ROW && out) {
		const char *text = (const char *)sqlite3_column_text(st, 0);

		out[0] = '\0';
		if (text)
			(void)strncat(out, text, size - 1);
	}
	(void)sqlite3_finalize(st);
	return r == SQLITE_ROW || r == SQLITE_DONE ? 0 : -1;
}

static int note_locked(sqlite3 *db, struct bf_slice hash, const char *version, char *ret_node_id)
{
	char made[BF_UUID_TEXT_LEN + 1], now[ROW_TIME_LEN + 1];
	struct bf_uuid id = bf_uuid7(bf_wall_ms());
	struct bf_slice node[2], history[3];

	bf_uuid_format(&id, made);
	node[0] = bf_slice_from(made);
	node[1] = bf_slice_from(row_time(bf_wall_ns(), now));
	history[0] = hash;
	history[1] = bf_slice_from(version);
	history[2] = node[1];
	if (run(db,
		"INSERT INTO node (one, id, created_at) VALUES (1, ?1, ?2) ON CONFLICT (one) DO "
		"NOTHING",
		node, 2, NULL, 0) < 0 ||
	    run(db, "SELECT id FROM node", NULL, 0, ret_node_id, BF_UUID_TEXT_LEN + 1) < 0)
		return -1;
	if (!hash.len)
		return 0;
	if (run(db,
		"INSERT INTO config_history (config_hash, version, applied_at) SELECT ?1, ?2, ?3 "
		"WHERE NOT EXISTS"
		" (SELECT 1 FROM (SELECT * FROM config_history ORDER BY number DESC LIMIT 1)"
		"  WHERE config_hash = ?1 AND version = ?2)",
		history, 3, NULL, 0) < 0)
		return -1;
	return run(db,
		   "DELETE FROM config_history WHERE number <="
		   " (SELECT max(number) FROM config_history) - " STR(CONFIG_HISTORY_KEPT),
		   NULL, 0, NULL, 0);
}

int config_store_note(const char *path, struct bf_slice config_hash, const char *version,
		      char ret_node_id[BF_UUID_TEXT_LEN + 1], struct bf_err *err)
{
	char node_id[BF_UUID_TEXT_LEN + 1] = "";
	sqlite3 *db = NULL;
	int r = sqlite_db_open(path, &schema_config, &db, err);

	if (r < 0)
		return r;
	r = sqlite_db_exec(db, "BEGIN IMMEDIATE", &schema_config, path, err);
	if (r == 0 && note_locked(db, config_hash, version, node_id) < 0)
		r = sqlite_db_err(db, &schema_config, path, err);
	if (r == 0)
		r = sqlite_db_exec(db, "COMMIT", &schema_config, path, err);
	sqlite_db_close(&db);
	if (r == 0)
		memcpy(ret_node_id, node_id, sizeof(node_id));
	return r;
}
