/* Clock seam: the system clocks run, a source replaces them, NULL brings them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/clock.h"

static int64_t seven(void *ctx)
{
	return *(int64_t *)ctx;
}

static int64_t minus_seven(void *ctx)
{
	return -*(int64_t *)ctx;
}

static void test_system_clocks(void **state)
{
	(void)state;
	int64_t before = bf_mono_ns();
	assert_true(bf_mono_ns() >= before);
	assert_true(before > 0);
	int64_t apart = bf_wall_ms() / 1000 - (int64_t)time(NULL);
	assert_true(apart >= -2 && apart <= 2);
}

static void test_source_is_replaced_and_restored(void **state)
{
	int64_t now = 7000000;
	struct bf_clock_source source = {.mono_ns = seven, .wall_ns = minus_seven, .ctx = &now};

	(void)state;
	bf_clock_set_source(&source);
	assert_int_equal(bf_mono_ns(), 7000000);
	assert_int_equal(bf_mono_ms(), 7);
	assert_int_equal(bf_wall_ns(), -7000000);
	now = 9000000;
	assert_int_equal(bf_mono_ms(), 9);
	assert_int_equal(bf_mono_coarse_ms(), 9);
	assert_int_equal(bf_boot_ns() / 1000000, 9);
	bf_clock_set_source(NULL);
	assert_true(bf_wall_ns() > 0);
}

/* Behind the fine one by a tick at most, and never before it. */
static void test_time_since_boot_follows(void **state)
{
	(void)state;
	/* Never behind the other: it counts the sleep of the machine too. */
	for (int i = 0; i < 100; i++) {
		int64_t mono = bf_mono_ns(), boot = bf_boot_ns();

		assert_true(boot >= mono);
		assert_true(bf_boot_ns() >= boot);
	}
}

static void test_coarse_time_follows(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t before = bf_mono_ms(), coarse = bf_mono_coarse_ms();
		assert_true(coarse <= bf_mono_ms());
		/* A tick later, or when the host lets the processor tick again. */
		while (bf_mono_coarse_ms() < before)
			assert_true(bf_mono_ms() < before + 20000);
	}
}

static void test_a_turn_stands_still(void **state)
{
	const struct timespec t = {0, 30000000};

	(void)state;
	bf_clock_turn_end();
	bf_clock_turn_begin();
	int64_t begun = bf_mono_coarse_ms();
	assert_int_equal(nanosleep(&t, NULL), 0);
	assert_int_equal(bf_mono_coarse_ms(), begun);
	bf_clock_turn_end();
	while (bf_mono_coarse_ms() <= begun)
		assert_true(bf_mono_ms() < begun + 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_time_since_boot_follows),
	    cmocka_unit_test(test_coarse_time_follows),
	    cmocka_unit_test(test_a_turn_stands_still),
	    cmocka_unit_test(test_system_clocks),
	    cmocka_unit_test(test_source_is_replaced_and_restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
