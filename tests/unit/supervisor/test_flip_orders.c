/* Flips: every order of few events and long random histories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flip_world.h"

static uint64_t histories;

static void all_orders(const struct world *before, unsigned depth)
{
	for (unsigned h = 0; h < HAPPENINGS; h++) {
		struct world w = *before;

		if (!happens(&w, h))
			continue;
		histories++;
		if (depth > 1)
			all_orders(&w, depth - 1);
		else
			settle(&w);
	}
}

static void test_every_order_of_few_events(void **state)
{
	struct world w;

	(void)state;
	begin_world(&w, 7);
	all_orders(&w, 6);
	serving(&w, 7);
	all_orders(&w, 6);
	assert_true(happens(&w, BASE) && happens(&w, OVERLAY));
	all_orders(&w, 6);
	print_message("%llu histories\n", (unsigned long long)histories);
}

static void test_long_histories(void **state)
{
	unsigned seed = 1, flips = 0, kills = 0, refused = 0;

	(void)state;
	for (int run = 0; run < 400; run++) {
		struct world w;

		begin_world(&w, (uint64_t)run);
		for (int step = 0; step < 300; step++) {
			unsigned h = (unsigned)rand_r(&seed) % (2 * HAPPENINGS);

			/* What makes it go on is likelier. */
			if (h >= HAPPENINGS)
				h = h % 3 ? (h % PROCS) * EVENTS_OF_A_PROC + TAKES : OVERLAY;
			(void)happens(&w, h);
		}
		settle(&w);
		flips += w.flips;
		kills += w.kills;
		refused += w.refused;
	}
	assert_true(flips > 1000 && kills > 100 && refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_order_of_few_events),
	    cmocka_unit_test(test_long_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
