/* One message of each type with every field set: for round trips and as seeds for the fuzzers. */
#pragma once

#include "common/base/macros.h"
#include "common/ipc/messages.h"

/* What a frame of this type looks like that may travel. Body not included. */
static inline struct bf_frame sample_frame(uint16_t type)
{
	const struct bf_msg_def *def = bf_msg_def(type);
	struct bf_frame f = {.type = type, .request = 7, .fd = -1};

	for (unsigned role = 0; role < BF_ROLE_COUNT; role++) {
		if (def->routes[0].senders & (1u << role))
			f.source = BF_ENDPOINT(role, 0);
		if (def->routes[0].receivers & (1u << role))
			f.target = BF_ENDPOINT(role, 0);
	}
	if (def->is_reply)
		f.flags = BF_FRAME_REPLY;
	if (type == BF_MSG_ERROR)
		f.flags |= BF_FRAME_ERROR;
	if (def->with_fd)
		f.flags |= BF_FRAME_FD;
	return f;
}

/* Of those about what is in force. NULL for any other. */
static inline const void *sample_of_entities(uint16_t type)
{
	static const struct bf_msg_snapshot_next snapshot_next = {9};
	static const struct bf_msg_entity_change entity_change = {
	    .action = BF_ENTITY_ROTATE,
	    .type = 3,
	    .id = {"vk-1", 4},
	    .is_sub = true,
	    .sub_id = {"b-1", 3},
	    .expected_version = 4,
	    .body = {"{}", 2},
	    .actor = {"local", 5},
	};
	static const struct bf_msg_entity_query entity_query = {
	    .type = 3,
	    .id = {"vk-1", 4},
	    .is_sub = true,
	    .sub_id = {"b-1", 3},
	    .secret = {"01234567890123456789012345678901", 32},
	    .search = {"pay", 3},
	    .team_id = {"t", 1},
	    .customer_id = {"c", 1},
	    .virtual_key_id = {"v", 1},
	    .provider = {"p", 1},
	    .provider_key_id = {"k", 1},
	    .limit = 50,
	    .offset = 100,
	    .sort_by = BF_ORDER_BUDGET_SPENT,
	    .descending = true,
	};
	static const struct bf_msg_entity_result entity_result = {201, 1, 70000};
	static const struct bf_msg_price_sync price_sync = {true};
	static const struct bf_msg_price_sheet price_sheet = {.url = {"https://prices.example", 22},
							      .etag = {"\"a1\"", 4},
							      .date = {"2026-11-01", 10},
							      .models = 2961,
							      .skipped = 40,
							      .size = 400000,
							      .accept_smaller = true};
	static const struct bf_msg_price_fresh price_fresh = {{"https://prices.example", 22}};
	static const void *const samples[BF_MSG_TYPE_MAX] = {
	    [BF_MSG_SNAPSHOT_NEXT] = &snapshot_next, [BF_MSG_ENTITY_CHANGE] = &entity_change,
	    [BF_MSG_ENTITY_QUERY] = &entity_query,   [BF_MSG_ENTITY_RESULT] = &entity_result,
	    [BF_MSG_PRICE_SYNC] = &price_sync,       [BF_MSG_PRICE_SHEET] = &price_sheet,
	    [BF_MSG_PRICE_FRESH] = &price_fresh,
	};

	return samples[type];
}

/* NULL for a type without a body. */
static inline const void *sample_message(uint16_t type)
{
	static const struct bf_msg_hello hello = {1, {"build-1", 7}, 3};
	static const struct bf_msg_listen_slot listen_slot = {5};
	static const struct bf_msg_proc proc = {9, 4711};
	static const struct bf_msg_config_applied config_applied = {{"c0ffee", 6}};
	static struct bf_msg_status_item items[] = {{{"a", 1}, {"1", 1}}, {{"b", 1}, {"", 0}}};
	static const struct bf_msg_status status = {
	    {"proxyd.0", 8}, 4711, 5000, {items, BF_ARRAY_LEN(items)}};
	static const struct bf_msg_child child = {
	    {"writerd", 7}, {"ready", 5}, 4711, 3, 60000, 2, 500, -1, {"signal 9 (KILL)", 15}, 1};
	static const struct bf_msg_restart restart = {{"proxyd.1", 8}};
	static const struct bf_msg_diag diag = {true, {"a.yaml:1:2: error: no", 21}};
	static const struct bf_msg_node_drain node_drain = {true};
	static const struct bf_msg_traced traced = {
	    1700000000123456789,
	    {"\1\0\2\0\0\010\0\004\0\0\0\0\0\0\0\0", 16}, /* READY of proxyd.0 */
	    false};
	static const struct bf_msg_error error = {BF_E_DENIED, {"no", 2}};
	static struct bf_slice values[] = {{"a", 1}, {"b%", 2}};
	static const struct bf_msg_logs_query logs_query = {
	    .id = {"x", 1},
	    .providers = {values, 2},
	    .models = {values, 1},
	    .status = {values, 1},
	    .stop_reasons = {values, 2},
	    .error_types = {values, 1},
	    .objects = {values, 1},
	    .selected_key_ids = {values, 1},
	    .virtual_key_ids = {values, 1},
	    .team_ids = {values, 2},
	    .customer_ids = {values, 1},
	    .parent_request_id = {"p", 1},
	    .request_id = {"r", 1},
	    .content_search = {"100%", 4},
	    .start_ms = 1,
	    .end_ms = 2,
	    .min_latency_us = 3,
	    .max_latency_us = 4,
	    .min_tokens = 5,
	    .max_tokens = 6,
	    .min_cost_nusd = 7,
	    .max_cost_nusd = BF_LOGS_ANY,
	    .limit = 50,
	    .offset = 100,
	    .sort_by = BF_LOGS_BY_COST,
	    .ascending = true,
	};
	static const struct bf_msg_logs_result logs_result = {70000};
	static const struct bf_msg_limits_get limits_get = {
	    {"vk-1", 4}, {"team", 4}, {"blue", 4}, 64};
	static struct bf_msg_limit limit_items[] = {
	    {.owner = {"provider_config", 15},
	     .owner_id = {"pc-1", 4},
	     .owner_name = {"openai", 6},
	     .virtual_key_id = {"vk-1", 4},
	     .virtual_key_name = {"one", 3},
	     .provider = {"openai", 6},
	     .model = {"m", 1},
	     .limit_id = {"b", 1},
	     .quantity = {"cost", 4},
	     .window = {"1h", 2},
	     .used = 7,
	     .held = 3,
	     .max = 1000000000,
	     .start_ms = 1700000000000,
	     .end_ms = 1700003600000,
	     .frozen = true,
	     .placed = true},
	    {.owner = {"team", 4},
	     .owner_id = {"t-2", 3},
	     .quantity = {"concurrent_requests", 19},
	     .max = 1},
	};
	static const struct bf_msg_limits limits = {
	    64, 5000, {limit_items, BF_ARRAY_LEN(limit_items)}};
	static const void *const samples[BF_MSG_TYPE_MAX] = {
	    [BF_MSG_HELLO] = &hello,           [BF_MSG_ADOPT] = &listen_slot,
	    [BF_MSG_RELEASE] = &listen_slot,   [BF_MSG_PROC_DEAD] = &proc,
	    [BF_MSG_STATUS] = &status,         [BF_MSG_CHILD] = &child,
	    [BF_MSG_RESTART] = &restart,       [BF_MSG_DIAG] = &diag,
	    [BF_MSG_NODE_DRAIN] = &node_drain, [BF_MSG_TRACED] = &traced,
	    [BF_MSG_ERROR] = &error,           [BF_MSG_CONFIG_APPLIED] = &config_applied,
	    [BF_MSG_LOGS_QUERY] = &logs_query, [BF_MSG_LOGS_RESULT] = &logs_result,
	    [BF_MSG_LIMITS_GET] = &limits_get, [BF_MSG_LIMITS] = &limits,
	};

	if (type >= BF_MSG_TYPE_MAX)
		return NULL;
	return samples[type] ? samples[type] : sample_of_entities(type);
}
