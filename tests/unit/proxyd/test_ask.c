/* Questions of a worker: answered, timed out, cancelled, refused at the bound, and lied to. */
#include "tests/unit/proxyd/asker.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/ipc/deadlines.h"

static struct asker a;
static char answer[65536];

static int setup(void **state)
{
	(void)state;
	asker_open(&a);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	harness_clock(false);
	asker_close(&a);
	return 0;
}

/* A client that asks for the logs; its question is parked. */
static int asks(void)
{
	static const char request[] = "GET /api/logs HTTP/1.1\r\nHost: localhost\r\n\r\n";
	int fd = harness_client(&a.h);

	harness_send(&a.h, fd, request, sizeof(request) - 1);
	harness_turns(&a.h, 5);
	return fd;
}

static void leaves(int fd)
{
	(void)close(fd);
	harness_turns(&a.h, 8);
}

static void expect(int fd, const char *start, const char *part)
{
	(void)harness_read(&a.h, fd, answer, sizeof(answer), NULL, NULL);
	if (strncmp(answer, start, strlen(start)) != 0 || !strstr(answer, part))
		fail_msg("%s", answer);
}

static uint32_t next_request(void)
{
	struct bf_frame f;

	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(f.type, BF_MSG_LOGS_QUERY);
	assert_int_equal(f.source, ASKER_ME);
	assert_int_equal(f.target, ASKER_READER);
	assert_int_equal(bf_msg_permitted(&f, NULL), 0);
	return f.request;
}

static void answers_find_their_askers(void **state)
{
	int one = asks(), two = asks();
	uint32_t first = next_request(), second = next_request();

	(void)state;
	assert_int_not_equal(first, second);
	assert_int_equal(a.table.waiting, 2);
	assert_int_equal(asker_metric(&a, SHM_M_LOG_QUERIES_WAITING), 2);
	assert_int_equal(a.h.w.inflight, 0);
	asker_answer(&a, second, "{\"n\":2}", 7);
	asker_answer(&a, first, "{\"n\":1}", 7);
	expect(one, "HTTP/1.1 200 ", "{\"n\":1}");
	expect(two, "HTTP/1.1 200 ", "{\"n\":2}");
	assert_int_equal(a.table.waiting, 0);
	assert_int_equal(asker_metric(&a, SHM_M_LOG_QUERIES_WAITING), 0);
	assert_int_equal(asker_metric(&a, SHM_M_LOG_QUERIES), 2);
	assert_int_equal(asker_metric(&a, SHM_M_LOG_QUERY_ERRORS), 0);
	/* Said again: nobody waits for it. */
	asker_answer(&a, first, "{\"n\":3}", 7);
	asker_fail(&a, second, BF_E_STATE, "late");
	leaves(one);
	leaves(two);
}

static void a_large_answer(void **state)
{
	static char large[3 << 20];
	int fd = asks();

	(void)state;
	memset(large, 'x', sizeof(large));
	asker_answer(&a, next_request(), large, sizeof(large));
	size_t got = 0;
	char *piece = malloc(1 << 20);
	assert_non_null(piece);
	while (got < sizeof(large)) {
		size_t n = harness_read(&a.h, fd, piece, 1 << 20, NULL, NULL);

		if (n == 0)
			break;
		got += n;
	}
	free(piece);
	assert_true(got > sizeof(large) && got < sizeof(large) + 1024);
	leaves(fd);
}

static void nobody_answers(void **state)
{
	struct bf_frame f;
	uint32_t request;
	int fd;

	(void)state;
	harness_clock(true);
	fd = asks();
	request = next_request();
	harness_tick(BF_QUESTION_LIMIT_MS - 1);
	a.table.timer.repeat = 0.;
	ev_feed_event(a.h.loop, &a.table.timer, EV_TIMER);
	harness_turns(&a.h, 3);
	assert_int_equal(a.table.waiting, 1);
	harness_tick(1);
	ev_feed_event(a.h.loop, &a.table.timer, EV_TIMER);
	expect(fd, "HTTP/1.1 504 ", "logs_timeout");
	assert_int_equal(a.table.waiting, 0);
	assert_false(ev_is_active(&a.table.timer));
	assert_int_equal(asker_metric(&a, SHM_M_LOG_QUERY_ERRORS), 1);
	/* The reader is told. */
	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(f.flags, BF_FRAME_CANCEL);
	assert_int_equal(f.request, request);
	assert_int_equal(bf_msg_permitted(&f, NULL), 0);
	leaves(fd);
}

static int changes(void)
{
	static const char request[] =
	    "POST /api/governance/customers HTTP/1.1\r\nHost: localhost\r\n"
	    "Content-Length: 2\r\n\r\n{}";
	struct bf_frame f;
	int fd = harness_client(&a.h);

	harness_send(&a.h, fd, request, sizeof(request) - 1);
	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(f.type, BF_MSG_ENTITY_CHANGE);
	return fd;
}

/* A publish may take longer than the answer to a question; who asks later may have to be told
 * first. */
static void a_change_is_waited_for_longer(void **state)
{
	struct bf_frame f;
	int first, second;

	(void)state;
	harness_clock(true);
	first = changes();
	second = asks();
	(void)next_request();
	assert_true(ev_timer_remaining(a.h.loop, &a.table.timer) <= BF_QUESTION_LIMIT_MS / 1000.);
	harness_tick(BF_QUESTION_LIMIT_MS);
	ev_feed_event(a.h.loop, &a.table.timer, EV_TIMER);
	expect(second, "HTTP/1.1 504 ", "logs_timeout");
	assert_int_equal(a.table.waiting, 1);
	assert_int_equal(asker_get(&a, &f), 0);
	harness_tick(BF_CHANGE_LIMIT_MS - BF_QUESTION_LIMIT_MS);
	ev_feed_event(a.h.loop, &a.table.timer, EV_TIMER);
	expect(first, "HTTP/1.1 504 ", "within 40 s: the change may be done all the same");
	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(f.flags, BF_FRAME_CANCEL);
	leaves(first);
	leaves(second);
}

static void a_client_that_leaves(void **state)
{
	int one = asks(), two = asks();
	uint32_t first = next_request(), second = next_request();
	struct bf_frame f;

	(void)state;
	leaves(one);
	assert_int_equal(a.table.waiting, 1);
	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(f.flags, BF_FRAME_CANCEL);
	assert_int_equal(f.request, first);
	/* Its answer was on the way already. */
	asker_answer(&a, first, "{}", 2);
	asker_answer(&a, second, "{\"n\":2}", 7);
	expect(two, "HTTP/1.1 200 ", "{\"n\":2}");
	leaves(two);
}

static void the_bound(void **state)
{
	static int fds[ASK_MAX];
	int extra;

	(void)state;
	for (uint32_t i = 0; i < ASK_MAX; i++)
		fds[i] = asks();
	assert_int_equal(a.table.waiting, ASK_MAX);
	extra = asks();
	expect(extra, "HTTP/1.1 503 ", "logs_busy");
	assert_non_null(strstr(answer, "Retry-After: 1"));
	for (uint32_t i = 0; i < ASK_MAX; i++)
		asker_answer(&a, next_request(), "{}", 2);
	for (uint32_t i = 0; i < ASK_MAX; i++) {
		expect(fds[i], "HTTP/1.1 200 ", "{}");
		leaves(fds[i]);
	}
	leaves(extra);
	extra = asks();
	asker_answer(&a, next_request(), "{}", 2);
	expect(extra, "HTTP/1.1 200 ", "{}");
	leaves(extra);
}

static void answers_that_lie(void **state)
{
	struct bf_msg_logs_result m = {.size = 5};
	int fd, open_memfd = memfd_create("open", MFD_CLOEXEC);
	int short_one = bf_memfd_sealed("short", "abc", 3);
	int liars[] = {open_memfd, short_one, -1};
	int devnull[2];

	(void)state;
	assert_int_equal(write(open_memfd, "abcde", 5), 5);
	assert_int_equal(pipe(devnull), 0);
	liars[2] = devnull[0];
	for (size_t i = 0; i < BF_ARRAY_LEN(liars); i++) {
		fd = asks();
		asker_put(&a, BF_MSG_LOGS_RESULT, next_request(), 0, &m, liars[i]);
		expect(fd, "HTTP/1.1 503 ", "logs_unavailable");
		leaves(fd);
	}
	(void)close(open_memfd);
	(void)close(short_one);
	(void)close(devnull[0]);
	(void)close(devnull[1]);
}

static void errors_have_their_status(void **state)
{
	static const struct {
		int code;
		const char *start;
	} cases[] = {
	    {BF_E_UNKNOWN, "HTTP/1.1 404 "},
	    {BF_E_TIMEOUT, "HTTP/1.1 504 "},
	    {BF_E_LIMIT, "HTTP/1.1 400 "},
	    {BF_E_CLOSED, "HTTP/1.1 503 "},
	    {BF_E_CORRUPT, "HTTP/1.1 503 "},
	    {-5, "HTTP/1.1 503 "},
	    {0, "HTTP/1.1 503 "},
	    {1, "HTTP/1.1 503 "},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		int fd = asks();

		asker_fail(&a, next_request(), cases[i].code, "because \"of\" this");
		expect(fd, cases[i].start, "because \\\"of\\\" this");
		leaves(fd);
	}
}

/* A worker that leaves takes its questions with it. */
static void the_worker_leaves(void **state)
{
	int one = asks(), two = asks();

	(void)state;
	assert_int_equal(a.table.waiting, 2);
	front_done(&a.h.f);
	assert_int_equal(a.table.waiting, 0);
	assert_int_equal(front_init(&a.h.f, &a.h.w, NULL), 0);
	(void)close(one);
	(void)close(two);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(answers_find_their_askers),
	    TEST(a_large_answer),
	    TEST(nobody_answers),
	    TEST(a_change_is_waited_for_longer),
	    TEST(a_client_that_leaves),
	    TEST(the_bound),
	    TEST(answers_that_lie),
	    TEST(errors_have_their_status),
	    TEST(the_worker_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
