/*
 * Questions to logs.db. Called by reader.c, in a process that may read the folder and nothing more.
 *
 * What SQLite needs for that (mode=ro, the file in WAL mode and alive under its writer): to open
 * logs.db, logs.db-wal and logs.db-shm for reading, to map logs.db-shm for reading, and read locks
 * (fcntl) on logs.db and logs.db-shm; a descriptor opened for reading can take those. readonly_shm
 * keeps it from asking for more: a reader then uses a read mark that the writer set, instead of
 * setting one. immutable is not set: the file changes while it is read. When -wal or -shm is
 * missing (no writer since the machine started) the open fails, and the next question tries again.
 */
#include "writerd/store/store_sqlite_search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/codec/json_writer.h"
#include "writerd/priority.h"
#include "writerd/row/logs_json.h"
#include "writerd/store/logs_sql.h"
#include "writerd/store/store_sqlite_db.h"
#include "writerd/store/store_sqlite_facets.h"

#define STEPS_BETWEEN_LOOKS 2000 /* virtual machine steps; about 0.1 ms */
#define ALIVE_EVERY_MS      500
#define SQL_MAX_BYTES       (LOGS_SQL_TEXT_MAX + 4096u)

struct search {
	sqlite3 *db; /* NULL: not open */
	char *path;
	char *uri;
	void (*alive)(void *owner);
	void *owner;
	int64_t deadline_ms, alive_ms; /* of the running question */
	bool overdue;
};

/* Which rows hold is told by the columns of logs_json.h. */
#define HEAD_COLUMNS LOGS_JSON_COLUMNS
#define ALL_COLUMNS  LOGS_JSON_COLUMNS ", " LOGS_JSON_CONTENT

static char *uri_of(const char *path)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-";
	static const char options[] = "?mode=ro&readonly_shm=1";
	char *uri = malloc(sizeof("file:") + 3 * strlen(path) + sizeof(options));
	size_t n = 5;

	if (!uri)
		return NULL;
	memcpy(uri, "file:", 5);
	for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
		if (strchr(plain, *p)) {
			uri[n++] = (char)*p;
			continue;
		}
		uri[n++] = '%';
		uri[n++] = hex[*p >> 4];
		uri[n++] = hex[*p & 15];
	}
	memcpy(uri + n, options, sizeof(options));
	return uri;
}

struct search *search_new(const char *path, void (*alive)(void *owner), void *owner)
{
	struct search *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->path = strdup(path);
	s->uri = uri_of(path);
	s->alive = alive;
	s->owner = owner;
	if (s->path && s->uri)
		return s;
	search_free(s);
	return NULL;
}

void search_free(struct search *s)
{
	sqlite_db_close(&s->db);
	free(s->path);
	free(s->uri);
	free(s);
}

/* SQLite's progress handler: not 0 ends the statement. */
static int on_progress(void *ctx)
{
	struct search *s = ctx;
	int64_t now;

	priority_yield();
	now = bf_mono_ms();
	if (now - s->alive_ms >= ALIVE_EVERY_MS) {
		s->alive_ms = now;
		if (s->alive)
			s->alive(s->owner);
	}
	s->overdue = s->overdue || now >= s->deadline_ms;
	return s->overdue;
}

static int failed(struct search *s, struct bf_err *err)
{
	if (s->overdue)
		return bf_err_set(err, BF_E_TIMEOUT,
				  "%s: the search took longer than %d s: narrow the time range "
				  "(start_time, end_time, period)",
				  schema_logs.store, SEARCH_LIMIT_MS / 1000);
	return sqlite_db_err(s->db, &schema_logs, s->path, err);
}

static int check_version(struct search *s, struct bf_err *err)
{
	int64_t version = 0;

	if (sqlite_db_number(s->db, "SELECT max(version) FROM schema_migrations", &version) < 0)
		return failed(s, err);
	if (version == (int64_t)schema_logs.count)
		return 0;
	return bf_err_set(
	    err, BF_E_STATE,
	    "%s: %s: has schema version %lld, this build reads %zu: writerd brings it "
	    "up to date when it starts",
	    schema_logs.store, s->path, (long long)version, schema_logs.count);
}

static int open_db(struct search *s, struct bf_err *err)
{
	int r = 0;

	if (access(s->path, F_OK) < 0 && errno == ENOENT)
		return bf_err_set(err, BF_E_STATE,
				  "%s: %s: is not there yet: writerd makes it when it starts",
				  schema_logs.store, s->path);
	if (sqlite3_open_v2(s->uri, &s->db,
			    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		r = failed(s, err);
	if (r == 0) {
		(void)sqlite3_extended_result_codes(s->db, 1);
		(void)sqlite3_busy_timeout(s->db, 500);
		(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		(void)sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
		sqlite3_progress_handler(s->db, STEPS_BETWEEN_LOOKS, on_progress, s);
		r = sqlite_db_exec(s->db,
				   "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;"
				   "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192",
				   &schema_logs, s->path, err);
	}
	if (r == 0)
		r = check_version(s, err);
	if (r < 0)
		sqlite_db_close(&s->db);
	return r;
}

void search_tick(struct search *s)
{
	if (s->db && sqlite_db_moved(s->db))
		sqlite_db_close(&s->db);
}

static int prepare(struct search *s, struct bf_slice sql, sqlite3_stmt **ret_st, struct bf_err *err)
{
	if (sqlite3_prepare_v2(s->db, sql.ptr, (int)sql.len, ret_st, NULL) != SQLITE_OK)
		return failed(s, err);
	return 0;
}

static int bind_where(struct search *s, sqlite3_stmt *st, const struct logs_where *w,
		      struct bf_err *err)
{
	int code = SQLITE_OK;

	for (unsigned i = 0; i < w->bind_count && code == SQLITE_OK; i++) {
		const struct logs_bind *b = &w->binds[i];

		code = b->text.ptr ? sqlite3_bind_text64(st, (int)i + 1, b->text.ptr, b->text.len,
							 SQLITE_STATIC, SQLITE_UTF8)
				   : sqlite3_bind_int64(st, (int)i + 1, b->number);
	}
	return code == SQLITE_OK ? 0 : failed(s, err);
}

/* made: what writing the text came to. The statement is the caller's to end, whatever comes back.
 */
static int prepare_where(struct search *s, const struct bf_buf *sql, int made,
			 const struct logs_where *w, sqlite3_stmt **ret_st, struct bf_err *err)
{
	int r;

	if (made < 0)
		return bf_err_sys(err, made, "%s: the search", schema_logs.store);
	r = prepare(s, bf_buf_slice(sql), ret_st, err);
	return r < 0 ? r : bind_where(s, *ret_st, w, err);
}

/* Fetches one column for logs_json. */
static struct logs_value value_of(void *ctx, unsigned column)
{
	sqlite3_stmt *st = ctx;
	int i = (int)column;
	struct logs_value v = {.kind = LOGS_NULL};

	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER:
		v.kind = LOGS_INTEGER;
		v.integer = sqlite3_column_int64(st, i);
		break;
	case SQLITE_FLOAT:
		v.kind = LOGS_REAL;
		v.real = sqlite3_column_double(st, i);
		break;
	case SQLITE_NULL:
		break;
	default:
		v.kind = LOGS_TEXT;
		v.text.ptr = (const char *)sqlite3_column_text(st, i);
		v.text.len = (size_t)sqlite3_column_bytes(st, i);
		if (!v.text.ptr)
			v.text = BF_SLICE_LIT("");
		break;
	}
	return v;
}

static int write_error(const struct bf_json_writer *j, struct bf_err *err)
{
	if (j->error == BF_E_LIMIT)
		return bf_err_set(
		    err, BF_E_LIMIT,
		    "%s: the answer is larger than %u MiB: ask for fewer rows (limit)",
		    schema_logs.store, SEARCH_MAX_BYTES >> 20);
	return bf_err_sys(err, j->error, "%s: the answer", schema_logs.store);
}

/* The one row that sql finds; BF_E_UNKNOWN: none. */
static int show_first(struct search *s, struct bf_slice sql, struct bf_slice id,
		      struct bf_json_writer *j, struct bf_err *err)
{
	sqlite3_stmt *st = NULL;
	int code, r;

	r = prepare(s, sql, &st, err);
	if (r < 0)
		return r;
	(void)sqlite3_bind_text64(st, 1, id.ptr, id.len, SQLITE_STATIC, SQLITE_UTF8);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		logs_json_row(j, value_of, st, true);
	else if (code == SQLITE_DONE)
		r = bf_err_set(err, BF_E_UNKNOWN, "no row has the id %.*s", BF_SLICE_FMT(id));
	else
		r = failed(s, err);
	(void)sqlite3_finalize(st);
	return r;
}

/* Whatever it looks like, it may be what a client calls its request. */
static int show_row(struct search *s, struct bf_slice id, struct bf_json_writer *j,
		    struct bf_err *err)
{
	const struct bf_slice by_id = BF_SLICE_LIT("SELECT " ALL_COLUMNS " FROM logs WHERE id = "
						   "?1");
	const struct bf_slice by_request_id =
	    BF_SLICE_LIT("SELECT " ALL_COLUMNS " FROM logs WHERE request_id = ?1"
			 " ORDER BY timestamp DESC, inc_number DESC LIMIT 1");
	int r = show_first(s, by_id, id, j, err);

	return r == BF_E_UNKNOWN ? show_first(s, by_request_id, id, j, err) : r;
}

static int list_rows(struct search *s, const struct bf_msg_logs_query *q,
		     const struct logs_where *w, struct bf_json_writer *j, struct bf_err *err)
{
	struct bf_buf sql;
	sqlite3_stmt *st = NULL;
	int code = SQLITE_DONE, r;

	bf_buf_init(&sql, SQL_MAX_BYTES);
	r = prepare_where(s, &sql, logs_sql_page(w, q, HEAD_COLUMNS, &sql), w, &st, err);
	bf_buf_done(&sql);
	if (r == 0) {
		int64_t offset = q->offset > INT64_MAX ? INT64_MAX : (int64_t)q->offset;

		(void)sqlite3_bind_int64(st, (int)w->bind_count + 1, (int64_t)q->limit);
		(void)sqlite3_bind_int64(st, (int)w->bind_count + 2, offset);
		while (!j->error && (code = sqlite3_step(st)) == SQLITE_ROW)
			logs_json_row(j, value_of, st, false);
		if (!j->error && code != SQLITE_DONE)
			r = failed(s, err);
	}
	(void)sqlite3_finalize(st);
	return r;
}

static int count_rows(struct search *s, const struct logs_where *w, struct logs_totals *ret_totals,
		      struct bf_err *err)
{
	/* total() instead of sum(): a wrong row must not make every search fail by overflow. */
	static const char select[] =
	    "SELECT count(*), total(status = 'success'), avg(latency), total(total_tokens),"
	    " total(cost_nusd), (SELECT EXISTS (SELECT 1 FROM logs)) FROM logs";
	struct bf_buf sql;
	sqlite3_stmt *st = NULL;
	int r;

	bf_buf_init(&sql, SQL_MAX_BYTES);
	r = bf_buf_printf(&sql, "%s%.*s", select, BF_SLICE_FMT(bf_buf_slice(&w->sql)));
	r = prepare_where(s, &sql, r, w, &st, err);
	bf_buf_done(&sql);
	if (r == 0 && sqlite3_step(st) != SQLITE_ROW)
		r = failed(s, err);
	if (r == 0)
		*ret_totals = (struct logs_totals){
		    .rows = sqlite3_column_int64(st, 0),
		    .succeeded = sqlite3_column_double(st, 1),
		    .average_latency_ms = sqlite3_column_double(st, 2),
		    .tokens = sqlite3_column_double(st, 3),
		    .cost_nusd = sqlite3_column_double(st, 4),
		    .has_logs = sqlite3_column_int(st, 5) != 0,
		};
	(void)sqlite3_finalize(st);
	return r;
}

static int answer_list(struct search *s, const struct bf_msg_logs_query *q,
		       struct bf_json_writer *j, struct bf_err *err)
{
	struct logs_totals totals = {0};
	struct logs_where *w = malloc(sizeof(*w));
	int r;

	if (!w)
		return bf_err_sys(err, -ENOMEM, "%s", schema_logs.store);
	r = logs_where_build(w, q);
	if (r < 0)
		(void)bf_err_set(err, r, "%s: the search has too many conditions",
				 schema_logs.store);
	else
		r = count_rows(s, w, &totals, err);
	if (r == 0) {
		bf_jw_object(j);
		bf_jw_key(j, "logs");
		bf_jw_array(j);
		r = list_rows(s, q, w, j, err);
		bf_jw_end_array(j);
		logs_json_totals(j, q, &totals);
		bf_jw_end_object(j);
	}
	logs_where_done(w);
	free(w);
	return r;
}

static int answer(struct search *s, const struct bf_msg_logs_query *q, struct bf_buf *out,
		  struct bf_err *err)
{
	struct bf_json_writer j;
	int r = sqlite_db_exec(s->db, "BEGIN", &schema_logs, s->path, err);

	if (r < 0)
		return r;
	bf_jw_init(&j, out);
	if (q->id.len)
		r = show_row(s, q->id, &j, err);
	else if (q->facets)
		r = facets_write(s->db, q->facets, q->limit, &j) < 0 ? failed(s, err) : 0;
	else
		r = answer_list(s, q, &j, err);
	if (r == 0 && bf_jw_finish(&j) < 0)
		r = write_error(&j, err);
	/* Ends the view: a reader that kept it would keep the WAL from being emptied. */
	(void)sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	return r;
}

int search_run(struct search *s, const struct bf_msg_logs_query *q, struct bf_buf *out,
	       struct bf_err *err)
{
	int64_t now = bf_mono_ms();
	int r = 0;

	s->alive_ms = now;
	s->deadline_ms = now + SEARCH_LIMIT_MS;
	s->overdue = false;
	search_tick(s);
	if (!s->db)
		r = open_db(s, err);
	if (r < 0)
		return r;
	r = answer(s, q, out, err);
	/* Whatever it was, a fresh look at the path can only help. */
	if (r < 0 && r != BF_E_UNKNOWN && r != BF_E_TIMEOUT && r != BF_E_LIMIT)
		sqlite_db_close(&s->db);
	return r;
}
