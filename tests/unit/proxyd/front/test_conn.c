/* Client connections: pipelining, limits, bad requests, clients that leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/ipc/messages_entity.h"
#include "proxyd/front/conn.h"
#include "shm/metrics.h"
#include "tests/unit/proxyd/harness.h"

#define LIVE "GET /live HTTP/1.1\r\nHost: a\r\n\r\n"
#define CHAT \
	"{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\",\"content\":\"one two three\"}]}"

static char answer[1 << 20];

/* memmem: strstr under ASan measures the whole text each time. */
static size_t count(const char *text, const char *part)
{
	size_t n = 0, len = strlen(text), step = strlen(part);
	const char *end = text + len;

	for (const char *p = text; (p = memmem(p, (size_t)(end - p), part, step)) != NULL;
	     p += step)
		n++;
	return n;
}

static void leave(struct harness *h, int fd)
{
	(void)close(fd);
	harness_turns(h, 4);
	assert_int_equal(h->f.conn_count, 0);
}

static void keep_alive_and_pipelining_in_order(void **state)
{
	char request[4096] = "";
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	for (int i = 0; i < 40; i++) {
		char one[96];
		(void)snprintf(one, sizeof(one),
			       "GET /live HTTP/1.1\r\nHost: a\r\nX-Request-Id: r%d\r\n\r\n", i);
		(void)strcat(request, one);
	}
	harness_send(&h, fd, request, strlen(request));
	(void)harness_read(&h, fd, answer, sizeof(answer), NULL, NULL);
	assert_int_equal(count(answer, "HTTP/1.1 200 OK"), 40);
	const char *at = answer;
	for (int i = 0; i < 40; i++) {
		char id[64];
		(void)snprintf(id, sizeof(id), "X-Request-Id: r%d\r\n", i);
		at = strstr(at, id);
		assert_non_null(at);
	}
	leave(&h, fd);
	harness_close(&h);
}

static void slow_mock(struct bf_config *config)
{
	harness_mock(config)->mock_config.latency_ms = 300;
}

/* For tests that look at a request while it runs: it must not end by itself on a loaded machine. */
static void endless_mock(struct bf_config *config)
{
	harness_mock(config)->mock_config.latency_ms = 60000;
}

/* Requests behind one that takes its time wait for it, however many bytes they are. */
static void pipelining_behind_a_slow_request(void **state)
{
	struct harness h;
	static char request[64 * 1024];
	size_t len = 0;

	(void)state;
	harness_open(&h, slow_mock);
	int fd = harness_client(&h);
	len += (size_t)snprintf(request, sizeof(request), "%s", harness_chat(CHAT));
	for (int i = 0; i < 1000; i++)
		len += (size_t)snprintf(request + len, sizeof(request) - len, LIVE);
	harness_send(&h, fd, request, len);
	len = 0;
	answer[0] = '\0';
	for (int i = 0; i < 500 && count(answer, "{\"status\":\"live\"}") < 1000; i++)
		len += harness_read(&h, fd, answer + len, sizeof(answer) - len, NULL, NULL);
	assert_int_equal(count(answer, "{\"status\":\"live\"}"), 1000);
	assert_true(strstr(answer, "chat.completion") < strstr(answer, "{\"status\":\"live\"}"));
	leave(&h, fd);
	harness_close(&h);
}

static void requests_in_single_bytes(void **state)
{
	struct harness h;
	const char *request = harness_chat(CHAT);

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < strlen(request); i++)
			harness_send(&h, fd, request + i, 1);
		(void)harness_ask(&h, fd, "", answer, sizeof(answer));
		assert_memory_equal(answer, "HTTP/1.1 200 OK", 15);
		assert_non_null(strstr(answer, "\"content\":\"one two three\""));
	}
	leave(&h, fd);
	harness_close(&h);
}

static void malformed_requests_are_answered_and_closed(void **state)
{
	static const struct {
		const char *text, *start;
	} cases[] = {
	    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
	    {"\x16\x03\x01\x02", "HTTP/1.1 400 Bad Request\r\n"},
	    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 "},
	    {"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
	     "chunked\r\n\r\nzz\r\n",
	     "HTTP/1.1 400 Bad Request\r\n"},
	    {"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 "},
	    {"POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n",
	     "HTTP/1.1 417 "},
	};
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool closed;
		int fd = harness_client(&h);
		harness_send(&h, fd, cases[i].text, strlen(cases[i].text));
		harness_send(&h, fd, "and more that is never answered", 31);
		(void)harness_read(&h, fd, answer, sizeof(answer), NULL, &closed);
		if (strncmp(answer, cases[i].start, strlen(cases[i].start)) != 0)
			fail_msg("%s: %s", cases[i].text, answer);
		assert_true(closed);
		assert_int_equal(count(answer, "\r\nDate: "), 1);
		assert_non_null(strstr(answer, "Connection: close\r\n"));
		leave(&h, fd);
	}
	harness_close(&h);
}

static void tiny_limits(struct bf_config *config)
{
	config->client.max_request_body_size_bytes = 200;
	config->server.read_buffer_size_bytes = 512;
}

/* Whatever is configured: it is read before anybody asks who sent it. */
static void the_management_api_takes_little(void **state)
{
	static char request[70000];
	struct bf_conf_client roomy;
	struct harness h;
	int fd, n;

	(void)state;
	harness_open(&h, NULL);
	roomy = *h.w.client;
	roomy.max_request_body_size_bytes = 100 << 20;
	h.w.client = &roomy;
	fd = harness_client(&h);
	(void)harness_ask(&h, fd,
			  "POST /api/session/login HTTP/1.1\r\nHost: localhost\r\n"
			  "Content-Length: 60001\r\n\r\n",
			  answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 413 ", 13);
	assert_non_null(strstr(answer, "60000 bytes"));
	leave(&h, fd);
	fd = harness_client(&h);
	n = snprintf(request, sizeof(request),
		     "POST /api/session/login HTTP/1.1\r\nHost: localhost\r\n"
		     "Transfer-Encoding: chunked\r\n\r\n%x\r\n%0*d",
		     BF_ENTITY_CHANGE_BODY_MAX, BF_ENTITY_CHANGE_BODY_MAX, 1);
	harness_send(&h, fd, request, (size_t)n);
	assert_int_equal(h.w.body_bytes, BF_ENTITY_CHANGE_BODY_MAX);
	(void)harness_ask(&h, fd, "\r\n1\r\nx", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 413 ", 13);
	leave(&h, fd);
	/* Models take what is configured; of a path without a use for it nothing is kept. */
	fd = harness_client(&h);
	(void)snprintf(request, sizeof(request),
		       "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
		       "Content-Length: 60001\r\n\r\n%060001d",
		       1);
	(void)harness_ask(&h, fd, request, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 400 ", 13);
	leave(&h, fd);
	harness_close(&h);
}

static void limits_have_their_codes(void **state)
{
	char request[2048];
	struct harness h;
	bool closed;
	int fd;

	(void)state;
	harness_open(&h, tiny_limits);
	fd = harness_client(&h);
	(void)snprintf(
	    request, sizeof(request),
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 201\r\n\r\n");
	(void)harness_ask(&h, fd, request, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 413 ", 13);
	leave(&h, fd);
	fd = harness_client(&h);
	(void)snprintf(
	    request, sizeof(request),
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "64\r\n%0100d\r\n64\r\n%0100d\r\n1\r\n",
	    1, 2);
	harness_send(&h, fd, request, strlen(request));
	assert_int_equal(h.w.body_bytes, 200);
	(void)harness_ask(&h, fd, "x", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 413 ", 13);
	leave(&h, fd);
	/* The limit holds for bodies nobody wants as well. */
	fd = harness_client(&h);
	(void)harness_ask(&h, fd, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 201\r\n\r\n",
			  answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 413 ", 13);
	leave(&h, fd);
	fd = harness_client(&h);
	(void)snprintf(request, sizeof(request), "GET /live HTTP/1.1\r\nHost: a\r\nA: %0600d", 1);
	harness_send(&h, fd, request, strlen(request));
	(void)harness_read(&h, fd, answer, sizeof(answer), NULL, &closed);
	assert_memory_equal(answer, "HTTP/1.1 431 ", 13);
	assert_true(closed);
	leave(&h, fd);
	harness_close(&h);
}

static void little_body_memory(struct bf_config *config)
{
	config->server.body_memory_bytes = 2000;
}

static void body_memory_is_shared(void **state)
{
	char request[256];
	struct harness h;
	int a, b;

	(void)state;
	harness_open(&h, little_body_memory);
	a = harness_client(&h);
	b = harness_client(&h);
	(void)snprintf(
	    request, sizeof(request),
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1500\r\n\r\n");
	harness_send(&h, a, request, strlen(request));
	for (int i = 0; i < 14; i++)
		harness_send(&h, a, request, 100);
	harness_turns(&h, 4);
	assert_int_equal(h.w.body_bytes, 1400);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_BODY_BYTES), 1400);
	(void)harness_ask(&h, b, request, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
	assert_non_null(strstr(answer, "\r\nRetry-After: 1\r\n"));
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_BODY_REFUSED), 1);
	(void)close(b);
	(void)close(a);
	harness_turns(&h, 6);
	assert_int_equal(h.w.body_bytes, 0);
	assert_int_equal(h.f.conn_count, 0);
	harness_close(&h);
}

static void expect_continue_asks_for_the_body(void **state)
{
	static const char head[] =
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n";
	char request[512];
	struct harness h;
	int fd;

	(void)state;
	harness_open(&h, NULL);
	fd = harness_client(&h);
	(void)snprintf(request, sizeof(request), "%sContent-Length: %zu\r\n\r\n", head,
		       strlen(CHAT));
	harness_send(&h, fd, request, strlen(request));
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n\r\n", NULL);
	assert_string_equal(answer, "HTTP/1.1 100 Continue\r\n\r\n");
	(void)harness_ask(&h, fd, CHAT, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 OK", 15);
	leave(&h, fd);
	/* What will be refused is refused without asking for the body. */
	fd = harness_client(&h);
	(void)harness_ask(
	    &h, fd,
	    "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
	    answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 404 ", 13);
	assert_non_null(strstr(answer, "Connection: close\r\n"));
	leave(&h, fd);
	harness_close(&h);
}

static void http10_closes_unless_asked(void **state)
{
	struct harness h;
	bool closed;
	int fd;

	(void)state;
	harness_open(&h, NULL);
	fd = harness_client(&h);
	harness_send(&h, fd, "GET /live HTTP/1.0\r\n\r\n", 22);
	(void)harness_read(&h, fd, answer, sizeof(answer), NULL, &closed);
	assert_true(closed);
	assert_non_null(strstr(answer, "Connection: close\r\n"));
	leave(&h, fd);
	fd = harness_client(&h);
	for (int i = 0; i < 2; i++) {
		(void)harness_ask(&h, fd, "GET /live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
				  answer, sizeof(answer));
		assert_non_null(strstr(answer, "Connection: keep-alive\r\n"));
	}
	leave(&h, fd);
	harness_close(&h);
}

static void client_that_leaves_cancels(void **state)
{
	struct shm_usage_record row;
	struct harness h;
	const char *request = harness_chat(CHAT);

	(void)state;
	harness_open(&h, endless_mock);
	int fd = harness_client(&h);
	harness_send(&h, fd, request, strlen(request));
	harness_turns(&h, 2);
	assert_int_equal(h.w.inflight, 1);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_INFLIGHT), 1);
	leave(&h, fd);
	assert_int_equal(harness_rows(&h, &row, 1), 1);
	assert_int_equal(row.status, SHM_USAGE_ERROR);
	assert_true(row.flags & SHM_USAGE_CLIENT_GONE);
	assert_string_equal(row.error_type, "client_gone");
	assert_int_equal(row.http_status, 499);
	assert_int_equal(harness_rows(&h, &row, 1), 0);
	harness_close(&h);
}

/* So many pipelined bytes wait that the connection is not read: the sweep notices the end. */
static void client_that_leaves_behind_a_backlog_cancels(void **state)
{
	static char request[CONN_PENDING_MAX + 4096];
	struct shm_usage_record row;
	struct harness h;
	size_t len;

	(void)state;
	harness_open(&h, endless_mock);
	int fd = harness_client(&h);
	len = (size_t)snprintf(request, sizeof(request), "%s", harness_chat(CHAT));
	memset(request + len, 'x', sizeof(request) - len);
	harness_send(&h, fd, request, sizeof(request));
	harness_turns(&h, 4);
	front_sweep(&h.f, bf_mono_ms());
	assert_int_equal(h.w.inflight, 1);
	(void)close(fd);
	harness_turns(&h, 4);
	assert_int_equal(h.w.inflight, 1);
	front_sweep(&h.f, bf_mono_ms());
	assert_int_equal(h.w.inflight, 0);
	assert_int_equal(harness_rows(&h, &row, 1), 1);
	assert_true(row.flags & SHM_USAGE_CLIENT_GONE);
	harness_turns(&h, 2);
	harness_close(&h);
}

static void clients_may_leave_at_every_byte(void **state)
{
	struct shm_usage_record row;
	struct harness h;
	const char *request = harness_chat(CHAT);

	(void)state;
	harness_open(&h, NULL);
	for (size_t cut = 0; cut < strlen(request); cut++) {
		int fd = harness_client(&h);
		harness_send(&h, fd, request, cut);
		leave(&h, fd);
		assert_int_equal(harness_rows(&h, &row, 1), 0);
		assert_int_equal(h.w.body_bytes, 0);
	}
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keep_alive_and_pipelining_in_order),
	    cmocka_unit_test(pipelining_behind_a_slow_request),
	    cmocka_unit_test(requests_in_single_bytes),
	    cmocka_unit_test(malformed_requests_are_answered_and_closed),
	    cmocka_unit_test(the_management_api_takes_little),
	    cmocka_unit_test(limits_have_their_codes),
	    cmocka_unit_test(body_memory_is_shared),
	    cmocka_unit_test(expect_continue_asks_for_the_body),
	    cmocka_unit_test(http10_closes_unless_asked),
	    cmocka_unit_test(client_that_leaves_cancels),
	    cmocka_unit_test(client_that_leaves_behind_a_backlog_cancels),
	    cmocka_unit_test(clients_may_leave_at_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
