/*
 * The description of the providers block: upstreams, their keys, how they are reached. Part of the
 * tables of config.c. Only writerd sees keys and addresses, and hands them on as entities; the
 * supervisor sees the bounds.
 */
#include "common/schema/config_priv.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)

#define FOR_SUPERVISOR_WRITERD (BF_FOR_SUPERVISOR | BF_FOR_WRITERD)

#define KEY_URL                                                                        \
	{                                                                              \
		.name = "url", .type = BF_T_STRING, BF_FIELD(bf_conf_key_server, url), \
		.max = 2048, .settle = bf_settle_url, .flags = BF_REQUIRED,            \
		.audience = BF_FOR_WRITERD,                                            \
		.doc = "Where this server is, in the form of base_url, "               \
		       "which it replaces for this key.",                              \
	}

static const struct bf_field key_server_fields[] = {KEY_URL};

static const struct bf_table ollama_table = {
    .name = "providers.keys.ollama_key_config",
    .size = sizeof(struct bf_conf_key_server),
    BF_ROWS(key_server_fields),
    .doc = "A server of ollama of one's own.",
};

static const struct bf_table sgl_table = {
    .name = "providers.keys.sgl_key_config",
    .size = sizeof(struct bf_conf_key_server),
    BF_ROWS(key_server_fields),
    .doc = "A server of SGLang of one's own.",
};

static const struct bf_field vllm_fields[] = {
    KEY_URL,
    {.name = "model_name",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_key_server, model_name),
     .max = 256,
     .audience = BF_FOR_WRITERD,
     .doc = "The one model that this server has; requests for others do not go there."},
};

static const struct bf_table vllm_table = {
    .name = "providers.keys.vllm_key_config",
    .size = sizeof(struct bf_conf_key_server),
    BF_ROWS(vllm_fields),
    .doc = "A server of vLLM of one's own.",
};

static const struct bf_field key_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_provider_key, id),
     .max = 48, /* as in shm/usage.h */
     .settle = bf_settle_label,
     .audience = BF_FOR_WRITERD,
     .doc = "Identity in rows and metrics; made from the name when absent."},
    {.name = "name",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_provider_key, name),
     .max = 128,
     .settle = bf_settle_label,
     .flags = BF_REQUIRED,
     .audience = BF_FOR_WRITERD,
     .doc = "Name of the key, unique in the file."},
    {.name = "value",
     .type = BF_T_SECRET,
     BF_FIELD(bf_conf_provider_key, value),
     .max = 8192,
     .audience = BF_FOR_WRITERD,
     .doc = "The secret; best as env.NAME or file.PATH."},
    {.name = "models",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_provider_key, models),
     .max = 1024,
     .settle = bf_settle_model_name,
     .audience = BF_FOR_WRITERD,
     .doc = "Models that this key may be used for; absent or [\"*\"]: all."},
    {.name = "blacklisted_models",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_provider_key, blacklisted_models),
     .max = 1024,
     .settle = bf_settle_model_name,
     .audience = BF_FOR_WRITERD,
     .doc = "Models that this key must not be used for; wins over models."},
    {.name = "weight",
     .type = BF_T_DECIMAL,
     .decimals = 6,
     BF_FIELD(bf_conf_provider_key, weight_micro),
     .min = 0,
     .max = INT64_C(1000000000000),
     .dflt = "1",
     .audience = BF_FOR_WRITERD,
     .doc = "Share of the requests among the keys of the provider."},
    {.name = "enabled",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_provider_key, enabled),
     .dflt = "true",
     .audience = BF_FOR_WRITERD,
     .doc = "Whether the key is used at all."},
    {.name = "ollama_key_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_provider_key, ollama),
     .sub = &ollama_table,
     .audience = BF_FOR_WRITERD,
     .doc = "Address of the key's own server; for the provider ollama only."},
    {.name = "sgl_key_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_provider_key, sgl),
     .sub = &sgl_table,
     .audience = BF_FOR_WRITERD,
     .doc = "Address of the key's own server; for the provider sgl only."},
    {.name = "vllm_key_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_provider_key, vllm),
     .sub = &vllm_table,
     .audience = BF_FOR_WRITERD,
     .doc = "Address of the key's own server; for the provider vllm only."},
};

const struct bf_table bf_provider_key_table = {
    .name = "providers.keys",
    .size = sizeof(struct bf_conf_provider_key),
    BF_ROWS(key_fields),
    .doc = "Credentials of the provider.",
};

static const struct bf_field mock_fields[] = {
    {.name = "reply",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_mock, reply),
     .max = 65536,
     .audience = BF_FOR_WRITERD,
     .doc = "Text of every answer; empty: the last user message comes back."},
    {.name = "latency",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_mock, latency_ms),
     .min = 0,
     .max = 10 * MINUTE,
     .dflt = "0s",
     .audience = BF_FOR_WRITERD,
     .doc = "Time before the first byte of an answer."},
    {.name = "token_interval",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_mock, token_interval_ms),
     .min = 0,
     .max = MINUTE,
     .dflt = "0s",
     .audience = BF_FOR_WRITERD,
     .doc = "Time between two events of a stream."},
};

static const struct bf_table mock_table = {
    .name = "providers.mock_config",
    .size = sizeof(struct bf_conf_mock),
    BF_ROWS(mock_fields),
    .doc = "How the provider mock behaves.",
};

static const struct bf_field concurrency_fields[] = {
    {.name = "concurrency",
     .type = BF_T_UINT,
     BF_FIELD(bf_conf_concurrency, concurrency),
     .min = 1,
     .max = 100000,
     .dflt = "1000",
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "Requests to the provider that run at once on this node, divided among the workers, "
	    "rounded up."},
    {.name = "buffer_size",
     .type = BF_T_UINT,
     BF_FIELD(bf_conf_concurrency, buffer_size),
     .min = 0,
     .max = 100000,
     .dflt = "5000",
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "Requests that may wait for their turn beyond that, divided among the workers, rounded "
	    "up; what becomes of further ones says client.drop_excess_requests. Their wait counts "
	    "against default_request_timeout_in_seconds."},
};

static const struct bf_table concurrency_table = {
    .name = "providers.concurrency_and_buffer_size",
    .size = sizeof(struct bf_conf_concurrency),
    BF_ROWS(concurrency_fields),
    .doc = "How much goes to the provider at once.",
};

/* By enum bf_base_provider. The others of Bifrost's are refused by name: rows of unbuilt.c. */
static const char *const base_providers[] = {"openai", NULL};

static const struct bf_field custom_fields[] = {
    {.name = "base_provider_type",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_custom_provider, base_provider_type),
     .choices = base_providers,
     .dflt = "openai",
     .audience = BF_FOR_WRITERD,
     .doc = "The API that the provider speaks."},
    {.name = "is_key_less",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_custom_provider, is_key_less),
     .dflt = "false",
     .audience = BF_FOR_WRITERD,
     .doc = "The provider asks for no key, and none is sent."},
    {.name = "does_not_send_done_marker",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_custom_provider, does_not_send_done_marker),
     .dflt = "false",
     .audience = BF_FOR_WRITERD,
     .doc = "Its streams end without [DONE]: one is whole when it said why it stopped."},
};

static const struct bf_table custom_table = {
    .name = "providers.custom_provider_config",
    .size = sizeof(struct bf_conf_custom_provider),
    BF_ROWS(custom_fields),
    .doc = "What is special about a provider of one's own.",
};

static const struct bf_field provider_fields[] = {
    {.name = "name",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_provider, name),
     .max = BF_PROVIDER_NAME_MAX,
     .flags = BF_REQUIRED,
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "Name of the provider."},
    {.name = "keys",
     .type = BF_T_LIST,
     BF_FIELD(bf_conf_provider, keys),
     .sub = &bf_provider_key_table,
     .max = BF_PROVIDER_KEYS_MAX,
     .audience = BF_FOR_WRITERD,
     .doc = "Credentials of the provider."},
    {.name = "network_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_provider, network_config),
     .sub = &bf_network_table,
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "How the provider is reached."},
    {.name = "concurrency_and_buffer_size",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_provider, concurrency_and_buffer_size),
     .sub = &concurrency_table,
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "How much goes to the provider at once."},
    {.name = "custom_provider_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_provider, custom_provider_config),
     .sub = &custom_table,
     .audience = BF_FOR_WRITERD,
     .doc = "What is special about a provider of one's own."},
    {.name = "mock_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_provider, mock_config),
     .sub = &mock_table,
     .audience = BF_FOR_WRITERD,
     .doc = "How the provider mock behaves; for that one only."},
};

const struct bf_table bf_provider_table = {
    .name = "providers",
    .size = sizeof(struct bf_conf_provider),
    BF_ROWS(provider_fields),
    .check = bf_provider_check,
    .doc = "Upstreams by name. The provider mock is built in and needs no network and no key.",
};
