/*
 * The loader of configurations under arbitrary bytes: as YAML, and as a file named .json. What it
 * accepts must survive the way through msgpack unchanged and give the same plan of limits on both
 * sides, and every refusal must say something.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/govern/plan.h"
#include "common/schema/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *get_env(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "SET") == 0 ? "value" : NULL;
}

static int read_file(void *ctx, const char *path, struct bf_arena *arena, struct bf_slice *ret_text)
{
	(void)ctx;
	if (strchr(path, 'x'))
		return -ENOENT;
	*ret_text = bf_arena_dup(arena, BF_SLICE_LIT("content"));
	return ret_text->ptr ? 0 : -ENOMEM;
}

static const struct bf_config_env env = {get_env, read_file, NULL};

static void require(int condition)
{
	if (!condition)
		abort();
}

/* Wherever a request may go, what it meets can be decided at once. */
static void check_paths(const struct bf_plan *plan, const struct bf_config *config,
			struct bf_arena *arena)
{
	const struct bf_conf_provider *providers = config->providers.items;
	const struct bf_conf_model_config *models = config->governance.model_configs.items;
	struct bf_plan_path path;

	for (uint32_t i = 0; i < config->providers.count && i < 3; i++) {
		struct bf_slice model = BF_SLICE_LIT("m");

		if (config->governance.model_configs.count)
			model = models[i % config->governance.model_configs.count].model_name;
		for (uint32_t k = 0; k < plan->key_count && k < 3; k++) {
			require(bf_plan_path(plan, &plan->keys[k], providers[i].name, model, arena,
					     &path) == 0);
			require(path.count <= BF_PLAN_LIMITS_PER_REQUEST);
		}
		require(bf_plan_path(plan, NULL, providers[i].name, model, arena, &path) == 0);
		require(path.count <= BF_PLAN_LIMITS_PER_REQUEST);
	}
}

/* The loader leaves no name without its owner, and nothing where it does not belong. */
static void check_owner(const struct bf_conf_owner *own)
{
	require(own->id.len > 0);
	require(own->budget.count == 0 && own->rate_limit.count == 0 && own->budget_id.len == 0);
}

static void check_owners(const struct bf_conf_governance *g)
{
	const struct bf_conf_virtual_key *keys = g->virtual_keys.items;
	const struct bf_conf_team *teams = g->teams.items;

	require(g->budgets.count == 0);
	for (uint32_t i = 0; i < g->teams.count; i++)
		check_owner(&teams[i].own);
	for (uint32_t i = 0; i < g->virtual_keys.count; i++) {
		const struct bf_conf_provider_config *configs = keys[i].provider_configs.items;

		check_owner(&keys[i].own);
		require(keys[i].team_id.len == 0 || keys[i].customer_id.len == 0);
		for (uint32_t k = 0; k < keys[i].provider_configs.count; k++)
			check_owner(&configs[k].own);
	}
}

static void check_plans(const struct bf_config *a, const struct bf_config *b,
			struct bf_arena *arena)
{
	struct bf_plan x, y;

	require(bf_plan_make(&x, a, arena, NULL) == 0);
	require(bf_plan_make(&y, b, arena, NULL) == 0);
	require(x.key_count == a->governance.virtual_keys.count);
	require(x.limit_count == y.limit_count);
	for (uint32_t i = 0; i < x.limit_count; i++) {
		require(x.limits[i].identity > 1);
		require(x.limits[i].identity == y.limits[i].identity);
		require(x.limits[i].max == y.limits[i].max);
	}
	check_paths(&x, a, arena);
	check_owners(&a->governance);
}

static void check_accepted(const struct bf_config *config, struct bf_arena *arena)
{
	struct bf_config back;
	struct bf_buf bytes;
	struct bf_err err;

	bf_buf_init(&bytes, (size_t)64 << 20);
	require(bf_table_encode_mp(&bf_config_table, config, 0, &bytes) == 0);
	require(bf_table_decode_mp(&bf_config_table, &back, bf_buf_slice(&bytes), arena, &err) ==
		0);
	require(bf_table_equal(&bf_config_table, config, &back, 0));
	require(config->providers.count > 0);
	check_plans(config, &back, arena);
	bf_buf_done(&bytes);
}

static void load(const char *name, const uint8_t *data, size_t size)
{
	struct bf_slice bytes = {(const char *)data, size};
	struct bf_arena arena;
	struct bf_config config;
	struct bf_diags diags;
	struct bf_buf text;

	bf_arena_init(&arena, (size_t)64 << 20);
	bf_buf_init(&text, 1 << 20);
	int r = bf_config_load(bf_slice_from(name), bytes, &env, &arena, &config, &diags);
	require((r == 0) == (diags.error_count == 0));
	require(diags.list.count <= 101);
	require(bf_diags_print(&diags, &text) == 0);
	require(r == 0 || bf_buf_len(&text) > 0);
	if (r == 0)
		check_accepted(&config, &arena);
	bf_buf_done(&text);
	bf_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > (size_t)1 << 20)
		return 0;
	load("x.yaml", data, size);
	load("x.json", data, size);
	return 0;
}
