/* Failures in the vocabulary that dashboards know: nothing outside it comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/error_class.h"
#include "common/base/macros.h"

struct failure {
	int status;
	const char *type, *code, *expected;
};

static const struct failure failures[] = {
    {400, "invalid_request", NULL, "caller_invalid_request"},
    {400, NULL, NULL, "caller_invalid_request"},
    {404, NULL, NULL, "caller_invalid_request"},
    {404, NULL, "model_not_found", "caller_model_unknown"},
    {404, "model_not_found", NULL, "caller_model_unknown"},
    {400, "no_provider_key", NULL, "caller_model_not_available"},
    {499, "client_gone", NULL, "caller_cancelled"},
    {408, "request_timeout", NULL, "caller_invalid_request"}, /* ours */
    {408, NULL, NULL, "provider_timeout"},
    {400, "upstream_rate_limited", NULL, "provider_rate_limited"},
    {403, "upstream_quota_exhausted", NULL, "provider_billing"},
    {401, NULL, NULL, "provider_auth_failed"},
    {402, NULL, NULL, "provider_billing"},
    {403, NULL, "whatever", "provider_auth_failed"},
    {429, NULL, NULL, "provider_rate_limited"},
    {429, NULL, "insufficient_quota", "provider_billing"},
    {500, NULL, "", "provider_server_error"},
    {503, NULL, NULL, "provider_overloaded"},
    {529, NULL, NULL, "provider_overloaded"},
    {504, "upstream_timeout", NULL, "provider_timeout"},
    {502, "upstream_connect_failed", NULL, "provider_connection_failed"},
    {502, "upstream_credentials_exhausted", NULL, "provider_credentials_exhausted"},
    {503, "bifrost_dropped", NULL, "bifrost_dropped"},
    {503, "overloaded", NULL, "bifrost_dropped"},
    {503, "out_of_memory", NULL, "bifrost_internal"},
    {502, "a_new_name", NULL, "provider_server_error"},
    {0, "worker_crashed", NULL, "bifrost_internal"},
    {503, "worker_stopped", NULL, "bifrost_internal"},
    {403, "provider_blocked", NULL, "policy_provider_blocked"},
    {403, "model_blocked", NULL, "policy_model_blocked"},
    {403, "virtual_key_blocked", NULL, "policy_access_denied"},
    {401, "authentication_required", NULL, "policy_access_denied"}, /* ours, no provider's */
    {400, "missing_required_headers", NULL, "caller_invalid_request"},
    {413, "body_too_large", NULL, "caller_invalid_request"},
    {503, "logs_busy", NULL, "bifrost_dropped"},
    {503, "logs_unavailable", NULL, "bifrost_internal"},
    {504, "logs_timeout", NULL, "bifrost_internal"},
    {503, "provider_unusable", NULL, "bifrost_internal"},
    {403, "provider_key_blocked", NULL, "policy_access_denied"},
    {503, "governance_not_loaded", NULL, "bifrost_dropped"},
    {302, NULL, NULL, "_OTHER"},
    {0, NULL, NULL, "_OTHER"},
};

static const char *error_class(int status, const char *type, const char *code)
{
	return bf_error_class_name(bf_error_class_of(status, type, code));
}

static void names(void **state)
{
	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(failures); i++)
		assert_string_equal(
		    error_class(failures[i].status, failures[i].type, failures[i].code),
		    failures[i].expected);
}

static void every_status_has_a_name(void **state)
{
	static const char *const vocabulary[] = {
	    "caller_invalid_request", "caller_cancelled",    "provider_auth_failed",
	    "provider_billing",       "provider_overloaded", "provider_rate_limited",
	    "provider_server_error",  "provider_timeout",    "_OTHER",
	};

	(void)state;
	for (int status = -1; status < 1000; status++) {
		const char *name = error_class(status, NULL, NULL);
		size_t i = 0;
		while (i < BF_ARRAY_LEN(vocabulary) && strcmp(vocabulary[i], name) != 0)
			i++;
		if (i == BF_ARRAY_LEN(vocabulary))
			fail_msg("%d: %s", status, name);
	}
}

static void a_number_of_no_class(void **state)
{
	(void)state;
	assert_string_equal(bf_error_class_name(BF_ERROR_CLASS_COUNT), "_OTHER");
	assert_string_equal(bf_error_class_name((enum bf_error_class) - 1), "_OTHER");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(every_status_has_a_name),
	    cmocka_unit_test(a_number_of_no_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
