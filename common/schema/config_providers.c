/*
 * The description of the providers block: upstreams, their keys, how they are reached. Part of the
 * tables of config.c. Only proxyd ever sees these rows' values.
 */
#include "common/schema/config_priv.h"

#include "common/base/macros.h"

#define TABLE(fields_) .fields = (fields_), .field_count = BF_ARRAY_LEN(fields_)

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)

static const struct bf_field key_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_provider_key, id),
     .max = 128,
     .audience = BF_FOR_PROXYD,
     .doc = "Identity in rows and metrics; made from the name when absent."},
    {.name = "name",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_provider_key, name),
     .max = 128,
     .flags = BF_REQUIRED,
     .audience = BF_FOR_PROXYD,
     .doc = "Name of the key, unique in the file."},
    {.name = "value",
     .type = BF_T_SECRET,
     BF_FIELD(bf_conf_provider_key, value),
     .max = 8192,
     .audience = BF_FOR_PROXYD,
     .doc = "The secret; best as env.NAME or file.PATH."},
    {.name = "models",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_provider_key, models),
     .max = 1024,
     .audience = BF_FOR_PROXYD,
     .doc = "Models that this key may be used for; absent or [\"*\"]: all."},
    {.name = "blacklisted_models",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_provider_key, blacklisted_models),
     .max = 1024,
     .audience = BF_FOR_PROXYD,
     .doc = "Models that this key must not be used for; wins over models."},
    {.name = "weight",
     .type = BF_T_MICRO,
     BF_FIELD(bf_conf_provider_key, weight_micro),
     .min = 0,
     .max = INT64_C(1000000000000),
     .dflt = "1",
     .audience = BF_FOR_PROXYD,
     .doc = "Share of the requests among the keys of the provider."},
    {.name = "enabled",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_provider_key, enabled),
     .dflt = "true",
     .audience = BF_FOR_PROXYD,
     .doc = "Whether the key is used at all."},
};

static const struct bf_table key_table = {
    .name = "providers.keys",
    .size = sizeof(struct bf_conf_provider_key),
    TABLE(key_fields),
    .doc = "Credentials of the provider.",
};

static const struct bf_field network_fields[] = {
    {.name = "base_url",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_network, base_url),
     .max = 2048,
     .audience = BF_FOR_PROXYD,
     .doc = "Where the provider is: http:// or https://, host, optional port and path. Known "
	    "providers have their own."},
    {.name = "ca_cert_pem",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_network, ca_cert_pem),
     .max = 1 << 20,
     .audience = BF_FOR_PROXYD,
     .doc = "Certificates in PEM form to trust instead of the system's; best as file.PATH."},
    {.name = "default_request_timeout_in_seconds",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_network, request_timeout_ms),
     .unit = SECOND,
     .min = 100,
     .max = 24 * 60 * MINUTE,
     .dflt = "30s",
     .audience = BF_FOR_PROXYD,
     .doc = "Longest time to an answer. A bare number counts seconds."},
    {.name = "stream_idle_timeout_in_seconds",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_network, stream_idle_timeout_ms),
     .unit = SECOND,
     .min = 100,
     .max = 24 * 60 * MINUTE,
     .dflt = "60s",
     .audience = BF_FOR_PROXYD,
     .doc = "Longest silence within a stream. A bare number counts seconds."},
    {.name = "allow_private_network",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_network, allow_private_network),
     .dflt = "false",
     .audience = BF_FOR_PROXYD,
     .doc = "Calls may go to private addresses (RFC 1918 and unique local ones). Loopback is "
	    "always allowed, link-local never."},
};

static const struct bf_table network_table = {
    .name = "providers.network_config",
    .size = sizeof(struct bf_conf_network),
    TABLE(network_fields),
    .doc = "How the provider is reached.",
};

static const struct bf_field mock_fields[] = {
    {.name = "reply",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_mock, reply),
     .max = 65536,
     .audience = BF_FOR_PROXYD,
     .doc = "Text of every answer; empty: the last user message comes back."},
    {.name = "latency",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_mock, latency_ms),
     .min = 0,
     .max = 10 * MINUTE,
     .dflt = "0s",
     .audience = BF_FOR_PROXYD,
     .doc = "Time before the first byte of an answer."},
    {.name = "token_interval",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_mock, token_interval_ms),
     .min = 0,
     .max = MINUTE,
     .dflt = "0s",
     .audience = BF_FOR_PROXYD,
     .doc = "Time between two events of a stream."},
};

static const struct bf_table mock_table = {
    .name = "providers.mock_config",
    .size = sizeof(struct bf_conf_mock),
    TABLE(mock_fields),
    .doc = "How the provider mock behaves.",
};

static const struct bf_field provider_fields[] = {
    {.name = "name",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_provider, name),
     .max = BF_PROVIDER_NAME_MAX,
     .flags = BF_REQUIRED,
     .audience = BF_FOR_PROXYD,
     .doc = "Name of the provider."},
    {.name = "keys",
     .type = BF_T_LIST,
     BF_FIELD(bf_conf_provider, keys),
     .sub = &key_table,
     .max = BF_PROVIDER_KEYS_MAX,
     .audience = BF_FOR_PROXYD,
     .doc = "Credentials of the provider."},
    {.name = "network_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_provider, network_config),
     .sub = &network_table,
     .audience = BF_FOR_PROXYD,
     .doc = "How the provider is reached."},
    {.name = "mock_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_provider, mock_config),
     .sub = &mock_table,
     .audience = BF_FOR_PROXYD,
     .doc = "How the provider mock behaves; for that one only."},
};

const struct bf_table bf_provider_table = {
    .name = "providers",
    .size = sizeof(struct bf_conf_provider),
    TABLE(provider_fields),
    .check = bf_provider_check,
    .doc = "Upstreams by name. The provider mock is built in and needs no network and no key.",
};
