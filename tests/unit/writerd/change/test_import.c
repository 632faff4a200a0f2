/* The configuration file against what there is: its last word counts once, what was changed by the
 * API stays, what is gone goes; who then names nobody is blocked. */
#include "tests/unit/writerd/entities_bed.h"

#include "shm/health.h"

#define VK       BF_ENTITY_VIRTUAL_KEY
#define TEAM     BF_ENTITY_TEAM
#define CUSTOMER BF_ENTITY_CUSTOMER
#define RATE     BF_ENTITY_RATE_LIMIT
#define CATALOG  BF_ENTITY_MODEL_CATALOG
#define LOCAL                                                                               \
	"providers: {mock: {}, local: {network_config: {base_url: http://127.0.0.1:1/v1}, " \
	"custom_provider_config: {is_key_less: true}}}\n"
#define SEALED        "encryption_key: 0123456789abcdef\n"
#define LISTED(names) "governance: {model_catalogs: [{provider: local, models: [" names "]}]}\n"

#define MOCK "providers: {mock: {}}\n"
#define KEY(rest)                                                              \
	MOCK "governance: {virtual_keys: [{id: k, name: ops, value: the-value" \
	     "-of-ops" rest "}]}\n"

static struct bed b;

static uint64_t version_of(uint32_t type, const char *id)
{
	struct bf_entity e;

	return bed_finds(&b, type, id, &e) ? e.version : 0;
}

static uint32_t flags_of(uint32_t type, const char *id)
{
	struct bf_entity e;

	assert_true(bed_finds(&b, type, id, &e));
	return e.flags;
}

static void the_file_is_in_force_at_the_start(void **state)
{
	(void)state;
	bed_open(&b,
		 MOCK "governance:\n"
		      "  customers: [{id: c, name: Acme}]\n"
		      "  teams: [{id: t, name: blue, customer_id: c}]\n"
		      "  rate_limits: [{id: r, concurrent_max_limit: 4}]\n"
		      "  model_configs: [{model_name: m, rate_limit_id: r}]\n"
		      "  providers: [{name: mock, budgets: [{max_limit: 1, reset_duration: 1d}]}]\n"
		      "  pricing_overrides: [{name: p, pattern: m, pricing_patch: "
		      "{input_cost_per_token: 1}}]\n"
		      "  virtual_keys: [{id: k, name: ops, value: the-value-of-ops, team_id: t, "
		      "provider_configs: [{provider: mock, weight: 0.5, allowed_models: [m], "
		      "key_ids: '*'}]}]\n"
		      "  auth_config: {is_enabled: true, admin_username: ada, admin_password: "
		      "hunter2hunter2}\n"
		      "  api_keys: [{id: a, name: ci, value: of-at-least-20-bytes}]\n"
		      "  model_catalogs: [{provider: mock, models: [m, n]}]\n");
	assert_string_equal(bed_holder(&b, VK, "the-value-of-ops"), "k");
	assert_int_equal(version_of(CUSTOMER, "c"), 1);
	assert_int_equal(version_of(TEAM, "t"), 1);
	assert_int_equal(version_of(RATE, "r"), 1);
	assert_int_equal(version_of(BF_ENTITY_PROVIDER_LIMITS, "mock"), 1);
	assert_true(version_of(BF_ENTITY_AUTH_CONFIG, "auth") > 0);
	assert_int_equal(version_of(BF_ENTITY_API_KEY, "a"), 1);
	assert_int_equal(version_of(CATALOG, "mock"), 1);
	const struct bf_snapshot s = bed_now(&b);
	assert_int_equal(bf_snapshot_live(&s, BF_ENTITY_MODEL_CONFIG), 1);
	assert_int_equal(bf_snapshot_live(&s, BF_ENTITY_PRICING_OVERRIDE), 1);
	assert_int_equal(flags_of(VK, "k"), BF_ENTITY_FROM_FILE);
	/* Nothing that is said again is taken again. */
	bed_stop(&b);
	bed_start(&b);
	assert_int_equal(version_of(VK, "k"), 1);
	assert_int_equal(version_of(TEAM, "t"), 1);
	bed_close(&b);
}

static void the_files_last_word_counts_once(void **state)
{
	(void)state;
	bed_open(&b, KEY(""));
	bed_ask_well(&b, BF_ENTITY_UPDATE, VK, "k", "{\"description\":\"by the api\"}");
	assert_int_equal(version_of(VK, "k"), 2);
	assert_int_equal(flags_of(VK, "k"), 0);
	/* The same file: what the API said stands. */
	bed_again(&b, KEY(""));
	assert_int_equal(version_of(VK, "k"), 2);
	/* Another one: its word counts. */
	bed_again(&b, KEY(", description: by the file"));
	assert_int_equal(version_of(VK, "k"), 3);
	assert_int_equal(flags_of(VK, "k"), BF_ENTITY_FROM_FILE);
	bed_ask_well(&b, BF_ENTITY_UPDATE, VK, "k", "{\"is_active\":false}");
	bed_again(&b, KEY(", description: by the file"));
	assert_int_equal(version_of(VK, "k"), 4);
	bed_close(&b);
}

static void another_value_in_the_file_counts(void **state)
{
	(void)state;
	bed_open(&b, KEY(""));
	bed_again(&b, MOCK "governance: {virtual_keys: [{id: k, name: ops, value: "
			   "another-value-now}]}\n");
	assert_string_equal(bed_holder(&b, VK, "another-value-now"), "k");
	assert_string_equal(bed_holder(&b, VK, "the-value-of-ops"), "");
	bed_close(&b);
}

static void what_is_gone_from_the_file_goes(void **state)
{
	(void)state;
	bed_open(&b, KEY(""));
	bed_again(&b, MOCK);
	assert_int_equal(version_of(VK, "k"), 0);
	bed_again(&b, KEY(""));
	assert_int_equal(version_of(VK, "k"), 3);
	/* What the API changed is its own by now. */
	bed_ask_well(&b, BF_ENTITY_UPDATE, VK, "k", "{\"description\":\"mine\"}");
	bed_again(&b, MOCK);
	assert_int_equal(version_of(VK, "k"), 4);
	bed_close(&b);
}

/* Each way in which a list and its provider can leave, once: no id is buried twice. */
static void a_list_of_models_goes_alone_or_with_its_provider(void **state)
{
	(void)state;
	bed_open(&b, LOCAL LISTED("a"));
	assert_int_equal(version_of(CATALOG, "local"), 1);
	bed_again(&b, LOCAL);
	assert_int_equal(version_of(CATALOG, "local"), 0);
	bed_again(&b, LOCAL LISTED("a"));
	assert_int_equal(version_of(CATALOG, "local"), 3);
	bed_again(&b, MOCK);
	assert_int_equal(version_of(CATALOG, "local"), 0);
	assert_int_equal(version_of(BF_ENTITY_PROVIDER, "local"), 0);
	bed_again(&b, LOCAL LISTED("a"));
	assert_int_equal(version_of(CATALOG, "local"), 5);
	bed_close(&b);
	/* The API's own goes with a provider that was kept; else it waits for it to come back. */
	for (int sealed = 0; sealed < 2; sealed++) {
		char listed[512], bare[128];

		(void)snprintf(listed, sizeof(listed), "%s%s", sealed ? SEALED : "",
			       LOCAL LISTED("a"));
		(void)snprintf(bare, sizeof(bare), "%s%s", sealed ? SEALED : "", MOCK);
		bed_open(&b, listed);
		bed_ask_well(&b, BF_ENTITY_UPDATE, CATALOG, "local", "{\"models\":[\"b\"]}");
		bed_again(&b, listed);
		assert_int_equal(version_of(CATALOG, "local"), 2);
		bed_again(&b, bare);
		assert_int_equal(version_of(CATALOG, "local"), sealed ? 0 : 2);
		bed_close(&b);
	}
}

static void what_the_api_deleted_stays_deleted(void **state)
{
	(void)state;
	bed_open(&b, KEY(""));
	bed_ask_well(&b, BF_ENTITY_DELETE, VK, "k", "");
	bed_again(&b, KEY(""));
	assert_int_equal(version_of(VK, "k"), 0);
	bed_again(&b, KEY(", is_active: true, description: again"));
	assert_int_equal(version_of(VK, "k"), 3);
	bed_close(&b);
}

/* What left the file and comes back is a new word, whatever the API did meanwhile. */
static void what_comes_back_to_the_file_counts(void **state)
{
	(void)state;
	bed_open(&b, KEY(""));
	bed_ask_well(&b, BF_ENTITY_DELETE, VK, "k", "");
	bed_again(&b, MOCK);
	assert_int_equal(version_of(VK, "k"), 0);
	bed_again(&b, KEY(""));
	assert_int_equal(version_of(VK, "k"), 3);
	bed_ask_well(&b, BF_ENTITY_UPDATE, VK, "k", "{\"description\":\"mine\"}");
	bed_again(&b, MOCK);
	bed_again(&b, MOCK);
	assert_int_equal(version_of(VK, "k"), 4);
	assert_string_equal(bed_holder(&b, VK, "the-value-of-ops"), "k");
	bed_again(&b, KEY(""));
	assert_int_equal(version_of(VK, "k"), 5);
	assert_int_equal(flags_of(VK, "k"), BF_ENTITY_FROM_FILE);
	bed_close(&b);
}

static void limits_that_stand_at_their_owner_are_part_of_it(void **state)
{
	struct bf_entity e;
	struct bf_conf_virtual_key key;
	struct bf_arena arena;
	char id[64];

	(void)state;
	bed_open(&b, KEY(", rate_limit: {concurrent_max_limit: 2}, provider_configs: [{provider: "
			 "mock, allowed_models: '*', key_ids: '*', rate_limit: "
			 "{concurrent_max_limit: 1}}]"));
	const struct bf_snapshot s = bed_now(&b);
	assert_int_equal(bf_snapshot_live(&s, RATE), 0);
	bf_arena_init(&arena, 1 << 20);
	assert_true(bed_finds(&b, VK, "k", &e));
	assert_int_equal(bf_entity_decode(&e, &key, &arena, NULL), 0);
	assert_int_equal(key.own.rate_limit_id.len, 0);
	assert_int_equal(key.own.rate_limit.count, 1);
	const struct bf_conf_rate_limit *rate = key.own.rate_limit.items;
	(void)snprintf(id, sizeof(id), "%.*s", BF_SLICE_FMT(rate->id));
	const struct bf_conf_provider_config *configs = key.provider_configs.items;
	assert_int_equal(configs[0].own.rate_limit.count, 1);
	/* Another one in its place is the same limit: its meters go on. */
	bed_ask_well(&b, BF_ENTITY_UPDATE, VK, "k",
		     "{\"rate_limit\":{\"concurrent_max_limit\":3}}");
	assert_non_null(strstr(b.json, id));
	bf_arena_done(&arena);
	bed_close(&b);
}

static void who_names_nobody_is_blocked_until_there_is_one(void **state)
{
	(void)state;
	bed_open(&b, MOCK "governance: {teams: [{id: t, name: blue}]}\n");
	bed_ask_well(&b, BF_ENTITY_CREATE, VK, "k", "{\"name\":\"ops\",\"team_id\":\"t\"}");
	bed_ask_well(&b, BF_ENTITY_CREATE, VK, "other", "{\"name\":\"free\"}");
	bed_again(&b, MOCK);
	assert_int_equal(b.r.quarantined, 1);
	assert_string_equal(b.r.first_quarantined, "virtual_key/k");
	assert_int_equal(flags_of(VK, "k"), BF_ENTITY_QUARANTINED);
	assert_int_equal(flags_of(VK, "other"), 0);
	/* A change of it must mend it. */
	bed_ask_badly(&b, BF_ENTITY_UPDATE, VK, "k", "{\"description\":\"x\"}", 400,
		      "no team has the id");
	bed_ask_well(&b, BF_ENTITY_CREATE, TEAM, "t", "{\"name\":\"blue again\"}");
	/* In force with the change that healed it. */
	assert_int_equal(b.r.quarantined, 0);
	assert_int_equal(flags_of(VK, "k"), 0);
	bed_close(&b);
}

static void of_two_keys_with_one_value_the_files_counts(void **state)
{
	(void)state;
	bed_open(&b, MOCK);
	bed_ask_well(&b, BF_ENTITY_CREATE, VK, "mine",
		     "{\"name\":\"mine\",\"value\":\"the-value-of-ops\"}");
	bed_again(&b, KEY(""));
	assert_string_equal(bed_holder(&b, VK, "the-value-of-ops"), "k");
	assert_int_equal(flags_of(VK, "mine"), BF_ENTITY_QUARANTINED);
	assert_int_equal(b.r.quarantined, 1);
	/* It stays so, whatever else is looked at or changed, and keeps its value. */
	bed_ask_well(&b, BF_ENTITY_CREATE, TEAM, "t", "{\"name\":\"blue\"}");
	bed_ask_well(&b, BF_ENTITY_UPDATE, VK, "mine", "{\"description\":\"x\"}");
	bed_ask_well(&b, BF_ENTITY_UPDATE, VK, "mine", "{\"description\":\"y\"}");
	for (int i = 0; i < 64; i++) {
		char id[8], json[32];

		(void)snprintf(id, sizeof(id), "n%d", i);
		(void)snprintf(json, sizeof(json), "{\"name\":\"n%d\"}", i);
		bed_ask_well(&b, BF_ENTITY_CREATE, VK, id, json);
	}
	assert_int_equal(b.r.quarantined, 1);
	assert_int_equal(flags_of(VK, "mine"), BF_ENTITY_QUARANTINED);
	assert_string_equal(bed_holder(&b, VK, "the-value-of-ops"), "k");
	bed_ask_badly(&b, BF_ENTITY_CREATE, VK, "third",
		      "{\"name\":\"x\",\"value\":\"the-value-of-ops\"}", 409,
		      "another one has this value");
	bed_again(&b, KEY(""));
	assert_int_equal(b.r.quarantined, 1);
	/* Whoever had it before is gone: it is free. */
	bed_ask_well(&b, BF_ENTITY_DELETE, VK, "k", "");
	assert_int_equal(b.r.quarantined, 0);
	assert_int_equal(flags_of(VK, "mine"), 0);
	assert_string_equal(bed_holder(&b, VK, "the-value-of-ops"), "mine");
	bed_close(&b);
}

static void who_is_blocked_counts_until_it_is_changed_or_gone(void **state)
{
	(void)state;
	bed_open(&b, MOCK "governance: {teams: [{id: t, name: blue}]}\n");
	bed_ask_well(&b, BF_ENTITY_CREATE, VK, "k", "{\"name\":\"ops\",\"team_id\":\"t\"}");
	bed_ask_well(&b, BF_ENTITY_CREATE, VK, "l", "{\"name\":\"dev\",\"team_id\":\"t\"}");
	bed_again(&b, MOCK);
	assert_int_equal(b.r.quarantined, 2);
	bed_ask_well(&b, BF_ENTITY_UPDATE, VK, "k", "{\"team_id\":null}");
	assert_int_equal(b.r.quarantined, 1);
	assert_string_equal(b.r.first_quarantined, "virtual_key/l");
	/* Twice in one group, behind one that is in flight; and one that comes is looked at once.
	 */
	for (int i = 0; i < 3; i++) {
		const struct bf_msg_entity_change ask =
		    i == 0 ? bed_change(BF_ENTITY_CREATE, VK, "m", "{\"name\":\"new\"}")
			   : bed_change(BF_ENTITY_ROTATE, VK, "l", "");
		bed_send(&b, &ask);
	}
	bed_settle(&b);
	assert_int_equal(b.version, 3);
	assert_int_equal(b.r.quarantined, 1);
	assert_int_equal(flags_of(VK, "l"), BF_ENTITY_QUARANTINED);
	bed_ask_well(&b, BF_ENTITY_DELETE, VK, "l", "");
	assert_int_equal(b.r.quarantined, 0);
	assert_string_equal(b.r.first_quarantined, "");
	bed_close(&b);
}

static void what_was_deleted_does_not_come_back_with_a_key(void **state)
{
	static const char two[] =
	    "providers: {mock: {}, muck: {custom_provider_config: {base_provider_type: openai}, "
	    "network_config: {base_url: 'http://127.0.0.1:1'}}}\n";
	char sealed[512];

	(void)state;
	(void)snprintf(sealed, sizeof(sealed), "encryption_key: 0123456789abcdef\n%s", two);
	bed_open(&b, two);
	assert_true(version_of(BF_ENTITY_PROVIDER, "muck") > 0);
	bed_ask_well(&b, BF_ENTITY_DELETE, BF_ENTITY_PROVIDER, "muck", "");
	bed_again(&b, two);
	assert_int_equal(version_of(BF_ENTITY_PROVIDER, "muck"), 0);
	bed_again(&b, sealed);
	assert_int_equal(version_of(BF_ENTITY_PROVIDER, "muck"), 0);
	assert_true(version_of(BF_ENTITY_PROVIDER, "mock") > 0);
	bed_close(&b);
}

/* Its limits are gone with it: somebody must hear of that. */
static void what_cannot_be_read_is_told(void **state)
{
	const uint64_t bit = UINT64_C(1) << SHM_H_ENTITIES_UNREADABLE;
	sqlite3 *db = NULL;

	(void)state;
	bed_open(&b, MOCK);
	bed_ask_well(&b, BF_ENTITY_CREATE, TEAM, "t", "{\"name\":\"blue\"}");
	bed_ask_well(&b, BF_ENTITY_CREATE, TEAM, "u", "{\"name\":\"green\"}");
	registry_second(&b.r);
	assert_false(shm_health_all(&b.c.seg) & bit);
	bed_stop(&b);
	assert_int_equal(sqlite3_open(b.path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "UPDATE entities SET body = x'c1' WHERE id = 't'", NULL, NULL, NULL),
	    SQLITE_OK);
	(void)sqlite3_close(db);
	bed_start(&b);
	registry_second(&b.r);
	assert_true(shm_health_all(&b.c.seg) & bit);
	assert_int_equal(b.r.unreadable, 1);
	assert_int_equal(version_of(TEAM, "t"), 0);
	assert_int_equal(version_of(TEAM, "u"), 1);
	bed_close(&b);
}

static void without_a_store_the_file_is_all(void **state)
{
	(void)state;
	bed_open(&b, "config_store: {enabled: false}\n" KEY(""));
	assert_string_equal(bed_holder(&b, VK, "the-value-of-ops"), "k");
	assert_int_equal(access(b.path, F_OK), -1);
	bed_close(&b);
}

/* Without encryption_key it is not kept, and is what the file says: its version tells which. */
static void a_password_that_is_not_kept_has_a_version_of_its_own(void **state)
{
	static const char text[] = MOCK "auth_config: {is_enabled: true, admin_username: ada, "
					"admin_password: hunter2hunter%d}\n";
	char yaml[256];
	uint64_t one, two;

	(void)state;
	(void)snprintf(yaml, sizeof(yaml), text, 1);
	bed_open(&b, yaml);
	one = version_of(BF_ENTITY_AUTH_CONFIG, "auth");
	bed_again(&b, yaml);
	assert_true(version_of(BF_ENTITY_AUTH_CONFIG, "auth") == one);
	(void)snprintf(yaml, sizeof(yaml), text, 2);
	bed_again(&b, yaml);
	two = version_of(BF_ENTITY_AUTH_CONFIG, "auth");
	assert_true(two && two != one);
	bed_again(&b, MOCK);
	assert_int_equal(version_of(BF_ENTITY_AUTH_CONFIG, "auth"), 0);
	bed_close(&b);
}

/* Of the provider that everybody asks. */
static const char *with_budgets(int count)
{
	static char yaml[4096];
	size_t n = (size_t)snprintf(yaml, sizeof(yaml),
				    MOCK "governance:\n  teams: [{id: t, name: n%d}]\n  providers: "
					 "[{name: mock, budgets: [",
				    count);

	for (int i = 1; i <= count; i++)
		n += (size_t)snprintf(yaml + n, sizeof(yaml) - n,
				      "{max_limit: 1, reset_duration: %dh},", i);
	(void)snprintf(yaml + n, sizeof(yaml) - n, "]}]\n");
	return yaml;
}

/* No worker could take what every request would meet: the file is refused whole. */
static void a_file_with_too_many_limits_beside_the_apis(void **state)
{
	static char json[4096];
	size_t n = (size_t)snprintf(json, sizeof(json), "{\"model_name\":\"gpt\",\"budgets\":[");
	uint64_t version;

	(void)state;
	for (int i = 1; i <= 25; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n,
				      "%s{\"max_limit\":1,\"reset_duration\":\"%dh\"}",
				      i > 1 ? "," : "", i);
	(void)snprintf(json + n, sizeof(json) - n, "]}");
	bed_open(&b, with_budgets(15));
	bed_ask_well(&b, BF_ENTITY_CREATE, BF_ENTITY_MODEL_CONFIG, "m", json);
	version = version_of(BF_ENTITY_PROVIDER_LIMITS, "mock");
	bed_again(&b, with_budgets(16));
	assert_int_equal(b.start_err.code, BF_E_LIMIT);
	assert_non_null(strstr(b.start_err.text,
			       "meets 41 limits, and at most 40 can be decided at once: remove "
			       "some of"));
	/* Nothing of it was taken over, and nothing is lost. */
	bed_again(&b, with_budgets(15));
	assert_int_equal(b.start_err.code, 0);
	assert_true(version_of(BF_ENTITY_PROVIDER_LIMITS, "mock") == version);
	assert_int_equal(version_of(TEAM, "t"), 1);
	assert_int_equal(version_of(BF_ENTITY_MODEL_CONFIG, "m"), 1);
	bed_ask_badly(&b, BF_ENTITY_UPDATE, BF_ENTITY_PROVIDER_LIMITS, "mock",
		      "{\"rate_limit\":{\"concurrent_max_limit\":1}}", 400,
		      "at most 40 can be decided at once");
	bed_ask_well(&b, BF_ENTITY_DELETE, BF_ENTITY_MODEL_CONFIG, "m", "");
	bed_again(&b, with_budgets(16));
	assert_int_equal(b.start_err.code, 0);
	assert_int_equal(version_of(TEAM, "t"), 2);
	bed_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_file_is_in_force_at_the_start),
	    cmocka_unit_test(the_files_last_word_counts_once),
	    cmocka_unit_test(another_value_in_the_file_counts),
	    cmocka_unit_test(what_is_gone_from_the_file_goes),
	    cmocka_unit_test(a_list_of_models_goes_alone_or_with_its_provider),
	    cmocka_unit_test(what_the_api_deleted_stays_deleted),
	    cmocka_unit_test(what_comes_back_to_the_file_counts),
	    cmocka_unit_test(limits_that_stand_at_their_owner_are_part_of_it),
	    cmocka_unit_test(who_names_nobody_is_blocked_until_there_is_one),
	    cmocka_unit_test(of_two_keys_with_one_value_the_files_counts),
	    cmocka_unit_test(who_is_blocked_counts_until_it_is_changed_or_gone),
	    cmocka_unit_test(what_was_deleted_does_not_come_back_with_a_key),
	    cmocka_unit_test(what_cannot_be_read_is_told),
	    cmocka_unit_test(without_a_store_the_file_is_all),
	    cmocka_unit_test(a_file_with_too_many_limits_beside_the_apis),
	    cmocka_unit_test(a_password_that_is_not_kept_has_a_version_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
