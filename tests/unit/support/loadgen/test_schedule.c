/* Intended times: never early, no drift however long, due and time agree to the nanosecond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "tests/support/loadgen/schedule.h"

#define MICRO 1000000ull

static void test_due_is_the_inverse(void **state)
{
	static const uint64_t rates[] = {
	    1,           MICRO / 2,     MICRO,          3 * MICRO,     7 * MICRO,
	    997 * MICRO, 10000 * MICRO, 333333 * MICRO, 1234567890ull, 999999 * MICRO};

	(void)state;
	for (size_t r = 0; r < BF_ARRAY_LEN(rates); r++) {
		struct schedule s = {123456789, rates[r]};

		for (uint64_t i = 0; i < 5000; i += i < 100 ? 1 : 97) {
			int64_t at = schedule_time_ns(&s, i);

			assert_int_equal(schedule_due(&s, at), i + 1);
			assert_int_equal(schedule_due(&s, at - 1), i);
		}
	}
}

static void test_no_drift(void **state)
{
	struct schedule s = {0, 3 * MICRO};

	(void)state;
	/* A third of a second cannot be told in nanoseconds, a thousand million of them can. */
	assert_int_equal(schedule_time_ns(&s, 1), 333333334);
	assert_int_equal(schedule_time_ns(&s, 3), 1000000000);
	assert_int_equal(schedule_time_ns(&s, 3000000000ull), 1000000000000000000ll);
}

static void test_before_the_start(void **state)
{
	struct schedule s = {1000, MICRO};

	(void)state;
	assert_int_equal(schedule_due(&s, 999), 0);
	assert_int_equal(schedule_due(&s, 1000), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_due_is_the_inverse),
	    cmocka_unit_test(test_no_drift),
	    cmocka_unit_test(test_before_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
