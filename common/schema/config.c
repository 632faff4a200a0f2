/*
 * The description of bifrost.yaml, but for the providers: every key with its bounds, default, text,
 * reader and what a reload does with it. Decoder, slices, man page and JSON schema walk these rows;
 * nothing else knows a key.
 */
#include "common/schema/config_priv.h"

#include "common/base/macros.h"

#define TABLE(fields_) .fields = (fields_), .field_count = BF_ARRAY_LEN(fields_)

#define MB     (INT64_C(1) << 20)
#define GB     (INT64_C(1) << 30)
#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)

#define FOR_SUPERVISOR_PROXYD  (BF_FOR_SUPERVISOR | BF_FOR_PROXYD)
#define FOR_SUPERVISOR_WRITERD (BF_FOR_SUPERVISOR | BF_FOR_WRITERD)
#define FOR_PROXYD_WRITERD     (BF_FOR_PROXYD | BF_FOR_WRITERD)

static const struct bf_field server_fields[] = {
    {.name = "listen",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_server, listen),
     .max = BF_LISTEN_MAX,
     .dflt = "127.0.0.1:8080",
     .audience = FOR_SUPERVISOR_PROXYD,
     .reload = BF_RELOAD_START,
     .doc = "Addresses to serve clients on: HOST:PORT, [V6]:PORT, or :PORT for all addresses. One "
	    "string or a list."},
    {.name = "read_buffer_size",
     .type = BF_T_SIZE,
     BF_FIELD(bf_conf_server, read_buffer_size_bytes),
     .unit = 1,
     .min = 4096,
     .max = MB,
     .dflt = "64KB",
     .audience = FOR_SUPERVISOR_PROXYD,
     .doc = "Largest header section of a request; a longer one is answered with 431. A bare number "
	    "counts bytes."},
    {.name = "header_timeout",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_server, header_timeout_ms),
     .min = 100,
     .max = HOUR,
     .dflt = "10s",
     .audience = BF_FOR_PROXYD,
     .doc = "Longest time from the first byte of a request to the end of its header section."},
    {.name = "body_timeout",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_server, body_timeout_ms),
     .min = 100,
     .max = HOUR,
     .dflt = "30s",
     .audience = BF_FOR_PROXYD,
     .doc = "Longest pause between two pieces of a request's body."},
    {.name = "idle_timeout",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_server, idle_timeout_ms),
     .min = 100,
     .max = 24 * HOUR,
     .dflt = "75s",
     .audience = BF_FOR_PROXYD,
     .doc = "How long a connection without a request is kept open."},
    {.name = "write_timeout",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_server, write_timeout_ms),
     .min = 100,
     .max = HOUR,
     .dflt = "60s",
     .audience = BF_FOR_PROXYD,
     .doc = "Longest time a client may leave an answer unread before its connection is closed."},
    {.name = "max_connections",
     .type = BF_T_UINT,
     BF_FIELD(bf_conf_server, max_connections),
     .min = 1,
     .max = 1000000,
     .dflt = "10000",
     .audience = FOR_SUPERVISOR_PROXYD,
     .doc = "Client connections that one worker holds at once; further ones wait to be accepted."},
    {.name = "body_memory",
     .type = BF_T_SIZE,
     BF_FIELD(bf_conf_server, body_memory_bytes),
     .min = MB,
     .max = 64 * GB,
     .dflt = "256MB",
     .audience = FOR_SUPERVISOR_PROXYD,
     .doc = "Memory that one worker gives to request bodies; a request beyond it is answered with "
	    "503."},
};

const struct bf_table bf_server_table = {
    .name = "server",
    .size = sizeof(struct bf_conf_server),
    TABLE(server_fields),
    .doc = "The side that clients see.",
};

static const struct bf_field client_fields[] = {
    {.name = "enable_logging",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_client, enable_logging),
     .dflt = "true",
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Write one row per request into the logs store."},
    {.name = "disable_content_logging",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_client, disable_content_logging),
     .dflt = "false",
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Keep prompts and answers out of these rows; tokens, times and status stay."},
    {.name = "max_request_body_size_mb",
     .type = BF_T_SIZE,
     BF_FIELD(bf_conf_client, max_request_body_size_bytes),
     .unit = MB,
     .min = 1024,
     .max = GB,
     .dflt = "100MB",
     .audience = BF_FOR_PROXYD,
     .doc = "Largest body of a request; a larger one is answered with 413. A bare number counts "
	    "megabytes."},
    {.name = "log_retention_days",
     .type = BF_T_INT,
     BF_FIELD(bf_conf_client, log_retention_days),
     .min = 1,
     .max = 36500,
     .dflt = "365",
     .flags = BF_HIDDEN,
     .doc = "Other name of logs_store.retention_days."},
};

const struct bf_table bf_client_table = {
    .name = "client",
    .size = sizeof(struct bf_conf_client),
    TABLE(client_fields),
    .doc = "What is accepted from clients and what is kept of it.",
};

/* Postgres and the like are refused by name: rows of unbuilt.c. */
static const char *const store_types[] = {"sqlite", NULL};

static const struct bf_field config_path_fields[] = {
    {.name = "path",
     .type = BF_T_STRING,
     .max = 1024,
     .dflt = "config.db",
     .audience = FOR_SUPERVISOR_WRITERD,
     .reload = BF_RELOAD_START,
     .doc = "Database file; a relative path starts at the state folder."},
};

static const struct bf_table config_path_table = {
    .name = "config_store.config",
    .size = sizeof(struct bf_slice),
    TABLE(config_path_fields),
    .doc = "Where the store is.",
};

static const struct bf_field logs_path_fields[] = {
    {.name = "path",
     .type = BF_T_STRING,
     .max = 1024,
     .dflt = "logs.db",
     .audience = FOR_SUPERVISOR_WRITERD,
     .reload = BF_RELOAD_START,
     .doc = "Database file; a relative path starts at the state folder."},
};

static const struct bf_table logs_path_table = {
    .name = "logs_store.config",
    .size = sizeof(struct bf_slice),
    TABLE(logs_path_fields),
    .doc = "Where the store is.",
};

static const struct bf_field config_store_fields[] = {
    {.name = "enabled",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_store, enabled),
     .dflt = "true",
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "Keep a database of entities; false: this file is all there is."},
    {.name = "type",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_store, type),
     .choices = store_types,
     .dflt = "sqlite",
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "Kind of database."},
    {.name = "config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_store, path),
     .sub = &config_path_table,
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "Where the store is."},
};

const struct bf_table bf_config_store_table = {
    .name = "config_store",
    .size = sizeof(struct bf_conf_store),
    TABLE(config_store_fields),
    .doc = "The database of providers, keys and other entities.",
};

static const struct bf_field logs_store_fields[] = {
    {.name = "enabled",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_store, enabled),
     .dflt = "true",
     .audience = BF_FOR_SUPERVISOR | FOR_PROXYD_WRITERD,
     .doc = "Keep a database of requests."},
    {.name = "type",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_store, type),
     .choices = store_types,
     .dflt = "sqlite",
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "Kind of database."},
    {.name = "config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_store, path),
     .sub = &logs_path_table,
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "Where the store is."},
    {.name = "retention_days",
     .type = BF_T_INT,
     BF_FIELD(bf_conf_store, retention_days),
     .min = 1,
     .max = 36500,
     .dflt = "365",
     .audience = BF_FOR_WRITERD,
     .doc = "Rows older than this are removed."},
};

const struct bf_table bf_logs_store_table = {
    .name = "logs_store",
    .size = sizeof(struct bf_conf_store),
    TABLE(logs_store_fields),
    .doc = "The database of requests: one row each.",
};

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

static const struct bf_field supervisor_fields[] = {
    {.name = "workers",
     .type = BF_T_UINT,
     BF_FIELD(bf_conf_supervisor, workers),
     .min = 0,
     .max = BF_WORKERS_MAX,
     .dflt = "0",
     .audience = BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_START,
     .doc = "Processes that serve clients; 0: one per core, at most 32."},
    {.name = "drain_timeout",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_supervisor, drain_timeout_ms),
     .min = SECOND,
     .max = 24 * HOUR,
     .dflt = "90s",
     .audience = FOR_SUPERVISOR_PROXYD,
     .doc = "How long a worker that leaves may finish its requests and streams."},
    {.name = "ready_timeout",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_supervisor, ready_timeout_ms),
     .min = 100,
     .max = HOUR,
     .dflt = "10s",
     .audience = BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_LIVE,
     .doc = "How long a new process may take to become ready before it is killed."},
    {.name = "stall_timeout",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_supervisor, stall_timeout_ms),
     .min = 2 * SECOND,
     .max = HOUR,
     .dflt = "30s",
     .audience = BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_LIVE,
     .doc = "Silence of a process's heartbeat after which it is killed and replaced."},
    {.name = "state_dir",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_supervisor, state_dir),
     .max = 1024,
     .dflt = "/var/lib/bifrost",
     .audience = BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_START,
     .doc = "Folder of the databases. BIFROST_STATE_DIR in the environment wins."},
    {.name = "runtime_dir",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_supervisor, runtime_dir),
     .max = BF_RUNTIME_DIR_MAX,
     .dflt = "/run/bifrost",
     .audience = BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_START,
     .doc = "Folder of lock, shared segment and control socket, on a tmpfs. BIFROST_RUNTIME_DIR in "
	    "the environment wins."},
    {.name = "accept_unbuilt",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_supervisor, accept_unbuilt),
     .max = BF_ACCEPT_UNBUILT_MAX,
     .audience = BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_LIVE,
     .doc = "Keys about safety or money that this build does not have and that may stand in the "
	    "file all the same, "
	    "dotted, with * for names you chose."},
    {.name = "log_level",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_supervisor, log_level),
     .choices = log_levels,
     .dflt = "info",
     .audience = BF_FOR_ALL,
     .doc = "Least severe lines that all processes write."},
};

const struct bf_table bf_supervisor_table = {
    .name = "supervisor",
    .size = sizeof(struct bf_conf_supervisor),
    TABLE(supervisor_fields),
    .doc = "Processes and folders of this node.",
};

static const struct bf_field config_fields[] = {
    {.name = "$schema",
     .type = BF_T_STRING,
     BF_FIELD(bf_config, schema_url),
     .max = 1024,
     .flags = BF_HIDDEN,
     .doc = "URL of the JSON schema, for editors."},
    {.name = "version",
     .type = BF_T_UINT,
     BF_FIELD(bf_config, version),
     .min = 1,
     .max = 2,
     .dflt = "2",
     .reload = BF_RELOAD_LIVE,
     .doc = "Meaning of an empty list of models in a key: 1 all models; 2 it is refused, because "
	    "Bifrost denies "
	    "all models there."},
    {.name = "server",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_config, server),
     .sub = &bf_server_table,
     .audience = FOR_SUPERVISOR_PROXYD,
     .doc = "The side that clients see."},
    {.name = "client",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_config, client),
     .sub = &bf_client_table,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "What is accepted from clients and what is kept of it."},
    {.name = "providers",
     .type = BF_T_MAP,
     BF_FIELD(bf_config, providers),
     .sub = &bf_provider_table,
     .max = BF_PROVIDERS_MAX,
     .audience = BF_FOR_PROXYD,
     .doc = "Upstreams by name."},
    {.name = "config_store",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_config, config_store),
     .sub = &bf_config_store_table,
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "The database of entities."},
    {.name = "logs_store",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_config, logs_store),
     .sub = &bf_logs_store_table,
     .audience = BF_FOR_SUPERVISOR | FOR_PROXYD_WRITERD,
     .doc = "The database of requests."},
    {.name = "supervisor",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_config, supervisor),
     .sub = &bf_supervisor_table,
     .audience = BF_FOR_ALL,
     .doc = "Processes and folders of this node."},
    {.name = "unbuilt",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_config, unbuilt),
     .max = BF_UNBUILT_NAMES_MAX,
     .flags = BF_INTERNAL,
     .audience = FOR_SUPERVISOR_PROXYD,
     .doc = "Keys that have no effect."},
    {.name = "config_hash",
     .type = BF_T_STRING,
     BF_FIELD(bf_config, config_hash),
     .max = 64,
     .flags = BF_INTERNAL,
     .audience = BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_LIVE,
     .doc = "SHA-256 of the file."},
};

const struct bf_table bf_config_table = {
    .name = "",
    .size = sizeof(struct bf_config),
    TABLE(config_fields),
    .doc = "The configuration of a node.",
};
