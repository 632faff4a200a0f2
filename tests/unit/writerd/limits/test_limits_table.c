/* Which limits there are, and which of them a row is about: those of the plan of everything,
 * whatever came and went, and those whose sums the store would make. */
#include "tests/unit/writerd/limits_live.h"

#define SECOND_NS INT64_C(1000000000)

/* ---- rows of models and providers */

static struct bf_conf_budget hour[] = {
    {.id = {"b", 1}, .max_limit_nusd = 5000, .reset_duration = {"1h", 2}, .quarter_start_month = 1},
};

static struct bf_conf_model_config model(const char *id, const char *name, const char *provider,
					 const char *scope)
{
	return (struct bf_conf_model_config){.own = {.id = bf_slice_from(id), .budgets = {hour, 1}},
					     .model_name = bf_slice_from(name),
					     .provider = bf_slice_from(provider),
					     .scope =
						 scope[0] ? BF_MODEL_VIRTUAL_KEY : BF_MODEL_GLOBAL,
					     .scope_id = bf_slice_from(scope)};
}

static uint32_t calls;

static void call(const char *key, const char *provider, const char *name)
{
	struct shm_usage_record r = crafted_record(++calls + 1000);
	struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted;

	memset(r.virtual_key_id, 0, sizeof(r.virtual_key_id));
	memset(r.provider, 0, sizeof(r.provider));
	memset(r.model, 0, sizeof(r.model));
	memcpy(r.virtual_key_id, key, strlen(key));
	/* As workers do: a field that is full has no end. */
	memcpy(r.provider, provider, BF_MIN(strlen(provider), sizeof(r.provider)));
	memcpy(r.model, name, BF_MIN(strlen(name), sizeof(r.model)));
	r.started_wall_ns = wall_ns;
	r.cost_nusd = 1;
	row_scratch_init(&scratch);
	if (store_write(l.store, &item, 1, &scratch, &l.fold, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(inserted, 1);
	row_scratch_done(&scratch);
}

#define LONG_NAME                                                    \
	"a-model-whose-name-is-so-long-that-no-row-has-room-for-it-" \
	"and-that-goes-on-and-on/until-it-is-longer-than-a-row-has-" \
	"room-for-by-far"

static const struct {
	const char *id, *name, *provider, *scope;
} models[] = {
    {"m-1", "gpt-4o", "", ""}, {"m-2", "GPT-4o", "openai", ""}, {"m-3", "openai/gpt-4o", "", ""},
    {"m-4", "*", "", ""},      {"m-5", "*", "openai", ""},      {"m-6", "gpt-4o", "", "vk-2"},
    {"m-7", "*", "", "vk-2"},  {"m-8", "mini", "", ""},         {"m-9", LONG_NAME, "", ""},
};

static const struct {
	const char *key, *provider, *model;
} asked[] = {
    {"vk-2", "openai", "gpt-4o"},
    {"vk-1", "openai", "gpt-4o"},
    {"vk-2", "openrouter", "openai/GPT-4o"},
    {"", "openrouter", "mistral/gpt-4o"},
    {"vk-2", "openai", "*"},
    {"", "groq", "mini"},
    {"vk-2", "mock", LONG_NAME},
    {"", "mock", "other"},
};

/* What is found by a row's words is what the store finds by its own. */
static void rows_find_what_the_store_finds(void **state)
{
	struct bf_limit_rows rows;
	struct bf_err err = {0};
	int64_t sum;

	(void)state;
	two_comes();
	for (unsigned i = 0; i < BF_ARRAY_LEN(models); i++) {
		struct bf_conf_model_config m =
		    model(models[i].id, models[i].name, models[i].provider, models[i].scope);

		change(BF_ENTITY_MODEL_CONFIG, &m, models[i].id);
	}
	limits_settle(&l);
	for (unsigned i = 0; i < BF_ARRAY_LEN(asked); i++)
		call(asked[i].key, asked[i].provider, asked[i].model);
	for (unsigned i = 0; i < BF_ARRAY_LEN(models); i++) {
		rows = limit_of(&l, models[i].id, BF_QUANTITY_NUSD)->rows;
		assert_int_equal(store->ops->charged(store, &rows, BF_QUANTITY_NUSD, 0,
						     INT64_MAX / 1000000, &sum, &err),
				 0);
		if (info_of(meter_of(&l, models[i].id, BF_QUANTITY_NUSD)).settled != sum)
			fail_msg("%s: %lld, not %lld", models[i].id,
				 (long long)info_of(meter_of(&l, models[i].id, BF_QUANTITY_NUSD))
				     .settled,
				 (long long)sum);
	}
	assert_int_equal(info_of(meter_of(&l, "m-4", BF_QUANTITY_NUSD)).settled,
			 BF_ARRAY_LEN(asked));
	assert_int_equal(info_of(meter_of(&l, "m-9", BF_QUANTITY_NUSD)).settled, 1);
	assert_int_equal(info_of(meter_of(&l, "m-6", BF_QUANTITY_NUSD)).settled, 2);
}

static void a_provider_with_a_long_name(void **state)
{
	static const char name[] = "a-provider-whose-name-is-longer-than-rows";
	struct bf_conf_provider_limits p = {
	    .own = {.id = bf_slice_from(name), .name = bf_slice_from(name), .budgets = {hour, 1}}};

	(void)state;
	change(BF_ENTITY_PROVIDER_LIMITS, &p, name);
	limits_settle(&l);
	call("", name, "m");
	call("", "a-provider", "m");
	assert_int_equal(info_of(meter_of(&l, name, BF_QUANTITY_NUSD)).settled, 1);
}

/* ---- anything */

#define OWNERS 12u
#define ROUNDS 1500

static uint64_t dice_state;

static uint32_t dice(uint32_t sides)
{
	dice_state = dice_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(dice_state >> 33) % sides;
}

static struct bf_conf_virtual_key some_keys[OWNERS];
static struct bf_conf_team some_teams[OWNERS];
static struct bf_conf_model_config some_models[OWNERS];
static struct bf_conf_rate_limit some_rates[OWNERS];
static struct bf_conf_provider_config some_configs[OWNERS][2];
static struct bf_conf_budget some_budgets[3 * OWNERS][2];
static char some_ids[OWNERS][8], config_ids[OWNERS][2][8];
static bool is_key[OWNERS], is_team[OWNERS], is_model[OWNERS], is_rate[OWNERS];

static void roll_owner(struct bf_conf_owner *owner, uint32_t i, struct bf_conf_budget *of)
{
	static const char *const windows[] = {"1h", "2h", "1d"};
	uint32_t count = dice(3);

	for (uint32_t k = 0; k < count; k++)
		of[k] = (struct bf_conf_budget){
		    .id = k ? BF_SLICE_LIT("second") : BF_SLICE_LIT("first"),
		    .max_limit_nusd = 1 + dice(3),
		    .quarter_start_month = 1,
		    .reset_duration = k ? BF_SLICE_LIT("1w") : bf_slice_from(windows[dice(3)])};
	*owner = (struct bf_conf_owner){.id = bf_slice_from(some_ids[i]), .budgets = {of, count}};
	if (dice(2))
		owner->rate_limit_id = bf_slice_from(some_ids[dice(OWNERS)]);
}

static void roll_key(uint32_t i)
{
	struct bf_conf_virtual_key *key = &some_keys[i];

	*key = (struct bf_conf_virtual_key){.is_active = true};
	roll_owner(&key->own, i, some_budgets[i]);
	key->provider_configs = (struct bf_array){some_configs[i], dice(3)};
	for (uint32_t k = 0; k < 2; k++) {
		some_configs[i][k] = (struct bf_conf_provider_config){
		    .provider = k ? BF_SLICE_LIT("mock") : BF_SLICE_LIT("groq"),
		    .own = {.id = bf_slice_from(config_ids[i][k])}};
		if (dice(2))
			some_configs[i][k].own.rate_limit_id =
			    bf_slice_from(some_ids[dice(OWNERS)]);
	}
	change(BF_ENTITY_VIRTUAL_KEY, key, some_ids[i]);
}

static void roll_rate(uint32_t i)
{
	some_rates[i] = (struct bf_conf_rate_limit){
	    .id = bf_slice_from(some_ids[i]),
	    .token_max_limit = 1 + dice(2),
	    .token_reset_duration = dice(2) ? BF_SLICE_LIT("1h") : BF_SLICE_LIT("3h"),
	    .concurrent_max_limit = dice(2)};
	change(BF_ENTITY_RATE_LIMIT, &some_rates[i], some_ids[i]);
}

static void roll(void)
{
	uint32_t i = dice(OWNERS);
	bool comes = dice(3) > 0;

	switch (dice(4)) {
	case 0:
		is_key[i] = comes;
		comes ? roll_key(i) : drop(BF_ENTITY_VIRTUAL_KEY, some_ids[i]);
		break;
	case 1:
		is_team[i] = comes;
		some_teams[i] = (struct bf_conf_team){.own = {.id = {NULL, 0}}};
		roll_owner(&some_teams[i].own, i, some_budgets[OWNERS + i]);
		comes ? change(BF_ENTITY_TEAM, &some_teams[i], some_ids[i])
		      : drop(BF_ENTITY_TEAM, some_ids[i]);
		break;
	case 2:
		is_model[i] = comes;
		some_models[i] = model("", "m", "", dice(2) ? "k0" : "");
		roll_owner(&some_models[i].own, i, some_budgets[2 * OWNERS + i]);
		comes ? change(BF_ENTITY_MODEL_CONFIG, &some_models[i], some_ids[i])
		      : drop(BF_ENTITY_MODEL_CONFIG, some_ids[i]);
		break;
	default:
		is_rate[i] = comes;
		comes ? roll_rate(i) : drop(BF_ENTITY_RATE_LIMIT, some_ids[i]);
		break;
	}
}

/* Who names a rate limit that is not there has none of it. */
static void settle(struct bf_conf_owner *owner)
{
	uint32_t i = 0;

	while (owner->rate_limit_id.len && i < OWNERS &&
	       !(is_rate[i] && bf_slice_is(owner->rate_limit_id, some_ids[i])))
		i++;
	if (i == OWNERS)
		owner->rate_limit_id = (struct bf_slice){NULL, 0};
}

static struct bf_conf_virtual_key whole_keys[OWNERS + 1];
static struct bf_conf_team whole_teams[OWNERS];
static struct bf_conf_model_config whole_models[OWNERS];
static struct bf_conf_rate_limit whole_rates[OWNERS];
static struct bf_conf_provider_config whole_configs[OWNERS][2];

static struct bf_config whole_config(void)
{
	struct bf_conf_governance g = {.virtual_keys = {whole_keys, 0},
				       .teams = {whole_teams, 0},
				       .model_configs = {whole_models, 0},
				       .rate_limits = {whole_rates, 0}};

	for (uint32_t i = 0; i < OWNERS; i++) {
		struct bf_conf_virtual_key *key = &whole_keys[g.virtual_keys.count];

		if (is_rate[i])
			whole_rates[g.rate_limits.count++] = some_rates[i];
		if (is_team[i]) {
			whole_teams[g.teams.count] = some_teams[i];
			settle(&whole_teams[g.teams.count++].own);
		}
		if (is_model[i]) {
			whole_models[g.model_configs.count] = some_models[i];
			settle(&whole_models[g.model_configs.count++].own);
		}
		/* Somebody has to be there for the model configs of a key that is none. */
		if (!is_key[i] && i > 0)
			continue;
		*key = is_key[i] ? some_keys[i]
				 : (struct bf_conf_virtual_key){.own = {.id = {"k0", 2}}};
		memcpy(whole_configs[i], some_configs[i], sizeof(some_configs[i]));
		key->provider_configs.items = whole_configs[i];
		settle(&key->own);
		for (uint32_t k = 0; k < key->provider_configs.count; k++)
			settle(&whole_configs[i][k].own);
		g.virtual_keys.count++;
	}
	return (struct bf_config){.governance = g};
}

static void compare_with_the_plan(void)
{
	struct bf_config config = whole_config();
	struct bf_arena arena;
	struct bf_plan plan;
	struct bf_err err = {0};

	bf_arena_init(&arena, 1 << 24);
	if (bf_plan_make(&plan, &config, &arena, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(l.live, plan.limit_count);
	for (uint32_t i = 0; i < plan.limit_count; i++) {
		const struct bf_limit *limit = &plan.limits[i];
		uint32_t m = shm_meter_find(&c.seg, limit->identity);
		const struct limit *mine = limits_table_at(&l.table, l.by_place[m] - 1);

		if (!mine || mine->identity != limit->identity)
			fail_msg("limit %u of the plan is not in the table", i);
		assert_int_equal(info_of(m).limit, limit->max);
		assert_int_equal(shm_meter_quantity(&c.seg, m), limit->quantity);
		assert_int_equal(mine->state, LIMIT_BEGUN);
		assert_true(bf_slice_is(limit->owner_id, limit_whole(mine).owner_id.ptr));
	}
	bf_arena_done(&arena);
}

static void check_counts(void)
{
	uint32_t live = 0, leaving = 0, classes = 0, endless = 0;

	for (uint32_t i = 0; i < l.table.top; i++) {
		const struct limit *limit = limits_table_at(&l.table, i);

		live += limit && limit->state != LIMIT_LEAVING;
		leaving += limit && limit->state == LIMIT_LEAVING;
		endless += limit && limit->state != LIMIT_LEAVING && limit->endless;
	}
	for (unsigned i = 0; i < SHM_WALL_CLASSES; i++)
		classes += l.classes[i].count;
	assert_int_equal(live, l.live);
	assert_int_equal(live + leaving, l.table.count);
	assert_int_equal(classes + endless, live);
	assert_int_equal(l.closed + l.crowded + l.to_unwatch, 0);
	assert_int_equal(watched(), live - endless);
}

static void limits_are_those_of_the_plan(void **state)
{
	(void)state;
	drop(BF_ENTITY_VIRTUAL_KEY, "vk-1");
	for (uint32_t i = 0; i < OWNERS; i++) {
		(void)snprintf(some_ids[i], sizeof(some_ids[i]), "k%u", i);
		for (uint32_t k = 0; k < 2; k++)
			(void)snprintf(config_ids[i][k], sizeof(config_ids[i][k]), "p%u-%u", i, k);
	}
	dice_state = 7;
	for (int n = 0; n < ROUNDS; n++) {
		for (uint32_t k = dice(4); k > 0; k--)
			roll();
		limits_settle(&l);
		if (dice(3) == 0)
			limits_in_force(&l);
		pass(dice(2) ? SECOND_NS : 100 * SECOND_NS);
		limits_second(&l);
		compare_with_the_plan();
		check_counts();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIVE_TEST(rows_find_what_the_store_finds),
	    LIVE_TEST(a_provider_with_a_long_name),
	    LIVE_TEST(limits_are_those_of_the_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
