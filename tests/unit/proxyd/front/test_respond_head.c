/* Head sections of answers: ids, traces, relayed lines of any size over sockets of any size. */
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

#include "proxyd/front/conn.h"
#include "proxyd/front/respond_head.h"
#include "tests/unit/proxyd/harness.h"

static char answer[1 << 20], expected[1 << 20];

static struct conn *newest(struct harness *h)
{
	return BF_CONTAINER_OF(h->f.conns.prev, struct conn, node);
}

/* A request that waits for its body, so that the test can answer it. */
static struct exchange *waiting(struct harness *h, int fd, const char *more)
{
	char head[1024];

	(void)snprintf(
	    head, sizeof(head),
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n%s\r\n", more);
	harness_send(h, fd, head, strlen(head));
	harness_turns(h, 2);
	return newest(h)->x;
}

static const char *value_of(const char *name, char out[256])
{
	char line[64];

	(void)snprintf(line, sizeof(line), "\r\n%s: ", name);
	const char *at = strstr(answer, line);
	assert_non_null(at);
	at += strlen(line);
	size_t len = BF_MIN(strcspn(at, "\r"), (size_t)255);
	memcpy(out, at, len);
	out[len] = '\0';
	assert_null(strstr(at, line));
	return out;
}

static struct bf_slice filled(char *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (char)('a' + i % 26);
	return (struct bf_slice){to, len};
}

/* Lines of a provider, from none to more than any buffer of ours. */
static void relayed_lines_arrive_whole(void **state)
{
	static const size_t sizes[] = {0, 1, 200, RESPOND_HEAD_MAX, 8192, 60000};
	static char lines[65536], body[100000];
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < 2 * BF_ARRAY_LEN(sizes); i++) {
		size_t len = sizes[i / 2];
		int fd = harness_client(&h), small = 1;
		struct exchange *x = waiting(&h, fd, "");
		if (i % 2) {
			struct conn *c = newest(&h);
			(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		}
		if (len) {
			size_t n = (size_t)snprintf(lines, sizeof(lines), "X-Up: ");
			(void)filled(lines + n, len);
			(void)snprintf(lines + n + len, sizeof(lines) - n - len, "\r\n");
			x->answer_head = bf_slice_from(lines);
		}
		exchange_set_state(x, EXCHANGE_DONE);
		x->out->answer(x, 200, BF_SLICE_LIT("text/plain"), filled(body, sizeof(body)));
		size_t got = harness_ask(&h, fd, "", answer, sizeof(answer));
		const char *end = strstr(answer, "\r\n\r\n");
		assert_non_null(end);
		assert_int_equal(got - (size_t)(end + 4 - answer), sizeof(body));
		assert_memory_equal(end + 4, body, sizeof(body));
		if (len) {
			(void)snprintf(expected, sizeof(expected), "\r\n%s\r\n", lines);
			assert_non_null(strstr(answer, expected));
		}
		(void)close(fd);
		harness_turns(&h, 4);
	}
	harness_close(&h);
}

static void relayed_lines_of_streams(void **state)
{
	static char lines[8192];
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	struct exchange *x = waiting(&h, fd, "");
	memset(lines, 'x', 7000);
	memcpy(lines, "X-Up: ", 6);
	memcpy(lines + 7000, "\r\n", 2);
	x->answer_head = bf_slice_from(lines);
	conn_set_state(newest(&h), CONN_BUSY);
	x->out->stream_start(x);
	x->out->stream_event(x, BF_SLICE_LIT("data: 0123456789abcdef\n\n"));
	x->out->stream_event(x, BF_SLICE_LIT(""));
	exchange_set_state(x, EXCHANGE_DONE);
	x->out->stream_end(x);
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	assert_non_null(strstr(answer, lines));
	assert_non_null(strstr(answer, "\r\n\r\n18\r\ndata: 0123456789abcdef\n\n\r\n0\r\n\r\n"));
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void ids_and_traces(void **state)
{
	static const struct bf_uuid id = {{1, 2, 3}}, first = {{4, 5, 6}};
	struct bf_uuid parsed;
	char value[256], other[256];
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (int i = 0; i < 4; i++) {
		int fd = harness_client(&h);
		struct exchange *x = waiting(&h, fd, i == 0 ? "X-Request-Id: mine\r\n" : "");
		x->id = i < 3 ? id : (struct bf_uuid){{0}};
		x->first_id = i < 2 ? first : (struct bf_uuid){{0}};
		(void)snprintf(expected, sizeof(expected), "%s", x->traceparent);
		exchange_set_state(x, EXCHANGE_DONE);
		x->out->answer(x, 200, BF_SLICE_LIT("text/plain"), BF_SLICE_LIT("x"));
		(void)harness_ask(&h, fd, "", answer, sizeof(answer));
		assert_string_equal(value_of("traceparent", value), expected);
		(void)value_of("X-Request-Id", value);
		if (i == 0)
			assert_string_equal(value, "mine");
		else if (i == 1)
			assert_string_equal(value, "04050600-0000-0000-0000-000000000000");
		else if (i == 2)
			assert_string_equal(value, "01020300-0000-0000-0000-000000000000");
		else
			assert_int_equal(bf_uuid_parse(value, strlen(value), &parsed), 0);
		(void)close(fd);
		harness_turns(&h, 4);
	}
	/* A request that could not be read has one to ask about, too. */
	int fd = harness_client(&h);
	(void)harness_ask(&h, fd, "nonsense\r\n\r\n", answer, sizeof(answer));
	(void)value_of("X-Request-Id", other);
	assert_string_not_equal(value, other);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void begins_with(struct respond_head *h, struct conn *c, int http_status, const char *line)
{
	respond_head_begin(h, c, http_status, BF_SLICE_LIT("text/plain"));
	assert_true(bf_slice_starts(respond_head_slice(h), bf_slice_from(line)));
}

static void status_lines_are_whole(void **state)
{
	static struct respond_head head;
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	struct exchange *x = waiting(&h, fd, "");
	struct conn *c = newest(&h);
	begins_with(&head, c, 200, "HTTP/1.1 200 OK\r\nDate: ");
	begins_with(&head, c, 431, "HTTP/1.1 431 Request Header Fields Too Large\r\nDate: ");
	begins_with(&head, c, 599, "HTTP/1.1 599 Status\r\nDate: ");
	begins_with(&head, c, 7, "HTTP/1.1 007 Status\r\nDate: ");
	assert_ptr_equal(c->x, x);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void lines_that_do_not_fit_are_left_out(void **state)
{
	static struct respond_head h;
	static char value[RESPOND_HEAD_MAX];

	(void)state;
	(void)filled(value, sizeof(value));
	for (size_t len = sizeof(h.text) - 20; len < sizeof(h.text); len++) {
		h.len = 0;
		respond_head_line(&h, BF_SLICE_LIT("A: "), (struct bf_slice){value, len});
		assert_int_equal(h.len, len + 5 <= sizeof(h.text) ? len + 5 : 0);
		size_t before = h.len;
		respond_head_number(&h, BF_SLICE_LIT("B: "), UINT64_MAX);
		assert_true(h.len == before || h.len == before + 25);
	}
	h.len = 0;
	respond_head_number(&h, BF_SLICE_LIT("B: "), UINT64_MAX);
	respond_head_number(&h, BF_SLICE_LIT("C: "), 0);
	assert_memory_equal(h.text, "B: 18446744073709551615\r\nC: 0\r\n", h.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(relayed_lines_arrive_whole),
	    cmocka_unit_test(relayed_lines_of_streams),
	    cmocka_unit_test(ids_and_traces),
	    cmocka_unit_test(lines_that_do_not_fit_are_left_out),
	    cmocka_unit_test(status_lines_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
