/* Duplicate keys: small and large objects, escaped forms of one key, hostile counts in bounded
 * time, memory failing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/codec/json_tape.h"

static int parse(struct bf_slice text, struct bf_err *err)
{
	struct bf_arena arena;
	struct bf_json_tape t;

	bf_arena_init(&arena, 256u << 20);
	int r = bf_json_parse(&t, text, &arena, &bf_json_default_limits, err);
	bf_arena_done(&arena);
	return r;
}

static void test_small_objects(void **state)
{
	static const char *const twice[] = {
	    "{\"a\":1,\"a\":1}",
	    "{\"a\":1,\"b\":2,\"a\":3}",
	    "{\"\":1,\"\":2}",
	    "[{\"x\":{\"k\":1,\"k\":2}}]",
	    "{\"a\":1,\"\\u0061\":2}",
	    "{\"\\u0061\":1,\"a\":2}",
	    "{\"\\u0061\":1,\"\\u0061\":2}",
	    "{\"\\n\":1,\"\\u000a\":2}",
	    "{\"\\/\":1,\"/\":2}",
	    "{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}",
	    "{\"\\u0000\":1,\"\\u0000\":2}",
	    "{\"k\":{\"k\":1},\"k\":[]}",
	    "{\"\\u00e4\":1,\"\xc3\xa4\":2}",
	};
	static const char *const once[] = {
	    "{\"a\":{\"a\":1},\"b\":{\"a\":1}}", "{\"a\":\"a\",\"b\":\"a\"}",
	    "{\"\\u0061\":1,\"b\":2}",           "{\"\\u0000\":1,\"\":2}",
	    "{\"\\\\u0061\":1,\"a\":2}",         "[{\"a\":1},{\"a\":1}]",
	    "{\"a\":1,\"ab\":2,\"abc\":3}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++)
		if (parse(bf_slice_from(twice[i]), NULL) != BF_E_DUPLICATE)
			fail_msg("accepted: %s", twice[i]);
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		if (parse(bf_slice_from(once[i]), NULL) != 0)
			fail_msg("refused: %s", once[i]);
}

static void test_position_is_the_second(void **state)
{
	struct bf_err err;

	(void)state;
	assert_int_equal(parse(BF_SLICE_LIT("{\"a\":1,\n\"b\":2,\n  \"a\":3}"), &err),
			 BF_E_DUPLICATE);
	assert_string_equal(err.text, "3:3: this key stands twice in its object");
	assert_int_equal(parse(BF_SLICE_LIT("{\"\\u0061\":1,\n \"a\":3}"), &err), BF_E_DUPLICATE);
	assert_string_equal(err.text, "2:2: this key stands twice in its object");
}

static void test_allowed_when_not_asked_for(void **state)
{
	struct bf_json_limits limits = {.max_depth = 4, .max_tokens = 100};
	struct bf_arena arena;
	struct bf_json_tape t;
	int64_t value = 0;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	assert_int_equal(
	    bf_json_parse(&t, BF_SLICE_LIT("{\"a\":1,\"a\":2}"), &arena, &limits, NULL), 0);
	/* Others that read these bytes take the last one, so this reader does too. */
	assert_int_equal(bf_json_i64(&t, bf_json_member(&t, 0, "a"), &value), 0);
	assert_int_equal(value, 2);
	bf_arena_done(&arena);
}

/* An object of count members "k0".."kN", each written with or without an escape, and then one key
 * again. */
static void build(struct bf_buf *b, unsigned count, int again, bool escaped)
{
	bf_buf_clear(b);
	assert_int_equal(bf_buf_append(b, "{", 1), 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(bf_buf_printf(b, "%s\"%s%u\":[{}]", i ? "," : "",
					       escaped && i % 2 ? "\\u006b" : "k", i),
				 0);
	if (again >= 0)
		assert_int_equal(bf_buf_printf(b, ",\"%s%d\":0",
					       escaped && again % 2 == 0 ? "\\u006b" : "k", again),
				 0);
	assert_int_equal(bf_buf_append(b, "}", 1), 0);
}

static void test_every_size_around_the_switch(void **state)
{
	struct bf_buf b;

	(void)state;
	bf_buf_init(&b, 1 << 20);
	for (unsigned count = 1; count < 40; count++)
		for (int escaped = 0; escaped < 2; escaped++) {
			build(&b, count, -1, escaped);
			assert_int_equal(parse(bf_buf_slice(&b), NULL), 0);
			for (unsigned again = 0; again < count; again++) {
				build(&b, count, (int)again, escaped);
				assert_int_equal(parse(bf_buf_slice(&b), NULL), BF_E_DUPLICATE);
			}
		}
	bf_buf_done(&b);
}

/* Keys that a filter cannot tell apart are compared; what is the same but for its middle is no
 * twin, and the same key at any depth around an object with twins of its own is none either. */
static void test_keys_that_look_alike(void **state)
{
	static const char *const once[] = {
	    "{\"response_a_format\":1,\"response_b_format\":2}",
	    "{\"12345678\":1,\"123456781\":2,\"1234567\":3,\"\":4}",
	    "{\"a\":{\"b\":1,\"c\":{\"a\":1,\"b\":2}},\"b\":{\"a\":1},\"c\":[{\"a\":1},{\"a\":1}]}",
	};
	struct bf_buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		assert_int_equal(parse(bf_slice_from(once[i]), NULL), 0);
	bf_buf_init(&b, 1 << 20);
	/* 64 keys share 32 bits: some collide in every object of more than a few members. */
	for (unsigned count = 2; count < 64; count++)
		for (unsigned len = 1; len < 24; len++) {
			bf_buf_clear(&b);
			for (unsigned i = 0; i < count; i++)
				assert_int_equal(bf_buf_printf(&b, "%s\"%0*u\":{\"x\":1}",
							       i ? "," : "{", (int)len + 1, i),
						 0);
			assert_int_equal(bf_buf_printf(&b, "}"), 0);
			assert_int_equal(parse(bf_buf_slice(&b), NULL), 0);
			b.data[b.end - 1] = ',';
			assert_int_equal(bf_buf_printf(&b, "\"%0*u\":0}", (int)len + 1, count / 2),
					 0);
			assert_int_equal(parse(bf_buf_slice(&b), NULL), BF_E_DUPLICATE);
		}
	bf_buf_done(&b);
}

/*
 * Pair by pair, 100,000 members would take 5,000,000,000 comparisons: minutes with sanitizers. By
 * hash it is below a second of this process's own time, which a busy machine does not stretch.
 */
static void test_many_members_in_bounded_time(void **state)
{
	static const unsigned counts[] = {10000, 100000};
	struct bf_buf b;

	(void)state;
	bf_buf_init(&b, 64u << 20);
	for (size_t c = 0; c < 2; c++)
		for (int escaped = 0; escaped < 2; escaped++) {
			build(&b, counts[c], -1, escaped);
			clock_t start = clock();
			assert_int_equal(parse(bf_buf_slice(&b), NULL), 0);
			build(&b, counts[c], (int)counts[c] - 1, escaped);
			assert_int_equal(parse(bf_buf_slice(&b), NULL), BF_E_DUPLICATE);
			assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
		}
	bf_buf_done(&b);
}

/* Long keys that differ only in their last byte, and escaped keys of very different lengths. */
static void test_long_keys(void **state)
{
	struct bf_buf b;
	char key[3000];

	(void)state;
	bf_buf_init(&b, 4u << 20);
	memset(key, 'k', sizeof(key));
	for (int again = 0; again < 2; again++) {
		bf_buf_clear(&b);
		for (unsigned i = 0; i < 60; i++)
			assert_int_equal(bf_buf_printf(&b, "%s\"\\t%.*s%c\":0", i ? "," : "{",
						       2000 + (int)(i % 3) * 300, key,
						       'A' + (int)i % 26 + (i >= 52 ? 32 : 0)),
					 0);
		assert_int_equal(bf_buf_printf(&b, "%s}", again ? ",\"\\u0009\":1,\"\\t\":2" : ""),
				 0);
		assert_int_equal(parse(bf_buf_slice(&b), NULL), again ? BF_E_DUPLICATE : 0);
	}
	bf_buf_done(&b);
}

static void test_no_memory_for_the_check(void **state)
{
	struct bf_arena arena;
	struct bf_json_tape t;
	struct bf_err err;
	struct bf_buf b;
	unsigned refused = 0, passed = 0;

	(void)state;
	bf_buf_init(&b, 1 << 20);
	build(&b, 500, -1, true);
	for (size_t cap = 1000; cap < 200000; cap += 1000) {
		bf_arena_init(&arena, cap);
		int r = bf_json_parse(&t, bf_buf_slice(&b), &arena, &bf_json_default_limits, &err);
		assert_true(r == 0 || r == -ENOMEM);
		refused += r != 0;
		passed += r == 0;
		bf_arena_done(&arena);
	}
	assert_true(refused > 10 && passed > 10);
	bf_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_small_objects),
	    cmocka_unit_test(test_position_is_the_second),
	    cmocka_unit_test(test_allowed_when_not_asked_for),
	    cmocka_unit_test(test_every_size_around_the_switch),
	    cmocka_unit_test(test_keys_that_look_alike),
	    cmocka_unit_test(test_many_members_in_bounded_time),
	    cmocka_unit_test(test_long_keys),
	    cmocka_unit_test(test_no_memory_for_the_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
