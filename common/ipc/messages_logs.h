/* Messages of questions about rows: the structs of their rows in messages_table.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/field.h"

#define BF_LOGS_MAX_LIMIT  1000u
#define BF_LOGS_MAX_VALUES 32u /* of one filter */
#define BF_LOGS_MAX_TEXT   256u

enum bf_logs_sort {
	BF_LOGS_BY_TIMESTAMP,
	BF_LOGS_BY_LATENCY,
	BF_LOGS_BY_TOKENS,
	BF_LOGS_BY_COST,
};

#define BF_LOGS_ANY INT64_MIN /* a bound that was not given */

/* What rows hold that a filter may name: places of bits. */
enum bf_logs_facet {
	BF_LOGS_PROVIDERS,
	BF_LOGS_MODELS,
	BF_LOGS_STATUS,
	BF_LOGS_OBJECTS,
	BF_LOGS_STOP_REASONS,
	BF_LOGS_ERROR_TYPES,
	BF_LOGS_SELECTED_KEYS,
	BF_LOGS_VIRTUAL_KEYS,
	BF_LOGS_TEAMS,
	BF_LOGS_CUSTOMERS,
	BF_LOGS_FACETS,
};

/* Names of enum bf_logs_facet, ended by NULL. */
extern const char *const bf_logs_facets[];

/* Which rows of the logs store: all conditions hold, and one of the values of each list. */
struct bf_msg_logs_query {
	/* Not empty: this row with its content, nothing else counts; the newest whose request_id it
	 * is when no row has it as its id. */
	struct bf_slice id;
	/* Not 0: no rows but what they hold of these, up to limit of each; nothing else counts. */
	uint64_t facets;
	struct bf_array providers, models, status, stop_reasons, error_types, objects,
	    selected_key_ids, virtual_key_ids, team_ids, customer_ids;
	struct bf_slice parent_request_id; /* "": any */
	struct bf_slice request_id;        /* "": any; else the client's own */
	struct bf_slice content_search;    /* "": any; else a piece of the content */
	int64_t start_ms, end_ms;          /* wall clock; BF_LOGS_ANY */
	int64_t min_latency_us, max_latency_us;
	int64_t min_tokens, max_tokens;
	int64_t min_cost_nusd, max_cost_nusd;
	uint64_t limit, offset;
	int32_t sort_by; /* enum bf_logs_sort */
	bool ascending;
};

/* Names of enum bf_logs_sort, ended by NULL. */
extern const char *const bf_logs_sorts[];

struct bf_msg_logs_result {
	uint64_t size; /* bytes of the memfd */
};
