/* Limits of everybody whom one request concerns: its row moves the meters of its key, team,
 * customer, provider and model, and what these are is what the rows say, after any loss. */
#include "tests/unit/writerd/limits_bed.h"

#define HOUR(name, nusd)                                                                          \
	{                                                                                         \
		.id = BF_SLICE_INIT(name), .max_limit_nusd = (nusd), .reset_duration = {"1h", 2}, \
		.quarter_start_month = 1                                                          \
	}

static struct bf_conf_budget of_team[] = {HOUR("b-team", 5000)};
static struct bf_conf_budget of_customer[] = {HOUR("b-customer", 6000)};
static struct bf_conf_budget of_model[] = {HOUR("b-model", 7000)};
static struct bf_conf_budget of_key_at[] = {HOUR("b-config", 8000)};
static struct bf_conf_budget of_key_model[] = {HOUR("b-key-model", 9000)};

static struct bf_conf_customer customers[] = {
    {.own = {.id = {"c-1", 3}, .name = {"acme", 4}, .budgets = {of_customer, 1}}},
};
static struct bf_conf_team teams[] = {
    {.own = {.id = {"t-1", 3}, .name = {"blue", 4}, .budgets = {of_team, 1}},
     .customer_id = {"c-1", 3}},
};
static struct bf_conf_provider_config configs[] = {
    {.own = {.id = {"pc-1", 4}, .name = {"mock", 4}, .budgets = {of_key_at, 1}},
     .provider = {"mock", 4}},
};
static struct bf_conf_model_config models[] = {
    {.own = {.id = {"m-1", 3}, .name = {"m", 1}, .budgets = {of_model, 1}}, .model_name = {"M", 1}},
    {.own = {.id = {"m-2", 3}, .name = {"m", 1}, .budgets = {of_key_model, 1}},
     .model_name = {"m", 1},
     .provider = {"mock", 4},
     .scope = BF_MODEL_VIRTUAL_KEY,
     .scope_id = {"vk-2", 4}},
};
static struct bf_conf_provider_limits providers[] = {
    {.own = {.id = {"mock", 4}, .name = {"mock", 4}, .rate_limit_id = {"r", 1}}},
};
/* Two keys of one team, one of its customer, one of nobody. */
static struct bf_conf_virtual_key all[] = {
    {.own = {.id = {"vk-1", 4}, .name = {"one", 3}, .rate_limit_id = {"r", 1}},
     .team_id = {"t-1", 3},
     .provider_configs = {configs, 1}},
    {.own = {.id = {"vk-2", 4}, .name = {"two", 3}}, .team_id = {"t-1", 3}},
    {.own = {.id = {"vk-3", 4}, .name = {"three", 5}}, .customer_id = {"c-1", 3}},
    {.own = {.id = {"vk-4", 4}, .name = {"four", 4}}},
};

static struct bf_config whole(void)
{
	return (struct bf_config){.governance = {
				      .customers = {customers, BF_ARRAY_LEN(customers)},
				      .teams = {teams, BF_ARRAY_LEN(teams)},
				      .virtual_keys = {all, BF_ARRAY_LEN(all)},
				      .model_configs = {models, BF_ARRAY_LEN(models)},
				      .providers = {providers, BF_ARRAY_LEN(providers)},
				      .rate_limits = {rates, 1},
				  }};
}

/* A request of a key (4: without one), and what it was charged. */
static void request(struct limits *l, uint32_t n, uint32_t key, const char *model, uint32_t nusd)
{
	struct bf_config config = whole();
	const struct bf_plan_key *of = NULL;
	struct bf_plan plan;
	struct shm_usage_record r = crafted_record(n);
	struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_plan_path path;
	struct bf_arena arena;
	struct bf_err err = {0};
	unsigned inserted;

	bf_arena_init(&arena, 1 << 20);
	assert_int_equal(bf_plan_make(&plan, &config, &arena, NULL), 0);
	if (key < 4)
		of = &plan.keys[key];
	assert_int_equal(
	    bf_plan_path(&plan, of, BF_SLICE_LIT("mock"), bf_slice_from(model), &arena, &path), 0);
	for (uint32_t i = 0; i < path.count; i++)
		if (shm_meter_find(&c.seg, path.items[i]->identity) != SHM_METER_NOWHERE)
			metered_charge(&r, shm_meter_find(&c.seg, path.items[i]->identity),
				       epoch_of(path.items[i]));
	if (of)
		memcpy(r.virtual_key_id, of->conf->own.id.ptr, of->conf->own.id.len);
	if (of && of->team_conf)
		memcpy(r.team_id, of->team_conf->own.id.ptr, of->team_conf->own.id.len);
	if (of && of->customer_conf)
		memcpy(r.customer_id, of->customer_conf->own.id.ptr, of->customer_conf->own.id.len);
	memset(r.model, 0, sizeof(r.model));
	memcpy(r.model, model, strlen(model));
	r.started_wall_ns = wall_ns;
	r.tokens_charged = 10;
	r.requests_charged = 1;
	r.cost_nusd = nusd;
	row_scratch_init(&scratch);
	if (store_write(l->store, &item, 1, &scratch, &l->fold, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	row_scratch_done(&scratch);
	bf_arena_done(&arena);
}

static void requests(struct limits *l)
{
	request(l, 1, 0, "m", 1);
	request(l, 2, 0, "other", 2);
	request(l, 3, 1, "m", 4);
	request(l, 4, 2, "mock/M", 8);
	request(l, 5, 3, "m", 16);
	request(l, 6, 4, "m", 32);
	request(l, 7, 1, "other", 64);
}

static const struct {
	const char *owner_id;
	enum bf_quantity quantity;
	int64_t sum;
} sums[] = {
    {"t-1", BF_QUANTITY_NUSD, 1 + 2 + 4 + 64},
    {"c-1", BF_QUANTITY_NUSD, 1 + 2 + 4 + 8 + 64},
    {"pc-1", BF_QUANTITY_NUSD, 1 + 2},
    {"m-1", BF_QUANTITY_NUSD, 1 + 4 + 8 + 16 + 32},
    {"m-2", BF_QUANTITY_NUSD, 4},
    {"mock", BF_QUANTITY_REQUESTS, 7},
    {"mock", BF_QUANTITY_TOKENS, 70},
    {"vk-1", BF_QUANTITY_REQUESTS, 2},
    {"vk-1", BF_QUANTITY_TOKENS, 20},
};

/* live: requests were not reserved in this test, so that only loaded meters count them. */
static void check_sums(const struct limits *l, bool live)
{
	for (unsigned i = 0; i < BF_ARRAY_LEN(sums); i++) {
		struct shm_meter_info info =
		    info_of(meter_of(l, sums[i].owner_id, sums[i].quantity));

		if (info.settled != sums[i].sum || (!live && info.value != sums[i].sum))
			fail_msg("%s: %lld settled, %lld counted, not %lld", sums[i].owner_id,
				 (long long)info.settled, (long long)info.value,
				 (long long)sums[i].sum);
	}
}

static void new_segment(void)
{
	shm_segment_detach(&c.seg);
	(void)close(c.fd);
	c.fd = memfd_create("segment", MFD_CLOEXEC);
	assert_int_equal(shm_segment_create(c.fd, (const uint8_t[16]){2}, NULL), 0);
	assert_int_equal(shm_segment_attach(c.fd, false, NULL, &c.seg, NULL), 0);
	pass(1000000);
	own = crafted_worker(&c);
}

static void one_request_moves_many_meters(void **state)
{
	struct bf_config config = whole();
	struct limits l;

	(void)state;
	start(&l, &config, store);
	requests(&l);
	check_sums(&l, true);
	assert_int_equal(crafted_number(&c, "SELECT sum(cost_nusd) FROM logs WHERE team_id = 't-1'"
					    " AND team_name = 'blue' AND customer_name = 'acme'"),
			 71);
	limits_done(&l);
	assert_null(store->owners);
	/* Totals are all that is left. */
	new_segment();
	start(&l, &config, store);
	check_sums(&l, false);
	limits_done(&l);
	/* Not even these: the rows are. */
	assert_int_equal(crafted_number(&c, "DELETE FROM meter_totals RETURNING 1"), 1);
	(void)crafted_number(&c, "DELETE FROM meter_totals");
	(void)crafted_number(&c, "DELETE FROM meter_watched");
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM meter_totals"), 0);
	new_segment();
	start(&l, &config, store);
	check_sums(&l, false);
	limits_done(&l);
}

/* Owners that are new begin with what their rows say; what was no row of theirs is not theirs. */
static void new_owners_begin_with_their_rows(void **state)
{
	struct bf_config without = whole(), config = whole();
	struct limits l;

	(void)state;
	of_team[0].id = BF_SLICE_LIT("b-older");
	without.governance.model_configs.count = without.governance.providers.count = 0;
	start(&l, &without, store);
	requests(&l);
	limits_done(&l);
	of_team[0].id = BF_SLICE_LIT("b-team");
	start(&l, &config, store);
	assert_int_equal(info_of(meter_of(&l, "t-1", BF_QUANTITY_NUSD)).value, 71);
	assert_int_equal(info_of(meter_of(&l, "m-1", BF_QUANTITY_NUSD)).value, 61);
	assert_int_equal(info_of(meter_of(&l, "m-2", BF_QUANTITY_NUSD)).value, 4);
	assert_int_equal(info_of(meter_of(&l, "mock", BF_QUANTITY_TOKENS)).value, 70);
	limits_done(&l);
}

/* ---- as they are told */

static unsigned asked(const struct limits *l, const char *key, const char *owner, const char *id,
		      struct bf_msg_limit *ret_first)
{
	struct bf_msg_limits_get ask = {.virtual_key = bf_slice_from(key),
					.owner = bf_slice_from(owner),
					.owner_id = bf_slice_from(id)};
	struct bf_msg_limits page;
	struct bf_arena arena;
	struct bf_err err = {0};
	unsigned n = 0;

	bf_arena_init(&arena, 1 << 20);
	if (limits_page(l, &ask, &page, &arena, &err) == 0) {
		n = page.items.count;
		if (n)
			*ret_first = *(const struct bf_msg_limit *)page.items.items;
	} else {
		assert_int_equal(err.code, BF_E_UNKNOWN);
		n = 1000;
	}
	bf_arena_done(&arena);
	return n;
}

static void owners_are_told(void **state)
{
	struct bf_config config = whole();
	struct bf_msg_limit first;
	struct limits l;

	(void)state;
	start(&l, &config, store);
	requests(&l);
	assert_int_equal(asked(&l, "", "", "", &first), l.live);
	assert_int_equal(asked(&l, "", "team", "", &first), 1);
	assert_int_equal(asked(&l, "", "team", "t-1", &first), 1);
	assert_int_equal(asked(&l, "", "team", "blue", &first), 1);
	assert_true(bf_slice_is(first.owner, "team") && bf_slice_is(first.owner_id, "t-1"));
	assert_true(bf_slice_is(first.owner_name, "blue") && first.virtual_key_id.len == 0);
	assert_int_equal(first.used, 71);
	assert_int_equal(asked(&l, "", "customer", "acme", &first), 1);
	assert_int_equal(asked(&l, "", "provider", "mock", &first), 3);
	assert_int_equal(asked(&l, "", "model_config", "", &first), 2);
	assert_int_equal(asked(&l, "", "model_config", "M", &first), 1);
	assert_true(bf_slice_is(first.model, "M") && first.provider.len == 0);
	assert_int_equal(asked(&l, "vk-1", "", "", &first), 4);
	assert_int_equal(asked(&l, "one", "provider_config", "", &first), 1);
	assert_true(bf_slice_is(first.owner_name, "mock") && bf_slice_is(first.provider, "mock"));
	assert_true(bf_slice_is(first.virtual_key_id, "vk-1"));
	assert_true(bf_slice_is(first.virtual_key_name, "one"));
	assert_int_equal(asked(&l, "two", "", "", &first), 1);
	assert_true(bf_slice_is(first.owner_id, "m-2") &&
		    bf_slice_is(first.virtual_key_name, "two"));
	assert_int_equal(asked(&l, "three", "", "", &first), 0);
	assert_int_equal(asked(&l, "", "virtual_key", "three", &first), 0);
	/* Nobody of this name: not the same as no limits. */
	assert_int_equal(asked(&l, "blue", "", "", &first), 1000);
	assert_int_equal(asked(&l, "", "team", "acme", &first), 1000);
	assert_int_equal(asked(&l, "", "provider_config", "groq", &first), 1000);
	assert_int_equal(asked(&l, "", "teams", "", &first), 1000);
	limits_done(&l);
}

/* ---- many */

#define MANY  10000u
#define TEAMS 200u

static struct bf_conf_virtual_key many[MANY];
static struct bf_conf_team many_teams[TEAMS];
static char names[MANY + TEAMS][16];

static struct bf_config crowd(void)
{
	struct bf_config config = {0};

	for (uint32_t i = 0; i < TEAMS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "t-%u", i);
		many_teams[i] = (struct bf_conf_team){
		    .own = {.id = bf_slice_from(names[i]), .budgets = {of_team, 1}}};
	}
	for (uint32_t i = 0; i < MANY; i++) {
		char *name = names[TEAMS + i];

		(void)snprintf(name, sizeof(names[i]), "vk-%u", i);
		many[i] = (struct bf_conf_virtual_key){
		    .own = {.id = bf_slice_from(name), .rate_limit_id = {"r", 1}},
		    .team_id = bf_slice_from(names[i % TEAMS])};
	}
	config.governance.virtual_keys = (struct bf_array){many, MANY};
	config.governance.teams = (struct bf_array){many_teams, TEAMS};
	config.governance.rate_limits = (struct bf_array){rates, 1};
	return config;
}

static void many_keys_and_teams(void **state)
{
	struct bf_config config = crowd();
	struct limits l;

	(void)state;
	start(&l, &config, store);
	assert_int_equal(l.live, 3 * MANY + TEAMS);
	assert_int_equal(l.closed, 0);
	for (uint32_t i = 0; i < l.live; i++) {
		const struct limit *limit = limits_table_at(&l.table, i);

		if (!limit || shm_meter_find(&c.seg, limit->identity) != limit->place)
			fail_msg("limit %u has no meter of its own", i);
	}
	limits_done(&l);
	/* The next one finds them all. */
	start(&l, &config, store);
	assert_int_equal(l.closed, 0);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM meter_totals"), 2 * MANY + TEAMS);
	limits_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIMITS_TEST(one_request_moves_many_meters),
	    LIMITS_TEST(new_owners_begin_with_their_rows),
	    LIMITS_TEST(owners_are_told),
	    LIMITS_TEST(many_keys_and_teams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
