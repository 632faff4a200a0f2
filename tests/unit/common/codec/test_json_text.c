/* Values of a tape: every escape, members by escaped names, integers at the edges, wrong types and
 * indices. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "common/codec/json_text_priv.h"
#include "common/codec/utf8.h"

static struct bf_arena arena;

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 16u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

static struct bf_json_tape tape_of(struct bf_slice text)
{
	struct bf_json_tape t = {0};
	struct bf_err err = {0};

	if (bf_json_parse(&t, text, &arena, &bf_json_default_limits, &err) != 0)
		fail_msg("%s", err.text);
	return t;
}

static void test_every_escape(void **state)
{
	struct bf_slice s;

	(void)state;
	struct bf_json_tape t = tape_of(
	    BF_SLICE_LIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041x\\u00e4\\u20ac\\uD83D\\uDe00\""));
	assert_int_equal(bf_json_string(&t, 0, &arena, &s), 0);
	assert_true(bf_slice_is(s, "\"\\/\b\f\n\r\tAx\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
	t = tape_of(BF_SLICE_LIT("\"a\\u0000b\""));
	assert_int_equal(bf_json_string(&t, 0, &arena, &s), 0);
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.ptr, "a\0b", 3);
	t = tape_of(BF_SLICE_LIT("\"\""));
	assert_int_equal(bf_json_string(&t, 0, &arena, &s), 0);
	assert_int_equal(s.len, 0);
}

/* Every scalar value as \u escape means its UTF-8; every other escape is refused. */
static void test_every_code_point(void **state)
{
	char text[20], utf8[4];

	(void)state;
	for (uint32_t cp = 0; cp <= 0x10ffff; cp += cp > 0x10000 ? 37 : 1) {
		int n = cp < 0x10000 ? snprintf(text, sizeof(text), "\"\\u%04x\"", cp)
				     : snprintf(text, sizeof(text), "\"\\u%04X\\u%04x\"",
						0xd800 + ((cp - 0x10000) >> 10),
						0xdc00 + ((cp - 0x10000) & 0x3ff));
		struct bf_slice raw = {text + 1, (size_t)n - 2};
		size_t len = bf_utf8_encode(cp, utf8);
		assert_int_equal(bf_json_escape_length(raw.ptr, raw.ptr + raw.len, false),
				 len ? raw.len : 0);
		assert_int_equal(bf_json_escape_length(raw.ptr, raw.ptr + raw.len, true), raw.len);
		if (len == 0)
			continue;
		char out[16];
		assert_int_equal(bf_json_unescape(raw, out), len);
		assert_memory_equal(out, utf8, len);
		assert_true(bf_json_unescaped_is(raw, (struct bf_slice){utf8, len}));
		assert_false(bf_json_unescaped_is(raw, (struct bf_slice){utf8, len - 1}));
	}
	for (int c = 0; c < 256; c++) {
		char escape[3] = {'\\', (char)c, 0};
		bool good = c && strchr("\"\\/bfnrt", c);
		assert_int_equal(bf_json_escape_length(escape, escape + 2, c & 1), good ? 2 : 0);
		assert_int_equal(bf_json_escape_length(escape, escape + 1, c & 1), 0);
	}
}

static void test_plain_string_is_not_copied(void **state)
{
	static const char text[] = "{\"k\":\"value\"}";
	struct bf_arena none;
	struct bf_slice s;

	(void)state;
	struct bf_json_tape t = tape_of(bf_slice_from(text));
	bf_arena_init(&none, 0);
	assert_int_equal(bf_json_string(&t, 2, &none, &s), 0);
	assert_true(bf_slice_is(s, "value"));
	t = tape_of(BF_SLICE_LIT("[\"\\n\"]"));
	assert_int_equal(bf_json_string(&t, 1, &none, &s), -ENOMEM);
	bf_arena_done(&none);
}

static void test_members(void **state)
{
	(void)state;
	struct bf_json_tape t = tape_of(BF_SLICE_LIT(
	    "{\"x\":{\"b\":1},\"b\":[1,2],\"\\u0063\":3,\"\":4,\"a\\nb\":5,\"cc\":6}"));
	assert_int_equal(bf_json_member(&t, 0, "missing"), BF_JSON_NONE);
	assert_int_equal(bf_json_member(&t, 0, "b"), 6);
	assert_int_equal(t.tokens[bf_json_member(&t, 0, "c")].start, 32);
	assert_true(bf_slice_is(bf_json_raw(&t, bf_json_member(&t, 0, "")), "4"));
	assert_true(bf_slice_is(bf_json_raw(&t, bf_json_member(&t, 0, "a\nb")), "5"));
	assert_true(bf_slice_is(bf_json_raw(&t, bf_json_member(&t, 0, "cc")), "6"));
	uint32_t x = bf_json_member(&t, 0, "x");
	assert_true(bf_slice_is(bf_json_raw(&t, bf_json_member(&t, x, "b")), "1"));
	/* No object, and no token at all. */
	assert_int_equal(bf_json_member(&t, bf_json_member(&t, 0, "b"), "b"), BF_JSON_NONE);
	assert_int_equal(bf_json_member(&t, t.count, "b"), BF_JSON_NONE);
	assert_int_equal(bf_json_member(&t, BF_JSON_NONE, "b"), BF_JSON_NONE);
}

/* Names need not end with a zero byte, and may hold one; a key that only begins so is another. */
static void test_find(void **state)
{
	struct bf_json_tape t =
	    tape_of(BF_SLICE_LIT("{\"model\":1,\"mode\":2,\"nodel\":3,\"a\\u0000b\":4,\"\":5}"));

	(void)state;
	assert_int_equal(bf_json_find(&t, 0, (struct bf_slice){"models", 5}), 2);
	assert_int_equal(bf_json_find(&t, 0, (struct bf_slice){"models", 4}), 4);
	assert_int_equal(bf_json_find(&t, 0, (struct bf_slice){"models", 3}), BF_JSON_NONE);
	assert_int_equal(bf_json_find(&t, 0, (struct bf_slice){"a\0b", 3}), 8);
	assert_int_equal(bf_json_find(&t, 0, (struct bf_slice){"a\0b", 1}), BF_JSON_NONE);
	assert_int_equal(bf_json_find(&t, 0, (struct bf_slice){"", 0}), 10);
	assert_int_equal(bf_json_find(&t, 1, BF_SLICE_LIT("model")), BF_JSON_NONE);
	assert_int_equal(bf_json_find(&t, t.count, BF_SLICE_LIT("model")), BF_JSON_NONE);
}

static void test_raw(void **state)
{
	(void)state;
	struct bf_json_tape t = tape_of(BF_SLICE_LIT(" [ \"a\\n\" , {\"k\" : -1.50e1} , null ] "));
	static const char *const want[] = {"[ \"a\\n\" , {\"k\" : -1.50e1} , null ]",
					   "\"a\\n\"",
					   "{\"k\" : -1.50e1}",
					   "\"k\"",
					   "-1.50e1",
					   "null"};
	assert_int_equal(t.count, BF_ARRAY_LEN(want));
	for (uint32_t i = 0; i < t.count; i++)
		assert_true(bf_slice_is(bf_json_raw(&t, i), want[i]));
	assert_int_equal(bf_json_raw(&t, t.count).len, 0);
}

static void test_i64(void **state)
{
	static const struct {
		const char *text;
		int code;
		int64_t value;
	} rows[] = {
	    {"0", 0, 0},
	    {"-0", 0, 0},
	    {"9223372036854775807", 0, INT64_MAX},
	    {"-9223372036854775808", 0, INT64_MIN},
	    {"9223372036854775808", BF_E_RANGE, 0},
	    {"100000000000000000000000", BF_E_RANGE, 0},
	    {"1.0", BF_E_TYPE, 0},
	    {"1e2", BF_E_TYPE, 0},
	    {"\"1\"", BF_E_TYPE, 0},
	    {"true", BF_E_TYPE, 0},
	    {"null", BF_E_TYPE, 0},
	    {"[1]", BF_E_TYPE, 0},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(rows); i++) {
		struct bf_json_tape t = tape_of(bf_slice_from(rows[i].text));
		int64_t value = 77;
		assert_int_equal(bf_json_i64(&t, 0, &value), rows[i].code);
		assert_true(value == (rows[i].code ? 77 : rows[i].value));
	}
}

static void test_wrong_types_and_indices(void **state)
{
	struct bf_slice s;
	int64_t number;
	bool flag = false;

	(void)state;
	struct bf_json_tape t = tape_of(BF_SLICE_LIT("[true,false,null,1,\"x\"]"));
	assert_int_equal(bf_json_bool(&t, 1, &flag), 0);
	assert_true(flag);
	assert_int_equal(bf_json_bool(&t, 2, &flag), 0);
	assert_false(flag);
	for (uint32_t i = 0; i < 8; i++) {
		if (i != 1 && i != 2)
			assert_int_equal(bf_json_bool(&t, i, &flag), BF_E_TYPE);
		if (i != 4)
			assert_int_equal(bf_json_i64(&t, i, &number), BF_E_TYPE);
		if (i != 5)
			assert_int_equal(bf_json_string(&t, i, &arena, &s), BF_E_TYPE);
	}
	assert_int_equal(bf_json_string(&t, BF_JSON_NONE, &arena, &s), BF_E_TYPE);
}

/* Several members at once are what each is alone: absent, escaped, twice, below another, of lengths
 * that are alike. */
static void test_members_in_one_walk(void **state)
{
	static const struct bf_slice keys[] = {
	    BF_SLICE_INIT("model"),
	    BF_SLICE_INIT("n"),
	    BF_SLICE_INIT(""),
	    BF_SLICE_INIT("nodel"),
	    BF_SLICE_INIT("top"),
	    BF_SLICE_INIT("model"),
	    BF_SLICE_INIT("a key of exactly sixty-nine bytes, which has the same bit as one of 5")};
	static const char *const texts[] = {
	    "{}",
	    "{\"model\":1,\"mode\":2,\"models\":3,\"xodel\":4}",
	    "{\"n\":{\"top\":1,\"model\":2},\"\":3,\"top\":[{\"n\":4}]}",
	    "{\"\\u006dodel\":1,\"\\u006e\":2,\"n\\u006fdel\":3}",
	    "{\"a key of exactly sixty-nine bytes, which has the same bit as one of 5\":7}",
	    "[1,2]",
	    "7",
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		struct bf_json_tape t = tape_of(bf_slice_from(texts[i]));
		for (uint32_t obj = 0; obj <= t.count; obj++) {
			uint32_t at[BF_ARRAY_LEN(keys)];
			bf_json_find_all(&t, obj, keys, BF_ARRAY_LEN(keys), at);
			for (size_t k = 0; k < BF_ARRAY_LEN(keys); k++)
				assert_int_equal(at[k], bf_json_find(&t, obj, keys[k]));
		}
	}
}

static void test_last_of_two_members(void **state)
{
	const struct bf_slice keys[] = {BF_SLICE_INIT("a"), BF_SLICE_INIT("b")};
	struct bf_json_limits limits = bf_json_default_limits;
	struct bf_json_tape t;
	uint32_t at[2];

	(void)state;
	limits.reject_duplicate_keys = false;
	assert_int_equal(
	    bf_json_parse(&t, BF_SLICE_LIT("{\"a\":1,\"b\":2,\"a\":3}"), &arena, &limits, NULL), 0);
	bf_json_find_all(&t, 0, keys, 2, at);
	assert_int_equal(at[0], 6);
	assert_int_equal(at[1], 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_escape),
	    cmocka_unit_test(test_every_code_point),
	    cmocka_unit_test(test_plain_string_is_not_copied),
	    cmocka_unit_test(test_members),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_raw),
	    cmocka_unit_test(test_i64),
	    cmocka_unit_test(test_wrong_types_and_indices),
	    cmocka_unit_test(test_members_in_one_walk),
	    cmocka_unit_test(test_last_of_two_members),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
