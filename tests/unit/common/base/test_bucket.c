/* Buckets by the time: how many fit at once, how they come back, and that none is ever fuller than
 * full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/bucket.h"

#define STEP 100
#define ROOM (5 * STEP)

static int64_t full_ms;

static int take(int64_t now_ms)
{
	if (bf_bucket_lacks(full_ms, now_ms, STEP, ROOM) > 0)
		return 0;
	full_ms = bf_bucket_less(full_ms, now_ms, STEP);
	return 1;
}

static int take_all(int64_t now_ms)
{
	int n = 0;

	while (take(now_ms))
		n++;
	return n;
}

static void so_many_fit_at_once(void **state)
{
	(void)state;
	full_ms = 0;
	assert_int_equal(take_all(1000000), 5);
	assert_int_equal(bf_bucket_lacks(full_ms, 1000000, STEP, ROOM), STEP);
	assert_int_equal(bf_bucket_lacks(full_ms, 1000099, STEP, ROOM), 1);
	assert_int_equal(take_all(1000099), 0);
	assert_int_equal(take_all(1000100), 1);
	assert_int_equal(take_all(1000350), 2);
}

static void it_is_never_fuller_than_full(void **state)
{
	(void)state;
	full_ms = 0;
	assert_int_equal(take_all(0), 5);
	assert_int_equal(take_all(INT64_C(1) << 40), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(so_many_fit_at_once),
	    cmocka_unit_test(it_is_never_fuller_than_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
