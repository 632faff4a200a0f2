/*
 * Rows as JSON. Called by store_sqlite_search.c. Must never let a stored text break the document: a
 * column that holds JSON is put in as it is only when it is whole and valid, else as a string.
 */
#include "writerd/row/logs_json.h"

#include <math.h>
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/macros.h"
#include "common/codec/json_tape.h"

#define JSON_CHECK_BYTES (64u << 20) /* of the tape that a column is checked with */

enum form {
	AS_IS,
	FLAG,  /* 0 or 1 */
	TREE,  /* JSON, or text */
	MS,    /* a number with three decimals */
	MONEY, /* nano-dollars */
};

static const struct {
	const char *name;
	enum form form;
} columns[] = {
    {"id", AS_IS},
    {"request_id", AS_IS},
    {"parent_request_id", AS_IS},
    {"timestamp", AS_IS},
    {"created_at", AS_IS},
    {"object_type", AS_IS},
    {"status", AS_IS},
    {"stream", FLAG},
    {"stop_reason", AS_IS},
    {"provider", AS_IS},
    {"model", AS_IS},
    {"number_of_retries", AS_IS},
    {"fallback_index", AS_IS},
    {"selected_key_id", AS_IS},
    {"selected_key_name", AS_IS},
    {"attempt_trail", TREE},
    {"http_status", AS_IS},
    {"latency", MS},
    {"first_byte_ms", MS},
    {"token_usage", TREE},
    {"prompt_tokens", AS_IS},
    {"completion_tokens", AS_IS},
    {"total_tokens", AS_IS},
    {"cached_read_tokens", AS_IS},
    {"cost", MONEY},
    {"error_type", AS_IS},
    {"error_details", TREE},
    {"cluster_node_id", AS_IS},
    {"worker", AS_IS},
    {"crashed", FLAG},
    {"estimated", FLAG},
    {"truncated", FLAG},
    {"client_gone", FLAG},
    {"content_truncated", FLAG},
    {"virtual_key_id", AS_IS},
    {"virtual_key_name", AS_IS},
    {"team_id", AS_IS},
    {"team_name", AS_IS},
    {"customer_id", AS_IS},
    {"customer_name", AS_IS},
    {"charged_tokens", AS_IS},
    {"charged_requests", AS_IS},
    {"input_history", TREE},
    {"output_message", TREE},
};

#define CONTENT_COLUMNS 2u

static void write_real(struct bf_json_writer *j, double value, int decimals)
{
	char text[400];
	int n = snprintf(text, sizeof(text), "%.*f", decimals, value);

	if (n > 0 && (size_t)n < sizeof(text) && isfinite(value))
		bf_jw_raw(j, (struct bf_slice){text, (size_t)n});
	else
		bf_jw_null(j);
}

/* Dollars, exact. */
static void write_money(struct bf_json_writer *j, int64_t nusd)
{
	char text[48];
	uint64_t n = nusd < 0 ? 0 - (uint64_t)nusd : (uint64_t)nusd;
	int len =
	    snprintf(text, sizeof(text), "%s%llu.%09llu", nusd < 0 ? "-" : "",
		     (unsigned long long)(n / 1000000000), (unsigned long long)(n % 1000000000));

	bf_jw_raw(j, (struct bf_slice){text, (size_t)len});
}

static bool is_tree(struct bf_slice text)
{
	static const struct bf_json_limits limits = {.max_depth = 128, .max_tokens = 1u << 20};
	struct bf_json_tape tape;
	struct bf_arena arena;
	bool whole;

	if (text.len == 0 || (text.ptr[0] != '{' && text.ptr[0] != '['))
		return false;
	bf_arena_init(&arena, JSON_CHECK_BYTES);
	whole = bf_json_parse(&tape, text, &arena, &limits, NULL) == 0;
	bf_arena_done(&arena);
	return whole;
}

static void write_value(struct bf_json_writer *j, const struct logs_value *v, enum form form)
{
	switch (v->kind) {
	case LOGS_NULL:
		bf_jw_null(j);
		break;
	case LOGS_INTEGER:
		if (form == FLAG)
			bf_jw_bool(j, v->integer != 0);
		else if (form == MONEY)
			write_money(j, v->integer);
		else
			bf_jw_i64(j, v->integer);
		break;
	case LOGS_REAL:
		write_real(j, v->real, 3);
		break;
	case LOGS_TEXT:
		if (form == TREE && is_tree(v->text))
			bf_jw_raw(j, v->text);
		else
			bf_jw_string(j, v->text);
		break;
	}
}

void logs_json_row(struct bf_json_writer *j, struct logs_value (*fetch)(void *ctx, unsigned column),
		   void *ctx, bool with_content)
{
	unsigned count = (unsigned)BF_ARRAY_LEN(columns) - (with_content ? 0 : CONTENT_COLUMNS);

	bf_jw_object(j);
	for (unsigned i = 0; i < count; i++) {
		struct logs_value v = fetch(ctx, i);

		bf_jw_key(j, columns[i].name);
		write_value(j, &v, columns[i].form);
	}
	bf_jw_end_object(j);
}

static void write_stats(struct bf_json_writer *j, const struct logs_totals *t)
{
	bf_jw_key(j, "stats");
	bf_jw_object(j);
	bf_jw_key(j, "total_requests");
	bf_jw_i64(j, t->rows);
	bf_jw_key(j, "success_rate");
	write_real(j, t->rows > 0 ? 100. * t->succeeded / (double)t->rows : 0., 2);
	bf_jw_key(j, "average_latency");
	write_real(j, t->average_latency_ms, 3);
	bf_jw_key(j, "total_tokens");
	write_real(j, t->tokens, 0);
	bf_jw_key(j, "total_cost");
	write_real(j, t->cost_nusd / 1e9, 9);
	bf_jw_end_object(j);
}

void logs_json_totals(struct bf_json_writer *j, const struct bf_msg_logs_query *q,
		      const struct logs_totals *t)
{
	bf_jw_key(j, "pagination");
	bf_jw_object(j);
	bf_jw_key(j, "limit");
	bf_jw_u64(j, q->limit);
	bf_jw_key(j, "offset");
	bf_jw_u64(j, q->offset);
	bf_jw_key(j, "sort_by");
	bf_jw_cstr(j, bf_logs_sorts[q->sort_by]);
	bf_jw_key(j, "order");
	bf_jw_cstr(j, q->ascending ? "asc" : "desc");
	bf_jw_key(j, "total_count");
	bf_jw_i64(j, t->rows);
	bf_jw_end_object(j);
	write_stats(j, t);
	bf_jw_key(j, "has_logs");
	bf_jw_bool(j, t->has_logs);
}
