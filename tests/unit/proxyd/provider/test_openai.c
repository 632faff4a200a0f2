/* The pure parts of the OpenAI adapter: splicing, token numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/gate/infer.h"
#include "proxyd/gate/route.h"
#include "proxyd/provider/openai_body.h"
#include "proxyd/provider/openai_usage.h"
#include "proxyd/provider/provider.h"
#include "tests/unit/proxyd/harness.h"

#define MSG "\"messages\":[{\"role\":\"user\"}]"

/* What a body becomes; "mock" stands for any provider. */
static void splice(const char *body, bool ask, const char *expected)
{
	struct iovec pieces[OPENAI_PIECES_MAX];
	static const struct route chat = {.object = SHM_OBJECT_CHAT};
	struct infer_error e;
	struct harness h;
	char out[1024];
	size_t len = 0;

	harness_open(&h, NULL);
	struct exchange *x = exchange_new(&h.w);
	assert_non_null(x);
	x->body = bf_slice_from(body);
	x->route = &chat;
	if (infer_read(x, &h.providers, &e) < 0)
		fail_msg("%s: %s", body, e.text);
	int n = openai_body_splice(x, ask, pieces);
	assert_true(n > 0 && n <= (int)OPENAI_PIECES_MAX);
	for (int i = 0; i < n; i++) {
		assert_true(pieces[i].iov_len > 0 && len + pieces[i].iov_len < sizeof(out));
		memcpy(out + len, pieces[i].iov_base, pieces[i].iov_len);
		len += pieces[i].iov_len;
	}
	out[len] = '\0';
	assert_string_equal(out, expected);
	exchange_free(x);
	harness_close(&h);
}

static void splicing(void **state BF_UNUSED)
{
	splice("{\"model\":\"mock/m\"," MSG "}", true, "{\"model\":\"m\"," MSG "}");
	splice(" { \"model\" : \"mock/a/b\" ," MSG ",\"x\":1.0}", true,
	       " { \"model\" : \"a/b\" ," MSG ",\"x\":1.0}");
	/* Escaped names are written again. */
	splice("{\"model\":\"mock\\/q\\\"\\u00e4\"," MSG "}", true,
	       "{\"model\":\"q\\\"\xc3\xa4\"," MSG "}");
	/* A plain request is never touched otherwise. */
	splice("{\"model\":\"mock/m\"," MSG ",\"stream_options\":{}}", true,
	       "{\"model\":\"m\"," MSG ",\"stream_options\":{}}");
}

#define S "\"stream\":true,"

static void asking_for_usage(void **state BF_UNUSED)
{
	splice("{" S "\"model\":\"mock/m\"," MSG "}", true,
	       "{\"stream_options\":{\"include_usage\":true}," S "\"model\":\"m\"," MSG "}");
	splice("{" S "\"model\":\"mock/m\"," MSG "}", false, "{" S "\"model\":\"m\"," MSG "}");
	splice("{" S "\"stream_options\":null,\"model\":\"mock/m\"," MSG "}", true,
	       "{" S "\"stream_options\":{\"include_usage\":true},\"model\":\"m\"," MSG "}");
	splice("{\"model\":\"mock/m\"," S "\"stream_options\":{ }," MSG "}", true,
	       "{\"model\":\"m\"," S "\"stream_options\":{\"include_usage\":true }," MSG "}");
	splice("{\"model\":\"mock/m\"," S "\"stream_options\":{\"a\":[]}," MSG "}", true,
	       "{\"model\":\"m\"," S "\"stream_options\":{\"include_usage\":true,\"a\":[]}," MSG
	       "}");
	splice("{\"model\":\"mock/m\"," S "\"stream_options\":{\"include_usage\":false}," MSG "}",
	       true, "{\"model\":\"m\"," S "\"stream_options\":{\"include_usage\":true}," MSG "}");
	splice("{\"model\":\"mock/m\"," S "\"stream_options\":{\"include_usage\":null}," MSG "}",
	       true, "{\"model\":\"m\"," S "\"stream_options\":{\"include_usage\":true}," MSG "}");
	splice("{\"model\":\"mock/m\"," S "\"stream_options\":{\"include_usage\":true}," MSG "}",
	       true, "{\"model\":\"m\"," S "\"stream_options\":{\"include_usage\":true}," MSG "}");
}

static void token_numbers(void **state BF_UNUSED)
{
	static const struct {
		const char *json;
		bool maybe, read, alone;
		uint64_t prompt, completion, cached;
	} list[] = {
	    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}", true, true,
	     true, 1, 2, 0},
	    {"{\"usage\" :\n {\"prompt_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":9}},"
	     "\"choices\":[{}]}",
	     true, true, false, 1, 0, 9},
	    {"{\"usage\":{}}", true, true, true, 0, 0, 0},
	    {"{\"usage\":null,\"choices\":[]}", false, false, false, 0, 0, 0},
	    {"{\"choices\":[{\"content\":\"\\\"usage\\\": {\"}]}", false, false, false, 0, 0, 0},
	    {"{\"choices\":[{\"content\":\"usage\"}]}", false, false, false, 0, 0, 0},
	    {"{\"choices\":[{\"usage\":{\"prompt_tokens\":5}}]}", true, false, false, 0, 0, 0},
	    {"{\"x\":\"usage\",\"usage\":{\"prompt_tokens\":5}}", true, true, true, 5, 0, 0},
	    {"{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1.5}}", true, true, true, 0, 0,
	     0},
	    {"{\"usage\":{\"prompt_tokens\":\"7\",\"prompt_tokens_details\":null}}", true, true,
	     true, 0, 0, 0},
	    {"{\"usage\":{", true, false, false, 0, 0, 0},
	    {"[\"usage\",{}]", false, false, false, 0, 0, 0},
	    {"", false, false, false, 0, 0, 0},
	};
	struct bf_arena arena;

	bf_arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct openai_usage u = {0};
		struct bf_slice json = bf_slice_from(list[i].json);
		if (openai_usage_maybe(json) != list[i].maybe ||
		    openai_usage_read(json, &arena, &u) != list[i].read)
			fail_msg("%s", list[i].json);
		assert_int_equal(u.prompt_tokens, list[i].prompt);
		assert_int_equal(u.completion_tokens, list[i].completion);
		assert_int_equal(u.cached_tokens, list[i].cached);
		assert_int_equal(u.alone, list[i].alone);
	}
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(splicing),
	    cmocka_unit_test(asking_for_usage),
	    cmocka_unit_test(token_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
