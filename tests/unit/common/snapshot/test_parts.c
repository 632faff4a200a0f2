/*
 * The parts of which a key's configuration is made: what is missing blocks; what changed is
 * noticed, and nothing else.
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
#include "tests/support/snapshot_of.h"

#define TEXT(s) BF_SLICE_INIT(s)

static struct bf_arena arena;

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 64 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
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
static struct bf_snapshot_blob *over_at(int part, uint32_t flags, uint64_t version,
					int64_t updated_ms)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(true, 1);
	struct bf_entity e;
	struct bf_buf body;

	bf_buf_init(&body, 1 << 16);
	assert_int_equal(
	    bf_entity_encode(parts_of_house[part].type, parts_of_house[part].object, &body, &e), 0);
	e.flags = flags;
	e.version = version;
	e.updated_ms = updated_ms;
	assert_int_equal(bf_snapshot_builder_add(b, &e, NULL), 0);
	bf_buf_done(&body);
	return snapshot_of_end(b);
}

static struct bf_snapshot_blob *over(int part, uint32_t flags, uint64_t version)
{
	return over_at(part, flags, version, 0);
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

/* From a backup, say: whoever changes it then is given a version that somebody had before. */
static void a_store_that_was_restored_gives_versions_again(void **state)
{
	struct bf_snapshot_blob *base;
	struct bf_snapshot_parts parts;
	struct bf_config config;
	struct bf_err err;
	uint64_t common;

	(void)state;
	furnish();
	base = house_without(PARTS);
	struct bf_snapshot s = {.base = base};

	assert_int_equal(assemble(&s, &config, &parts, &err), 0);
	common = bf_snapshot_common(&s);
	for (int i = 0; i < PARTS; i++) {
		struct bf_snapshot_blob *overlay = over_at(i, 0, 5, 1);

		s.overlay = overlay;
		assert_int_equal(bf_snapshot_parts_hold(&s, &parts), i == PART_MODEL);
		if (i == PART_MODEL)
			assert_true(bf_snapshot_common(&s) != common);
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
	static struct bf_conf_budget budgets[1] = {{.id = TEXT("b"),
						    .max_limit_nusd = 1,
						    .reset_duration = TEXT("1d"),
						    .quarter_start_month = 1}};
	struct bf_snapshot_blob *base, *overlay;
	const struct bf_conf_model_config *left;
	struct bf_config config;
	struct bf_err err;

	(void)state;
	furnish();
	model.own.budgets = (struct bf_array){budgets, 1};
	base = house_without(PARTS);
	struct bf_snapshot s = {.base = base};
	assert_int_equal(common_models(&s), 1);
	/* Its budgets are everybody's limits: they go on without the rate limit that is gone. */
	overlay = over(PART_MODEL, BF_ENTITY_QUARANTINED, 5);
	s.overlay = overlay;
	assert_int_equal(common_models(&s), 1);
	bf_snapshot_unmap(overlay);
	overlay = over(PART_RATE_1, BF_ENTITY_DELETED, 6);
	s.overlay = overlay;
	assert_int_equal(common_models(&s), 1);
	assert_int_equal(bf_snapshot_common_config(&s, &arena, &config, &err), 0);
	left = config.governance.model_configs.items;
	assert_int_equal(left->own.rate_limit_id.len, 0);
	assert_int_equal(left->own.budgets.count, 1);
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
		/* Of what could not be read there is nothing that is still so. */
		assert_int_equal(bf_snapshot_parts_hold(&s, &parts), parts.count > 0);
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
	    TEST(what_is_missing_blocks),
	    TEST(what_changed_is_noticed),
	    TEST(a_store_that_was_restored_gives_versions_again),
	    TEST(outlives_the_snapshot),
	    TEST(everybody_without_what_dangles),
	    TEST(bodies_that_are_none),
	    TEST(memory_that_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
