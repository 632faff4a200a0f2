/* When a draining worker may leave: every order of ends, by a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/front/drain.h"

static void waits_while_off(void **state)
{
	struct drain d = {0};

	(void)state;
	assert_int_equal(drain_next(&d, 1000000, 0, 0), DRAIN_WAIT);
}

static void done_at_once_without_connections(void **state)
{
	struct drain d;

	(void)state;
	drain_begin(&d, 60000);
	assert_int_equal(drain_next(&d, 0, 0, 0), DRAIN_DONE);
}

static void idle_connections_get_the_grace(void **state)
{
	struct drain d;

	(void)state;
	drain_begin(&d, 60000);
	assert_int_equal(drain_next(&d, 100, 0, 2), DRAIN_WAIT);
	assert_int_equal(drain_next(&d, 100 + DRAIN_GRACE_MS - 1, 0, 2), DRAIN_WAIT);
	assert_int_equal(drain_next(&d, 100 + DRAIN_GRACE_MS, 0, 2), DRAIN_CLOSE_IDLE);
	assert_int_equal(drain_next(&d, 100 + DRAIN_GRACE_MS, 0, 0), DRAIN_DONE);
}

static void a_shorter_idle_timeout_is_the_grace(void **state)
{
	struct drain d;

	(void)state;
	drain_begin(&d, 200);
	assert_int_equal(drain_next(&d, 0, 0, 1), DRAIN_WAIT);
	assert_int_equal(drain_next(&d, 199, 0, 1), DRAIN_WAIT);
	assert_int_equal(drain_next(&d, 200, 0, 1), DRAIN_CLOSE_IDLE);
}

static void running_requests_hold_the_grace_back(void **state)
{
	struct drain d;

	(void)state;
	drain_begin(&d, 60000);
	for (int64_t t = 0; t < 80000; t += 1000)
		assert_int_equal(drain_next(&d, t, 1, 3), DRAIN_WAIT);
	assert_int_equal(drain_next(&d, 80000, 0, 4), DRAIN_WAIT);
	assert_int_equal(drain_next(&d, 80000 + DRAIN_GRACE_MS, 0, 4), DRAIN_CLOSE_IDLE);
}

/* A client that keeps asking on an idle connection must not prolong the drain for the others. */
static void the_grace_is_never_prolonged(void **state)
{
	struct drain d;

	(void)state;
	drain_begin(&d, 60000);
	assert_int_equal(drain_next(&d, 0, 0, 5), DRAIN_WAIT);
	assert_int_equal(drain_next(&d, 4000, 1, 4), DRAIN_WAIT);
	assert_int_equal(drain_next(&d, DRAIN_GRACE_MS, 1, 4), DRAIN_CLOSE_IDLE);
	assert_int_equal(drain_next(&d, DRAIN_GRACE_MS + 1, 1, 0), DRAIN_WAIT);
	assert_int_equal(drain_next(&d, DRAIN_GRACE_MS + 2, 0, 0), DRAIN_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(waits_while_off),
	    cmocka_unit_test(done_at_once_without_connections),
	    cmocka_unit_test(idle_connections_get_the_grace),
	    cmocka_unit_test(a_shorter_idle_timeout_is_the_grace),
	    cmocka_unit_test(running_requests_hold_the_grace_back),
	    cmocka_unit_test(the_grace_is_never_prolonged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
