/* Who may see what is for this machine only: peers, hosts, origins, proxies, browsers; and that
 * pages of other origins are told nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxyd/gate/local.h"
#include "tests/unit/proxyd/harness.h"

static char answer[65536];

/* What local_check says; "": it lets the request in. */
static const char *says(const char *host, const char *name, const char *value)
{
	static struct bf_err err;
	const struct exchange_header headers[] = {
	    {BF_SLICE_LIT("hOST"), bf_slice_from(host)},
	    {bf_slice_from(name), bf_slice_from(value)},
	};
	const struct exchange x = {
	    .headers = headers, .header_count = *name ? 2 : 1, .from_loopback = true};

	err.text[0] = '\0';
	int r = local_check(&x, &err);
	assert_int_equal(r, err.text[0] ? BF_E_DENIED : 0);
	return err.text;
}

static void allowed(const char *host, const char *name, const char *value)
{
	const char *text = says(host, name, value);

	if (*text)
		fail_msg("%s, %s: %s: %s", host, name, value, text);
}

static void denied(const char *host, const char *name, const char *value, const char *start)
{
	const char *text = says(host, name, value);

	if (strncmp(text, start, strlen(start)) != 0)
		fail_msg("%s, %s: %s: \"%s\"", host, name, value, text);
}

static void hosts(void **state)
{
	static const char *const good[] = {
	    "localhost",     "LocalHost:8080", "127.0.0.1", "127.0.0.1:1",
	    "127.9.255.001", "127.1.2.3:8080", "[::1]",     "[::1]:65535",
	};
	static const char *const bad[] = {
	    "",
	    "a",
	    "localhost.",
	    "localhost.evil.com",
	    "localhostx",
	    "localhost:",
	    "localhost:80x",
	    "localhost:123456",
	    "127.0.0.1.evil.com",
	    "127.0.0",
	    "127.0.0.1234",
	    "127.0..1",
	    "127.evil.com",
	    "128.0.0.1",
	    "evil.com",
	    "10.0.0.1:8080",
	    "[::1",
	    "[::2]",
	    "[::1]x",
	    "0.0.0.0",
	    "127.0.0.1@evil.com",
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(good); i++)
		allowed(good[i], "", "");
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++)
		denied(bad[i], "", "", "Host: must name this machine");
	const struct exchange none = {.from_loopback = true};
	assert_int_equal(local_check(&none, NULL), BF_E_DENIED);
}

static void origins(void **state)
{
	static const char *const bad[] = {
	    "",
	    "null",
	    "https://evil.com",
	    "http://localhost",
	    "http://localhost:81",
	    "http://127.0.0.1:8080",
	    "http://localhost:8080.evil.com",
	    "file://localhost:8080",
	    "localhost:8080",
	    "http://localhost:8080/",
	};

	(void)state;
	allowed("localhost:8080", "Origin", "http://localhost:8080");
	allowed("LOCALHOST:8080", "origin", "https://localhost:8080");
	allowed("127.0.0.2", "Origin", "http://127.0.0.2");
	allowed("[::1]:1", "Origin", "http://[::1]:1");
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++)
		denied("localhost:8080", "Origin", bad[i], "Origin: web pages of other origins");
	/* A page that calls itself by its own name, which was pointed here. */
	denied("evil.com", "Origin", "http://evil.com", "Origin: ");
}

static void proxies_and_browsers(void **state)
{
	static const char *const names[] = {
	    "Forwarded", "X-Forwarded-For", "x-forwarded-host", "X-FORWARDED-", "X-Real-IP", "Via",
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++)
		denied("localhost", names[i], "127.0.0.1", names[i]);
	allowed("localhost", "X-Forwarder", "x");
	allowed("localhost", "Viable", "x");
	allowed("localhost", "Sec-Fetch-Site", "same-origin");
	allowed("localhost", "sec-fetch-site", "none");
	denied("localhost", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Site: ");
	denied("localhost", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Site: ");
	denied("localhost", "Sec-Fetch-Site", "", "Sec-Fetch-Site: ");
}

static void the_second_of_a_name_counts_too(void **state)
{
	const struct exchange_header headers[] = {
	    {BF_SLICE_LIT("host"), BF_SLICE_LIT("localhost")},
	    {BF_SLICE_LIT("origin"), BF_SLICE_LIT("http://localhost")},
	    {BF_SLICE_LIT("origin"), BF_SLICE_LIT("http://evil.com")},
	};
	struct exchange x = {.headers = headers, .header_count = 2, .from_loopback = true};

	(void)state;
	assert_int_equal(local_check(&x, NULL), 0);
	x.header_count = 3;
	assert_int_equal(local_check(&x, NULL), BF_E_DENIED);
	x.header_count = 2;
	x.from_loopback = false;
	assert_int_equal(local_check(&x, NULL), BF_E_DENIED);
}

static void open_to_all(struct bf_config *config)
{
	static struct bf_slice star[] = {{"*", 1}};

	config->client.allowed_origins = (struct bf_array){star, 1};
}

static void said(struct harness *h, const char *request, const char *status, const char *part)
{
	int fd = harness_client(h);

	(void)harness_ask(h, fd, request, answer, sizeof(answer));
	if (strncmp(answer, status, strlen(status)) != 0 || !strstr(answer, part))
		fail_msg("%s%s", request, answer);
	if (strcasestr(answer, "\naccess-control-"))
		fail_msg("CORS: %s", answer);
	(void)close(fd);
	harness_turns(h, 4);
}

/* Whatever client.allowed_origins says, and whether there is such a path or not. */
static void no_page_is_told_anything(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, open_to_all);
	said(&h, "GET /api/logs HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.com\r\n\r\n",
	     "HTTP/1.1 403 ", "Origin: ");
	said(&h, "GET /api/nothing HTTP/1.1\r\nHost: evil.com\r\n\r\n", "HTTP/1.1 403 ", "Host: ");
	said(&h, "GET /api/nothing HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n",
	     "HTTP/1.1 404 ", "not_found");
	said(&h,
	     "OPTIONS /api/logs HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
	     "Access-Control-Request-Method: GET\r\n\r\n",
	     "HTTP/1.1 403 ", "loopback_only");
	said(&h, "POST /api/logs HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
	     "HTTP/1.1 403 ", "Host: ");
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {

	    cmocka_unit_test(hosts),
	    cmocka_unit_test(origins),
	    cmocka_unit_test(proxies_and_browsers),
	    cmocka_unit_test(the_second_of_a_name_counts_too),
	    cmocka_unit_test(no_page_is_told_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
