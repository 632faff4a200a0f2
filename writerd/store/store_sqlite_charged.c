/*
 * What a meter begins with, asked of the rows. Called by store_sqlite.c when writerd places limits
 * that it has no total of. Must never put a byte of the configuration into the text of a statement,
 * nor leave the sum to a plan that reads whole rows: charges lie behind their bodies (see the
 * indexes in schema_sql.c).
 */
#include "writerd/store/store_sqlite_charged.h"

#include <stdio.h>

#include "common/base/macros.h"
#include "writerd/row/row.h"

/* The numbers are enum bf_quantity; a row counts for as much as a meter can be charged, and sums
 * stop where meters do: what a worker wrote may be any number. */
#define SUM                                                                            \
	"SELECT min(coalesce(sum(min(CASE ?1 WHEN 1 THEN charged_requests WHEN 2 THEN" \
	" charged_tokens WHEN 4 THEN cost_nusd ELSE 0 END, 17592186044416)), 0),"      \
	" 2305843009213693952) FROM logs WHERE timestamp >= ?2 AND timestamp < ?3"

#define FIRST_FILTER 4

/* As the plan compares: models by its own function, all else to the byte. */
static const char *const conditions[] = {
    " AND virtual_key_id = ?4",
    " AND team_id = ?5",
    " AND customer_id = ?6",
    " AND provider = ?7",
    " AND model_is(?8, model, provider)",
};
_Static_assert(1u << BF_ARRAY_LEN(conditions) == CHARGED_FILTERS, "one bit each");

static struct bf_slice text_of(sqlite3_value *value)
{
	const unsigned char *text = sqlite3_value_text(value);
	int bytes = sqlite3_value_bytes(value);

	return (struct bf_slice){(const char *)text, text ? (size_t)bytes : 0};
}

static void model_is(sqlite3_context *ctx, int count, sqlite3_value **values)
{
	struct bf_slice named = text_of(values[0]), provider = text_of(values[2]);

	(void)count;
	/* The row has the beginning of a longer one. */
	named = row_text_cut(bf_model_bare(named, provider), ROW_MODEL_LEN);
	sqlite3_result_int(ctx, bf_model_is(named, text_of(values[1]), provider));
}

int charged_open(sqlite3 *db)
{
	return sqlite3_create_function_v2(db, "model_is", 3,
					  SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
					  NULL, model_is, NULL, NULL, NULL);
}

static int prepare(sqlite3 *db, unsigned filter, sqlite3_stmt **ret_st)
{
	char sql[640];
	size_t n = (size_t)snprintf(sql, sizeof(sql), "%s", SUM);

	for (size_t i = 0; i < BF_ARRAY_LEN(conditions); i++) {
		if (filter & 1u << i)
			n += (size_t)snprintf(sql + n, sizeof(sql) - n, "%s", conditions[i]);
	}
	return sqlite3_prepare_v3(db, sql, (int)n, SQLITE_PREPARE_PERSISTENT, ret_st, NULL);
}

/* Texts live until the statement was reset. */
static int bind_text(sqlite3_stmt *st, int place, struct bf_slice text)
{
	return sqlite3_bind_text64(st, place, text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind(sqlite3_stmt *st, const struct bf_slice *texts, unsigned filter, uint32_t quantity,
		const char *from, const char *until)
{
	int r = sqlite3_bind_int64(st, 1, quantity);

	if (r == SQLITE_OK)
		r = bind_text(st, 2, bf_slice_from(from));
	if (r == SQLITE_OK)
		r = bind_text(st, 3, bf_slice_from(until));
	for (int i = 0; i < (int)BF_ARRAY_LEN(conditions) && r == SQLITE_OK; i++) {
		if (filter & 1u << i)
			r = bind_text(st, FIRST_FILTER + i, texts[i]);
	}
	return r;
}

int charged_sum(struct charged *c, sqlite3 *db, const struct bf_limit_rows *rows, uint32_t quantity,
		const char *from, const char *until, int64_t *ret_sum)
{
	/* As rows have them: no id is longer than theirs. */
	const struct bf_slice texts[BF_ARRAY_LEN(conditions)] = {
	    rows->virtual_key_id, rows->team_id,
	    rows->customer_id,    row_text_cut(rows->provider, ROW_PROVIDER_LEN),
	    rows->model,
	};
	unsigned filter = 0;
	sqlite3_stmt **st;
	int r = SQLITE_OK;

	for (unsigned i = 0; i < BF_ARRAY_LEN(conditions); i++)
		filter |= texts[i].len ? 1u << i : 0;
	st = &c->statements[filter];
	if (!*st)
		r = prepare(db, filter, st);
	if (r == SQLITE_OK)
		r = bind(*st, texts, filter, quantity, from, until);
	if (r == SQLITE_OK)
		r = sqlite3_step(*st);
	if (r == SQLITE_ROW) {
		*ret_sum = sqlite3_column_int64(*st, 0);
		r = SQLITE_OK;
	}
	if (*st) {
		(void)sqlite3_reset(*st);
		(void)sqlite3_clear_bindings(*st);
	}
	return r;
}

void charged_done(struct charged *c)
{
	for (unsigned i = 0; i < CHARGED_FILTERS; i++) {
		(void)sqlite3_finalize(c->statements[i]);
		c->statements[i] = NULL;
	}
}
