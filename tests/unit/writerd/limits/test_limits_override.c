/* Budgets that are raised for a time: what their meters allow, until when, and that nobody has to
 * ask for the end. */
#include "tests/unit/writerd/limits_live.h"

#define MINUTE_NS (INT64_C(60) * 1000000000)
#define HOUR_MS   INT64_C(3600000)

static int64_t most(void)
{
	return shm_meter_limit(&c.seg, meter_of(&l, "vk-1", BF_QUANTITY_NUSD));
}

static int64_t wall_ms(void)
{
	return wall_ns / 1000000;
}

/* After what is done once a second. */
static bool waits_for_an_end(void)
{
	limits_second(&l);
	return !bf_list_empty(&l.raised);
}

static void raise_by(int64_t amount, uint64_t cycles, int64_t until_ms)
{
	budgets[0].override_amount_nusd = amount;
	budgets[0].override_cycles = cycles;
	budgets[0].override_anchor_ms = wall_ms();
	budgets[0].override_until_ms = until_ms;
	change(BF_ENTITY_VIRTUAL_KEY, &keys[0], "vk-1");
	limits_settle(&l);
}

static int end_raise(void **state)
{
	budgets[0].override_amount_nusd = 0;
	budgets[0].override_cycles = 0;
	budgets[0].override_anchor_ms = budgets[0].override_until_ms = 0;
	return end(state);
}

#define RAISE_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end_raise)

static void for_two_windows(void **state)
{
	(void)state;
	pass(10 * MINUTE_NS);
	assert_false(waits_for_an_end());
	assert_int_equal(most(), 5000);
	raise_by(2000, 2, 0);
	assert_int_equal(most(), 7000);
	pass(HOUR_NS);
	assert_true(waits_for_an_end());
	assert_int_equal(most(), 7000);
	pass(50 * MINUTE_NS - 1000000);
	assert_true(waits_for_an_end());
	assert_int_equal(most(), 7000);
	pass(1000000);
	assert_false(waits_for_an_end());
	assert_int_equal(most(), 5000);
	/* What else changes does not bring it back. */
	budgets[0].max_limit_nusd = 6000;
	change(BF_ENTITY_VIRTUAL_KEY, &keys[0], "vk-1");
	limits_settle(&l);
	budgets[0].max_limit_nusd = 5000;
	assert_int_equal(most(), 6000);
	assert_false(waits_for_an_end());
}

/* A file may say so. */
static void one_that_is_still_to_come(void **state)
{
	(void)state;
	budgets[0].override_amount_nusd = 2000;
	budgets[0].override_cycles = 1;
	budgets[0].override_anchor_ms = wall_ms() + HOUR_MS + 1000;
	change(BF_ENTITY_VIRTUAL_KEY, &keys[0], "vk-1");
	limits_settle(&l);
	assert_int_equal(most(), 5000);
	pass(HOUR_NS - 1000000);
	assert_true(waits_for_an_end());
	assert_int_equal(most(), 5000);
	pass(1000000);
	assert_true(waits_for_an_end());
	assert_int_equal(most(), 7000);
	pass(HOUR_NS);
	assert_false(waits_for_an_end());
	assert_int_equal(most(), 5000);
}

static void until_a_moment_or_for_ever(void **state)
{
	(void)state;
	raise_by(1000, 0, wall_ms() + 5000);
	assert_int_equal(most(), 6000);
	raise_by(3000, 0, wall_ms() + 7000);
	assert_int_equal(most(), 8000);
	assert_true(waits_for_an_end());
	pass(INT64_C(7000) * 1000000);
	assert_false(waits_for_an_end());
	assert_int_equal(most(), 5000);
	raise_by(500, 0, 0);
	assert_int_equal(most(), 5500);
	pass(1000 * HOUR_NS);
	/* There may be many, and nobody looks at them. */
	assert_false(waits_for_an_end());
	assert_int_equal(most(), 5500);
	raise_by(0, 0, 0);
	assert_int_equal(most(), 5000);
	assert_false(waits_for_an_end());
}

static void a_key_that_goes_meanwhile(void **state)
{
	(void)state;
	raise_by(1000, 1, 0);
	drop(BF_ENTITY_VIRTUAL_KEY, "vk-1");
	limits_settle(&l);
	assert_false(waits_for_an_end());
	change(BF_ENTITY_VIRTUAL_KEY, &keys[0], "vk-1");
	limits_settle(&l);
	assert_int_equal(most(), 6000);
	pass(HOUR_NS);
	assert_false(waits_for_an_end());
	assert_int_equal(most(), 5000);
}

static void restart(void)
{
	struct bf_config one = config_of(1);

	limits_done(&l);
	start(&l, &one, store);
}

static void what_is_told_of_it(void **state)
{
	const struct bf_msg_limits_get any = {.from = 0};
	const struct bf_msg_limit *items;
	struct bf_msg_limits page;
	struct bf_arena arena;
	struct bf_err err = {0};

	(void)state;
	raise_by(1000, 1, 0);
	bf_arena_init(&arena, 1 << 20);
	assert_int_equal(limits_page(&l, &any, &page, &arena, &err), 0);
	items = page.items.items;
	for (uint32_t i = 0; i < page.items.count; i++) {
		bool is_budget = bf_slice_is(items[i].quantity, "cost");

		assert_int_equal(items[i].extra, is_budget ? 1000 : 0);
		assert_int_equal(items[i].extra_end_ms, is_budget ? wall_ms() + HOUR_MS : 0);
		if (is_budget) {
			assert_int_equal(items[i].max, 6000);
			assert_int_equal(items[i].left, 6000);
		}
	}
	bf_arena_done(&arena);
}

/* Also when nobody was there as it ended. */
static void over_restarts(void **state)
{
	(void)state;
	raise_by(1000, 2, 0);
	restart();
	assert_int_equal(most(), 6000);
	pass(HOUR_NS);
	restart();
	assert_int_equal(most(), 6000);
	limits_done(&l);
	pass(HOUR_NS);
	struct bf_config one = config_of(1);
	start(&l, &one, store);
	assert_int_equal(most(), 5000);
	assert_false(waits_for_an_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    RAISE_TEST(for_two_windows),
	    RAISE_TEST(one_that_is_still_to_come),
	    RAISE_TEST(until_a_moment_or_for_ever),
	    RAISE_TEST(a_key_that_goes_meanwhile),
	    RAISE_TEST(what_is_told_of_it),
	    RAISE_TEST(over_restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
