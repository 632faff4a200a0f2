/*
 * The description of bifrost.yaml, but for the client's and the providers' side: every key with its
 * bounds, default, text, reader and what a reload does with it. Decoder, slices, man page and JSON
 * schema walk these rows; nothing else knows a key.
 */
#include "common/schema/config_priv.h"

#include "common/base/macros.h"

#define MB     (INT64_C(1) << 20)
#define GB     (INT64_C(1) << 30)
#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)

#define FOR_SUPERVISOR_PROXYD  (BF_FOR_SUPERVISOR | BF_FOR_PROXYD)
#define FOR_SUPERVISOR_WRITERD (BF_FOR_SUPERVISOR | BF_FOR_WRITERD)
#define FOR_PROXYD_WRITERD     (BF_FOR_PROXYD | BF_FOR_WRITERD)

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
    BF_ROWS(config_path_fields),
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
    BF_ROWS(logs_path_fields),
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
    BF_ROWS(config_store_fields),
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
    BF_ROWS(logs_store_fields),
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
     .audience = FOR_SUPERVISOR_PROXYD | BF_FOR_WRITERD,
     .doc = "How long a worker that leaves may finish its requests and streams."},
    {.name = "ready_timeout",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_supervisor, ready_timeout_ms),
     .min = 100,
     .max = HOUR,
     .dflt = "10s",
     .audience = BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_LIVE,
     .doc = "How long a new process may take to become ready before it is killed, and how long one "
	    "that loads for longer may be silent about it."},
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
    BF_ROWS(supervisor_fields),
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
     .audience = BF_FOR_WRITERD,
     .doc =
	 "Meaning of lists that are empty. Models of a provider's key: all in 1; refused in 2, "
	 "because Bifrost denies all models there. allowed_models and key_ids of a provider "
	 "config: all in 1, none in 2. provider_configs of a virtual key: all providers in 1, none "
	 "in 2, and all when the file names no version."},
    {.name = "server",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_config, server),
     .sub = &bf_server_table,
     .audience = FOR_SUPERVISOR_PROXYD | BF_FOR_WRITERD,
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
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "Upstreams by name."},
    {.name = "governance",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_config, governance),
     .sub = &bf_governance_table,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Who may use how much."},
    {.name = "framework",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_config, pricing),
     .sub = &bf_framework_table,
     .audience = FOR_SUPERVISOR_PROXYD | BF_FOR_WRITERD,
     .doc = "What the gateway knows of models."},
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
    {.name = "encryption_key",
     .type = BF_T_SECRET,
     BF_FIELD(bf_config, encryption_key),
     .max = 1024,
     .settle = bf_settle_encryption_key,
     .audience = BF_FOR_WRITERD,
     .reload = BF_RELOAD_ROLL,
     .doc =
	 "Secret of at least 16 bytes from which the keys are made that seal secrets in the "
	 "config store and in the copy of what was last in force; best as env.NAME or file.PATH. "
	 "Without it neither secrets nor that copy are kept on disk. What was sealed with "
	 "another one cannot be read."},
    {.name = "names_version",
     .type = BF_T_BOOL,
     BF_FIELD(bf_config, names_version),
     .flags = BF_INTERNAL,
     .audience = BF_FOR_WRITERD,
     .doc = "The file names its version."},
    {.name = "auth_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_config, auth_config),
     .sub = &bf_auth_config_table,
     .flags = BF_HIDDEN,
     .doc = "Older place of governance.auth_config."},
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
    {.name = "governance_bytes",
     .type = BF_T_UINT,
     BF_FIELD(bf_config, governance_bytes),
     .max = INT64_MAX,
     .flags = BF_INTERNAL,
     .audience = BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_LIVE,
     .doc = "Memory for limits."},
};

const struct bf_table bf_config_table = {
    .name = "",
    .size = sizeof(struct bf_config),
    BF_ROWS(config_fields),
    .doc = "The configuration of a node.",
};
