/* Answers under short writes and back-pressure: nothing lost, nothing unbounded, rows before last
 * bytes. */
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
#include "proxyd/front/conn.h"
#include "tests/unit/proxyd/harness.h"

/* What one more event may add beyond the mark. */
#define RESPOND_TEST_SLACK 1024u

static char answer[16 << 20];
static char body[256];

static void long_reply(struct bf_config *config)
{
	static char reply[400 * 1024];

	for (size_t i = 0; i < sizeof(reply); i++)
		reply[i] = i % 8 == 7 ? ' ' : (char)('a' + i / 8 % 26);
	harness_mock(config)->mock_config.reply = (struct bf_slice){reply, sizeof(reply)};
}

/* Without the log's copy the budget holds unsent bytes alone. */
static void long_reply_unlogged(struct bf_config *config)
{
	long_reply(config);
	config->client.disable_content_logging = true;
}

static const char *chat(bool stream)
{
	(void)snprintf(body, sizeof(body),
		       "{\"model\":\"mock/"
		       "m\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
		       stream ? "true" : "false");
	return harness_chat(body);
}

/* A client whose buffers hold next to nothing. */
static int tiny_client(struct harness *h)
{
	int fd = harness_client(h), size = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	struct conn *c = BF_CONTAINER_OF(h->f.conns.prev, struct conn, node);
	assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	return fd;
}

/* Content of all chunks, joined; asserts that the framing is right and complete. */
static size_t unchunk(char *text)
{
	char *from = strstr(text, "\r\n\r\n"), *to = text;

	assert_non_null(from);
	from += 4;
	for (;;) {
		char *end;
		size_t n = strtoul(from, &end, 16);
		assert_memory_equal(end, "\r\n", 2);
		from = end + 2;
		if (n == 0)
			break;
		memmove(to, from, n);
		to += n;
		from += n;
		assert_memory_equal(from, "\r\n", 2);
		from += 2;
	}
	assert_string_equal(from, "\r\n");
	*to = '\0';
	return (size_t)(to - text);
}

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

static void whole_answer_over_short_writes(void **state)
{
	struct shm_usage_record row;
	struct harness h;

	(void)state;
	harness_open(&h, long_reply);
	int fd = tiny_client(&h);
	const char *request = chat(false);
	harness_send(&h, fd, request, strlen(request));
	harness_turns(&h, 2);
	/* The row is there although most of the answer is not even with the kernel. */
	assert_true(h.w.answer_bytes > 100 * 1024);
	assert_int_equal(harness_rows(&h, &row, 1), 1);
	assert_int_equal(row.status, SHM_USAGE_SUCCESS);
	size_t len = harness_ask(&h, fd, "", answer, sizeof(answer));
	assert_true(len > 400 * 1024);
	assert_non_null(
	    strstr(answer, "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,"));
	assert_int_equal(h.w.answer_bytes, 0);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void stream_over_short_writes_is_whole(void **state)
{
	struct shm_usage_record row;
	struct harness h;

	(void)state;
	harness_open(&h, long_reply_unlogged);
	int fd = tiny_client(&h);
	const char *request = chat(true);
	harness_send(&h, fd, request, strlen(request));
	harness_turns(&h, 50);
	/* The provider is held back: unsent bytes stay near the mark, and nothing is recorded yet.
	 */
	assert_true(h.w.answer_bytes > CONN_STREAM_LOW);
	assert_true(h.w.answer_bytes < CONN_STREAM_HIGH + RESPOND_TEST_SLACK);
	assert_int_equal(harness_rows(&h, &row, 1), 0);
	assert_int_equal(h.w.inflight, 1);
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	assert_int_equal(harness_rows(&h, &row, 1), 1);
	assert_int_equal(row.completion_tokens, 400 * 1024 / 8);
	assert_true(row.flags & SHM_USAGE_STREAM);
	(void)unchunk(answer);
	assert_int_equal(count(answer, "data: {"), 400 * 1024 / 8 + 2);
	assert_int_equal(count(answer, "data: [DONE]\n\n"), 1);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void unread_answers_time_out(void **state)
{
	struct shm_usage_record row;
	struct harness h;

	(void)state;
	harness_clock(true);
	harness_open(&h, long_reply);
	for (int stream = 0; stream < 2; stream++) {
		int fd = tiny_client(&h);
		const char *request = chat(stream);
		harness_send(&h, fd, request, strlen(request));
		harness_turns(&h, 4);
		harness_tick(h.config.server.write_timeout_ms - 1);
		front_sweep(&h.f, bf_mono_ms());
		assert_int_equal(h.f.conn_count, 1);
		harness_tick(1);
		front_sweep(&h.f, bf_mono_ms());
		harness_turns(&h, 2);
		assert_int_equal(h.f.conn_count, 0);
		assert_int_equal(h.w.answer_bytes, 0);
		assert_int_equal(harness_rows(&h, &row, 1), 1);
		/* The plain answer was complete; the stream was cut off. */
		assert_int_equal(row.status, stream ? SHM_USAGE_ERROR : SHM_USAGE_SUCCESS);
		(void)close(fd);
	}
	harness_close(&h);
	harness_clock(false);
}

static void client_gone_in_mid_stream(void **state)
{
	struct shm_usage_record row;
	struct harness h;

	(void)state;
	harness_open(&h, long_reply);
	int fd = tiny_client(&h);
	const char *request = chat(true);
	harness_send(&h, fd, request, strlen(request));
	harness_turns(&h, 10);
	(void)close(fd);
	harness_turns(&h, 10);
	assert_int_equal(h.f.conn_count, 0);
	assert_int_equal(harness_rows(&h, &row, 1), 1);
	assert_true(row.flags & SHM_USAGE_CLIENT_GONE);
	assert_int_equal(row.http_status, 200);
	assert_true(row.completion_tokens > 0 && row.completion_tokens < 400 * 1024 / 8);
	harness_close(&h);
}

static void little_memory(struct bf_config *config)
{
	long_reply(config);
	config->server.body_memory_bytes = 450 * 1024;
}

/* Many slow readers together stay within the budget; who does not fit is told so or cut off, and
 * has a row. */
static void slow_readers_share_a_budget(void **state)
{
	struct shm_usage_record rows[8];
	struct harness h;
	int fds[4];

	(void)state;
	harness_open(&h, little_memory);
	for (int i = 0; i < 4; i++) {
		const char *request = chat(false);
		fds[i] = tiny_client(&h);
		harness_send(&h, fds[i], request, strlen(request));
		harness_turns(&h, 4);
		assert_true(h.w.answer_bytes <= h.config.server.body_memory_bytes);
	}
	assert_int_equal(harness_rows(&h, rows, 8), 4);
	assert_int_equal(rows[0].status, SHM_USAGE_SUCCESS);
	for (int i = 1; i < 4; i++) {
		assert_int_equal(rows[i].status, SHM_USAGE_ERROR);
		assert_string_equal(rows[i].error_type, "answer_memory_full");
	}
	for (int i = 0; i < 4; i++)
		(void)close(fds[i]);
	harness_turns(&h, 6);
	harness_close(&h);
}

static void http10_streams_end_with_the_connection(void **state)
{
	struct harness h;
	bool closed;
	char request[512];

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	(void)chat(true);
	(void)snprintf(request, sizeof(request),
		       "POST /v1/chat/completions HTTP/1.0\r\nConnection: "
		       "keep-alive\r\nContent-Length: %zu\r\n\r\n%s",
		       strlen(body), body);
	harness_send(&h, fd, request, strlen(request));
	(void)harness_read(&h, fd, answer, sizeof(answer), NULL, &closed);
	assert_true(closed);
	assert_null(strstr(answer, "Transfer-Encoding"));
	assert_non_null(strstr(answer, "Connection: close\r\n"));
	const char *end = strstr(answer, "data: [DONE]\n\n");
	assert_non_null(end);
	assert_int_equal(end[14], '\0');
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

/* A stream's events that come together leave in one chunk sequence and one write: one turn suffices
 * for all. */
static void keep_alive_after_a_stream(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	for (int i = 0; i < 3; i++) {
		const char *request = chat(true);
		harness_send(&h, fd, request, strlen(request));
		(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
		assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
		(void)unchunk(answer);
		assert_int_equal(count(answer, "data: [DONE]\n\n"), 1);
	}
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole_answer_over_short_writes),
	    cmocka_unit_test(stream_over_short_writes_is_whole),
	    cmocka_unit_test(unread_answers_time_out),
	    cmocka_unit_test(client_gone_in_mid_stream),
	    cmocka_unit_test(slow_readers_share_a_budget),
	    cmocka_unit_test(http10_streams_end_with_the_connection),
	    cmocka_unit_test(keep_alive_after_a_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
