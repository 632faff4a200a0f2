/* At most 40 limits on one path: what is refused and in which words, that nothing else is, and how
 * much room plans take. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/govern/plan.h"

#define TEXT(s)     BF_SLICE_INIT(s)
#define BUDGETS_MAX 40u

static struct bf_conf_budget budgets[BUDGETS_MAX];
static struct bf_arena arena;

static int setup(void **state)
{
	static char windows[BUDGETS_MAX][8];

	(void)state;
	for (uint32_t i = 0; i < BUDGETS_MAX; i++) {
		(void)snprintf(windows[i], sizeof(windows[i]), "%um", i + 1);
		budgets[i] = (struct bf_conf_budget){.id = bf_slice_from(windows[i]),
						     .max_limit_nusd = 1,
						     .reset_duration = bf_slice_from(windows[i])};
	}
	bf_arena_init(&arena, 64 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

static struct bf_conf_owner with(const char *id, uint32_t count)
{
	return (struct bf_conf_owner){
	    .id = bf_slice_from(id), .name = bf_slice_from(id), .budgets = {budgets, count}};
}

struct told {
	uint32_t count;
	struct bf_plan_fault first, last;
	char text[512];
};

static void tell(void *ctx, const struct bf_plan_fault *fault)
{
	struct told *told = ctx;

	if (told->count++ == 0)
		told->first = *fault;
	told->last = *fault;
	(void)snprintf(told->text, sizeof(told->text), "%s", fault->text);
}

static struct told checked(const struct bf_config *config, int code)
{
	struct told told = {.count = 0};
	struct bf_plan plan = {.key_count = 77};
	struct bf_err err = {.code = 0};

	assert_int_equal(bf_plan_check(config, &arena, &(struct bf_plan_report){tell, &told}),
			 code);
	assert_int_equal(bf_plan_make(&plan, config, &arena, &err), code);
	assert_int_equal(told.count > 0, code != 0);
	if (code)
		assert_int_equal(plan.key_count, 77);
	return told;
}

/* ---- words */

static void a_key_and_whom_it_belongs_to(void **state)
{
	struct bf_conf_customer customers[] = {{.own = with("acme", 10)}};
	struct bf_conf_team teams[] = {{.own = with("blue", 10), .customer_id = TEXT("acme")}};
	struct bf_conf_provider_config configs[] = {
	    {.own = with("few", 9), .provider = TEXT("x")},
	    {.own = with("many", 10), .provider = TEXT("p")}};
	struct bf_conf_virtual_key keys[] = {
	    {.own = with("short", 20), .team_id = TEXT("blue")},
	    {.own = with("long", 11), .team_id = TEXT("blue"), .provider_configs = {configs, 2}},
	};
	struct bf_config config = {.governance = {.customers = {customers, 1},
						  .teams = {teams, 1},
						  .virtual_keys = {keys, 2}}};
	struct told told = checked(&config, BF_E_LIMIT);

	(void)state;
	assert_int_equal(told.count, 1);
	assert_int_equal(told.last.owner, BF_OWNER_VIRTUAL_KEY);
	assert_int_equal(told.last.index, 1);
	assert_int_equal(told.last.part, BF_PLAN_OWNER);
	assert_string_equal(
	    told.text, "a request to provider \"p\" for any model meets 41 limits, and at most 40 "
		       "can be decided at once: remove some of 10 of provider_config \"many\", 11 "
		       "of virtual_key \"long\", 10 of team \"blue\", 10 of customer \"acme\"");
	configs[1].own.budgets.count = 9;
	(void)checked(&config, 0);
	/* The other one meets no provider config. */
	keys[0].own.budgets.count = 21;
	told = checked(&config, BF_E_LIMIT);
	assert_int_equal(told.last.index, 0);
	/* Both. */
	keys[1].own.budgets.count = 12;
	told = checked(&config, BF_E_LIMIT);
	assert_int_equal(told.count, 2);
	assert_int_equal(told.first.index, 0);
	assert_int_equal(told.last.index, 1);
}

static void without_a_key(void **state)
{
	struct bf_conf_provider_limits providers[] = {{.own = with("q", 1)},
						      {.own = with("p", 20)}};
	struct bf_conf_model_config models[] = {
	    {.own = with("m-at", 10), .provider = TEXT("p"), .model_name = TEXT("m")},
	    {.own = with("m", 11), .model_name = TEXT("M")},
	    {.own = with("n", 30), .model_name = TEXT("n"), .provider = TEXT("q")},
	};
	struct bf_conf_virtual_key keys[] = {{.own = with("a", 0)}, {.own = with("b", 0)}};
	struct bf_config config = {.governance = {.providers = {providers, 2},
						  .model_configs = {models, 3},
						  .virtual_keys = {keys, 2}}};
	struct told told = checked(&config, BF_E_LIMIT);
	struct bf_plan plan;
	struct bf_err err;

	(void)state;
	/* Once, not of each key. */
	assert_int_equal(told.count, 1);
	assert_int_equal(told.last.owner, BF_OWNER_PROVIDER);
	assert_int_equal(told.last.index, 1);
	assert_non_null(strstr(told.text, "a request to provider \"p\" for model \"M\" meets 41"));
	assert_non_null(strstr(told.text,
			       "20 of provider \"p\", 10 of model_config \"m-at\", 11 of "
			       "model_config \"m\""));
	assert_int_equal(bf_plan_make(&plan, &config, &arena, &err), BF_E_LIMIT);
	assert_non_null(strstr(err.text, "governance.providers: \"p\": a request to"));
	models[1].own.budgets.count = 10;
	(void)checked(&config, 0);
	/* No provider. */
	models[1].own.budgets.count = 40;
	models[0].provider = BF_SLICE_LIT("");
	config.governance.providers.count = 0;
	told = checked(&config, BF_E_LIMIT);
	assert_int_equal(told.last.owner, BF_OWNER_MODEL_CONFIG);
	assert_int_equal(told.last.index, 0);
	assert_non_null(strstr(told.text, "a request to any provider for model \"M\" meets 50"));
}

/* ---- against a reference */

struct tiny {
	struct bf_config config;
	struct bf_conf_provider_limits providers[2];
	struct bf_conf_model_config models[8];
	struct bf_conf_provider_config configs[2];
	struct bf_conf_virtual_key keys[1];
	struct bf_conf_team teams[1];
};

static const char *const providers[] = {"", "p", "q"};
static const char *const models[] = {"*", "m", "v/m", "p/m", "n"};

static uint32_t below(uint32_t n)
{
	return (uint32_t)random() % n;
}

static void fill(struct tiny *t, uint32_t most)
{
	static const char *const ids[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
	struct bf_conf_governance *g = &t->config.governance;

	*t = (struct tiny){.teams = {{.own = with("t", below(most))}},
			   .keys = {{.own = with("k", below(most)), .team_id = TEXT("t")}}};
	for (uint32_t i = 0; i < 2; i++) {
		t->providers[i].own = with(providers[1 + i], below(most));
		t->configs[i].own = with(ids[i], below(most));
		t->configs[i].provider = bf_slice_from(providers[1 + i]);
	}
	for (uint32_t i = 0; i < BF_ARRAY_LEN(t->models); i++) {
		struct bf_conf_model_config *m = &t->models[i];

		m->own = with(ids[i], below(most));
		m->provider = bf_slice_from(providers[below(BF_ARRAY_LEN(providers))]);
		m->model_name = bf_slice_from(models[below(BF_ARRAY_LEN(models))]);
		m->scope = (int32_t)below(2);
		m->scope_id = BF_SLICE_LIT("k");
	}
	t->keys[0].provider_configs = (struct bf_array){t->configs, below(3)};
	g->providers = (struct bf_array){t->providers, below(3)};
	g->model_configs = (struct bf_array){t->models, below(1 + BF_ARRAY_LEN(t->models))};
	g->virtual_keys = (struct bf_array){t->keys, 1};
	g->teams = (struct bf_array){t->teams, 1};
}

/* By looking at everything. */
static uint32_t meets(const struct tiny *t, bool keyed, struct bf_slice p, struct bf_slice m)
{
	const struct bf_conf_governance *g = &t->config.governance;
	uint32_t n = keyed ? t->keys[0].own.budgets.count + t->teams[0].own.budgets.count : 0;

	for (uint32_t i = 0; i < g->providers.count; i++)
		if (bf_slice_eq(t->providers[i].own.name, p))
			n += t->providers[i].own.budgets.count;
	for (uint32_t i = 0; keyed && i < t->keys[0].provider_configs.count; i++)
		if (bf_slice_eq(t->configs[i].provider, p))
			n += t->configs[i].own.budgets.count;
	for (uint32_t i = 0; i < g->model_configs.count; i++) {
		const struct bf_conf_model_config *c = &t->models[i];

		if ((c->scope == BF_MODEL_GLOBAL || keyed) &&
		    (c->provider.len == 0 || bf_slice_eq(c->provider, p)) &&
		    (bf_slice_is(c->model_name, "*") ||
		     bf_model_is(bf_model_bare(c->model_name, c->provider), m, p)))
			n += c->own.budgets.count;
	}
	return n;
}

static const char *const asked[] = {"",      "m",   "v/m",   "p/m",   "n",
				    "q/p/m", "w/n", "p/v/m", "p/p/m", "q/v/m"};

/* The longest path that anybody can find; each is what the plan says. */
static uint32_t longest(const struct tiny *t, const struct bf_plan *plan)
{
	uint32_t most = 0;

	for (size_t i = 0; i < 2 * BF_ARRAY_LEN(providers) * BF_ARRAY_LEN(asked); i++) {
		struct bf_slice p = bf_slice_from(providers[i / 2 % BF_ARRAY_LEN(providers)]);
		struct bf_slice m = bf_slice_from(asked[i / 2 / BF_ARRAY_LEN(providers)]);
		uint32_t n = meets(t, i % 2, p, m);
		struct bf_plan_path path;

		most = BF_MAX(most, n);
		if (!plan)
			continue;
		assert_int_equal(bf_plan_path(plan, i % 2 ? plan->keys : NULL, p, m, &arena, &path),
				 0);
		assert_int_equal(path.count, n);
	}
	return most;
}

static void neither_more_nor_less(void **state)
{
	uint32_t refused = 0, close = 0;

	(void)state;
	srandom(5);
	for (uint32_t i = 0; i < 4000; i++) {
		struct told told = {.count = 0};
		struct bf_plan plan;
		struct tiny t;

		fill(&t, 4 + i % 9);
		uint32_t most = longest(&t, NULL);
		int r = bf_plan_check(&t.config, &arena, &(struct bf_plan_report){tell, &told});

		if (r != (most > BF_PLAN_LIMITS_PER_REQUEST ? BF_E_LIMIT : 0))
			fail_msg("round %u: %u limits, %d: %s", i, most, r, told.text);
		assert_int_equal(bf_plan_make(&plan, &t.config, &arena, NULL), r);
		if (r == 0)
			(void)longest(&t, &plan);
		refused += r != 0;
		close += most > 30 && r == 0;
		bf_arena_reset(&arena);
	}
	assert_true(refused > 100 && close > 100);
}

/* The longest path is that of a name with a prefix, which is nobody's longest alone. */
static void names_with_prefixes(void **state)
{
	struct bf_conf_model_config configs[] = {
	    {.own = with("v/m", 15), .model_name = TEXT("v/m"), .provider = TEXT("q")},
	    {.own = with("n", 20), .model_name = TEXT("n")},
	    {.own = with("own", 15),
	     .model_name = TEXT("m"),
	     .scope = BF_MODEL_VIRTUAL_KEY,
	     .scope_id = TEXT("k")},
	    {.own = with("again", 0),
	     .model_name = TEXT("m"),
	     .scope = BF_MODEL_VIRTUAL_KEY,
	     .scope_id = TEXT("k")},
	};
	struct bf_conf_virtual_key key = {.own = with("k", 11)};
	struct bf_config config = {
	    .governance = {.model_configs = {configs, 3}, .virtual_keys = {&key, 1}}};
	struct told told = checked(&config, BF_E_LIMIT);

	(void)state;
	assert_non_null(strstr(told.text, "provider \"q\" for model \"v/m\" meets 41"));
	key.own.budgets.count = 10;
	(void)checked(&config, 0);
	/* At the provider of its prefix a name is the rest. */
	key.own.budgets.count = 11;
	configs[0].provider = BF_SLICE_LIT("p");
	configs[2].model_name = BF_SLICE_LIT("p/m");
	told = checked(&config, BF_E_LIMIT);
	assert_non_null(strstr(told.text, "provider \"p\" for model \"v/m\" meets 41"));
	/* Where it meets those of the rest too. */
	configs[3].own.budgets.count = 15;
	config.governance.model_configs.items = &configs[2];
	config.governance.model_configs.count = 2;
	told = checked(&config, BF_E_LIMIT);
	assert_non_null(strstr(told.text, "any provider for model \"p/m\" meets 41"));
}

/* ---- room */

static void plans_fit_in_what_is_said(void **state)
{
	(void)state;
	srandom(6);
	for (uint32_t i = 0; i < 500; i++) {
		struct bf_plan plan;
		struct tiny t;

		fill(&t, 1 + i % 12);
		struct bf_plan_size size = bf_plan_worst(&t.config.governance);
		if (bf_plan_make(&plan, &t.config, &arena, NULL) == 0)
			assert_true(plan.limit_count <= size.limits);
		assert_true(arena.used_bytes <= size.bytes);
		bf_arena_reset(&arena);
	}
}

/* Every allocation fails once, of a plan whose paths have to be looked into. */
static void memory_that_is_out(void **state)
{
	uint32_t failures = 0;
	struct tiny t;

	(void)state;
	srandom(7);
	/* The maxima of these say 41, no path is longer than 40. */
	fill(&t, 1);
	t.keys[0].own.budgets.count = 11;
	t.config.governance.providers.count = 2;
	t.providers[0].own.budgets.count = 30;
	t.keys[0].provider_configs.count = 2;
	t.configs[1].own.budgets.count = 29;
	(void)checked(&t.config, BF_E_LIMIT);
	t.providers[0].own.budgets.count = 29;
	(void)checked(&t.config, 0);
	for (size_t cap = 0;; cap += 16) {
		struct bf_plan plan = {.key_count = 77};
		struct told told = {.count = 0};
		struct bf_arena small;
		struct bf_err err;

		bf_arena_init(&small, cap);
		int r = bf_plan_make(&plan, &t.config, &small, &err);
		assert_true(r == 0 || (r == -ENOMEM && plan.key_count == 77));
		bf_arena_reset(&small);
		assert_int_equal(
		    bf_plan_check(&t.config, &small, &(struct bf_plan_report){tell, &told}), r);
		assert_int_equal(told.count, 0);
		bf_arena_done(&small);
		if (r == 0)
			break;
		failures++;
	}
	assert_true(failures > 100);
}

#define MANY   10000u
#define MODELS 1000u

static struct {
	struct bf_conf_virtual_key keys[MANY];
	struct bf_conf_team teams[100];
	struct bf_conf_model_config models[MODELS];
	char names[MANY + 100 + MODELS][12];
} many;

static struct bf_config crowd(void)
{
	for (uint32_t i = 0; i < MANY + 100 + MODELS; i++)
		(void)snprintf(many.names[i], sizeof(many.names[i]), "name-%u", i);
	for (uint32_t i = 0; i < MANY; i++) {
		many.keys[i] = (struct bf_conf_virtual_key){.own = with(many.names[i], 2)};
		many.keys[i].team_id = bf_slice_from(many.names[MANY + i % 100]);
	}
	for (uint32_t i = 0; i < 100; i++)
		many.teams[i].own = with(many.names[MANY + i], 1);
	for (uint32_t i = 0; i < MODELS; i++)
		many.models[i] = (struct bf_conf_model_config){
		    .own = with(many.names[MANY + 100 + i], 1),
		    .model_name = bf_slice_from(many.names[MANY + 100 + i])};
	return (struct bf_config){.governance = {.virtual_keys = {many.keys, MANY},
						 .teams = {many.teams, 100},
						 .model_configs = {many.models, MODELS}}};
}

static void thousands(void **state)
{
	struct bf_config config = crowd();
	struct bf_plan_size size = bf_plan_worst(&config.governance);
	struct bf_plan plan;
	struct bf_err err = {0};

	(void)state;
	if (bf_plan_make(&plan, &config, &arena, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(plan.limit_count, 2 * MANY + 100 + MODELS);
	assert_true(arena.used_bytes <= size.bytes);
	/* What is said is not far from what is taken. */
	assert_true(size.bytes < 2 * arena.used_bytes);
	for (uint32_t k = 0; k < MANY; k++) {
		const struct bf_slice model = many.models[k % MODELS].model_name;
		struct bf_plan_path path;

		assert_int_equal(
		    bf_plan_path(&plan, &plan.keys[k], BF_SLICE_LIT("p"), model, &arena, &path), 0);
		assert_int_equal(path.count, 4);
		assert_ptr_equal(path.items[0], plan.model_configs[k % MODELS].own.limits);
		assert_ptr_equal(path.items[1], plan.keys[k].own.limits);
		assert_ptr_equal(path.items[3], plan.keys[k].team->limits);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_key_and_whom_it_belongs_to),
	    TEST(without_a_key),
	    TEST(neither_more_nor_less),
	    TEST(names_with_prefixes),
	    TEST(plans_fit_in_what_is_said),
	    TEST(memory_that_is_out),
	    TEST(thousands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
