/* The normalised names of failures, as rows, error bodies and error counters tell them: pure. */
#pragma once

/* clang-format off */
/* Append only: the number is the counter's place in the segment. */
#define BF_ERROR_CLASSES \
	X(BF_ERROR_CLASS_CALLER_INVALID_REQUEST, "caller_invalid_request") \
	X(BF_ERROR_CLASS_CALLER_MODEL_UNKNOWN, "caller_model_unknown") \
	X(BF_ERROR_CLASS_CALLER_MODEL_NOT_AVAILABLE, "caller_model_not_available") \
	X(BF_ERROR_CLASS_CALLER_CANCELLED, "caller_cancelled") \
	X(BF_ERROR_CLASS_PROVIDER_AUTH_FAILED, "provider_auth_failed") \
	X(BF_ERROR_CLASS_PROVIDER_CREDENTIALS_EXHAUSTED, "provider_credentials_exhausted") \
	X(BF_ERROR_CLASS_PROVIDER_BILLING, "provider_billing") \
	X(BF_ERROR_CLASS_PROVIDER_RATE_LIMITED, "provider_rate_limited") \
	X(BF_ERROR_CLASS_PROVIDER_TIMEOUT, "provider_timeout") \
	X(BF_ERROR_CLASS_PROVIDER_CONNECTION_FAILED, "provider_connection_failed") \
	X(BF_ERROR_CLASS_PROVIDER_SERVER_ERROR, "provider_server_error") \
	X(BF_ERROR_CLASS_PROVIDER_OVERLOADED, "provider_overloaded") \
	X(BF_ERROR_CLASS_BIFROST_DROPPED, "bifrost_dropped") \
	X(BF_ERROR_CLASS_BIFROST_INTERNAL, "bifrost_internal") \
	X(BF_ERROR_CLASS_OTHER, "_OTHER") \
	X(BF_ERROR_CLASS_POLICY_ACCESS_DENIED, "policy_access_denied") \
	X(BF_ERROR_CLASS_POLICY_BUDGET_EXCEEDED, "policy_budget_exceeded") \
	X(BF_ERROR_CLASS_POLICY_RATE_LIMITED, "policy_rate_limited") \
	X(BF_ERROR_CLASS_POLICY_PROVIDER_BLOCKED, "policy_provider_blocked") \
	X(BF_ERROR_CLASS_POLICY_MODEL_BLOCKED, "policy_model_blocked")
/* clang-format on */

enum bf_error_class {
#define X(number, name) number,
	BF_ERROR_CLASSES
#undef X
	    BF_ERROR_CLASS_COUNT,
};

/*
 * type: our own name of the failure, or NULL; else the status decides. code: what an upstream's
 * error body says in `code`, or NULL. BF_ERROR_CLASS_OTHER when nothing fits.
 */
enum bf_error_class bf_error_class_of(int http_status, const char *type, const char *code);

/* Never NULL; "_OTHER" for a number of no class. */
const char *bf_error_class_name(enum bf_error_class number);
