/* What an exchange knows of its header section: copies, in order, whatever becomes of the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxyd/front/conn.h"
#include "tests/unit/proxyd/harness.h"

static char answer[1 << 16];

/* The newest connection, whose request waits for its body. */
static struct exchange *reading(struct harness *h, int fd, const char *head)
{
	harness_send(h, fd, head, strlen(head));
	harness_turns(h, 2);
	struct conn *c = BF_CONTAINER_OF(h->f.conns.prev, struct conn, node);
	assert_int_equal(c->state, CONN_BODY);
	assert_non_null(c->x);
	return c->x;
}

static void leave(struct harness *h, int fd)
{
	(void)close(fd);
	harness_turns(h, 4);
	assert_int_equal(h->f.conn_count, 0);
}

static void expect(const struct exchange *x, uint32_t at, const char *name, const char *value)
{
	assert_true(at < x->header_count);
	if (!bf_slice_is(x->headers[at].name, name) || !bf_slice_is(x->headers[at].value, value))
		fail_msg("%u: %.*s: %.*s", at, BF_SLICE_FMT(x->headers[at].name),
			 BF_SLICE_FMT(x->headers[at].value));
}

static void headers_are_copies(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	struct exchange *x = reading(
	    &h, fd,
	    "POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: a\r\nX-Request-Id: r1\r\n"
	    "Empty:\r\nspaced:  \t v w \t\r\nAUTHORIZATION: Bearer x\r\nauthorization: second\r\n"
	    "Content-Length: 9\r\n\r\n");
	memset(h.f.scratch, 'x', FRONT_READ_BYTES);
	memset(&h.f.table, 0, sizeof(h.f.table));
	assert_int_equal(x->header_count, 7);
	expect(x, 0, "Host", "a");
	expect(x, 1, "X-Request-Id", "r1");
	expect(x, 2, "Empty", "");
	expect(x, 3, "spaced", "v w");
	expect(x, 6, "Content-Length", "9");
	assert_true(bf_slice_is(x->path, "/v1/chat/completions"));
	assert_true(bf_slice_is(x->query, "a=b"));
	assert_true(bf_slice_is(x->request_id, "r1"));
	/* The first of a name, whatever its case. */
	assert_true(bf_slice_is(exchange_header(x, "authorization"), "Bearer x"));
	assert_null(exchange_header(x, "authorizatio").ptr);
	assert_null(exchange_header(x, "nothing").ptr);
	assert_true(x->from_loopback);
	leave(&h, fd);
	harness_close(&h);
}

static void constants_stay_constants(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	struct exchange *x =
	    reading(&h, fd, "POST http://host?q HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
	assert_true(bf_slice_is(x->path, "/"));
	assert_true(bf_slice_is(x->query, "q"));
	leave(&h, fd);
	harness_close(&h);
}

static void traces_go_on(void **state)
{
	struct harness h;
	char first[56];

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	struct exchange *x =
	    reading(&h, fd,
		    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\ntracestate: a=1\r\n"
		    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
		    "tracestate: b=2\r\n\r\n");
	assert_memory_equal(x->traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-", 36);
	assert_int_not_equal(memcmp(x->traceparent + 36, "00f067aa0ba902b7", 16), 0);
	assert_string_equal(x->traceparent + 52, "-01");
	assert_true(bf_slice_is(x->tracestate, "a=1,b=2"));
	(void)memcpy(first, x->traceparent, sizeof(first));
	leave(&h, fd);
	fd = harness_client(&h);
	x = reading(&h, fd,
		    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\ntracestate: a=1\r\n\r\n");
	assert_int_equal(strlen(x->traceparent), 55);
	assert_string_not_equal(x->traceparent, first);
	assert_int_equal(x->tracestate.len, 0);
	leave(&h, fd);
	harness_close(&h);
}

static void count_is_bounded(void **state)
{
	static char request[16384];
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (unsigned more = 0; more < 2; more++) {
		size_t n =
		    (size_t)snprintf(request, sizeof(request), "GET /live HTTP/1.1\r\nHost: a\r\n");
		for (unsigned i = 1; i < EXCHANGE_HEADERS_MAX + more; i++)
			n += (size_t)snprintf(request + n, sizeof(request) - n, "h%u: v\r\n", i);
		(void)snprintf(request + n, sizeof(request) - n, "\r\n");
		int fd = harness_client(&h);
		(void)harness_ask(&h, fd, request, answer, sizeof(answer));
		assert_memory_equal(answer, more ? "HTTP/1.1 431 " : "HTTP/1.1 200 ", 13);
		(void)close(fd);
		harness_turns(&h, 4);
	}
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(headers_are_copies),
	    cmocka_unit_test(constants_stay_constants),
	    cmocka_unit_test(traces_go_on),
	    cmocka_unit_test(count_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
