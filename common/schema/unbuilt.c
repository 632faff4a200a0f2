/*
 * Bifrost's keys that are known and not built: without this table a config.json that enforces keys
 * or budgets would start a gateway that does not. A row leaves when its key becomes a row of
 * config.c. Looked up by the decoder.
 */
#include "common/schema/unbuilt.h"

#include <string.h>

#include "common/base/macros.h"

/* clang-format off */
#define RATE_LIMIT(at)                                                 \
	{at ".token_current_usage", BF_UNBUILT_TUNING, "0"},           \
	{at ".request_current_usage", BF_UNBUILT_TUNING, "0"}

#define BUDGET(at)                                                     \
	{at ".current_usage", BF_UNBUILT_TUNING, "0"},                 \
	{at ".override_cycles_remaining", BF_UNBUILT_TUNING, "0"}

#define OWNER(at)                                                      \
	BUDGET(at ".budgets"),                                         \
	BUDGET(at ".budget"),                                          \
	RATE_LIMIT(at ".rate_limit")

const struct bf_unbuilt bf_unbuilt_table[] = {
	{"source_of_truth", BF_UNBUILT_TUNING, "config.json"},
	{"env_label", BF_UNBUILT_TUNING, NULL},
	OWNER("governance.customers"),
	{"governance.customers.profile", BF_UNBUILT_TUNING, NULL},
	{"governance.customers.config", BF_UNBUILT_TUNING, NULL},
	{"governance.customers.claims", BF_UNBUILT_SAFETY, NULL},
	{"governance.customers.business_unit_id", BF_UNBUILT_SAFETY, NULL},
	OWNER("governance.teams"),
	{"governance.teams.profile", BF_UNBUILT_TUNING, NULL},
	{"governance.teams.config", BF_UNBUILT_TUNING, NULL},
	{"governance.teams.claims", BF_UNBUILT_SAFETY, NULL},
	{"governance.teams.business_unit_id", BF_UNBUILT_SAFETY, NULL},
	OWNER("governance.virtual_keys"),
	OWNER("governance.virtual_keys.provider_configs"),
	{"governance.virtual_keys.mcp_configs.mcp_client_id", BF_UNBUILT_SAFETY, NULL},
	OWNER("governance.model_configs"),
	{"governance.model_configs.scope=user", BF_UNBUILT_CHOICE, NULL},
	OWNER("governance.providers"),
	BUDGET("governance.budgets"),
	RATE_LIMIT("governance.rate_limits"),
	{"governance.pricing_overrides.pricing_patch.input_cost_per_token_fast", BF_UNBUILT_SAFETY, NULL},
	{"governance.pricing_overrides.pricing_patch.output_cost_per_token_fast", BF_UNBUILT_SAFETY, NULL},
	{"governance.pricing_overrides.pricing_patch.code_interpreter_cost_per_session", BF_UNBUILT_SAFETY, "0"},
	{"governance.routing_rules", BF_UNBUILT_SAFETY, NULL},
	{"governance.projects", BF_UNBUILT_SAFETY, NULL},
	{"alerting", BF_UNBUILT_SAFETY, NULL},
	{"guardrails_config", BF_UNBUILT_SAFETY, NULL},
	{"access_profiles", BF_UNBUILT_SAFETY, NULL},
	{"cluster_config", BF_UNBUILT_SAFETY, NULL},
	{"load_balancer_config", BF_UNBUILT_TUNING, NULL},
	{"vector_store", BF_UNBUILT_TUNING, NULL},
	{"plugins", BF_UNBUILT_SAFETY, NULL},
	{"framework.pricing.model_parameters_url", BF_UNBUILT_TUNING, NULL},
	{"framework.pricing.live_models_sync_interval", BF_UNBUILT_TUNING, NULL},
	{"mcp.client_configs", BF_UNBUILT_TUNING, NULL},
	{"mcp.tool_manager_config", BF_UNBUILT_TUNING, NULL},
	{"websocket", BF_UNBUILT_TUNING, NULL},
	{"spool", BF_UNBUILT_TUNING, NULL},
	{"client.initial_pool_size", BF_UNBUILT_TUNING, NULL},
	{"client.logging_headers", BF_UNBUILT_TUNING, NULL},
	{"client.hidden_request_types", BF_UNBUILT_TUNING, NULL},
	{"client.retain_content_in_object_storage", BF_UNBUILT_TUNING, "false"},
	{"client.allow_per_request_content_storage_override", BF_UNBUILT_TUNING, "false"},
	{"client.allow_per_request_raw_override", BF_UNBUILT_TUNING, "false"},
	{"client.enforce_scim_auth", BF_UNBUILT_SAFETY, "false"},
	{"client.dual_credential_conflict_behavior", BF_UNBUILT_SAFETY, NULL},
	{"client.allow_direct_keys", BF_UNBUILT_TUNING, "false"},
	{"client.whitelisted_routes", BF_UNBUILT_SAFETY, NULL},
	{"client.prometheus_labels", BF_UNBUILT_TUNING, NULL},
	{"client.compat", BF_UNBUILT_TUNING, NULL},
	{"client.mcp_agent_depth", BF_UNBUILT_TUNING, NULL},
	{"client.mcp_tool_execution_timeout", BF_UNBUILT_TUNING, NULL},
	{"client.mcp_tool_sync_interval", BF_UNBUILT_TUNING, NULL},
	{"client.mcp_disable_auto_tool_inject", BF_UNBUILT_TUNING, "true"},
	{"client.mcp_code_mode_binding_level", BF_UNBUILT_TUNING, NULL},
	{"client.mcp_server_auth_mode", BF_UNBUILT_SAFETY, NULL},
	{"client.oauth2_server_config", BF_UNBUILT_SAFETY, NULL},
	{"client.mcp_external_client_url", BF_UNBUILT_TUNING, NULL},
	{"client.async_job_result_ttl", BF_UNBUILT_TUNING, NULL},
	{"client.disable_db_pings_in_health", BF_UNBUILT_TUNING, "true"},
	{"client.routing_chain_max_depth", BF_UNBUILT_TUNING, NULL},
	{"client.dump_errors_in_console_logs", BF_UNBUILT_TUNING, "false"},
	{"client.delete_expired_virtual_keys", BF_UNBUILT_SAFETY, "false"},
	{"client.hide_deleted_virtual_keys_in_filters", BF_UNBUILT_TUNING, "false"},
	{"client.webhook_config", BF_UNBUILT_TUNING, NULL},
	{"providers.*.keys.aliases", BF_UNBUILT_TUNING, NULL},
	{"providers.*.keys.deployments", BF_UNBUILT_TUNING, NULL},
	{"providers.*.keys.use_for_batch_api", BF_UNBUILT_TUNING, "false"},
	{"providers.*.keys.azure_key_config", BF_UNBUILT_SAFETY, NULL},
	{"providers.*.keys.bedrock_key_config", BF_UNBUILT_SAFETY, NULL},
	{"providers.*.keys.bedrock_mantle_key_config", BF_UNBUILT_SAFETY, NULL},
	{"providers.*.keys.vertex_key_config", BF_UNBUILT_SAFETY, NULL},
	{"providers.*.keys.databricks_key_config", BF_UNBUILT_SAFETY, NULL},
	{"providers.*.keys.replicate_key_config", BF_UNBUILT_SAFETY, NULL},
	{"providers.*.network_config.enforce_http2", BF_UNBUILT_TUNING, "false"},
	{"providers.*.network_config.beta_header_overrides", BF_UNBUILT_TUNING, NULL},
	{"providers.*.network_config.stream_throughput_guard", BF_UNBUILT_TUNING, NULL},
	{"providers.*.proxy_config", BF_UNBUILT_SAFETY, "type=none"},
	{"providers.*.send_back_raw_request", BF_UNBUILT_TUNING, "false"},
	{"providers.*.send_back_raw_response", BF_UNBUILT_TUNING, "false"},
	{"providers.*.store_raw_request_response", BF_UNBUILT_TUNING, "false"},
	{"providers.*.custom_provider_config.allowed_requests", BF_UNBUILT_SAFETY, NULL},
	{"providers.*.custom_provider_config.request_path_overrides", BF_UNBUILT_SAFETY, NULL},
	{"providers.*.custom_provider_config.wait_for_usage", BF_UNBUILT_TUNING, "false"},
	{"providers.*.custom_provider_config.base_provider_type=anthropic", BF_UNBUILT_CHOICE, NULL},
	{"providers.*.custom_provider_config.base_provider_type=bedrock", BF_UNBUILT_CHOICE, NULL},
	{"providers.*.custom_provider_config.base_provider_type=cohere", BF_UNBUILT_CHOICE, NULL},
	{"providers.*.custom_provider_config.base_provider_type=gemini", BF_UNBUILT_CHOICE, NULL},
	{"providers.*.custom_provider_config.base_provider_type=huggingface", BF_UNBUILT_CHOICE, NULL},
	{"providers.*.custom_provider_config.base_provider_type=replicate", BF_UNBUILT_CHOICE, NULL},
	{"providers.*.prompt_cache", BF_UNBUILT_TUNING, NULL},
	{"providers.*.provider_request_id", BF_UNBUILT_TUNING, NULL},
	{"config_store.config.host", BF_UNBUILT_TUNING, NULL},
	{"config_store.config.port", BF_UNBUILT_TUNING, NULL},
	{"config_store.config.user", BF_UNBUILT_TUNING, NULL},
	{"config_store.config.password", BF_UNBUILT_TUNING, NULL},
	{"config_store.config.password_command", BF_UNBUILT_TUNING, NULL},
	{"config_store.config.db_name", BF_UNBUILT_TUNING, NULL},
	{"config_store.config.ssl_mode", BF_UNBUILT_TUNING, NULL},
	{"config_store.config.max_idle_conns", BF_UNBUILT_TUNING, NULL},
	{"config_store.config.max_open_conns", BF_UNBUILT_TUNING, NULL},
	{"config_store.config.conn_max_lifetime", BF_UNBUILT_TUNING, NULL},
	{"logs_store.config.host", BF_UNBUILT_TUNING, NULL},
	{"logs_store.config.port", BF_UNBUILT_TUNING, NULL},
	{"logs_store.config.user", BF_UNBUILT_TUNING, NULL},
	{"logs_store.config.password", BF_UNBUILT_TUNING, NULL},
	{"logs_store.config.password_command", BF_UNBUILT_TUNING, NULL},
	{"logs_store.config.db_name", BF_UNBUILT_TUNING, NULL},
	{"logs_store.config.ssl_mode", BF_UNBUILT_TUNING, NULL},
	{"logs_store.config.max_idle_conns", BF_UNBUILT_TUNING, NULL},
	{"logs_store.config.max_open_conns", BF_UNBUILT_TUNING, NULL},
	{"logs_store.config.conn_max_lifetime", BF_UNBUILT_TUNING, NULL},
	{"config_store.type=postgres", BF_UNBUILT_CHOICE, NULL},
	{"logs_store.type=postgres", BF_UNBUILT_CHOICE, NULL},
	{"logs_store.type=clickhouse", BF_UNBUILT_CHOICE, NULL},
	{"logs_store.matview_refresh_interval", BF_UNBUILT_TUNING, "off"},
	{"logs_store.object_storage", BF_UNBUILT_TUNING, NULL},
};
/* clang-format on */

const size_t bf_unbuilt_count = BF_ARRAY_LEN(bf_unbuilt_table);

const struct bf_unbuilt *bf_unbuilt_find(struct bf_slice dotted)
{
	for (size_t i = 0; i < bf_unbuilt_count; i++)
		if (bf_slice_is(dotted, bf_unbuilt_table[i].key))
			return &bf_unbuilt_table[i];
	return NULL;
}

struct bf_slice bf_unbuilt_child(const struct bf_unbuilt *row, struct bf_slice parent)
{
	struct bf_slice key = bf_slice_from(row->key);
	struct bf_slice none = {NULL, 0};

	if (row->class == BF_UNBUILT_CHOICE)
		return none;
	if (parent.len) {
		if (!bf_slice_starts(key, parent) || key.len <= parent.len ||
		    key.ptr[parent.len] != '.')
			return none;
		key = (struct bf_slice){key.ptr + parent.len + 1, key.len - parent.len - 1};
	}
	const char *dot = memchr(key.ptr, '.', key.len);
	return (struct bf_slice){key.ptr, dot ? (size_t)(dot - key.ptr) : key.len};
}

bool bf_unbuilt_is_group(struct bf_slice dotted)
{
	for (size_t i = 0; dotted.len && i < bf_unbuilt_count; i++)
		if (bf_unbuilt_child(&bf_unbuilt_table[i], dotted).ptr)
			return true;
	return false;
}

static bool member_is(const struct bf_node *map, struct bf_slice name, struct bf_slice value)
{
	for (const struct bf_node *m = map->first; m; m = m->next)
		if (bf_slice_eq(m->key, name) && m->type == BF_NODE_SCALAR &&
		    bf_slice_eq(m->text, value))
			return true;
	return false;
}

static bool map_is_neutral(const struct bf_unbuilt *row, const struct bf_node *map)
{
	static const struct bf_slice off = {"false", 5};
	const char *equals = row->neutral ? strchr(row->neutral, '=') : NULL;

	if (member_is(map, BF_SLICE_LIT("enabled"), off) ||
	    member_is(map, BF_SLICE_LIT("is_enabled"), off))
		return true;
	if (!equals)
		return false;
	struct bf_slice name = {row->neutral, (size_t)(equals - row->neutral)};
	return member_is(map, name, bf_slice_from(equals + 1));
}

/* Every element switched off: a list of disabled plugins asks for nothing. */
static bool list_is_neutral(const struct bf_unbuilt *row, const struct bf_node *list)
{
	for (const struct bf_node *m = list->first; m; m = m->next)
		if (bf_unbuilt_asks(row, m))
			return false;
	return true;
}

bool bf_unbuilt_asks(const struct bf_unbuilt *row, const struct bf_node *node)
{
	switch ((enum bf_node_type)node->type) {
	case BF_NODE_BAD:
		return false;
	case BF_NODE_SCALAR:
		return node->text.len > 0 && !bf_node_is_null(node) &&
		       !(row->neutral && bf_slice_is(node->text, row->neutral));
	case BF_NODE_MAP:
		return node->count > 0 && !map_is_neutral(row, node);
	case BF_NODE_LIST:
		return !list_is_neutral(row, node);
	}
	return true;
}
