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
};

struct bf_conf_client {
	bool enable_logging;                  /* rows in the logs store */
	bool disable_content_logging;         /* rows without prompts and answers */
	uint64_t max_request_body_size_bytes; /* max_request_body_size_mb */
	int64_t log_retention_days; /* Bifrost's other name of logs_store.retention_days; equals it
				       after loading */
};

struct bf_conf_provider_key {
	struct bf_slice id; /* derived from the name when absent */
	struct bf_slice name;
	struct bf_slice value;  /* secret */
	struct bf_array models; /* of struct bf_slice; empty or "*": all */
	struct bf_array blacklisted_models;
	int64_t weight_micro;
	bool enabled;
};

struct bf_conf_network {
	struct bf_slice base_url;
	struct bf_slice ca_cert_pem;
	int64_t request_timeout_ms;     /* default_request_timeout_in_seconds */
	int64_t stream_idle_timeout_ms; /* stream_idle_timeout_in_seconds */
	bool allow_private_network;     /* may calls go to RFC 1918 and unique local addresses? */
};

/* The built-in provider that needs no network: for first steps and for tests. */
struct bf_conf_mock {
	struct bf_slice reply;     /* text of every answer; empty: echoes the last user message */
	int64_t latency_ms;        /* before the first byte */
	int64_t token_interval_ms; /* between two events of a stream */
};

struct bf_conf_provider {
	struct bf_slice name; /* key of the map */
	struct bf_array keys; /* of struct bf_conf_provider_key */
	struct bf_conf_network network_config;
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
 * The most memory one worker can take under this configuration, in bytes, beside its part of the
 * segment: bodies and answers each within server.body_memory in buffers that grow by doubling,
 * every connection with a full header section and its pipelined bytes, and 8 MiB of caches. The
 * parts are in proxyd/README.md.
 */
uint64_t bf_config_worker_worst_bytes(const struct bf_config *config);

/* Has this provider a base URL of its own, so that a file need not give one? */
bool bf_provider_is_known(struct bf_slice name);
