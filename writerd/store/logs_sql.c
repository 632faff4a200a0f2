/*
 * Conditions and order of a search. Called by store_sqlite_search.c. Must never put a byte that
 * came from a client into the text of a statement, and lets nothing but the columns named here
 * decide.
 */
#include "writerd/store/logs_sql.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/macros.h"

static void put(struct logs_where *w, const char *fmt, ...) BF_PRINTF(2, 3);

static void put(struct logs_where *w, const char *fmt, ...)
{
	char piece[256];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(piece, sizeof(piece), fmt, ap);
	va_end(ap);
	if (w->error)
		return;
	w->error = n < 0 || (size_t)n >= sizeof(piece) ? BF_E_LIMIT
						       : bf_buf_append(&w->sql, piece, (size_t)n);
}

/* The number of its placeholder. */
static unsigned bind(struct logs_where *w, struct logs_bind value)
{
	if (w->bind_count == LOGS_SQL_BINDS_MAX) {
		w->error = w->error ? w->error : BF_E_LIMIT;
		return LOGS_SQL_BINDS_MAX;
	}
	w->binds[w->bind_count++] = value;
	return w->bind_count;
}

static const char *joint(const struct logs_where *w)
{
	return bf_buf_len(&w->sql) ? " AND " : " WHERE ";
}

static void one_of(struct logs_where *w, const char *column, const struct bf_array *values)
{
	const struct bf_slice *items = values->items;

	if (values->count == 0)
		return;
	put(w, "%s%s IN (", joint(w), column);
	for (uint32_t i = 0; i < values->count; i++)
		put(w, "%s?%u", i ? ", " : "", bind(w, (struct logs_bind){.text = items[i]}));
	put(w, ")");
}

static void equals(struct logs_where *w, const char *column, struct bf_slice value)
{
	if (value.len)
		put(w, "%s%s = ?%u", joint(w), column, bind(w, (struct logs_bind){.text = value}));
}

static void bound(struct logs_where *w, const char *condition, int64_t value)
{
	if (value != BF_LOGS_ANY)
		put(w, "%s%s ?%u", joint(w), condition,
		    bind(w, (struct logs_bind){.number = value}));
}

static void time_bound(struct logs_where *w, const char *condition, int64_t ms,
		       char text[ROW_TIME_LEN + 1])
{
	const int64_t most_ms = INT64_MAX / 1000000;

	if (ms == BF_LOGS_ANY)
		return;
	(void)row_time(BF_MIN(BF_MAX(ms, 0), most_ms) * 1000000, text);
	put(w, "%s%s ?%u", joint(w), condition,
	    bind(w, (struct logs_bind){.text = {text, ROW_TIME_LEN}}));
}

/* "%" piece "%", with what LIKE would read as a pattern escaped. */
static void contains(struct logs_where *w, struct bf_slice piece)
{
	size_t n = 0;
	unsigned at;

	if (piece.len == 0)
		return;
	if (piece.len > BF_LOGS_MAX_TEXT) {
		w->error = BF_E_LIMIT;
		return;
	}
	w->pattern[n++] = '%';
	for (size_t i = 0; i < piece.len; i++) {
		if (piece.ptr[i] == '%' || piece.ptr[i] == '_' || piece.ptr[i] == '\\')
			w->pattern[n++] = '\\';
		w->pattern[n++] = piece.ptr[i];
	}
	w->pattern[n++] = '%';
	at = bind(w, (struct logs_bind){.text = {w->pattern, n}});
	put(w, "%s(input_history LIKE ?%u ESCAPE '\\' OR output_message LIKE ?%u ESCAPE '\\')",
	    joint(w), at, at);
}

int logs_where_build(struct logs_where *w, const struct bf_msg_logs_query *q)
{
	w->bind_count = 0;
	w->error = 0;
	bf_buf_init(&w->sql, LOGS_SQL_TEXT_MAX);
	/* First what the index can decide, last what reads the bodies. */
	time_bound(w, "timestamp >=", q->start_ms, w->start);
	time_bound(w, "timestamp <=", q->end_ms, w->end);
	one_of(w, "provider", &q->providers);
	one_of(w, "status", &q->status);
	one_of(w, "model", &q->models);
	one_of(w, "object_type", &q->objects);
	/* latency is in milliseconds with a fraction. */
	bound(w, "latency * 1000 >=", q->min_latency_us);
	bound(w, "latency * 1000 <=", q->max_latency_us);
	bound(w, "total_tokens >=", q->min_tokens);
	bound(w, "total_tokens <=", q->max_tokens);
	bound(w, "cost_nusd >=", q->min_cost_nusd);
	bound(w, "cost_nusd <=", q->max_cost_nusd);
	one_of(w, "stop_reason", &q->stop_reasons);
	one_of(w, "error_type", &q->error_types);
	one_of(w, "selected_key_id", &q->selected_key_ids);
	one_of(w, "virtual_key_id", &q->virtual_key_ids);
	one_of(w, "team_id", &q->team_ids);
	one_of(w, "customer_id", &q->customer_ids);
	equals(w, "request_id", q->request_id);
	equals(w, "parent_request_id", q->parent_request_id);
	contains(w, q->content_search);
	return w->error;
}

void logs_where_done(struct logs_where *w)
{
	bf_buf_done(&w->sql);
}

int logs_sql_page(const struct logs_where *w, const struct bf_msg_logs_query *q,
		  const char *columns, struct bf_buf *out)
{
	static const char *const keys[] = {
	    [BF_LOGS_BY_TIMESTAMP] = "timestamp",
	    [BF_LOGS_BY_LATENCY] = "latency",
	    [BF_LOGS_BY_TOKENS] = "total_tokens",
	    [BF_LOGS_BY_COST] = "cost_nusd",
	};
	const char *key = keys[(unsigned)q->sort_by < BF_ARRAY_LEN(keys) ? q->sort_by : 0];
	const char *way = q->ascending ? "ASC" : "DESC";

	/* Rows of equal keys have an order too, or pages would repeat some and leave some out. */
	return bf_buf_printf(out,
			     "SELECT %s FROM logs%.*s ORDER BY %s %s, inc_number %s"
			     " LIMIT ?%u OFFSET ?%u",
			     columns, BF_SLICE_FMT(bf_buf_slice(&w->sql)), key, way, way,
			     w->bind_count + 1, w->bind_count + 2);
}
