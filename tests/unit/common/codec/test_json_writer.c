/* JSON writer: shape, escapes, bad UTF-8, misuse as a sticky error, the ceiling at every size, and
 * reading it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/codec/json_tape.h"
#include "common/codec/json_writer.h"
#include "common/codec/utf8.h"

static struct bf_buf out;
static struct bf_json_writer w;

static int setup(void **state)
{
	(void)state;
	bf_buf_init(&out, 1 << 20);
	bf_jw_init(&w, &out);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_buf_done(&out);
	return 0;
}

static void expect(const char *text)
{
	assert_int_equal(bf_jw_finish(&w), 0);
	if (!bf_slice_is(bf_buf_slice(&out), text))
		fail_msg("%.*s, should be %s", BF_SLICE_FMT(bf_buf_slice(&out)), text);
	bf_buf_clear(&out);
	bf_jw_init(&w, &out);
}

static void write_everything(struct bf_json_writer *jw)
{
	bf_jw_object(jw);
	bf_jw_key(jw, "s");
	bf_jw_cstr(jw, "a\"b");
	bf_jw_key_slice(jw, BF_SLICE_LIT("k\n"));
	bf_jw_array(jw);
	bf_jw_i64(jw, INT64_MIN);
	bf_jw_u64(jw, UINT64_MAX);
	bf_jw_bool(jw, true);
	bf_jw_bool(jw, false);
	bf_jw_null(jw);
	bf_jw_object(jw);
	bf_jw_end_object(jw);
	bf_jw_array(jw);
	bf_jw_end_array(jw);
	bf_jw_micro(jw, -250000);
	bf_jw_end_array(jw);
	bf_jw_key(jw, "r");
	bf_jw_raw(jw, BF_SLICE_LIT("{\"x\":1}"));
	bf_jw_end_object(jw);
}

static const char everything[] =
    "{\"s\":\"a\\\"b\",\"k\\n\":[-9223372036854775808,18446744073709551615,true,false,null,{},"
    "[],-0.25],\"r\":{\"x\":1}}";

static void test_shape(void **state)
{
	(void)state;
	write_everything(&w);
	expect(everything);
	bf_jw_null(&w);
	expect("null");
	bf_jw_array(&w);
	bf_jw_end_array(&w);
	expect("[]");
	bf_jw_cstr(&w, NULL);
	expect("\"\"");
}

static void test_micro(void **state)
{
	static const struct {
		int64_t micro;
		const char *text;
	} rows[] = {
	    {0, "0"},
	    {1, "0.000001"},
	    {-1, "-0.000001"},
	    {250000, "0.25"},
	    {1000000, "1"},
	    {-1500000, "-1.5"},
	    {10000000, "10"},
	    {INT64_MAX, "9223372036854.775807"},
	    {INT64_MIN, "-9223372036854.775808"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bf_jw_micro(&w, rows[i].micro);
		expect(rows[i].text);
	}
}

static void test_every_control_character(void **state)
{
	struct bf_arena arena;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	for (int c = 0; c < 128; c++) {
		char text[3] = {'a', (char)c, 'b'};
		struct bf_json_tape t;
		struct bf_slice back;
		bf_jw_string(&w, (struct bf_slice){text, 3});
		assert_int_equal(bf_jw_finish(&w), 0);
		assert_int_equal(
		    bf_json_parse(&t, bf_buf_slice(&out), &arena, &bf_json_default_limits, NULL),
		    0);
		assert_int_equal(bf_json_string(&t, 0, &arena, &back), 0);
		assert_true(bf_slice_eq(back, (struct bf_slice){text, 3}));
		bf_buf_clear(&out);
		bf_jw_init(&w, &out);
	}
	bf_arena_done(&arena);
	bf_jw_cstr(&w, "\b\f\n\r\t\x01\x1f\x7f/\"\\");
	expect("\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/\\\"\\\\\"");
}

static void test_bad_utf8_is_replaced(void **state)
{
	static const char *const rows[][2] = {
	    {"\xff", "\"\xef\xbf\xbd\""},
	    {"a\x80z", "\"a\xef\xbf\xbdz\""},
	    {"\xc3", "\"\xef\xbf\xbd\""},
	    {"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
	    {"\xc3\xa4\xc3", "\"\xc3\xa4\xef\xbf\xbd\""},
	    {"\xed\xa0\x80\n", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\n\""},
	    {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bf_jw_cstr(&w, rows[i][0]);
		expect(rows[i][1]);
	}
	/* Keys too, and whatever the bytes are the output is valid. */
	for (unsigned i = 0; i < 0x10000; i++) {
		char text[2] = {(char)(i >> 8), (char)i};
		bf_jw_object(&w);
		bf_jw_key_slice(&w, (struct bf_slice){text, 2});
		bf_jw_string(&w, (struct bf_slice){text, 2});
		bf_jw_end_object(&w);
		assert_int_equal(bf_jw_finish(&w), 0);
		assert_true(bf_utf8_valid(bf_buf_slice(&out).ptr, bf_buf_len(&out)));
		bf_buf_clear(&out);
		bf_jw_init(&w, &out);
	}
}

static void step(struct bf_json_writer *jw, char c)
{
	switch (c) {
	case '{':
		bf_jw_object(jw);
		break;
	case '}':
		bf_jw_end_object(jw);
		break;
	case '[':
		bf_jw_array(jw);
		break;
	case ']':
		bf_jw_end_array(jw);
		break;
	case 'k':
		bf_jw_key(jw, "k");
		break;
	case 'r':
		bf_jw_raw(jw, BF_SLICE_LIT(""));
		break;
	default:
		bf_jw_i64(jw, 1);
		break;
	}
}

static void test_misuse_is_sticky(void **state)
{
	static const char *const wrong[] = {"{1",  "{k}", "{kk", "k",   "[k",  "}", "]",
					    "{]",  "[}",  "11",  "[]1", "{k1", "[", "{k[",
					    "[]]", "{}k", "r",   "[r",  "{[",  "{{"};
	char copy[64];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		for (const char *c = wrong[i]; *c; c++)
			step(&w, *c);
		int error = bf_jw_finish(&w);
		assert_int_equal(error, strchr(wrong[i], 'r') ? BF_E_SYNTAX : BF_E_STATE);
		/* Nothing more is written after that, and the first error stays. */
		size_t len = bf_buf_len(&out);
		assert_true(len < sizeof(copy));
		write_everything(&w);
		assert_int_equal(bf_jw_finish(&w), error);
		assert_int_equal(bf_buf_len(&out), len);
		bf_buf_clear(&out);
		bf_jw_init(&w, &out);
	}
}

static void test_depth(void **state)
{
	(void)state;
	for (int i = 0; i < BF_JSON_WRITER_DEPTH; i++)
		bf_jw_array(&w);
	assert_int_equal(w.error, 0);
	bf_jw_array(&w);
	assert_int_equal(bf_jw_finish(&w), BF_E_LIMIT);
}

/* A buffer that is full after any number of bytes: an error, and what stands there is a prefix of
 * the whole. */
static void test_every_ceiling(void **state)
{
	(void)state;
	for (size_t max = 0; max <= sizeof(everything); max++) {
		struct bf_buf small;
		struct bf_json_writer jw;
		bf_buf_init(&small, max);
		bf_jw_init(&jw, &small);
		write_everything(&jw);
		assert_int_equal(bf_jw_finish(&jw), max < sizeof(everything) - 1 ? BF_E_LIMIT : 0);
		assert_true(bf_buf_len(&small) <= max);
		if (bf_buf_len(&small))
			assert_memory_equal(bf_buf_slice(&small).ptr, everything,
					    bf_buf_len(&small));
		bf_buf_done(&small);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_shape, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_micro, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_every_control_character, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_utf8_is_replaced, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_misuse_is_sticky, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_every_ceiling, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
