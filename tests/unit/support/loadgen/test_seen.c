/* What streams and bodies said, fed whole and byte by byte: tokens, usage, ends, words astray. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "tests/support/loadgen/seen.h"
#include "tests/support/wire/words.h"

#define USER "P-0000000007"

static char stream_text[4096];
static size_t word_ends[8];

static size_t put(char *out, const char *text)
{
	memcpy(out, text, strlen(text));
	return strlen(text);
}

static size_t make_stream(uint32_t hash, const char *terminal)
{
	size_t n = put(stream_text, "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\","
				    "\"content\":\"\"}}]}\n\n: heartbeat\n\n");

	for (uint64_t i = 0; i < 5; i++) {
		n += put(stream_text + n, "data: {\"choices\":[{\"delta\":{\"content\":\"");
		words_write(stream_text + n, WORD_WIDTH_MIN, hash, i);
		n += WORD_WIDTH_MIN;
		n += put(stream_text + n, "\"}}]}\r\n");
		word_ends[i] = n;
		n += put(stream_text + n, "\n");
	}
	n += put(stream_text + n, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,"
				  "\"completion_tokens\":5,\"total_tokens\":17}}\n\n");
	return n + put(stream_text + n, terminal);
}

static void feed(struct seen *s, struct bf_slice text, size_t step)
{
	for (size_t at = 0; at < text.len; at += step)
		assert_int_equal(
		    seen_feed(s, (struct bf_slice){text.ptr + at, BF_MIN(step, text.len - at)}), 0);
}

static void test_stream(void **state)
{
	uint32_t hash = words_hash(BF_SLICE_LIT(USER));
	size_t len = make_stream(hash, "data: [DONE]\n\n");
	struct seen s;

	(void)state;
	seen_init(&s);
	for (size_t step = 1; step <= len; step++) {
		seen_start(&s, true, true, hash);
		s.stream = true;
		feed(&s, (struct bf_slice){stream_text, len}, step);
		assert_int_equal(s.tokens, 5);
		assert_int_equal(s.events, 8);
		assert_true(s.terminal && !s.garbled && !s.error && s.has_usage);
		assert_int_equal(s.prompt_tokens, 12);
		assert_int_equal(s.completion_tokens, 5);
	}
	/* A token counts with the last byte of its event's line. */
	for (size_t cut = 0; cut <= len; cut++) {
		size_t want = 0;

		while (want < 5 && word_ends[want] <= cut)
			want++;
		seen_start(&s, true, true, hash);
		s.stream = true;
		feed(&s, (struct bf_slice){stream_text, cut}, 1000);
		assert_int_equal(s.tokens, want);
		assert_int_equal(s.terminal, cut >= len - 1);
	}
	seen_done(&s);
}

static void test_of_another_request(void **state)
{
	size_t len = make_stream(words_hash(BF_SLICE_LIT("P-0000000008")), "data: [DONE]\n\n");
	struct seen s;

	(void)state;
	seen_init(&s);
	seen_start(&s, true, true, words_hash(BF_SLICE_LIT(USER)));
	s.stream = true;
	feed(&s, (struct bf_slice){stream_text, len}, len);
	assert_true(s.garbled);
	seen_done(&s);
}

static void test_ends(void **state)
{
	static const struct {
		const char *text;
		bool terminal, error;
	} rows[] = {
	    {"", false, false},
	    {"data: [DONE]\n", true, false},
	    {"data:[DONE]\n", true, false},
	    {"data: [DONE]", false, false},
	    {"data: {\"error\":{\"message\":\"x\"}}\n\n", false, true},
	    {"data: {\"error\":null}\n\n", false, false},
	    {"event: error\ndata: {}\n\n", false, true},
	    {"event: response.completed\ndata: {}\n\n", true, false},
	    {"event: response.failed\ndata: {}\n\n", false, true},
	};
	struct seen s;

	(void)state;
	seen_init(&s);
	for (size_t i = 0; i < BF_ARRAY_LEN(rows); i++) {
		seen_start(&s, true, false, 0);
		s.stream = true;
		feed(&s, bf_slice_from(rows[i].text), 4);
		if (s.terminal != rows[i].terminal || s.error != rows[i].error)
			fail_msg("%s", rows[i].text);
	}
	seen_done(&s);
}

static void test_plain(void **state)
{
	static const struct {
		const char *usage;
		bool has;
		uint64_t prompt, completion;
	} rows[] = {
	    {"{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}", true, 1, 2},
	    {"{\"input_tokens\":4,\"output_tokens\":5}", true, 4, 5},
	    {"{\"prompt_tokens\":6,\"total_tokens\":6}", true, 6, 0},
	    {"{\"prompt_tokens\":-1,\"completion_tokens\":2}", false, 0, 0},
	    {"{\"prompt_tokens\":\"1\",\"completion_tokens\":2}", false, 0, 0},
	    {"{\"prompt_tokens\":1.5,\"completion_tokens\":2}", false, 0, 0},
	    {"null", false, 0, 0},
	};
	struct seen s;

	(void)state;
	seen_init(&s);
	for (size_t i = 0; i < BF_ARRAY_LEN(rows); i++) {
		seen_start(&s, true, false, 0);
		feed(&s, BF_SLICE_LIT("{\"message\":{\"content\":\"some words\"},\"usage\":"), 7);
		feed(&s, bf_slice_from(rows[i].usage), 7);
		feed(&s, BF_SLICE_LIT("}"), 7);
		seen_end(&s);
		assert_int_equal(s.tokens, 1);
		assert_int_equal(s.has_usage, rows[i].has);
		assert_int_equal(s.prompt_tokens, rows[i].prompt);
		assert_int_equal(s.completion_tokens, rows[i].completion);
	}
	seen_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stream),
	    cmocka_unit_test(test_of_another_request),
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
