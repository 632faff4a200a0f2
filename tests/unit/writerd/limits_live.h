/* Limits that follow entities while they change. For the tests of that only. */
#pragma once

#include "tests/unit/writerd/limits_bed.h"

static struct limits l;

/* With vk-1 alone. */
static inline int begin(void **state)
{
	struct bf_config one = config_of(1);

	if (setup(state) < 0)
		return -1;
	rows_of_two = 0;
	start(&l, &one, store);
	return 0;
}

static inline int end(void **state)
{
	limits_done(&l);
	return teardown(state);
}

#define LIVE_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

static inline void change(uint32_t type, const void *object, const char *id)
{
	put_entity(type, object);
	limits_change(&l, type, bf_slice_from(id));
}

static inline void drop(uint32_t type, const char *id)
{
	take_entity(type, id);
	limits_change(&l, type, bf_slice_from(id));
}

static inline void two_comes(void)
{
	change(BF_ENTITY_VIRTUAL_KEY, &keys[1], "vk-2");
	limits_settle(&l);
}

static inline int64_t watched(void)
{
	return crafted_number(&c, "SELECT count(*) FROM meter_watched");
}
