/*
 * The description of providers.NAME.network_config: how a provider is reached and how long that may
 * take. Part of the tables of config.c; what several of its values must be to each other is settled
 * in complete_network.c.
 */
#include "common/schema/config_priv.h"

#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)

#define FOR_SUPERVISOR_WRITERD (BF_FOR_SUPERVISOR | BF_FOR_WRITERD)

static const struct bf_field network_fields[] = {
    {.name = "base_url",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_network, base_url),
     .max = 2048,
     .audience = BF_FOR_WRITERD,
     .doc = "Where the provider is: http:// or https://, host, optional port and path. Known "
	    "providers have their own."},
    {.name = "ca_cert_pem",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_network, ca_cert_pem),
     .max = 1 << 20,
     .flags = BF_FILE_TEXT,
     .audience = BF_FOR_WRITERD,
     .doc = "Certificates in PEM form to trust instead of the system's: the path of a file, "
	    "file.PATH, "
	    "env.NAME or the text itself."},
    {.name = "extra_headers",
     .type = BF_T_PAIRS,
     BF_FIELD(bf_conf_network, extra_headers),
     .max = BF_EXTRA_HEADERS_MAX,
     .settle = bf_settle_sent_header,
     .audience = BF_FOR_WRITERD,
     .doc = "Headers to send with every request, NAME: VALUE; a value may be env.NAME or "
	    "file.PATH and is shown nowhere."},
    {.name = "insecure_skip_verify",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_network, insecure_skip_verify),
     .dflt = "false",
     .audience = BF_FOR_WRITERD,
     .doc = "Do not check the provider's certificate: whoever sits on the way can read keys and "
	    "prompts."},
    {.name = "default_request_timeout_in_seconds",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_network, request_timeout_ms),
     .unit = SECOND,
     .min = 100,
     .max = 24 * HOUR,
     .dflt = "30s",
     .audience = BF_FOR_WRITERD,
     .doc = "Longest time of one attempt, its wait for a turn included, to the end of a plain "
	    "answer or to the head of a stream. A bare number counts seconds."},
    {.name = "connect_timeout_in_seconds",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_network, connect_timeout_ms),
     .unit = SECOND,
     .min = 10,
     .max = HOUR,
     .dflt = "10s",
     .audience = BF_FOR_WRITERD,
     .doc = "Longest time to find the provider's address, to connect and to agree on TLS. A bare "
	    "number counts seconds."},
    {.name = "first_byte_timeout_in_seconds",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_network, first_byte_timeout_ms),
     .unit = SECOND,
     .min = 0,
     .max = 24 * HOUR,
     .dflt = "0s",
     .audience = BF_FOR_WRITERD,
     .doc = "Longest time to the head of an answer; 0 stands for "
	    "default_request_timeout_in_seconds. A bare number counts seconds."},
    {.name = "total_timeout_in_seconds",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_network, total_timeout_ms),
     .unit = SECOND,
     .min = 100,
     .max = 24 * HOUR,
     .dflt = "1h",
     .audience = BF_FOR_WRITERD,
     .doc = "Longest time of all attempts, waits and the stream together. A bare number counts "
	    "seconds."},
    {.name = "stream_idle_timeout_in_seconds",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_network, stream_idle_timeout_ms),
     .unit = SECOND,
     .min = 100,
     .max = 24 * HOUR,
     .dflt = "60s",
     .audience = BF_FOR_WRITERD,
     .doc = "Longest silence within a stream. A bare number counts seconds."},
    {.name = "max_retries",
     .type = BF_T_UINT,
     BF_FIELD(bf_conf_network, max_retries),
     .min = 0,
     .max = 100,
     .dflt = "0",
     .audience = BF_FOR_WRITERD,
     .doc = "Further attempts after a network error, a 500, 502, 503 or 504, or when every key got "
	    "a 429."},
    {.name = "retry_backoff_initial",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_network, retry_backoff_initial_ms),
     .unit = 1,
     .min = 0,
     .max = HOUR,
     .dflt = "500ms",
     .audience = BF_FOR_WRITERD,
     .doc =
	 "Wait before the second attempt; it doubles with each further one. A bare number counts "
	 "milliseconds."},
    {.name = "retry_backoff_max",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_network, retry_backoff_max_ms),
     .unit = 1,
     .min = 0,
     .max = HOUR,
     .dflt = "5s",
     .audience = BF_FOR_WRITERD,
     .doc = "Longest such wait. A bare number counts milliseconds."},
    {.name = "max_conns_per_host",
     .type = BF_T_UINT,
     BF_FIELD(bf_conf_network, max_conns_per_host),
     .min = 1,
     .max = 10000,
     .dflt = "5000",
     .audience = FOR_SUPERVISOR_WRITERD,
     .doc = "Connections to the provider that this node holds at once, divided among the workers, "
	    "rounded up."},
    {.name = "allow_private_network",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_network, allow_private_network),
     .dflt = "false",
     .audience = BF_FOR_WRITERD,
     .doc = "Calls may go to private addresses (RFC 1918 and unique local ones). Loopback is "
	    "always allowed, link-local never."},
};

const struct bf_table bf_network_table = {
    .name = "providers.network_config",
    .size = sizeof(struct bf_conf_network),
    BF_ROWS(network_fields),
    .doc = "How the provider is reached.",
};
