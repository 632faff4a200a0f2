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
	has("token limit exceeded: 1000/1000 tokens used or reserved per 1h\"");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_string_equal(rows[0].error_type, "token_limited");
	assert_true(rows[0].flags & SHM_USAGE_TRUNCATED);
	assert_int_equal(rows[0].tokens_charged, 1010);
}

/* Nor does a stream get what its budget was raised by, when that is over. */
static void a_stream_of_a_budget_that_was_raised(void **state)
{
	(void)state;
	governed_raised(10000, 20000, -1000);
	int fd = begin_stream("");
	held->sink->on_usage(held, 20, 4000, 0);
	assert_true(event());
	assert_in_range(counted(BF_QUANTITY_NUSD), 9990, 10000);
	held->sink->on_usage(held, 20, 5100, 0);
	assert_false(event());
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	has("budget_exceeded");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* An enlargement that is too much is asked for as what is left. */
static void a_stream_may_use_its_limit_to_the_last(void **state)
{
	(void)state;
	governed(0, 10000, 0, 0);
	int fd = begin_stream("");
	int64_t prompt = counted(BF_QUANTITY_TOKENS) - ESTIMATE_UNKNOWN;
	held->sink->on_usage(held, 20, 4000, 0);
	assert_true(event());
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 10000);
	assert_int_equal(metric(SHM_M_LIMIT_EXTENSIONS), 1);
	held->sink->on_usage(held, 20, (uint64_t)(9999 - prompt), 0);
	assert_true(event());
	held->sink->on_usage(held, 20, (uint64_t)(10000 - prompt), 0);
	assert_true(event());
	held->sink->on_usage(held, 20, (uint64_t)(10001 - prompt), 0);
	assert_false(event());
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	has("token limit exceeded: 10000/10000 tokens used or reserved per 1h\"");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].tokens_charged, 10021 - prompt);
}

/* The limit that has least left decides, in tokens; each costs two nano-dollars. */
static void money_is_used_to_the_last_too(void **state)
{
	(void)state;
	governed(0, 100000, 0, 10001);
	int fd = begin_stream("");
	int64_t nusd = counted(BF_QUANTITY_NUSD);
	uint64_t tokens = ESTIMATE_UNKNOWN + (uint64_t)(10001 - nusd) / 2;
	held->sink->on_usage(held, 20, 4000, 0);
	assert_true(event());
	assert_in_range(counted(BF_QUANTITY_NUSD), 10000, 10001);
	held->sink->on_usage(held, 20, tokens, 0);
	assert_true(event());
	held->sink->on_usage(held, 20, tokens + 1, 0);
	assert_false(event());
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	has("\"type\":\"budget_exceeded\"");
	has("$0.0000 of $0.0000 used or reserved per 1h\"");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* What others give back meanwhile, and a maximum that was raised, are had. */
static void room_that_comes_late_is_taken(void **state)
{
	(void)state;
	governed(0, 1000, 0, 0);
	int fd = begin_stream("");
	held->sink->on_usage(held, 20, 900, 0);
	assert_true(event());
	assert_true(held->spend.last);
	const struct bf_limit *limit = &in_force_plan.limits[0];
	(void)shm_meter_configure(&h.seg, shm_meter_find(&h.seg, limit->identity), 1100, false,
				  false, 0);
	held->sink->on_usage(held, 20, 1000, 0);
	assert_true(event());
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 1100);
	(void)shm_meter_configure(&h.seg, shm_meter_find(&h.seg, limit->identity), 500, false,
				  false, 0);
	held->sink->on_usage(held, 20, 1100, 0);
	assert_false(event());
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	has("1100/500 tokens used or reserved per 1h\"");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
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
	/* A provider that writes more gets what is left. */
	uint64_t most = 100 + (uint64_t)(400 - reserved) / 2;
	held->sink->on_usage(held, 20, 101, 0);
	assert_true(event());
	held->sink->on_usage(held, 20, most, 0);
	assert_true(event());
	held->sink->on_usage(held, 20, most + 1, 0);
	assert_false(event());
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	has("\"type\":\"budget_exceeded\"");
	int64_t nusd = 20 + 2 * (int64_t)(most + 1);
	assert_int_equal(counted(BF_QUANTITY_NUSD), nusd);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].cost_nusd, nusd);
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
	    cmocka_unit_test(a_stream_of_a_budget_that_was_raised),
	    cmocka_unit_test(a_stream_may_use_its_limit_to_the_last),
	    cmocka_unit_test(money_is_used_to_the_last_too),
	    cmocka_unit_test(room_that_comes_late_is_taken),
	    cmocka_unit_test(a_clients_maximum_is_believed),
	    cmocka_unit_test(the_end_of_an_answer_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
