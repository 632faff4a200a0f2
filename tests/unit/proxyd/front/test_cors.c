/* CORS: whose pages may call, what they are told, and that nothing of theirs leaks into a header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxyd/front/cors.h"
#include "tests/unit/proxyd/harness.h"

#define LIST(...)                                            \
	((struct bf_array){(struct bf_slice[]){__VA_ARGS__}, \
			   sizeof((struct bf_slice[]){__VA_ARGS__}) / sizeof(struct bf_slice)})

static char answer[1 << 16];

static void expect(const struct bf_conf_client *client, const char *origin, bool want)
{
	if (cors_allows(client, bf_slice_from(origin)) != want)
		fail_msg("%s", origin);
}

static void origins(void **state)
{
	struct bf_conf_client none = {0};
	struct bf_conf_client all = {.allowed_origins = LIST(BF_SLICE_LIT("*"))};
	struct bf_conf_client some = {.allowed_origins =
					  LIST(BF_SLICE_LIT("https://app.example.com"),
					       BF_SLICE_LIT("https://*.example.org"),
					       BF_SLICE_LIT("http://dev.test:8000"))};

	(void)state;
	static const char *const local[] = {"http://localhost",        "http://localhost:3000",
					    "https://localhost:65535", "http://127.0.0.1:1",
					    "https://[::1]:8080",      "HTTP://LOCALHOST:1"};
	for (size_t i = 0; i < BF_ARRAY_LEN(local); i++) {
		expect(&none, local[i], true);
		expect(&some, local[i], true);
	}
	static const char *const foreign[] = {
	    "http://localhost.evil.com",
	    "http://localhost:3000.evil.com",
	    "http://localhost:",
	    "http://localhost:123456",
	    "http://127.0.0.1.evil.com",
	    "ftp://localhost",
	    "localhost",
	    "https://evil.com",
	    "null",
	    "https://app.example.com.evil.com",
	    "https://xapp.example.com",
	    "http://app.example.com",
	    "https://example.org",
	    "https://.example.org",
	    "https://a/.example.org",
	    "https://evil.com#.example.org",
	    "https://a@b.example.org",
	    "http://dev.test",
	};
	for (size_t i = 0; i < BF_ARRAY_LEN(foreign); i++) {
		expect(&none, foreign[i], false);
		/* "https://.example.org": the star wants a name in front. */
		expect(&some, foreign[i], false);
		expect(&all, foreign[i], true);
	}
	expect(&some, "https://app.example.com", true);
	expect(&some, "https://APP.example.com", true);
	expect(&some, "https://a.example.org", true);
	expect(&some, "https://a.b-c.example.org", true);
	expect(&some, "http://dev.test:8000", true);
	expect(&all, "", false);
	expect(&all, "a b", false);
	char big[400];
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	expect(&all, big, false);
}

static const char *lines_text(struct cors_lines *lines)
{
	lines->text[BF_MIN(lines->len, sizeof(lines->text) - 1)] = '\0';
	return lines->text;
}

static void lines_of_answers(void **state)
{
	struct bf_conf_client all = {.allowed_origins = LIST(BF_SLICE_LIT("*"))};
	struct bf_conf_client some = {.allowed_origins = LIST(BF_SLICE_LIT("https://a.test"))};
	struct cors_lines l;

	(void)state;
	cors_answer_lines(&all, (struct bf_slice){NULL, 0}, &l);
	assert_int_equal(l.len, 0);
	cors_answer_lines(&all, BF_SLICE_LIT("https://x.test"), &l);
	assert_memory_equal(l.text, "Access-Control-Allow-Origin: *\r\n", 32);
	assert_non_null(strstr(lines_text(&l), "x-request-id, "));
	assert_null(strstr(l.text, "Vary"));
	cors_answer_lines(&some, BF_SLICE_LIT("https://a.test"), &l);
	assert_memory_equal(l.text,
			    "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.test\r\n", 59);
	cors_answer_lines(&some, BF_SLICE_LIT("https://b.test"), &l);
	assert_string_equal(lines_text(&l), "Vary: Origin\r\n");
	cors_answer_lines(&some, (struct bf_slice){NULL, 0}, &l);
	assert_string_equal(lines_text(&l), "Vary: Origin\r\n");
}

static void lines_of_preflights(void **state)
{
	struct bf_conf_client client = {.allowed_headers =
					    LIST(BF_SLICE_LIT("X-Mine"), BF_SLICE_LIT("bad name"))};
	struct bf_conf_client any = {.allowed_headers = LIST(BF_SLICE_LIT("*"))};
	static char many[60000];
	struct cors_lines l;
	size_t n = 0;

	(void)state;
	cors_preflight_lines(
	    &client, BF_SLICE_LIT("x-stainless-os, X-BF-VK ,x-evil,x-bf-\x01,, x-stainless-a:b"),
	    &l);
	assert_non_null(strstr(lines_text(&l), "Access-Control-Max-Age: 86400\r\n"));
	assert_non_null(strstr(l.text, "Access-Control-Allow-Headers: authorization, "));
	assert_non_null(strstr(l.text, ", X-Mine, x-stainless-os, X-BF-VK\r\n"));
	assert_null(strstr(l.text, "evil"));
	assert_null(strstr(l.text, "bad name"));
	cors_preflight_lines(&any, BF_SLICE_LIT("x-anything, y:z"), &l);
	assert_non_null(strstr(lines_text(&l), ", x-anything\r\n"));
	assert_null(strstr(l.text, "y:z"));
	while (n < sizeof(many) - 40)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "x-bf-%zu,", n);
	cors_preflight_lines(&client, (struct bf_slice){many, n}, &l);
	assert_true(l.len <= sizeof(l.text) && l.len > sizeof(l.text) - 64);
	assert_memory_equal(l.text + l.len - 2, "\r\n", 2);
}

static void one_origin(struct bf_config *config)
{
	static struct bf_slice allowed[] = {{"https://a.test", 14}};

	config->client.allowed_origins = (struct bf_array){allowed, 1};
}

static void ask(struct harness *h, const char *request)
{
	int fd = harness_client(h);

	harness_send(h, fd, request, strlen(request));
	(void)harness_read(h, fd, answer, sizeof(answer), NULL, NULL);
	assert_true(answer[0] != '\0');
	(void)close(fd);
	harness_turns(h, 4);
}

static void through_a_worker(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, one_origin);
	ask(&h, "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: a\r\nOrigin: https://a.test\r\n"
		"Access-Control-Request-Method: POST\r\n"
		"Access-Control-Request-Headers: x-stainless-lang\r\n\r\n");
	assert_memory_equal(answer, "HTTP/1.1 204 No Content\r\n", 25);
	assert_non_null(strstr(answer, "\r\nAccess-Control-Allow-Origin: https://a.test\r\n"));
	assert_non_null(strstr(answer, ", x-stainless-lang\r\n"));
	assert_null(strstr(answer, "Content-Length"));
	ask(&h, "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: a\r\nOrigin: https://b.test\r\n"
		"Access-Control-Request-Method: POST\r\n\r\n");
	assert_memory_equal(answer, "HTTP/1.1 403 Forbidden\r\n", 24);
	assert_null(strstr(answer, "Access-Control-"));
	/* No preflight: what the gate says about the path. */
	ask(&h,
	    "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: a\r\nOrigin: https://a.test\r\n\r\n");
	assert_memory_equal(answer, "HTTP/1.1 204 No Content\r\n", 25);
	assert_non_null(strstr(answer, "\r\nAllow: POST"));
	/* Errors carry it too. */
	ask(&h, "GET /nowhere HTTP/1.1\r\nHost: a\r\nOrigin: https://a.test\r\n\r\n");
	assert_memory_equal(answer, "HTTP/1.1 404 ", 13);
	assert_non_null(strstr(answer, "\r\nAccess-Control-Allow-Origin: https://a.test\r\n"));
	assert_non_null(strstr(answer, "\r\nVary: Origin\r\n"));
	ask(&h, "GET /live HTTP/1.1\r\nHost: a\r\nOrigin: https://b.test\r\n\r\n");
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
	assert_null(strstr(answer, "Access-Control-"));
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(origins),
	    cmocka_unit_test(lines_of_answers),
	    cmocka_unit_test(lines_of_preflights),
	    cmocka_unit_test(through_a_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
