/* Answers: valid JSON in every shape, words where they are said to be, each event once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "tests/support/mockllm/answer.h"
#include "tests/support/wire/words.h"

static struct bf_arena arena;

static struct answer make(enum ask_kind kind, bool stream, const char *script_text)
{
	struct ask ask = {.kind = kind,
			  .model = bf_slice_from(script_text),
			  .user = BF_SLICE_LIT("u-1"),
			  .last_text = BF_SLICE_LIT("say \\\"hi\\\""),
			  .stream = stream,
			  .include_usage = true};
	struct script script;
	struct answer a;
	struct bf_err err;

	ask.hash = words_hash(ask.user);
	assert_int_equal(script_parse(ask.model, &script_default, &script, &err), 0);
	assert_int_equal(answer_init(&a, &script, &ask, BF_SLICE_LIT("sk-b"), 0, &arena), 0);
	return a;
}

static struct bf_slice body_of(struct bf_buf *out)
{
	struct bf_slice text = bf_buf_slice(out);
	const char *end = memmem(text.ptr, text.len, "\r\n\r\n", 4);

	assert_non_null(end);
	return (struct bf_slice){end + 4, text.len - (size_t)(end + 4 - text.ptr)};
}

static void check_json(struct bf_slice text)
{
	struct bf_json_tape tape;
	struct bf_err err;

	if (bf_json_parse(&tape, text, &arena, &bf_json_default_limits, &err) != 0)
		fail_msg("%s: %.*s", err.text, BF_SLICE_FMT(text));
}

static void test_plain(void **state)
{
	static const char *const scripts[] = {"m",
					      "m;n=3",
					      "m;size=64",
					      "m;n=2;size=99",
					      "m;usage=none",
					      "m;usage=wrong",
					      "m;usage=string",
					      "m;status=500"};
	struct bf_buf out;

	(void)state;
	bf_buf_init(&out, 1u << 20);
	for (int kind = 0; kind < ASK_KIND_COUNT; kind++) {
		for (size_t i = 0; i < BF_ARRAY_LEN(scripts); i++) {
			struct answer a = make((enum ask_kind)kind, false, scripts[i]);
			uint64_t next = 0;

			bf_buf_clear(&out);
			assert_int_equal(answer_plain(&a, &out), 0);
			check_json(body_of(&out));
			assert_true(words_check(
			    (struct bf_slice){out.data + a.text_at, a.words * a.word_width},
			    a.ask.hash, &next));
			assert_int_equal(next, a.completion_tokens);
		}
	}
	bf_buf_done(&out);
}

static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(make(ASK_CHAT, false, "m").completion_tokens, 10);
	assert_int_equal(make(ASK_CHAT, false, "m;size=1000").completion_tokens, 100);
	assert_int_equal(make(ASK_CHAT, false, "m;n=4;size=1000").word_width, 250);
	assert_int_equal(make(ASK_EMBEDDING, false, "m").completion_tokens, 0);
	assert_int_equal(make(ASK_CHAT, true, "m;words=5/6").completion_tokens, 6);
	assert_int_equal(make(ASK_CHAT, true, "m;words=5/6").prompt_tokens, 5);
	assert_int_equal(make(ASK_CHAT, true, "m").prompt_tokens,
			 words_prompt_tokens(BF_SLICE_LIT("u-1")));
}

static void test_statuses(void **state)
{
	struct answer a = make(ASK_CHAT, true, "m;deny=sk-a;limit=sk-b");
	struct script s;
	struct bf_err err;

	(void)state;
	assert_int_equal(a.status, 429);
	assert_false(a.stream);
	assert_int_equal(
	    script_parse(BF_SLICE_LIT("m;fail_first=2;status=503"), &script_default, &s, &err), 0);
	for (uint64_t before = 0; before < 4; before++) {
		assert_int_equal(
		    answer_init(&a, &s, &a.ask, (struct bf_slice){NULL, 0}, before, &arena), 0);
		assert_int_equal(a.status, before < 2 ? 503 : 200);
	}
}

static void test_echo(void **state)
{
	struct answer a = make(ASK_CHAT, false, "m;echo=1;chunked=1");
	struct bf_buf out;

	(void)state;
	bf_buf_init(&out, 1u << 20);
	assert_int_equal(answer_plain(&a, &out), 0);
	assert_non_null(memmem(out.data, out.end, "\"content\":\"say \\\"hi\\\"\"", 22));
	assert_memory_equal(out.data + out.end - 7, "\r\n0\r\n\r\n", 7);
	bf_buf_done(&out);
}

struct streamed {
	uint64_t events, words, bytes;
	bool done, usage;
};

/* Renders a stream; each piece must be one whole chunk with one whole event. */
static struct streamed run_stream(struct answer *a, uint64_t want_bytes)
{
	struct streamed got = {0};
	struct bf_buf out;
	uint32_t words;
	bool event;

	bf_buf_init(&out, 1u << 20);
	assert_int_equal(answer_stream_head(a, &out), 0);
	bf_buf_clear(&out);
	while (answer_stream_next(a, &out, &event, &words) > 0) {
		unsigned size = 0;

		assert_int_equal(sscanf(out.data, "%x\r\n", &size), 1);
		assert_true(bf_buf_len(&out) > size + 4);
		if (!event)
			size = 0;
		if (words && want_bytes)
			assert_int_equal(size, want_bytes);
		got.events += event;
		got.words += words;
		got.done |= memmem(out.data, out.end, "[DONE]", 6) != NULL ||
			    memmem(out.data, out.end, "response.completed", 18) != NULL;
		got.usage |= memmem(out.data, out.end, "\"usage\":{", 9) != NULL;
		bf_buf_clear(&out);
	}
	bf_buf_done(&out);
	return got;
}

static void test_streams(void **state)
{
	static const struct {
		enum ask_kind kind;
		const char *script;
		uint64_t events, words, bytes;
		bool done, usage;
	} rows[] = {
	    {ASK_CHAT, "m;n=3", 7, 3, 0, true, true},
	    {ASK_CHAT, "m;n=3;usage=none", 6, 3, 0, true, false},
	    {ASK_CHAT, "m;n=3;usage=late", 7, 3, 0, true, true},
	    {ASK_CHAT, "m;n=3;done=0", 6, 3, 0, false, true},
	    {ASK_CHAT, "m;n=2;event_bytes=400", 6, 2, 400, true, true},
	    {ASK_CHAT, "m;n=7;event_words=3", 7, 7, 0, true, true},
	    {ASK_CHAT, "m;n=6;event_words=3;event_bytes=450", 6, 6, 450, true, true},
	    {ASK_COMPLETION, "m;n=7;event_words=99", 4, 7, 0, true, true},
	    {ASK_RESPONSES, "m;n=7;event_words=2", 6, 7, 0, true, true},
	    {ASK_COMPLETION, "m;n=2;event_bytes=400", 5, 2, 400, true, true},
	    {ASK_RESPONSES, "m;n=2;event_bytes=400", 4, 2, 400, true, true},
	    {ASK_RESPONSES, "m;n=2;done=0", 3, 2, 0, false, false},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(rows); i++) {
		struct answer a = make(rows[i].kind, true, rows[i].script);
		struct streamed got = run_stream(&a, rows[i].bytes);

		if (got.events != rows[i].events || got.words != rows[i].words ||
		    got.done != rows[i].done || got.usage != rows[i].usage)
			fail_msg("%s: %llu events, %llu words, done %d, usage %d", rows[i].script,
				 (unsigned long long)got.events, (unsigned long long)got.words,
				 got.done, got.usage);
	}
}

static int start(void **state)
{
	(void)state;
	bf_arena_init(&arena, 16u << 20);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_statuses), cmocka_unit_test(test_echo),
	    cmocka_unit_test(test_streams),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
