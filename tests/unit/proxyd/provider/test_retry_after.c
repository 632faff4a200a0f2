/* Retry-After in its forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/provider/retry_after.h"

static void seconds(void **state BF_UNUSED)
{
	/* 784111777 is Sun, 06 Nov 1994 08:49:37 GMT. */
	static const struct {
		const char *value;
		int64_t now_s;
		unsigned expected;
	} list[] = {
	    {"7", 0, 7},
	    {"0", 0, 0},
	    {"86400", 0, 86400},
	    {"86401", 0, 86400},
	    {"18446744073709551615", 0, 86400},
	    {"99999999999999999999999", 0, 0},
	    {"-1", 0, 0},
	    {"", 0, 0},
	    {"soon", 0, 0},
	    {"1.5", 0, 0},
	    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 30, 30},
	    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777, 0},
	    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777 + 5, 0},
	    {"Sun, 06 Nov 1994 08:49:37 GMT", 0, 86400},
	    {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800 - 1, 1},
	    {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200 - 2, 2},
	    {"Thu, 01 Jan 1970 00:00:09 GMT", 0, 9},
	    {"Sat, 01 Jan 2000 00:00:00 GMT", 946684800 - 3, 3},
	    {"Sun, 06 Nov 1994 24:49:37 GMT", 784111777 - 30, 0},
	    {"Sun, 06 Foo 1994 08:49:37 GMT", 784111777 - 30, 0},
	    {"Sun, 00 Nov 1994 08:49:37 GMT", 784111777 - 30, 0},
	    {"Sun, 06 Nov 1994 08:49:37 CET", 784111777 - 30, 0},
	    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777 - 30, 0},
	    {"Sun, 06 Nov 1994 08:49:3x GMT", 784111777 - 30, 0},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		unsigned got = retry_after_seconds(bf_slice_from(list[i].value), list[i].now_s);
		if (got != list[i].expected)
			fail_msg("%s: %u", list[i].value, got);
	}
}

static void milliseconds(void **state BF_UNUSED)
{
	assert_int_equal(retry_after_ms_seconds(BF_SLICE_LIT("1")), 1);
	assert_int_equal(retry_after_ms_seconds(BF_SLICE_LIT("1000")), 1);
	assert_int_equal(retry_after_ms_seconds(BF_SLICE_LIT("1001")), 2);
	assert_int_equal(retry_after_ms_seconds(BF_SLICE_LIT("18446744073709551615")), 86400);
	assert_int_equal(retry_after_ms_seconds(BF_SLICE_LIT("0")), 0);
	assert_int_equal(retry_after_ms_seconds(BF_SLICE_LIT("x")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(seconds),
	    cmocka_unit_test(milliseconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
