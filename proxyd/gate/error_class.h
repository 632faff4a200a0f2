/* The normalised names of failures: extra_fields.error_type, and the label of error counters. */
#pragma once

struct exchange;

/* clang-format off */
/* Append only: the number is the counter's place in the segment. */
#define ERROR_CLASSES \
	X(ERROR_CLASS_CALLER_INVALID_REQUEST, "caller_invalid_request") \
	X(ERROR_CLASS_CALLER_MODEL_UNKNOWN, "caller_model_unknown") \
	X(ERROR_CLASS_CALLER_MODEL_NOT_AVAILABLE, "caller_model_not_available") \
	X(ERROR_CLASS_CALLER_CANCELLED, "caller_cancelled") \
	X(ERROR_CLASS_PROVIDER_AUTH_FAILED, "provider_auth_failed") \
	X(ERROR_CLASS_PROVIDER_CREDENTIALS_EXHAUSTED, "provider_credentials_exhausted") \
	X(ERROR_CLASS_PROVIDER_BILLING, "provider_billing") \
	X(ERROR_CLASS_PROVIDER_RATE_LIMITED, "provider_rate_limited") \
	X(ERROR_CLASS_PROVIDER_TIMEOUT, "provider_timeout") \
	X(ERROR_CLASS_PROVIDER_CONNECTION_FAILED, "provider_connection_failed") \
	X(ERROR_CLASS_PROVIDER_SERVER_ERROR, "provider_server_error") \
	X(ERROR_CLASS_PROVIDER_OVERLOADED, "provider_overloaded") \
	X(ERROR_CLASS_BIFROST_DROPPED, "bifrost_dropped") \
	X(ERROR_CLASS_BIFROST_INTERNAL, "bifrost_internal") \
	X(ERROR_CLASS_OTHER, "_OTHER") \
	X(ERROR_CLASS_POLICY_ACCESS_DENIED, "policy_access_denied") \
	X(ERROR_CLASS_POLICY_BUDGET_EXCEEDED, "policy_budget_exceeded") \
	X(ERROR_CLASS_POLICY_RATE_LIMITED, "policy_rate_limited")
/* clang-format on */

enum error_class_number {
#define X(number, name) number,
	ERROR_CLASSES
#undef X
	    ERROR_CLASS_COUNT,
};

/*
 * type: our own name of the failure, or NULL; else the status decides. code: what an upstream's
 * error body says in `code`, or NULL. Never NULL; "_OTHER" when nothing fits.
 */
const char *error_class(int http_status, const char *type, const char *code);

const char *error_class_name(enum error_class_number number);

/* Once per row, after record_close: a failed one is counted under its class. */
void error_class_count(const struct exchange *x);
