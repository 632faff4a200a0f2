/* Admission while meters are busy: tried again, given up, and left alone. */
#include "proxyd/front/conn.h"
#include "shm/layout.h"
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[8];

/* As if writerd had stopped in the middle of a change. */
static struct shm_meter *busy_meter(void)
{
	const struct bf_limit *limit = &h.w.governance->plan.limits[0];
	struct shm_meter *m = &h.seg.map->meters[shm_meter_find(&h.seg, limit->identity)];

	assert_int_equal(m->config & 1, 0);
	m->config++;
	return m;
}

static int begin(bool stream, const char *more)
{
	static const int steps[] = {200, 200};

	script = steps;
	int fd = send_request(KEY_A, stream, more);
	harness_turns(&h, 4);
	assert_string_equal(asked, "");
	assert_int_equal(h.w.inflight, 0);
	assert_true(metric(SHM_M_LIMIT_BUSY) > 0);
	return fd;
}

static void busy_meters_are_tried_again(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	struct shm_meter *m = busy_meter();
	int fd = begin(false, "");
	m->config++;
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has(" 200 ");
	has("x-ratelimit-remaining-requests: 4\r\n");
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].fallback_index, 0);
}

static void and_then_given_up(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	struct shm_meter *m = busy_meter();
	int64_t begun_ms = bf_mono_ms();
	int fd = begin(false, FALLBACKS);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has(" 503 ");
	has("\"type\":\"limits_busy\"");
	has("Retry-After: 1\r\n");
	assert_true(bf_mono_ms() - begun_ms >= 49);
	assert_string_equal(asked, "");
	assert_int_equal(metric(SHM_M_LIMIT_TOO_BUSY), 1);
	m->config++;
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(leave_governed(fd, rows, 8), 0);
}

static void who_waits_may_leave(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	struct shm_meter *m = busy_meter();
	int fd = begin(false, "");
	(void)close(fd);
	harness_turns(&h, 8);
	m->config++;
	harness_turns(&h, 8);
	assert_string_equal(asked, "");
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
}

static void a_worker_that_leaves_tells_who_waits(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	struct shm_meter *m = busy_meter();
	int fd = begin(true, "");
	conn_leave(BF_CONTAINER_OF(h.f.conns.next, struct conn, node));
	(void)harness_read(&h, fd, answer, sizeof(answer), NULL, NULL);
	has(" 503 ");
	has("worker_stopped");
	m->config++;
	assert_int_equal(leave_governed(fd, rows, 8), 0);
}

/* The primary failed; its fallback finds the meters busy. */
static void fallbacks_wait_too(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	script = STEPS(HOLD, 200);
	int fd = send_request(KEY_A, false, FALLBACKS);
	harness_turns(&h, 4);
	struct shm_meter *m = busy_meter();
	act(held, 500);
	harness_turns(&h, 4);
	assert_string_equal(asked, "mock/k1 ");
	m->config++;
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has(" 200 ");
	assert_string_equal(asked, "mock/k1 second/k1 ");
	assert_int_equal(leave_governed(fd, rows, 8), 2);
	assert_int_equal(rows[1].fallback_index, 1);
	assert_string_not_equal(rows[1].parent_id, "");
}

static void and_end_with_the_primarys_error(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, false, FALLBACKS);
	harness_turns(&h, 4);
	struct shm_meter *m = busy_meter();
	act(held, 500);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has(" 500 ");
	has("mock says 500");
	m->config++;
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(busy_meters_are_tried_again),
	    cmocka_unit_test(and_then_given_up),
	    cmocka_unit_test(who_waits_may_leave),
	    cmocka_unit_test(a_worker_that_leaves_tells_who_waits),
	    cmocka_unit_test(fallbacks_wait_too),
	    cmocka_unit_test(and_end_with_the_primarys_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
