/* From configurations to limits: order, windows, what is refused and how it is said. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/govern/plan.h"

#define TEXT(s) BF_SLICE_INIT(s)
#define HOUR_MS INT64_C(3600000)

static struct bf_arena arena;

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

static struct bf_config config_of(struct bf_conf_virtual_key *keys, uint32_t key_count,
				  struct bf_conf_rate_limit *rates, uint32_t rate_count)
{
	return (struct bf_config){
	    .governance = {.virtual_keys = {keys, key_count}, .rate_limits = {rates, rate_count}}};
}

static struct bf_plan made(const struct bf_config *config)
{
	struct bf_plan plan = {.key_count = 77};
	struct bf_err err = {.code = 0};

	if (bf_plan_make(&plan, config, &arena, &err) != 0)
		fail_msg("%s", err.text);
	return plan;
}

static void nothing(void **state)
{
	struct bf_config config = config_of(NULL, 0, NULL, 0);
	struct bf_plan plan = made(&config);

	(void)state;
	assert_int_equal(plan.key_count, 0);
	assert_int_equal(plan.limit_count, 0);
}

static void order_of_decision(void **state)
{
	struct bf_conf_rate_limit rates[] = {
	    {.id = TEXT("z"), .request_max_limit = 9, .request_reset_duration = TEXT("1m")},
	    {.id = TEXT("a"),
	     .token_max_limit = 1000,
	     .token_reset_duration = TEXT("1h"),
	     .request_max_limit = 10,
	     .request_reset_duration = TEXT("1d"),
	     .request_last_reset = TEXT("1970-01-03T00:00:00.250Z"),
	     .concurrent_max_limit = 3},
	};
	struct bf_conf_budget budgets[] = {
	    {.id = TEXT("month"), .max_limit_nusd = 30, .reset_duration = TEXT("1M")},
	    {.id = TEXT("hour"), .max_limit_nusd = 10, .reset_duration = TEXT("1h")},
	    {.id = TEXT("day"), .max_limit_nusd = 20, .reset_duration = TEXT("daily")},
	};
	struct bf_conf_virtual_key keys[] = {
	    {.own.id = TEXT("one"),
	     .own.name = TEXT("One"),
	     .own.rate_limit_id = TEXT("a"),
	     .own.budgets = {budgets, 3}},
	    {.own.id = TEXT("two"), .own.name = TEXT("Two")},
	    {.own.id = TEXT("three"), .own.name = TEXT("Three"), .own.rate_limit_id = TEXT("z")},
	};
	static const struct {
		const char *id;
		enum bf_quantity quantity;
		int64_t max;
	} wanted[] = {
	    {"a", BF_QUANTITY_REQUESTS, 10},  {"a", BF_QUANTITY_TOKENS, 1000},
	    {"a", BF_QUANTITY_CONCURRENT, 3}, {"hour", BF_QUANTITY_NUSD, 10},
	    {"day", BF_QUANTITY_NUSD, 20},    {"month", BF_QUANTITY_NUSD, 30},
	    {"z", BF_QUANTITY_REQUESTS, 9},
	};
	struct bf_config config = config_of(keys, 3, rates, 2);
	struct bf_plan plan = made(&config);

	(void)state;
	assert_int_equal(plan.key_count, 3);
	assert_int_equal(plan.limit_count, BF_ARRAY_LEN(wanted));
	for (uint32_t i = 0; i < plan.limit_count; i++) {
		const struct bf_limit *l = &plan.limits[i];

		assert_true(bf_slice_is(l->limit_id, wanted[i].id));
		assert_int_equal(l->quantity, wanted[i].quantity);
		assert_int_equal(l->max, wanted[i].max);
		assert_int_equal(l->endless, l->quantity == BF_QUANTITY_CONCURRENT);
		assert_true(l->identity == bf_limit_identity(l));
		assert_int_equal(l->owner, BF_OWNER_VIRTUAL_KEY);
	}
	assert_ptr_equal(plan.keys[0].own.limits, plan.limits);
	assert_int_equal(plan.keys[0].own.limit_count, 6);
	assert_true(plan.keys[0].always.has_budget);
	assert_int_equal(plan.keys[1].own.limit_count, 0);
	assert_ptr_equal(plan.keys[2].own.limits, plan.limits + 6);
	assert_false(plan.keys[2].always.has_budget);
	assert_ptr_equal(plan.keys[2].conf, &keys[2]);
	assert_true(bf_slice_is(plan.limits[6].owner_name, "Three"));
	assert_true(bf_slice_is(plan.limits[4].reset, "daily"));
	/* The anchor is a place on the lattice, not a moment. */
	assert_int_equal(plan.limits[0].window.length_ms, 24 * HOUR_MS);
	assert_int_equal(plan.limits[0].window.anchor_ms, 250);
}

/* The same lattice is the same meter, whatever reset of it a file was exported after. */
static void anchors(void **state)
{
	static const char *const resets[] = {"2026-11-21T10:00:00Z", "2026-11-21T11:00:00+01:00",
					     "1970-01-01T00:00:00Z", ""};
	struct bf_conf_budget budget = {.id = TEXT("b"), .reset_duration = TEXT("1h")};
	struct bf_conf_virtual_key key = {.own.id = TEXT("k"), .own.budgets = {&budget, 1}};
	struct bf_config config = config_of(&key, 1, NULL, 0);
	uint64_t first = made(&config).limits[0].identity;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(resets); i++) {
		budget.last_reset = bf_slice_from(resets[i]);
		assert_true(made(&config).limits[0].identity == first);
	}
	budget.last_reset = BF_SLICE_LIT("2026-11-21T10:00:00.001Z");
	assert_true(made(&config).limits[0].identity != first);
	/* Before 1970 by its zone. */
	budget.last_reset = BF_SLICE_LIT("1970-01-01T00:00:00+00:30");
	assert_int_equal(made(&config).limits[0].window.anchor_ms, HOUR_MS / 2);
}

static void calendars(void **state)
{
	struct bf_conf_rate_limit rate = {.id = TEXT("r"),
					  .token_max_limit = 1,
					  .token_reset_duration = TEXT("1h"),
					  .request_max_limit = 1,
					  .request_reset_duration = TEXT("2w")};
	struct bf_conf_budget budget = {
	    .id = TEXT("b"), .reset_duration = TEXT("1Q"), .quarter_start_month = 5};
	struct bf_conf_virtual_key key = {.own.id = TEXT("k"),
					  .own.calendar_aligned = true,
					  .own.rate_limit_id = TEXT("r"),
					  .own.budgets = {&budget, 1}};
	struct bf_config config = config_of(&key, 1, &rate, 1);
	struct bf_plan plan = made(&config);

	(void)state;
	assert_int_equal(plan.limits[0].window.kind, BF_WINDOW_WEEK);
	assert_int_equal(plan.limits[1].window.kind, BF_WINDOW_ROLLING);
	assert_int_equal(plan.limits[2].window.kind, BF_WINDOW_QUARTER);
	assert_int_equal(plan.limits[2].window.quarter_start_month, 5);
	key.own.calendar_aligned = false;
	plan = made(&config);
	assert_int_equal(plan.limits[0].window.kind, BF_WINDOW_ROLLING);
	assert_int_equal(plan.limits[2].window.kind, BF_WINDOW_ROLLING);
	budget.calendar_aligned = true;
	plan = made(&config);
	assert_int_equal(plan.limits[0].window.kind, BF_WINDOW_ROLLING);
	assert_int_equal(plan.limits[2].window.kind, BF_WINDOW_QUARTER);
}

struct told {
	uint32_t count;
	struct bf_plan_fault last;
	char text[512];
};

static void tell(void *ctx, const struct bf_plan_fault *fault)
{
	struct told *told = ctx;

	told->count++;
	told->last = *fault;
	(void)snprintf(told->text, sizeof(told->text), "%s", fault->text);
}

static void refused(const struct bf_config *config, int code, enum bf_plan_part part,
		    const char *text)
{
	struct bf_plan plan = {.key_count = 77};
	struct bf_err err = {.code = 0};
	struct told told = {.count = 0};
	char whole[600];

	assert_int_equal(bf_plan_make(&plan, config, &arena, &err), code);
	assert_int_equal(plan.key_count, 77);
	(void)snprintf(whole, sizeof(whole), "governance.virtual_keys: \"Key\": %s", text);
	assert_string_equal(err.text, whole);
	assert_int_equal(bf_plan_check(config, &arena, &(struct bf_plan_report){tell, &told}),
			 code);
	assert_int_equal(told.count, 1);
	assert_string_equal(told.text, text);
	assert_int_equal(told.last.part, part);
}

static void what_is_refused(void **state)
{
	struct bf_conf_rate_limit rate = {.id = TEXT("r")};
	struct bf_conf_budget budgets[41] = {
	    {.id = TEXT("b"), .reset_duration = TEXT("24h")},
	    {.id = TEXT("c"), .reset_duration = TEXT("1d")},
	};
	struct bf_conf_virtual_key key = {.own.id = TEXT("k"),
					  .own.name = TEXT("Key"),
					  .own.rate_limit_id = TEXT("x"),
					  .own.budgets = {budgets, 2}};
	struct bf_config config = config_of(&key, 1, &rate, 1);

	(void)state;
	refused(&config, BF_E_UNKNOWN, BF_PLAN_RATE_LIMIT,
		"no rate limit has the id \"x\": add it to governance.rate_limits, or remove "
		"rate_limit_id");
	key.own.rate_limit_id = BF_SLICE_LIT("r");
	refused(&config, BF_E_DUPLICATE, BF_PLAN_BUDGET,
		"\"1d\" is the window of another budget of this key too: keep the lower one");
	key.own.budgets.count = 1;
	rate.token_max_limit = 1;
	rate.token_reset_duration = BF_SLICE_LIT("0s");
	refused(&config, BF_E_RANGE, BF_PLAN_TOKENS,
		"\"0s\" is no window: write 30s, 5m, 1h, 1d, 1w, 1M, 1Q, 1Y or daily, weekly, "
		"monthly, yearly, up to 100 years");
	rate.token_max_limit = 0;
	rate.request_max_limit = 1;
	rate.request_reset_duration = BF_SLICE_LIT("");
	refused(&config, BF_E_SYNTAX, BF_PLAN_REQUESTS,
		"\"\" is no window: write 30s, 5m, 1h, 1d, 1w, 1M, 1Q, 1Y or daily, weekly, "
		"monthly, yearly, up to 100 years");
	rate.request_reset_duration = BF_SLICE_LIT("1h");
	rate.request_last_reset = BF_SLICE_LIT("yesterday");
	refused(&config, BF_E_SYNTAX, BF_PLAN_REQUESTS,
		"\"yesterday\" is no time: write it like 2026-11-21T10:00:00Z");
	rate.request_last_reset = BF_SLICE_LIT("");
	budgets[0].calendar_aligned = true;
	refused(&config, BF_E_STATE, BF_PLAN_BUDGET,
		"\"24h\" is shorter than a day and cannot follow the calendar: remove "
		"calendar_aligned, or write 1d or more");
}

static void as_many_as_fit(void **state)
{
	struct bf_conf_rate_limit rate = {
	    .id = TEXT("r"), .request_max_limit = 1, .request_reset_duration = TEXT("1h")};
	struct bf_conf_budget budgets[40];
	struct bf_conf_virtual_key key = {
	    .own.id = TEXT("k"), .own.name = TEXT("Key"), .own.budgets = {budgets, 40}};
	struct bf_config config = config_of(&key, 1, &rate, 1);
	char ids[40][8];

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%us", 60 - i);
		budgets[i] = (struct bf_conf_budget){.id = bf_slice_from(ids[i]),
						     .reset_duration = bf_slice_from(ids[i])};
	}
	struct bf_plan plan = made(&config);
	assert_int_equal(plan.limit_count, BF_PLAN_LIMITS_PER_REQUEST);
	for (uint32_t i = 1; i < 40; i++)
		assert_true(plan.limits[i - 1].window.length_ms < plan.limits[i].window.length_ms);
	key.own.rate_limit_id = BF_SLICE_LIT("r");
	refused(&config, BF_E_LIMIT, BF_PLAN_OWNER,
		"has 41 limits: at most 40 can be decided at once: remove budgets");
}

static void all_are_told(void **state)
{
	struct bf_conf_virtual_key keys[3] = {
	    {.own.id = TEXT("a"), .own.rate_limit_id = TEXT("x")},
	    {.own.id = TEXT("b")},
	    {.own.id = TEXT("c"), .own.rate_limit_id = TEXT("y")},
	};
	struct bf_config config = config_of(keys, 3, NULL, 0);
	struct told told = {.count = 0};

	(void)state;
	assert_int_equal(bf_plan_check(&config, &arena, &(struct bf_plan_report){tell, &told}),
			 BF_E_UNKNOWN);
	assert_int_equal(told.count, 2);
	assert_int_equal(told.last.index, 2);
}

static void identities_are_their_own(void **state)
{
	struct bf_conf_rate_limit rate = {.id = TEXT("r"), .concurrent_max_limit = 1};
	struct bf_conf_virtual_key keys[2] = {
	    {.own.id = TEXT("a"), .own.rate_limit_id = TEXT("r")},
	    {.own.id = TEXT("b"), .own.rate_limit_id = TEXT("r")}};
	struct bf_config config = config_of(keys, 2, &rate, 1);
	struct bf_plan plan = made(&config);
	struct told told = {.count = 0};
	struct bf_err err;

	(void)state;
	/* A shared rate limit is a limit of each. */
	assert_true(plan.limits[0].identity != plan.limits[1].identity);
	keys[1].own.id = keys[0].own.id;
	assert_int_equal(bf_plan_make(&plan, &config, &arena, &err), BF_E_DUPLICATE);
	assert_string_equal(err.text, "governance.virtual_keys: \"a\": its limit \"r\" has the "
				      "identity of one of virtual_key \"a\": give owners and "
				      "limits ids of their own");
	assert_int_equal(bf_plan_check(&config, &arena, &(struct bf_plan_report){tell, &told}),
			 BF_E_DUPLICATE);
}

static void memory_that_is_out(void **state)
{
	struct bf_conf_rate_limit rate = {.id = TEXT("r"), .concurrent_max_limit = 1};
	struct bf_conf_virtual_key key = {.own.id = TEXT("a"), .own.rate_limit_id = TEXT("r")};
	struct bf_config config = config_of(&key, 1, &rate, 1);
	bool whole = false;

	(void)state;
	for (size_t cap = 0; cap <= 4096 && !whole; cap += 16) {
		struct bf_plan plan = {.key_count = 77};
		struct told told = {.count = 0};
		struct bf_arena small;
		struct bf_err err;

		bf_arena_init(&small, cap);
		int r = bf_plan_make(&plan, &config, &small, &err);
		whole = r == 0;
		assert_true(r == 0 || (r == -ENOMEM && plan.key_count == 77));
		bf_arena_reset(&small);
		assert_int_equal(
		    bf_plan_check(&config, &small, &(struct bf_plan_report){tell, &told}), r);
		assert_int_equal(told.count, 0);
		bf_arena_done(&small);
	}
	assert_true(whole);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nothing),      TEST(order_of_decision),        TEST(anchors),
	    TEST(calendars),    TEST(what_is_refused),          TEST(as_many_as_fit),
	    TEST(all_are_told), TEST(identities_are_their_own), TEST(memory_that_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
