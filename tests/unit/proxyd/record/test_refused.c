/* Rows of refused requests: whose, with what, and how many. */
#include "proxyd/record/refused.h"

#include "common/govern/plan.h"
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[32];

/* ---- how many */

static unsigned taken(struct refused_rows *r, uint64_t who, unsigned tries, int64_t now_ms)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tries; i++)
		n += refused_may_have_row(r, who, now_ms);
	return n;
}

static void one_cannot_take_the_place_of_all(void **state)
{
	static struct refused_rows r;
	const int64_t now_ms = 5000000;
	unsigned n = 0;

	(void)state;
	assert_int_equal(taken(&r, 7, 100000, now_ms), REFUSED_OF_ONE);
	assert_int_equal(taken(&r, 8, 1, now_ms), 1);
	assert_int_equal(taken(&r, 7, 100, now_ms + 3 * REFUSED_OF_ONE_STEP_MS), 3);
	for (uint64_t who = 0; who < REFUSED_BUCKETS; who++)
		n += taken(&r, who, REFUSED_OF_ONE, now_ms + 3 * REFUSED_OF_ONE_STEP_MS);
	assert_in_range(n, REFUSED_OF_ALL - REFUSED_OF_ONE - 10, REFUSED_OF_ALL);
}

/* ---- what is in them */

static int64_t left_out(void)
{
	return shm_metric_of(&h.seg, h.slot, SHM_M_REFUSED_LEFT_OUT);
}

static void the_row_names_owner_and_limit(void **state)
{
	const struct shm_usage_refusal *why = &rows[0].refusal;

	(void)state;
	governed(1, 0, 0, 0);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	int fd = ask(STEPS(200), KEY_A, true, "");
	has(" 429 ");
	assert_int_equal(harness_rows(&h, rows, 8), 1);
	assert_int_equal(harness_refused_rows(&h, rows, 8), 1);
	assert_int_equal(rows[0].flags, SHM_USAGE_REFUSED | SHM_USAGE_STREAM);
	assert_int_equal(rows[0].status, SHM_USAGE_ERROR);
	assert_int_equal(rows[0].http_status, 429);
	assert_int_equal(rows[0].object_type, SHM_OBJECT_CHAT);
	assert_string_equal(rows[0].error_type, "request_limited");
	assert_string_equal(rows[0].virtual_key_id, "vk-a");
	assert_string_equal(rows[0].provider, "mock");
	assert_string_equal(rows[0].model, "m");
	assert_string_equal(rows[0].key_name, "");
	assert_int_equal(why->blame.owner, BF_OWNER_VIRTUAL_KEY + 1);
	assert_int_equal(why->blame.quantity, BF_QUANTITY_REQUESTS);
	assert_string_equal(why->blame.owner_id, "vk-a");
	assert_string_equal(why->blame.limit_id, "rl");
	assert_string_equal(why->text, "virtual key \"team a\": request limit exceeded: 1/1 "
				       "requests per 1h");
	assert_int_equal(rows[0].attempts + rows[0].tokens_charged + rows[0].requests_charged +
			     rows[0].meter_count,
			 0);
	assert_int_equal(rows[0].cost_nusd, 0);
	assert_true(rows[0].started_wall_ns > 0 && rows[0].latency_us > 0);
	(void)leave_governed(fd, rows, 8);
}

/* The row's id is the one that the client was told, whatever stage refused it. */
static void the_client_knows_its_row(void **state)
{
	static const char *const bodies[] = {"", ",\"max_tokens\":\"many\""};
	char id[BF_UUID_TEXT_LEN + 1];
	int fd = -1;

	(void)state;
	governed(0, 0, 0, 1);
	for (unsigned i = 0; i < BF_ARRAY_LEN(bodies); i++) {
		if (fd >= 0)
			(void)close(fd);
		fd = ask(STEPS(200), KEY_A, false, bodies[i]);
		has(i == 0 ? " 402 " : " 400 ");
		assert_int_equal(harness_refused_rows(&h, rows, 8), 1);
		bf_uuid_format((const struct bf_uuid *)rows[0].id, id);
		has(id);
	}
	assert_int_equal(rows[0].refusal.blame.owner, 0);
	(void)leave_governed(fd, rows, 8);
}

static void who_may_not_is_named(void **state)
{
	(void)state;
	governed(0, 0, 0, 0);
	int fd = ask(STEPS(200), "x-bf-vk: sk-bf-b\r\n", false, "");
	has(" 403 ");
	assert_int_equal(harness_refused_rows(&h, rows, 8), 1);
	assert_string_equal(rows[0].error_type, "virtual_key_blocked");
	assert_int_equal(rows[0].refusal.blame.owner, BF_OWNER_VIRTUAL_KEY + 1);
	assert_string_equal(rows[0].refusal.blame.owner_id, "vk-b");
	assert_string_equal(rows[0].refusal.blame.limit_id, "");
	(void)leave_governed(fd, rows, 8);
}

static void strangers_have_none(void **state)
{
	(void)state;
	governed(0, 0, 0, 0);
	int fd = ask(STEPS(200), "x-bf-vk: sk-bf-nobody\r\n", false, "");
	has(" 401 ");
	assert_int_equal(harness_refused_rows(&h, rows, 8), 0);
	assert_int_equal(left_out(), 0);
	(void)leave_governed(fd, rows, 8);
}

static void too_many_are_counted(void **state)
{
	int fd = -1;

	(void)state;
	governed(0, 0, 0, 1);
	for (unsigned i = 0; i < REFUSED_OF_ONE + 5; i++) {
		if (fd >= 0)
			(void)close(fd);
		fd = ask(STEPS(200), KEY_A, false, "");
		has(" 402 ");
	}
	size_t n = harness_refused_rows(&h, rows, 32);
	assert_in_range(n, REFUSED_OF_ONE, REFUSED_OF_ONE + 4);
	assert_int_equal(n + (uint64_t)left_out(), REFUSED_OF_ONE + 5);
	(void)leave_governed(fd, rows, 8);
}

static void nothing_is_logged_where_that_is_off(void **state)
{
	(void)state;
	governed(0, 0, 0, 1);
	h.config.client.enable_logging = false;
	in_force_publish(&h.w);
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 402 ");
	assert_int_equal(harness_refused_rows(&h, rows, 8), 0);
	(void)leave_governed(fd, rows, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_cannot_take_the_place_of_all),
	    cmocka_unit_test(the_row_names_owner_and_limit),
	    cmocka_unit_test(the_client_knows_its_row),
	    cmocka_unit_test(who_may_not_is_named),
	    cmocka_unit_test(strangers_have_none),
	    cmocka_unit_test(too_many_are_counted),
	    cmocka_unit_test(nothing_is_logged_where_that_is_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
