/* Prices that were fetched, out of snapshots: whole ones, none, halves, and what is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/pricelist.h"
#include "tests/support/prices_of.h"

static int64_t price_of(const struct pricelist *list, const char *model)
{
	const struct bf_conf_governance none = {.virtual_keys = {NULL, 0}};
	const struct bf_price_book book = {.conf = &none, .fetched = list->index};
	const struct bf_price_query q = {.provider = BF_SLICE_LIT("p"),
					 .model = bf_slice_from(model)};
	struct bf_price_found f;

	return bf_price_find(&book, &q, &f) ? f.base->token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN]
					    : -1;
}

static void none_is_none(void **state)
{
	struct bf_snapshot_blob *blob = snapshot_of_end(snapshot_of_begin(false, 1));
	const struct bf_snapshot s = {blob, NULL};
	struct pricelist *list;

	(void)state;
	assert_int_equal(bf_snapshot_price_mark(&s), 0);
	assert_int_equal(pricelist_of(&s, NULL, &list), 0);
	assert_null(list);
	bf_snapshot_unmap(blob);
}

static void it_is_kept_until_it_changes(void **state)
{
	struct bf_snapshot_blob *blob = prices_of(1, 3000, 0), *next = prices_of(2, 3000, 0);
	const struct bf_snapshot s = {blob, NULL}, t = {next, NULL};
	struct pricelist *a, *b, *c;

	(void)state;
	assert_int_equal(pricelist_of(&s, NULL, &a), 0);
	assert_non_null(a);
	assert_int_equal(price_of(a, "m7"), 7);
	assert_int_equal(price_of(a, "m2999"), 2999);
	assert_int_equal(price_of(a, "m3000"), -1);
	assert_int_equal(pricelist_of(&s, a, &b), 0);
	assert_ptr_equal(a, b);
	pricelist_drop(b);
	assert_int_equal(pricelist_of(&t, a, &c), 0);
	assert_ptr_not_equal(a, c);
	/* Nothing of it lies in the snapshot. */
	bf_snapshot_unmap(blob);
	bf_snapshot_unmap(next);
	assert_int_equal(price_of(a, "m2998"), 2998);
	pricelist_drop(a);
	pricelist_drop(c);
}

static void half_of_a_sheet_is_none(void **state)
{
	struct bf_snapshot_blob *blob = prices_of(1, 3000, 1);
	const struct bf_snapshot s = {blob, NULL};
	struct pricelist *list;

	(void)state;
	assert_int_equal(pricelist_of(&s, NULL, &list), 0);
	assert_null(list);
	bf_snapshot_unmap(blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(none_is_none),
	    cmocka_unit_test(it_is_kept_until_it_changes),
	    cmocka_unit_test(half_of_a_sheet_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
