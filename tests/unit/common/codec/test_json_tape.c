/* JSON reader: what must be accepted and refused, where errors are told, cuts and mutations at
 * every byte, limits. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/codec/json_tape.h"

static struct bf_arena arena;

static const char chat[] =
    "{\"model\":\"openai/gpt-4o\",\n \"messages\": [ "
    "{\"role\":\"user\",\"content\":\"Gr\xc3\xbc\xc3\x9f\\n \\\"Gott\\\" "
    "\\ud83d\\ude00 "
    "\xe7\xbd\x91\xe5\x85\xb3\"},\t{\"role\":\"assistant\",\"content\":null}],\"temperature\":-0."
    "25e+1,"
    "\"max_tokens\":512,\"stream\":true,\"stop\":[],\"x\":{},\"n\":[1,[2,[3]],false]}\r\n";

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

/* Parses a heap copy of the exact size, so that ASan sees a read past the end. The tape must not be
 * used after. */
static int parse_copy(const char *text, size_t len, struct bf_err *err)
{
	struct bf_json_tape tape;
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	bf_arena_reset(&arena);
	int r = bf_json_parse(&tape, (struct bf_slice){copy, len}, &arena, &bf_json_default_limits,
			      err);
	/* What every accepted tape promises. */
	for (uint32_t i = 0; r == 0 && i < tape.count; i++) {
		const struct bf_json_token *t = &tape.tokens[i];
		assert_true((size_t)t->start + t->len <= len);
		assert_true(t->next > i && t->next <= tape.count);
		bool container = t->type == BF_JSON_ARRAY || t->type == BF_JSON_OBJECT;
		assert_true(container || t->next == i + 1);
		uint32_t children = 0;
		for (uint32_t k = i + 1; k < t->next; k = tape.tokens[k].next)
			children++;
		assert_int_equal(children, t->type == BF_JSON_OBJECT ? 2 * t->count : t->count);
	}
	free(copy);
	return r;
}

static void test_accepted(void **state)
{
	static const char *const texts[] = {
	    "null",
	    " true ",
	    "\tfalse\r\n",
	    "0",
	    "-0",
	    "-1",
	    "10",
	    "0.5",
	    "1e5",
	    "1E+5",
	    "1e-05",
	    "-0.0e0",
	    "123456789012345678901234567890.5e999",
	    "\"\"",
	    "\"a\"",
	    "[]",
	    "[ ]",
	    "{}",
	    "{ }",
	    "[1]",
	    "[ 1 , 2 ]",
	    "[[],{}]",
	    "{\"\":1}",
	    "{\"a\":{\"a\":{\"a\":[]}}}",
	    "\"\\u0000\"",
	    "\"\\ud83d\\ude00\"",
	    "\"\\uFFFF\\ufffe\"",
	    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
	    "\"\x7f\"",
	    "\"\xf4\x8f\xbf\xbf\"",
	    "[\"a\",\"a\"]",
	    "{\"a\":1,\"A\":2}",
	    "\"\\\\u12\"",
	    "[0,-0,0.0,1]",
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		struct bf_err err = {0};
		if (parse_copy(texts[i], strlen(texts[i]), &err) != 0)
			fail_msg("%s: %s", texts[i], err.text);
	}
	assert_int_equal(parse_copy(chat, sizeof(chat) - 1, NULL), 0);
}

static void test_refused_at(void **state)
{
	static const struct {
		const char *text, *where;
	} rows[] = {
	    {"", "1:1: the text ends where a value"},
	    {"  ", "1:3: the text ends where a value"},
	    {"nul", "1:1: 'n' where a value"},
	    {"nullx", "1:5: 'x' where the end"},
	    {"True", "1:1: 'T'"},
	    {"NaN", "1:1: 'N'"},
	    {"Infinity", "1:1: 'I'"},
	    {"-Infinity", "1:2: 'I' where a digit"},
	    {"+1", "1:1: '+'"},
	    {"01", "1:2: '1' where the end"},
	    {"-01", "1:3: '1'"},
	    {".5", "1:1: '.'"},
	    {"1.", "1:3: the text ends where a digit"},
	    {"1.e5", "1:3: 'e' where a digit"},
	    {"1e", "1:3: the text ends where a digit"},
	    {"1e+", "1:4: the text ends where a digit"},
	    {"-", "1:2: the text ends where a digit"},
	    {"0x10", "1:2: 'x'"},
	    {"1 2", "1:3: '2' where the end"},
	    {"[1,]", "1:4: ']' where a value"},
	    {"[,1]", "1:2: ',' where a value"},
	    {"[1 2]", "1:4: '2' where a comma or ']'"},
	    {"[1", "1:3: the text ends where a comma"},
	    {"[", "1:2: the text ends where a value"},
	    {"]", "1:1: ']'"},
	    {"[}", "1:2: '}'"},
	    {"{]", "1:2: ']' where a key"},
	    {"[1}", "1:3: '}' where a comma or ']'"},
	    {"{\"a\":1]", "1:7: ']' where a comma or '}'"},
	    {"{", "1:2: the text ends where a key"},
	    {"{\"a\"", "1:5: the text ends where a colon"},
	    {"{\"a\":", "1:6: the text ends where a value"},
	    {"{\"a\":}", "1:6: '}' where a value"},
	    {"{\"a\":1,}", "1:8: '}' where a key"},
	    {"{\"a\" 1}", "1:6: '1' where a colon"},
	    {"{a:1}", "1:2: 'a' where a key"},
	    {"{'a':1}", "1:2: ''' where a key"},
	    {"{1:1}", "1:2: '1' where a key"},
	    {"{\"a\":1 \"b\":2}", "1:8: '\"' where a comma"},
	    {"{} {}", "1:4: '{' where the end"},
	    {"// c\n1", "1:1: '/'"},
	    {"[1,\n\n  x]", "3:3: 'x'"},
	    {"\xef\xbb\xbf{}", "1:1: byte 0xef"},
	    {"\"", "1:2: the text ends inside"},
	    {"\"a\\", "1:3: not a valid escape"},
	    {"\"a\nb\"", "1:3: a control character"},
	    {"\"\x1f\"", "1:2: a control character"},
	    {"\"\\x41\"", "1:2: not a valid escape"},
	    {"\"\\'\"", "1:2: not a valid escape"},
	    {"\"\\u123\"", "1:2: not a valid escape"},
	    {"\"\\u123g\"", "1:2: not a valid escape"},
	    {"\"\\U0041\"", "1:2: not a valid escape"},
	    {"\"ab\\ud800\"", "1:4: not a valid escape"},
	    {"\"\\ud800\\ud800\"", "1:2: not a valid escape"},
	    {"\"\\ud800x\\udc00\"", "1:2: not a valid escape"},
	    {"\"\\udc00\"", "1:2: not a valid escape"},
	    {"\"\\udc00\\ud800\"", "1:2: not a valid escape"},
	    {"\"\\ud800\\u0041\"", "1:2: not a valid escape"},
	    {"\"abc\x80\"", "1:5: not valid UTF-8"},
	    {"\"\xed\xa0\x80\"", "1:2: not valid UTF-8"},
	    {"\"\xc0\xaf\"", "1:2: not valid UTF-8"},
	    {"\"0123456789abcdefghij\xc3(\"", "1:22: not valid UTF-8"},
	    {"{\"\xff\":1}", "1:3: not valid UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(rows); i++) {
		struct bf_err err = {0};
		int r = parse_copy(rows[i].text, strlen(rows[i].text), &err);
		if (r != BF_E_SYNTAX || err.code != r ||
		    strncmp(err.text, rows[i].where, strlen(rows[i].where)) != 0)
			fail_msg("%s: %d \"%s\", should be \"%s\"", rows[i].text, r, err.text,
				 rows[i].where);
	}
	assert_int_equal(parse_copy("1\0", 2, NULL), BF_E_SYNTAX);
	assert_int_equal(parse_copy("\"a\0b\"", 5, NULL), BF_E_SYNTAX);
	assert_int_equal(parse_copy("\"\\\0\"", 4, NULL), BF_E_SYNTAX);
}

/* Somebody else's answer: what is wrong within its strings is not ours to judge, all else is. */
static void test_lenient_text(void **state)
{
	static const struct bf_json_limits lenient = {
	    .max_depth = 8, .max_tokens = 100, .lenient_text = true};
	static const char *const good[] = {
	    "[\"\\ud83d\"]",        "[\"\\udc00x\"]", "[\"\\ud800\\ud800\"]",
	    "[\"\\ud83d\\u0041\"]", "[\"\xff\xfe\"]", "[\"\xed\xa0\x80 \\ud83d\\ude00\"]",
	};
	static const char *const bad[] = {"[\"\\ud83\"]", "[\"\\x\"]", "[\"\\ud83d]",
					  "[\xff]",       "[\"\n\"]",  "[\"\\u\"]"};
	struct bf_json_tape t;
	struct bf_slice s;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(good); i++) {
		bf_arena_reset(&arena);
		assert_int_equal(bf_json_parse(&t, bf_slice_from(good[i]), &arena, &lenient, NULL),
				 0);
		assert_int_equal(bf_json_string(&t, 1, &arena, &s), 0);
		assert_int_equal(parse_copy(good[i], strlen(good[i]), NULL), BF_E_SYNTAX);
	}
	assert_int_equal(bf_json_parse(&t, bf_slice_from(good[0]), &arena, &lenient, NULL), 0);
	assert_int_equal(bf_json_string(&t, 1, &arena, &s), 0);
	assert_true(bf_slice_is(s, "\xef\xbf\xbd"));
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++)
		assert_int_equal(bf_json_parse(&t, bf_slice_from(bad[i]), &arena, &lenient, NULL),
				 BF_E_SYNTAX);
}

static void test_tape_of_a_chat(void **state)
{
	struct bf_json_tape t;

	(void)state;
	assert_int_equal(bf_json_parse(&t,
				       BF_SLICE_LIT("{\"a\":[1,{\"b\":\"x\\n\"},null],\"c\":true}"),
				       &arena, &bf_json_default_limits, NULL),
			 0);
	static const struct bf_json_token want[] = {
	    {.start = 0, .len = 35, .next = 10, .count = 2, .type = BF_JSON_OBJECT},
	    {.start = 2, .len = 1, .next = 2, .type = BF_JSON_STRING},
	    {.start = 5, .len = 20, .next = 8, .count = 3, .type = BF_JSON_ARRAY},
	    {.start = 6, .len = 1, .next = 4, .type = BF_JSON_NUMBER},
	    {.start = 8, .len = 11, .next = 7, .count = 1, .type = BF_JSON_OBJECT},
	    {.start = 10, .len = 1, .next = 6, .type = BF_JSON_STRING},
	    {.start = 14, .len = 3, .next = 7, .type = BF_JSON_STRING, .escaped = true},
	    {.start = 20, .len = 4, .next = 8, .type = BF_JSON_NULL},
	    {.start = 27, .len = 1, .next = 9, .type = BF_JSON_STRING},
	    {.start = 30, .len = 4, .next = 10, .type = BF_JSON_TRUE},
	};
	assert_int_equal(t.count, BF_ARRAY_LEN(want));
	for (uint32_t i = 0; i < t.count; i++) {
		assert_int_equal(t.tokens[i].start, want[i].start);
		assert_int_equal(t.tokens[i].len, want[i].len);
		assert_int_equal(t.tokens[i].next, want[i].next);
		assert_int_equal(t.tokens[i].count, want[i].count);
		assert_int_equal(t.tokens[i].type, want[i].type);
		assert_int_equal(t.tokens[i].escaped, want[i].escaped);
	}
}

/* No proper prefix of an object is a text. */
static void test_cut_at_every_byte(void **state)
{
	struct bf_err err;

	(void)state;
	size_t whole = (size_t)(strrchr(chat, '}') - chat) + 1;
	for (size_t len = 0; len < whole; len++) {
		assert_int_equal(parse_copy(chat, len, &err), BF_E_SYNTAX);
		assert_non_null(strchr(err.text, ':'));
	}
	for (size_t len = whole; len < sizeof(chat); len++)
		assert_int_equal(parse_copy(chat, len, &err), 0);
}

static void test_one_mutated_byte(void **state)
{
	char copy[sizeof(chat)];
	unsigned refused = 0, accepted = 0;

	(void)state;
	for (size_t at = 0; at < sizeof(chat) - 1; at++)
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(copy, chat, sizeof(chat));
			copy[at] = (char)byte;
			int r = parse_copy(copy, sizeof(chat) - 1, NULL);
			assert_true(r == 0 || r == BF_E_SYNTAX || r == BF_E_DUPLICATE);
			refused += r != 0;
			accepted += r == 0;
		}
	assert_true(refused > 10000 && accepted > 1000);
}

static char *bomb(char bracket, size_t depth)
{
	char *text = malloc(depth * 2);

	assert_non_null(text);
	memset(text, bracket, depth);
	memset(text + depth, bracket == '[' ? ']' : '}', depth);
	return text;
}

static void test_depth(void **state)
{
	struct bf_json_limits limits = {.max_depth = 64, .max_tokens = 1000};
	struct bf_json_tape t;
	struct bf_err err;
	char *text = bomb('[', 2000000);

	(void)state;
	assert_int_equal(parse_copy(text + 2000000 - 64, 128, NULL), 0);
	assert_int_equal(parse_copy(text + 2000000 - 65, 130, &err), BF_E_LIMIT);
	assert_string_equal(err.text, "1:65: nested too deeply");
	assert_int_equal(parse_copy(text, 4000000, &err), BF_E_LIMIT);
	free(text);
	limits.max_depth = 0;
	assert_int_equal(bf_json_parse(&t, BF_SLICE_LIT("1"), &arena, &limits, NULL), 0);
	assert_int_equal(bf_json_parse(&t, BF_SLICE_LIT("[]"), &arena, &limits, NULL), BF_E_LIMIT);
	limits.max_depth = 1;
	assert_int_equal(bf_json_parse(&t, BF_SLICE_LIT("[1,2]"), &arena, &limits, NULL), 0);
	assert_int_equal(bf_json_parse(&t, BF_SLICE_LIT("[[]]"), &arena, &limits, NULL),
			 BF_E_LIMIT);
}

static void test_token_limit(void **state)
{
	struct bf_json_limits limits = {.max_depth = 64, .reject_duplicate_keys = true};
	struct bf_json_tape t;
	struct bf_err err;

	(void)state;
	for (uint32_t max = 0; max < 200; max++) {
		char text[512] = "[1", *end = text + 2;
		for (uint32_t i = 2; i < 150; i++) {
			*end++ = ',';
			*end++ = '1';
		}
		*end++ = ']';
		limits.max_tokens = max;
		int r = bf_json_parse(&t, (struct bf_slice){text, (size_t)(end - text)}, &arena,
				      &limits, &err);
		assert_int_equal(r, max >= 150 ? 0 : BF_E_LIMIT);
		assert_true(r || t.count == 150);
	}
	assert_string_equal(err.text, "1:299: too many values");
}

static void test_memory_limit(void **state)
{
	struct bf_arena small;
	struct bf_json_tape t;
	struct bf_err err;

	(void)state;
	for (size_t cap = 0; cap < 40000; cap += 500) {
		bf_arena_init(&small, cap);
		int r =
		    bf_json_parse(&t, bf_slice_from(chat), &small, &bf_json_default_limits, &err);
		assert_true(r == 0 || r == -ENOMEM);
		assert_int_equal(r, cap < 64 * sizeof(struct bf_json_token) ? -ENOMEM : 0);
		bf_arena_done(&small);
	}
}

/* The arena holds the tape and room for a few tokens more, however much was taken on the way. */
static void test_tape_is_trimmed(void **state)
{
	char text[1000] = "[[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,"
			  "6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6],\"";
	size_t len = strlen(text);
	struct bf_json_tape t;

	(void)state;
	memset(text + len, 'a', sizeof(text) - len);
	text[sizeof(text) - 2] = '"';
	text[sizeof(text) - 1] = ']';
	bf_arena_reset(&arena);
	assert_int_equal(bf_json_parse(&t, (struct bf_slice){text, sizeof(text)}, &arena,
				       &bf_json_default_limits, NULL),
			 0);
	assert_int_equal(t.count, 69);
#ifndef BF_ARENA_MALLOC
	assert_in_range(arena.used_bytes, 69 * sizeof(struct bf_json_token),
			(69 + 64) * sizeof(struct bf_json_token));
#endif
}

static void test_position(void **state)
{
	uint32_t line, col;

	(void)state;
	bf_json_position(BF_SLICE_LIT("ab\nc\n"), 0, &line, &col);
	assert_true(line == 1 && col == 1);
	bf_json_position(BF_SLICE_LIT("ab\nc\n"), 2, &line, &col);
	assert_true(line == 1 && col == 3);
	bf_json_position(BF_SLICE_LIT("ab\nc\n"), 3, &line, &col);
	assert_true(line == 2 && col == 1);
	bf_json_position(BF_SLICE_LIT("ab\nc\n"), 5, &line, &col);
	assert_true(line == 3 && col == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted),
	    cmocka_unit_test(test_refused_at),
	    cmocka_unit_test(test_lenient_text),
	    cmocka_unit_test(test_tape_of_a_chat),
	    cmocka_unit_test(test_cut_at_every_byte),
	    cmocka_unit_test(test_one_mutated_byte),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_token_limit),
	    cmocka_unit_test(test_memory_limit),
	    cmocka_unit_test(test_tape_is_trimmed),
	    cmocka_unit_test(test_position),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
