/*
 * Small configurations say what the whole one says: limits and paths of plans made of a large
 * random configuration, and of what its snapshot gives for each key and for everybody. What is
 * missing blocks; what changed is noticed, and nothing else.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/govern/plan.h"
#include "common/schema/load.h"
#include "tests/support/snapshot_of.h"

#define TEXT(s) BF_SLICE_INIT(s)

static struct bf_arena whole_arena, arena;

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&whole_arena, 64 << 20);
	bf_arena_init(&arena, 64 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&whole_arena);
	bf_arena_done(&arena);
	return 0;
}

/* ---- a large random configuration, as a file */

#define CUSTOMERS 6
#define TEAMS     12
#define KEYS      150
#define MODELS    160
#define RATES     10

static const char *const providers[] = {"openai", "mock", "groq"};
static const char *const models[] = {"gpt", "llama", "mini", "vendor/gpt", "*"};

static int dice(int sides)
{
	return (int)(random() % sides);
}

static void write_limits(FILE *out, const char *indent)
{
	static const char *const windows[] = {"1h", "1d"};
	int shape = dice(5);

	(void)fprintf(out, "%sbudgets: [", indent);
	for (int i = dice(3); i < 2; i++)
		(void)fprintf(out, "{max_limit: %d, reset_duration: %s}, ", 1 + dice(9),
			      windows[i]);
	(void)fprintf(out, "]\n");
	if (shape == 0)
		(void)fprintf(out, "%srate_limit_id: r%d\n", indent, dice(RATES));
	if (shape == 1)
		(void)fprintf(out,
			      "%srate_limit: {request_max_limit: %d, "
			      "request_reset_duration: 1m, concurrent_max_limit: %d}\n",
			      indent, 1 + dice(99), dice(4));
	if (dice(3) == 0)
		(void)fprintf(out, "%scalendar_aligned: true\n", indent);
}

static void write_keys(FILE *out)
{
	(void)fprintf(out, "  virtual_keys:\n");
	for (int i = 0; i < KEYS; i++) {
		int with = 1 + dice(7), belongs = dice(3);

		(void)fprintf(out, "    - id: k%d\n      name: key %d\n      value: sk-bf-%d\n", i,
			      i, i);
		if (belongs == 0)
			(void)fprintf(out, "      team_id: t%d\n", dice(TEAMS));
		if (belongs == 1)
			(void)fprintf(out, "      customer_id: c%d\n", dice(CUSTOMERS));
		write_limits(out, "      ");
		if (dice(2))
			continue;
		(void)fprintf(out, "      provider_configs:\n");
		for (int p = 0; p < 3; p++) {
			if (!(with & 1 << p))
				continue;
			(void)fprintf(out, "        - provider: %s\n", providers[p]);
			write_limits(out, "          ");
		}
	}
}

/* Every target only once: model and provider go through all pairs, for this or that key. */
static void write_models(FILE *out)
{
	(void)fprintf(out, "  model_configs:\n");
	for (int i = 0; i < MODELS; i++) {
		int pair = i % 20;

		(void)fprintf(out, "    - model_name: \"%s\"\n", models[pair % 5]);
		if (pair / 5)
			(void)fprintf(out, "      provider: %s\n", providers[pair / 5 - 1]);
		if (i >= 20)
			(void)fprintf(out, "      scope: virtual_key\n      scope_id: k%d\n",
				      i / 20 * 3);
		write_limits(out, "      ");
	}
}

static void write_file(FILE *out)
{
	(void)fprintf(out, "providers:\n  openai: {keys: [{name: a, value: b}]}\n"
			   "  groq: {keys: [{name: c, value: d}]}\n  mock: {}\n"
			   "governance:\n  rate_limits:\n");
	for (int i = 0; i < RATES; i++)
		(void)fprintf(out,
			      "    - {id: r%d, token_max_limit: %d, "
			      "token_reset_duration: 1h, request_max_limit: 9, "
			      "request_reset_duration: 1d}\n",
			      i, 100 + i);
	(void)fprintf(out, "  customers:\n");
	for (int i = 0; i < CUSTOMERS; i++) {
		(void)fprintf(out, "    - id: c%d\n      name: customer %d\n", i, i);
		write_limits(out, "      ");
	}
	(void)fprintf(out, "  teams:\n");
	for (int i = 0; i < TEAMS; i++) {
		(void)fprintf(out, "    - id: t%d\n      name: team %d\n", i, i);
		if (dice(2))
			(void)fprintf(out, "      customer_id: c%d\n", dice(CUSTOMERS));
		write_limits(out, "      ");
	}
	(void)fprintf(out, "  providers:\n    - name: openai\n");
	write_limits(out, "      ");
	write_models(out);
	write_keys(out);
}

static const char *no_env(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return NULL;
}

static struct bf_config loaded(void)
{
	const struct bf_config_env env = {.get_env = no_env};
	struct bf_config config;
	struct bf_diags diags;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	write_file(out);
	assert_int_equal(fclose(out), 0);
	if (bf_config_load(BF_SLICE_LIT("t.yaml"), (struct bf_slice){text, len}, &env, &whole_arena,
			   &config, &diags) != 0)
		fail_msg("%s", ((struct bf_diag *)diags.list.items)->text.ptr);
	free(text);
	return config;
}

/* ---- the same limits */

static void expect_same(const struct bf_plan_path *whole, const struct bf_plan_path *small)
{
	assert_int_equal(whole->count, small->count);
	assert_int_equal(whole->has_budget, small->has_budget);
	for (uint32_t i = 0; i < whole->count; i++) {
		const struct bf_limit *a = whole->items[i], *b = small->items[i];

		assert_int_equal(a->identity, b->identity);
		assert_int_equal(a->quantity, b->quantity);
		assert_int_equal(a->max, b->max);
		assert_int_equal(a->endless, b->endless);
		assert_int_equal(a->window.kind, b->window.kind);
		assert_int_equal(a->window.length_ms, b->window.length_ms);
		assert_int_equal(a->window.anchor_ms, b->window.anchor_ms);
		assert_int_equal(a->owner, b->owner);
		assert_true(bf_slice_eq(a->owner_id, b->owner_id) &&
			    bf_slice_eq(a->owner_name, b->owner_name) &&
			    bf_slice_eq(a->limit_id, b->limit_id) &&
			    bf_slice_eq(a->reset, b->reset));
		assert_true(bf_slice_eq(a->rows.virtual_key_id, b->rows.virtual_key_id) &&
			    bf_slice_eq(a->rows.team_id, b->rows.team_id) &&
			    bf_slice_eq(a->rows.customer_id, b->rows.customer_id) &&
			    bf_slice_eq(a->rows.provider, b->rows.provider) &&
			    bf_slice_eq(a->rows.model, b->rows.model));
	}
}

static void expect_paths(const struct bf_plan *whole, const struct bf_plan_key *of_whole,
			 const struct bf_plan *everybody, const struct bf_plan_key *alone)
{
	static const char *const asked[] = {"gpt",        "llama",      "mini",
					    "vendor/gpt", "openai/gpt", "x/y"};

	for (size_t p = 0; p < BF_ARRAY_LEN(providers); p++)
		for (size_t m = 0; m < BF_ARRAY_LEN(asked); m++) {
			struct bf_slice provider = bf_slice_from(providers[p]);
			struct bf_slice model = bf_slice_from(asked[m]);
			struct bf_plan_path a, b;

			assert_int_equal(bf_plan_path(whole, of_whole, provider, model, &arena, &a),
					 0);
			assert_int_equal(
			    bf_plan_path(everybody, alone, provider, model, &arena, &b), 0);
			expect_same(&a, &b);
		}
}

static struct bf_snapshot mapped(int fd)
{
	struct bf_snapshot_blob *blob;

	assert_int_equal(bf_snapshot_map(fd, &blob, NULL), 0);
	(void)close(fd);
	return (struct bf_snapshot){.base = blob};
}

static uint32_t limits_of(const struct bf_plan *whole, const struct bf_plan_key *key)
{
	uint32_t count = key->own.limit_count;

	(void)whole;
	count += key->team ? key->team->limit_count : 0;
	count += key->customer ? key->customer->limit_count : 0;
	for (uint32_t i = 0; i < key->conf->provider_configs.count; i++)
		count += key->provider_configs[i].own.limit_count;
	for (uint32_t i = 0; i < key->model_config_count; i++)
		count += key->model_configs[i]->own.limit_count;
	return count;
}

static void key_as_in_whole(const struct bf_snapshot *s, const struct bf_plan *whole,
			    const struct bf_plan *everybody, uint32_t k)
{
	const struct bf_plan_key *of_whole = &whole->keys[k];
	struct bf_snapshot_parts parts;
	struct bf_err err = {.code = 0};
	struct bf_config config;
	struct bf_entity entity;
	struct bf_plan plan;
	uint8_t secret[32];

	bf_hmac(snapshot_of_pepper, of_whole->conf->value, secret);
	assert_true(bf_snapshot_find_secret(s, BF_ENTITY_VIRTUAL_KEY, secret, &entity));
	assert_true(bf_slice_eq(entity.id, of_whole->conf->own.id));
	if (bf_snapshot_key_config(s, &entity, &arena, &config, &parts, &err) < 0 ||
	    bf_plan_make(&plan, &config, &arena, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(bf_snapshot_parts_hold(s, &parts));
	assert_int_equal(plan.key_count, 1);
	assert_int_equal(plan.limit_count, limits_of(whole, of_whole));
	expect_same(&of_whole->always, &plan.keys[0].always);
	expect_paths(whole, of_whole, everybody, &plan.keys[0]);
	assert_int_equal(plan.keys[0].conf->allow_all_providers,
			 of_whole->conf->allow_all_providers);
}

/* Rate limits that stood at their owners stand there in the store too. */
static void inline_again(const struct bf_conf_governance *g, struct bf_array *owners, size_t size)
{
	struct bf_conf_rate_limit *items = g->rate_limits.items;

	for (uint32_t i = 0; i < owners->count; i++) {
		struct bf_conf_owner *own = (void *)((char *)owners->items + i * size);

		for (uint32_t k = RATES; k < g->rate_limits.count; k++)
			if (bf_slice_eq(own->rate_limit_id, items[k].id)) {
				own->rate_limit = (struct bf_array){&items[k], 1};
				own->rate_limit_id = (struct bf_slice){NULL, 0};
			}
	}
}

static void inline_all(struct bf_conf_governance *g)
{
	struct bf_conf_virtual_key *keys = g->virtual_keys.items;

	inline_again(g, &g->customers, sizeof(struct bf_conf_customer));
	inline_again(g, &g->teams, sizeof(struct bf_conf_team));
	inline_again(g, &g->providers, sizeof(struct bf_conf_provider_limits));
	inline_again(g, &g->model_configs, sizeof(struct bf_conf_model_config));
	inline_again(g, &g->virtual_keys, sizeof(struct bf_conf_virtual_key));
	for (uint32_t k = 0; k < g->virtual_keys.count; k++)
		inline_again(g, &keys[k].provider_configs, sizeof(struct bf_conf_provider_config));
	g->rate_limits.count = RATES;
}

static void as_the_whole(void **state)
{
	(void)state;
	srandom(11);
	for (int round = 0; round < 4; round++) {
		struct bf_config config = loaded(), common;
		struct bf_plan whole, everybody;
		struct bf_err err = {.code = 0};

		assert_int_equal(bf_plan_make(&whole, &config, &whole_arena, &err), 0);
		assert_true(config.governance.rate_limits.count > 2 * RATES);
		inline_all(&config.governance);
		struct bf_snapshot s = mapped(snapshot_of_config(&config, 1));

		if (bf_snapshot_common_config(&s, &whole_arena, &common, &err) < 0 ||
		    bf_plan_make(&everybody, &common, &whole_arena, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(common.governance.model_configs.count, 20);
		expect_paths(&whole, NULL, &everybody, NULL);
		for (uint32_t k = 0; k < whole.key_count; k++) {
			key_as_in_whole(&s, &whole, &everybody, k);
			bf_arena_reset(&arena);
		}
		bf_snapshot_unmap((struct bf_snapshot_blob *)(uintptr_t)s.base);
		bf_arena_reset(&whole_arena);
	}
}

/* ---- a small house, whose parts go and change */

static struct bf_conf_rate_limit rates[2];
static struct bf_conf_customer customer;
static struct bf_conf_team team;
static struct bf_conf_provider_config configs[1];
static struct bf_conf_virtual_key key;
static struct bf_conf_model_config own_model, model;

static void furnish(void)
{
	rates[0] = (struct bf_conf_rate_limit){.id = TEXT("r0"), .concurrent_max_limit = 1};
	rates[1] = (struct bf_conf_rate_limit){.id = TEXT("r1"), .concurrent_max_limit = 2};
	customer = (struct bf_conf_customer){{.id = TEXT("c"), .name = TEXT("C")}};
	team = (struct bf_conf_team){{.id = TEXT("t"), .name = TEXT("T")}, TEXT("c")};
	configs[0] =
	    (struct bf_conf_provider_config){.own = {.id = TEXT("pc"), .rate_limit_id = TEXT("r1")},
					     .provider = TEXT("openai"),
					     .weight_micro = BF_WEIGHT_NONE};
	key = (struct bf_conf_virtual_key){
	    .own = {.id = TEXT("k"), .name = TEXT("K"), .rate_limit_id = TEXT("r0")},
	    .is_active = true,
	    .team_id = TEXT("t"),
	    .provider_configs = {configs, 1}};
	own_model =
	    (struct bf_conf_model_config){.own = {.id = TEXT("m"), .rate_limit_id = TEXT("r0")},
					  .model_name = TEXT("gpt"),
					  .scope = BF_MODEL_VIRTUAL_KEY,
					  .scope_id = TEXT("k")};
	model = (struct bf_conf_model_config){.own = {.id = TEXT("g"), .rate_limit_id = TEXT("r1")},
					      .model_name = TEXT("gpt")};
}

/* In the order of their types. */
enum {
	PART_CUSTOMER,
	PART_TEAM,
	PART_RATE_0,
	PART_RATE_1,
	PART_KEY,
	PART_OWN_MODEL,
	PART_MODEL,
	PARTS,
};

static const struct {
	uint32_t type;
	const void *object;
	const char *id;
} parts_of_house[PARTS] = {
    [PART_CUSTOMER] = {BF_ENTITY_CUSTOMER, &customer, "c"},
    [PART_TEAM] = {BF_ENTITY_TEAM, &team, "t"},
    [PART_RATE_0] = {BF_ENTITY_RATE_LIMIT, &rates[0], "r0"},
    [PART_RATE_1] = {BF_ENTITY_RATE_LIMIT, &rates[1], "r1"},
    [PART_KEY] = {BF_ENTITY_VIRTUAL_KEY, &key, "k"},
    [PART_OWN_MODEL] = {BF_ENTITY_MODEL_CONFIG, &own_model, "m"},
    [PART_MODEL] = {BF_ENTITY_MODEL_CONFIG, &model, "g"},
};

/* Without one of them (PARTS: with all), as a base. */
static struct bf_snapshot_blob *house_without(int missing)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(false, 1);

	for (int i = 0; i < PARTS; i++)
		if (i != missing)
			snapshot_of_add(b, parts_of_house[i].type, parts_of_house[i].object, 5);
	return snapshot_of_end(b);
}

/* An overlay with one of them, as it is now or in another state. */
static struct bf_snapshot_blob *over(int part, uint32_t flags, uint64_t version)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(true, 1);
	struct bf_entity e;
	struct bf_buf body;

	bf_buf_init(&body, 1 << 16);
	assert_int_equal(
	    bf_entity_encode(parts_of_house[part].type, parts_of_house[part].object, &body, &e), 0);
	e.flags = flags;
	e.version = version;
	assert_int_equal(bf_snapshot_builder_add(b, &e, NULL), 0);
	bf_buf_done(&body);
	return snapshot_of_end(b);
}

static int assemble(const struct bf_snapshot *s, struct bf_config *config,
		    struct bf_snapshot_parts *parts, struct bf_err *err)
{
	struct bf_entity e;

	assert_true(bf_snapshot_find(s, BF_ENTITY_VIRTUAL_KEY, BF_SLICE_LIT("k"), &e));
	*err = (struct bf_err){.code = 0};
	return bf_snapshot_key_config(s, &e, &arena, config, parts, err);
}

static void what_is_missing_blocks(void **state)
{
	static const char *const words[PARTS] = {
	    [PART_CUSTOMER] = "virtual key \"k\": no customer has the id \"c\"",
	    [PART_TEAM] = "virtual key \"k\": no team has the id \"t\"",
	    [PART_RATE_0] = "virtual key \"k\": no rate_limit has the id \"r0\"",
	    [PART_RATE_1] = "virtual key \"k\": no rate_limit has the id \"r1\""};

	(void)state;
	furnish();
	for (int i = 0; i < PARTS; i++) {
		struct bf_snapshot_blob *base, *overlay;
		struct bf_snapshot_parts parts;
		struct bf_config config;
		struct bf_err err;

		if (i == PART_KEY)
			continue;
		base = house_without(i);
		struct bf_snapshot s = {.base = base};
		int r = assemble(&s, &config, &parts, &err);

		assert_int_equal(r, words[i] ? BF_E_UNKNOWN : 0);
		if (words[i])
			assert_non_null(strstr(err.text, words[i]));
		assert_true(bf_snapshot_parts_hold(&s, &parts));
		/* Once it is there, the key is looked at again. */
		overlay = over(i, 0, 1);
		s.overlay = overlay;
		assert_int_equal(bf_snapshot_parts_hold(&s, &parts), i == PART_MODEL);
		assert_int_equal(assemble(&s, &config, &parts, &err), 0);
		bf_snapshot_unmap(overlay);
		bf_snapshot_unmap(base);
	}
}

/* Changed, deleted or quarantined: the key notices what is its own. */
static void what_changed_is_noticed(void **state)
{
	struct bf_snapshot_blob *base;
	struct bf_snapshot_parts before, after;
	struct bf_config config;
	struct bf_err err;

	(void)state;
	furnish();
	base = house_without(PARTS);
	struct bf_snapshot s = {.base = base};

	assert_int_equal(assemble(&s, &config, &before, &err), 0);
	assert_int_equal(config.governance.rate_limits.count, 2);
	for (int i = 0; i < PARTS; i++)
		for (uint32_t kind = 0; kind < 3; kind++) {
			static const uint32_t flags[] = {0, BF_ENTITY_DELETED,
							 BF_ENTITY_QUARANTINED};
			bool needed = i != PART_MODEL && i != PART_OWN_MODEL && i != PART_KEY;
			struct bf_snapshot_blob *overlay = over(i, flags[kind], 5 + (kind < 2));

			s.overlay = overlay;
			assert_int_equal(bf_snapshot_parts_hold(&s, &before), i == PART_MODEL);
			if (i != PART_KEY || kind != 1)
				assert_int_equal(assemble(&s, &config, &after, &err),
						 (needed && kind) ||
							 (i == PART_OWN_MODEL && kind == 2)
						     ? BF_E_UNKNOWN
						     : 0);
			bf_snapshot_unmap(overlay);
		}
	bf_snapshot_unmap(base);
}

/* Nothing of what was assembled refers to the snapshot. */
static void outlives_the_snapshot(void **state)
{
	struct bf_snapshot_blob *base;
	struct bf_snapshot_parts parts;
	struct bf_config config;
	struct bf_plan plan;
	struct bf_err err;

	(void)state;
	furnish();
	base = house_without(PARTS);
	struct bf_snapshot s = {.base = base};

	assert_int_equal(assemble(&s, &config, &parts, &err), 0);
	bf_snapshot_unmap(base);
	assert_int_equal(bf_plan_make(&plan, &config, &arena, &err), 0);
	base = house_without(PARTS);
	s.base = base;
	assert_true(bf_snapshot_parts_hold(&s, &parts));
	assert_int_equal(plan.limit_count, 3);
	bf_snapshot_unmap(base);
}

static uint32_t common_models(const struct bf_snapshot *s)
{
	struct bf_config config;
	struct bf_err err;

	assert_int_equal(bf_snapshot_common_config(s, &arena, &config, &err), 0);
	return config.governance.model_configs.count;
}

static void everybody_without_what_dangles(void **state)
{
	struct bf_snapshot_blob *base, *overlay;

	(void)state;
	furnish();
	base = house_without(PARTS);
	struct bf_snapshot s = {.base = base};
	assert_int_equal(common_models(&s), 1);
	overlay = over(PART_MODEL, BF_ENTITY_QUARANTINED, 5);
	s.overlay = overlay;
	assert_int_equal(common_models(&s), 0);
	bf_snapshot_unmap(overlay);
	overlay = over(PART_RATE_1, BF_ENTITY_DELETED, 6);
	s.overlay = overlay;
	assert_int_equal(common_models(&s), 0);
	bf_snapshot_unmap(overlay);
	bf_snapshot_unmap(base);
}

/* A body that is none is an error, not a key without limits. */
static void bodies_that_are_none(void **state)
{
	struct bf_snapshot_blob *base;
	struct bf_snapshot_parts parts;
	struct bf_config config;
	struct bf_err err;

	(void)state;
	furnish();
	for (int i = 0; i < PARTS; i++) {
		struct bf_snapshot_builder *b = snapshot_of_begin(true, 1);
		struct bf_entity e = {.type = parts_of_house[i].type,
				      .id = bf_slice_from(parts_of_house[i].id),
				      .scope = i == PART_OWN_MODEL ? BF_SLICE_LIT("k")
								   : BF_SLICE_LIT(""),
				      .version = 9,
				      .body = TEXT("x")};
		struct bf_snapshot_blob *overlay;

		assert_int_equal(bf_snapshot_builder_add(b, &e, NULL), 0);
		overlay = snapshot_of_end(b);
		base = house_without(PARTS);
		struct bf_snapshot s = {base, overlay};

		if (i != PART_MODEL)
			assert_int_equal(assemble(&s, &config, &parts, &err), BF_E_TYPE);
		if (i == PART_MODEL || i == PART_RATE_1)
			assert_int_equal(bf_snapshot_common_config(&s, &arena, &config, &err),
					 BF_E_TYPE);
		bf_snapshot_unmap(overlay);
		bf_snapshot_unmap(base);
	}
}

static void memory_that_is_out(void **state)
{
	struct bf_snapshot_blob *base;
	struct bf_snapshot_parts parts;
	struct bf_config config;
	struct bf_entity e;
	unsigned failed = 0;

	(void)state;
	furnish();
	base = house_without(PARTS);
	struct bf_snapshot s = {.base = base};

	assert_true(bf_snapshot_find(&s, BF_ENTITY_VIRTUAL_KEY, BF_SLICE_LIT("k"), &e));
	for (size_t cap = 0; cap < 8192; cap += 16) {
		struct bf_arena small;
		int r;

		bf_arena_init(&small, cap);
		r = bf_snapshot_key_config(&s, &e, &small, &config, &parts, NULL);
		assert_true(r == 0 || r == -ENOMEM);
		assert_true(bf_snapshot_parts_hold(&s, &parts));
		failed += r != 0;
		bf_arena_reset(&small);
		r = bf_snapshot_common_config(&s, &small, &config, NULL);
		assert_true(r == 0 || r == -ENOMEM);
		bf_arena_done(&small);
	}
	assert_true(failed > 10 && failed < 500);
	bf_snapshot_unmap(base);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(as_the_whole),
	    TEST(what_is_missing_blocks),
	    TEST(what_changed_is_noticed),
	    TEST(outlives_the_snapshot),
	    TEST(everybody_without_what_dangles),
	    TEST(bodies_that_are_none),
	    TEST(memory_that_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
