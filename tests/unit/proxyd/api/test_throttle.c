/* Tries of passwords: of one address, of all, over time, among workers, from many addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/api/throttle.h"

#define MINUTE_MS 60000

static struct throttle t;

static const uint8_t *address(unsigned n)
{
	static uint8_t bytes[16];

	memcpy(bytes, &n, sizeof(n));
	return bytes;
}

/* How many tries of n pass. */
static unsigned tries(unsigned who, unsigned n, int64_t now_ms)
{
	unsigned passed = 0;

	for (unsigned i = 0; i < n; i++)
		passed += throttle_take(&t, address(who), now_ms) == 0;
	return passed;
}

static void of_one_address(void **state)
{
	(void)state;
	throttle_open(&t, 1);
	assert_int_equal(tries(1, 20, 1000), THROTTLE_PER_ADDRESS);
	assert_int_equal(throttle_take(&t, address(1), 1000), MINUTE_MS / THROTTLE_PER_ADDRESS);
	assert_int_equal(tries(2, 20, 1000), THROTTLE_PER_ADDRESS);
	assert_int_equal(tries(1, 1, 1000 + MINUTE_MS / THROTTLE_PER_ADDRESS - 1), 0);
	assert_int_equal(tries(1, 2, 1000 + MINUTE_MS / THROTTLE_PER_ADDRESS), 1);
	assert_int_equal(tries(1, 20, 1000 + 10 * MINUTE_MS), THROTTLE_PER_ADDRESS);
}

static void of_all(void **state)
{
	unsigned passed = 0;

	(void)state;
	throttle_open(&t, 1);
	for (unsigned who = 1; who < 1000; who++)
		passed += tries(who, 1, 1000);
	assert_int_equal(passed, THROTTLE_PER_NODE);
	assert_int_equal(tries(5000, 5, 1000 + MINUTE_MS / THROTTLE_PER_NODE), 1);
}

static void one_that_is_right_does_not_count(void **state)
{
	(void)state;
	throttle_open(&t, 1);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(throttle_take(&t, address(1), 1000), 0);
		throttle_give(&t, address(1));
	}
	assert_int_equal(tries(1, 20, 1000), THROTTLE_PER_ADDRESS);
}

static void among_workers(void **state)
{
	(void)state;
	throttle_open(&t, 2);
	assert_int_equal(tries(1, 20, 1000), THROTTLE_PER_ADDRESS / 2);
	/* The share of each is small, but whole. */
	throttle_open(&t, 32);
	assert_int_equal(tries(1, 20, 1000), 1);
	assert_int_equal(tries(1, 20, 1000 + 32 * MINUTE_MS / THROTTLE_PER_ADDRESS), 1);
	throttle_open(&t, 0);
	assert_int_equal(tries(1, 20, 1000), THROTTLE_PER_ADDRESS);
}

/* An hour of tries, from ever new addresses too: never more than the rate and one burst. */
static void whatever_is_tried(void **state)
{
	unsigned passed = 0;

	(void)state;
	throttle_open(&t, 1);
	for (int64_t ms = 0; ms < 60 * MINUTE_MS; ms += 100)
		passed += tries((unsigned)ms, 2, 1000 + ms);
	assert_true(passed <= 61 * THROTTLE_PER_NODE);
	assert_true(passed >= 59 * THROTTLE_PER_NODE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(of_one_address),
	    cmocka_unit_test(of_all),
	    cmocka_unit_test(one_that_is_right_does_not_count),
	    cmocka_unit_test(among_workers),
	    cmocka_unit_test(whatever_is_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
