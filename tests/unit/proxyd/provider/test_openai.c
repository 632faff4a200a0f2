/* The pure parts of the OpenAI adapter: splicing, choice of keys, token numbers. */
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
#include "proxyd/provider/key.h"
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

static struct bf_slice models_a[] = {{"a", 1}}, models_all[] = {{"*", 1}};

static struct bf_conf_provider_key key(const char *name, int64_t weight)
{
	return (struct bf_conf_provider_key){.name = bf_slice_from(name),
					     .value = BF_SLICE_LIT("secret"),
					     .weight_micro = weight * 1000000,
					     .enabled = true};
}

/* Name of the key that is chosen, "-" for none, "" when none is needed. */
static const char *choose(struct bf_conf_provider_key *keys, uint32_t count, const char *model,
			  uint64_t random)
{
	const struct bf_conf_provider p = {.keys = {keys, count}};
	const struct bf_conf_provider_key *k;

	switch (provider_key_choose(&p, bf_slice_from(model), random, &k)) {
	case PROVIDER_KEY_CHOSEN:
		assert_non_null(k);
		return k->name.ptr;
	case PROVIDER_KEY_NOT_NEEDED:
		return "";
	case PROVIDER_KEY_NONE:
		break;
	}
	assert_null(k);
	return "-";
}

static void keys_that_admit(void **state BF_UNUSED)
{
	struct bf_conf_provider_key k[2] = {key("one", 1), key("two", 1)};

	assert_string_equal(choose(NULL, 0, "a", 0), "");
	k[0].models = (struct bf_array){models_a, 1};
	k[1].enabled = false;
	assert_string_equal(choose(k, 2, "a", 12345), "one");
	assert_string_equal(choose(k, 2, "b", 12345), "-");
	k[0].blacklisted_models = (struct bf_array){models_a, 1};
	assert_string_equal(choose(k, 2, "a", 0), "-");
	k[1].enabled = true;
	k[1].models = (struct bf_array){models_all, 1};
	assert_string_equal(choose(k, 2, "a", 0), "two");
	k[1].blacklisted_models = (struct bf_array){models_all, 1};
	assert_string_equal(choose(k, 2, "a", 0), "-");
	k[1] = key("two", 1);
	k[1].value = BF_SLICE_LIT("a\r\nX: y");
	assert_false(provider_key_is_sendable(&k[1]));
	assert_string_equal(choose(k, 2, "a", 0), "-");
}

static void keys_by_weight(void **state BF_UNUSED)
{
	struct bf_conf_provider_key k[3] = {key("one", 1), key("none", 0), key("three", 3)};
	unsigned one = 0, three = 0;

	for (uint64_t r = 0; r < 4000000; r += 1000) {
		const char *name = choose(k, 3, "m", r);
		one += strcmp(name, "one") == 0;
		three += strcmp(name, "three") == 0;
	}
	assert_int_equal(one, 1000);
	assert_int_equal(three, 3000);
	k[0].weight_micro = k[2].weight_micro = 0;
	assert_string_equal(choose(k, 3, "m", 0), "one");
	assert_string_equal(choose(k, 3, "m", 1), "none");
	assert_string_equal(choose(k, 3, "m", 5), "three");
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
	    cmocka_unit_test(splicing),        cmocka_unit_test(asking_for_usage),
	    cmocka_unit_test(keys_that_admit), cmocka_unit_test(keys_by_weight),
	    cmocka_unit_test(token_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
