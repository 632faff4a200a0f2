/* Members that nobody reads: the reader that skims them against the one that does not, with every
 * byte changed and cut, at every place of a block of 64 bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/macros.h"
#include "common/codec/json_tape.h"

static const struct bf_slice skimmed[] = {BF_SLICE_INIT("data"), BF_SLICE_INIT("tools"), {NULL, 0}};

static const struct bf_json_limits skim = {
    .max_depth = 64, .max_tokens = 1000, .reject_duplicate_keys = true, .skimmed = skimmed};

static struct bf_arena arena;

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 64u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

/* Of both readers: where the value of "model" is; 0 when they refuse the text. */
static size_t model_at(const char *text, size_t len, const struct bf_json_limits *limits)
{
	struct bf_json_tape t;

	if (bf_json_parse(&t, (struct bf_slice){text, len}, &arena, limits, NULL) < 0)
		return 0;
	uint32_t model = bf_json_member(&t, 0, "model");
	return model == BF_JSON_NONE ? SIZE_MAX : t.tokens[model].start;
}

/* What the strict reader accepts the other one must, and see the same; the exact size, for ASan. */
static bool check_agree(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	bf_arena_reset(&arena);
	size_t strict = model_at(copy, len, &bf_json_default_limits);
	size_t quick = model_at(copy, len, &skim);
	free(copy);
	if (strict)
		assert_int_equal(quick, strict);
	return quick != 0;
}

#define TOOL                                                          \
	"{\"type\":\"function\",\"f\":{\"d\":\"it's a \\\"pa/th\\\" " \
	"#1\\\\\",\"p\":[1,-2.5e3,true,"                              \
	"null,{},[[]]]}}"

static void test_places(void **state)
{
	char pad[2 * 70];

	(void)state;
	memset(pad, '\\', sizeof(pad));
	for (int n = 0; n <= 70; n++) {
		struct bf_buf b;
		bf_buf_init(&b, 1 << 20);
		/* Escapes, quotes and brackets fall on each side of the end of a block. */
		assert_int_equal(bf_buf_printf(&b,
					       "{\"tools\":[\"%.*s\",%s,\"]}\xc3\xa4\\u00e4\"],"
					       "\"model\":\"m\"}",
					       2 * n, pad, TOOL),
				 0);
		assert_true(check_agree(b.data + b.start, bf_buf_len(&b)));
		bf_buf_done(&b);
		bf_buf_init(&b, 1 << 20);
		assert_int_equal(
		    bf_buf_printf(&b, "{\"tools\":[%*s%s],\"model\":\"m\"}", n, "", TOOL), 0);
		assert_true(check_agree(b.data + b.start, bf_buf_len(&b)));
		bf_buf_done(&b);
	}
}

static void test_every_byte(void **state)
{
	static const char text[] = "{\"tools\":[" TOOL ",\"\xc3\xa4\\ud83d\\ude00\"],\"model\":1}";
	char changed[sizeof(text)];

	(void)state;
	memcpy(changed, text, sizeof(text));
	for (size_t at = 0; at < sizeof(text) - 1; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			changed[at] = (char)byte;
			(void)check_agree(changed, sizeof(text) - 1);
		}
		changed[at] = text[at];
		assert_false(check_agree(text, at));
	}
	assert_true(check_agree(text, sizeof(text) - 1));
}

static void test_one_token(void **state)
{
	static const char text[] = "{\"a\":[1],\"tools\": [1 2,,{\"a\":1,\"a\":2}] ,\"data\":{} , "
				   "\"\\u0074ools\":[3]}";
	static const char nested[] = "{\"a\":{\"tools\":[7]},\"data\":\"x\"}";
	struct bf_json_tape t;

	(void)state;
	assert_int_equal(
	    bf_json_parse(&t, BF_SLICE_LIT("{\"data\":1,\"data\":[]}"), &arena, &skim, NULL),
	    BF_E_DUPLICATE);
	/* Both spellings of one key are found to be one. */
	assert_int_equal(bf_json_parse(&t, bf_slice_from(text), &arena, &skim, NULL),
			 BF_E_DUPLICATE);
	struct bf_slice some = {text, strlen(text) - 18};
	assert_int_equal(bf_json_parse(&t, some, &arena, &skim, NULL), BF_E_SYNTAX);
	assert_int_equal(
	    bf_json_parse(&t, BF_SLICE_LIT("{\"tools\": [1 2,,{\"a\":1,\"a\":2}] ,\"data\":{}}"),
			  &arena, &skim, NULL),
	    0);
	assert_int_equal(t.count, 5);
	uint32_t tools = bf_json_member(&t, 0, "tools"), data = bf_json_member(&t, 0, "data");
	assert_int_equal(t.tokens[tools].type, BF_JSON_ARRAY);
	assert_int_equal(t.tokens[data].type, BF_JSON_OBJECT);
	assert_int_equal(t.tokens[tools].next, tools + 1);
	assert_int_equal(t.tokens[tools].count + t.tokens[data].count, 0);
	assert_true(bf_slice_is(bf_json_raw(&t, tools), "[1 2,,{\"a\":1,\"a\":2}]"));
	assert_true(bf_slice_is(bf_json_raw(&t, data), "{}"));
	/* Only in the root, and only containers. */
	assert_int_equal(bf_json_parse(&t, bf_slice_from(nested), &arena, &skim, NULL), 0);
	assert_int_equal(t.count, 8);
	assert_int_equal(bf_json_parse(&t, BF_SLICE_LIT("[\"tools\",[5]]"), &arena, &skim, NULL),
			 0);
	assert_int_equal(t.count, 4);
}

static void test_refused_at(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *why;
	} rows[] = {
	    {"{\"tools\":[}]}", BF_E_SYNTAX, "1:11: '}' where a value or the closing bracket"},
	    {"{\"tools\":{\n]}", BF_E_SYNTAX, "2:1: ']' where a value or the closing bracket"},
	    {"{\"tools\":[1,", BF_E_SYNTAX, "1:13: the text ends where a closing bracket"},
	    {"{\"tools\":[\"a", BF_E_SYNTAX, "1:13: the text ends inside a string"},
	    {"{\"tools\":[\"a\n\"]}", BF_E_SYNTAX, "1:13: a control character in a string"},
	    {"{\"tools\":[\"\\q\"]}", BF_E_SYNTAX, "1:12: not a valid escape"},
	    {"{\"tools\":[\"\\ud800\"]}", BF_E_SYNTAX, "1:12: not a valid escape"},
	    {"{\"tools\":[\"\\\"]}", BF_E_SYNTAX, "1:16: the text ends inside a string"},
	    {"{\"tools\":[/*\"*/]}", BF_E_SYNTAX, "1:11: '/' where a value"},
	    {"{\"tools\":['\"']}", BF_E_SYNTAX, "1:11: ''' where a value"},
	    {"{\"tools\":[#\"\n]}", BF_E_SYNTAX, "1:11: '#' where a value"},
	    {"{\"tools\":[\\\"]}", BF_E_SYNTAX, "1:11: '\\' where a value"},
	    {"{\"tools\":[\xc3\xa4]}", BF_E_SYNTAX, "1:11: byte 0xc3 where a value"},
	    {"{\"tools\":[\"\xc3\"]}", BF_E_SYNTAX, "1:12: not valid UTF-8"},
	    {"{\"tools\":[]]}", BF_E_SYNTAX, "1:12: ']' where a comma or '}'"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(rows); i++) {
		struct bf_err err = {0};
		struct bf_json_tape t;
		int r = bf_json_parse(&t, bf_slice_from(rows[i].text), &arena, &skim, &err);
		if (r != rows[i].code || strncmp(err.text, rows[i].why, strlen(rows[i].why)) != 0)
			fail_msg("%s: %d %s", rows[i].text, r, err.text);
	}
}

static void test_depth(void **state)
{
	char text[200];
	struct bf_json_tape t;

	(void)state;
	for (size_t depth = 1; depth <= 70; depth++) {
		size_t n = 0;
		struct bf_err err = {0};
		memcpy(text, "{\"tools\":", 9);
		memset(text + 9, '[', depth);
		memset(text + 9 + depth, ']', depth);
		n = 9 + 2 * depth;
		text[n++] = '}';
		int r = bf_json_parse(&t, (struct bf_slice){text, n}, &arena, &skim, &err);
		assert_int_equal(r, depth < 64 ? 0 : BF_E_LIMIT);
		if (r < 0)
			assert_string_equal(err.text, "1:73: nested too deeply");
	}
}

/* Lenient readers leave text as it is, within skimmed members too. */
static void test_lenient(void **state)
{
	struct bf_json_limits lenient = skim;
	struct bf_json_tape t;

	(void)state;
	lenient.lenient_text = true;
	assert_int_equal(
	    bf_json_parse(&t, BF_SLICE_LIT("{\"data\":[\"\\udc00\xff\"]}"), &arena, &lenient, NULL),
	    0);
	assert_int_equal(
	    bf_json_parse(&t, BF_SLICE_LIT("{\"data\":[\xff]}"), &arena, &lenient, NULL),
	    BF_E_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_places),    cmocka_unit_test(test_every_byte),
	    cmocka_unit_test(test_one_token), cmocka_unit_test(test_refused_at),
	    cmocka_unit_test(test_depth),     cmocka_unit_test(test_lenient),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
