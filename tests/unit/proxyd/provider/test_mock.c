/* The mock provider: shapes, token numbers, pace, determinism. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/codec/json_tape.h"
#include "proxyd/provider/mock_text.h"
#include "tests/unit/proxyd/harness.h"

static char answer[256 * 1024];

static void words_are_tokens(void **state)
{
	(void)state;
	assert_int_equal(mock_count_words(BF_SLICE_LIT("")), 0);
	assert_int_equal(mock_count_words(BF_SLICE_LIT("  \n\t ")), 0);
	assert_int_equal(mock_count_words(BF_SLICE_LIT("a")), 1);
	assert_int_equal(mock_count_words(BF_SLICE_LIT(" a  b\nc ")), 3);
}

/* Whatever the text, its words joined are the text, and their number is the count. */
static void words_joined_are_the_text(void **state)
{
	static const char *const texts[] = {"",   " ",      "a",        " a",
					    "a ", " a  b ", "\n\na\tb", "one two three"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bf_slice left = bf_slice_from(texts[i]);
		char joined[64];
		size_t len = 0, words = 0;
		while (left.len) {
			struct bf_slice word = mock_next_word(&left);
			assert_true(word.len > 0);
			memcpy(joined + len, word.ptr, word.len);
			len += word.len;
			words += mock_count_words(word);
		}
		assert_int_equal(len, strlen(texts[i]));
		assert_memory_equal(joined, texts[i], len);
		assert_int_equal(words, mock_count_words(bf_slice_from(texts[i])));
	}
}

/* The text of messages[0] of a body. */
static void text_of(const char *body, const char *expected)
{
	struct bf_json_tape t;
	struct bf_arena arena;
	struct bf_err err = {0};

	bf_arena_init(&arena, 1 << 20);
	if (bf_json_parse(&t, bf_slice_from(body), &arena, &bf_json_default_limits, &err) < 0)
		fail_msg("%s", err.text);
	struct bf_slice text = mock_message_text(&t, 0, &arena);
	assert_int_equal(text.len, strlen(expected));
	if (text.len)
		assert_memory_equal(text.ptr, expected, text.len);
	bf_arena_done(&arena);
}

static void message_texts(void **state)
{
	(void)state;
	text_of("{\"content\":\"hi \\u00e4\"}", "hi \xc3\xa4");
	text_of("{\"content\":null}", "");
	text_of("{}", "");
	text_of("{\"content\":7}", "");
	text_of("{\"content\":[]}", "");
	text_of("{\"content\":[{\"type\":\"text\",\"text\":\"a\\n\"},{\"type\":\"image_url\"},{"
		"\"text\":5},7,{\"text\":\"b\"}]}",
		"a\nb");
}

#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"

static void echoes_the_last_user_message(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	(void)harness_ask(
	    &h, fd,
	    harness_chat(
		"{\"model\":\"mock/m-1\",\"messages\":[{\"role\":\"system\",\"content\":\"be "
		"kind\"}," USER("one") "," USER(
		    "two  \\\"q\\\"") ",{\"role\":\"assistant\",\"content\":\"x y z\"}]}"),
	    answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
	assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(answer, "{\"id\":\"chatcmpl-"));
	assert_non_null(strstr(answer, "\"object\":\"chat.completion\",\"created\":"));
	assert_non_null(strstr(
	    answer,
	    "\"model\":\"m-1\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
	    "\"content\":\"two  \\\"q\\\"\"},\"finish_reason\":\"stop\"}],"
	    "\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":2,\"total_tokens\":10}}"));
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void paced(struct bf_config *config)
{
	struct bf_conf_mock *m = &harness_mock(config)->mock_config;

	m->reply = BF_SLICE_LIT("one two three");
	m->latency_ms = 20;
	m->token_interval_ms = 15;
}

static size_t ask_stream(struct harness *h, int fd, const char *options)
{
	char body[512];

	(void)snprintf(body, sizeof(body),
		       "{\"model\":\"mock/m\",\"stream\":true,%s\"messages\":[" USER("hi") "]}",
		       options);
	const char *request = harness_chat(body);
	harness_send(h, fd, request, strlen(request));
	return harness_read(h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
}

static void streams_at_its_pace(void **state)
{
	struct harness h;
	int64_t start = bf_mono_ms();

	(void)state;
	harness_open(&h, paced);
	int fd = harness_client(&h);
	(void)ask_stream(&h, fd, "");
	/* One latency, then a pause behind each word. Timers may be late, never early by more than
	 * a tick. */
	assert_true(bf_mono_ms() - start >= 20 + 3 * 15 - 5);
	assert_non_null(strstr(answer, "Content-Type: text/event-stream\r\n"));
	assert_non_null(strstr(answer, "Cache-Control: no-cache\r\n"));
	const char *at = answer;
	static const char *const order[] = {
	    "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
	    "\"delta\":{\"content\":\"one \"},\"finish_reason\":null}]}\n\n",
	    "\"delta\":{\"content\":\"two \"},\"finish_reason\":null}]}\n\n",
	    "\"delta\":{\"content\":\"three\"},\"finish_reason\":null}]}\n\n",
	    "\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
	    "data: [DONE]\n\n",
	};
	for (size_t i = 0; i < 6; i++) {
		at = strstr(at, order[i]);
		if (!at)
			fail_msg("event %zu is missing: %s", i, answer);
	}
	assert_null(strstr(answer, "\"usage\""));
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void usage_chunk_on_demand(void **state)
{
	struct shm_usage_record row;
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	(void)ask_stream(&h, fd, "\"stream_options\":{\"include_usage\":true},");
	const char *usage =
	    strstr(answer, "\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,"
			   "\"total_tokens\":2}}\n\ndata: [DONE]\n\n");
	assert_non_null(usage);
	assert_int_equal(harness_rows(&h, &row, 1), 1);
	assert_int_equal(row.prompt_tokens, 1);
	assert_int_equal(row.completion_tokens, 1);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_are_tokens),    cmocka_unit_test(words_joined_are_the_text),
	    cmocka_unit_test(message_texts),       cmocka_unit_test(echoes_the_last_user_message),
	    cmocka_unit_test(streams_at_its_pace), cmocka_unit_test(usage_chunk_on_demand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
