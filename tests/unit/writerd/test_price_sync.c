/* When the price sheet is looked at; what comes of it is tested by real processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "writerd/price_sync.h"

static void it_is_time(void **state)
{
	const int64_t day = 86400000, now = 1000 * day;

	(void)state;
	assert_true(price_sync_is_due(now, 0, day, 0));
	assert_false(price_sync_is_due(now, now, day, 0));
	assert_false(price_sync_is_due(now, now - day + 1, day, 0));
	assert_true(price_sync_is_due(now, now - day, day, 0));
	assert_false(price_sync_is_due(now, now - day, day, 1));
	assert_true(price_sync_is_due(now, now - day - 1, day, 1));
	/* A clock that was set back a little, and by far. */
	assert_false(price_sync_is_due(now, now + day, day, 0));
	assert_true(price_sync_is_due(now, now + day + 1, day, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_time)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
