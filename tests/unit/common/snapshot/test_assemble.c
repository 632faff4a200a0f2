/*
 * Small configurations say what the whole one says: limits and paths of plans made of a large
 * random configuration, and of what its snapshot gives for each key and for everybody.
 */
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

static uint32_t limits_of(const struct bf_plan_key *key)
{
	uint32_t count = key->own.limit_count;

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
	assert_int_equal(plan.limit_count, limits_of(of_whole));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(as_the_whole, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
