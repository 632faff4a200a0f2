/* The fetched price sheet in a snapshot: its head, its pieces, what is missing, what changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/prices_of.h"

static struct bf_arena arena;

static int set_up(void **state)
{
	(void)state;
	bf_arena_init(&arena, 64u << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

static void numbers_of_pieces(void **state)
{
	char id[16];

	(void)state;
	assert_true(bf_slice_is(bf_price_piece_id(0, id), "0"));
	assert_true(bf_slice_is(bf_price_piece_id(63, id), "63"));
	assert_true(bf_slice_is(bf_price_piece_id(UINT32_MAX, id), "4294967295"));
}

static void all_entries_in_their_order(void **state)
{
	struct bf_snapshot_blob *blob = prices_of(1, 9000, 0);
	const struct bf_snapshot s = {blob, NULL};
	const struct bf_conf_sheet_price *items;
	struct bf_price_piece head;
	struct bf_array entries;

	(void)state;
	assert_true(bf_snapshot_price_head(&s, &arena, &head));
	assert_true(head.models == 9000 && head.pieces > 1);
	assert_int_equal(bf_snapshot_prices(&s, &arena, &entries, NULL), 0);
	bf_snapshot_unmap(blob);
	items = entries.items;
	assert_int_equal(entries.count, 9000);
	for (uint32_t i = 0; i < entries.count; i++)
		assert_int_equal(items[i].price.token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN], i);
	assert_true(bf_slice_is(items[8999].key, "p/m8999"));
}

static void none_and_half(void **state)
{
	struct bf_snapshot_blob *none = snapshot_of_end(snapshot_of_begin(false, 1));
	struct bf_snapshot_blob *half = prices_of(1, 9000, 1);
	const struct bf_snapshot s = {none, NULL}, t = {half, NULL};
	struct bf_err err = {.code = 0};
	struct bf_price_piece head;
	struct bf_array entries;

	(void)state;
	assert_false(bf_snapshot_price_head(&s, &arena, &head));
	assert_int_equal(bf_snapshot_prices(&s, &arena, &entries, NULL), 0);
	assert_int_equal(entries.count, 0);
	assert_int_equal(bf_snapshot_prices(&t, &arena, &entries, &err), BF_E_MISSING);
	assert_int_equal(entries.count, 0);
	assert_true(err.text[0] != '\0');
	bf_snapshot_unmap(none);
	bf_snapshot_unmap(half);
}

static void the_mark(void **state)
{
	struct bf_snapshot_blob *none = snapshot_of_end(snapshot_of_begin(false, 1));
	struct bf_snapshot_blob *a = prices_of(1, 9000, 0), *b = prices_of(2, 9000, 0);
	struct bf_snapshot_blob *half = prices_of(1, 9000, 1);
	const struct bf_snapshot in_none = {none, NULL}, in_a = {a, NULL}, in_b = {b, NULL};
	const struct bf_snapshot in_half = {half, NULL};

	(void)state;
	assert_int_equal(bf_snapshot_price_mark(&in_none), 0);
	assert_true(bf_snapshot_price_mark(&in_a) == bf_snapshot_price_mark(&in_a));
	assert_true(bf_snapshot_price_mark(&in_a) != bf_snapshot_price_mark(&in_b));
	assert_true(bf_snapshot_price_mark(&in_a) != bf_snapshot_price_mark(&in_half));
	bf_snapshot_unmap(none);
	bf_snapshot_unmap(a);
	bf_snapshot_unmap(b);
	bf_snapshot_unmap(half);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(numbers_of_pieces),
	    TEST(all_entries_in_their_order),
	    TEST(none_and_half),
	    TEST(the_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
