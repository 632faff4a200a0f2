/*
 * The typed configuration: one struct per block of the YAML file, filled by walking the tables in
 * config.c. A child gets the same struct with the fields outside its audience left at their
 * defaults.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/field.h"

/* Both PEM texts, in whatever way they were named in the file; both empty: plain HTTP. */
struct bf_conf_tls {
	struct bf_slice cert; /* chain, leaf first */
	struct bf_slice key;  /* secret */
};

struct bf_conf_server {
	struct bf_array
	    listen; /* of struct bf_slice "host:port" or "[v6]:port"; default 127.0.0.1:8080 */
	uint64_t read_buffer_size_bytes; /* largest header section of a request */
	int64_t header_timeout_ms;  /* first byte of a request to the end of its header section */
	int64_t body_timeout_ms;    /* longest pause between two pieces of a body */
	int64_t idle_timeout_ms;    /* keep-alive connection without a request */
	int64_t write_timeout_ms;   /* longest time a client may leave an answer unread */
	uint64_t max_connections;   /* per worker */
	uint64_t body_memory_bytes; /* request bodies held at once, per worker */
	int64_t heartbeat_interval_ms; /* silence of a stream before a comment is sent; 0: none */
	int64_t early_heartbeat_after_ms; /* the same before the upstream answered; 0: never */
	struct bf_conf_tls tls;
};

/* Which headers of a request go upstream, and how (x-bf-eh-NAME). Names in lower case. */
struct bf_conf_header_filter {
	struct bf_array allowlist; /* of struct bf_slice; not empty: these and no others */
	struct bf_array denylist;  /* wins */
};

struct bf_conf_client {
	bool enable_logging;                  /* rows in the logs store */
	bool disable_content_logging;         /* rows without prompts and answers */
	uint64_t max_request_body_size_bytes; /* max_request_body_size_mb */
	bool drop_excess_requests;            /* a full queue of a provider refuses at once */
	struct bf_array allowed_origins;      /* of struct bf_slice; "*": all; localhost always */
	struct bf_array allowed_headers;      /* beside the usual ones, for CORS */
	struct bf_array required_headers; /* of struct bf_slice; a request without one is refused */
	struct bf_conf_header_filter header_filter_config;
	bool enforce_auth_on_inference; /* no call without a virtual key */
	bool enforce_governance_header; /* Bifrost's older name of it; equals it after loading */
	int64_t log_retention_days; /* Bifrost's other name of logs_store.retention_days; equals it
				       after loading */
};

/* Servers of one's own have one address per key. */
struct bf_conf_key_server {
	struct bf_slice url;        /* empty: the provider's base_url */
	struct bf_slice model_name; /* vllm only: the one model that this server has */
};

struct bf_conf_provider_key {
	struct bf_slice id; /* derived from the name when absent */
	struct bf_slice name;
	struct bf_slice value;  /* secret */
	struct bf_array models; /* of struct bf_slice; empty or "*": all */
	struct bf_array blacklisted_models;
	int64_t weight_micro;
	bool enabled;
	/* ollama_key_config, sgl_key_config, vllm_key_config: only the one of the provider's name
	 * may be given. bf_conf_key_server() tells which. */
	struct bf_conf_key_server ollama, sgl, vllm;
};

struct bf_conf_network {
	struct bf_slice base_url;
	struct bf_slice ca_cert_pem;
	struct bf_array extra_headers;  /* of struct bf_conf_pair: sent with every request */
	int64_t request_timeout_ms;     /* default_request_timeout_in_seconds: one attempt, to the
					   end of a plain answer or to the head of a stream */
	int64_t connect_timeout_ms;     /* name, connection and TLS together */
	int64_t first_byte_timeout_ms;  /* to the head of any answer; 0: request_timeout_ms */
	int64_t total_timeout_ms;       /* all attempts, waits and the stream together */
	int64_t stream_idle_timeout_ms; /* stream_idle_timeout_in_seconds */
	uint64_t max_retries;           /* further attempts with the same key */
	int64_t retry_backoff_initial_ms, retry_backoff_max_ms;
	uint64_t max_conns_per_host; /* of the node: each worker has its share */
	bool insecure_skip_verify;
	bool allow_private_network; /* may calls go to RFC 1918 and unique local addresses? */
};

/* The built-in provider that needs no network: for first steps and for tests. */
struct bf_conf_mock {
	struct bf_slice reply;     /* text of every answer; empty: echoes the last user message */
	int64_t latency_ms;        /* before the first byte */
	int64_t token_interval_ms; /* between two events of a stream */
};

/* Of the node: each worker has its share. */
struct bf_conf_concurrency {
	uint64_t concurrency; /* calls that run at once */
	uint64_t buffer_size; /* calls that wait for their turn */
};

enum bf_base_provider {
	BF_BASE_PROVIDER_OPENAI,
};

struct bf_conf_custom_provider {
	int32_t base_provider_type; /* enum bf_base_provider */
	bool is_key_less;
	bool does_not_send_done_marker; /* a stream is whole when it said why it stopped */
};

struct bf_conf_provider {
	struct bf_slice name; /* key of the map */
	struct bf_array keys; /* of struct bf_conf_provider_key */
	struct bf_conf_network network_config;
	struct bf_conf_concurrency concurrency_and_buffer_size;
	struct bf_conf_custom_provider custom_provider_config;
	struct bf_conf_mock mock_config;
};

/* What its owner may spend in a window. Amounts are nano-dollars. */
struct bf_conf_budget {
	struct bf_slice id;
	int64_t max_limit_nusd;         /* max_limit, in dollars */
	struct bf_slice reset_duration; /* see common/base/window.h */
	bool calendar_aligned;          /* here or at the key */
	uint64_t quarter_start_month;   /* reset_config.quarter_start_month; 1: January */
	struct bf_slice last_reset; /* RFC 3339; where rolling windows are anchored; empty: 1970 */
	/* Owner: one of them in governance.budgets; all empty after loading. */
	struct bf_slice virtual_key_id, team_id, customer_id, provider_config_id, model_config_id;
};

/* Up to three limits with windows of their own; 0: no such limit. */
struct bf_conf_rate_limit {
	struct bf_slice id;
	int64_t token_max_limit;
	struct bf_slice token_reset_duration;
	struct bf_slice token_last_reset;
	int64_t request_max_limit;
	struct bf_slice request_reset_duration;
	struct bf_slice request_last_reset;
	int64_t concurrent_max_limit; /* ours: requests that run at once; has no window */
};

/* What every owner of limits has. After loading each has an id, and budgets holds its own and those
 * of governance.budgets that name it. */
struct bf_conf_owner {
	struct bf_slice id;
	struct bf_slice name;          /* as answers about limits show it */
	bool calendar_aligned;         /* of all its windows of a day and more */
	struct bf_slice rate_limit_id; /* empty: none */
	struct bf_array budgets;       /* of struct bf_conf_budget */
	struct bf_array budget;        /* older form: one of them; empty after loading */
};

struct bf_conf_customer {
	struct bf_conf_owner own;
};

struct bf_conf_team {
	struct bf_conf_owner own;
	struct bf_slice customer_id; /* empty: none */
};

/* What a virtual key may do at one provider. */
struct bf_conf_provider_config {
	struct bf_conf_owner own; /* name: the provider's, after loading */
	struct bf_slice provider;
	int64_t weight_micro;               /* BF_WEIGHT_NONE: takes no part in the choice */
	struct bf_array allowed_models;     /* of struct bf_slice; "*": all; none: none */
	struct bf_array blacklisted_models; /* counts before allowed_models */
	struct bf_array key_ids; /* ids or names of the provider's keys; "*": all; none: none */
};

#define BF_WEIGHT_NONE (-1)

/* Stored for the time that tools can be called. */
struct bf_conf_mcp_config {
	struct bf_slice mcp_client_name;
	struct bf_array tools_to_execute; /* of struct bf_slice */
};

enum bf_model_scope {
	BF_MODEL_GLOBAL,
	BF_MODEL_VIRTUAL_KEY,
};

/* Limits of a model, for everybody or for one key. */
struct bf_conf_model_config {
	struct bf_conf_owner own;   /* name: the model's, after loading */
	struct bf_slice model_name; /* without its provider; "*": any */
	struct bf_slice provider;   /* empty: any */
	int32_t scope;              /* enum bf_model_scope */
	struct bf_slice scope_id;   /* of the virtual key */
};

/* Limits of a provider, for everybody. */
struct bf_conf_provider_limits {
	struct bf_conf_owner own; /* name: the provider's; id: the same after loading */
};

enum bf_tristate {
	BF_TRI_UNSET,
	BF_TRI_FALSE,
	BF_TRI_TRUE,
};

struct bf_conf_virtual_key {
	struct bf_conf_owner own;
	struct bf_slice value; /* secret */
	struct bf_slice description;
	bool is_active;
	struct bf_slice team_id, customer_id; /* at most one; a team's customer counts too */
	struct bf_array provider_configs;     /* of struct bf_conf_provider_config */
	bool allow_all_providers;             /* those without a provider config too */
	struct bf_array mcp_configs;          /* of struct bf_conf_mcp_config */
	int64_t expires_at_ms;                /* since 1970; 0: never */
	bool delete_after_expire;
	int32_t disable_content_logging; /* enum bf_tristate; unset: as the client block says */
};

enum bf_price_match {
	BF_PRICE_EXACT,
	BF_PRICE_WILDCARD, /* '*' stands for any text */
};

/* Dollars per token, as integers of 1e-12. */
struct bf_conf_price {
	int64_t input_cost_per_token_pusd;
	int64_t output_cost_per_token_pusd;
	int64_t cache_read_input_token_cost_pusd; /* BF_PRICE_AS_INPUT: as any input; the loader
						     writes that price instead */
};

#define BF_PRICE_AS_INPUT (-1)

enum bf_price_scope {
	BF_PRICE_GLOBAL,
	BF_PRICE_PROVIDER,
};

struct bf_conf_pricing_override {
	struct bf_slice id, name;
	int32_t scope_kind;          /* enum bf_price_scope */
	struct bf_slice provider_id; /* scope_kind provider: its name; empty: global */
	int32_t match_type;          /* enum bf_price_match */
	struct bf_slice pattern;     /* of the model's name, without the provider */
	struct bf_conf_price pricing_patch;
};

struct bf_conf_governance {
	struct bf_array customers;         /* of struct bf_conf_customer */
	struct bf_array teams;             /* of struct bf_conf_team */
	struct bf_array virtual_keys;      /* of struct bf_conf_virtual_key */
	struct bf_array model_configs;     /* of struct bf_conf_model_config */
	struct bf_array providers;         /* of struct bf_conf_provider_limits */
	struct bf_array rate_limits;       /* of struct bf_conf_rate_limit */
	struct bf_array budgets;           /* of struct bf_conf_budget; empty after loading: each
					      stands at its owner */
	struct bf_array pricing_overrides; /* of struct bf_conf_pricing_override; which one counts:
					      common/govern/price.h */
};

enum bf_store_type {
	BF_STORE_SQLITE,
};

struct bf_conf_store {
	bool enabled;
	int32_t type;           /* enum bf_store_type */
	struct bf_slice path;   /* config.path; relative to the state folder */
	int64_t retention_days; /* logs_store only */
};

struct bf_conf_supervisor {
	uint64_t workers; /* 0: one per core */
	int64_t drain_timeout_ms;
	int64_t ready_timeout_ms;
	int64_t stall_timeout_ms; /* heartbeat silence before a child is killed */
	struct bf_slice state_dir;
	struct bf_slice runtime_dir;
	struct bf_array accept_unbuilt; /* of struct bf_slice: dotted keys */
	int32_t log_level;              /* index into debug, info, warn, error */
};

struct bf_config {
	struct bf_conf_server server;
	struct bf_conf_client client;
	struct bf_array providers; /* of struct bf_conf_provider */
	struct bf_conf_governance governance;
	struct bf_conf_store config_store;
	struct bf_conf_store logs_store;
	struct bf_conf_supervisor supervisor;
	/* Filled by the loader, not by the file: */
	struct bf_array unbuilt; /* of struct bf_slice: keys of Bifrost's that were named and have
				    no effect here */
	struct bf_slice config_hash; /* hex SHA-256 of the file */
	/* For compatibility of files: */
	struct bf_slice schema_url; /* "$schema", for editors */
	uint64_t
	    version; /* 1: an empty keys[].models means all models; 2: it is refused as ambiguous */
};

extern const struct bf_table bf_config_table;

/*
 * The most memory that one of so many workers can take under this configuration, in bytes, beside
 * its part of the segment: bodies and answers each within server.body_memory in buffers that grow
 * by doubling, every connection with a full header section and its pipelined bytes, requests that
 * run or wait, connections to providers, and 8 MiB of caches. The parts are in proxyd/README.md.
 */
uint64_t bf_config_worker_worst_bytes(const struct bf_config *config, uint32_t workers);

/* The server of a key of the provider of this name; never NULL, its url may be empty. */
const struct bf_conf_key_server *bf_conf_key_server(const struct bf_conf_provider *provider,
						    const struct bf_conf_provider_key *key);

/*
 * Headers of a request to a provider that neither the file nor a client may set: the gateway writes
 * them itself, or they would change how bytes are read or who is spoken for. Any case.
 */
bool bf_header_is_reserved(struct bf_slice name);

/* Has this provider a base URL of its own, so that a file need not give one? */
bool bf_provider_is_known(struct bf_slice name);
