/* What is charged: whom a request counts for, what nobody answered, prices of requests, tiers. */
#include "shm/inflight.h"
#include "shm/slot.h"
#include "tests/unit/proxyd/gate/governed.h"
#include "tests/unit/proxyd/segment_copy.h"

#define REQUEST_NUSD 5000

static struct shm_usage_record rows[8];

/* Tokens cost as in governed.h, requests beside them. */
static void dear_requests(void)
{
	governed(100, 0, 0, 10000000);
	prices[0].pricing_patch.request_pusd = REQUEST_NUSD * INT64_C(1000);
	prices[1].pricing_patch.request_pusd = REQUEST_NUSD * INT64_C(1000);
	in_force_publish(&h.w);
}

static int hold(bool stream, const char *more)
{
	static const int steps[] = {HOLD, 200, 200};

	script = steps;
	int fd = send_request(KEY_A, stream, more);
	harness_turns(&h, 4);
	assert_non_null(held);
	return fd;
}

static void what_nobody_answered_costs_nothing(void **state)
{
	(void)state;
	dear_requests();
	(void)ask(STEPS(500), KEY_A, false, "");
	has(" 500 ");
	(void)ask(STEPS(NETWORK), KEY_A, false, "");
	has(" 502 ");
	(void)ask(STEPS(400), KEY_A, false, "");
	assert_int_equal(counted(BF_QUANTITY_NUSD), 0);
	int fd = ask(STEPS(500, 200), KEY_A, false, ",\"fallbacks\":[\"second/m2\"]");
	has(" 200 ");
	assert_int_equal(counted(BF_QUANTITY_NUSD), REQUEST_NUSD);
	assert_int_equal(leave_governed(fd, rows, 8), 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(rows[i].cost_nusd, i == 4 ? REQUEST_NUSD : 0);
}

/* It took tokens, so somebody is paid for it. */
static void a_failure_that_took_tokens_is_an_answer(void **state)
{
	(void)state;
	dear_requests();
	int fd = hold(false, "");
	held->sink->on_usage(held, 10, 20, 0);
	act(held, 500);
	assert_int_equal(counted(BF_QUANTITY_NUSD), 50 + REQUEST_NUSD);
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* What a provider said of one attempt's cost is not that of the next one. */
static void each_attempt_is_paid_once(void **state)
{
	(void)state;
	governed(0, 0, 0, 10000000);
	int fd = hold(false, ",\"fallbacks\":[\"second/m2\"]");
	held->paid.reported_nusd = 700;
	held->sink->on_usage(held, 1, 1, 0);
	act(held, 500);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has(" 200 ");
	fd = hold(false, "");
	held->paid.reported_nusd = 900;
	held->sink->on_repeat(held);
	act(held, 200);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	assert_int_equal(counted(BF_QUANTITY_NUSD), 700);
	assert_int_equal(leave_governed(fd, rows, 8), 3);
	assert_int_equal(rows[0].cost_nusd, 700);
	assert_int_equal(rows[1].cost_nusd, 0);
	assert_int_equal(rows[2].cost_nusd, 0);
}

/* If this worker died now, a row that no meter of money tells the cost of has the price of the key
 * that it was with last. */
static void a_death_is_priced_by_the_key_of_the_moment(void **state)
{
	struct shm_usage_record row;
	struct shm_segment copy;

	(void)state;
	governed(0, 100, 0, 0);
	int fd = hold(true, "");
	struct bf_conf_price dearer = *held->spend.price;
	dearer.token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN] = INT64_C(7000);
	dearer.token_pusd[BF_PRICE_OUTPUT][BF_RATE_PLAIN] = INT64_C(11000);
	held->spend.price = &dearer;
	held->sink->on_repeat(held);
	held->sink->on_usage(held, 10, 20, 0);
	copy_segment(&h, &copy);
	shm_slot_dead(&copy, h.slot);
	assert_true(shm_inflight_sweep(&copy, h.slot, 0, bf_wall_ns(), &row) >= 0);
	shm_segment_detach(&copy);
	assert_int_equal(row.cost_nusd, 10 * 7 + 20 * 11);
	act(held, 200);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* Hanging up early must not be a way around a limit of requests. */
static void who_hangs_up_has_asked(void **state)
{
	(void)state;
	for (unsigned seen = 0; seen < 2; seen++) {
		governed(5, 0, 0, 0);
		int fd = hold(true, "");
		held->sink->on_head(held, 200, true);
		if (seen)
			assert_true(held->sink->on_body(held, BF_SLICE_LIT("data: {\"n\":1}\n\n")));
		(void)close(fd);
		harness_turns(&h, 8);
		assert_int_equal(cancelled, 1);
		assert_int_equal(counted(BF_QUANTITY_REQUESTS), seen);
		assert_int_equal(leave_governed(harness_client(&h), rows, 8), 1);
		assert_int_equal(rows[0].requests_charged, seen);
		assert_int_equal(rows[0].status, SHM_USAGE_ERROR);
		assert_string_equal(rows[0].error_type, "client_gone");
	}
}

/* Not the client's doing. */
static void a_cut_stream_does_not_count(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	int fd = ask(STEPS(STREAM_BEGUN_CUT), KEY_A, true, "");
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

static int64_t cost_at(const char *asked_tier, enum bf_service_tier told, bool is_told)
{
	char more[64];

	(void)snprintf(more, sizeof(more), ",\"service_tier\":\"%s\"", asked_tier);
	governed(0, 0, 0, 10000000);
	prices[0].pricing_patch.token_pusd[BF_PRICE_INPUT][BF_RATE_FLEX] = 100;
	prices[0].pricing_patch.token_pusd[BF_PRICE_INPUT][BF_RATE_PRIORITY] = 3000;
	in_force_publish(&h.w);
	int fd = hold(false, more);
	held->paid.tier = told;
	held->tier_told = is_told;
	held->sink->on_usage(held, 1000, 0, 0);
	act(held, 200);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	return rows[0].cost_nusd;
}

static void a_clients_word_makes_nothing_cheaper(void **state)
{
	(void)state;
	assert_int_equal(cost_at("flex", BF_TIER_STANDARD, false), 1000);
	assert_int_equal(cost_at("flex", BF_TIER_STANDARD, true), 1000);
	assert_int_equal(cost_at("flex", BF_TIER_FLEX, true), 100);
	assert_int_equal(cost_at("auto", BF_TIER_FLEX, true), 100);
	assert_int_equal(cost_at("priority", BF_TIER_STANDARD, false), 3000);
	/* However he spells it. */
	assert_int_equal(cost_at("\\u0070riority", BF_TIER_STANDARD, false), 3000);
	assert_int_equal(cost_at("priority", BF_TIER_STANDARD, true), 1000);
	assert_int_equal(cost_at("auto", BF_TIER_PRIORITY, true), 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_nobody_answered_costs_nothing),
	    cmocka_unit_test(a_failure_that_took_tokens_is_an_answer),
	    cmocka_unit_test(each_attempt_is_paid_once),
	    cmocka_unit_test(a_death_is_priced_by_the_key_of_the_moment),
	    cmocka_unit_test(who_hangs_up_has_asked),
	    cmocka_unit_test(a_cut_stream_does_not_count),
	    cmocka_unit_test(a_clients_word_makes_nothing_cheaper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
