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
		throttle_give(&t, address(1), 1000);
	}
	assert_int_equal(tries(1, 20, 1000), THROTTLE_PER_ADDRESS);
}

static void among_workers(void **state)
{
	unsigned passed = 0;

	(void)state;
	throttle_open(&t, 1);
	assert_int_equal(tries(1, 20, 1000), THROTTLE_PER_ADDRESS);
	/* Who mistypes once may try again, however many there are; then they share the rate. */
	throttle_open(&t, 32);
	assert_int_equal(tries(1, 20, 1000), THROTTLE_LEAST_OF_ADDRESS);
	assert_int_equal(tries(1, 20, 1000 + 32 * MINUTE_MS / THROTTLE_PER_ADDRESS), 1);
	throttle_open(&t, 32);
	for (unsigned who = 1; who < 100; who++)
		passed += tries(who, 1, 1000);
	assert_int_equal(passed, THROTTLE_LEAST_OF_NODE);
	throttle_open(&t, 0);
	assert_int_equal(tries(1, 20, 1000), THROTTLE_PER_ADDRESS);
}

static const uint8_t *ipv6(uint8_t network, uint8_t host)
{
	static uint8_t bytes[16];

	memset(bytes, 0, sizeof(bytes));
	bytes[0] = 0x20;
	bytes[7] = network;
	bytes[15] = host;
	return bytes;
}

/* A customer has as many addresses as it likes, within one network. */
static void a_network_is_one(void **state)
{
	static const uint8_t mapped[2][16] = {
	    {[10] = 0xff, [11] = 0xff, [12] = 192, [15] = 1},
	    {[10] = 0xff, [11] = 0xff, [12] = 192, [15] = 2},
	};
	unsigned passed = 0;

	(void)state;
	throttle_open(&t, 1);
	for (uint8_t host = 1; host < 100; host++)
		passed += throttle_take(&t, ipv6(1, host), 1000) == 0;
	assert_int_equal(passed, THROTTLE_PER_ADDRESS);
	assert_int_equal(throttle_take(&t, ipv6(2, 1), 1000), 0);
	/* Those of IPv4 are what they are. */
	for (unsigned i = 0; i < 2 * THROTTLE_PER_ADDRESS; i++)
		assert_int_equal(throttle_take(&t, mapped[i % 2], 1000), 0);
	assert_true(throttle_take(&t, mapped[0], 1000) > 0);
}

/* Strangers use up all tries there are: who has shown the right password may log in again. */
static void the_known_are_not_shut_out(void **state)
{
	(void)state;
	throttle_open(&t, 1);
	assert_int_equal(throttle_take(&t, address(1), 1000), 0);
	throttle_give(&t, address(1), 1000);
	for (unsigned who = 10; who < 200; who++)
		(void)tries(who, 5, 2000);
	assert_true(throttle_take(&t, address(2), 2000) > 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(throttle_take(&t, address(1), 2000), 0);
		throttle_give(&t, address(1), 2000);
	}
	/* That gives nobody else a try. */
	assert_true(throttle_take(&t, address(2), 2000) > 0);
	/* Its own guesses are counted as those of others. */
	assert_int_equal(tries(1, 20, 2000), THROTTLE_PER_ADDRESS);
	assert_true(throttle_take(&t, address(1), 2000) > 0);
	/* Of those many the ones that were seen last are known, for a day. */
	throttle_open(&t, 1);
	for (unsigned who = 1; who <= THROTTLE_KNOWN + 1; who++) {
		assert_int_equal(throttle_take(&t, address(who), 1000 + who), 0);
		throttle_give(&t, address(who), 1000 + who);
	}
	for (unsigned who = 100; who < 300; who++)
		(void)tries(who, 5, 2000);
	assert_true(throttle_take(&t, address(1), 2000) > 0);
	assert_int_equal(throttle_take(&t, address(2), 2000), 0);
	for (unsigned who = 100; who < 300; who++)
		(void)tries(who, 5, 2000 + THROTTLE_KNOWN_MS);
	assert_true(throttle_take(&t, address(3), 2000 + THROTTLE_KNOWN_MS) > 0);
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
	    cmocka_unit_test(a_network_is_one),
	    cmocka_unit_test(the_known_are_not_shut_out),
	    cmocka_unit_test(whatever_is_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
