/* Throttle: 50 a second per event, the held ones told once, many events, a clock that steps back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/log/throttle.h"

static int admitted(struct log_throttle *t, const char *event, int level, int64_t now_ms, int times)
{
	int n = 0;

	for (int i = 0; i < times; i++)
		n += log_throttle_admit(t, event, level, now_ms);
	return n;
}

static void test_fifty_pass_and_the_rest_is_told_once(void **state)
{
	static struct log_throttle t;
	struct log_held held;

	(void)state;
	assert_int_equal(admitted(&t, "a", 1, 5000, 50), 50);
	assert_int_equal(admitted(&t, "a", 1, 5000, 30), 0);
	assert_int_equal(admitted(&t, "a", 3, 5500, 1), 0);
	assert_int_equal(admitted(&t, "a", 2, 5999, 1), 0);
	assert_int_equal(admitted(&t, "b", 1, 5999, 1), 1);
	assert_false(log_throttle_next_held(&t, 5999, &held));
	assert_true(log_throttle_next_held(&t, 6000, &held));
	assert_string_equal(held.event, "a");
	assert_int_equal(held.count, 32);
	assert_int_equal(held.level, 3);
	assert_false(log_throttle_next_held(&t, 6000, &held));
	assert_int_equal(admitted(&t, "a", 1, 6000, 60), 50);
}

static void test_a_count_that_nobody_took_is_kept(void **state)
{
	static struct log_throttle t;
	struct log_held held;

	(void)state;
	assert_int_equal(admitted(&t, "a", 1, 0, 60), 50);
	/* The window is over, but its count is not told yet: still held back, still counted. */
	assert_int_equal(admitted(&t, "a", 1, 1500, 5), 0);
	assert_true(log_throttle_next_held(&t, 1500, &held));
	assert_int_equal(held.count, 15);
	assert_int_equal(admitted(&t, "a", 1, 1500, 5), 5);
}

static void test_more_events_than_entries(void **state)
{
	static struct log_throttle t;
	struct log_held held;
	char name[32];
	int passed = 0;
	uint32_t told = 0;

	(void)state;
	for (int i = 0; i < LOG_THROTTLE_EVENTS + 100; i++) {
		(void)snprintf(name, sizeof(name), "event_%d", i);
		passed += admitted(&t, name, 1, 100, 2);
	}
	assert_int_equal(passed, 2 * LOG_THROTTLE_EVENTS + LOG_THROTTLE_PER_SECOND);
	while (log_throttle_next_held(&t, 1100, &held)) {
		assert_string_equal(held.event, "other_events");
		told += held.count;
	}
	assert_int_equal(told, 150);
	/* Idle entries are taken over in the next second. */
	assert_int_equal(admitted(&t, "fresh", 1, 1100, 60), 50);
}

static void test_held_entries_are_never_taken_over(void **state)
{
	static struct log_throttle t;
	struct log_held held;
	char name[32];
	uint32_t told = 0;

	(void)state;
	for (int i = 0; i < LOG_THROTTLE_EVENTS; i++) {
		(void)snprintf(name, sizeof(name), "event_%d", i);
		(void)admitted(&t, name, 1, 0, 51);
	}
	(void)admitted(&t, "another", 1, 5000, 1);
	while (log_throttle_next_held(&t, 5000, &held))
		told += held.count;
	assert_int_equal(told, LOG_THROTTLE_EVENTS);
}

static void test_clock_steps_back(void **state)
{
	static struct log_throttle t;
	struct log_held held;

	(void)state;
	assert_int_equal(admitted(&t, "a", 1, 1000000, 60), 50);
	assert_true(log_throttle_next_held(&t, 10, &held));
	assert_int_equal(held.count, 10);
	assert_int_equal(admitted(&t, "a", 1, 10, 1), 1);
}

static void test_long_names_are_cut_alike(void **state)
{
	static struct log_throttle t;
	char name[200];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(admitted(&t, name, 1, 0, 60), 50);
	assert_int_equal(admitted(&t, "n", 1, 0, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fifty_pass_and_the_rest_is_told_once),
	    cmocka_unit_test(test_a_count_that_nobody_took_is_kept),
	    cmocka_unit_test(test_more_events_than_entries),
	    cmocka_unit_test(test_held_entries_are_never_taken_over),
	    cmocka_unit_test(test_clock_steps_back),
	    cmocka_unit_test(test_long_names_are_cut_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
