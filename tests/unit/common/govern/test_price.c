/* Costs: which rate counts, exact sums, one rounding, no overflow, and what is never passed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/govern/price.h"

#define NONE BF_PRICE_NOT_GIVEN

static int64_t cost(const struct bf_conf_price *price, uint64_t prompt, uint64_t completion,
		    uint64_t cached)
{
	const struct bf_price_usage usage = {
	    .prompt_tokens = prompt, .completion_tokens = completion, .cached_read = cached};

	return bf_price_cost_nusd(price, &usage);
}

static void costs(void **state)
{
	/* 0.15 and 0.60 dollars for a million tokens, 0.075 from the cache. */
	struct bf_conf_price mini = bf_price_of(150000, 600000, 75000);
	struct bf_conf_price plain = bf_price_of(150000, 600000, NONE);
	struct bf_conf_price tiny = bf_price_of(1, 0, 0);

	(void)state;
	assert_int_equal(cost(&mini, 0, 0, 0), 0);
	assert_int_equal(cost(&mini, 1000000, 0, 0), 150000000);
	assert_int_equal(cost(&mini, 1000, 100, 400), 90000 + 60000 + 30000);
	assert_int_equal(cost(&plain, 1000, 100, 400), 150000 + 60000);
	assert_int_equal(cost(&mini, 10, 0, 99), 750);
	/* Rounded once, half up. */
	assert_int_equal(cost(&tiny, 499, 0, 0), 0);
	assert_int_equal(cost(&tiny, 500, 0, 0), 1);
	assert_int_equal(cost(&tiny, 1499, 0, 0), 1);
	tiny = bf_price_of(300, 300, NONE);
	assert_int_equal(cost(&tiny, 1, 1, 0), 1);
}

static void the_largest(void **state)
{
	struct bf_conf_price most = bf_price_of(INT64_MAX, INT64_MAX, INT64_MAX);
	struct bf_conf_price one = bf_price_of(1000, 1000, 1000);
	struct bf_price_usage all;
	struct bf_price_bound bound;

	(void)state;
	most.request_pusd = most.search_pusd = most.cache_write_1hr_pusd = INT64_MAX;
	memset(&all, 0xff, sizeof(all));
	all.tier = BF_TIER_STANDARD;
	all.reported_nusd = 0;
	assert_true(bf_price_cost_nusd(&most, &all) == INT64_MAX);
	bf_price_bound_of(&most, &bound);
	assert_true(bf_price_bound_nusd(&bound, UINT64_MAX, UINT64_MAX) == INT64_MAX);
	assert_true(cost(&most, UINT64_MAX, UINT64_MAX, UINT64_MAX / 2) == INT64_MAX);
	assert_true(cost(&one, INT64_MAX, 0, 0) == INT64_MAX);
	assert_true(cost(&one, (uint64_t)INT64_MAX - 1, 0, 0) == INT64_MAX - 1);
	assert_true(cost(&one, (uint64_t)INT64_MAX + 1, 0, 0) == INT64_MAX);
}

static void rates_by_tokens(void **state)
{
	struct bf_conf_price p = bf_price_of(10, 20, 5);
	int64_t *in = p.token_pusd[BF_PRICE_INPUT];

	(void)state;
	in[BF_RATE_ABOVE_128K] = 11;
	in[BF_RATE_ABOVE_200K] = 12;
	in[BF_RATE_ABOVE_272K] = 13;
	static const struct {
		uint64_t total;
		int64_t rate;
	} cases[] = {{0, 10},      {128000, 10}, {128001, 11}, {200000, 11},
		     {200001, 12}, {272000, 12}, {272001, 13}, {UINT64_MAX, 13}};
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++)
		assert_int_equal(
		    bf_price_rate(&p, BF_PRICE_INPUT, BF_TIER_STANDARD, cases[i].total),
		    cases[i].rate);
	/* A step without a rate has that of the one below it. */
	in[BF_RATE_ABOVE_272K] = in[BF_RATE_ABOVE_128K] = NONE;
	assert_int_equal(bf_price_rate(&p, BF_PRICE_INPUT, BF_TIER_STANDARD, 300000), 12);
	assert_int_equal(bf_price_rate(&p, BF_PRICE_INPUT, BF_TIER_STANDARD, 150000), 10);
	assert_int_equal(bf_price_rate(&p, BF_PRICE_CACHE_READ, BF_TIER_STANDARD, 300000), 5);
	/* The whole request, answers too: 200,000 of prompt and one of answer are above. */
	assert_int_equal(cost(&p, 200000, 0, 0), 2000);
	assert_int_equal(cost(&p, 200000, 1, 0), 2400);
}

static void rates_by_tier(void **state)
{
	struct bf_conf_price p = bf_price_of(10, 20, NONE);
	int64_t *in = p.token_pusd[BF_PRICE_INPUT];

	(void)state;
	in[BF_RATE_FLEX] = 4;
	in[BF_RATE_BATCHES] = 5;
	in[BF_RATE_PRIORITY] = 30;
	in[BF_RATE_ABOVE_200K] = 12;
	in[BF_RATE_ABOVE_272K] = 13;
	in[BF_RATE_ABOVE_272K_PRIORITY] = 39;
	static const struct {
		enum bf_service_tier tier;
		uint64_t total;
		int64_t in, out;
	} cases[] = {
	    {BF_TIER_FLEX, 1, 4, 20},
	    {BF_TIER_FLEX, 300000, 4, 20},
	    {BF_TIER_BATCH, 300000, 5, 20},
	    {BF_TIER_PRIORITY, 1, 30, 20},
	    {BF_TIER_PRIORITY, 300000, 39, 20},
	    /* With its tokens' rate and none of its own at that step: that one. */
	    {BF_TIER_PRIORITY, 250000, 12, 20},
	    {BF_TIER_STANDARD, 300000, 13, 20},
	};
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		assert_int_equal(bf_price_rate(&p, BF_PRICE_INPUT, cases[i].tier, cases[i].total),
				 cases[i].in);
		/* Without a rate of its own the cache has the input's. */
		assert_int_equal(
		    bf_price_rate(&p, BF_PRICE_CACHE_WRITE, cases[i].tier, cases[i].total),
		    cases[i].in);
		assert_int_equal(bf_price_rate(&p, BF_PRICE_OUTPUT, cases[i].tier, cases[i].total),
				 cases[i].out);
	}
	assert_int_equal(bf_service_tier_of(BF_SLICE_LIT("priority")), BF_TIER_PRIORITY);
	assert_int_equal(bf_service_tier_of(BF_SLICE_LIT("flex")), BF_TIER_FLEX);
	assert_int_equal(bf_service_tier_of(BF_SLICE_LIT("batch")), BF_TIER_BATCH);
	assert_int_equal(bf_service_tier_of(BF_SLICE_LIT("default")), BF_TIER_STANDARD);
	assert_int_equal(bf_service_tier_of(BF_SLICE_LIT("")), BF_TIER_STANDARD);
}

static void the_parts_of_a_prompt(void **state)
{
	struct bf_conf_price p = bf_price_of(1000, 0, 100);
	struct bf_price_usage u = {.prompt_tokens = 100, .cached_read = 30, .cached_write = 20};

	(void)state;
	p.token_pusd[BF_PRICE_CACHE_WRITE][BF_RATE_PLAIN] = 2000;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 50 + 3 + 40);
	u.cached_write_1hr = 15;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 50 + 3 + 40);
	p.cache_write_1hr_pusd = 4000;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 50 + 3 + 10 + 60);
	/* More than there is: read first, then written, then for an hour. */
	u = (struct bf_price_usage){
	    .prompt_tokens = 100, .cached_read = 90, .cached_write = 90, .cached_write_1hr = 90};
	assert_int_equal(bf_price_cost_nusd(&p, &u), 9 + 40);
	u.cached_read = UINT64_MAX;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 10);
	/* A step where writing is dearer than an hour was below it. */
	p.token_pusd[BF_PRICE_CACHE_WRITE][BF_RATE_ABOVE_200K] = 5000;
	u = (struct bf_price_usage){
	    .prompt_tokens = 300000, .cached_write = 300000, .cached_write_1hr = 100000};
	assert_int_equal(bf_price_cost_nusd(&p, &u), 5 * 300000);
	u.prompt_tokens = u.cached_write = 200000;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 2 * 100000 + 4 * 100000);
}

static void sound_and_thoughts(void **state)
{
	struct bf_conf_price p = bf_price_of(1000, 2000, 100), patch = BF_PRICE_NONE;
	struct bf_price_usage u = {.prompt_tokens = 100,
				   .cached_read = 30,
				   .audio_prompt = 50,
				   .completion_tokens = 40,
				   .audio_completion = 10,
				   .reasoning = 20};

	(void)state;
	/* Without rates of their own they are as any. */
	assert_int_equal(bf_price_cost_nusd(&p, &u), 70 + 3 + 80);
	p.audio_input_pusd = 40000;
	p.audio_output_pusd = 80000;
	p.reasoning_pusd = 1000;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 20 + 2000 + 3 + 20 + 800 + 20);
	/* Parts of what there is: sound before thoughts. */
	u.audio_prompt = 99;
	u.audio_completion = 35;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 2800 + 3 + 2800 + 5);
	u.audio_completion = u.reasoning = UINT64_MAX;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 2800 + 3 + 3200);
	patch.reasoning_pusd = 0;
	bf_price_patch(&p, &patch, &p);
	assert_int_equal(p.reasoning_pusd, 0);
	assert_int_equal(p.audio_input_pusd, 40000);
	assert_int_equal(p.audio_output_pusd, 80000);
}

static void requests_searches_and_what_is_told(void **state)
{
	struct bf_conf_price p = bf_price_of(1000, 2000, NONE);
	struct bf_price_usage u = {.prompt_tokens = 1, .completion_tokens = 1, .searches = 3};

	(void)state;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 3);
	p.search_pusd = 5000;
	p.request_pusd = 7000;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 3 + 15 + 7);
	u.reported_nusd = 12;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 12);
	u.reported_nusd = -1;
	assert_int_equal(bf_price_cost_nusd(&p, &u), 25);
}

static void whole_prices_and_patches(void **state)
{
	struct bf_conf_price none = BF_PRICE_NONE, both = bf_price_of(1, 2, 3), out;
	struct bf_conf_price input = bf_price_of(5, NONE, NONE), request = BF_PRICE_NONE;

	(void)state;
	request.request_pusd = 1;
	assert_false(bf_price_is_whole(&none, true));
	assert_true(bf_price_is_whole(&both, false));
	assert_false(bf_price_is_whole(&input, false));
	assert_true(bf_price_is_whole(&input, true));
	assert_true(bf_price_is_whole(&request, false));
	assert_int_equal(cost(&none, 1000, 1000, 10), 0);
	bf_price_patch(&both, &input, &out);
	assert_int_equal(cost(&out, 1000, 0, 0), 5);
	assert_int_equal(cost(&out, 1000, 1000, 1000), 2 + 3);
	input = bf_price_of(0, NONE, NONE);
	bf_price_patch(&both, &input, &both);
	assert_int_equal(cost(&both, 1000, 1000, 0), 2);
}

/* xorshift: the same numbers every time. */
static uint64_t some(uint64_t *seed, uint64_t below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed % below;
}

/* What is reserved is at least what is settled, whatever tier it is served at, wherever its tokens
 * come from, and however few of them there are. */
static void the_bound_holds(void **state)
{
	static const uint64_t sizes[] = {1000, 127000, 199000, 271000, 400000};
	uint64_t seed = 88172645463325252u;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct bf_conf_price p = BF_PRICE_NONE;
		struct bf_price_bound bound;
		int64_t *all = (int64_t *)&p;

		for (size_t i = 0; i < sizeof(p) / sizeof(*all); i++)
			all[i] = some(&seed, 3) ? NONE : (int64_t)some(&seed, 100000);
		p.search_pusd = NONE;
		bf_price_bound_of(&p, &bound);
		uint64_t prompt = some(&seed, sizes[some(&seed, BF_ARRAY_LEN(sizes))]);
		uint64_t completion = some(&seed, 10000);
		const struct bf_price_usage u = {
		    .prompt_tokens = some(&seed, prompt + 1),
		    .completion_tokens = some(&seed, completion + 1),
		    .cached_read = some(&seed, 300000),
		    .cached_write = some(&seed, 300000),
		    .cached_write_1hr = some(&seed, 300000),
		    .audio_prompt = some(&seed, 300000),
		    .audio_completion = some(&seed, 10000),
		    .reasoning = some(&seed, 10000),
		    .tier = (enum bf_service_tier)some(&seed, BF_TIERS),
		};
		int64_t reserved = bf_price_bound_nusd(&bound, prompt, completion);

		assert_true(bf_price_cost_nusd(&p, &u) <= reserved);
		assert_true(bf_price_bound_nusd(&bound, prompt, completion + 1) >= reserved);
	}
}

static void the_higher_of_two_bounds(void **state)
{
	struct bf_conf_price a = bf_price_of(1000, 2000, NONE), b = bf_price_of(3000, 1000, NONE);
	struct bf_price_bound both, other;

	(void)state;
	b.token_pusd[BF_PRICE_OUTPUT][BF_RATE_ABOVE_200K] = 9000;
	b.request_pusd = 5000;
	bf_price_bound_of(&a, &both);
	bf_price_bound_of(&b, &other);
	bf_price_bound_widen(&both, &other);
	assert_int_equal(bf_price_bound_nusd(&both, 1, 1), 3 + 2 + 5);
	assert_int_equal(bf_price_bound_nusd(&both, 0, 200000), 2 * 200000 + 5);
	assert_int_equal(bf_price_bound_nusd(&both, 0, 200001), 9 * 200001 + 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(costs),
	    cmocka_unit_test(the_largest),
	    cmocka_unit_test(rates_by_tokens),
	    cmocka_unit_test(rates_by_tier),
	    cmocka_unit_test(the_parts_of_a_prompt),
	    cmocka_unit_test(sound_and_thoughts),
	    cmocka_unit_test(requests_searches_and_what_is_told),
	    cmocka_unit_test(whole_prices_and_patches),
	    cmocka_unit_test(the_bound_holds),
	    cmocka_unit_test(the_higher_of_two_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
