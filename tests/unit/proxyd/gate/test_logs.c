/* The two routes of the logs: who may ask, what is asked, what is refused before it is asked. */
#include "tests/unit/proxyd/asker.h"

#include <stdio.h>
#include <stdlib.h>

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
	asker_close(&a);
	return 0;
}

static bool from_afar; /* the next clients */

static int send_get(const char *path)
{
	char request[1024];
	int n =
	    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	struct bf_addr afar;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	assert_int_equal(bf_addr_parse(BF_SLICE_LIT("192.0.2.1:1"), &afar, NULL), 0);
	assert_int_equal(front_take(&a.h.f, pair[1], from_afar ? &afar : NULL), 0);
	harness_send(&a.h, pair[0], request, (size_t)n);
	harness_turns(&a.h, 5);
	return pair[0];
}

static void leave(int fd)
{
	(void)close(fd);
	harness_turns(&a.h, 8);
}

static struct bf_msg_logs_query *asked(const char *path, struct bf_arena *arena)
{
	static struct bf_msg_logs_query q;
	int fd = send_get(path);
	struct bf_frame f;

	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(bf_msg_decode(f.type, f.body, &q, arena, NULL), 0);
	asker_answer(&a, f.request, "{}", 2);
	(void)harness_read(&a.h, fd, answer, sizeof(answer), NULL, NULL);
	assert_int_equal(strncmp(answer, "HTTP/1.1 200 ", 13), 0);
	assert_non_null(strstr(answer, "application/json"));
	leave(fd);
	return &q;
}

static void refused(const char *path, const char *start, const char *part)
{
	int fd = send_get(path);
	struct bf_frame f;

	(void)harness_read(&a.h, fd, answer, sizeof(answer), NULL, NULL);
	if (strncmp(answer, start, strlen(start)) != 0 || !strstr(answer, part))
		fail_msg("%s: %s", path, answer);
	assert_int_equal(asker_get(&a, &f), BF_E_TIMEOUT);
	leave(fd);
}

static void what_is_asked(void **state)
{
	struct bf_msg_logs_query *q;
	struct bf_arena arena;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	q = asked("/api/logs?limit=3&providers=mock&min_cost=0.1", &arena);
	assert_int_equal(q->limit, 3);
	assert_int_equal(q->providers.count, 1);
	assert_int_equal(q->min_cost_nusd, 100000000);
	assert_int_equal(q->max_cost_nusd, BF_LOGS_ANY);
	assert_int_equal(q->id.len, 0);
	q = asked("/api/logs/01890000-0000-7000-8000-00000000ABCD", &arena);
	assert_true(bf_slice_is(q->id, "01890000-0000-7000-8000-00000000abcd"));
	q = asked("/api/logs/of+mine%2F1", &arena);
	assert_true(bf_slice_is(q->id, "of+mine/1"));
	bf_arena_done(&arena);
}

static void what_is_refused(void **state)
{
	(void)state;
	refused("/api/logs?limit=0", "HTTP/1.1 400 ", "limit: must be");
	refused("/api/logs?nonsense=1", "HTTP/1.1 400 ", "nonsense: no such parameter");
	refused("/api/logs/a%20b", "HTTP/1.1 404 ", "not_found");
	refused("/api/logs/", "HTTP/1.1 404 ", "");
	refused("/api/logs/01890000-0000-7000-8000-00000000abcd?limit=1", "HTTP/1.1 400 ",
		"takes no parameters");
	refused("/api/logs/01890000-0000-7000-8000-00000000abcd/x", "HTTP/1.1 404 ", "");
}

static void sums(void **state)
{
	static const char *const answers[] = {
	    "{\"logs\":[{\"id\":\"a\"}],\"stats\":{\"total_requests\":8},\"has_logs\":true}", "{}",
	    "{\"stats\":"};
	struct bf_msg_logs_query q;
	struct bf_arena arena;
	struct bf_frame f;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < BF_ARRAY_LEN(answers); i++) {
		int fd = send_get("/api/logs/stats?providers=mock");

		assert_int_equal(asker_get(&a, &f), 0);
		assert_int_equal(bf_msg_decode(f.type, f.body, &q, &arena, NULL), 0);
		assert_int_equal(q.limit, 1);
		assert_int_equal(q.providers.count, 1);
		assert_int_equal(q.id.len, 0);
		asker_answer(&a, f.request, answers[i], strlen(answers[i]));
		(void)harness_read(&a.h, fd, answer, sizeof(answer), NULL, NULL);
		assert_int_equal(strncmp(answer, i ? "HTTP/1.1 503 " : "HTTP/1.1 200 ", 13), 0);
		assert_int_equal(i == 0, strstr(answer, "\r\n\r\n{\"total_requests\":8}") != NULL);
		leave(fd);
	}
	refused("/api/logs/stats?nonsense=1", "HTTP/1.1 400 ", "nonsense: no such parameter");
	bf_arena_done(&arena);
}

static void only_for_this_machine(void **state)
{
	(void)state;
	from_afar = true;
	refused("/api/logs", "HTTP/1.1 403 ", "loopback_only");
	refused("/api/logs/01890000-0000-7000-8000-00000000abcd", "HTTP/1.1 403 ", "ssh -L");
	from_afar = false;
}

static void without_anybody_to_ask(void **state)
{
	(void)state;
	a.h.w.asks = NULL;
	refused("/api/logs", "HTTP/1.1 503 ", "logs_unavailable");
	assert_non_null(strstr(answer, "Retry-After: 1"));
	a.h.w.asks = &a.table;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_is_asked),         TEST(what_is_refused),        TEST(sums),
	    TEST(only_for_this_machine), TEST(without_anybody_to_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
