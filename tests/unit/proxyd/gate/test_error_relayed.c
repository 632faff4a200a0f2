/* Upstreams' own error bodies: wrapped on the unified routes, in OpenAI's shape elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/codec/json_tape.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/route.h"
#include "tests/unit/proxyd/harness.h"

static const struct route chat = {.object = SHM_OBJECT_CHAT, .dialect = ERROR_UNIFIED};
static const struct route openai = {.object = SHM_OBJECT_CHAT, .dialect = ERROR_OPENAI};

static struct exchange *answered(struct harness *h, const struct route *route, struct bf_slice body)
{
	struct exchange *x = exchange_new(&h->w);

	assert_non_null(x);
	x->route = route;
	x->provider = BF_SLICE_LIT("mock");
	x->model = BF_SLICE_LIT("m");
	assert_int_equal(bf_buf_append_slice(&x->answer, body), 0);
	assert_true(worker_answer_take(&h->w, body.len));
	x->answer_charged = body.len;
	return x;
}

struct body {
	int status;
	const char *body;
	const char *error; /* the member of that name */
	const char *class_name;
};

static const struct body bodies[] = {
    {429,
     "{\"error\":{\"message\":\"slow \\u0064own\",\"type\":\"tokens\",\"param\":null,\"code\":"
     "\"rate_limit_exceeded\",\"more\":1}}",
     "{\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\",\"param\":null,\"message\":"
     "\"slow \\u0064own\"}",
     "provider_rate_limited"},
    {429, "{\"error\":{\"message\":\"pay\",\"code\":\"insufficient_quota\"}}",
     "{\"code\":\"insufficient_quota\",\"message\":\"pay\"}", "provider_billing"},
    {404, "{\"error\":{\"code\":\"model_not_found\",\"message\":\"no\"}}",
     "{\"code\":\"model_not_found\",\"message\":\"no\"}", "caller_model_unknown"},
    /* ollama, mistral */
    {404, "{\"error\":\"model 'x' not found\"}", "{\"message\":\"model 'x' not found\"}",
     "caller_invalid_request"},
    {422, "{\"object\":\"error\",\"message\":\"bad\",\"type\":\"t\",\"code\":3}",
     "{\"type\":\"t\",\"code\":3,\"message\":\"bad\"}", "caller_invalid_request"},
    /* Not of that shape: quoted. */
    {500, "{\"error\":{\"message\":7}}", "{\"message\":\"{\\\"error\\\":{\\\"message\\\":7}}\"}",
     "provider_server_error"},
    {503, "{\"detail\":{}}", "{\"message\":\"{\\\"detail\\\":{}}\"}", "provider_overloaded"},
    /* FastAPI */
    {503, "{\"detail\":\"x\"}", "{\"message\":\"x\"}", "provider_overloaded"},
    {502, "<html>\xff</html>", "{\"message\":\"<html>\xef\xbf\xbd</html>\"}",
     "provider_server_error"},
    {500, "{\"error\":", "{\"message\":\"{\\\"error\\\":\"}", "provider_server_error"},
    {500, "[1]", "{\"message\":\"[1]\"}", "provider_server_error"},
    {504, "", "{\"message\":\"the provider answered with status 504\"}", "provider_timeout"},
};

static struct bf_slice member(struct exchange *x, const char *name)
{
	struct bf_json_tape tape;
	struct bf_err err;

	assert_int_equal(bf_json_parse(&tape, bf_buf_slice(&x->answer), &x->arena,
				       &bf_json_default_limits, &err),
			 0);
	uint32_t i = bf_json_member(&tape, 0, name);
	assert_int_not_equal(i, BF_JSON_NONE);
	return bf_json_raw(&tape, i);
}

static void wrapped(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < BF_ARRAY_LEN(bodies); i++) {
		struct exchange *x = answered(&h, &chat, bf_slice_from(bodies[i].body));
		char text[64];
		assert_int_equal(error_relayed(x, bodies[i].status), 0);
		assert_true(bf_slice_is(member(x, "is_bifrost_error"), "false"));
		struct bf_slice error = member(x, "error");
		if (!bf_slice_is(error, bodies[i].error))
			fail_msg("%s: %.*s", bodies[i].body, BF_SLICE_FMT(error));
		struct bf_slice status = member(x, "status_code");
		assert_int_equal(strtol(status.ptr, NULL, 10), bodies[i].status);
		struct bf_slice extra = member(x, "extra_fields");
		(void)snprintf(text, sizeof(text), "{\"error_type\":\"%s\",", bodies[i].class_name);
		if (!bf_slice_starts(extra, bf_slice_from(text)))
			fail_msg("%s: %.*s", bodies[i].body, BF_SLICE_FMT(extra));
		assert_true(x->answer_charged >= bf_buf_len(&x->answer));
		exchange_free(x);
	}
	harness_close(&h);
}

static const char *openai_type(int status)
{
	return status == 429  ? "\"rate_limit_error\""
	       : status > 499 ? "\"server_error\""
			      : "\"invalid_request_error\"";
}

/* Has error the four members, and of what it was taken from the message? */
static void check_openai(struct exchange *x, const struct body *b)
{
	struct bf_slice error = member(x, "error");
	struct bf_json_tape t, was;
	struct bf_err err;
	uint32_t i, w;

	assert_int_equal(bf_json_parse(&t, error, &x->arena, &bf_json_default_limits, &err), 0);
	assert_int_equal(
	    bf_json_parse(&was, bf_slice_from(b->error), &x->arena, &bf_json_default_limits, &err),
	    0);
	assert_int_equal(t.tokens[0].count, 4);
	i = bf_json_member(&t, 0, "message");
	w = bf_json_member(&was, 0, "message");
	assert_true(bf_slice_eq(bf_json_raw(&t, i), bf_json_raw(&was, w)));
	w = bf_json_member(&was, 0, "type");
	assert_true(bf_slice_eq(bf_json_raw(&t, bf_json_member(&t, 0, "type")),
				w == BF_JSON_NONE ? bf_slice_from(openai_type(b->status))
						  : bf_json_raw(&was, w)));
	w = bf_json_member(&was, 0, "code");
	assert_true(bf_slice_eq(bf_json_raw(&t, bf_json_member(&t, 0, "code")),
				w == BF_JSON_NONE ? BF_SLICE_LIT("null") : bf_json_raw(&was, w)));
	assert_true(bf_slice_is(bf_json_raw(&t, bf_json_member(&t, 0, "param")), "null"));
}

static void openai_shaped(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < BF_ARRAY_LEN(bodies); i++) {
		struct exchange *x = answered(&h, &openai, bf_slice_from(bodies[i].body));
		assert_int_equal(error_relayed(x, bodies[i].status), 0);
		if (i < 3) /* it had that shape */
			assert_true(bf_slice_is(bf_buf_slice(&x->answer), bodies[i].body));
		else
			check_openai(x, &bodies[i]);
		assert_true(x->answer_charged >= bf_buf_len(&x->answer));
		exchange_free(x);
	}
	harness_close(&h);
}

/* A long body is quoted up to 500 characters, of one byte or of three. */
static void long_bodies_are_cut_at_a_character(void **state)
{
	static char body[200000];
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (int wide = 0; wide < 2; wide++) {
		for (size_t i = 0; i + 3 <= sizeof(body); i += 3)
			memcpy(body + i, wide ? "\xe2\x82\xac" : "abc", 3);
		struct exchange *x = answered(&h, &chat, (struct bf_slice){body, sizeof(body)});
		assert_int_equal(error_relayed(x, 500), 0);
		struct bf_slice error = member(x, "error");
		assert_int_equal(error.len, strlen("{\"message\":\"\"}") + (wide ? 1500 : 500));
		exchange_free(x);
	}
	harness_close(&h);
}

static void no_memory(struct bf_config *config)
{
	config->server.body_memory_bytes = 32;
}

static void a_full_budget_leaves_the_body(void **state)
{
	const struct bf_slice body = BF_SLICE_LIT("{\"error\":\"x\"}");
	struct harness h;

	(void)state;
	harness_open(&h, no_memory);
	struct exchange *x = answered(&h, &chat, body);
	assert_int_equal(error_relayed(x, 500), BF_E_FULL);
	assert_true(bf_slice_eq(bf_buf_slice(&x->answer), body));
	exchange_free(x);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrapped),
	    cmocka_unit_test(openai_shaped),
	    cmocka_unit_test(long_bodies_are_cut_at_a_character),
	    cmocka_unit_test(a_full_budget_leaves_the_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
