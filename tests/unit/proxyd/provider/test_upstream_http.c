/* Answers of upstreams: framing, refusals, cuts at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/provider/upstream_http.h"

struct seen {
	struct upstream_http h;
	struct upstream_head head;
	unsigned heads;
	char body[4096];
	size_t body_len;
	size_t used;
	int stop_after; /* events until one says stop; 0: never */
};

static bool go_on(struct seen *s)
{
	return s->stop_after == 0 || --s->stop_after > 0;
}

static bool on_head(void *ctx, const struct upstream_head *head)
{
	struct seen *s = ctx;

	s->head = *head;
	s->heads++;
	return go_on(s);
}

static bool on_body(void *ctx, struct bf_slice bytes)
{
	struct seen *s = ctx;

	assert_true(bytes.len > 0 && s->body_len + bytes.len <= sizeof(s->body));
	memcpy(s->body + s->body_len, bytes.ptr, bytes.len);
	s->body_len += bytes.len;
	return go_on(s);
}

static const struct upstream_http_events events = {on_head, on_body};

static void feed(struct seen *s, const char *text, size_t len, size_t step)
{
	memset(s, 0, sizeof(*s));
	upstream_http_reset(&s->h);
	while (s->used < len && s->h.phase < UPSTREAM_HTTP_DONE) {
		size_t n = BF_MIN(step, len - s->used);
		char *copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, text + s->used, n);
		s->used += upstream_http_feed(&s->h, copy, n, &events, s);
		free(copy);
	}
}

#define OK  "HTTP/1.1 200 OK\r\n"
#define LEN "Content-Length: 5\r\n"
#define CH  "Transfer-Encoding: chunked\r\n"

static const struct {
	const char *text;
	int status;
	const char *body;
	bool keep_alive;
	bool to_close;
} good[] = {
    {OK LEN "\r\nhello", 200, "hello", true, false},
    {OK "content-length:5\r\n\r\nhello", 200, "hello", true, false},
    {OK CH "\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, "hello", true, false},
    {OK "transfer-encoding: Chunked \r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n", 200, "hello",
     true, false},
    {OK "\r\nhello", 200, "hello", false, true},
    {"HTTP/1.0 200 OK\r\n" LEN "\r\nhello", 200, "hello", false, false},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" LEN "\r\nhello", 200, "hello", true, false},
    {OK "Connection: close\r\n" LEN "\r\nhello", 200, "hello", false, false},
    {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", true, false},
    {"HTTP/1.1 304 Not Modified\r\n" LEN "\r\n", 304, "", true, false},
    {OK "Content-Length: 0\r\n\r\n", 200, "", true, false},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" OK LEN "\r\nhello", 200,
     "hello", true, false},
    {"HTTP/1.1 429 \r\nRetry-After: 12\r\n" LEN "\r\nhello", 429, "hello", true, false},
};

static void good_answers(void **state BF_UNUSED)
{
	static struct seen s;

	for (size_t i = 0; i < BF_ARRAY_LEN(good); i++) {
		size_t len = strlen(good[i].text);
		for (size_t step = 1; step <= len; step++) {
			feed(&s, good[i].text, len, step);
			if (good[i].to_close) {
				assert_int_equal(s.h.phase, UPSTREAM_HTTP_TO_CLOSE);
				upstream_http_end(&s.h, true);
			}
			if (s.h.phase != UPSTREAM_HTTP_DONE)
				fail_msg("%zu step %zu: %s", i, step,
					 s.h.reason ? s.h.reason : "unfinished");
			assert_int_equal(s.used, len);
			assert_int_equal(s.heads, 1);
			assert_int_equal(s.head.status, good[i].status);
			assert_int_equal(s.body_len, strlen(good[i].body));
			assert_memory_equal(s.body, good[i].body, s.body_len);
			assert_int_equal(s.h.keep_alive, good[i].keep_alive);
		}
	}
}

/* A whole head may be a usual one, which llhttp does not see; byte by byte it sees each. */
static void expect_as_llhttp(const char *text, size_t len)
{
	static struct seen whole, single;

	feed(&whole, text, len, len);
	feed(&single, text, len, 1);
	if (whole.h.phase != single.h.phase || whole.heads != single.heads ||
	    whole.head.status != single.head.status || whole.body_len != single.body_len ||
	    whole.h.keep_alive != single.h.keep_alive || whole.head.encoded != single.head.encoded)
		fail_msg("%s: phases %d and %d", text, (int)whole.h.phase, (int)single.h.phase);
	assert_string_equal(whole.head.content_type, single.head.content_type);
	assert_string_equal(whole.head.retry_after, single.head.retry_after);
	assert_string_equal(whole.head.retry_after_ms, single.head.retry_after_ms);
}

/* Every byte in every place must mean the same either way. */
static void usual_heads_are_read_as_llhttp_does(void **state BF_UNUSED)
{
	static const char *const list[] = {
	    OK "Content-Type: Application/JSON; a=b\r\nX-A: b c\r\n" LEN "\r\nhello",
	    "HTTP/1.1 429 Slow down\r\nRetry-After: 12\r\nretry-after-ms:7\r\n" LEN "\r\nhello",
	    OK "Connection: keep-alive\r\nContent-Encoding: identity\r\n" LEN "\r\nhello",
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		size_t len = strlen(list[i]);
		for (size_t at = 0; at < len; at++) {
			for (int byte = 0; byte < 256; byte++) {
				char text[256];

				memcpy(text, list[i], len + 1);
				text[at] = (char)byte;
				expect_as_llhttp(text, len);
			}
		}
	}
}

static void cut_anywhere_it_is_no_answer(void **state BF_UNUSED)
{
	static struct seen s;

	for (size_t i = 0; i < BF_ARRAY_LEN(good); i++) {
		size_t len = strlen(good[i].text);
		for (size_t cut = 0; cut < len; cut++) {
			feed(&s, good[i].text, cut, 7);
			bool body_begun = s.h.phase == UPSTREAM_HTTP_TO_CLOSE;
			upstream_http_end(&s.h, !body_begun);
			assert_int_equal(s.h.phase, UPSTREAM_HTTP_FAILED);
			assert_non_null(s.h.reason);
			assert_false(s.h.keep_alive);
		}
	}
}

static void bad_answers(void **state BF_UNUSED)
{
	static const char *const list[] = {
	    "\r\n" OK LEN "\r\nhello",
	    "GET / HTTP/1.1\r\n\r\n",
	    "SSH-2.0-OpenSSH\r\n\r\n",
	    "HTTP/2 200 OK\r\n\r\n",
	    "HTTP/1.2 200 OK\r\n\r\n",
	    "HTTP/0.9 200 OK\r\n\r\n",
	    "HTTP/1.1 99 Low\r\n\r\n",
	    "HTTP/1.1 600 High\r\n\r\n",
	    "HTTP/1.1 2000 Long\r\n\r\n",
	    "HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
	    OK "A: b\r\n c\r\n" LEN "\r\nhello",
	    OK "A: b\r\n\tc\r\n" LEN "\r\nhello",
	    OK " A: b\r\n" LEN "\r\nhello",
	    OK "A : b\r\n" LEN "\r\nhello",
	    OK ": b\r\n" LEN "\r\nhello",
	    "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
	    OK "A: b\n" LEN "\r\nhello",
	    OK LEN LEN "\r\nhello",
	    OK LEN "Content-Length: 6\r\n\r\nhello",
	    OK "Content-Length: 5, 5\r\n\r\nhello",
	    OK "Content-Length: -5\r\n\r\nhello",
	    OK "Content-Length: +5\r\n\r\nhello",
	    OK "Content-Length: 0x5\r\n\r\nhello",
	    OK "Content-Length: 99999999999999999999999\r\n\r\nhello",
	    OK LEN CH "\r\n0\r\n\r\n",
	    OK CH LEN "\r\n0\r\n\r\n",
	    OK CH CH "\r\n0\r\n\r\n",
	    OK "Transfer-Encoding: gzip\r\n\r\nhello",
	    OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	    OK "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
	    OK "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	    "HTTP/1.0 200 OK\r\n" CH "\r\n0\r\n\r\n",
	    OK CH "\r\nx\r\n",
	    OK CH "\r\n-1\r\n",
	    OK CH "\r\n5\r\nhelloX\r\n",
	    OK CH "\r\nffffffffffffffffff\r\n",
	    OK CH "\r\n0\r\n A: b\r\n\r\n",
	    OK CH "\r\n0\r\nA: b\n\r\n",
	};
	static struct seen s;

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		size_t len = strlen(list[i]);
		for (size_t step = 1; step <= len; step++) {
			feed(&s, list[i], len, step);
			if (s.h.phase != UPSTREAM_HTTP_FAILED || !s.h.reason)
				fail_msg("%zu step %zu: phase %d", i, step, s.h.phase);
		}
	}
	feed(&s, OK "A: \0b\r\n\r\n", sizeof(OK "A: \0b\r\n\r\n") - 1, 1000);
	assert_int_equal(s.h.phase, UPSTREAM_HTTP_FAILED);
}

static void head_values(void **state BF_UNUSED)
{
	static const struct {
		const char *lines, *type;
		bool encoded;
		const char *retry, *retry_ms;
	} list[] = {
	    {"Content-Type: Application/JSON; charset=utf-8\r\n", "application/json", false, "",
	     ""},
	    {"Content-Type: text/event-stream\r\n", "text/event-stream", false, "", ""},
	    {"Content-Type:\r\n", "", false, "", ""},
	    {"Content-Encoding: identity\r\n", "", false, "", ""},
	    {"Content-Encoding: gzip\r\n", "", true, "", ""},
	    {"Content-Encoding: gzip\r\nContent-Encoding: identity\r\n", "", true, "", ""},
	    {"Retry-After: 7 \r\nretry-after-ms: 6500\r\n", "", false, "7", "6500"},
	    {"Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", "", false,
	     "Wed, 21 Oct 2026 07:28:00 GMT", ""},
	    {"Retry-After: 0000000000000000000000000000000000007\r\n", "", false, "", ""},
	    {"Content-Type-X: text/html\r\nXContent-Type: text/html\r\n", "", false, "", ""},
	};
	static struct seen s;
	char text[512];

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		(void)snprintf(text, sizeof(text), OK "%s" LEN "\r\nhello", list[i].lines);
		for (size_t step = 1; step < 40; step++) {
			feed(&s, text, strlen(text), step);
			assert_int_equal(s.h.phase, UPSTREAM_HTTP_DONE);
			assert_string_equal(s.head.content_type, list[i].type);
			assert_int_equal(s.head.encoded, list[i].encoded);
			assert_string_equal(s.head.retry_after, list[i].retry);
			assert_string_equal(s.head.retry_after_ms, list[i].retry_ms);
			assert_true(s.head.framed);
			assert_int_equal(s.head.lines.len, 0); /* nowhere to keep them */
		}
	}
}

static void what_follows_is_left(void **state BF_UNUSED)
{
	static const char text[] = OK LEN "\r\nhello" OK;
	static struct seen s;

	for (size_t step = 1; step < sizeof(text); step++) {
		feed(&s, text, sizeof(text) - 1, step);
		assert_int_equal(s.h.phase, UPSTREAM_HTTP_DONE);
		assert_int_equal(s.used, sizeof(OK LEN "\r\nhello") - 1);
	}
}

static void an_event_stops_the_feed(void **state BF_UNUSED)
{
	static const char text[] = OK CH "\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n";
	static struct seen s;

	for (int after = 1; after <= 3; after++) {
		memset(&s, 0, sizeof(s));
		s.stop_after = after;
		upstream_http_reset(&s.h);
		(void)upstream_http_feed(&s.h, text, sizeof(text) - 1, &events, &s);
		assert_int_equal(s.stop_after, 0);
		assert_int_equal(s.body_len, after - 1);
		assert_true(s.h.phase < UPSTREAM_HTTP_DONE);
	}
}

/* Feeds the same bytes until it fails or count is reached. */
static bool fails_within(const char *begin, const char *again, size_t count)
{
	static struct seen s;

	feed(&s, begin, strlen(begin), 1000);
	for (size_t i = 0; i < count && s.h.phase < UPSTREAM_HTTP_DONE; i++) {
		s.body_len = 0;
		(void)upstream_http_feed(&s.h, again, strlen(again), &events, &s);
	}
	return s.h.phase == UPSTREAM_HTTP_FAILED;
}

static void nothing_is_endless(void **state BF_UNUSED)
{
	assert_true(fails_within(OK, "Name: some value\r\n", UPSTREAM_HEAD_MAX / 18 + 1));
	assert_true(fails_within(OK "A: ", "aaaaaaaaaaaaaaaaaa", UPSTREAM_HEAD_MAX / 18 + 1));
	assert_true(
	    fails_within("", "HTTP/1.1 100 Continue\r\n\r\n", UPSTREAM_INFORMATIONAL_MAX + 1));
	assert_true(fails_within(OK CH "\r\n0\r\n", "Name: some value\r\n", 10000));
	assert_true(fails_within(OK CH "\r\n1;", "aaaaaaaaaaaaaaaaaaaa", 10000));
	assert_true(fails_within(OK CH "\r\n", "1;aaaaaaaaaaaaaaaaaaaa\r\na\r\n", 10000));
	/* The smallest honest chunks are no abuse. */
	assert_false(fails_within(OK CH "\r\n", "1\r\na\r\n", 100000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(usual_heads_are_read_as_llhttp_does),
	    cmocka_unit_test(good_answers),
	    cmocka_unit_test(cut_anywhere_it_is_no_answer),
	    cmocka_unit_test(bad_answers),
	    cmocka_unit_test(head_values),
	    cmocka_unit_test(what_follows_is_left),
	    cmocka_unit_test(an_event_stops_the_feed),
	    cmocka_unit_test(nothing_is_endless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
