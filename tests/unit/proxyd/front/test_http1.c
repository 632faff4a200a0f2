/* HTTP/1.1 reading: every refusal, each message whole, cut at every offset, and one byte at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/proxyd/front/http1_seen.h"

static void feed_bytes(struct seen *s, const char *text, size_t len)
{
	size_t *cuts = calloc(len, sizeof(*cuts));

	assert_non_null(cuts);
	for (size_t i = 0; i < len; i++)
		cuts[i] = i + 1;
	feed(s, text, cuts, len);
	free(cuts);
}

/* Reads text whole, cut in two at every offset, and byte by byte: all must agree. */
static void read_all_ways(struct seen *s, const char *text, size_t len)
{
	struct seen other;

	feed_whole(s, text, len);
	feed_bytes(&other, text, len);
	expect_same(s, &other, text);
	for (size_t cut = 1; cut < len; cut++) {
		size_t cuts[2] = {cut, len};
		feed(&other, text, cuts, 2);
		expect_same(s, &other, text);
	}
}

struct refusal {
	const char *name;
	const char *text;
	size_t len; /* 0: strlen */
	int status;
};

#define H       "Host: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
#define NUL(s)  s, sizeof(s) - 1

static const struct refusal refusals[] = {
    {"obs-fold", "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", 0, 400},
    {"obs-fold tab", "GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n", 0, 400},
    {"leading space", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 0, 400},
    {"missing host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", 0, 400},
    {"doubled host", "GET / HTTP/1.1\r\n" H H "\r\n", 0, 400},
    {"two hosts", "GET / HTTP/1.1\r\n" H "Host: b\r\n\r\n", 0, 400},
    {"host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, 400},
    {"host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 0, 400},
    {"host with space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0, 400},
    {"te on 1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {"te twice",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0,
     400},
    {"te gzip", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, 501},
    {"te xchunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 0, 501},
    {"te empty", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", 0, 501},
    {"cl then te",
     "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400},
    {"te then cl",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 0, 400},
    {"cl differ", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 0, 400},
    {"cl doubled", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 0,
     400},
    {"cl list", "POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 0, 400},
    {"cl plus", "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", 0, 400},
    {"cl minus", "POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n", 0, 400},
    {"cl hex", "POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", 0, 400},
    {"cl empty", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 0, 400},
    {"cl overflow", "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 0, 400},
    {"space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 0, 400},
    {"tab before colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 0, 400},
    {"no colon", "GET / HTTP/1.1\r\n" H "A\r\n\r\n", 0, 400},
    {"empty name", "GET / HTTP/1.1\r\n" H ": b\r\n\r\n", 0, 400},
    {"bare lf", "GET / HTTP/1.1\nHost: a\n\n", 0, 400},
    {"bare lf at end", "GET / HTTP/1.1\r\n" H "\n", 0, 400},
    {"bare lf in value", "GET / HTTP/1.1\r\n" H "A: b\nC: d\r\n\r\n", 0, 400},
    {"bare cr in value", "GET / HTTP/1.1\r\n" H "A: b\rC: d\r\n\r\n", 0, 400},
    {"bare cr at end", "GET / HTTP/1.1\r\n" H "\rX", 0, 400},
    {"bare cr in line", "GET /\r HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"nul in value", NUL("GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n"), 400},
    {"nul in name", NUL("GET / HTTP/1.1\r\n" H "A\0: c\r\n\r\n"), 400},
    {"nul in target", NUL("GET /\0 HTTP/1.1\r\n" H "\r\n"), 400},
    {"nul first", NUL("\0GET / HTTP/1.1\r\n" H "\r\n"), 400},
    {"control in value", "GET / HTTP/1.1\r\n" H "A: \x01\r\n\r\n", 0, 400},
    {"http 2.0", "GET / HTTP/2.0\r\n" H "\r\n", 0, 505},
    {"http 1.2", "GET / HTTP/1.2\r\n" H "\r\n", 0, 505},
    {"two spaces before", "GET  / HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"two spaces behind", "GET /  HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"http 0.9", "GET / HTTP/0.9\r\n" H "\r\n", 0, 505},
    {"h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 505},
    {"no version", "GET /\r\n\r\n", 0, 505},
    {"not http", "\x16\x03\x01 hello\r\n\r\n", 0, 400},
    {"unknown method", "BREW / HTTP/1.1\r\n" H "\r\n", 0, 501},
    {"small method", "get / HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"no method", "/ HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"lower method", "get / HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"space in target", "GET /a b HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"high byte in target", "GET /\xff HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"relative target", "GET a HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"star for get", "GET * HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"connect", "CONNECT a:1 HTTP/1.1\r\n" H "\r\n", 0, 501},
    {"three empty lines", "\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"fold before start", " GET / HTTP/1.1\r\n" H "\r\n", 0, 400},
    {"other expectation", "POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 0,
     417},
    {"chunk size lf", CHUNKED "5\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size cr", CHUNKED "5\rhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size space", CHUNKED "5 \r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size minus", CHUNKED "-5\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size 0x", CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size empty", CHUNKED "\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size overflow", CHUNKED "10000000000000000\r\nx", 0, 400},
    {"chunk ext lf", CHUNKED "5;a\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk ext quoted lf", CHUNKED "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk longer", CHUNKED "5\r\nhelloX\r\n0\r\n\r\n", 0, 400},
    {"chunk end lf", CHUNKED "5\r\nhello\n0\r\n\r\n", 0, 400},
    {"trailer end lf", CHUNKED "0\r\n\n", 0, 400},
    {"trailer fold", CHUNKED "0\r\nA: b\r\n c\r\n\r\n", 0, 400},
    {"trailer cr", CHUNKED "0\r\nA: b\rB: c\r\n\r\n", 0, 400},
    {"trailer nul", NUL(CHUNKED "0\r\nA: b\0\r\n\r\n"), 400},
    {"trailer te", CHUNKED "0\r\nTransfer-Encoding: gzip\r\n\r\n", 0, 400},
    {"trailer empty name", CHUNKED "0\r\n: b\r\n\r\n", 0, 400},
};

static void refuses_what_two_parsers_could_read_differently(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		struct seen s;
		read_all_ways(&s, r->text, r->len ? r->len : strlen(r->text));
		if (s.status != r->status)
			fail_msg("%s: status %d, expected %d (phase %d, %s)", r->name, s.status,
				 r->status, (int)s.phase, s.reason);
		if (s.reason[0] == '\0')
			fail_msg("%s: no reason given", r->name);
		if (r->text[0] != '\r')
			expect_as_llhttp(r->text, r->len ? r->len : strlen(r->text));
	}
}

static void reads_plain_requests(void **state)
{
	static const char get[] =
	    "GET /a/b?x=1&y HTTP/1.1\r\nHost: a:80\r\nX-Request-Id:  r-1 \r\n\r\n";
	struct seen s;

	(void)state;
	read_all_ways(&s, get, sizeof(get) - 1);
	assert_int_equal(s.phase, HTTP1_DONE);
	assert_int_equal(s.head.method, EXCHANGE_GET);
	assert_string_equal(s.path, "/a/b");
	assert_string_equal(s.query, "x=1&y");
	assert_string_equal(s.request_id, "r-1");
	assert_true(s.head.keep_alive);
	assert_false(s.head.http10);
	assert_int_equal(s.used, sizeof(get) - 1);
}

static void reads_bodies_of_known_length(void **state)
{
	static const char post[] =
	    "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET /next HTTP/1.1\r\n";
	struct seen s;

	(void)state;
	read_all_ways(&s, post, sizeof(post) - 1);
	assert_int_equal(s.phase, HTTP1_DONE);
	assert_int_equal(s.body_len, 5);
	assert_memory_equal(s.body, "hello", 5);
	/* The next request's bytes are left alone. */
	assert_int_equal(s.used, strstr(post, "GET /next") - post);
}

static void reads_chunked_bodies(void **state)
{
	static const char *const good[] = {
	    CHUNKED "5\r\nhello\r\n0\r\n\r\nGET",
	    CHUNKED "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\nGET",
	    CHUNKED "5;name=value\r\nhello\r\n0;last\r\n\r\nGET",
	    CHUNKED "00005\r\nhello\r\n000\r\n\r\nGET",
	    CHUNKED "5\r\nhello\r\n0\r\nTrailer: x\r\nMore: y\r\n\r\nGET",
	    CHUNKED "5\r\nhello\r\n0\r\nContent-Length: 77\r\nHost: evil\r\n\r\nGET",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct seen s;
		read_all_ways(&s, good[i], strlen(good[i]));
		if (s.phase != HTTP1_DONE)
			fail_msg("%s: phase %d %s", good[i], (int)s.phase, s.reason);
		assert_int_equal(s.body_len, 5);
		assert_memory_equal(s.body, "hello", 5);
		assert_int_equal(s.used, strlen(good[i]) - 3);
	}
}

static void reads_forms_of_targets_and_versions(void **state)
{
	static const struct {
		const char *text, *path, *query;
		bool keep_alive;
	} cases[] = {
	    {"GET http://a.b/p?q HTTP/1.1\r\n" H "\r\n", "/p", "q", true},
	    {"GET HTTPS://a.b:1 HTTP/1.1\r\n" H "\r\n", "/", "", true},
	    {"GET http://a.b?q HTTP/1.1\r\n" H "\r\n", "/", "q", true},
	    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "*", "", true},
	    {"GET /? HTTP/1.1\r\n" H "\r\n", "/", "", true},
	    {"\r\nGET / HTTP/1.1\r\n" H "\r\n", "/", "", true},
	    {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "/", "", false},
	    {"GET / HTTP/1.0\r\n\r\n", "/", "", false},
	    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "/", "", true},
	    {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", "/", "", true},
	    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "/", "", true},
	    {"DELETE / HTTP/1.1\r\n" H "\r\n", "/", "", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen s;
		read_all_ways(&s, cases[i].text, strlen(cases[i].text));
		if (s.phase != HTTP1_DONE)
			fail_msg("%s: phase %d %s", cases[i].text, (int)s.phase, s.reason);
		assert_string_equal(s.path, cases[i].path);
		assert_string_equal(s.query, cases[i].query);
		assert_int_equal(s.head.keep_alive, cases[i].keep_alive);
	}
}

static void notes_what_the_front_needs(void **state)
{
	static const char post[] =
	    "POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Encoding: gzip\r\n"
	    "Content-Length: 3\r\nX-Request-Id: a b\r\n\r\n";
	static const char old[] =
	    "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx";
	struct seen s;

	(void)state;
	feed_whole(&s, post, sizeof(post) - 1);
	assert_int_equal(s.phase, HTTP1_LENGTH);
	assert_true(s.head.expect_continue);
	assert_true(s.head.body_encoded);
	assert_int_equal(s.head.content_length, 3);
	assert_string_equal(s.request_id, ""); /* not clean: left out */
	feed_whole(&s, old, sizeof(old) - 1);
	assert_false(s.head.expect_continue); /* means nothing in HTTP/1.0 */
}

static void bounds_the_head(void **state)
{
	static char text[HEAD_MAX * 2];
	struct seen s;
	int n;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	feed_whole(&s, text, sizeof(text));
	assert_int_equal(s.status, 414);
	feed_bytes(&s, text, HEAD_MAX);
	assert_int_equal(s.status, 414);
	n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H "A: ");
	text[n] = 'a';
	feed_whole(&s, text, sizeof(text));
	assert_int_equal(s.status, 431);
	/* Exactly at the limit it still passes. */
	memcpy(text + HEAD_MAX - 4, "\r\n\r\n", 4);
	feed_whole(&s, text, HEAD_MAX);
	assert_int_equal(s.phase, HTTP1_DONE);
	feed_bytes(&s, text, HEAD_MAX);
	assert_int_equal(s.phase, HTTP1_DONE);
}

static void bounds_chunk_framing(void **state)
{
	static char text[64 * 1024];
	static const char *const starts[] = {CHUNKED "5;", CHUNKED "0000", CHUNKED "0\r\nA: "};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct seen s;
		int n = snprintf(text, sizeof(text), "%s", starts[i]);
		memset(text + n, i == 1 ? '0' : 'a', sizeof(text) - (size_t)n);
		feed_whole(&s, text, sizeof(text));
		assert_int_equal(s.status, 400);
		feed_bytes(&s, text, 20000);
		assert_int_equal(s.status, 400);
	}
}

static void one_byte_chunks_are_fine(void **state)
{
	static char text[8 * 1024];
	struct seen s;
	size_t n = (size_t)snprintf(text, sizeof(text), "%s", CHUNKED);

	(void)state;
	for (int i = 0; i < 1000; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "1\r\nx\r\n");
	n += (size_t)snprintf(text + n, sizeof(text) - n, "0\r\n\r\n");
	feed_whole(&s, text, n);
	assert_int_equal(s.phase, HTTP1_DONE);
	assert_int_equal(s.body_len, 1000);
}

static int refuse_body(void *ctx, const char *bytes, size_t len)
{
	(void)ctx;
	(void)bytes;
	(void)len;
	return 413;
}

static void body_callback_can_give_up(void **state)
{
	static const char *const texts[] = {
	    CHUNKED "5\r\nhello\r\n", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct http1 h;
		http1_init(&h, &table);
		long n = http1_read_head(&h, texts[i], strlen(texts[i]), HEAD_MAX);
		assert_true(n > 0);
		(void)http1_read_body(&h, texts[i] + n, strlen(texts[i]) - (size_t)n, refuse_body,
				      NULL);
		assert_int_equal(h.phase, HTTP1_FAILED);
		assert_int_equal(h.status, 413);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refuses_what_two_parsers_could_read_differently),
	    cmocka_unit_test(reads_plain_requests),
	    cmocka_unit_test(reads_bodies_of_known_length),
	    cmocka_unit_test(reads_chunked_bodies),
	    cmocka_unit_test(reads_forms_of_targets_and_versions),
	    cmocka_unit_test(notes_what_the_front_needs),
	    cmocka_unit_test(bounds_the_head),
	    cmocka_unit_test(bounds_chunk_framing),
	    cmocka_unit_test(one_byte_chunks_are_fine),
	    cmocka_unit_test(body_callback_can_give_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
