/* Limits of virtual keys: what is reserved, settled and refused, over the whole way of a request.
 */
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[8];

/* ---- requests */

static void exactly_as_many_as_allowed(void **state)
{
	int fd = -1;

	(void)state;
	governed(3, 0, 0, 0);
	for (unsigned i = 0; i < 3; i++) {
		fd = ask(STEPS(200), KEY_A, false, "");
		has(" 200 ");
		has("\r\nx-ratelimit-limit-requests: 3\r\n");
		has(i == 0   ? "x-ratelimit-remaining-requests: 2\r\n"
		    : i == 1 ? "x-ratelimit-remaining-requests: 1\r\n"
			     : "x-ratelimit-remaining-requests: 0\r\n");
		has("x-ratelimit-reset-requests: ");
		assert_null(strstr(answer, "x-ratelimit-limit-tokens"));
	}
	fd = ask(STEPS(200), KEY_A, false, "");
	has(" 429 ");
	has("\"type\":\"request_limited\"");
	has("3/3 requests per 1h");
	has("Retry-After: ");
	has("x-ratelimit-remaining-requests: 0\r\n");
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 3);
	assert_int_equal(metric(SHM_M_LIMIT_REQUESTS), 1);
	assert_int_equal(metric(SHM_M_LIMIT_ADMITTED), 3);
	assert_int_equal(leave_governed(fd, rows, 8), 3);
	assert_int_equal(rows[0].requests_charged, 1);
	assert_int_equal(rows[0].meter_count, 1);
}

static void failures_are_not_counted(void **state)
{
	(void)state;
	governed(1, 100000, 0, 0);
	(void)ask(STEPS(500), KEY_A, false, "");
	has(" 500 ");
	has("x-ratelimit-limit-tokens: 100000\r\n");
	(void)ask(STEPS(NETWORK), KEY_A, false, "");
	has(" 502 ");
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 0);
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 3);
	assert_int_equal(rows[0].requests_charged, 0);
	assert_int_equal(rows[0].tokens_charged, 0);
	assert_int_equal(rows[0].meter_count, 2);
	assert_int_equal(rows[2].requests_charged, 1);
}

static void without_a_key_nothing_is_metered(void **state)
{
	(void)state;
	governed(1, 10, 1, 1000);
	(void)ask(STEPS(200), "", false, "");
	int fd = ask(STEPS(200), "", false, "");
	has(" 200 ");
	assert_null(strstr(answer, "x-ratelimit"));
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(leave_governed(fd, rows, 8), 2);
	assert_int_equal(rows[0].meter_count, 0);
}

/* ---- at once */

static void only_so_many_at_once(void **state)
{
	(void)state;
	governed(0, 0, 1, 0);
	script = STEPS(HOLD, 200);
	int first = send_request(KEY_A, false, "");
	harness_turns(&h, 4);
	assert_non_null(held);
	struct exchange *x = held;
	assert_int_equal(counted(BF_QUANTITY_CONCURRENT), 1);
	int second = send_request(KEY_A, false, "");
	(void)harness_ask(&h, second, "", answer, sizeof(answer));
	has(" 429 ");
	has("\"type\":\"rate_limited\"");
	has("Retry-After: 1\r\n");
	has("too many requests at once: 1/1");
	act(x, 200);
	assert_int_equal(counted(BF_QUANTITY_CONCURRENT), 0);
	(void)close(first);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	assert_int_equal(leave_governed(second, rows, 8), 2);
}

static void who_leaves_gives_back(void **state)
{
	(void)state;
	governed(5, 1000, 2, 0);
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, false, ",\"max_tokens\":10");
	harness_turns(&h, 4);
	assert_non_null(held);
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 1);
	assert_true(counted(BF_QUANTITY_TOKENS) > 10);
	/* Something was seen of it. */
	held->sink->on_usage(held, 7, 3, 0);
	(void)close(fd);
	harness_turns(&h, 8);
	assert_int_equal(cancelled, 1);
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 10);
	assert_int_equal(counted(BF_QUANTITY_CONCURRENT), 0);
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 1);
	assert_int_equal(rows[0].tokens_charged, 10);
	assert_string_equal(rows[0].error_type, "client_gone");
}

/* ---- tokens and dollars */

static void tokens_are_settled_by_what_was_used(void **state)
{
	(void)state;
	governed(0, 1000, 0, 1000000);
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, false, ",\"max_tokens\":100,\"n\":2");
	harness_turns(&h, 4);
	assert_non_null(held);
	int64_t reserved = counted(BF_QUANTITY_TOKENS);
	int64_t prompt = ((int64_t)held->body.len + 2) / 3 + 8;
	assert_int_equal(reserved, prompt + 200);
	assert_int_equal(counted(BF_QUANTITY_NUSD), prompt + 400);
	held->sink->on_usage(held, 40, 60, 0);
	act(held, 200);
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 100);
	assert_int_equal(counted(BF_QUANTITY_NUSD), 160);
	assert_int_equal(metric(SHM_M_LIMIT_UNUSED_TOKENS), reserved - 100);
	assert_int_equal(metric(SHM_M_LIMIT_UNUSED_NUSD), prompt + 400 - 160);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].tokens_charged, 100);
	assert_int_equal(rows[0].cost_nusd, 160);
	assert_int_equal(rows[0].meter_count, 2);
	assert_int_not_equal(rows[0].epochs[0], 0);
}

static void more_than_asked_is_charged_too(void **state)
{
	(void)state;
	governed(0, 1000, 0, 0);
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, false, ",\"max_tokens\":10");
	harness_turns(&h, 4);
	held->sink->on_usage(held, 100, 5000, 0);
	act(held, 200);
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 5100);
	(void)close(fd);
	fd = ask(STEPS(200), KEY_A, false, ",\"max_tokens\":1");
	has(" 429 ");
	has("\"type\":\"token_limited\"");
	has("x-ratelimit-remaining-tokens: 0\r\n");
	has("token limit exceeded: 5100/1000 tokens used or reserved per 1h");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

static void what_a_client_asks_for_must_be_there(void **state)
{
	(void)state;
	governed(0, 1000, 0, 0);
	(void)ask(STEPS(200), KEY_A, false, ",\"max_tokens\":2000");
	has(" 429 ");
	has("\"type\":\"token_limited\"");
	has(" tokens and the limit is 1000 per 1h: lower max_tokens");
	has("\r\nx-should-retry: false\r\nx-ratelimit-limit-tokens: 1000\r\n");
	assert_null(strstr(answer, "Retry-After"));
	(void)ask(STEPS(200), KEY_A, false, ",\"max_completion_tokens\":2000,\"max_tokens\":1");
	has(" 429 ");
	/* Our own guess is never more than there could be. */
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	int fd = ask(STEPS(200), KEY_A, false, ",\"max_tokens\":null");
	has(" 200 ");
	assert_int_equal(metric(SHM_M_LIMIT_TOKENS), 2);
	assert_int_equal(leave_governed(fd, rows, 8), 2);
}

/* What a budget was raised by is gone when its time is over, whether writerd is there or not. */
static void a_raised_budget_ends_by_itself(void **state)
{
	int fd;

	(void)state;
	governed_raised(1000, 2000, 60000);
	(void)ask(STEPS(200), KEY_A, false, ",\"max_tokens\":1000");
	has(" 200 ");
	(void)leave_governed(harness_client(&h), rows, 8);
	governed_raised(1000, 2000, -1000);
	(void)ask(STEPS(200), KEY_A, false, ",\"max_tokens\":1000");
	has(" 402 ");
	has("and the limit is $0.0000 per 1h: lower max_tokens");
	assert_int_equal(counted(BF_QUANTITY_NUSD), 0);
	fd = ask(STEPS(200), KEY_A, false, ",\"max_tokens\":100");
	has(" 200 ");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

static void budgets_need_room_and_a_price(void **state)
{
	(void)state;
	governed(0, 0, 0, 1000);
	(void)ask(STEPS(200), KEY_A, false, ",\"max_tokens\":2000");
	has(" 402 ");
	has("\"type\":\"budget_exceeded\"");
	has("$0.0000 and the limit is $0.0000 per 1h");
	has("\r\nx-should-retry: false\r\n");
	assert_null(strstr(answer, "Retry-After"));
	(void)ask(STEPS(200), KEY_A, false, ",\"max_tokens\":1");
	has(" 200 ");
	prices[0].pattern = BF_SLICE_LIT("other");
	in_force_publish(&h.w);
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 403 ");
	has("\"type\":\"model_unpriced\"");
	has("governance.pricing_overrides");
	assert_int_equal(metric(SHM_M_LIMIT_UNPRICED), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* ---- fallbacks */

static void a_cheaper_fallback_may_pass(void **state)
{
	(void)state;
	governed(0, 0, 0, 3000);
	/* 2000 for m, 1000 for m2, and the prompts. */
	int fd = ask(STEPS(200), KEY_A, false, ",\"max_tokens\":1490" FALLBACKS);
	has(" 200 ");
	assert_string_equal(asked, "second/k1 ");
	has("\"is_fallback\":true");
	assert_int_equal(metric(SHM_M_FALLBACKS), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].fallback_index, 1);
	assert_string_equal(rows[0].provider, "second");
	assert_string_equal(rows[0].model, "m2");
	assert_string_equal(rows[0].parent_id, "");
}

static void the_first_refusal_is_told(void **state)
{
	(void)state;
	governed(0, 0, 0, 1000);
	/* Too dear, too dear, without a price. */
	int fd = ask(STEPS(200), KEY_A, false, ",\"max_tokens\":5000" FALLBACKS);
	has(" 402 ");
	assert_string_equal(asked, "");
	assert_int_equal(metric(SHM_M_LIMIT_COST), 2);
	assert_int_equal(metric(SHM_M_LIMIT_UNPRICED), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 0);
}

static void fallbacks_reserve_for_themselves(void **state)
{
	(void)state;
	governed(2, 100000, 1, 0);
	int fd = ask(STEPS(500, NETWORK, 200), KEY_A, false, ",\"max_tokens\":10" FALLBACKS);
	has(" 200 ");
	assert_string_equal(asked, "mock/k1 second/k1 third/k1 ");
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 1);
	assert_int_equal(counted(BF_QUANTITY_CONCURRENT), 0);
	assert_int_equal(metric(SHM_M_LIMIT_ADMITTED), 3);
	assert_int_equal(leave_governed(fd, rows, 8), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rows[i].requests_charged, i == 2);
		assert_string_equal(rows[i].virtual_key_id, "vk-a");
	}
}

static void a_refused_fallback_ends_with_the_primarys_error(void **state)
{
	(void)state;
	governed(1, 0, 0, 0);
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, false, FALLBACKS);
	harness_turns(&h, 4);
	assert_non_null(held);
	/* Meanwhile nothing is left for a fallback. */
	const struct bf_limit *limit = &in_force_plan.limits[0];
	(void)shm_meter_configure(&h.seg, shm_meter_find(&h.seg, limit->identity), 0, false, false,
				  0);
	act(held, 500);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has(" 500 ");
	has("mock says 500");
	assert_string_equal(asked, "mock/k1 ");
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* ---- meters that are not there, or others now */

static void no_meter_is_not_ready(void **state)
{
	const struct limits_of of = {.requests = 5};

	(void)state;
	house(0, 1);
	govern_house(&of);
	(void)ask(STEPS(200), KEY_A, false, FALLBACKS);
	has(" 503 ");
	has("\"type\":\"limits_not_ready\"");
	has("Retry-After: 1\r\n");
	assert_int_equal(metric(SHM_M_LIMIT_NOT_READY), 1);
	place_meters();
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

static void another_maximum_is_seen_at_once(void **state)
{
	(void)state;
	governed(1, 0, 0, 0);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	const struct bf_limit *limit = &in_force_plan.limits[0];
	(void)shm_meter_configure(&h.seg, shm_meter_find(&h.seg, limit->identity), 2, false, false,
				  0);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	assert_int_equal(metric(SHM_M_LIMIT_STALE), 1);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 429 ");
	has("2/2 requests per 1h");
	has("x-ratelimit-limit-requests: 2\r\n");
	has("Retry-After: ");
	/* Less than was used already. */
	(void)shm_meter_configure(&h.seg, shm_meter_find(&h.seg, limit->identity), 1, false, false,
				  0);
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 429 ");
	has("2/1 requests per 1h");
	has("x-ratelimit-remaining-requests: 0\r\n");
	assert_int_equal(leave_governed(fd, rows, 8), 2);
}

/* ---- windows */

/* All workers must come to the same window again, however far a person turns the clock. */
static void windows_follow_the_clock_both_ways(void **state)
{
	const int64_t days_ns = INT64_C(10) * 86400 * 1000000000;

	(void)state;
	governed(5, 0, 0, 0);
	(void)ask(STEPS(200), KEY_A, false, "");
	shm_wall_accept(&h.seg, bf_wall_ns() + days_ns, bf_boot_ns());
	(void)ask(STEPS(200), KEY_A, false, "");
	has("x-ratelimit-remaining-requests: 4\r\n");
	shm_wall_accept(&h.seg, bf_wall_ns(), bf_boot_ns());
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	assert_int_equal(leave_governed(fd, rows, 8), 3);
	/* Only an hour that turns meanwhile adds one. */
	assert_in_range(rows[1].epochs[0] - rows[0].epochs[0], 240, 241);
	assert_in_range(rows[2].epochs[0] - rows[0].epochs[0], 0, 1);
}

/* The window that was used up when the clock was ahead goes on; so says who is refused by it. */
static void a_later_window_is_waited_for(void **state)
{
	const int64_t hours_ns = INT64_C(2) * 3600 * 1000000000;
	static const char line[] = "\r\nRetry-After: ";
	const char *at;

	(void)state;
	governed(1, 0, 0, 0);
	(void)ask(STEPS(200), KEY_A, false, "");
	shm_wall_accept(&h.seg, bf_wall_ns() + hours_ns, bf_boot_ns());
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	shm_wall_accept(&h.seg, bf_wall_ns(), bf_boot_ns());
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 429 ");
	at = strstr(answer, line);
	assert_non_null(at);
	assert_in_range(strtol(at + strlen(line), NULL, 10), 2 * 3600, 3 * 3600);
	at = strstr(answer, "x-ratelimit-reset-requests: ");
	assert_non_null(at);
	assert_in_range(strtol(strchr(at, ' '), NULL, 10), 2 * 3600 - 1, 3 * 3600);
	assert_int_equal(leave_governed(fd, rows, 8), 2);
}

/* ---- without a log */

static void a_limited_request_is_recorded_without_a_log(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	h.config.client.enable_logging = false;
	(void)ask(STEPS(200), "", false, "");
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].requests_charged, 1);
	assert_false(rows[0].flags & SHM_USAGE_HAS_CONTENT);
}

static void learn_short_answers(void)
{
	for (unsigned i = 0; i < ESTIMATE_LEARNED; i++) {
		script = STEPS(HOLD);
		int fd = send_request(KEY_A, false, "");
		harness_turns(&h, 4);
		held->sink->on_usage(held, 1, 100, 0);
		act(held, 200);
		(void)close(fd);
		harness_turns(&h, 2);
	}
}

static int64_t reserved_by(bool stream)
{
	int64_t before = counted(BF_QUANTITY_TOKENS);
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, stream, "");
	harness_turns(&h, 4);
	int64_t prompt = ((int64_t)held->body.len + 2) / 3 + 8;
	int64_t reserved = counted(BF_QUANTITY_TOKENS) - before - prompt;
	(void)close(fd);
	harness_turns(&h, 4);
	return reserved;
}

/* Lengths of answers are learned, and reserved next time: less only for streams. */
static void reservations_learn(void **state)
{
	(void)state;
	governed(0, 100000, 0, 0);
	learn_short_answers();
	assert_int_equal(reserved_by(true), 192);
	assert_int_equal(reserved_by(false), ESTIMATE_UNKNOWN);
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(exactly_as_many_as_allowed),
	    cmocka_unit_test(failures_are_not_counted),
	    cmocka_unit_test(without_a_key_nothing_is_metered),
	    cmocka_unit_test(only_so_many_at_once),
	    cmocka_unit_test(who_leaves_gives_back),
	    cmocka_unit_test(tokens_are_settled_by_what_was_used),
	    cmocka_unit_test(more_than_asked_is_charged_too),
	    cmocka_unit_test(what_a_client_asks_for_must_be_there),
	    cmocka_unit_test(a_raised_budget_ends_by_itself),
	    cmocka_unit_test(budgets_need_room_and_a_price),
	    cmocka_unit_test(a_cheaper_fallback_may_pass),
	    cmocka_unit_test(the_first_refusal_is_told),
	    cmocka_unit_test(fallbacks_reserve_for_themselves),
	    cmocka_unit_test(a_refused_fallback_ends_with_the_primarys_error),
	    cmocka_unit_test(no_meter_is_not_ready),
	    cmocka_unit_test(another_maximum_is_seen_at_once),
	    cmocka_unit_test(windows_follow_the_clock_both_ways),
	    cmocka_unit_test(a_later_window_is_waited_for),
	    cmocka_unit_test(a_limited_request_is_recorded_without_a_log),
	    cmocka_unit_test(reservations_learn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
