/*
 * Failures in the vocabulary that dashboards know. Called for error bodies and error counters. Must
 * never return a name outside it: the names are labels, and every new one is a new series.
 */
#include "proxyd/gate/error_class.h"

#include <stddef.h>
#include <string.h>

#include "common/base/macros.h"
#include "proxyd/exchange.h"

static const struct {
	const char *type, *name;
} error_classes[] = {
    /* what was asked */
    {"invalid_request", "caller_invalid_request"},
    {"model_not_found", "caller_model_unknown"},
    {"no_provider_key", "caller_model_not_available"},
    {EXCHANGE_CLIENT_GONE, "caller_cancelled"},
    /* what the provider did */
    {"upstream_auth_failed", "provider_auth_failed"},
    {"upstream_credentials_exhausted", "provider_credentials_exhausted"},
    {"upstream_rate_limited", "provider_rate_limited"},
    {"upstream_timeout", "provider_timeout"},
    {"upstream_connect_timeout", "provider_timeout"},
    {"upstream_address_refused", "provider_connection_failed"},
    {"upstream_closed", "provider_connection_failed"},
    {"upstream_connect_failed", "provider_connection_failed"},
    {"upstream_resolve_failed", "provider_connection_failed"},
    {"upstream_tls_failed", "provider_connection_failed"},
    {"upstream_truncated", "provider_connection_failed"},
    {"upstream_protocol_error", "provider_server_error"},
    {"upstream_stream_error", "provider_server_error"},
    {"answer_too_large", "provider_server_error"},
    /* what was not even tried */
    {"bifrost_dropped", "bifrost_dropped"},
    {"upstream_connections_full", "bifrost_dropped"},
    {"overloaded", "bifrost_dropped"},
    {"body_memory_full", "bifrost_dropped"},
    {"answer_memory_full", "bifrost_dropped"},
    {"out_of_memory", "bifrost_internal"},
    {"internal", "bifrost_internal"},
    {EXCHANGE_WORKER_LEFT, "bifrost_internal"},
};

static const struct {
	int http_status;
	const char *name;
} error_status_classes[] = {
    {401, "provider_auth_failed"}, {402, "provider_billing"},      {403, "provider_auth_failed"},
    {408, "provider_timeout"},     {429, "provider_rate_limited"}, {499, "caller_cancelled"},
    {503, "provider_overloaded"},  {504, "provider_timeout"},      {529, "provider_overloaded"},
};

static const char *error_class_of_status(int http_status)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(error_status_classes); i++) {
		if (error_status_classes[i].http_status == http_status)
			return error_status_classes[i].name;
	}
	if (http_status >= 400 && http_status <= 499)
		return "caller_invalid_request";
	return http_status >= 500 && http_status <= 599 ? "provider_server_error" : "_OTHER";
}

const char *error_class(int http_status, const char *type, const char *code)
{
	if (code && strcmp(code, "model_not_found") == 0)
		return "caller_model_unknown";
	if (code && strcmp(code, "insufficient_quota") == 0)
		return "provider_billing";
	for (size_t i = 0; type && i < BF_ARRAY_LEN(error_classes); i++) {
		if (strcmp(error_classes[i].type, type) == 0)
			return error_classes[i].name;
	}
	return error_class_of_status(http_status);
}
