/* Limits of a stream that runs: more is reserved, what is used up ends it. */
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[8];

static int begin_stream(const char *more)
{
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, true, more);
	harness_turns(&h, 4);
	assert_non_null(held);
	held->sink->on_head(held, 200, true);
	return fd;
}

static bool event(void)
{
	return held->sink->on_body(held, BF_SLICE_LIT("data: {\"n\":1}\n\n"));
}

static void streams_extend_and_settle(void **state)
{
	static const struct exchange_outcome good = {.http_status = 200,
						     .tail = {"data: [DONE]\n\n", 14}};

	(void)state;
	governed(0, 100000, 0, 0);
	int fd = begin_stream("");
	int64_t reserved = counted(BF_QUANTITY_TOKENS);
	held->sink->on_usage(held, 20, 3000, 0);
	assert_true(event());
	assert_int_equal(counted(BF_QUANTITY_TOKENS), reserved);
	held->sink->on_usage(held, 20, 3073, 0);
	assert_int_equal(counted(BF_QUANTITY_TOKENS), reserved + 6146);
	assert_true(event());
	held->sink->on_done(held, &good);
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	has("x-ratelimit-limit-tokens: 100000\r\n");
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 3093);
	assert_int_equal(metric(SHM_M_LIMIT_EXTENSIONS), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].tokens_charged, 3093);
}

static void a_used_up_limit_ends_a_stream(void **state)
{
	(void)state;
	governed(3, 1000, 1, 0);
	int fd = begin_stream("");
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 1000);
	/* Nothing more to be had at three quarters, and yet the rest may be used. */
	held->sink->on_usage(held, 20, 800, 0);
	assert_true(event());
	held->sink->on_usage(held, 20, 990, 0);
	assert_false(event());
	assert_int_equal(cancelled, 1);
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	has("\"type\":\"token_limited\"");
	assert_null(strstr(answer, "[DONE]"));
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 1010);
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(counted(BF_QUANTITY_CONCURRENT), 0);
	assert_int_equal(metric(SHM_M_LIMIT_CUT), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_string_equal(rows[0].error_type, "token_limited");
	assert_true(rows[0].flags & SHM_USAGE_TRUNCATED);
	assert_int_equal(rows[0].tokens_charged, 1010);
}

static void a_clients_maximum_is_believed(void **state)
{
	(void)state;
	governed(0, 0, 0, 400);
	int fd = begin_stream(",\"max_tokens\":100");
	int64_t reserved = counted(BF_QUANTITY_NUSD);
	held->sink->on_usage(held, 20, 100, 0);
	assert_true(event());
	assert_int_equal(counted(BF_QUANTITY_NUSD), reserved);
	held->sink->on_usage(held, 20, 101, 0);
	assert_false(event());
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	has("\"type\":\"budget_exceeded\"");
	assert_int_equal(counted(BF_QUANTITY_NUSD), 222);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].cost_nusd, 222);
}

static void the_end_of_an_answer_is_not_cut(void **state)
{
	static const struct exchange_outcome good = {.http_status = 200,
						     .tail = {"data: [DONE]\n\n", 14}};

	(void)state;
	governed(0, 1000, 0, 0);
	int fd = begin_stream("");
	memcpy(held->record.stop_reason, "stop", 4);
	held->sink->on_usage(held, 500, 5000, 0);
	assert_true(event());
	held->sink->on_done(held, &good);
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	has("[DONE]");
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 5500);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(streams_extend_and_settle),
	    cmocka_unit_test(a_used_up_limit_ends_a_stream),
	    cmocka_unit_test(a_clients_maximum_is_believed),
	    cmocka_unit_test(the_end_of_an_answer_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
