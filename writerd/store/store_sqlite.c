/*
 * Rows into SQLite. Used by intake.c, sweep.c and retention.c through store.h; must never answer 0
 * to a commit that the disk has not confirmed, nor write into a file that was moved away under it.
 */
#include "writerd/store/store_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "writerd/store/store_sqlite_charged.h"
#include "writerd/store/store_sqlite_db.h"
#include "writerd/store/store_sqlite_totals.h"

enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_INSERT,
	ST_EXPIRE,
	ST_EXPIRE_TOTALS,
	ST_COUNT,
};

static const char *const statement_text[ST_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_INSERT] =
	("INSERT INTO logs (id, timestamp, created_at, object_type, status, stream, provider, "
	 "model,"
	 " number_of_retries, selected_key_name, http_status, latency, first_byte_ms, "
	 "prompt_tokens,"
	 " completion_tokens, total_tokens, cached_read_tokens, cost_nusd, cluster_node_id, worker,"
	 " crashed, estimated, truncated, client_gone, error_details, input_history, "
	 "output_message, request_id, parent_request_id, stop_reason, fallback_index,"
	 " selected_key_id, attempt_trail, error_type, content_truncated, "
	 "virtual_key_id, virtual_key_name, charged_tokens, charged_requests, team_id,"
	 " team_name, customer_id, customer_name)"
	 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
	 " ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, "
	 "?36, "
	 "?37, ?38, ?39, ?40, ?41, ?42, ?43) ON "
	 "CONFLICT "
	 "(id) DO NOTHING"),
    [ST_EXPIRE] =
	("DELETE FROM logs WHERE inc_number IN"
	 " (SELECT inc_number FROM logs WHERE timestamp < ?1 ORDER BY timestamp LIMIT ?2)"),
    [ST_EXPIRE_TOTALS] =
	("DELETE FROM meter_totals WHERE (identity, window) IN"
	 " (SELECT identity, window FROM meter_totals AS old WHERE created_at < ?1 AND window <"
	 " (SELECT window FROM meter_totals WHERE identity = old.identity"
	 " ORDER BY window DESC LIMIT 1 OFFSET 1) ORDER BY created_at LIMIT ?2)"),
};

struct store_sqlite {
	struct store base;
	sqlite3 *db; /* NULL after a failed mend */
	sqlite3_stmt *statements[ST_COUNT];
	struct charged charged;
	struct totals totals;
	int last_code;                     /* of the last failed call; 0 after a good begin */
	char created_at[ROW_TIME_LEN + 1]; /* of the running transaction */
	char node_id[BF_UUID_TEXT_LEN + 1];
	char *path;
};

static struct store_sqlite *of(struct store *s)
{
	return BF_CONTAINER_OF(s, struct store_sqlite, base);
}

static void close_db(struct store_sqlite *s)
{
	for (int i = 0; i < ST_COUNT; i++) {
		(void)sqlite3_finalize(s->statements[i]);
		s->statements[i] = NULL;
	}
	charged_done(&s->charged);
	totals_done(&s->totals);
	sqlite_db_close(&s->db);
}

static int open_db(struct store_sqlite *s, bool quickly, struct bf_err *err)
{
	int r = quickly ? sqlite_db_open_quickly(s->path, &schema_logs, &s->db, err)
			: sqlite_db_open(s->path, &schema_logs, &s->db, err);

	if (r == 0 &&
	    (charged_open(s->db) != SQLITE_OK || totals_open(&s->totals, s->db) != SQLITE_OK))
		r = sqlite_db_err(s->db, &schema_logs, s->path, err);
	for (int i = 0; i < ST_COUNT && r == 0; i++) {
		if (sqlite3_prepare_v3(s->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &s->statements[i], NULL) != SQLITE_OK)
			r = sqlite_db_err(s->db, &schema_logs, s->path, err);
	}
	if (r < 0)
		close_db(s);
	s->last_code = r;
	return r;
}

static int failed(struct store_sqlite *s, struct bf_err *err)
{
	s->last_code = sqlite_db_err(s->db, &schema_logs, s->path, err);
	return s->last_code;
}

/* A statement without rows. */
static int run(struct store_sqlite *s, enum statement which, struct bf_err *err)
{
	int r = sqlite3_step(s->statements[which]);
	int code = r == SQLITE_DONE ? 0 : failed(s, err);

	(void)sqlite3_reset(s->statements[which]);
	return code;
}

/*
 * What is committed but still in the WAL goes into the file, wherever it is now: the WAL keeps the
 * old name and would be thrown away by the new file.
 */
static int left_behind(struct store_sqlite *s, struct bf_err *err)
{
	(void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	s->last_code = BF_E_CORRUPT;
	return bf_err_set(
	    err, s->last_code,
	    "%s: %s: the open file was moved or removed: a new one is made at the next try",
	    schema_logs.store, s->path);
}

static int not_open(const struct store_sqlite *s, struct bf_err *err)
{
	return bf_err_set(err, s->last_code, "%s: %s: is not open", schema_logs.store, s->path);
}

static int sqlite_begin(struct store *base, struct bf_err *err)
{
	struct store_sqlite *s = of(base);

	if (!s->db)
		return not_open(s, err);
	if (sqlite_db_moved(s->db))
		return left_behind(s, err);
	(void)row_time(bf_wall_ns(), s->created_at);
	return run(s, ST_BEGIN, err);
}

/* Binds parameters in order; the texts live until the statement has run. */
struct binder {
	sqlite3_stmt *st;
	int next;
	int error;
};

static void bind_text(struct binder *b, const char *text, size_t len)
{
	int r = sqlite3_bind_text64(b->st, b->next++, text, len, SQLITE_STATIC, SQLITE_UTF8);

	b->error = b->error ? b->error : r;
}

static void bind_cstr(struct binder *b, const char *text)
{
	bind_text(b, text, strlen(text));
}

static void bind_int(struct binder *b, int64_t value)
{
	int r = sqlite3_bind_int64(b->st, b->next++, value);

	b->error = b->error ? b->error : r;
}

static void bind_ms(struct binder *b, int64_t us)
{
	int r = sqlite3_bind_double(b->st, b->next++, (double)us / 1000.0);

	b->error = b->error ? b->error : r;
}

static void bind_null(struct binder *b)
{
	int r = sqlite3_bind_null(b->st, b->next++);

	b->error = b->error ? b->error : r;
}

static void bind_optional(struct binder *b, struct bf_slice text)
{
	if (text.ptr)
		bind_text(b, text.ptr, text.len);
	else
		bind_null(b);
}

static void bind_filled(struct binder *b, struct bf_slice text)
{
	bind_optional(b, text.len ? text : (struct bf_slice){NULL, 0});
}

/* In the order of the column list of ST_INSERT. */
static void bind_row(struct binder *b, const struct store_sqlite *s, const struct row *row)
{
	bind_cstr(b, row->id);
	bind_cstr(b, row->timestamp);
	bind_cstr(b, s->created_at);
	bind_cstr(b, row->object_type);
	bind_cstr(b, row->status);
	bind_int(b, row->stream);
	bind_cstr(b, row->provider);
	bind_cstr(b, row->model);
	bind_int(b, row->number_of_retries);
	bind_cstr(b, row->key_name);
	bind_int(b, row->http_status);
	bind_ms(b, row->latency_us);
	if (row->first_byte_us > 0)
		bind_ms(b, row->first_byte_us);
	else
		bind_null(b);
	bind_int(b, row->prompt_tokens);
	bind_int(b, row->completion_tokens);
	bind_int(b, row->total_tokens);
	bind_int(b, row->cached_tokens);
	bind_int(b, row->cost_nusd);
	bind_filled(b, bf_slice_from(s->node_id));
	bind_int(b, row->worker);
	bind_int(b, row->crashed);
	bind_int(b, row->estimated);
	bind_int(b, row->truncated);
	bind_int(b, row->client_gone);
	bind_filled(b, bf_slice_from(row->error_details));
	bind_optional(b, row->input);
	bind_optional(b, row->output);
	bind_filled(b, bf_slice_from(row->request_id));
	bind_filled(b, bf_slice_from(row->parent_id));
	bind_filled(b, bf_slice_from(row->stop_reason));
	bind_int(b, row->fallback_index);
	bind_cstr(b, row->key_id);
	bind_filled(b, bf_slice_from(row->attempt_trail));
	if (row->error_type)
		bind_cstr(b, row->error_type);
	else
		bind_null(b);
	bind_int(b, row->content_truncated);
	bind_filled(b, bf_slice_from(row->virtual_key_id));
	bind_filled(b, bf_slice_from(row->virtual_key_name));
	bind_int(b, row->charged_tokens);
	bind_int(b, row->charged_requests);
	bind_filled(b, bf_slice_from(row->team_id));
	bind_filled(b, row->team_name);
	bind_filled(b, bf_slice_from(row->customer_id));
	bind_filled(b, row->customer_name);
}

static int sqlite_append(struct store *base, const struct row *row, bool *ret_inserted,
			 struct bf_err *err)
{
	struct store_sqlite *s = of(base);
	struct binder b = {s->statements[ST_INSERT], 1, SQLITE_OK};
	int r;

	bind_row(&b, s, row);
	if (b.error != SQLITE_OK) {
		(void)sqlite3_clear_bindings(b.st);
		return failed(s, err);
	}
	r = run(s, ST_INSERT, err);
	(void)sqlite3_clear_bindings(b.st);
	if (r == 0)
		*ret_inserted = sqlite3_changes(s->db) > 0;
	return r;
}

static int sqlite_commit(struct store *base, struct bf_err *err)
{
	return run(of(base), ST_COMMIT, err);
}

static void sqlite_rollback(struct store *base)
{
	struct store_sqlite *s = of(base);

	/* SQLite rolls back by itself after some errors; a second one would only overwrite the
	 * first report. */
	if (s->db && !sqlite3_get_autocommit(s->db))
		(void)run(s, ST_ROLLBACK, NULL);
}

/* 1: a row; 0: none, or done; or the store's error. */
static int told(struct store_sqlite *s, int result, struct bf_err *err)
{
	if (result == SQLITE_ROW)
		return 1;
	return result == SQLITE_DONE ? 0 : failed(s, err);
}

static int sqlite_add_total(struct store *base, uint64_t identity, int64_t window,
			    const struct store_total *more, struct store_total *ret_now,
			    struct bf_err *err)
{
	struct store_sqlite *s = of(base);
	int r = totals_add(&s->totals, identity, window, more, s->created_at, ret_now);

	return BF_MIN(told(s, r, err), 0);
}

static int sqlite_newest_total(struct store *base, uint64_t identity, int64_t least, int64_t most,
			       int64_t *ret_window, struct store_total *ret_total,
			       struct bf_err *err)
{
	struct store_sqlite *s = of(base);

	if (!s->db)
		return not_open(s, err);
	return told(s, totals_newest(&s->totals, identity, least, most, ret_window, ret_total),
		    err);
}

static int sqlite_is_watched(struct store *base, uint64_t identity, uint64_t *ret_about,
			     struct bf_err *err)
{
	struct store_sqlite *s = of(base);

	if (!s->db)
		return not_open(s, err);
	return told(s, totals_is_watched(&s->totals, identity, ret_about), err);
}

static int sqlite_watch(struct store *base, uint64_t identity, uint64_t about, struct bf_err *err)
{
	struct store_sqlite *s = of(base);

	return told(s, totals_watch(&s->totals, identity, about), err);
}

static int sqlite_unwatch(struct store *base, uint64_t identity, struct bf_err *err)
{
	struct store_sqlite *s = of(base);

	return told(s, totals_unwatch(&s->totals, identity), err);
}

static int sqlite_unwatch_others(struct store *base, const uint64_t *identities, size_t count,
				 struct bf_err *err)
{
	struct store_sqlite *s = of(base);

	return told(s, totals_unwatch_others(&s->totals, identities, count), err);
}

static int64_t ms_to_ns(int64_t ms)
{
	return BF_MAX(BF_MIN(ms, INT64_MAX / 1000000), 0) * 1000000;
}

static int sqlite_charged(struct store *base, const struct bf_limit_rows *rows, uint32_t quantity,
			  int64_t from_ms, int64_t until_ms, int64_t *ret_sum, struct bf_err *err)
{
	struct store_sqlite *s = of(base);
	char from[ROW_TIME_LEN + 1], until[ROW_TIME_LEN + 1];

	if (!s->db)
		return not_open(s, err);
	if (charged_sum(&s->charged, s->db, rows, quantity, row_time(ms_to_ns(from_ms), from),
			row_time(ms_to_ns(until_ms), until), ret_sum) != SQLITE_OK)
		return failed(s, err);
	return 0;
}

static int delete_old(struct store_sqlite *s, enum statement which, const char *before,
		      unsigned limit, unsigned *ret_deleted, struct bf_err *err)
{
	int r;

	(void)sqlite3_bind_text(s->statements[which], 1, before, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s->statements[which], 2, limit);
	r = run(s, which, err);
	if (r == 0)
		*ret_deleted = (unsigned)sqlite3_changes(s->db);
	return r;
}

static int sqlite_expire(struct store *base, const char *before, unsigned limit,
			 struct store_expired *ret_deleted, struct bf_err *err)
{
	struct store_sqlite *s = of(base);
	int r = sqlite_begin(base, err);

	if (r < 0)
		return r;
	r = delete_old(s, ST_EXPIRE, before, limit, &ret_deleted->rows, err);
	if (r == 0)
		r = delete_old(s, ST_EXPIRE_TOTALS, before, limit, &ret_deleted->totals, err);
	if (r == 0)
		r = run(s, ST_COMMIT, err);
	if (r < 0)
		sqlite_rollback(base);
	return r;
}

/* A full disk or a lock goes away by itself; after anything else only a fresh look at the path can
 * help. */
static int sqlite_mend(struct store *base, struct bf_err *err)
{
	struct store_sqlite *s = of(base);

	if (s->db && (s->last_code == BF_E_FULL || s->last_code == BF_E_TIMEOUT))
		return 0;
	close_db(s);
	return open_db(s, false, err);
}

static void sqlite_close(struct store *base)
{
	struct store_sqlite *s = of(base);

	close_db(s);
	free(s->path);
	free(s);
}

bool store_sqlite_heals(int code)
{
	return code == BF_E_TIMEOUT || code == BF_E_FULL || code == -EIO;
}

int store_sqlite_open(const char *path, const char *node_id, struct store **ret_store,
		      struct bf_err *err)
{
	static const struct store_ops ops = {
	    .begin = sqlite_begin,
	    .append = sqlite_append,
	    .commit = sqlite_commit,
	    .rollback = sqlite_rollback,
	    .add_total = sqlite_add_total,
	    .newest_total = sqlite_newest_total,
	    .is_watched = sqlite_is_watched,
	    .watch = sqlite_watch,
	    .unwatch = sqlite_unwatch,
	    .unwatch_others = sqlite_unwatch_others,
	    .charged = sqlite_charged,
	    .expire = sqlite_expire,
	    .mend = sqlite_mend,
	    .close = sqlite_close,
	};
	struct store_sqlite *s = calloc(1, sizeof(*s));
	int r;

	if (s)
		s->path = strdup(path);
	if (!s || !s->path) {
		free(s);
		return bf_err_set(err, -ENOMEM, "%s: out of memory", schema_logs.store);
	}
	s->base.ops = &ops;
	(void)strncpy(s->node_id, node_id, sizeof(s->node_id) - 1);
	r = open_db(s, true, err);
	if (r < 0 && r != -EAGAIN && !store_sqlite_heals(r)) {
		sqlite_close(&s->base);
		return r;
	}
	*ret_store = &s->base;
	return r;
}
