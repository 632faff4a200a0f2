/* Prices: which one counts, exact sums, one rounding, no overflow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/govern/price.h"

#define TEXT(s) BF_SLICE_INIT(s)

static struct bf_conf_governance with(struct bf_conf_pricing_override *items, uint32_t count)
{
	return (struct bf_conf_governance){.pricing_overrides = {items, count}};
}

static int64_t found(const struct bf_conf_governance *g, const char *provider, const char *model)
{
	const struct bf_conf_price *p =
	    bf_price_find(g, bf_slice_from(provider), bf_slice_from(model));

	return p ? p->input_cost_per_token_pusd : -1;
}

static void the_most_special_counts(void **state)
{
	struct bf_conf_pricing_override items[] = {
	    {.match_type = BF_PRICE_WILDCARD, .pattern = TEXT("*"), .pricing_patch = {1, 0, 0}},
	    {.match_type = BF_PRICE_WILDCARD, .pattern = TEXT("gpt-*"), .pricing_patch = {2, 0, 0}},
	    {.match_type = BF_PRICE_EXACT, .pattern = TEXT("gpt-5"), .pricing_patch = {3, 0, 0}},
	    {.match_type = BF_PRICE_WILDCARD,
	     .provider_id = TEXT("groq"),
	     .pattern = TEXT("gpt*"),
	     .pricing_patch = {4, 0, 0}},
	    {.match_type = BF_PRICE_EXACT,
	     .provider_id = TEXT("groq"),
	     .pattern = TEXT("gpt-5"),
	     .pricing_patch = {5, 0, 0}},
	    {.match_type = BF_PRICE_EXACT, .pattern = TEXT("gpt-5"), .pricing_patch = {6, 0, 0}},
	};
	struct bf_conf_governance g = with(items, BF_ARRAY_LEN(items));

	(void)state;
	assert_int_equal(found(&g, "openai", "other"), 1);
	/* Among equals the first. */
	assert_int_equal(found(&g, "openai", "gpt-4"), 1);
	assert_int_equal(found(&g, "openai", "gpt-5"), 3);
	assert_int_equal(found(&g, "groq", "gpt-4"), 4);
	assert_int_equal(found(&g, "groq", "gpt-5"), 5);
	assert_int_equal(found(&g, "Groq", "gpt-5"), 3);
	g = with(items + 2, 4);
	assert_int_equal(found(&g, "openai", "gpt-4"), -1);
	g = with(NULL, 0);
	assert_int_equal(found(&g, "openai", "gpt-5"), -1);
}

static void wildcards(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool fits;
	} cases[] = {
	    {"*", "", true},
	    {"*", "a", true},
	    {"a*", "a", true},
	    {"a*", "ba", false},
	    {"*a", "ba", true},
	    {"*a", "ab", false},
	    {"a*c", "abbbc", true},
	    {"a*c", "ac", true},
	    {"a*c", "acb", false},
	    {"a*b*c", "a-bb-c", true},
	    {"a*b*c", "a-c-b", false},
	    {"**a**", "a", true},
	    {"*ab", "aab", true},
	    {"*aab", "aaab", true},
	    {"a", "a", true},
	    {"a", "ab", false},
	    {"", "", true},
	    {"", "a", false},
	    {"a?", "ab", false},
	    {"[a]", "a", false},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct bf_conf_pricing_override o = {.match_type = BF_PRICE_WILDCARD,
						     .pattern = bf_slice_from(cases[i].pattern)};
		struct bf_conf_governance g = with(&o, 1);

		if ((found(&g, "p", cases[i].text) >= 0) != cases[i].fits)
			fail_msg("%s over %s", cases[i].pattern, cases[i].text);
		o.match_type = BF_PRICE_EXACT;
		assert_int_equal(found(&g, "p", cases[i].pattern), 0);
	}
}

static void costs(void **state)
{
	/* 0.15 and 0.60 dollars for a million tokens, 0.075 from the cache. */
	struct bf_conf_price mini = {150000, 600000, 75000};
	struct bf_conf_price plain = {150000, 600000, BF_PRICE_AS_INPUT};
	struct bf_conf_price tiny = {1, 0, 0};

	(void)state;
	assert_int_equal(bf_price_cost_nusd(&mini, 0, 0, 0), 0);
	assert_int_equal(bf_price_cost_nusd(&mini, 1000000, 0, 0), 150000000);
	assert_int_equal(bf_price_cost_nusd(&mini, 1000, 100, 400), 90000 + 60000 + 30000);
	assert_int_equal(bf_price_cost_nusd(&plain, 1000, 100, 400), 150000 + 60000);
	assert_int_equal(bf_price_cost_nusd(&mini, 10, 0, 99), 750);
	/* Rounded once, half up. */
	assert_int_equal(bf_price_cost_nusd(&tiny, 499, 0, 0), 0);
	assert_int_equal(bf_price_cost_nusd(&tiny, 500, 0, 0), 1);
	assert_int_equal(bf_price_cost_nusd(&tiny, 1499, 0, 0), 1);
	tiny = (struct bf_conf_price){300, 300, BF_PRICE_AS_INPUT};
	assert_int_equal(bf_price_cost_nusd(&tiny, 1, 1, 0), 1);
}

static void the_largest(void **state)
{
	struct bf_conf_price most = {INT64_MAX, INT64_MAX, INT64_MAX};
	struct bf_conf_price one = {1000, 1000, 1000};

	(void)state;
	assert_true(bf_price_cost_nusd(&most, UINT64_MAX, UINT64_MAX, UINT64_MAX / 2) == INT64_MAX);
	assert_true(bf_price_cost_nusd(&one, INT64_MAX, 0, 0) == INT64_MAX);
	assert_true(bf_price_cost_nusd(&one, (uint64_t)INT64_MAX - 1, 0, 0) == INT64_MAX - 1);
	assert_true(bf_price_cost_nusd(&one, (uint64_t)INT64_MAX + 1, 0, 0) == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_most_special_counts),
	    cmocka_unit_test(wildcards),
	    cmocka_unit_test(costs),
	    cmocka_unit_test(the_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
