/* Signs of life: as often as they are wanted, whoever listens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/pulse.h"

static int64_t now_ns;

static int64_t fake_clock(void *ctx)
{
	(void)ctx;
	return now_ns += INT64_C(100000000);
}

static void count(void *owner)
{
	++*(unsigned *)owner;
}

static void as_often_as_wanted(void **state)
{
	static const struct bf_clock_source source = {fake_clock, fake_clock, NULL};
	unsigned heard = 0;

	(void)state;
	bf_clock_set_source(&source);
	bf_pulse_to(count, &heard);
	for (unsigned i = 0; i < 100; i++)
		bf_pulse();
	assert_int_equal(heard, 100 / (BF_PULSE_MS / 100));
	bf_pulse_to(NULL, NULL);
	for (unsigned i = 0; i < 100; i++)
		bf_pulse();
	assert_int_equal(heard, 100 / (BF_PULSE_MS / 100));
	bf_clock_set_source(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(as_often_as_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
