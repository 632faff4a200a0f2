/* One limit: identities that must never change, epochs, ends and lengths of windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/govern/plan.h"

#define DAY_MS INT64_C(86400000)
#define NOW_MS INT64_C(1795255200000) /* 2026-11-21T10:00:00Z, a Saturday */

static struct bf_limit limit_of(enum bf_quantity quantity, struct bf_window w)
{
	return (struct bf_limit){.quantity = quantity,
				 .window = w,
				 .owner = BF_OWNER_VIRTUAL_KEY,
				 .owner_id = BF_SLICE_LIT("vk-1"),
				 .limit_id = BF_SLICE_LIT("b-1")};
}

/* Computed by an implementation of its own from the text of plan.h. A store somewhere holds totals
 * under such numbers: a change here forgets what was used. */
static void identities_for_ever(void **state)
{
	static const struct bf_window hour = {.kind = BF_WINDOW_ROLLING, .length_ms = 3600000};
	static const struct bf_window month = {.kind = BF_WINDOW_MONTH};
	static const struct bf_window quarter = {.kind = BF_WINDOW_QUARTER,
						 .quarter_start_month = 2};
	struct bf_window anchored = hour;
	struct bf_limit endless = limit_of(BF_QUANTITY_CONCURRENT, hour);

	(void)state;
	anchored.anchor_ms = 1500;
	endless.endless = true;
	const struct {
		struct bf_limit limit;
		uint64_t identity;
	} cases[] = {
	    {limit_of(BF_QUANTITY_REQUESTS, hour), UINT64_C(0x26f2d166a9c52647)},
	    {limit_of(BF_QUANTITY_TOKENS, hour), UINT64_C(0x73dd3070c19855db)},
	    {endless, UINT64_C(0x3fa7f2acee4f30b8)},
	    {limit_of(BF_QUANTITY_NUSD, month), UINT64_C(0x0b3b83c53ac8db90)},
	    {limit_of(BF_QUANTITY_NUSD, quarter), UINT64_C(0x6ab3f7e5177c9a62)},
	    {limit_of(BF_QUANTITY_NUSD, anchored), UINT64_C(0x107c5f5ab07d0f0a)},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++)
		assert_true(bf_limit_identity(&cases[i].limit) == cases[i].identity);
}

static void what_an_identity_depends_on(void **state)
{
	struct bf_window hour = {.kind = BF_WINDOW_ROLLING, .length_ms = 3600000};
	struct bf_window quarter = {.kind = BF_WINDOW_QUARTER, .quarter_start_month = 1};
	struct bf_limit a = limit_of(BF_QUANTITY_TOKENS, hour), b = a;

	(void)state;
	/* The maximum, the names, and what has no meaning for the kind of window. */
	b.max = 77;
	b.owner_name = BF_SLICE_LIT("other");
	b.reset = BF_SLICE_LIT("60m");
	b.window.quarter_start_month = 3;
	assert_true(bf_limit_identity(&a) == bf_limit_identity(&b));
	b.owner_id = BF_SLICE_LIT("vk-2");
	assert_true(bf_limit_identity(&a) != bf_limit_identity(&b));
	b = a;
	b.limit_id = BF_SLICE_LIT("b-2");
	assert_true(bf_limit_identity(&a) != bf_limit_identity(&b));
	b = a;
	b.owner = BF_OWNER_TEAM;
	assert_true(bf_limit_identity(&a) != bf_limit_identity(&b));
	/* No text runs into the next. */
	a.owner_id = BF_SLICE_LIT("x"), a.limit_id = BF_SLICE_LIT("yz");
	b = a;
	b.owner_id = BF_SLICE_LIT("xy"), b.limit_id = BF_SLICE_LIT("z");
	assert_true(bf_limit_identity(&a) != bf_limit_identity(&b));
	/* January, April, July and October begin the same quarters. */
	a = limit_of(BF_QUANTITY_NUSD, quarter);
	b = a;
	for (uint32_t month = 0; month <= 12; month++) {
		b.window.quarter_start_month = month;
		assert_int_equal(bf_limit_identity(&a) == bf_limit_identity(&b),
				 month == 0 || month % 3 == 1);
	}
}

/* It stands in stores too. */
static void what_it_is_about(void **state)
{
	struct bf_limit a = {.rows = {.provider = BF_SLICE_LIT("p"), .model = BF_SLICE_LIT("m")}};
	struct bf_limit b = a;

	(void)state;
	b.owner_id = BF_SLICE_LIT("x");
	assert_true(bf_limit_about(&a) == bf_limit_about(&b));
	b.rows.model = BF_SLICE_LIT("n");
	assert_true(bf_limit_about(&a) != bf_limit_about(&b));
	b.rows = (struct bf_limit_rows){.provider = BF_SLICE_LIT("pm")};
	assert_true(bf_limit_about(&a) != bf_limit_about(&b));
	b.rows = (struct bf_limit_rows){.model = BF_SLICE_LIT("p"), .provider = BF_SLICE_LIT("m")};
	assert_true(bf_limit_about(&a) != bf_limit_about(&b));
}

static void epochs(void **state)
{
	struct bf_window second = {.kind = BF_WINDOW_ROLLING, .length_ms = 1000};
	struct bf_limit l = limit_of(BF_QUANTITY_REQUESTS, second);
	int64_t index = NOW_MS / 1000;

	(void)state;
	assert_int_equal(bf_limit_window(&l, NOW_MS), index);
	assert_int_equal(bf_limit_epoch(&l, NOW_MS), index & 0xffffff);
	/* Half of the numbers lie behind, half ahead, whichever side of a turn the moment is on. */
	for (int64_t base = (index | 0xffffff) - 2; base <= (index | 0xffffff) + 2; base++) {
		for (int64_t d = -0x7fffff; d <= 0x7fffff; d += 0x3fffff + (d == 0))
			assert_int_equal(
			    bf_limit_window_of(&l, (uint32_t)((uint64_t)(base + d) & 0xffffff),
					       base * 1000 + 999),
			    base + d);
	}
	assert_int_equal(bf_limit_window_of(&l, 0xffffff, 0), -1);
	assert_int_equal(bf_limit_window(&l, -1), -1);
	assert_int_equal(bf_limit_epoch(&l, -1), 0xffffff);
	l.endless = true;
	assert_int_equal(bf_limit_window(&l, NOW_MS), 0);
	assert_int_equal(bf_limit_epoch(&l, NOW_MS), 0);
	assert_int_equal(bf_limit_window_of(&l, 0, NOW_MS), 0);
	assert_int_equal(bf_window_nearest(0x1000000, 0xffffff), 0xffffff);
	assert_int_equal(bf_window_nearest(0xffffff, 0), 0x1000000);
}

/* A clock that was set back: the meter goes on with the window that it is in, for some windows. */
static void what_a_meter_counts(void **state)
{
	struct bf_window second = {.kind = BF_WINDOW_ROLLING, .length_ms = 1000};
	struct bf_limit l = limit_of(BF_QUANTITY_REQUESTS, second);
	int64_t turn = 0xffffff; /* the last before epochs begin anew */

	(void)state;
	for (int64_t base = turn - 20; base <= turn + 20; base++) {
		for (int64_t d = -20; d <= 20; d++)
			assert_int_equal(
			    bf_limit_window_counted(&l, (uint32_t)(base + d) & BF_EPOCH_MASK,
						    base * 1000 + 999),
			    d >= 0 && d <= (int64_t)BF_EPOCH_AHEAD ? base + d : base);
	}
	assert_int_equal(bf_limit_window_end_ms(&l, turn), (turn + 1) * 1000);
	l.endless = true;
	assert_int_equal(bf_limit_window_counted(&l, 3, NOW_MS), 0);
	assert_true(bf_limit_window_end_ms(&l, 0) == INT64_MAX);
}

static void ends_and_lengths(void **state)
{
	static const struct {
		struct bf_window window;
		int64_t ends_ms, length_ms;
	} cases[] = {
	    {{.kind = BF_WINDOW_ROLLING, .length_ms = 7000, .anchor_ms = 6999},
	     NOW_MS + 7000 - (NOW_MS - 6999) % 7000,
	     7000},
	    {{.kind = BF_WINDOW_DAY}, NOW_MS / DAY_MS * DAY_MS + DAY_MS, DAY_MS},
	    {{.kind = BF_WINDOW_WEEK}, INT64_C(1795392000000), 7 * DAY_MS},   /* November 23 */
	    {{.kind = BF_WINDOW_MONTH}, INT64_C(1796083200000), 28 * DAY_MS}, /* December 1 */
	    {{.kind = BF_WINDOW_QUARTER}, INT64_C(1798761600000), 90 * DAY_MS},
	    {{.kind = BF_WINDOW_QUARTER, .quarter_start_month = 11},
	     INT64_C(1801440000000), /* February 1 */
	     89 * DAY_MS},
	    {{.kind = BF_WINDOW_QUARTER, .quarter_start_month = 12},
	     INT64_C(1796083200000),
	     90 * DAY_MS},
	    {{.kind = BF_WINDOW_YEAR}, INT64_C(1798761600000), 365 * DAY_MS},
	};
	struct bf_limit endless = {.endless = true};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct bf_limit l = limit_of(BF_QUANTITY_TOKENS, cases[i].window);
		int64_t index = bf_window_index(&l.window, NOW_MS) - 500;

		assert_int_equal(bf_limit_ends_ms(&l, NOW_MS), cases[i].ends_ms);
		assert_int_equal(bf_limit_length_ms(&l), cases[i].length_ms);
		/* The shortest of a thousand, and no shorter. */
		int64_t least = INT64_MAX;
		for (int64_t k = index; k < index + 1000; k++)
			least = BF_MIN(least, bf_window_start_ms(&l.window, k + 1) -
						  bf_window_start_ms(&l.window, k));
		assert_int_equal(least, cases[i].length_ms);
	}
	assert_true(bf_limit_ends_ms(&endless, NOW_MS) == INT64_MAX);
	assert_true(bf_limit_length_ms(&endless) == INT64_MAX);
}

static void what_an_override_adds(void **state)
{
	struct bf_limit limit =
	    limit_of(BF_QUANTITY_NUSD, (struct bf_window){.kind = BF_WINDOW_DAY});
	int64_t day = bf_limit_window(&limit, NOW_MS);

	(void)state;
	limit.max = 100;
	assert_int_equal(bf_limit_max_at(&limit, NOW_MS), 100);
	assert_int_equal(bf_limit_extra_windows(&limit, NOW_MS), 0);
	limit.extra = 40;
	limit.extra_end_ms = bf_limit_window_end_ms(&limit, day + 2);
	assert_int_equal(bf_limit_max_at(&limit, NOW_MS), 140);
	assert_int_equal(bf_limit_extra_windows(&limit, NOW_MS), 3);
	assert_int_equal(bf_limit_extra_windows(&limit, NOW_MS + 2 * DAY_MS), 1);
	assert_int_equal(bf_limit_max_at(&limit, limit.extra_end_ms - 1), 140);
	assert_int_equal(bf_limit_max_at(&limit, limit.extra_end_ms), 100);
	assert_int_equal(bf_limit_extra_windows(&limit, limit.extra_end_ms), 0);
	/* One that is still to come. */
	limit.extra_begin_ms = NOW_MS + DAY_MS;
	assert_int_equal(bf_limit_max_at(&limit, NOW_MS), 100);
	assert_int_equal(bf_limit_max_at(&limit, NOW_MS + DAY_MS), 140);
	assert_int_equal(bf_limit_extra_windows(&limit, NOW_MS), 2);
	limit.extra_begin_ms = 0;
	limit.extra_end_ms = INT64_MAX;
	assert_int_equal(bf_limit_max_at(&limit, NOW_MS + 1000 * DAY_MS), 140);
	assert_int_equal(bf_limit_extra_windows(&limit, NOW_MS), 0);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(bf_quantity_name(BF_QUANTITY_REQUESTS), "requests");
	assert_string_equal(bf_quantity_name(BF_QUANTITY_TOKENS), "tokens");
	assert_string_equal(bf_quantity_name(BF_QUANTITY_CONCURRENT), "concurrent_requests");
	assert_string_equal(bf_quantity_name(BF_QUANTITY_NUSD), "cost");
	assert_null(bf_quantity_name((enum bf_quantity)0));
	assert_null(bf_quantity_name((enum bf_quantity)9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(identities_for_ever),   cmocka_unit_test(what_an_identity_depends_on),
	    cmocka_unit_test(what_it_is_about),      cmocka_unit_test(epochs),
	    cmocka_unit_test(what_a_meter_counts),   cmocka_unit_test(ends_and_lengths),
	    cmocka_unit_test(what_an_override_adds), cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
