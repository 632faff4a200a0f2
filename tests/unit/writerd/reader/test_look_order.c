/* How many entities can be sorted, and that the answer for one more is that they are too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "writerd/reader/look_order.h"

static void as_many_as_there_may_be(void **state)
{
	struct bf_entity e = {.id = BF_SLICE_LIT("same")};
	struct look_order o = {.count = 0};

	(void)state;
	look_order_sort(&o, BF_ORDER_NAME, false);
	for (uint32_t i = 0; i < LOOK_ORDER_MAX; i++)
		assert_int_equal(look_order_add(&o, &e, (int64_t)(i * 7919u % LOOK_ORDER_MAX)), 0);
	assert_int_equal(look_order_add(&o, &e, 0), BF_E_FULL);
	assert_int_equal(o.count, LOOK_ORDER_MAX);
	look_order_sort(&o, BF_ORDER_CREATED_AT, false);
	for (uint32_t i = 0; i < LOOK_ORDER_MAX; i++)
		assert_int_equal(o.items[i].number, i);
	look_order_sort(&o, BF_ORDER_CREATED_AT, true);
	assert_int_equal(o.items[0].number, LOOK_ORDER_MAX - 1);
	look_order_done(&o);
	assert_int_equal(o.count, 0);
	assert_int_equal(look_order_add(&o, &e, 1), 0);
	look_order_done(&o);
}

static void names_and_ids(void **state)
{
	static const struct bf_entity entities[] = {
	    {.name = BF_SLICE_INIT("b"), .id = BF_SLICE_INIT("2")},
	    {.name = BF_SLICE_INIT("b"), .id = BF_SLICE_INIT("1")},
	    {.name = BF_SLICE_INIT("ba"), .id = BF_SLICE_INIT("0")},
	    {.name = {NULL, 0}, .id = BF_SLICE_INIT("3")},
	};
	struct look_order o = {.count = 0};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(look_order_add(&o, &entities[i], 0), 0);
	for (unsigned down = 0; down < 2; down++) {
		const char *ids = down ? "0123" : "3120";

		look_order_sort(&o, BF_ORDER_NAME, down);
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(o.items[i].id.ptr[0], ids[i]);
	}
	look_order_done(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(as_many_as_there_may_be),
	    cmocka_unit_test(names_and_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
