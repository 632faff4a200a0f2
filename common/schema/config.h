/*
 * The typed configuration: one struct per block of the YAML file, filled by walking the tables in
 * config.c. A child gets the same struct with the fields outside its audience left at their
 * defaults.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/config_governance.h"
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
	struct bf_conf_pricing pricing; /* framework.pricing */
	struct bf_conf_store config_store;
	struct bf_conf_store logs_store;
	struct bf_conf_supervisor supervisor;
	struct bf_slice encryption_key; /* secret; empty: no secrets are kept on disk */
	/* Filled by the loader, not by the file: */
	struct bf_array unbuilt; /* of struct bf_slice: keys of Bifrost's that were named and have
				    no effect here */
	struct bf_slice config_hash; /* hex SHA-256 of the file */
	uint64_t governance_bytes;   /* the most that keys, owners and limits take in a process that
					has them; for who is not to see them */
	/* For compatibility of files: */
	bool names_version; /* the file says so; without, keys may use all providers */
	struct bf_conf_auth_config auth_config; /* older place of governance.auth_config; empty
						   after loading */
	struct bf_slice schema_url;             /* "$schema", for editors */
	uint64_t
	    version; /* 1: an empty keys[].models means all models; 2: it is refused as ambiguous */
};

extern const struct bf_table bf_config_table;

/*
 * The most memory that one of so many workers can take under this configuration, in bytes, beside
 * its part of the segment: bodies and answers each within server.body_memory in buffers that grow
 * by doubling, every connection with a full header section and its pipelined bytes, requests that
 * run or wait, connections to providers, limits, and 8 MiB of caches. The parts are in
 * proxyd/README.md.
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

/* Is a request to this provider without a key refused there? */
bool bf_provider_needs_key(const struct bf_conf_provider *provider);

/* Has this provider a base URL of its own, so that a file need not give one? */
bool bf_provider_is_known(struct bf_slice name);
