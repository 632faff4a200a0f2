/* The governance block: what a good one becomes, and who sees it. */
#include "load_bed.h"

#include "common/govern/plan.h"

static const struct bf_conf_virtual_key *key_of(const struct load_bed *b, uint32_t i)
{
	return (const struct bf_conf_virtual_key *)b->config.governance.virtual_keys.items + i;
}

static const struct bf_conf_budget *budget_of(const struct load_bed *b, uint32_t key, uint32_t i)
{
	return (const struct bf_conf_budget *)key_of(b, key)->own.budgets.items + i;
}

static const char good[] =
    "client: {enforce_governance_header: true}\n"
    "governance:\n"
    "  virtual_keys:\n"
    "    - {id: vk-1, name: one, value: env.KEY, rate_limit_id: rl, description: text,\n"
    "       budgets: [{max_limit: 10, reset_duration: 1d, id: day}]}\n"
    "    - name: two\n"
    "      value: file./etc/secret\n"
    "      is_active: false\n"
    "      calendar_aligned: true\n"
    "      budget: {max_limit: 0.000000001, reset_duration: 1Q,\n"
    "               reset_config: {quarter_start_month: 2}, current_usage: 0}\n"
    "  rate_limits:\n"
    "    - {id: rl, token_max_limit: 1000, token_reset_duration: 1h, token_current_usage: 0,\n"
    "       token_last_reset: \"2026-11-21T10:00:00Z\", request_max_limit: ~,\n"
    "       request_reset_duration: ~, concurrent_max_limit: 5}\n"
    "  budgets:\n"
    "    - {id: month, max_limit: 100.5, reset_duration: monthly, virtual_key_id: vk-1,\n"
    "       team_id: ~, calendar_aligned: true}\n"
    "    - {max_limit: 2e9, reset_duration: 1Y, virtual_key_id: vk-1}\n"
    "  pricing_overrides:\n"
    "    - {name: p, pattern: \"gpt-*\", match_type: wildcard, scope_kind: provider,\n"
    "       provider_id: mock, pricing_patch: {input_cost_per_token: 1.5e-07,\n"
    "       output_cost_per_token: 0.0000006, cache_read_input_token_cost: 0}}\n"
    "    - {name: q, id: id-q, pattern: gpt-5, pricing_patch: {input_cost_per_token: 0.000002,\n"
    "       output_cost_per_token: 0}}\n" MOCK;

static void a_good_one(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, good), "");
	const struct bf_conf_governance *g = &b.config.governance;
	const struct bf_conf_rate_limit *rate = g->rate_limits.items;
	const struct bf_conf_pricing_override *price = g->pricing_overrides.items;

	assert_true(b.config.client.enforce_auth_on_inference);
	assert_int_equal(g->virtual_keys.count, 2);
	assert_int_equal(g->budgets.count, 0);
	assert_string_equal(key_of(&b, 0)->value.ptr, "hunter2");
	assert_true(key_of(&b, 0)->is_active);
	assert_int_equal(key_of(&b, 0)->own.budgets.count, 3);
	assert_string_equal(budget_of(&b, 0, 0)->id.ptr, "day");
	assert_int_equal(budget_of(&b, 0, 0)->max_limit_nusd, INT64_C(10000000000));
	assert_string_equal(budget_of(&b, 0, 1)->id.ptr, "month");
	assert_int_equal(budget_of(&b, 0, 1)->max_limit_nusd, INT64_C(100500000000));
	assert_int_equal(budget_of(&b, 0, 1)->virtual_key_id.len, 0);
	assert_int_equal(budget_of(&b, 0, 2)->max_limit_nusd, INT64_C(2000000000000000000));
	assert_int_equal(budget_of(&b, 0, 2)->id.len, 36);
	assert_string_equal(key_of(&b, 1)->value.ptr, "hunter3");
	assert_int_equal(key_of(&b, 1)->own.id.len, 36);
	assert_false(key_of(&b, 1)->is_active);
	assert_int_equal(key_of(&b, 1)->own.budgets.count, 1);
	assert_int_equal(key_of(&b, 1)->own.budget.count, 0);
	assert_int_equal(budget_of(&b, 1, 0)->max_limit_nusd, 1);
	assert_int_equal(budget_of(&b, 1, 0)->quarter_start_month, 2);
	assert_int_equal(rate->token_max_limit, 1000);
	assert_int_equal(rate->concurrent_max_limit, 5);
	assert_int_equal(rate->request_max_limit, 0);
	assert_int_equal(price[0].pricing_patch.token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN], 150000);
	assert_int_equal(price[0].pricing_patch.token_pusd[BF_PRICE_OUTPUT][BF_RATE_PLAIN], 600000);
	assert_int_equal(price[0].pricing_patch.token_pusd[BF_PRICE_CACHE_READ][BF_RATE_PLAIN], 0);
	/* One that has no key. */
	assert_int_equal(price[0].pricing_patch.token_pusd[BF_PRICE_CACHE_WRITE][BF_RATE_FLEX],
			 BF_PRICE_NOT_GIVEN);
	assert_int_equal(price[0].id.len, 36);
	assert_int_equal(price[1].pricing_patch.token_pusd[BF_PRICE_CACHE_READ][BF_RATE_PLAIN],
			 BF_PRICE_NOT_GIVEN);
	assert_int_equal(price[1].scope_kind, BF_PRICE_GLOBAL);
	bed_done(&b);
}

/* Through msgpack, as children get it. */
static void decoded_for(const struct load_bed *b, uint16_t audience, struct bf_config *ret_config,
			struct bf_arena *arena)
{
	struct bf_buf bytes;
	struct bf_err err;

	bf_buf_init(&bytes, 1 << 20);
	assert_int_equal(bf_table_encode_mp(&bf_config_table, &b->config, audience, &bytes), 0);
	if (bf_table_decode_mp(&bf_config_table, ret_config, bf_buf_slice(&bytes), arena, &err))
		fail_msg("%s", err.text);
	bf_buf_done(&bytes);
}

static void who_sees_it(void **state)
{
	struct bf_plan plans[2];
	struct bf_arena arena;
	struct bf_config config;
	struct load_bed b;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	(void)bed_load(&b, good);
	decoded_for(&b, BF_FOR_PROXYD, &config, &arena);
	assert_true(bf_table_equal(&bf_config_table, &b.config, &config, BF_FOR_PROXYD));
	assert_false(config.client.enforce_auth_on_inference);
	/* Workers have keys from the snapshot alone. */
	assert_int_equal(config.governance.virtual_keys.count, 0);
	assert_int_equal(config.governance.rate_limits.count, 0);
	assert_int_equal(bf_plan_make(&plans[0], &b.config, &arena, NULL), 0);

	/* writerd makes the same plan as the loader did, and a hash of the value. */
	decoded_for(&b, BF_FOR_WRITERD, &config, &arena);
	const struct bf_conf_virtual_key *key = config.governance.virtual_keys.items;
	assert_int_equal(config.governance.virtual_keys.count, 2);
	assert_string_equal(key->value.ptr, "hunter2");
	assert_int_equal(bf_plan_make(&plans[1], &config, &arena, NULL), 0);
	assert_int_equal(plans[0].limit_count, 6);
	assert_int_equal(plans[1].limit_count, 6);
	for (uint32_t i = 0; i < 6; i++) {
		assert_true(plans[0].limits[i].identity == plans[1].limits[i].identity);
		assert_true(plans[0].limits[i].max == plans[1].limits[i].max);
	}

	static const uint16_t others[] = {BF_FOR_SUPERVISOR, BF_FOR_CLUSTERD, BF_FOR_DISCOVERYD};
	for (size_t i = 0; i < BF_ARRAY_LEN(others); i++) {
		decoded_for(&b, others[i], &config, &arena);
		assert_int_equal(config.governance.virtual_keys.count, 0);
		assert_int_equal(config.governance.rate_limits.count, 0);
		assert_int_equal(config.governance.pricing_overrides.count, 0);
	}
	bf_arena_done(&arena);
	bed_done(&b);
}

/* Limits keep their meters: ids that were made depend on names and windows alone. */
static void made_ids_stay(void **state)
{
	static const char *const same[] = {
	    "{name: k, value: x, budgets: [{max_limit: 1, reset_duration: 1d}]}",
	    "{budgets: [{reset_duration: 24h, max_limit: 99}], value: y, name: k}",
	    "{name: k, value: x, budget: {max_limit: 1, reset_duration: 1440m}}",
	};
	uint64_t first = 0;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(same); i++) {
		struct bf_plan plan;
		struct load_bed b;
		char yaml[256];

		(void)snprintf(yaml, sizeof(yaml), "governance: {virtual_keys: [%s]}\n" MOCK,
			       same[i]);
		(void)bed_load(&b, yaml);
		assert_int_equal(b.result, 0);
		assert_int_equal(bf_plan_make(&plan, &b.config, &b.arena, NULL), 0);
		assert_int_equal(plan.limit_count, 1);
		if (i == 0)
			first = plan.limits[0].identity;
		assert_true(plan.limits[0].identity == first);
		bed_done(&b);
	}
	assert_true(first == UINT64_C(0x132462fa5b90428d));
}

/* Ids and names of models may hold what stands between them. */
static void made_ids_are_their_own(void **state)
{
	static const char text[] =
	    "governance:\n"
	    "  teams: [{name: b, id: blue, budgets: [{max_limit: 1, reset_duration: 1d}]}]\n"
	    "  virtual_keys:\n"
	    "    - {name: a, id: team/blue, value: v, budgets: [{max_limit: 1, reset_duration: "
	    "1d}]}\n"
	    "    - {name: b, id: k, value: w}\n"
	    "    - {name: c, id: k/mock, value: x}\n"
	    "  model_configs:\n"
	    "    - {model_name: /b, provider: mock, scope: virtual_key, scope_id: k}\n"
	    "    - {model_name: b, scope: virtual_key, scope_id: k/mock}\n"
	    "  pricing_overrides: [{name: p, pattern: m, request_types: [chat_completion], "
	    "pricing_patch: {input_cost_per_token: 1, output_cost_per_token: 1}}]\n" MOCK;
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, text), "");
	bed_done(&b);
}

#define RAISED(more)                                                                     \
	"governance:\n  virtual_keys: [{name: a, value: sk-a, budgets: [{max_limit: 1, " \
	"reset_duration: 1d, " more "}]}]\n  pricing_overrides: [{name: p, pattern: m, " \
	"pricing_patch: {input_cost_per_token: 1, output_cost_per_token: 1}}]\n" MOCK

/* From the day of the anchor on, so many days. */
static void budgets_that_are_raised(void **state)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
	    {RAISED("override_amount: 1, override_cycles_total: 2"), "needs override_anchor_reset"},
	    {RAISED("override_amount: 1, override_cycles_total: 2, override_anchor_reset: "
		    "2026-11-21T10:00:00Z, override_until: 2026-11-21T10:00:00Z"),
	     "keep one of them"},
	    {RAISED("override_amount: 2000000000"), "more than 2000000000 together"},
	    {RAISED("override_amount: -1"), "override_amount"},
	};
	struct bf_plan plan;
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, RAISED("override_amount: 0.5, override_cycles_total: 2, "
						"override_anchor_reset: 2026-11-21T10:00:00Z")),
			    "");
	assert_int_equal(bf_plan_make(&plan, &b.config, &b.arena, NULL), 0);
	assert_int_equal(plan.limits[0].max, 1000000000);
	assert_int_equal(plan.limits[0].extra, 500000000);
	assert_int_equal(plan.limits[0].extra_end_ms, INT64_C(1795392000000));
	bed_done(&b);
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++) {
		const char *told = bed_load(&b, bad[i].text);

		if (!strstr(told, bad[i].part))
			fail_msg("%s is not in %s", bad[i].part, told);
		bed_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(budgets_that_are_raised),
	    cmocka_unit_test(a_good_one),
	    cmocka_unit_test(who_sees_it),
	    cmocka_unit_test(made_ids_stay),
	    cmocka_unit_test(made_ids_are_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
