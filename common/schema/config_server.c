/*
 * The description of the blocks server and client: what is accepted, from whom, and how long it may
 * take. Part of the tables of config.c.
 */
#include "common/schema/config_priv.h"

#define MB     (INT64_C(1) << 20)
#define GB     (INT64_C(1) << 30)
#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)

#define FOR_SUPERVISOR_PROXYD (BF_FOR_SUPERVISOR | BF_FOR_PROXYD)
#define FOR_PROXYD_WRITERD    (BF_FOR_PROXYD | BF_FOR_WRITERD)

static int check_tls(const void *object, struct bf_err *err)
{
	const struct bf_conf_tls *tls = object;

	if ((tls->cert.len > 0) == (tls->key.len > 0))
		return 0;
	return bf_err_set(err, BF_E_MISSING,
			  "\"%s\" is missing: TLS needs both cert and key, plain HTTP neither",
			  tls->cert.len ? "key" : "cert");
}

static const struct bf_field tls_fields[] = {
    {.name = "cert",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_tls, cert),
     .max = MB,
     .settle = bf_settle_cert_pem,
     .flags = BF_FILE_TEXT,
     .audience = FOR_SUPERVISOR_PROXYD,
     .doc = "Certificate chain in PEM form, the server's own first: the path of a file, file.PATH, "
	    "env.NAME or the text itself. A reload reads the file again."},
    {.name = "key",
     .type = BF_T_SECRET,
     BF_FIELD(bf_conf_tls, key),
     .max = 65536,
     .settle = bf_settle_key_pem,
     .flags = BF_FILE_TEXT,
     .audience = BF_FOR_PROXYD,
     .doc = "Private key of the certificate in PEM form, without a passphrase, named like cert."},
};

static const struct bf_table tls_table = {
    .name = "server.tls",
    .size = sizeof(struct bf_conf_tls),
    BF_ROWS(tls_fields),
    .check = check_tls,
    .doc = "Certificate and key with which clients are served; neither: plain HTTP.",
};

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
     .doc = "Client connections that one worker holds at once; further ones are closed at once."},
    {.name = "body_memory",
     .type = BF_T_SIZE,
     BF_FIELD(bf_conf_server, body_memory_bytes),
     .min = MB,
     .max = 64 * GB,
     .dflt = "256MB",
     .audience = FOR_SUPERVISOR_PROXYD | BF_FOR_WRITERD,
     .doc = "Memory that one worker gives to request bodies; a request beyond it is answered with "
	    "503."},
    {.name = "heartbeat_interval",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_server, heartbeat_interval_ms),
     .min = 0,
     .max = HOUR,
     .dflt = "15s",
     .audience = BF_FOR_PROXYD,
     .doc = "Silence of a stream after which its client is sent a comment line, once the provider "
	    "accepted the request. 0s sends none."},
    {.name = "early_heartbeat_after",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_server, early_heartbeat_after_ms),
     .min = 0,
     .max = HOUR,
     .dflt = "0s",
     .audience = BF_FOR_PROXYD,
     .doc = "Wait for the provider after which a stream is answered with 200 and comment lines; "
	    "errors that follow can only be told within the stream. 0s waits for the provider."},
    {.name = "tls",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_server, tls),
     .sub = &tls_table,
     .audience = FOR_SUPERVISOR_PROXYD,
     .doc = "Certificate and key with which clients are served; neither: plain HTTP."},
};

const struct bf_table bf_server_table = {
    .name = "server",
    .size = sizeof(struct bf_conf_server),
    BF_ROWS(server_fields),
    .doc = "The side that clients see.",
};

static const struct bf_field header_filter_fields[] = {
    {.name = "allowlist",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_header_filter, allowlist),
     .max = BF_HEADER_NAMES_MAX,
     .settle = bf_settle_header_name,
     .audience = BF_FOR_WRITERD,
     .doc = "Headers that may go to a provider, as x-bf-eh-NAME or under their own name; empty: "
	    "any, as x-bf-eh-NAME."},
    {.name = "denylist",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_header_filter, denylist),
     .max = BF_HEADER_NAMES_MAX,
     .settle = bf_settle_header_name,
     .audience = BF_FOR_WRITERD,
     .doc = "Headers that never go to a provider; wins over allowlist."},
};

static const struct bf_table header_filter_table = {
    .name = "client.header_filter_config",
    .size = sizeof(struct bf_conf_header_filter),
    BF_ROWS(header_filter_fields),
    .doc = "Which headers of a request go to the provider.",
};

#define CLIENT_LIVE_FROM 1
#define CLIENT_LIVE      8

/* Those that workers take over while they serve stand together: bf_client_live_table. */
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
     .audience = BF_FOR_WRITERD,
     .doc = "Keep prompts and answers out of these rows; tokens, times and status stay."},
    {.name = "max_request_body_size_mb",
     .type = BF_T_SIZE,
     BF_FIELD(bf_conf_client, max_request_body_size_bytes),
     .unit = MB,
     .min = 1024,
     .max = GB,
     .dflt = "100MB",
     .audience = BF_FOR_WRITERD,
     .doc = "Largest body of a request; a larger one is answered with 413. A bare number counts "
	    "megabytes."},
    {.name = "drop_excess_requests",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_client, drop_excess_requests),
     .dflt = "false",
     .audience = BF_FOR_WRITERD,
     .doc = "Refuse a request with 503 when the queue of its provider is full, instead of letting "
	    "it wait for its turn."},
    {.name = "allowed_origins",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_client, allowed_origins),
     .max = 256,
     .dflt = "*",
     .settle = bf_settle_origin,
     .audience = BF_FOR_WRITERD,
     .doc = "Web pages that may call from a browser, by origin: SCHEME://HOST[:PORT], or * for "
	    "all. Pages on localhost always may."},
    {.name = "allowed_headers",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_client, allowed_headers),
     .max = BF_HEADER_NAMES_MAX,
     .settle = bf_settle_header_or_all,
     .audience = BF_FOR_WRITERD,
     .doc = "Headers that such pages may send beside the usual ones; * for all."},
    {.name = "required_headers",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_client, required_headers),
     .max = BF_HEADER_NAMES_MAX,
     .settle = bf_settle_header_name,
     .audience = BF_FOR_WRITERD,
     .doc = "Headers that every inference request must have; one without is answered with 400."},
    {.name = "header_filter_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_client, header_filter_config),
     .sub = &header_filter_table,
     .audience = BF_FOR_WRITERD,
     .doc = "Which headers of a request go to the provider."},
    {.name = "enforce_auth_on_inference",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_client, enforce_auth_on_inference),
     .dflt = "false",
     .audience = BF_FOR_WRITERD,
     .doc = "Refuse an inference request without a virtual key with 401."},
    {.name = "enforce_governance_header",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_client, enforce_governance_header),
     .dflt = "false",
     .flags = BF_HIDDEN,
     .doc = "Other name of enforce_auth_on_inference."},
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
    BF_ROWS(client_fields),
    .doc = "What is accepted from clients and what is kept of it.",
};

const struct bf_table bf_client_live_table = {
    .name = "client",
    .size = sizeof(struct bf_conf_client),
    .fields = &client_fields[CLIENT_LIVE_FROM],
    .field_count = CLIENT_LIVE,
    .doc = "What is accepted from clients and what is kept of it, as far as it can change while "
	   "requests run.",
};
