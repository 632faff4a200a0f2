/* Documents over HTTP from a server that answers by script, cut at every byte, silent, endless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "common/net/addr.h"
#include "common/net/fetch_priv.h"

#define MOST 4096u

struct bed {
	int listener;
	unsigned port;
	char url[64];
	pid_t server; /* 0: none */
	struct ev_loop *loop;
	struct bf_fetcher *f;
	/* what came */
	unsigned calls;
	int code, http_status;
	char why[512], etag[300];
	char body[MOST + 1];
	size_t body_len;
};

/* ---- the server: one answer a connection, in this order; %u stands for its port */

static void serve(const struct bed *b, const char *const *answers, size_t cut)
{
	for (;; answers += answers[1] != NULL) {
		char request[4096], text[MOST * 10];
		int fd = accept(b->listener, NULL, NULL);
		ssize_t n = fd < 0 ? -1 : recv(fd, request, sizeof(request) - 1, 0);
		size_t len;

		if (n <= 0)
			_exit(0);
		request[n] = '\0';
		if (strcmp(answers[0], "SILENCE") == 0) {
			(void)pause();
			_exit(0);
		}
		/* What a request with this line is answered with. */
		if (strncmp(answers[0], "IF ", 3) == 0) {
			const char *end = strchr(answers[0], '|');
			char line[200];

			(void)snprintf(line, sizeof(line), "%.*s", (int)(end - answers[0] - 3),
				       answers[0] + 3);
			len = (size_t)snprintf(
			    text, sizeof(text), "%s",
			    strstr(request, line) ? end + 1
						  : "HTTP/1.1 400 no\r\nContent-Length: 0\r\n\r\n");
		} else {
			const char *at = strstr(answers[0], "%u");

			len = at ? (size_t)snprintf(text, sizeof(text), "%.*s%u%s",
						    (int)(at - answers[0]), answers[0], b->port,
						    at + 2)
				 : (size_t)snprintf(text, sizeof(text), "%s", answers[0]);
		}
		len = BF_MIN(len, cut);
		if (send(fd, text, len, MSG_NOSIGNAL) < 0)
			_exit(0);
		(void)shutdown(fd, SHUT_WR);
		(void)recv(fd, request, sizeof(request), 0);
		(void)close(fd);
	}
}

static void begin_server(struct bed *b, const char *const *answers, size_t cut)
{
	b->server = fork();
	assert_true(b->server >= 0);
	if (b->server == 0) {
		(void)alarm(60);
		serve(b, answers, cut);
	}
}

static void end_server(struct bed *b)
{
	if (b->server <= 0)
		return;
	(void)kill(b->server, SIGKILL);
	(void)waitpid(b->server, NULL, 0);
	b->server = 0;
}

/* ---- the bed */

static int set_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);
	const struct bf_resolver_options names = {NULL, "127.0.0.1:1"};
	const struct bf_fetcher_options options = {.resolver = &names, .user_agent = "test"};

	assert_non_null(b);
	b->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(b->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(b->listener, 16), 0);
	assert_int_equal(getsockname(b->listener, (struct sockaddr *)&at, &len), 0);
	b->port = ntohs(at.sin_port);
	(void)snprintf(b->url, sizeof(b->url), "http://127.0.0.1:%u/prices", b->port);
	b->loop = ev_loop_new(EVBACKEND_EPOLL);
	assert_int_equal(bf_fetcher_new(&options, &b->f, NULL), 0);
	bf_fetcher_start(b->f, b->loop);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bed *b = *state;

	end_server(b);
	bf_fetcher_free(b->f);
	ev_loop_destroy(b->loop);
	(void)close(b->listener);
	free(b);
	return 0;
}

static void on_done(void *owner, const struct bf_fetched *got)
{
	struct bed *b = owner;

	b->calls++;
	b->code = got->code;
	b->http_status = got->http_status;
	(void)snprintf(b->why, sizeof(b->why), "%s", got->why);
	(void)snprintf(b->etag, sizeof(b->etag), "%s", got->etag);
	b->body_len = got->body.len;
	if (got->body.len)
		memcpy(b->body, got->body.ptr, got->body.len);
	b->body[b->body_len] = '\0';
	ev_break(b->loop, EVBREAK_ALL);
}

static void fetch_with(struct bed *b, const char *url, const char *etag, int64_t limit_ms)
{
	const struct bf_fetch what = {.url = url,
				      .etag = etag,
				      .max_bytes = MOST,
				      .limit_ms = limit_ms,
				      .redirects = 3,
				      .done = on_done,
				      .owner = b};

	b->calls = 0;
	assert_int_equal(bf_fetch_begin(b->f, &what), 0);
	assert_true(bf_fetch_runs(b->f));
	assert_int_equal(bf_fetch_begin(b->f, &what), BF_E_FULL);
	assert_int_equal(b->calls, 0);
	ev_run(b->loop, 0);
	assert_int_equal(b->calls, 1);
	assert_false(bf_fetch_runs(b->f));
}

static void fetch(struct bed *b, const char *etag)
{
	fetch_with(b, b->url, etag, 5000);
}

static void fetch_from(struct bed *b, const char *answer)
{
	const char *const answers[] = {answer, NULL};

	begin_server(b, answers, SIZE_MAX);
	fetch(b, "");
	end_server(b);
}

/* ---- */

static void test_a_document_and_its_tag(void **state)
{
	struct bed *b = *state;

	fetch_from(b, "HTTP/1.1 200 OK\r\nETag:  \"a-1\" \r\nContent-Length: 2\r\n\r\n{}");
	assert_int_equal(b->code, 0);
	assert_int_equal(b->http_status, 200);
	assert_string_equal(b->body, "{}");
	assert_string_equal(b->etag, "\"a-1\"");
	/* Until the end of the connection; a tag with odd bytes is none. */
	fetch_from(b, "HTTP/1.1 200 OK\r\nETag: \"\x01\"\r\n\r\n{ }");
	assert_int_equal(b->code, 0);
	assert_string_equal(b->body, "{ }");
	assert_string_equal(b->etag, "");
	fetch_from(b, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n"
		      "Trailer: x\r\n\r\n");
	assert_int_equal(b->code, 0);
	assert_string_equal(b->body, "[]");
}

static void test_nothing_new(void **state)
{
	struct bed *b = *state;
	const char *const answers[] = {
	    "IF If-None-Match: \"a-1\"|HTTP/1.1 304 Not Modified\r\nETag: \"a-1\"\r\n\r\n", NULL};

	begin_server(b, answers, SIZE_MAX);
	fetch(b, "\"a-1\"");
	assert_int_equal(b->code, 0);
	assert_int_equal(b->http_status, 304);
	assert_string_equal(b->etag, "\"a-1\"");
	end_server(b);
	/* Nobody asked whether it is. */
	fetch_from(b, "HTTP/1.1 304 Not Modified\r\n\r\n");
	assert_int_equal(b->code, BF_E_STATE);
}

static void test_other_answers(void **state)
{
	struct bed *b = *state;

	fetch_from(b, "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno");
	assert_int_equal(b->code, BF_E_STATE);
	assert_int_equal(b->body_len, 0);
	assert_non_null(strstr(b->why, "500"));
	fetch_from(b, "HTTP/1.1 204 Nothing\r\n\r\n");
	assert_int_equal(b->code, BF_E_STATE);
	fetch_from(b, "what is this?\r\n\r\n");
	assert_int_equal(b->code, BF_E_CLOSED);
	fetch_from(b, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{}");
	assert_int_equal(b->code, BF_E_LIMIT);
}

static void test_one_that_grows_beyond_the_limit(void **state)
{
	struct bed *b = *state;
	char answer[MOST + 200];
	int n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n\r\n");

	memset(answer + n, 'x', MOST + 1);
	answer[(size_t)n + MOST] = '\0';
	fetch_from(b, answer);
	assert_int_equal(b->code, 0);
	assert_int_equal(b->body_len, MOST);
	answer[(size_t)n + MOST] = 'x';
	answer[(size_t)n + MOST + 1] = '\0';
	fetch_from(b, answer);
	assert_int_equal(b->code, BF_E_LIMIT);
	assert_int_equal(b->body_len, 0);
}

static void test_a_head_that_does_not_end(void **state)
{
	static char answer[FETCH_HEAD_MAX_BYTES + 4096];
	struct bed *b = *state;
	size_t n = (size_t)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n");

	while (n < FETCH_HEAD_MAX_BYTES)
		n += (size_t)snprintf(answer + n, sizeof(answer) - n, "X-%zu: %0200d\r\n", n, 0);
	(void)snprintf(answer + n, sizeof(answer) - n, "Content-Length: 2\r\n\r\n{}");
	fetch_from(b, answer);
	assert_int_equal(b->code, BF_E_LIMIT);
	/* Nor any number of answers before the answer. */
	for (n = 0; n < FETCH_HEAD_MAX_BYTES;)
		n += (size_t)snprintf(answer + n, sizeof(answer) - n, "HTTP/1.1 103 soon\r\n\r\n");
	(void)snprintf(answer + n, sizeof(answer) - n,
		       "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
	fetch_from(b, answer);
	assert_int_equal(b->code, BF_E_LIMIT);
	/* A long one that ends. */
	n = (size_t)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n");
	while (n < FETCH_HEAD_MAX_BYTES - 1024)
		n += (size_t)snprintf(answer + n, sizeof(answer) - n, "X-%zu: %0200d\r\n", n, 0);
	(void)snprintf(answer + n, sizeof(answer) - n, "Content-Length: 2\r\n\r\n{}");
	fetch_from(b, answer);
	assert_int_equal(b->code, 0);
}

static void test_an_address_of_six(void **state)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t len = sizeof(at);
	struct bed *b = *state;

	(void)close(b->listener);
	b->listener = socket(AF_INET6, SOCK_STREAM, 0);
	if (b->listener < 0 || bind(b->listener, (struct sockaddr *)&at, len) < 0)
		skip();
	assert_int_equal(listen(b->listener, 16), 0);
	assert_int_equal(getsockname(b->listener, (struct sockaddr *)&at, &len), 0);
	b->port = ntohs(at.sin6_port);
	(void)snprintf(b->url, sizeof(b->url), "http://[::1]:%u/prices", b->port);
	fetch_from(b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
	assert_int_equal(b->code, 0);
	assert_string_equal(b->body, "{}");
	fetch_with(b, "https://[fe80::1]/", "", 5000);
	assert_int_equal(b->code, BF_E_DENIED);
	fetch_with(b, "https://[::ffff:169.254.169.254]/", "", 5000);
	assert_int_equal(b->code, BF_E_DENIED);
}

static struct bf_addr address(const char *text)
{
	struct bf_addr addr;
	struct sockaddr_in in = {.sin_family = AF_INET};

	memset(&addr, 0, sizeof(addr));
	assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
	memcpy(&addr.ss, &in, sizeof(in));
	return addr;
}

/* Who has an address outside may not send us to one inside, whatever else he has. */
static void test_where_a_redirect_may_lead(void **state)
{
	const struct bf_addr global = address("93.184.216.34"), near = address("10.0.0.1"),
			     bad = address("169.254.169.254"), own = address("127.0.0.1");
	const struct bf_addr both[] = {near, global};
	struct bf_fetcher f;

	(void)state;
	memset(&f, 0, sizeof(f));
	assert_null(fetch_objection(&f, false, both, 2));
	f.hops = 1;
	assert_null(fetch_objection(&f, false, &global, 1));
	assert_non_null(fetch_objection(&f, false, &near, 1));
	assert_non_null(fetch_objection(&f, false, &own, 1));
	assert_non_null(fetch_objection(&f, false, both, 2));
	/* From inside it may lead anywhere but to nobody's address. */
	f.hops = 0;
	assert_null(fetch_objection(&f, false, &near, 1));
	assert_non_null(fetch_objection(&f, true, &near, 1));
	f.hops = 1;
	assert_null(fetch_objection(&f, false, both, 2));
	assert_non_null(fetch_objection(&f, false, &bad, 1));
}

static void test_cut_at_every_byte(void **state)
{
	static const char answer[] =
	    "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
	const char *const answers[] = {answer, NULL};
	struct bed *b = *state;

	for (size_t cut = 0; cut < sizeof(answer); cut++) {
		begin_server(b, answers, cut);
		fetch(b, "");
		end_server(b);
		if (cut == sizeof(answer) - 1)
			assert_int_equal(b->code, 0);
		else
			assert_true(b->code < 0);
		if (b->code < 0)
			assert_int_equal(b->body_len, 0);
	}
}

static void test_silence_and_nobody(void **state)
{
	struct bed *b = *state;
	const char *const answers[] = {"SILENCE", NULL};

	begin_server(b, answers, SIZE_MAX);
	fetch_with(b, b->url, "", 300);
	assert_int_equal(b->code, BF_E_TIMEOUT);
	end_server(b);
	/* A kernel that takes connections for nobody. */
	fetch_with(b, b->url, "", 200);
	assert_int_equal(b->code, BF_E_TIMEOUT);
	fetch_with(b, "http://127.0.0.1:1/", "", 5000);
	assert_int_equal(b->code, BF_E_CLOSED);
	/* Its name server does not answer either. */
	fetch_with(b, "https://nobody.test/", "", 5000);
	assert_int_equal(b->code, BF_E_CLOSED);
}

static void test_redirects(void **state)
{
	static const char to[] = "HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:%u/b\r\n"
				 "ETag: \"old\"\r\nContent-Length: 3\r\n\r\nnot";
	static const char end[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	const char *const three[] = {to, to, to, end, NULL}, *const endless[] = {to, NULL};
	struct bed *b = *state;

	begin_server(b, three, SIZE_MAX);
	fetch(b, "");
	assert_int_equal(b->code, 0);
	assert_string_equal(b->body, "{}");
	assert_string_equal(b->etag, "");
	end_server(b);
	begin_server(b, endless, SIZE_MAX);
	fetch(b, "");
	assert_int_equal(b->code, BF_E_DENIED);
	end_server(b);
}

static void test_redirects_that_lead_astray(void **state)
{
	static const char *const places[] = {
	    "file:///etc/passwd",     "ftp://127.0.0.1/x",      "http://192.0.2.1/",
	    "http://169.254.169.254", "http://user@127.0.0.1/", "https://",
	    "gopher://127.0.0.1/",    "http://10.0.0.1/",
	};
	struct bed *b = *state;
	char answer[300];

	for (size_t i = 0; i < BF_ARRAY_LEN(places); i++) {
		(void)snprintf(answer, sizeof(answer),
			       "HTTP/1.1 301 There\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
			       places[i]);
		fetch_from(b, answer);
		if (b->code != BF_E_DENIED)
			print_error("%s: %d %s\n", places[i], b->code, b->why);
		assert_int_equal(b->code, BF_E_DENIED);
	}
	fetch_from(b, "HTTP/1.1 301 There\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(b->code, BF_E_DENIED);
}

static void test_addresses_that_are_not_asked(void **state)
{
	static const char *const urls[] = {
	    "http://192.0.2.1/",
	    "file:///etc/passwd",
	    "https://169.254.169.254/",
	    "https://me:secret@127.0.0.1/",
	    "nonsense",
	    "",
	};
	struct bed *b = *state;

	for (size_t i = 0; i < BF_ARRAY_LEN(urls); i++) {
		fetch_with(b, urls[i], "", 5000);
		assert_int_equal(b->code, BF_E_DENIED);
		assert_null(strstr(b->why, "secret"));
	}
}

static void test_cancelled_at_every_stage(void **state)
{
	struct bed *b = *state;
	const char *const answers[] = {"SILENCE", NULL};
	const struct bf_fetch what = {.url = b->url,
				      .etag = "",
				      .max_bytes = MOST,
				      .limit_ms = 5000,
				      .done = on_done,
				      .owner = b};

	begin_server(b, answers, SIZE_MAX);
	for (int turns = 0; turns < 6; turns++) {
		assert_int_equal(bf_fetch_begin(b->f, &what), 0);
		for (int i = 0; i < turns; i++)
			(void)ev_run(b->loop, EVRUN_NOWAIT);
		bf_fetch_cancel(b->f);
		assert_false(bf_fetch_runs(b->f));
		(void)ev_run(b->loop, EVRUN_NOWAIT);
		assert_int_equal(b->calls, 0);
	}
	/* One that still runs when the fetcher goes is not told of either. */
	assert_int_equal(bf_fetch_begin(b->f, &what), 0);
	(void)ev_run(b->loop, EVRUN_NOWAIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_document_and_its_tag, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_nothing_new, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_other_answers, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_one_that_grows_beyond_the_limit, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(test_a_head_that_does_not_end, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_an_address_of_six, set_up, tear_down),
	    cmocka_unit_test(test_where_a_redirect_may_lead),
	    cmocka_unit_test_setup_teardown(test_cut_at_every_byte, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_silence_and_nobody, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_redirects, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_redirects_that_lead_astray, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_addresses_that_are_not_asked, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_cancelled_at_every_stage, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
