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

/* A request on the plain OpenAI routes, where nothing is added to answers. */
static const char *request_for(const char *path, const char *body)
{
	static char text[4096];

	(void)snprintf(text, sizeof(text),
		       "POST /openai/v1/%s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s",
		       path, strlen(body), body);
	return text;
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
	    request_for(
		"chat/completions",
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
	const char *request = request_for("chat/completions", body);
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
			   "\"total_tokens\":2}}\n\n");
	assert_non_null(usage);
	assert_non_null(strstr(usage, "data: [DONE]\n\n"));
	assert_int_equal(harness_rows(&h, &row, 1), 1);
	assert_int_equal(row.prompt_tokens, 1);
	assert_int_equal(row.completion_tokens, 1);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

/* ---- the other operations */

static void ask_once(const char *path, const char *body)
{
	struct harness h;

	harness_open(&h, NULL);
	int fd = harness_client(&h);
	(void)harness_ask(&h, fd, request_for(path, body), answer, sizeof(answer));
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static size_t stream_once(const char *path, const char *body, struct shm_usage_record *row)
{
	struct harness h;
	const char *request = request_for(path, body);

	harness_open(&h, NULL);
	int fd = harness_client(&h);
	harness_send(&h, fd, request, strlen(request));
	size_t n = harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	assert_int_equal(harness_rows(&h, row, 1), 1);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
	return n;
}

/* All of them, in this order. */
static void in_order(const char *const *parts, size_t count)
{
	const char *at = answer;

	for (size_t i = 0; i < count; i++) {
		at = strstr(at, parts[i]);
		if (!at)
			fail_msg("%s is missing: %s", parts[i], answer);
	}
}

static void text_completions(void **state)
{
	struct shm_usage_record row;

	(void)state;
	ask_once("completions", "{\"model\":\"mock/m\",\"prompt\":\"a b\"}");
	assert_non_null(strstr(answer, "\"object\":\"text_completion\""));
	assert_non_null(strstr(
	    answer, "\"choices\":[{\"index\":0,\"text\":\"a b\",\"finish_reason\":\"stop\"}],"
		    "\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":2,\"total_tokens\":4}"));
	(void)stream_once("completions",
			  "{\"model\":\"mock/m\",\"prompt\":\"a b\",\"stream\":true}", &row);
	static const char *const order[] = {"\"text\":\"a \",\"finish_reason\":null",
					    "\"text\":\"b\"", "\"finish_reason\":\"stop\"",
					    "data: [DONE]"};
	in_order(order, 4);
	assert_string_equal(row.stop_reason, "stop");
	assert_int_equal(row.object_type, SHM_OBJECT_COMPLETION);
}

static void responses(void **state)
{
	struct shm_usage_record row;

	(void)state;
	ask_once("responses", "{\"model\":\"mock/m\",\"input\":\"a b\"}");
	assert_non_null(strstr(answer, "\"object\":\"response\""));
	assert_non_null(strstr(answer, "\"content\":[{\"type\":\"output_text\",\"text\":\"a b\""));
	assert_non_null(strstr(answer, "\"usage\":{\"input_tokens\":2,"));
	(void)stream_once("responses",
			  "{\"model\":\"mock/m\",\"stream\":true,\"input\":[{\"role\":\"user\","
			  "\"content\":[{\"type\":\"input_text\",\"text\":\"a b\"}]}]}",
			  &row);
	static const char *const order[] = {
	    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,",
	    "event: response.in_progress\n",
	    "event: response.output_item.added\n",
	    "event: response.content_part.added\n",
	    "event: response.output_text.delta\n",
	    "\"delta\":\"a \"",
	    "\"delta\":\"b\"",
	    "event: response.output_text.done\n",
	    "event: response.content_part.done\n",
	    "event: response.output_item.done\n",
	    "event: response.completed\n",
	    "\"status\":\"completed\"",
	    "\"output_tokens\":2",
	};
	in_order(order, sizeof(order) / sizeof(order[0]));
	assert_null(strstr(answer, "[DONE]"));
	assert_string_equal(row.stop_reason, "completed");
	assert_int_equal(row.prompt_tokens, 2);
	assert_int_equal(row.completion_tokens, 2);
}

/* The same numbers in both encodings: base64 of 32-bit floats, and JSON. */
static void embeddings(void **state)
{
	char numbers[512];

	(void)state;
	ask_once("embeddings", "{\"model\":\"mock/m\",\"input\":[\"a\",\"b c\"],\"dimensions\":2}");
	assert_non_null(strstr(answer, "\"object\":\"embedding\",\"index\":1,\"embedding\":["));
	assert_non_null(strstr(answer, "\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}"));
	(void)snprintf(numbers, sizeof(numbers), "%s", strstr(answer, "\"embedding\":["));
	ask_once("embeddings", "{\"model\":\"mock/m\",\"input\":\"a\",\"dimensions\":2}");
	const char *again = strstr(answer, "\"embedding\":[");
	assert_non_null(again);
	assert_memory_equal(again, numbers, (size_t)(strchr(again, ']') - again));
	double x = strtod(again + 13, NULL), y = strtod(strchr(again, ',') + 1, NULL);
	const float floats[2] = {(float)x, (float)y};
	ask_once("embeddings", "{\"model\":\"mock/m\",\"input\":\"a\",\"dimensions\":2,"
			       "\"encoding_format\":\"base64\"}");
	const char *text = strstr(answer, "\"embedding\":\"");
	assert_non_null(text);
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char bytes[9];
	text += 13;
	for (size_t i = 0; i < 12; i += 4) {
		uint32_t v = 0;
		for (size_t k = 0; k < 4; k++) {
			const char *d = strchr(digits, text[i + k]);
			v = v << 6 | (d && text[i + k] != '=' ? (uint32_t)(d - digits) : 0);
		}
		for (size_t k = 0; k < 3; k++)
			bytes[i / 4 * 3 + k] = (unsigned char)(v >> (16 - 8 * k));
	}
	assert_memory_equal(bytes, floats, sizeof(floats));
	/* Lists of tokens are inputs too. */
	ask_once("embeddings", "{\"model\":\"mock/m\",\"input\":[[1,2,3],[4]]}");
	assert_non_null(strstr(answer, "\"index\":1"));
	assert_non_null(strstr(answer, "\"prompt_tokens\":4"));
	ask_once("embeddings", "{\"model\":\"mock/m\",\"input\":[1,2,3]}");
	assert_null(strstr(answer, "\"index\":1"));
	assert_non_null(strstr(answer, "\"prompt_tokens\":3"));
}

static void late(struct bf_config *config)
{
	harness_mock(config)->mock_config.latency_ms = 10;
}

/* What a call needs of its body is kept over its latency, in which other bodies are read. */
static void another_request_meanwhile(void **state)
{
	struct harness h;
	const char *request;

	(void)state;
	harness_open(&h, late);
	int fd = harness_client(&h), other = harness_client(&h);
	request = request_for("embeddings", "{\"model\":\"mock/m\",\"input\":[\"a\",\"b \\u0063\"],"
					    "\"dimensions\":2,\"encoding_format\":\"base64\"}");
	harness_send(&h, fd, request, strlen(request));
	harness_turns(&h, 2);
	(void)harness_ask(
	    &h, other,
	    request_for("chat/completions",
			"{\"model\":\"mock/m\",\"messages\":[" USER("a b \\u0063") "]}"),
	    answer, sizeof(answer));
	assert_non_null(strstr(answer, "\"content\":\"a b c\""));
	assert_true(harness_read(&h, fd, answer, sizeof(answer), "\"total_tokens\":3}}", NULL) > 0);
	assert_non_null(strstr(answer, "\"index\":1,\"embedding\":\""));
	assert_int_equal(h.w.tape_arena.used_bytes, 0);
	(void)close(other);
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
	    cmocka_unit_test(text_completions),    cmocka_unit_test(responses),
	    cmocka_unit_test(embeddings),          cmocka_unit_test(another_request_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
