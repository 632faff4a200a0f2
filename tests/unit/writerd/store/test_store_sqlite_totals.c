/* Totals and who is watched, against a plain list. */
#include "tests/unit/writerd/crafted.h"

#include "writerd/store/store_sqlite_totals.h"

#define NUMBERS 300u

static struct crafted c;
static struct store *store;

static int setup(void **state)
{
	(void)state;
	crafted_init(&c);
	store = crafted_store(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store->ops->close(store);
	crafted_done(&c);
	return 0;
}

static void begin(void)
{
	struct bf_err err = {0};

	if (store->ops->begin(store, &err) < 0)
		fail_msg("%s", err.text);
}

static void commit(void)
{
	struct bf_err err = {0};

	if (store->ops->commit(store, &err) < 0)
		fail_msg("%s", err.text);
}

static struct store_total add(uint64_t identity, int64_t window, int64_t settled, int64_t missed)
{
	const struct store_total more = {.settled = settled, .missed = missed};
	struct store_total now = {.settled = -1};
	struct bf_err err = {0};

	begin();
	if (store->ops->add_total(store, identity, window, &more, &now, &err) < 0)
		fail_msg("%s", err.text);
	commit();
	return now;
}

static void both_sums_are_bounded(void **state)
{
	struct store_total now = add(UINT64_MAX, -7, 5, 2);

	(void)state;
	assert_int_equal(now.settled, 5);
	assert_int_equal(now.missed, 2);
	now = add(UINT64_MAX, -7, 1, -3);
	assert_int_equal(now.settled, 6);
	assert_int_equal(now.missed, 0);
	now = add(UINT64_MAX, -7, SHM_METER_LIMIT_MAX, SHM_METER_LIMIT_MAX);
	now = add(UINT64_MAX, -7, SHM_METER_LIMIT_MAX, SHM_METER_LIMIT_MAX);
	assert_int_equal(now.settled, SHM_METER_LIMIT_MAX);
	assert_int_equal(now.missed, SHM_METER_LIMIT_MAX);
}

static void what_was_forgiven_stands_beside_the_sums(void **state)
{
	const struct store_total more = {.forgiven = 20, .resets = 1};
	struct store_total now = add(5, 2, 30, 10);
	struct bf_err err = {0};
	int64_t window;

	(void)state;
	assert_int_equal(store_total_used(&now), 30);
	begin();
	assert_int_equal(store->ops->add_total(store, 5, 2, &more, &now, &err), 0);
	commit();
	assert_int_equal(now.settled, 30);
	assert_int_equal(store_total_used(&now), 10);
	assert_int_equal(store_total_missed(&now), -10);
	(void)add(5, 2, 7, 0);
	assert_int_equal(store->ops->newest_total(store, 5, 0, 9, &window, &now, &err), 1);
	assert_int_equal(store_total_used(&now), 17);
	assert_int_equal(now.resets, 1);
	/* One of before: nothing was forgiven. */
	now = add(6, 2, 3, 1);
	assert_int_equal(now.forgiven, 0);
	assert_int_equal(now.resets, 0);
}

static void the_newest_of_a_range(void **state)
{
	struct store_total total;
	struct bf_err err = {0};
	int64_t window;

	(void)state;
	(void)add(9, 1, 10, 1);
	(void)add(9, 3, 30, 3);
	(void)add(9, 5, 50, 5);
	(void)add(8, 4, 40, 4);
	assert_int_equal(store->ops->newest_total(store, 9, 1, 4, &window, &total, &err), 1);
	assert_int_equal(window, 3);
	assert_int_equal(total.settled, 30);
	assert_int_equal(total.missed, 3);
	assert_int_equal(store->ops->newest_total(store, 9, 6, 9, &window, &total, &err), 0);
	assert_int_equal(store->ops->newest_total(store, 7, 0, 9, &window, &total, &err), 0);
}

static void only_some_stay_watched(void **state)
{
	bool watched[NUMBERS] = {false};
	uint64_t keep[NUMBERS], seed = 88172645463325252u;
	uint64_t about = 0;
	struct bf_err err = {0};

	(void)state;
	for (int round = 0; round < 6; round++) {
		size_t kept = 0;

		begin();
		for (uint32_t i = 0; i < NUMBERS; i++) {
			/* As identities are: also those that are negative to the store. */
			uint64_t identity = i | (uint64_t)(i % 2) << 63;

			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			if (seed % 3 == 0) {
				assert_int_equal(store->ops->watch(store, identity, 1, &err), 0);
				watched[i] = true;
			}
		}
		for (uint32_t half = 0; half < 2; half++) {
			for (uint32_t i = half; i < NUMBERS; i += 2) {
				if (round < 5 && (i + (uint32_t)round) % 5 != 0)
					keep[kept++] = i | (uint64_t)half << 63;
				else
					watched[i] = false;
			}
		}
		assert_int_equal(store->ops->unwatch_others(store, keep, kept, &err), 0);
		commit();
		for (uint32_t i = 0; i < NUMBERS; i++)
			assert_int_equal(store->ops->is_watched(store, i | (uint64_t)(i % 2) << 63,
								&about, &err),
					 watched[i]);
	}
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM meter_watched"), 0);
}

static void what_is_not_committed_is_not_watched(void **state)
{
	uint64_t about = 0;
	struct bf_err err = {0};

	(void)state;
	begin();
	assert_int_equal(store->ops->watch(store, 5, 7, &err), 0);
	store->ops->rollback(store);
	assert_int_equal(store->ops->is_watched(store, 5, &about, &err), 0);
	begin();
	assert_int_equal(store->ops->watch(store, 5, 7, &err), 0);
	assert_int_equal(store->ops->watch(store, 5, UINT64_MAX, &err), 0);
	commit();
	assert_int_equal(store->ops->is_watched(store, 5, &about, &err), 1);
	assert_true(about == UINT64_MAX);
}

#define TOTALS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TOTALS_TEST(both_sums_are_bounded),
	    TOTALS_TEST(what_was_forgiven_stands_beside_the_sums),
	    TOTALS_TEST(the_newest_of_a_range),
	    TOTALS_TEST(only_some_stay_watched),
	    TOTALS_TEST(what_is_not_committed_is_not_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
