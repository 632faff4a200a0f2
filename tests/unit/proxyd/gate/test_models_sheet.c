/* What price sheets tell: one model, however it is called, and base models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/proxyd/gate/sheet_in_force.h"

#define COSTS "\"input_cost_per_token\":1e-06,\"output_cost_per_token\":2e-06"
#define SHEET                                                                                   \
	"{\"a/vendor/one\":{\"mode\":\"chat\"," COSTS "},"                                      \
	"\"b/one\":{\"mode\":\"responses\",\"base_model\":\"Root\",\"max_output_tokens\":4096," \
	"\"supports_tool_choice\":true,\"supports_reasoning\":true,\"supports_vision\":"        \
	"false," COSTS                                                                          \
	",\"cost_per_request\":0.25,\"input_cost_per_token_above_200k_tokens\":3e-06},"         \
	"\"b/two\":{\"base_model\":\"x/one\"," COSTS "},"                                       \
	"\"c/three\":{\"mode\":\"embedding\",\"input_cost_per_token\":1e-08}}"
#define ONE                                                                                       \
	"{\"model\":\"b/one\",\"provider\":\"b\",\"base_model\":\"Root\",\"mode\":\"responses\"," \
	"\"max_output_tokens\":4096,\"supports_reasoning\":true,\"supports_tool_choice\":true,"   \
	"\"input_cost_per_token\":0.000001,\"input_cost_per_token_above_200k_tokens\":0.000003,"  \
	"\"output_cost_per_token\":0.000002,\"cost_per_request\":0.25}"

static void no_keys(struct bf_config *config)
{
	(void)harness_mock(config);
}

static void one_model(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, no_keys);
	sheet_in_force(&h, SHEET);
	expect(&h, "/api/models/parameters?model=b/one", OK, "\r\n\r\n" ONE);
	expect(&h, "/api/models/parameters?model=B%2FOne", OK, ONE);
	expect(&h, "/api/models/parameters?model=d/b/one", OK, ONE);
	/* Of those that have the name, the one with the shortest way to it. */
	expect(&h, "/api/models/parameters?model=one", OK, ONE);
	expect(&h, "/api/models/parameters?model=c/three", OK, "\"mode\":\"embedding\"");
	expect(&h, "/api/models/parameters?model=c/four", "HTTP/1.1 404 ",
	       "\"type\":\"not_found\"");
	expect(&h, "/api/models/parameters?model=b/", "HTTP/1.1 404 ", "not_found");
	expect(&h, "/api/models/parameters?model=/", "HTTP/1.1 404 ", "not_found");
	expect(&h, "/api/models/parameters", "HTTP/1.1 400 ", "model: is required");
	sheet_gone(&h);
}

static void base_models(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, no_keys);
	sheet_in_force(&h, SHEET);
	expect(&h, "/api/models/base", OK, "{\"models\":[\"Root\",\"one\",\"three\"],\"total\":3}");
	expect(&h, "/api/models/base?query=O&limit=1&offset=1", OK,
	       "{\"models\":[\"one\"],\"total\":2}");
	expect(&h, "/api/models/base?provider=c", OK, "{\"models\":[\"three\"],\"total\":1}");
	expect(&h, "/api/models/base?offset=3", OK, "{\"models\":[],\"total\":3}");
	expect(&h, "/api/models/base?limit=1001", "HTTP/1.1 400 ", "limit");
	sheet_gone(&h);
}

static void without_a_sheet(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, no_keys);
	expect(&h, "/api/models/base", OK, "{\"models\":[],\"total\":0}");
	expect(&h, "/api/models/parameters?model=b/one", "HTTP/1.1 404 ", "not_found");
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_model),
	    cmocka_unit_test(base_models),
	    cmocka_unit_test(without_a_sheet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
