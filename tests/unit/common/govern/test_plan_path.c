/* Which limits a request meets, and in which order: every mix of owners against a table, names of
 * models, and what costs no memory. */
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

/* ---- a house with one owner of each sort, each with a limit of requests and a budget */

enum {
	PROVIDER,
	MODEL_AT,
	MODEL,
	ANY_AT,
	ANY,
	CONFIG,
	KEY,
	TEAM,
	CUSTOMER,
	OWN_MODEL_AT,
	OWN_MODEL,
	OWN_ANY_AT,
	OWN_ANY,
	OWNERS,
};

static const char *const ids[OWNERS] = {
    [PROVIDER] = "provider",
    [MODEL_AT] = "model-at",
    [MODEL] = "model",
    [ANY_AT] = "any-at",
    [ANY] = "any",
    [CONFIG] = "config",
    [KEY] = "key",
    [TEAM] = "team",
    [CUSTOMER] = "customer",
    [OWN_MODEL_AT] = "own-model-at",
    [OWN_MODEL] = "own-model",
    [OWN_ANY_AT] = "own-any-at",
    [OWN_ANY] = "own-any",
};

static struct house {
	struct bf_config config;
	struct bf_conf_rate_limit rates[1];
	struct bf_conf_budget budgets[1];
	struct bf_conf_provider_limits providers[2];
	struct bf_conf_model_config models[9];
	struct bf_conf_provider_config configs[2];
	struct bf_conf_virtual_key keys[2];
	struct bf_conf_team teams[2];
	struct bf_conf_customer customers[2];
} house;

static struct bf_arena arena;

/* Without limits an owner is there, but has no say. */
static struct bf_conf_owner owner_of(int which, unsigned present)
{
	struct bf_conf_owner own = {.id = bf_slice_from(ids[which]),
				    .name = bf_slice_from(ids[which])};

	if (present & 1u << which) {
		own.rate_limit_id = BF_SLICE_LIT("r");
		own.budgets = (struct bf_array){house.budgets, 1};
	}
	return own;
}

static struct bf_conf_model_config model_of(int which, unsigned present)
{
	bool any = which == ANY || which == ANY_AT || which == OWN_ANY || which == OWN_ANY_AT;
	bool at =
	    which == MODEL_AT || which == ANY_AT || which == OWN_MODEL_AT || which == OWN_ANY_AT;
	struct bf_conf_model_config m = {.own = owner_of(which, present)};

	m.model_name = any ? BF_SLICE_LIT("*") : BF_SLICE_LIT("Gpt");
	if (at)
		m.provider = BF_SLICE_LIT("p");
	if (which >= OWN_MODEL_AT) {
		m.scope = BF_MODEL_VIRTUAL_KEY;
		m.scope_id = BF_SLICE_LIT("key");
	}
	return m;
}

static void build(unsigned present)
{
	static const int models[] = {OWN_ANY, ANY,      ANY_AT,     OWN_MODEL,
				     MODEL,   MODEL_AT, OWN_ANY_AT, OWN_MODEL_AT};
	struct bf_conf_governance *g = &house.config.governance;

	house = (struct house){
	    .rates = {{.id = TEXT("r"),
		       .request_max_limit = 5,
		       .request_reset_duration = TEXT("1h")}},
	    .budgets = {{.id = TEXT("b"), .max_limit_nusd = 7, .reset_duration = TEXT("1d")}},
	    .keys = {{.own.id = TEXT("other")}},
	    .teams = {{.own.id = TEXT("other")}},
	    .customers = {{.own.id = TEXT("other")}},
	};
	house.providers[0] = (struct bf_conf_provider_limits){owner_of(PROVIDER, present)};
	house.providers[0].own.name = BF_SLICE_LIT("p");
	for (size_t i = 0; i < BF_ARRAY_LEN(models); i++)
		house.models[i] = model_of(models[i], present);
	house.configs[0] =
	    (struct bf_conf_provider_config){.own.id = TEXT("plain"), .provider = TEXT("q")};
	house.configs[1].own = owner_of(CONFIG, present);
	house.configs[1].provider = BF_SLICE_LIT("p");
	house.keys[1].own = owner_of(KEY, present);
	house.keys[1].team_id = BF_SLICE_LIT("team");
	house.keys[1].provider_configs = (struct bf_array){house.configs, 2};
	house.teams[1].own = owner_of(TEAM, present);
	house.teams[1].customer_id = BF_SLICE_LIT("customer");
	house.customers[1].own = owner_of(CUSTOMER, present);
	g->rate_limits = (struct bf_array){house.rates, 1};
	g->providers = (struct bf_array){house.providers, 1};
	g->model_configs = (struct bf_array){house.models, BF_ARRAY_LEN(models)};
	g->virtual_keys = (struct bf_array){house.keys, 2};
	g->teams = (struct bf_array){house.teams, 2};
	g->customers = (struct bf_array){house.customers, 2};
}

static struct bf_plan made(void)
{
	struct bf_plan plan;
	struct bf_err err = {.code = 0};

	if (bf_plan_make(&plan, &house.config, &arena, &err) != 0)
		fail_msg("%s", err.text);
	return plan;
}

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

/* ---- what is right: the order of owners, and who is met where */

#define RATE   1u
#define BUDGET 2u
#define BOTH   (RATE | BUDGET)

static const struct {
	int owner;
	unsigned part;
} order[] = {
    {PROVIDER, BOTH},  {MODEL_AT, BOTH},   {MODEL, BOTH},      {ANY_AT, BOTH},
    {ANY, BOTH},       {CONFIG, RATE},     {KEY, RATE},        {CONFIG, BUDGET},
    {KEY, BUDGET},     {TEAM, BUDGET},     {CUSTOMER, BUDGET}, {OWN_MODEL_AT, BOTH},
    {OWN_MODEL, BOTH}, {OWN_ANY_AT, BOTH}, {OWN_ANY, BOTH},    {CUSTOMER, RATE},
    {TEAM, RATE},
};

#define AT_P   (1u << PROVIDER | 1u << ANY_AT | 1u << CONFIG | 1u << OWN_ANY_AT)
#define OF_GPT (1u << MODEL | 1u << OWN_MODEL)
#define BOTHS  (1u << MODEL_AT | 1u << OWN_MODEL_AT)
#define ALWAYS (1u << KEY | 1u << TEAM | 1u << CUSTOMER)
#define STARS  (1u << ANY | 1u << OWN_ANY)
#define KEYED  (1u << CONFIG | ALWAYS | 15u << OWN_MODEL_AT)

static const struct {
	const char *provider, *model;
	unsigned meets;
} targets[] = {
    {"p", "gpt", AT_P | OF_GPT | BOTHS | STARS | ALWAYS},
    {"p", "P/GPT", AT_P | OF_GPT | BOTHS | STARS | ALWAYS},
    {"p", "vendor/gpt", AT_P | OF_GPT | BOTHS | STARS | ALWAYS},
    {"p", "gpt-2", AT_P | STARS | ALWAYS},
    {"p", "gpt/2", AT_P | STARS | ALWAYS},
    {"p", "", AT_P | STARS | ALWAYS},
    {"p", "*", AT_P | STARS | ALWAYS},
    {"q", "gpt", OF_GPT | STARS | ALWAYS},
    {"q", "p/gpt", OF_GPT | STARS | ALWAYS},
    {"q", "else", STARS | ALWAYS},
    {"q", "gpt/", STARS | ALWAYS},
    {"P", "gpt", OF_GPT | STARS | ALWAYS},
    {"", "", STARS | ALWAYS},
};

static void expect(const struct bf_plan_path *path, unsigned meets)
{
	uint32_t at = 0;
	bool has_budget = false;

	for (size_t i = 0; i < BF_ARRAY_LEN(order); i++) {
		for (unsigned part = RATE; part <= BUDGET; part <<= 1) {
			const struct bf_limit *l;

			if (!(meets & 1u << order[i].owner) || !(order[i].part & part))
				continue;
			assert_true(at < path->count);
			l = path->items[at++];
			assert_string_equal(l->owner_id.ptr, ids[order[i].owner]);
			assert_int_equal(l->quantity,
					 part == RATE ? BF_QUANTITY_REQUESTS : BF_QUANTITY_NUSD);
			has_budget |= part == BUDGET;
		}
	}
	assert_int_equal(path->count, at);
	assert_int_equal(path->has_budget, has_budget);
}

static void walk(const struct bf_plan *plan, unsigned present)
{
	const struct bf_plan_key *key = &plan->keys[1];

	for (size_t t = 0; t < BF_ARRAY_LEN(targets); t++) {
		struct bf_slice provider = bf_slice_from(targets[t].provider);
		struct bf_slice model = bf_slice_from(targets[t].model);
		unsigned meets = targets[t].meets & present;
		size_t before = arena.used_bytes;
		struct bf_plan_path path;

		assert_int_equal(bf_plan_path(plan, key, provider, model, &arena, &path), 0);
		expect(&path, meets);
		/* What depends on nothing costs nothing. */
		if (!(meets & ~ALWAYS)) {
			assert_ptr_equal(path.items, key->always.items);
			assert_int_equal(arena.used_bytes, before);
		}
		assert_int_equal(bf_plan_path(plan, NULL, provider, model, &arena, &path), 0);
		expect(&path, meets & ~KEYED);
		assert_int_equal(bf_plan_path(plan, &plan->keys[0], provider, model, &arena, &path),
				 0);
		expect(&path, meets & ~KEYED);
	}
	expect(&key->always, present & ALWAYS);
	assert_int_equal(plan->by_target, (present & ~ALWAYS) != 0);
}

static void every_mix(void **state)
{
	(void)state;
	for (unsigned present = 0; present < 1u << OWNERS; present++) {
		build(present);
		struct bf_plan plan = made();

		walk(&plan, present);
		bf_arena_reset(&arena);
	}
}

/* ---- whose names it tells, and who is found */

static void who_is_who(void **state)
{
	(void)state;
	build(0);
	struct bf_plan plan = made();
	const struct bf_plan_key *key = &plan.keys[1];

	assert_ptr_equal(key->team_conf, &house.teams[1]);
	assert_ptr_equal(key->customer_conf, &house.customers[1]);
	assert_null(plan.keys[0].team_conf);
	assert_null(plan.keys[0].customer);
	assert_ptr_equal(bf_plan_provider_config(key, BF_SLICE_LIT("p"))->conf, &house.configs[1]);
	assert_ptr_equal(bf_plan_provider_config(key, BF_SLICE_LIT("q"))->conf, &house.configs[0]);
	assert_null(bf_plan_provider_config(key, BF_SLICE_LIT("x")));
	assert_null(bf_plan_provider_config(&plan.keys[0], BF_SLICE_LIT("p")));
	assert_int_equal(plan.keys[0].model_config_count, 0);
	assert_int_equal(key->model_config_count, 4);
	assert_ptr_equal(key->model_configs[0]->conf, &house.models[0]);
	assert_ptr_equal(key->model_configs[3]->conf, &house.models[7]);
	assert_int_equal(plan.model_config_count, 8);
	/* A key of a customer without a team, and a team without a customer. */
	house.keys[0].customer_id = BF_SLICE_LIT("customer");
	house.teams[1].customer_id = BF_SLICE_LIT("");
	plan = made();
	assert_ptr_equal(plan.keys[0].customer_conf, &house.customers[1]);
	assert_null(plan.keys[0].team);
	assert_null(plan.keys[1].customer_conf);
	assert_ptr_equal(plan.keys[1].team_conf, &house.teams[1]);
}

/* ---- a key of a plan of its own, as workers have them */

/* The part of the house that is everybody's, or one key's. */
static struct bf_plan part_of_house(bool of_key)
{
	struct bf_config part = house.config, whole = house.config;
	struct bf_conf_model_config models[BF_ARRAY_LEN(house.models)];
	uint32_t count = 0;
	struct bf_plan plan;

	for (uint32_t i = 0; i < house.config.governance.model_configs.count; i++)
		if ((house.models[i].scope == BF_MODEL_VIRTUAL_KEY) == of_key)
			models[count++] = house.models[i];
	part.governance.model_configs.count = count;
	part.governance.model_configs.items =
	    bf_arena_alloc(&arena, count * sizeof(house.models[0]) + 1);
	memcpy(part.governance.model_configs.items, models, count * sizeof(house.models[0]));
	if (of_key)
		part.governance.providers = (struct bf_array){NULL, 0};
	else
		part.governance.virtual_keys = part.governance.teams = part.governance.customers =
		    (struct bf_array){NULL, 0};
	house.config = part;
	plan = made();
	house.config = whole;
	return plan;
}

static void key_of_another_plan(void **state)
{
	(void)state;
	for (unsigned present = 0; present < 1u << OWNERS; present++) {
		build(present);
		struct bf_plan everybody = part_of_house(false), alone = part_of_house(true);

		for (size_t t = 0; t < BF_ARRAY_LEN(targets); t++) {
			struct bf_plan_path path;

			assert_int_equal(bf_plan_path(&everybody, &alone.keys[1],
						      bf_slice_from(targets[t].provider),
						      bf_slice_from(targets[t].model), &arena,
						      &path),
					 0);
			expect(&path, targets[t].meets & present);
		}
		bf_arena_reset(&arena);
	}
}

/* Each plan is within the bound; what they are together is found out too late to be told to who
 * wrote it, and must not be let through with some limits left out. */
static void too_many_together(void **state)
{
	static struct bf_conf_budget many[2][25];
	char reset[2][25][8];
	struct bf_plan_path path;

	(void)state;
	build(1u << PROVIDER | 1u << KEY);
	for (int i = 0; i < 25; i++)
		for (int of = 0; of < 2; of++) {
			(void)snprintf(reset[of][i], sizeof(reset[of][i]), "%ds", i + 1);
			many[of][i] =
			    (struct bf_conf_budget){.id = bf_slice_from(reset[of][i]),
						    .max_limit_nusd = 1,
						    .reset_duration = bf_slice_from(reset[of][i])};
		}
	house.providers[0].own.budgets = (struct bf_array){many[0], 25};
	house.keys[1].own.budgets = (struct bf_array){many[1], 25};
	struct bf_plan everybody = part_of_house(false), alone = part_of_house(true);

	assert_int_equal(bf_plan_path(&everybody, &alone.keys[1], BF_SLICE_LIT("p"),
				      BF_SLICE_LIT("m"), &arena, &path),
			 BF_E_LIMIT);
	assert_int_equal(bf_plan_path(&everybody, &alone.keys[1], BF_SLICE_LIT("q"),
				      BF_SLICE_LIT("m"), &arena, &path),
			 0);
	assert_int_equal(path.count, 26);
}

/* Two configurations of one model both count, in the order of the file; a name in full comes before
 * its rest. */
static void models_named_twice(void **state)
{
	static const char *const wanted[] = {"full", "model", "again", "any"};
	const unsigned present = 1u << MODEL | 1u << ANY;
	struct bf_plan_path path;

	(void)state;
	build(present);
	house.models[6] = model_of(MODEL, present);
	house.models[6].own.id = BF_SLICE_LIT("again");
	house.models[6].model_name = BF_SLICE_LIT("GPT");
	house.models[7] = model_of(MODEL, present);
	house.models[7].own.id = BF_SLICE_LIT("full");
	house.models[7].model_name = BF_SLICE_LIT("Vendor/gpt");
	struct bf_plan plan = made();

	assert_int_equal(
	    bf_plan_path(&plan, NULL, BF_SLICE_LIT("q"), BF_SLICE_LIT("vendor/gpt"), &arena, &path),
	    0);
	assert_int_equal(path.count, 8);
	for (uint32_t i = 0; i < path.count; i++)
		assert_true(bf_slice_is(path.items[i]->owner_id, wanted[i / 2]));
}

static void names_of_models(void **state)
{
	static const struct {
		const char *named, *model, *provider;
		bool is;
	} cases[] = {
	    {"gpt-4o", "gpt-4o", "openai", true},
	    {"GPT-4o", "gpt-4O", "openai", true},
	    {"openai/gpt-4o", "gpt-4o", "openai", true},
	    {"gpt-4o", "OpenAI/gpt-4o", "openai", true},
	    {"gpt-4o", "openai/gpt-4o", "openrouter", true},
	    {"openai/gpt-4o", "openai/gpt-4o", "openrouter", true},
	    {"openrouter/openai/gpt-4o", "openai/gpt-4o", "openrouter", true},
	    {"openai/gpt-4o", "gpt-4o", "openrouter", false},
	    {"openai/gpt-4o", "azure/gpt-4o", "openrouter", false},
	    {"gpt-4o", "gpt-4o-mini", "openai", false},
	    {"gpt-4o-mini", "gpt-4o", "openai", false},
	    {"", "gpt-4o/", "openai", false},
	    {"4o", "gpt-4o", "openai", false},
	    {"b/c", "a/b/c", "x", false},
	    {"c", "a/b/c", "x", true},
	    {"openai", "openai", "openai", true},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++)
		if (bf_model_is(bf_slice_from(cases[i].named), bf_slice_from(cases[i].model),
				bf_slice_from(cases[i].provider)) != cases[i].is)
			fail_msg("%s, %s at %s", cases[i].named, cases[i].model, cases[i].provider);
	assert_true(bf_slice_is(bf_model_bare(BF_SLICE_LIT("A/b"), BF_SLICE_LIT("a")), "b"));
	assert_true(bf_slice_is(bf_model_bare(BF_SLICE_LIT("a/b"), BF_SLICE_LIT("")), "a/b"));
	assert_true(bf_slice_is(bf_model_bare(BF_SLICE_LIT("ab"), BF_SLICE_LIT("ab")), "ab"));
}

static void no_memory_for_a_path(void **state)
{
	struct bf_plan_path path;
	struct bf_arena none;

	(void)state;
	build(1u << KEY | 1u << PROVIDER);
	struct bf_plan plan = made();
	bf_arena_init(&none, 0);
	assert_int_equal(
	    bf_plan_path(&plan, &plan.keys[1], BF_SLICE_LIT("p"), BF_SLICE_LIT("m"), &none, &path),
	    -ENOMEM);
	assert_int_equal(
	    bf_plan_path(&plan, &plan.keys[1], BF_SLICE_LIT("q"), BF_SLICE_LIT("m"), &none, &path),
	    0);
	assert_ptr_equal(path.items, plan.keys[1].always.items);
	bf_arena_done(&none);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(every_mix),
	    TEST(who_is_who),
	    TEST(key_of_another_plan),
	    TEST(too_many_together),
	    TEST(models_named_twice),
	    TEST(names_of_models),
	    TEST(no_memory_for_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
