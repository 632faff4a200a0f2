/* What every request meets: made of what is in force, held by who was admitted by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/everybody.h"
#include "proxyd/gate/place.h"
#include "tests/support/snapshot_of.h"

static struct bf_conf_rate_limit rate = {.id = BF_SLICE_INIT("rl"),
					 .request_max_limit = 5,
					 .request_reset_duration = BF_SLICE_INIT("1h")};
static struct bf_conf_provider_limits limits[] = {
    {.own = {.id = BF_SLICE_INIT("openai"),
	     .name = BF_SLICE_INIT("openai"),
	     .rate_limit_id = BF_SLICE_INIT("rl")}},
    {.own = {.id = BF_SLICE_INIT("other"),
	     .name = BF_SLICE_INIT("other"),
	     .rate_limit_id = BF_SLICE_INIT("nowhere")}}};
static struct bf_conf_virtual_key key = {.own = {.id = BF_SLICE_INIT("k")},
					 .value = BF_SLICE_INIT("sk-bf-k")};
static struct bf_conf_pricing_override price = {.id = BF_SLICE_INIT("o"),
						.pattern = BF_SLICE_INIT("m")};
static struct bf_conf_sheet_price sheet[] = {
    {.key = BF_SLICE_INIT("of the sheet"), .mode = BF_PRICE_CHAT}};

static struct bf_config file;
static struct worker w = {.config = &file};

static struct bf_snapshot_blob *base(int64_t max, uint64_t version)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(false, version);

	rate.request_max_limit = max;
	snapshot_of_add(b, BF_ENTITY_RATE_LIMIT, &rate, version);
	snapshot_of_add(b, BF_ENTITY_PROVIDER_LIMITS, &limits[0], 1);
	snapshot_of_add(b, BF_ENTITY_PROVIDER_LIMITS, &limits[1], 1);
	snapshot_of_add(b, BF_ENTITY_PRICING_OVERRIDE, &price, 1);
	snapshot_of_add(b, BF_ENTITY_VIRTUAL_KEY, &key, version);
	return snapshot_of_end(b);
}

static void it_is_of_the_snapshot_and_of_the_file(void **state)
{
	struct bf_snapshot_blob *blob = base(5, 1);
	const struct bf_snapshot s = {blob, NULL};
	struct bf_err err = {.code = 0};
	struct everybody *e;

	(void)state;
	price.pricing_patch = bf_price_of(1, 2, 3);
	sheet[0].price = bf_price_of(4, 5, 6);
	/* Lists of the file do not count, what is no entity does. */
	file.governance.virtual_keys = (struct bf_array){&key, 1};
	file.governance.unpriced_models = BF_UNPRICED_WARN;
	file.governance.default_price = bf_price_of(7, 8, 9);
	file.pricing.sheet.entries = (struct bf_array){sheet, 1};
	assert_int_equal(everybody_make(&e, &w, &s, NULL, &err), 0);
	bf_snapshot_unmap(blob);
	assert_int_equal(e->plan.key_count, 0);
	assert_false(e->idle);
	/* Whoever names what does not exist is left out. */
	assert_int_equal(e->plan.limit_count, 1);
	assert_true(bf_slice_is(e->plan.limits[0].owner_id, "openai"));
	assert_non_null(place_of(&e->plan.limits[0]));
	assert_int_equal(e->config.governance.unpriced_models, BF_UNPRICED_WARN);
	assert_int_equal(e->config.governance.pricing_overrides.count, 1);
	assert_int_equal(e->config.pricing.sheet.entries.count, 1);
	everybody_drop(e);
	everybody_drop(NULL);
}

static void who_holds_it_keeps_it(void **state)
{
	struct bf_snapshot_blob *first = base(5, 1), *second = base(7, 2);
	const struct bf_snapshot before = {first, NULL}, after = {second, NULL};
	struct everybody *old, *fresh, *held;

	(void)state;
	assert_int_equal(everybody_make(&old, &w, &before, NULL, NULL), 0);
	assert_int_equal(old->mark, bf_snapshot_common(&before));
	held = everybody_hold(old);
	everybody_drop(old);
	assert_int_equal(everybody_make(&fresh, &w, &after, NULL, NULL), 0);
	assert_int_not_equal(fresh->mark, held->mark);
	assert_int_equal(held->plan.limits[0].max, 5);
	assert_int_equal(fresh->plan.limits[0].max, 7);
	everybody_drop(held);
	everybody_drop(fresh);
	bf_snapshot_unmap(first);
	bf_snapshot_unmap(second);
}

/* Where nothing limits and nothing has a price, requests without a key go by. */
static void nothing_is_idle(void **state)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(false, 1);
	struct bf_snapshot_blob *blob;
	struct everybody *e;

	(void)state;
	memset(&file, 0, sizeof(file));
	snapshot_of_add(b, BF_ENTITY_VIRTUAL_KEY, &key, 1);
	blob = snapshot_of_end(b);
	const struct bf_snapshot s = {blob, NULL};
	assert_int_equal(everybody_make(&e, &w, &s, NULL, NULL), 0);
	assert_true(e->idle);
	everybody_drop(e);
	file.governance.unpriced_models = BF_UNPRICED_DEFAULT_PRICE;
	assert_int_equal(everybody_make(&e, &w, &s, NULL, NULL), 0);
	assert_false(e->idle);
	everybody_drop(e);
	bf_snapshot_unmap(blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_of_the_snapshot_and_of_the_file),
	    cmocka_unit_test(who_holds_it_keeps_it),
	    cmocka_unit_test(nothing_is_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
