/*
 * Failures in the vocabulary that dashboards know. Called for rows of failed requests, and for
 * error bodies and counters. Must never return a name outside it: the names are labels, and every
 * new one is a new series.
 */
#include "common/base/error_class.h"

#include <stddef.h>
#include <string.h>

#include "common/base/macros.h"

#define X(number, name) name,
static const char *const names[] = {BF_ERROR_CLASSES};
#undef X

static const struct {
	const char *type;
	enum bf_error_class number;
} type_classes[] = {
    /* what was asked */
    {"invalid_request", BF_ERROR_CLASS_CALLER_INVALID_REQUEST},
    {"loopback_only", BF_ERROR_CLASS_CALLER_INVALID_REQUEST},
    {"origin_not_allowed", BF_ERROR_CLASS_CALLER_INVALID_REQUEST},
    {"model_not_found", BF_ERROR_CLASS_CALLER_MODEL_UNKNOWN},
    {"no_provider_key", BF_ERROR_CLASS_CALLER_MODEL_NOT_AVAILABLE},
    {"request_timeout",
     BF_ERROR_CLASS_CALLER_INVALID_REQUEST}, /* our own 408: its client was slow */
    {"client_gone", BF_ERROR_CLASS_CALLER_CANCELLED},
    {"missing_required_headers", BF_ERROR_CLASS_CALLER_INVALID_REQUEST},
    {"body_too_large", BF_ERROR_CLASS_CALLER_INVALID_REQUEST},
    /* what a key may */
    {"authentication_required", BF_ERROR_CLASS_POLICY_ACCESS_DENIED},
    {"virtual_key_required", BF_ERROR_CLASS_POLICY_ACCESS_DENIED},
    {"virtual_key_not_found", BF_ERROR_CLASS_POLICY_ACCESS_DENIED},
    {"virtual_key_blocked", BF_ERROR_CLASS_POLICY_ACCESS_DENIED},
    {"provider_blocked", BF_ERROR_CLASS_POLICY_PROVIDER_BLOCKED},
    {"model_blocked", BF_ERROR_CLASS_POLICY_MODEL_BLOCKED},
    {"provider_key_blocked", BF_ERROR_CLASS_POLICY_ACCESS_DENIED},
    {"model_unpriced", BF_ERROR_CLASS_POLICY_ACCESS_DENIED},
    {"budget_exceeded", BF_ERROR_CLASS_POLICY_BUDGET_EXCEEDED},
    {"request_limited", BF_ERROR_CLASS_POLICY_RATE_LIMITED},
    {"token_limited", BF_ERROR_CLASS_POLICY_RATE_LIMITED},
    {"rate_limited", BF_ERROR_CLASS_POLICY_RATE_LIMITED},
    {"limits_busy", BF_ERROR_CLASS_BIFROST_DROPPED},
    {"limits_not_ready", BF_ERROR_CLASS_BIFROST_DROPPED},
    {"governance_not_loaded", BF_ERROR_CLASS_BIFROST_DROPPED},
    /* what the provider did */
    {"upstream_auth_failed", BF_ERROR_CLASS_PROVIDER_AUTH_FAILED},
    {"upstream_credentials_exhausted", BF_ERROR_CLASS_PROVIDER_CREDENTIALS_EXHAUSTED},
    {"upstream_rate_limited", BF_ERROR_CLASS_PROVIDER_RATE_LIMITED},
    {"upstream_quota_exhausted", BF_ERROR_CLASS_PROVIDER_BILLING},
    {"upstream_timeout", BF_ERROR_CLASS_PROVIDER_TIMEOUT},
    {"upstream_connect_timeout", BF_ERROR_CLASS_PROVIDER_TIMEOUT},
    {"upstream_address_refused", BF_ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_closed", BF_ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_connect_failed", BF_ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_resolve_failed", BF_ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_tls_failed", BF_ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_truncated", BF_ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_protocol_error", BF_ERROR_CLASS_PROVIDER_SERVER_ERROR},
    {"upstream_stream_error", BF_ERROR_CLASS_PROVIDER_SERVER_ERROR},
    {"answer_too_large", BF_ERROR_CLASS_PROVIDER_SERVER_ERROR},
    /* what was not even tried */
    {"bifrost_dropped", BF_ERROR_CLASS_BIFROST_DROPPED},
    {"upstream_connections_full", BF_ERROR_CLASS_BIFROST_DROPPED},
    {"overloaded", BF_ERROR_CLASS_BIFROST_DROPPED},
    {"body_memory_full", BF_ERROR_CLASS_BIFROST_DROPPED},
    {"answer_memory_full", BF_ERROR_CLASS_BIFROST_DROPPED},
    {"logs_busy", BF_ERROR_CLASS_BIFROST_DROPPED},
    /* what is wrong here */
    {"logs_unavailable", BF_ERROR_CLASS_BIFROST_INTERNAL},
    {"logs_timeout", BF_ERROR_CLASS_BIFROST_INTERNAL},
    {"provider_unusable", BF_ERROR_CLASS_BIFROST_INTERNAL},
    {"out_of_memory", BF_ERROR_CLASS_BIFROST_INTERNAL},
    {"internal", BF_ERROR_CLASS_BIFROST_INTERNAL},
    {"worker_stopped", BF_ERROR_CLASS_BIFROST_INTERNAL},
    {"worker_crashed", BF_ERROR_CLASS_BIFROST_INTERNAL},
};

static const struct {
	int http_status;
	enum bf_error_class number;
} status_classes[] = {
    {401, BF_ERROR_CLASS_PROVIDER_AUTH_FAILED},  {402, BF_ERROR_CLASS_PROVIDER_BILLING},
    {403, BF_ERROR_CLASS_PROVIDER_AUTH_FAILED},  {408, BF_ERROR_CLASS_PROVIDER_TIMEOUT},
    {429, BF_ERROR_CLASS_PROVIDER_RATE_LIMITED}, {499, BF_ERROR_CLASS_CALLER_CANCELLED},
    {503, BF_ERROR_CLASS_PROVIDER_OVERLOADED},   {504, BF_ERROR_CLASS_PROVIDER_TIMEOUT},
    {529, BF_ERROR_CLASS_PROVIDER_OVERLOADED},
};

static enum bf_error_class of_status(int http_status)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(status_classes); i++) {
		if (status_classes[i].http_status == http_status)
			return status_classes[i].number;
	}
	if (http_status >= 400 && http_status <= 499)
		return BF_ERROR_CLASS_CALLER_INVALID_REQUEST;
	return http_status >= 500 && http_status <= 599 ? BF_ERROR_CLASS_PROVIDER_SERVER_ERROR
							: BF_ERROR_CLASS_OTHER;
}

enum bf_error_class bf_error_class_of(int http_status, const char *type, const char *code)
{
	if (code && strcmp(code, "model_not_found") == 0)
		return BF_ERROR_CLASS_CALLER_MODEL_UNKNOWN;
	if (code && strcmp(code, "insufficient_quota") == 0)
		return BF_ERROR_CLASS_PROVIDER_BILLING;
	for (size_t i = 0; type && i < BF_ARRAY_LEN(type_classes); i++) {
		if (strcmp(type_classes[i].type, type) == 0)
			return type_classes[i].number;
	}
	return of_status(http_status);
}

const char *bf_error_class_name(enum bf_error_class number)
{
	return names[(unsigned)number < BF_ERROR_CLASS_COUNT ? number : BF_ERROR_CLASS_OTHER];
}
