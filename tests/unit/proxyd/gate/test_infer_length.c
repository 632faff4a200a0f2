/* What bodies say about lengths, numbers of answers and prompts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/infer_length.h"
#include "proxyd/gate/route.h"
#include "tests/unit/proxyd/harness.h"

static const struct length_case {
	unsigned object;
	const char *body;
	struct exchange_spend spend;
} cases[] = {
    {SHM_OBJECT_CHAT, "{}", {.bounded = false}},
    {SHM_OBJECT_CHAT, "{\"max_tokens\":7}", {.bounded = true, .max_tokens = 7}},
    {SHM_OBJECT_CHAT,
     "{\"max_tokens\":7,\"max_completion_tokens\":9,\"n\":3}",
     {.bounded = true, .max_tokens = 9, .choices = 3}},
    {SHM_OBJECT_RESPONSES, "{\"max_output_tokens\":5}", {.bounded = true, .max_tokens = 5}},
    /* None at all, to some providers. */
    {SHM_OBJECT_RESPONSES, "{\"max_output_tokens\":0}", {.bounded = false}},
    {SHM_OBJECT_CHAT, "{\"max_tokens\":9,\"max_completion_tokens\":0}", {.bounded = false}},
    /* Members of other objects: their providers need not obey them. */
    {SHM_OBJECT_CHAT, "{\"max_output_tokens\":1,\"best_of\":9}", {.bounded = false}},
    {SHM_OBJECT_RESPONSES, "{\"max_tokens\":1,\"max_completion_tokens\":1}", {.bounded = false}},
    {SHM_OBJECT_COMPLETION, "{\"max_completion_tokens\":1}", {.bounded = false}},
    {SHM_OBJECT_EMBEDDING, "{\"max_tokens\":\"1\",\"n\":7}", {.bounded = false}},
    /* Not given, or given elsewhere. */
    {SHM_OBJECT_CHAT, "{\"max_tokens\":null,\"n\":null,\"x\":{\"n\":4}}", {.bounded = false}},
    {SHM_OBJECT_CHAT,
     "{\"\\u006e\":100,\"max_t\\u006fkens\":3}",
     {.bounded = true, .max_tokens = 3, .choices = 100}},
    {SHM_OBJECT_CHAT, "{\"n\":99999999999}", {.choices = INT32_MAX}},
    /* Prompts of completions and inputs of embeddings; nobody else's. */
    {SHM_OBJECT_COMPLETION, "{\"prompt\":\"a\"}", {.prompts = 0}},
    {SHM_OBJECT_COMPLETION,
     "{\"prompt\":[\"a\",\"b\",\"c\"],\"n\":1,\"best_of\":2}",
     {.choices = 2, .prompts = 3}},
    {SHM_OBJECT_COMPLETION,
     "{\"prompt\":[1,22,333]}",
     {.prompts = 0, .listed_tokens = 3, .listed_bytes = 9}},
    {SHM_OBJECT_COMPLETION,
     "{\"prompt\":[[1,22],[333],[]]}",
     {.prompts = 3, .listed_tokens = 3, .listed_bytes = 9}},
    /* Nonsense is counted as what is there. */
    {SHM_OBJECT_COMPLETION,
     "{\"prompt\":[1,\"a\",[2,\"b\"],{\"c\":3}]}",
     {.prompts = 3, .listed_tokens = 2, .listed_bytes = 4}},
    {SHM_OBJECT_COMPLETION, "{\"prompt\":{\"a\":[1]},\"input\":[1]}", {.prompts = 0}},
    {SHM_OBJECT_EMBEDDING, "{\"input\":[100,200]}", {.listed_tokens = 2, .listed_bytes = 8}},
    {SHM_OBJECT_EMBEDDING, "{\"input\":[\"a\",\"b\"],\"prompt\":[1]}", {.prompts = 2}},
    {SHM_OBJECT_CHAT, "{\"prompt\":[1,2],\"input\":[\"a\",\"b\"]}", {.prompts = 0}},
    {SHM_OBJECT_RESPONSES, "{\"input\":[{},{}]}", {.prompts = 0}},
};

/* A request to an API with its body on the tape. */
static struct exchange *asked(struct harness *h, const struct route *route, const char *body,
			      struct infer_body *ret_body)
{
	struct exchange *x = exchange_new(&h->w);
	struct bf_err err = {0};

	assert_non_null(x);
	x->route = route;
	assert_int_equal(bf_json_parse(&ret_body->tape, bf_slice_from(body), &x->arena,
				       &bf_json_default_limits, &err),
			 0);
	infer_members_find(ret_body);
	return x;
}

static void reads_what_is_asked_for(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		const struct route route = {.object = cases[i].object};
		const struct exchange_spend *want = &cases[i].spend;
		struct infer_error e = {0};
		struct infer_body body;
		struct exchange *x = asked(&h, &route, cases[i].body, &body);

		assert_int_equal(infer_length(x, &body, &e), 0);
		if (x->spend.bounded != want->bounded || x->spend.max_tokens != want->max_tokens ||
		    x->spend.choices != want->choices || x->spend.prompts != want->prompts ||
		    x->spend.listed_tokens != want->listed_tokens ||
		    x->spend.listed_bytes != want->listed_bytes)
			fail_msg("%s: %u prompts, %u tokens in %u bytes", cases[i].body,
				 x->spend.prompts, x->spend.listed_tokens, x->spend.listed_bytes);
		exchange_free(x);
	}
	harness_close(&h);
}

static const struct {
	unsigned object;
	const char *body, *text;
} refused[] = {
    {SHM_OBJECT_CHAT, "{\"n\":\"100\"}", "n must be a whole number"},
    {SHM_OBJECT_CHAT, "{\"n\":100.0}", "n must be a whole number"},
    {SHM_OBJECT_CHAT, "{\"n\":1e2}", "n must be a whole number"},
    {SHM_OBJECT_CHAT, "{\"\\u006e\":\"100\"}", "n must be a whole number"},
    {SHM_OBJECT_CHAT, "{\"max_tokens\":-1}", "max_tokens must be a whole number"},
    {SHM_OBJECT_CHAT, "{\"max_tokens\":99999999999999999999}", "max_tokens must be a whole number"},
    {SHM_OBJECT_CHAT, "{\"max_tokens\":1,\"max_completion_tokens\":\"100000\"}",
     "max_completion_tokens must be a whole number"},
    {SHM_OBJECT_RESPONSES, "{\"max_output_tokens\":[1]}",
     "max_output_tokens must be a whole number"},
    {SHM_OBJECT_COMPLETION, "{\"best_of\":true}", "best_of must be a whole number"},
};

static void refuses_what_may_be_read_in_two_ways(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < BF_ARRAY_LEN(refused); i++) {
		const struct route route = {.object = refused[i].object};
		struct infer_error e = {0};
		struct infer_body body;
		struct exchange *x = asked(&h, &route, refused[i].body, &body);

		assert_int_equal(infer_length(x, &body, &e), -1);
		assert_int_equal(e.http_status, 400);
		assert_string_equal(e.text, refused[i].text);
		exchange_free(x);
	}
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_what_is_asked_for),
	    cmocka_unit_test(refuses_what_may_be_read_in_two_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
