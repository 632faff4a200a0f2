/* Answers cut at every byte and fed one byte at a time: whole only at their last byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "tests/support/loadgen/reply.h"

static const char by_length[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				"x-request-id: abc\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
static const char by_chunks[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=x\r\n"
				"Transfer-Encoding: chunked\r\n\r\n"
				"5\r\ndata:\r\n0a\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n";
static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Too Many\r\n"
			      "Content-Length: 0\r\nConnection: close\r\n\r\n";
static const char nothing[] = "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n";

static const struct {
	const char *text, *body;
	int status;
	bool is_stream, close;
} whole[] = {
    {by_length, "{\"a\":1}", 200, false, false},
    {by_chunks, "data:0123456789", 200, true, false},
    {interim, "", 429, false, true},
    {nothing, "", 204, false, false},
};

/* Feeds text in pieces of at most step bytes; returns what came last. */
static enum reply_got feed(struct reply *r, struct bf_slice text, size_t step, struct bf_buf *body)
{
	enum reply_got got = REPLY_MORE;

	while (text.len && got == REPLY_MORE) {
		struct bf_slice piece = {text.ptr, BF_MIN(step, text.len)}, payload;

		while ((got = reply_next(r, &piece, &payload)) == REPLY_PAYLOAD)
			assert_int_equal(bf_buf_append_slice(body, payload), 0);
		if (got == REPLY_DONE)
			assert_int_equal(piece.len, 0);
		text.ptr += BF_MIN(step, text.len);
		text.len -= BF_MIN(step, text.len);
	}
	return got;
}

static void test_whole_at_the_last_byte(void **state)
{
	struct bf_buf body;
	struct reply r;

	(void)state;
	bf_buf_init(&body, 4096);
	reply_init(&r);
	for (size_t i = 0; i < BF_ARRAY_LEN(whole); i++) {
		size_t len = strlen(whole[i].text);

		for (size_t step = 1; step <= len; step++) {
			reply_reset(&r);
			bf_buf_clear(&body);
			assert_int_equal(
			    feed(&r, (struct bf_slice){whole[i].text, len}, step, &body),
			    REPLY_DONE);
			assert_int_equal(r.status, whole[i].status);
			assert_int_equal(r.is_stream, whole[i].is_stream);
			assert_int_equal(r.close, whole[i].close);
			assert_true(bf_slice_is(bf_buf_slice(&body), whole[i].body));
		}
		for (size_t cut = 0; cut < len; cut++) {
			reply_reset(&r);
			assert_int_equal(
			    feed(&r, (struct bf_slice){whole[i].text, cut}, len, &body),
			    REPLY_MORE);
			assert_false(reply_ends_here(&r));
		}
	}
	reply_done(&r);
	bf_buf_done(&body);
}

static void test_to_the_end(void **state)
{
	static const char text[] = "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nall of it";
	struct bf_buf body;
	struct reply r;

	(void)state;
	bf_buf_init(&body, 4096);
	reply_init(&r);
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		reply_reset(&r);
		(void)feed(&r, (struct bf_slice){text, cut}, 3, &body);
		assert_int_equal(reply_ends_here(&r), cut >= sizeof(text) - 1 - 9);
	}
	assert_true(r.close);
	reply_done(&r);
	bf_buf_done(&body);
}

static void test_id(void **state)
{
	struct bf_buf body;
	struct reply r;

	(void)state;
	bf_buf_init(&body, 4096);
	reply_init(&r);
	(void)feed(&r, bf_slice_from(by_length), 1000, &body);
	assert_string_equal(r.id, "abc");
	reply_done(&r);
	bf_buf_done(&body);
}

static void test_two_in_one_read(void **state)
{
	struct bf_slice in = BF_SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP");
	struct bf_slice payload;
	struct reply r;

	(void)state;
	reply_init(&r);
	assert_int_equal(reply_next(&r, &in, &payload), REPLY_DONE);
	assert_int_equal(in.len, 4);
	reply_done(&r);
}

static void test_not_http(void **state)
{
	static const char *const texts[] = {
	    "HTTP/2 200 OK\r\n\r\n",
	    "\x16\x03\x01 this is TLS",
	    "HTTP/1.1 2x0 OK\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r1\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
	};
	struct bf_buf body;
	struct reply r;

	(void)state;
	bf_buf_init(&body, 4096);
	reply_init(&r);
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		for (size_t step = 1; step < 200; step += 99) {
			reply_reset(&r);
			if (feed(&r, bf_slice_from(texts[i]), step, &body) != REPLY_BAD)
				fail_msg("%s", texts[i]);
		}
	}
	reply_done(&r);
	bf_buf_done(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole_at_the_last_byte),
	    cmocka_unit_test(test_to_the_end),
	    cmocka_unit_test(test_id),
	    cmocka_unit_test(test_two_in_one_read),
	    cmocka_unit_test(test_not_http),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
