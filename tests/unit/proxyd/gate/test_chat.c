/* Chat bodies: what they ask for, and the exact text of each refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/chat.h"
#include "tests/unit/proxyd/harness.h"

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static int read_body(struct harness *h, struct exchange **ret_x, const char *body,
		     const char *default_provider, struct chat_error *e)
{
	struct exchange *x = exchange_new(&h->w);

	assert_non_null(x);
	*ret_x = x;
	memset(e, 0, sizeof(*e));
	x->body = bf_slice_from(body);
	return chat_read(x, &h->providers, default_provider, e);
}

struct refusal {
	const char *body;
	const char *text; /* the message begins with it */
};

static const struct refusal refusals[] = {
    {"", "the request body is empty; send a JSON object"},
    {"{", "the request body is not valid JSON: 1:"},
    {"{\"model\":\"mock/m\",}", "the request body is not valid JSON: 1:"},
    {"{\"model\":\"mock/m\",\"model\":\"mock/n\"}", "the request body is not valid JSON: "},
    {"[]", "the request body must be a JSON object"},
    {"null", "the request body must be a JSON object"},
    {"{}", "model is required (format: provider/model)"},
    {"{\"model\":null," MESSAGES "}", "model is required (format: provider/model)"},
    {"{\"model\":\"\"," MESSAGES "}", "model is required (format: provider/model)"},
    {"{\"model\":7," MESSAGES "}", "model must be a string (format: provider/model)"},
    {"{\"model\":[\"mock/m\"]," MESSAGES "}", "model must be a string (format: provider/model)"},
    {"{\"model\":\"gpt\"," MESSAGES "}",
     "provider is required in model field (format: provider/model)"},
    {"{\"model\":\"meta-llama/x\"," MESSAGES "}",
     "provider is required in model field (format: provider/model); \"meta-llama\" is not a "
     "configured provider"},
    {"{\"model\":\"/m\"," MESSAGES "}",
     "provider is required in model field (format: provider/model)"},
    {"{\"model\":\"mock/\"," MESSAGES "}",
     "the model is missing behind the provider (format: provider/model)"},
    {"{\"model\":\"mock/m\"}", "messages is required: an array with at least one message"},
    {"{\"model\":\"mock/m\",\"messages\":{}}",
     "messages is required: an array with at least one message"},
    {"{\"model\":\"mock/m\",\"messages\":[]}",
     "messages is required: an array with at least one message"},
    {"{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\"},1]}",
     "messages[1] must be an object"},
    {"{\"model\":\"mock/m\",\"messages\":[{}]}", "messages[0].role is required"},
    {"{\"model\":\"mock/m\",\"messages\":[{\"role\":1}]}", "messages[0].role is required"},
    {"{\"model\":\"mock/m\",\"stream\":1," MESSAGES "}", "stream must be true or false"},
    {"{\"model\":\"mock/m\",\"stream_options\":1," MESSAGES "}",
     "stream_options must be an object"},
    {"{\"model\":\"mock/m\",\"stream_options\":{\"include_usage\":\"y\"}," MESSAGES "}",
     "include_usage must be true or false"},
};

static void refuses_with_exact_texts(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct exchange *x;
		struct chat_error e;
		assert_int_equal(read_body(&h, &x, refusals[i].body, "", &e), -1);
		if (e.http_status != 400 ||
		    strncmp(e.text, refusals[i].text, strlen(refusals[i].text)) != 0)
			fail_msg("%s: %d %s", refusals[i].body, e.http_status, e.text);
		exchange_free(x);
	}
	harness_close(&h);
}

/* No prefix of a good body is good, and none makes the reader look beyond it. */
static void refuses_every_cut(void **state)
{
	static const char good[] = "{\"model\":\"mock/m\",\"stream\":true," MESSAGES "}";
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t cut = 0; cut < sizeof(good) - 1; cut++) {
		struct exchange *x = exchange_new(&h.w);
		struct chat_error e = {0};
		char *bytes = malloc(cut ? cut : 1);
		assert_non_null(x);
		assert_non_null(bytes);
		memcpy(bytes, good, cut);
		x->body = (struct bf_slice){bytes, cut};
		assert_int_equal(chat_read(x, &h.providers, "", &e), -1);
		assert_int_equal(e.http_status, 400);
		exchange_free(x);
		free(bytes);
	}
	harness_close(&h);
}

static void reads_good_bodies(void **state)
{
	struct harness h;
	struct exchange *x;
	struct chat_error e;

	(void)state;
	harness_open(&h, NULL);
	assert_int_equal(
	    read_body(&h, &x, "{\"model\":\"mock/a/b\",\"unknown\":{}," MESSAGES "}", "", &e), 0);
	assert_true(bf_slice_is(x->provider, "mock"));
	assert_true(bf_slice_is(x->model, "a/b"));
	assert_false(x->wants_stream);
	assert_true(bf_slice_is(bf_json_raw(&x->json, x->model_token), "\"mock/a/b\""));
	exchange_free(x);
	assert_int_equal(read_body(&h, &x,
				   "{\"model\":\"m\\u006fck\\/m\",\"stream\":true,"
				   "\"stream_options\":{\"include_usage\":true}," MESSAGES "}",
				   "", &e),
			 0);
	assert_true(bf_slice_is(x->provider, "mock"));
	assert_true(bf_slice_is(x->model, "m"));
	assert_true(x->wants_stream);
	assert_true(x->wants_usage_chunk);
	exchange_free(x);
	assert_int_equal(
	    read_body(&h, &x,
		      "{\"model\":\"mock/m\",\"stream\":null,\"stream_options\":null," MESSAGES "}",
		      "", &e),
	    0);
	assert_false(x->wants_stream);
	exchange_free(x);
	harness_close(&h);
}

static void a_default_provider_takes_bare_models(void **state)
{
	struct harness h;
	struct exchange *x;
	struct chat_error e;

	(void)state;
	harness_open(&h, NULL);
	assert_int_equal(read_body(&h, &x, "{\"model\":\"meta/x\"," MESSAGES "}", "mock", &e), 0);
	assert_true(bf_slice_is(x->provider, "mock"));
	assert_true(bf_slice_is(x->model, "meta/x"));
	exchange_free(x);
	/* A default that is not configured helps nobody. */
	assert_int_equal(read_body(&h, &x, "{\"model\":\"x\"," MESSAGES "}", "openai", &e), -1);
	assert_int_equal(x->provider.len, 0);
	exchange_free(x);
	harness_close(&h);
}

static void refuses_encoded_bodies_and_long_models(void **state)
{
	static char body[1024];
	struct harness h;
	struct exchange *x;
	struct chat_error e;

	(void)state;
	harness_open(&h, NULL);
	x = exchange_new(&h.w);
	assert_non_null(x);
	x->body = BF_SLICE_LIT("{}");
	x->body_encoded = true;
	assert_int_equal(chat_read(x, &h.providers, "", &e), -1);
	assert_int_equal(e.http_status, 415);
	exchange_free(x);
	(void)snprintf(body, sizeof(body), "{\"model\":\"mock/%0300d\"," MESSAGES "}", 7);
	assert_int_equal(read_body(&h, &x, body, "", &e), -1);
	assert_string_equal(e.text, "model is longer than 256 bytes");
	exchange_free(x);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refuses_with_exact_texts),
	    cmocka_unit_test(refuses_every_cut),
	    cmocka_unit_test(reads_good_bodies),
	    cmocka_unit_test(a_default_provider_takes_bare_models),
	    cmocka_unit_test(refuses_encoded_bodies_and_long_models),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
