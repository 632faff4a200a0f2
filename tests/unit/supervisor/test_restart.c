/* Pauses before a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/restart.h"

static void test_at_once_after_a_second_of_service(void **state)
{
	struct restart r = {.failures = 0};

	(void)state;
	assert_int_equal(restart_after_end(&r, 1001), 0);
	assert_int_equal(restart_after_end(&r, 3600000), 0);
	assert_int_equal(r.failures, 0);
}

static void test_doubles_up_to_the_cap(void **state)
{
	static const int64_t waits[] = {100,  200,   400,   800,   1600, 3200,
					6400, 12800, 25600, 30000, 30000};
	struct restart r = {.failures = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		assert_int_equal(restart_after_end(&r, -1), waits[i]);
	r.failures = UINT32_MAX;
	assert_int_equal(restart_after_end(&r, -1), 30000);
	assert_int_equal(r.failures, UINT32_MAX);
}

static void test_a_short_service_is_a_failure(void **state)
{
	struct restart r = {.failures = 0};

	(void)state;
	assert_int_equal(restart_after_end(&r, 0), 100);
	assert_int_equal(restart_after_end(&r, 1000), 200);
	assert_int_equal(restart_after_end(&r, 1001), 0);
	assert_int_equal(restart_after_end(&r, -1), 100);
}

static void test_loop_is_told_and_forgotten(void **state)
{
	struct restart r = {.failures = 0};

	(void)state;
	for (unsigned i = 0; i < RESTART_LOOP_FAILURES; i++) {
		assert_false(restart_is_loop(&r));
		(void)restart_after_end(&r, -1);
	}
	assert_true(restart_is_loop(&r));
	restart_still_ready(&r, 1000);
	assert_true(restart_is_loop(&r));
	restart_still_ready(&r, 1001);
	assert_false(restart_is_loop(&r));
	(void)restart_after_end(&r, -1);
	restart_forgive(&r);
	assert_int_equal(restart_after_end(&r, -1), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_at_once_after_a_second_of_service),
	    cmocka_unit_test(test_doubles_up_to_the_cap),
	    cmocka_unit_test(test_a_short_service_is_a_failure),
	    cmocka_unit_test(test_loop_is_told_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
