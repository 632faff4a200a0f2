/* Rows of the logs table as the management API shows them: pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/codec/json_writer.h"
#include "common/ipc/messages.h"

enum logs_kind {
	LOGS_NULL,
	LOGS_INTEGER,
	LOGS_REAL,
	LOGS_TEXT,
};

struct logs_value {
	enum logs_kind kind;
	int64_t integer;
	double real;
	struct bf_slice text;
};

/* In the order in which logs_json_row asks for them. */
#define LOGS_JSON_COLUMNS                                                                          \
	"id, request_id, parent_request_id, timestamp, created_at, object_type, status, stream,"   \
	" stop_reason, provider, model, number_of_retries, fallback_index, selected_key_id,"       \
	" selected_key_name, attempt_trail, http_status, latency, first_byte_ms, token_usage,"     \
	" prompt_tokens, completion_tokens, total_tokens, cached_read_tokens,"                     \
	" nullif(cost_nusd, 0), error_type, error_details, cluster_node_id, worker, crashed,"      \
	" estimated, truncated, client_gone, content_truncated, virtual_key_id, virtual_key_name," \
	" team_id, team_name, customer_id, customer_name, charged_tokens, charged_requests"
#define LOGS_JSON_CONTENT "input_history, output_message"

/* One row as an object. fetch gives the value of a column, which lives until the next call. */
void logs_json_row(struct bf_json_writer *j, struct logs_value (*fetch)(void *ctx, unsigned column),
		   void *ctx, bool with_content);

struct logs_totals {
	int64_t rows;
	double succeeded, average_latency_ms, tokens, cost_nusd;
	bool has_logs;
};

/* The members pagination, stats and has_logs of an object that is open. */
void logs_json_totals(struct bf_json_writer *j, const struct bf_msg_logs_query *q,
		      const struct logs_totals *t);
