/*
 * Failures in the vocabulary that dashboards know. Called for error bodies and error counters. Must
 * never return a name outside it: the names are labels, and every new one is a new series.
 */
#include "proxyd/gate/error_class.h"

#include <stddef.h>
#include <string.h>

#include "common/base/macros.h"
#include "proxyd/exchange.h"
#include "proxyd/worker.h"
#include "shm/metrics.h"

#define X(number, name) name,
static const char *const error_class_names[] = {ERROR_CLASSES};
#undef X

_Static_assert((unsigned)ERROR_CLASS_COUNT == SHM_ERROR_CLASS_COUNT,
	       "every class has its counter in the segment");

static const struct {
	const char *type;
	enum error_class_number number;
} error_classes[] = {
    /* what was asked */
    {"invalid_request", ERROR_CLASS_CALLER_INVALID_REQUEST},
    {"loopback_only", ERROR_CLASS_CALLER_INVALID_REQUEST},
    {"origin_not_allowed", ERROR_CLASS_CALLER_INVALID_REQUEST},
    {"worker_stopped", ERROR_CLASS_BIFROST_INTERNAL},
    {"model_not_found", ERROR_CLASS_CALLER_MODEL_UNKNOWN},
    {"no_provider_key", ERROR_CLASS_CALLER_MODEL_NOT_AVAILABLE},
    {"request_timeout", ERROR_CLASS_CALLER_INVALID_REQUEST}, /* our own 408: its client was slow */
    {EXCHANGE_CLIENT_GONE, ERROR_CLASS_CALLER_CANCELLED},
    /* what a key may */
    {"virtual_key_required", ERROR_CLASS_POLICY_ACCESS_DENIED},
    {"virtual_key_not_found", ERROR_CLASS_POLICY_ACCESS_DENIED},
    {"virtual_key_blocked", ERROR_CLASS_POLICY_ACCESS_DENIED},
    {"model_unpriced", ERROR_CLASS_POLICY_ACCESS_DENIED},
    {"budget_exceeded", ERROR_CLASS_POLICY_BUDGET_EXCEEDED},
    {"request_limited", ERROR_CLASS_POLICY_RATE_LIMITED},
    {"token_limited", ERROR_CLASS_POLICY_RATE_LIMITED},
    {"rate_limited", ERROR_CLASS_POLICY_RATE_LIMITED},
    {"limits_busy", ERROR_CLASS_BIFROST_DROPPED},
    {"limits_not_ready", ERROR_CLASS_BIFROST_DROPPED},
    /* what the provider did */
    {"upstream_auth_failed", ERROR_CLASS_PROVIDER_AUTH_FAILED},
    {"upstream_credentials_exhausted", ERROR_CLASS_PROVIDER_CREDENTIALS_EXHAUSTED},
    {"upstream_rate_limited", ERROR_CLASS_PROVIDER_RATE_LIMITED},
    {"upstream_quota_exhausted", ERROR_CLASS_PROVIDER_BILLING},
    {"upstream_timeout", ERROR_CLASS_PROVIDER_TIMEOUT},
    {"upstream_connect_timeout", ERROR_CLASS_PROVIDER_TIMEOUT},
    {"upstream_address_refused", ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_closed", ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_connect_failed", ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_resolve_failed", ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_tls_failed", ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_truncated", ERROR_CLASS_PROVIDER_CONNECTION_FAILED},
    {"upstream_protocol_error", ERROR_CLASS_PROVIDER_SERVER_ERROR},
    {"upstream_stream_error", ERROR_CLASS_PROVIDER_SERVER_ERROR},
    {"answer_too_large", ERROR_CLASS_PROVIDER_SERVER_ERROR},
    /* what was not even tried */
    {"bifrost_dropped", ERROR_CLASS_BIFROST_DROPPED},
    {"upstream_connections_full", ERROR_CLASS_BIFROST_DROPPED},
    {"overloaded", ERROR_CLASS_BIFROST_DROPPED},
    {"body_memory_full", ERROR_CLASS_BIFROST_DROPPED},
    {"answer_memory_full", ERROR_CLASS_BIFROST_DROPPED},
    {"out_of_memory", ERROR_CLASS_BIFROST_INTERNAL},
    {"internal", ERROR_CLASS_BIFROST_INTERNAL},
    {EXCHANGE_WORKER_LEFT, ERROR_CLASS_BIFROST_INTERNAL},
};

static const struct {
	int http_status;
	enum error_class_number number;
} error_status_classes[] = {
    {401, ERROR_CLASS_PROVIDER_AUTH_FAILED},  {402, ERROR_CLASS_PROVIDER_BILLING},
    {403, ERROR_CLASS_PROVIDER_AUTH_FAILED},  {408, ERROR_CLASS_PROVIDER_TIMEOUT},
    {429, ERROR_CLASS_PROVIDER_RATE_LIMITED}, {499, ERROR_CLASS_CALLER_CANCELLED},
    {503, ERROR_CLASS_PROVIDER_OVERLOADED},   {504, ERROR_CLASS_PROVIDER_TIMEOUT},
    {529, ERROR_CLASS_PROVIDER_OVERLOADED},
};

static enum error_class_number error_class_of_status(int http_status)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(error_status_classes); i++) {
		if (error_status_classes[i].http_status == http_status)
			return error_status_classes[i].number;
	}
	if (http_status >= 400 && http_status <= 499)
		return ERROR_CLASS_CALLER_INVALID_REQUEST;
	return http_status >= 500 && http_status <= 599 ? ERROR_CLASS_PROVIDER_SERVER_ERROR
							: ERROR_CLASS_OTHER;
}

static enum error_class_number error_class_number(int http_status, const char *type,
						  const char *code)
{
	if (code && strcmp(code, "model_not_found") == 0)
		return ERROR_CLASS_CALLER_MODEL_UNKNOWN;
	if (code && strcmp(code, "insufficient_quota") == 0)
		return ERROR_CLASS_PROVIDER_BILLING;
	for (size_t i = 0; type && i < BF_ARRAY_LEN(error_classes); i++) {
		if (strcmp(error_classes[i].type, type) == 0)
			return error_classes[i].number;
	}
	return error_class_of_status(http_status);
}

const char *error_class(int http_status, const char *type, const char *code)
{
	return error_class_names[error_class_number(http_status, type, code)];
}

const char *error_class_name(enum error_class_number number)
{
	return error_class_names[number];
}

void error_class_count(const struct exchange *x)
{
	const struct shm_usage_record *r = &x->record;
	char type[sizeof(r->error_type) + 1] = "";

	if (r->status != SHM_USAGE_ERROR)
		return;
	memcpy(type, r->error_type, sizeof(r->error_type));
	shm_error_class_count(x->worker->seg, x->worker->proc_slot,
			      error_class_number(r->http_status, type, NULL));
}
