/* Owners of limits in a file: what good ones become, in YAML and JSON, and who sees them. */
#include "load_bed.h"

#include "common/codec/json_writer.h"
#include "common/govern/plan.h"

#define AT(list, type, i) ((const struct type *)(list).items + (i))

static const char good[] =
    "governance:\n"
    "  customers:\n"
    "    - {id: c-1, name: acme, rate_limit_id: rl, budget_id: older}\n"
    "    - {name: other, rate_limit: {request_max_limit: 5, request_reset_duration: 1m}}\n"
    "  teams:\n"
    "    - {id: t-1, name: blue, customer_id: c-1, calendar_aligned: true,\n"
    "       budgets: [{max_limit: 1, reset_duration: 1d}]}\n"
    "    - {name: red, profile: {}, config: ~, claims: {}}\n"
    "  virtual_keys:\n"
    "    - id: vk-1\n"
    "      name: one\n"
    "      value: env.KEY\n"
    "      team_id: t-1\n"
    "      allow_all_providers: true\n"
    "      expires_at: 2030-01-01T00:00:00Z\n"
    "      delete_after_expire: true\n"
    "      disable_content_logging: true\n"
    "      provider_configs:\n"
    "        - {id: pc-1, provider: groq, weight: 0.25, allowed_models: [llama, groq/x],\n"
    "           blacklisted_models: [' y z '], key_ids: [first, id-2], rate_limit_id: rl,\n"
    "           budgets: [{max_limit: 2, reset_duration: 1d}]}\n"
    "        - {provider: mock, weight: ~, allowed_models: '*',\n"
    "           budget: {max_limit: 3, reset_duration: 1w}}\n"
    "    - {name: two, value: v2, customer_id: c-1, disable_content_logging: false}\n"
    "    - {name: three, value: v3, allow_all_providers: false,\n"
    "       provider_configs: [{provider: mock, allowed_models: ['*'], key_ids: []}]}\n"
    "  model_configs:\n"
    "    - {id: mc-1, model_name: '*', rate_limit_id: rl}\n"
    "    - {model_name: groq/llama, budgets: [{max_limit: 4, reset_duration: 1d}]}\n"
    "    - {model_name: meta/llama, provider: groq, scope: virtual_key, scope_id: vk-1,\n"
    "       rate_limit: {id: own, token_max_limit: 9, token_reset_duration: 1h,\n"
    "                    token_current_usage: 0}}\n"
    "  providers:\n"
    "    - {name: groq, rate_limit_id: rl, budget_id: of-groq}\n"
    "  rate_limits:\n"
    "    - {id: rl, concurrent_max_limit: 5}\n"
    "  budgets:\n"
    "    - {id: older, max_limit: 5, reset_duration: 1d}\n"
    "    - {id: of-groq, max_limit: 6, reset_duration: 1d}\n"
    "    - {id: b-t, max_limit: 7, reset_duration: 1w, team_id: t-1}\n"
    "    - {id: b-c, max_limit: 8, reset_duration: 1w, customer_id: c-1, team_id: ~}\n"
    "    - {id: b-pc, max_limit: 9, reset_duration: 1w, provider_config_id: pc-1}\n"
    "    - {id: b-mc, max_limit: 10, reset_duration: 1w, model_config_id: mc-1}\n"
    "  pricing_overrides:\n"
    "    - {name: p, pattern: m, request_types: [chat_completion],\n"
    "       pricing_patch: {input_cost_per_token: 1, output_cost_per_token: 1}}\n"
    "providers:\n"
    "  mock: {}\n"
    "  groq: {keys: [{name: first, value: a}, {name: second, id: id-2, value: b}]}\n";

static int64_t dollars_of(const struct bf_conf_owner *own, uint32_t i)
{
	assert_true(i < own->budgets.count);
	return AT(own->budgets, bf_conf_budget, i)->max_limit_nusd / INT64_C(1000000000);
}

static const struct bf_conf_governance *load_good(struct load_bed *b)
{
	assert_string_equal(bed_load(b, good), "");
	return &b->config.governance;
}

static void budgets_stand_at_their_owners(void **state)
{
	struct load_bed b;
	const struct bf_conf_governance *g = load_good(&b);
	const struct bf_conf_owner *acme = &AT(g->customers, bf_conf_customer, 0)->own;
	const struct bf_conf_owner *blue = &AT(g->teams, bf_conf_team, 0)->own;
	const struct bf_conf_virtual_key *one = AT(g->virtual_keys, bf_conf_virtual_key, 0);
	const struct bf_conf_owner *groq =
	    &AT(one->provider_configs, bf_conf_provider_config, 0)->own;
	const struct bf_conf_owner *mock =
	    &AT(one->provider_configs, bf_conf_provider_config, 1)->own;

	(void)state;
	assert_int_equal(g->budgets.count, 0);
	assert_int_equal(acme->budgets.count, 2);
	assert_int_equal(dollars_of(acme, 0), 5);
	assert_int_equal(dollars_of(acme, 1), 8);
	assert_int_equal(acme->budget_id.len, 0);
	assert_int_equal(AT(acme->budgets, bf_conf_budget, 1)->customer_id.len, 0);
	assert_int_equal(blue->budgets.count, 2);
	assert_int_equal(dollars_of(blue, 0), 1);
	assert_int_equal(dollars_of(blue, 1), 7);
	assert_int_equal(AT(blue->budgets, bf_conf_budget, 0)->id.len, 36);
	assert_int_equal(one->own.budgets.count, 0);
	assert_int_equal(dollars_of(groq, 0), 2);
	assert_int_equal(dollars_of(groq, 1), 9);
	assert_int_equal(mock->budgets.count, 1);
	assert_int_equal(mock->budget.count, 0);
	assert_int_equal(dollars_of(mock, 0), 3);
	assert_int_equal(dollars_of(&AT(g->model_configs, bf_conf_model_config, 0)->own, 0), 10);
	assert_int_equal(dollars_of(&AT(g->model_configs, bf_conf_model_config, 1)->own, 0), 4);
	assert_int_equal(dollars_of(&AT(g->providers, bf_conf_provider_limits, 0)->own, 0), 6);
	bed_done(&b);
}

static void names_and_ids(void **state)
{
	struct load_bed b;
	const struct bf_conf_governance *g = load_good(&b);
	const struct bf_conf_virtual_key *one = AT(g->virtual_keys, bf_conf_virtual_key, 0);
	const struct bf_conf_owner *mock =
	    &AT(one->provider_configs, bf_conf_provider_config, 1)->own;
	const struct bf_conf_model_config *any = AT(g->model_configs, bf_conf_model_config, 0);
	const struct bf_conf_model_config *split = AT(g->model_configs, bf_conf_model_config, 1);
	const struct bf_conf_model_config *own = AT(g->model_configs, bf_conf_model_config, 2);
	const struct bf_conf_owner *groq = &AT(g->providers, bf_conf_provider_limits, 0)->own;

	(void)state;
	assert_int_equal(AT(g->customers, bf_conf_customer, 1)->own.id.len, 36);
	assert_int_equal(AT(g->teams, bf_conf_team, 1)->own.id.len, 36);
	assert_string_equal(mock->name.ptr, "mock");
	assert_int_equal(mock->id.len, 36);
	assert_string_equal(groq->id.ptr, "groq");
	assert_string_equal(any->own.name.ptr, "*");
	assert_string_equal(any->own.id.ptr, "mc-1");
	/* The provider before a model's name is its provider; another text is part of it. */
	assert_string_equal(split->provider.ptr, "groq");
	assert_string_equal(split->model_name.ptr, "llama");
	assert_string_equal(split->own.name.ptr, "llama");
	assert_int_equal(split->scope, BF_MODEL_GLOBAL);
	assert_string_equal(own->model_name.ptr, "meta/llama");
	assert_int_equal(own->scope, BF_MODEL_VIRTUAL_KEY);
	assert_string_equal(own->scope_id.ptr, "vk-1");
	bed_done(&b);
}

static void rate_limits_that_stand_at_their_owners(void **state)
{
	struct load_bed b;
	const struct bf_conf_governance *g = load_good(&b);
	const struct bf_conf_owner *other = &AT(g->customers, bf_conf_customer, 1)->own;
	const struct bf_conf_owner *model = &AT(g->model_configs, bf_conf_model_config, 2)->own;

	(void)state;
	assert_int_equal(g->rate_limits.count, 3);
	assert_string_equal(AT(g->rate_limits, bf_conf_rate_limit, 0)->id.ptr, "rl");
	/* In the order of kinds of owners. */
	assert_string_equal(AT(g->rate_limits, bf_conf_rate_limit, 1)->id.ptr, "own");
	assert_int_equal(AT(g->rate_limits, bf_conf_rate_limit, 1)->token_max_limit, 9);
	assert_string_equal(model->rate_limit_id.ptr, "own");
	assert_int_equal(model->rate_limit.count, 0);
	assert_int_equal(other->rate_limit_id.len, 36);
	assert_true(
	    bf_slice_eq(other->rate_limit_id, AT(g->rate_limits, bf_conf_rate_limit, 2)->id));
	bed_done(&b);
}

static void what_keys_may_use(void **state)
{
	struct load_bed b;
	const struct bf_conf_governance *g = load_good(&b);
	const struct bf_conf_virtual_key *keys = g->virtual_keys.items;
	const struct bf_conf_provider_config *groq =
	    AT(keys[0].provider_configs, bf_conf_provider_config, 0);
	const struct bf_conf_provider_config *mock =
	    AT(keys[0].provider_configs, bf_conf_provider_config, 1);
	const struct bf_conf_provider_config *third =
	    AT(keys[2].provider_configs, bf_conf_provider_config, 0);

	(void)state;
	assert_string_equal(keys[0].team_id.ptr, "t-1");
	assert_string_equal(keys[1].customer_id.ptr, "c-1");
	assert_true(keys[0].allow_all_providers);
	assert_true(keys[0].expires_at_ms == INT64_C(1893456000000));
	assert_true(keys[0].delete_after_expire);
	assert_int_equal(keys[0].disable_content_logging, BF_TRI_TRUE);
	assert_int_equal(keys[1].disable_content_logging, BF_TRI_FALSE);
	assert_int_equal(keys[2].disable_content_logging, BF_TRI_UNSET);
	assert_true(keys[1].expires_at_ms == 0);
	/* Nothing is said of providers, and nothing of a version. */
	assert_true(keys[1].allow_all_providers);
	assert_false(keys[2].allow_all_providers);
	assert_int_equal(groq->weight_micro, 250000);
	assert_int_equal(groq->allowed_models.count, 2);
	assert_int_equal(groq->blacklisted_models.count, 1);
	assert_string_equal(AT(groq->blacklisted_models, bf_slice, 0)->ptr, "y z");
	assert_int_equal(groq->key_ids.count, 2);
	assert_int_equal(mock->weight_micro, BF_WEIGHT_NONE);
	assert_int_equal(mock->blacklisted_models.count, 0);
	/* A provider without keys has none to choose from. */
	assert_string_equal(AT(mock->key_ids, bf_slice, 0)->ptr, "*");
	assert_string_equal(AT(third->key_ids, bf_slice, 0)->ptr, "*");
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
	struct bf_config config;
	struct bf_arena arena;
	struct load_bed b;

	(void)state;
	bf_arena_init(&arena, 8 << 20);
	(void)load_good(&b);
	assert_int_equal(bf_plan_make(&plans[0], &b.config, &arena, NULL), 0);
	decoded_for(&b, BF_FOR_PROXYD, &config, &arena);
	assert_true(bf_table_equal(&bf_config_table, &b.config, &config, BF_FOR_PROXYD));
	/* Workers have owners from the snapshot alone. */
	assert_int_equal(config.governance.virtual_keys.count, 0);
	assert_int_equal(config.governance.teams.count, 0);
	assert_int_equal(config.governance.model_configs.count, 0);

	/* writerd makes the same plan, and entities of all of it. */
	decoded_for(&b, BF_FOR_WRITERD, &config, &arena);
	assert_int_equal(bf_plan_make(&plans[1], &config, &arena, NULL), 0);
	assert_int_equal(plans[0].limit_count, plans[1].limit_count);
	for (uint32_t i = 0; i < plans[0].limit_count; i++)
		assert_true(plans[0].limits[i].identity == plans[1].limits[i].identity);
	const struct bf_conf_virtual_key *key = config.governance.virtual_keys.items;
	assert_true(bf_table_equal(&bf_config_table, &b.config, &config, BF_FOR_WRITERD));
	assert_int_equal(AT(key->provider_configs, bf_conf_provider_config, 1)->weight_micro,
			 BF_WEIGHT_NONE);
	assert_true(key->expires_at_ms == INT64_C(1893456000000));
	assert_string_equal(key->team_id.ptr, "t-1");
	assert_int_equal(key->disable_content_logging, BF_TRI_TRUE);
	decoded_for(&b, BF_FOR_SUPERVISOR, &config, &arena);
	assert_int_equal(config.governance.customers.count, 0);
	assert_int_equal(config.governance.teams.count, 0);
	bf_arena_done(&arena);
	bed_done(&b);
}

/* Who is replaced by a reload is decided by who sees what changed. */
static void what_changes_for_whom(void **state)
{
	static const struct {
		const char *from, *to;
		bool writerd;
	} cases[] = {
	    {"weight: 0.25", "weight: 0.26", true},
	    {"allowed_models: '*'", "allowed_models: m  ", true},
	    {"2030-01-01", "2031-01-01", true},
	    {"key_ids: [first, id-2]", "key_ids: [first, first]", true},
	    {"disable_content_logging: true", "disable_content_logging: ~", true},
	    {"team_id: t-1\n", "team_id: ~\n", true},
	    {"max_limit: 9,", "max_limit: 8,", true},
	    {"name: acme", "name: acne", true},
	    {"scope_id: vk-1", "scope_id: vk-1 ", false},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		char text[sizeof(good) + 64];
		struct load_bed a, b;
		const char *at = strstr(good, cases[i].from);

		assert_non_null(at);
		(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, cases[i].to,
			       at + strlen(cases[i].from));
		assert_string_equal(bed_load(&a, good), "");
		assert_string_equal(bed_load(&b, text), "");
		assert_true(bf_table_equal(&bf_config_table, &a.config, &b.config, BF_FOR_PROXYD));
		if (bf_table_equal(&bf_config_table, &a.config, &b.config, BF_FOR_WRITERD) ==
		    cases[i].writerd)
			fail_msg("%s", cases[i].to);
		bed_done(&a);
		bed_done(&b);
	}
}

/* Meters of made ids stay: they depend on nothing that a person may tune. */
static void made_ids_stay(void **state)
{
	static const char text[] =
	    "governance:\n"
	    "  customers: [{name: c, budgets: [{max_limit: 1, reset_duration: 1d}]}]\n"
	    "  teams: [{name: c, budgets: [{max_limit: 1, reset_duration: 1d}]}]\n"
	    "  model_configs: [{model_name: m, provider: mock, rate_limit: "
	    "{request_max_limit: 1, request_reset_duration: 1d}}]\n"
	    "  providers: [{name: mock, budgets: [{max_limit: 1, reset_duration: 1d}]}]\n"
	    "  virtual_keys: [{name: k, value: v, provider_configs: [{provider: mock, "
	    "allowed_models: '*', budgets: [{max_limit: 1, reset_duration: 1d}]}]}]\n"
	    "  pricing_overrides: [{name: p, pattern: m, request_types: [chat_completion], "
	    "pricing_patch: {input_cost_per_token: 1, output_cost_per_token: 1}}]\n" MOCK;
	struct bf_plan plan;
	struct load_bed b;
	uint64_t all = 0;

	(void)state;
	assert_string_equal(bed_load(&b, text), "");
	assert_int_equal(bf_plan_make(&plan, &b.config, &b.arena, NULL), 0);
	assert_int_equal(plan.limit_count, 5);
	for (uint32_t i = 0; i < plan.limit_count; i++) {
		all ^= plan.limits[i].identity;
		for (uint32_t k = 0; k < i; k++) {
			assert_true(plan.limits[i].identity != plan.limits[k].identity);
			assert_false(bf_slice_eq(plan.limits[i].limit_id, plan.limits[k].limit_id));
		}
	}
	assert_true(all == UINT64_C(0x047f72dd4174c621));
	bed_done(&b);
}

/* As Bifrost exports it. */
static void as_json(void **state)
{
	static const char text[] =
	    "{\"version\": 2, \"providers\": {\"mock\": {}}, \"governance\": {"
	    "\"customers\": [{\"id\": \"c\", \"name\": \"C\", \"budget_id\": \"b\"}],"
	    "\"budgets\": [{\"id\": \"b\", \"max_limit\": 1.5, \"reset_duration\": \"1M\","
	    "  \"current_usage\": 0, \"override_amount\": 0}],"
	    "\"rate_limits\": [],"
	    "\"teams\": [{\"id\": \"t\", \"name\": \"T\", \"customer_id\": \"c\","
	    "  \"profile\": null, \"config\": null, \"claims\": null}],"
	    "\"virtual_keys\": [{\"id\": \"v\", \"name\": \"V\", \"value\": \"env.KEY\","
	    "  \"team_id\": \"t\", \"customer_id\": null, \"expires_at\": "
	    "\"2030-01-01T01:00:00+01:00\","
	    "  \"disable_content_logging\": null, \"mcp_configs\": [],"
	    "  \"provider_configs\": [{\"provider\": \"mock\", \"weight\": null,"
	    "    \"allowed_models\": [\"*\"], \"key_ids\": [\"*\"], \"budgets\": null}]}],"
	    "\"pricing_overrides\": [{\"name\": \"p\", \"pattern\": \"m\","
	    "  \"request_types\": [\"chat_completion\"],"
	    "  \"pricing_patch\": {\"input_cost_per_token\": 1, \"output_cost_per_token\": 1}}]}}";
	struct bf_json_writer w;
	struct load_bed b;
	struct bf_buf out;

	(void)state;
	bed_load_bytes(&b, "x.json", text, strlen(text));
	assert_string_equal(b.text.data + b.text.start, "");
	const struct bf_conf_virtual_key *key = b.config.governance.virtual_keys.items;
	assert_true(key->expires_at_ms == INT64_C(1893456000000));
	assert_int_equal(key->disable_content_logging, BF_TRI_UNSET);
	assert_string_equal(key->value.ptr, "hunter2");
	assert_int_equal(AT(b.config.governance.customers, bf_conf_customer, 0)->own.budgets.count,
			 1);

	bf_buf_init(&out, 1 << 20);
	bf_jw_init(&w, &out);
	bf_table_write_json(&bf_config_table, &b.config, &w);
	assert_int_equal(bf_jw_finish(&w), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	assert_non_null(strstr(out.data, "\"expires_at\":\"2030-01-01T00:00:00.000Z\""));
	assert_non_null(strstr(out.data, "\"disable_content_logging\":null"));
	assert_non_null(strstr(out.data, "\"weight\":null"));
	assert_null(strstr(out.data, "hunter2"));
	bf_buf_done(&out);
	bed_done(&b);
}

/* Values from the environment and from files fit every type. */
static void references_in_values(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(
	    bed_load(&b, "governance:\n"
			 "  teams: [{id: env.KEY, name: file./etc/secret}]\n"
			 "  virtual_keys: [{name: k, value: v, team_id: env.KEY}]\n" MOCK),
	    "");
	assert_string_equal(AT(b.config.governance.teams, bf_conf_team, 0)->own.name.ptr,
			    "hunter3");
	assert_string_equal(
	    AT(b.config.governance.virtual_keys, bf_conf_virtual_key, 0)->team_id.ptr, "hunter2");
	bed_done(&b);
	bed_says(
	    "governance:\n  virtual_keys: [{name: k, value: v, expires_at: env.KEY}]\n" MOCK,
	    "x.yaml:2:50: error: governance.virtual_keys[0].expires_at: must be a time such as "
	    "2026-11-21T10:00:00Z\n");
}

/* What a list that is not there means depends on what the file says of its version. */
static void versions(void **state)
{
	static const struct {
		const char *head, *key;
		bool all;
	} cases[] = {
	    {"", "", true},
	    {"version: 1\n", "", true},
	    {"version: ~\n", "", true},
	    {"", ", provider_configs: []", true},
	    {"", ", allow_all_providers: true", true},
	    {"version: 2\n", ", allow_all_providers: true", true},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		char yaml[512];
		struct load_bed b;

		(void)snprintf(yaml, sizeof(yaml),
			       "%sgovernance: {virtual_keys: [{name: k, value: v%s}]}\n" MOCK,
			       cases[i].head, cases[i].key);
		assert_string_equal(bed_load(&b, yaml), "");
		const struct bf_conf_virtual_key *key = b.config.governance.virtual_keys.items;
		assert_int_equal(key->allow_all_providers, cases[i].all);
		bed_done(&b);
	}
	bed_says("version: 2\ngovernance: {virtual_keys: [{name: k, value: v}]}\n" MOCK,
		 "x.yaml:2:29: warning: governance.virtual_keys[0]: has no provider_configs and so "
		 "may use no provider: add them, or allow_all_providers: true\n");
	bed_says(
	    "governance: {virtual_keys: [{name: k, value: v, allow_all_providers: false}]}\n" MOCK,
	    "x.yaml:1:29: warning: governance.virtual_keys[0]: has no provider_configs and so "
	    "may use no provider: add them, or allow_all_providers: true\n");
}

#define GROQ "providers: {groq: {keys: [{name: a, value: b}]}}\n"

static void empty_lists_of_a_provider(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(
	    bed_load(&b, "version: 1\ngovernance: {virtual_keys: [{name: k, value: v, "
			 "provider_configs: [{provider: groq, allowed_models: []}]}]}\n" GROQ),
	    "");
	const struct bf_conf_virtual_key *key = b.config.governance.virtual_keys.items;
	const struct bf_conf_provider_config *c = key->provider_configs.items;
	assert_false(key->allow_all_providers);
	assert_int_equal(c->allowed_models.count, 1);
	assert_int_equal(c->key_ids.count, 1);
	assert_string_equal(AT(c->allowed_models, bf_slice, 0)->ptr, "*");
	bed_done(&b);
	assert_string_equal(
	    bed_load(&b, "governance: {virtual_keys: [{name: k, value: v, provider_configs: "
			 "[{provider: groq, allowed_models: [], key_ids: []}]}]}\n" GROQ),
	    "");
	key = b.config.governance.virtual_keys.items;
	c = key->provider_configs.items;
	assert_int_equal(c->allowed_models.count, 0);
	assert_int_equal(c->key_ids.count, 0);
	bed_done(&b);
	bed_says("governance: {virtual_keys: [{name: k, value: v, provider_configs: "
		 "[{provider: groq}]}]}\n" GROQ,
		 "x.yaml:1:68: warning: governance.virtual_keys[0].provider_configs[0]: has no "
		 "allowed_models and so may use no model: write allowed_models: [\"*\"] for all\n"
		 "x.yaml:1:68: warning: governance.virtual_keys[0].provider_configs[0]: has no "
		 "key_ids and so may use no key of its provider: write key_ids: [\"*\"] for all\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(budgets_stand_at_their_owners),
	    cmocka_unit_test(names_and_ids),
	    cmocka_unit_test(rate_limits_that_stand_at_their_owners),
	    cmocka_unit_test(what_keys_may_use),
	    cmocka_unit_test(who_sees_it),
	    cmocka_unit_test(what_changes_for_whom),
	    cmocka_unit_test(made_ids_stay),
	    cmocka_unit_test(as_json),
	    cmocka_unit_test(references_in_values),
	    cmocka_unit_test(versions),
	    cmocka_unit_test(empty_lists_of_a_provider),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
