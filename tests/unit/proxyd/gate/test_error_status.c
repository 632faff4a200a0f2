/* Rate limits and quotas by the words of a body: what is a name, and what is only quoted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/gate/error_status.h"

static void what_a_body_means(void **state)
{
	static const struct {
		int status;
		const char *body;
		int meant;
	} list[] = {
	    {400, "{\"error\":{\"message\":\"x\",\"code\":\"rate_limit_exceeded\"}}", 429},
	    {403, "{\"error\": {\"type\" :\n\t \"rate_limit_error\"}}", 429},
	    {400, "{\"type\":\"insufficient_quota\",\"code\":\"rate_limit_exceeded\"}", 402},
	    {429, "{\"error\":{\"code\":\"insufficient_quota\"}}", 402},
	    {429, "{\"error\":{\"code\":\"rate_limit_exceeded\"}}", 429},
	    {429, "", 429},
	    {400, "{\"error\":{\"message\":\"rate_limit_exceeded\",\"code\":\"x\"}}", 400},
	    {400, "{\"message\":\"\\\"code\\\":\\\"rate_limit_exceeded\\\"\"}", 400},
	    {400, "{\"message\":\"rate_limit_error\",\"type\":\"rate_limit_error\"}", 429},
	    {400, "\"rate_limit_error\"", 400},
	    {400, ":\"rate_limit_error\"", 400},
	    {400, "\"type\":\"rate_limit_error", 400},
	    {401, "{\"code\":\"rate_limit_exceeded\"}", 401},
	    {404, "{\"code\":\"rate_limit_exceeded\"}", 404},
	    {413, "{\"code\":\"rate_limit_exceeded\"}", 413},
	    {500, "{\"code\":\"rate_limit_exceeded\"}", 500},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		/* A block of its own size: what reads beyond it is caught. */
		size_t len = strlen(list[i].body);
		char *body = malloc(len + 1);
		assert_non_null(body);
		memcpy(body, list[i].body, len);
		if (error_status_meant(list[i].status, (struct bf_slice){body, len}) !=
		    list[i].meant)
			fail_msg("%d %s", list[i].status, list[i].body);
		free(body);
	}
}

static void who_has_no_such_model(void **state)
{
	static const struct {
		int status;
		const char *body;
		bool no_model;
	} list[] = {
	    {404, "{\"error\":{\"message\":\"x\",\"code\":\"model_not_found\"}}", true},
	    {400, "{\"error\":{\"code\" : \"model_not_found\"}}", true},
	    {403, "{\"error\":{\"code\":\"model_not_found\"}}", true},
	    {404, "{\"error\":{\"code\":\"not_found\"}}", false},
	    {404, "{\"message\":\"\\\"code\\\":\\\"model_not_found\\\"\"}", false},
	    {404, "", false},
	    {500, "{\"error\":{\"code\":\"model_not_found\"}}", false},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++)
		assert_int_equal(error_status_no_model(list[i].status, bf_slice_from(list[i].body)),
				 list[i].no_model);
}

static void only_the_beginning_of_a_body_is_looked_at(void **state)
{
	static const char code[] = "\"code\":\"rate_limit_exceeded\"";
	char body[4096];

	(void)state;
	for (size_t at = 0; at + sizeof(code) < sizeof(body); at++) {
		memset(body, ' ', sizeof(body));
		memcpy(body + at, code, sizeof(code) - 1);
		assert_int_equal(error_status_meant(400, (struct bf_slice){body, sizeof(body)}),
				 at + sizeof(code) - 1 <= 2048 ? 429 : 400);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_body_means),
	    cmocka_unit_test(who_has_no_such_model),
	    cmocka_unit_test(only_the_beginning_of_a_body_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
