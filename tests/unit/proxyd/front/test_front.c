/* The front as a whole: timeouts, lingering, drain, stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "proxyd/front/conn.h"
#include "tests/unit/proxyd/harness.h"

#define LIVE "GET /live HTTP/1.1\r\nHost: a\r\n\r\n"
#define CHAT \
	"{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\",\"content\":\"one two three\"}]}"

static char answer[1 << 16];

static void leave(struct harness *h, int fd)
{
	(void)close(fd);
	harness_turns(h, 4);
	assert_int_equal(h->f.conn_count, 0);
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

static void timeouts_by_state(void **state)
{
	static const char head[] =
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nabc";
	struct harness h;
	bool closed;

	(void)state;
	harness_clock(true);
	harness_open(&h, NULL);
	const struct bf_conf_server *s = &h.config.server;

	int idle = harness_client(&h);
	harness_tick(s->idle_timeout_ms - 1);
	front_sweep(&h.f, bf_mono_ms());
	assert_int_equal(h.f.conn_count, 1);
	harness_tick(1);
	front_sweep(&h.f, bf_mono_ms());
	assert_int_equal(harness_read(&h, idle, answer, sizeof(answer), NULL, &closed), 0);
	assert_true(closed);
	leave(&h, idle);

	/* The header section has one deadline: bytes that trickle in do not move it. */
	int slow = harness_client(&h);
	for (int i = 0; i < 10; i++) {
		harness_send(&h, slow, head + i, 1);
		harness_tick(s->header_timeout_ms / 10);
		front_sweep(&h.f, bf_mono_ms());
	}
	(void)harness_read(&h, slow, answer, sizeof(answer), NULL, &closed);
	assert_memory_equal(answer, "HTTP/1.1 408 Request Timeout\r\n", 30);
	assert_true(closed);
	leave(&h, slow);

	/* A body has one per pause. */
	int body = harness_client(&h);
	harness_send(&h, body, head, strlen(head));
	for (int i = 0; i < 3; i++) {
		harness_tick(s->body_timeout_ms - 1);
		front_sweep(&h.f, bf_mono_ms());
		harness_send(&h, body, "x", 1);
	}
	assert_int_equal(h.f.conn_count, 1);
	harness_tick(s->body_timeout_ms);
	front_sweep(&h.f, bf_mono_ms());
	(void)harness_read(&h, body, answer, sizeof(answer), NULL, &closed);
	assert_memory_equal(answer, "HTTP/1.1 408 ", 13);
	assert_true(closed);
	leave(&h, body);
	harness_close(&h);
	harness_clock(false);
}

/* However short its pauses, a body comes at a least rate: it is paid for in memory. */
static void bodies_that_drip(void **state)
{
	static const struct {
		const char *head, *piece;
	} ways[] = {
	    {"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n", "x"},
	    {"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
	     "1\r\nx\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(ways); i++) {
		struct harness h;
		bool closed = false;
		int64_t waited_ms = 0;

		harness_clock(true);
		harness_open(&h, NULL);
		const struct bf_conf_server *s = &h.config.server;
		int fd = harness_client(&h);
		harness_send(&h, fd, ways[i].head, strlen(ways[i].head));
		harness_turns(&h, 2);
		while (h.f.conn_count == 1 && waited_ms < 10 * s->body_timeout_ms) {
			harness_send(&h, fd, ways[i].piece, strlen(ways[i].piece));
			harness_turns(&h, 2);
			harness_tick(s->body_timeout_ms / 10);
			waited_ms += s->body_timeout_ms / 10;
			front_sweep(&h.f, bf_mono_ms());
			if (harness_read(&h, fd, answer, sizeof(answer), NULL, &closed))
				break;
		}
		assert_memory_equal(answer, "HTTP/1.1 408 ", 13);
		assert_non_null(strstr(answer, "1000 bytes a second"));
		assert_true(waited_ms >= s->body_timeout_ms);
		assert_true(waited_ms <= 2 * s->body_timeout_ms);
		leave(&h, fd);
		harness_close(&h);
		harness_clock(false);
	}
}

/* A client that got an error and does not close is not waited for. */
static void lingering_ends(void **state)
{
	struct harness h;
	bool closed;

	(void)state;
	harness_clock(true);
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	harness_send(&h, fd, "nonsense\r\n\r\n", 12);
	(void)harness_read(&h, fd, answer, sizeof(answer), NULL, &closed);
	assert_true(closed);
	assert_int_equal(h.f.conn_count, 1);
	for (int i = 0; i < 100; i++)
		harness_send(&h, fd, answer, 1000);
	harness_tick(CONN_LINGER_MS);
	front_sweep(&h.f, bf_mono_ms());
	harness_turns(&h, 2);
	assert_int_equal(h.f.conn_count, 0);
	(void)close(fd);
	harness_close(&h);
	harness_clock(false);
}

static unsigned drained;

static void on_drained(void *ctx)
{
	(void)ctx;
	drained++;
}

static void drain_closes_with_the_next_answer(void **state)
{
	struct harness h;
	bool closed;
	const char *request = harness_chat(CHAT);

	(void)state;
	drained = 0;
	harness_open(&h, slow_mock);
	int running = harness_client(&h);
	int idle = harness_client(&h);
	harness_send(&h, running, request, strlen(request));
	harness_turns(&h, 2);
	front_drain(&h.f, on_drained, NULL);
	/* The running request is answered; its answer says close. */
	(void)harness_read(&h, running, answer, sizeof(answer), NULL, &closed);
	for (int i = 0; i < 500 && !closed; i++) {
		size_t n = strlen(answer);
		(void)usleep(5000);
		(void)harness_read(&h, running, answer + n, sizeof(answer) - n, NULL, &closed);
	}
	assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
	assert_non_null(strstr(answer, "Connection: close\r\n"));
	assert_true(closed);
	assert_int_equal(drained, 0);
	/* So is the next one on an idle connection; then nothing is left. */
	harness_send(&h, idle, LIVE, strlen(LIVE));
	(void)harness_read(&h, idle, answer, sizeof(answer), NULL, &closed);
	assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
	assert_non_null(strstr(answer, "Connection: close\r\n"));
	assert_true(closed);
	harness_turns(&h, 2);
	assert_int_equal(drained, 1);
	(void)close(running);
	(void)close(idle);
	harness_close(&h);
}

static void drain_gives_idle_connections_a_grace(void **state)
{
	struct harness h;
	bool closed;

	(void)state;
	drained = 0;
	harness_clock(true);
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	front_drain(&h.f, on_drained, NULL);
	harness_turns(&h, 2);
	harness_tick(DRAIN_GRACE_MS - 1);
	harness_turns(&h, 2);
	assert_int_equal(drained, 0);
	harness_tick(1);
	harness_turns(&h, 2);
	assert_int_equal(drained, 1);
	assert_int_equal(harness_read(&h, fd, answer, sizeof(answer), NULL, &closed), 0);
	assert_true(closed);
	harness_turns(&h, 2);
	assert_int_equal(drained, 1);
	(void)close(fd);
	harness_close(&h);
	harness_clock(false);
}

static void drain_without_connections_is_done_at_once(void **state)
{
	struct harness h;

	(void)state;
	drained = 0;
	harness_open(&h, NULL);
	front_drain(&h.f, on_drained, NULL);
	harness_turns(&h, 1);
	assert_int_equal(drained, 1);
	harness_close(&h);
}

/* A worker that is stopped settles what runs. */
static void stop_writes_the_rows(void **state)
{
	struct shm_usage_record row;
	struct harness h;
	const char *request = harness_chat(CHAT);

	(void)state;
	harness_open(&h, endless_mock);
	int fd = harness_client(&h);
	harness_send(&h, fd, request, strlen(request));
	harness_turns(&h, 2);
	struct worker *w = &h.w;
	front_done(&h.f);
	assert_int_equal(w->inflight, 0);
	assert_int_equal(harness_rows(&h, &row, 1), 1);
	assert_string_equal(row.error_type, "worker_stopped");
	assert_false(row.flags & SHM_USAGE_CLIENT_GONE);
	(void)close(fd);
	harness_close(&h);
}

/* One that has not said all it wants is told to say it elsewhere; idle ones are just closed. */
static void stop_turns_half_requests_away(void **state)
{
	static const char *const halves[] = {
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{",
	    "POST /v1/chat/completions HTTP/1.1\r\nHos",
	    "",
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(halves); i++) {
		struct harness h;
		bool closed = false;

		harness_open(&h, NULL);
		int fd = harness_client(&h);
		harness_send(&h, fd, halves[i], strlen(halves[i]));
		harness_turns(&h, 2);
		front_done(&h.f);
		size_t n = harness_read(&h, fd, answer, sizeof(answer), NULL, &closed);
		assert_true(closed);
		if (i == 2)
			assert_int_equal(n, 0);
		else
			assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
		if (i == 0)
			assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
		(void)close(fd);
		harness_close(&h);
	}
}

static unsigned ticks;
static int64_t ticked_ms;

static void on_tick(struct exchange *x, int64_t now_ms)
{
	assert_int_equal(x->state, EXCHANGE_CALLING);
	ticked_ms = now_ms;
	ticks++;
}

/* Only exchanges that wait for their provider are asked. */
static void sweeps_tick(void **state)
{
	struct harness h;
	const char *request = harness_chat(CHAT);

	(void)state;
	ticks = 0;
	harness_open(&h, endless_mock);
	int idle = harness_client(&h);
	int running = harness_client(&h);
	harness_send(&h, running, request, strlen(request) - 1);
	struct conn *c = BF_CONTAINER_OF(h.f.conns.prev, struct conn, node);
	assert_int_equal(c->state, CONN_BODY);
	c->x->on_tick = on_tick;
	front_sweep(&h.f, bf_mono_ms());
	assert_int_equal(ticks, 0);
	harness_send(&h, running, request + strlen(request) - 1, 1);
	harness_turns(&h, 2);
	c->x->on_tick = on_tick;
	int64_t now_ms = bf_mono_ms();
	front_sweep(&h.f, now_ms);
	assert_int_equal(ticks, 1);
	assert_int_equal(ticked_ms, now_ms);
	c->x->on_tick = NULL;
	front_sweep(&h.f, bf_mono_ms());
	assert_int_equal(ticks, 1);
	assert_int_equal(h.f.conn_count, 2);
	(void)close(idle);
	leave(&h, running);
	harness_close(&h);
}

static int64_t date_mono_ms, date_wall_ms;

static int64_t date_mono_ns(void *ctx)
{
	(void)ctx;
	return date_mono_ms * 1000000;
}

static int64_t date_wall_ns(void *ctx)
{
	(void)ctx;
	return date_wall_ms * 1000000;
}

static void assert_date(struct front *f, int64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct bf_slice line = front_date_line(f);
	char expected[64];
	struct tm tm;

	assert_non_null(gmtime_r(&t, &tm));
	(void)strftime(expected, sizeof(expected), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
	if (!bf_slice_is(line, expected))
		fail_msg("%.*s is not %s", BF_SLICE_FMT(line), expected);
}

/* From one second, minute, day, year to the next, and when somebody sets the clock. */
static void dates_follow_the_clock(void **state)
{
	static const struct bf_clock_source source = {date_mono_ns, date_wall_ns, NULL};
	static const int64_t around_s[] = {0, 59, 784111777, 951782400, 951868800, 1767225600};
	static struct front f;

	(void)state;
	bf_clock_set_source(&source);
	date_mono_ms = 5000;
	for (size_t i = 0; i < BF_ARRAY_LEN(around_s); i++) {
		date_wall_ms = around_s[i] * 1000;
		date_mono_ms += 1000;
		for (int step = 0; step < 200; step++) {
			assert_date(&f, date_wall_ms);
			date_wall_ms += 1 + step * 7;
			date_mono_ms += 1 + step * 7;
		}
	}
	assert_date(&f, date_wall_ms);
	date_wall_ms -= 86400 * 3000;
	date_mono_ms += 1000;
	assert_date(&f, date_wall_ms);
	bf_clock_set_source(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(timeouts_by_state),
	    cmocka_unit_test(bodies_that_drip),
	    cmocka_unit_test(lingering_ends),
	    cmocka_unit_test(drain_closes_with_the_next_answer),
	    cmocka_unit_test(drain_gives_idle_connections_a_grace),
	    cmocka_unit_test(drain_without_connections_is_done_at_once),
	    cmocka_unit_test(stop_writes_the_rows),
	    cmocka_unit_test(stop_turns_half_requests_away),
	    cmocka_unit_test(sweeps_tick),
	    cmocka_unit_test(dates_follow_the_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
