/* Owners of every kind by one mechanism: identities, rows, and each fault at each of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/govern/plan.h"

#define TEXT(s) BF_SLICE_INIT(s)

/* One owner of each kind behind one without limits. */
static struct house {
	struct bf_config config;
	struct bf_conf_rate_limit rates[1];
	struct bf_conf_budget budgets[3];
	struct bf_conf_provider_limits providers[2];
	struct bf_conf_model_config models[2];
	struct bf_conf_provider_config configs[2];
	struct bf_conf_virtual_key keys[2];
	struct bf_conf_team teams[2];
	struct bf_conf_customer customers[2];
} house;

static struct bf_arena arena;

static struct bf_conf_owner *owner_at(enum bf_owner kind)
{
	struct bf_conf_owner *const owners[BF_OWNER_COUNT] = {
	    [BF_OWNER_PROVIDER] = &house.providers[1].own,
	    [BF_OWNER_MODEL_CONFIG] = &house.models[1].own,
	    [BF_OWNER_PROVIDER_CONFIG] = &house.configs[1].own,
	    [BF_OWNER_VIRTUAL_KEY] = &house.keys[1].own,
	    [BF_OWNER_TEAM] = &house.teams[1].own,
	    [BF_OWNER_CUSTOMER] = &house.customers[1].own,
	};

	return owners[kind];
}

static int setup(void **state)
{
	struct bf_conf_governance *g = &house.config.governance;

	(void)state;
	house = (struct house){
	    .rates = {{.id = TEXT("r"), .concurrent_max_limit = 3}},
	    .budgets = {{.id = TEXT("b"), .max_limit_nusd = 7, .reset_duration = TEXT("1h")},
			{.id = TEXT("c"), .max_limit_nusd = 9, .reset_duration = TEXT("60m")}},
	    .models = {{.model_name = TEXT("m")},
		       {.model_name = TEXT("p/GPT"), .provider = TEXT("p")}},
	    .configs = {{.provider = TEXT("q")}, {.provider = TEXT("p")}},
	};
	for (int kind = 0; kind < BF_OWNER_COUNT; kind++) {
		struct bf_conf_owner *own = owner_at((enum bf_owner)kind);

		own[0] = (struct bf_conf_owner){.id = TEXT("id"),
						.name = TEXT("Name"),
						.rate_limit_id = TEXT("r"),
						.budgets = {house.budgets, 1}};
	}
	house.providers[1].own.name = BF_SLICE_LIT("p");
	house.keys[0].own.id = BF_SLICE_LIT("free");
	house.keys[1].provider_configs = (struct bf_array){house.configs, 2};
	g->rate_limits = (struct bf_array){house.rates, 1};
	g->providers = (struct bf_array){house.providers, 2};
	g->model_configs = (struct bf_array){house.models, 2};
	g->virtual_keys = (struct bf_array){house.keys, 2};
	g->teams = (struct bf_array){house.teams, 2};
	g->customers = (struct bf_array){house.customers, 2};
	bf_arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

static struct bf_plan made(void)
{
	struct bf_plan plan;
	struct bf_err err = {.code = 0};

	if (bf_plan_make(&plan, &house.config, &arena, &err) != 0)
		fail_msg("%s", err.text);
	return plan;
}

/* The n-th limit of an owner kind. */
static const struct bf_limit *limit_of(const struct bf_plan *plan, enum bf_owner kind, uint32_t n)
{
	for (uint32_t i = 0; i < plan->limit_count; i++)
		if (plan->limits[i].owner == kind && n-- == 0)
			return &plan->limits[i];
	fail_msg("%s has no such limit", bf_owner_name(kind));
	return NULL;
}

/* Computed by an implementation of its own from the text of plan.h; never to be changed. */
static void identities_for_ever(void **state)
{
	static const struct {
		uint64_t budget, concurrent;
	} wanted[BF_OWNER_COUNT] = {
	    [BF_OWNER_PROVIDER] = {UINT64_C(0x2bb40577d0e5ae5d), UINT64_C(0x0a1afdb059fc883a)},
	    [BF_OWNER_MODEL_CONFIG] = {UINT64_C(0x813e046a2d0ab87e), UINT64_C(0x0b48f7678a36df3c)},
	    [BF_OWNER_PROVIDER_CONFIG] = {UINT64_C(0x5fb2139d60b560de),
					  UINT64_C(0x3d46d17faadbf469)},
	    [BF_OWNER_VIRTUAL_KEY] = {UINT64_C(0x69cc04a80ea81dfe), UINT64_C(0x262fd9376c79338b)},
	    [BF_OWNER_TEAM] = {UINT64_C(0xa707964a29332ad5), UINT64_C(0x4c16343754a680f1)},
	    [BF_OWNER_CUSTOMER] = {UINT64_C(0x26a8a3e6b3ff5309), UINT64_C(0x7c79d58ad0457bbe)},
	};
	struct bf_plan plan = made();

	(void)state;
	assert_int_equal(plan.limit_count, 2 * BF_OWNER_COUNT);
	for (int kind = 0; kind < BF_OWNER_COUNT; kind++) {
		const struct bf_limit *rate = limit_of(&plan, (enum bf_owner)kind, 0);
		const struct bf_limit *budget = limit_of(&plan, (enum bf_owner)kind, 1);

		assert_true(rate->identity == wanted[kind].concurrent);
		assert_true(budget->identity == wanted[kind].budget);
		assert_int_equal(rate->max, 3);
		assert_true(rate->endless);
		assert_int_equal(budget->max, 7);
		assert_true(bf_slice_is(budget->owner_id, "id"));
		assert_true(bf_slice_is(budget->limit_id, "b"));
		assert_true(bf_slice_is(rate->limit_id, "r"));
		assert_true(
		    bf_slice_is(budget->owner_name, kind == BF_OWNER_PROVIDER ? "p" : "Name"));
	}
}

/* The names that the loader gives to these two do not travel to children. */
static void those_without_names_are_called_what_they_are_about(void **state)
{
	(void)state;
	house.models[1].own.name = house.configs[1].own.name = (struct bf_slice){NULL, 0};
	struct bf_plan plan = made();

	for (uint32_t n = 0; n < 2; n++) {
		assert_true(
		    bf_slice_is(limit_of(&plan, BF_OWNER_MODEL_CONFIG, n)->owner_name, "p/GPT"));
		assert_true(
		    bf_slice_is(limit_of(&plan, BF_OWNER_PROVIDER_CONFIG, n)->owner_name, "p"));
	}
}

static void same_rows(const struct bf_limit_rows *a, struct bf_limit_rows b)
{
	assert_true(bf_slice_eq(a->virtual_key_id, b.virtual_key_id));
	assert_true(bf_slice_eq(a->team_id, b.team_id));
	assert_true(bf_slice_eq(a->customer_id, b.customer_id));
	assert_true(bf_slice_eq(a->provider, b.provider));
	assert_true(bf_slice_eq(a->model, b.model));
}

static void rows_that_limits_are_about(void **state)
{
	static const struct bf_limit_rows wanted[BF_OWNER_COUNT] = {
	    [BF_OWNER_PROVIDER] = {.provider = TEXT("p")},
	    [BF_OWNER_MODEL_CONFIG] = {.provider = TEXT("p"), .model = TEXT("GPT")},
	    [BF_OWNER_PROVIDER_CONFIG] = {.virtual_key_id = TEXT("id"), .provider = TEXT("p")},
	    [BF_OWNER_VIRTUAL_KEY] = {.virtual_key_id = TEXT("id")},
	    [BF_OWNER_TEAM] = {.team_id = TEXT("id")},
	    [BF_OWNER_CUSTOMER] = {.customer_id = TEXT("id")},
	};
	struct bf_plan plan = made();

	(void)state;
	for (int kind = 0; kind < BF_OWNER_COUNT; kind++)
		for (uint32_t n = 0; n < 2; n++)
			same_rows(&limit_of(&plan, (enum bf_owner)kind, n)->rows, wanted[kind]);
	house.models[1].model_name = BF_SLICE_LIT("*");
	house.models[1].scope = BF_MODEL_VIRTUAL_KEY;
	house.models[1].scope_id = BF_SLICE_LIT("id");
	plan = made();
	same_rows(&limit_of(&plan, BF_OWNER_MODEL_CONFIG, 0)->rows,
		  (struct bf_limit_rows){.provider = TEXT("p"), .virtual_key_id = TEXT("id")});
	house.models[1].provider = BF_SLICE_LIT("");
	house.models[1].model_name = BF_SLICE_LIT("p/x");
	plan = made();
	same_rows(&limit_of(&plan, BF_OWNER_MODEL_CONFIG, 0)->rows,
		  (struct bf_limit_rows){.model = TEXT("p/x"), .virtual_key_id = TEXT("id")});
}

/* ---- faults */

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

static const char *const lists[BF_OWNER_COUNT] = {
    [BF_OWNER_PROVIDER] = "providers: \"p\"",
    [BF_OWNER_MODEL_CONFIG] = "model_configs: \"Name\"",
    [BF_OWNER_PROVIDER_CONFIG] = "virtual_keys: \"Name\": provider_configs: \"Name\"",
    [BF_OWNER_VIRTUAL_KEY] = "virtual_keys: \"Name\"",
    [BF_OWNER_TEAM] = "teams: \"Name\"",
    [BF_OWNER_CUSTOMER] = "customers: \"Name\"",
};

/* The loader and a child say the same, of the right owner. */
static void refused(enum bf_owner kind, int code, enum bf_plan_part part, uint32_t budget,
		    const char *text)
{
	struct told told = {.count = 0};
	struct bf_plan plan = {.key_count = 77};
	struct bf_err err = {.code = 0};
	char whole[600];

	assert_int_equal(
	    bf_plan_check(&house.config, &arena, &(struct bf_plan_report){tell, &told}), code);
	assert_int_equal(told.count, 1);
	assert_string_equal(told.text, text);
	assert_int_equal(told.last.owner, kind);
	assert_int_equal(told.last.index, 1);
	assert_int_equal(told.last.key, kind == BF_OWNER_PROVIDER_CONFIG);
	assert_int_equal(told.last.part, part);
	assert_int_equal(told.last.budget, budget);
	assert_int_equal(bf_plan_make(&plan, &house.config, &arena, &err), code);
	assert_int_equal(plan.key_count, 77);
	(void)snprintf(whole, sizeof(whole), "governance.%s: %s", lists[kind], text);
	assert_string_equal(err.text, whole);
}

static void every_fault_of_every_owner(void **state)
{
	static const char *const nouns[BF_OWNER_COUNT] = {"provider", "model", "provider config",
							  "key",      "team",  "customer"};
	struct bf_conf_rate_limit *rate = &house.rates[0];
	struct bf_conf_budget many[41];
	char text[512];

	(void)state;
	for (int k = 0; k < BF_OWNER_COUNT; k++) {
		enum bf_owner kind = (enum bf_owner)k;
		struct bf_conf_owner *own = owner_at(kind), before = *own;

		own->rate_limit_id = BF_SLICE_LIT("x");
		refused(kind, BF_E_UNKNOWN, BF_PLAN_RATE_LIMIT, 0,
			"no rate limit has the id \"x\": add it to governance.rate_limits, or "
			"remove rate_limit_id");
		own->rate_limit_id = BF_SLICE_LIT("");
		own->budgets.count = 2;
		(void)snprintf(text, sizeof(text),
			       "\"60m\" is the window of another budget of this %s too: keep the "
			       "lower one",
			       nouns[k]);
		refused(kind, BF_E_DUPLICATE, BF_PLAN_BUDGET, 1, text);
		for (uint32_t i = 0; i < 41; i++)
			many[i] = house.budgets[0];
		own->budgets = (struct bf_array){many, 41};
		refused(kind, BF_E_LIMIT, BF_PLAN_OWNER, 0,
			"has 41 limits: at most 40 can be decided at once: remove budgets");
		many[0].reset_duration = BF_SLICE_LIT("soon");
		own->budgets.count = 1;
		refused(kind, BF_E_SYNTAX, BF_PLAN_BUDGET, 0,
			"\"soon\" is no window: write 30s, 5m, 1h, 1d, 1w, 1M, 1Q, 1Y or daily, "
			"weekly, monthly, yearly, up to 100 years");
		*own = before;
	}
	/* Of a rate limit that all name: each is told of its own. */
	rate->request_max_limit = 1;
	for (int k = 1; k < BF_OWNER_COUNT; k++)
		owner_at((enum bf_owner)k)->rate_limit_id = BF_SLICE_LIT("");
	refused(BF_OWNER_PROVIDER, BF_E_SYNTAX, BF_PLAN_REQUESTS, 0,
		"\"\" is no window: write 30s, 5m, 1h, 1d, 1w, 1M, 1Q, 1Y or daily, weekly, "
		"monthly, yearly, up to 100 years");
	rate->request_reset_duration = BF_SLICE_LIT("1h");
	rate->token_max_limit = 1;
	rate->token_reset_duration = BF_SLICE_LIT("0s");
	refused(BF_OWNER_PROVIDER, BF_E_RANGE, BF_PLAN_TOKENS, 0,
		"\"0s\" is no window: write 30s, 5m, 1h, 1d, 1w, 1M, 1Q, 1Y or daily, weekly, "
		"monthly, yearly, up to 100 years");
}

static void who_is_named_and_not_there(void **state)
{
	(void)state;
	house.keys[1].team_id = BF_SLICE_LIT("x");
	refused(BF_OWNER_VIRTUAL_KEY, BF_E_UNKNOWN, BF_PLAN_OWNER, 0,
		"no team has the id \"x\": add it, or correct the id");
	house.keys[1].team_id = BF_SLICE_LIT("id");
	house.teams[1].customer_id = BF_SLICE_LIT("y");
	refused(BF_OWNER_VIRTUAL_KEY, BF_E_UNKNOWN, BF_PLAN_OWNER, 0,
		"no customer has the id \"y\": add it, or correct the id");
	house.keys[1].team_id = house.teams[1].customer_id = BF_SLICE_LIT("");
	house.keys[1].customer_id = BF_SLICE_LIT("z");
	refused(BF_OWNER_VIRTUAL_KEY, BF_E_UNKNOWN, BF_PLAN_OWNER, 0,
		"no customer has the id \"z\": add it, or correct the id");
	house.keys[1].customer_id = BF_SLICE_LIT("");
	house.models[1].scope = BF_MODEL_VIRTUAL_KEY;
	house.models[1].scope_id = BF_SLICE_LIT("who");
	refused(BF_OWNER_MODEL_CONFIG, BF_E_UNKNOWN, BF_PLAN_OWNER, 0,
		"no virtual key has the id \"who\": add it, or correct the id");
}

/* Two owners of one kind and id. */
static void nobody_has_anothers_meter(void **state)
{
	char text[512];

	(void)state;
	for (int k = 0; k < BF_OWNER_COUNT; k++) {
		enum bf_owner kind = (enum bf_owner)k;
		struct bf_plan plan = made();
		/* The one before it in its list. */
		struct bf_conf_owner *const firsts[BF_OWNER_COUNT] = {
		    &house.providers[0].own, &house.models[0].own, &house.configs[0].own,
		    &house.keys[0].own,      &house.teams[0].own,  &house.customers[0].own,
		};
		struct bf_conf_owner before = *firsts[k];

		assert_int_equal(plan.limit_count, 2 * BF_OWNER_COUNT);
		*firsts[k] = *owner_at(kind);
		firsts[k]->budgets.count = 0;
		(void)snprintf(text, sizeof(text),
			       "its limit \"r\" has the identity of one of %s \"id\": give owners "
			       "and limits ids of their own",
			       bf_owner_name(kind));
		refused(kind, BF_E_DUPLICATE, BF_PLAN_OWNER, 0, text);
		*firsts[k] = before;
	}
}

static void all_are_told(void **state)
{
	struct told told = {.count = 0};

	(void)state;
	for (int k = 0; k < BF_OWNER_COUNT; k++)
		owner_at((enum bf_owner)k)->rate_limit_id = BF_SLICE_LIT("x");
	assert_int_equal(
	    bf_plan_check(&house.config, &arena, &(struct bf_plan_report){tell, &told}),
	    BF_E_UNKNOWN);
	assert_int_equal(told.count, BF_OWNER_COUNT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(those_without_names_are_called_what_they_are_about),
	    TEST(identities_for_ever),
	    TEST(rows_that_limits_are_about),
	    TEST(every_fault_of_every_owner),
	    TEST(who_is_named_and_not_there),
	    TEST(nobody_has_anothers_meter),
	    TEST(all_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
