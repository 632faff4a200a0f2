/* What clients of the management API write: new entities, changes of what there is, and every fault
 * with the member that it is about. */
#include "load_bed.h"

#include "common/schema/config_auth.h"
#include "common/schema/config_owners.h"
#include "common/schema/entity_parse.h"

struct entity_bed {
	struct load_bed file; /* providers and version */
	struct bf_arena arena;
	struct bf_entity_body body;
};

static void open_bed(struct entity_bed *b, const char *file)
{
	assert_string_equal(bed_load(&b->file, file), "");
	bf_arena_init(&b->arena, 16 << 20);
}

static void close_bed(struct entity_bed *b)
{
	bf_arena_done(&b->arena);
	bed_done(&b->file);
}

static int parse(struct entity_bed *b, const struct bf_table *table, const char *json,
		 const void *before, void *object)
{
	int r = bf_entity_parse(table, bf_slice_from(json), before, &b->arena, object, &b->body);

	return r ? r : bf_entity_complete(&b->body, &b->file.config, object);
}

static void parse_well(struct entity_bed *b, const struct bf_table *table, const char *json,
		       const void *before, void *object)
{
	int r = parse(b, table, json, before, object);
	struct bf_array parts = bf_entity_parts(&b->body);
	const struct bf_problem_part *items = parts.items;

	if (r)
		fail_msg("%s: %s", json, parts.count ? items[0].message.ptr : "?");
	assert_int_equal(parts.count, 0);
}

/* Lines of "POINTER TEXT". */
static void parse_badly(struct entity_bed *b, const struct bf_table *table, const char *json,
			const void *before, const char *lines)
{
	char object[1024], text[2048] = "";
	struct bf_array parts;
	const struct bf_problem_part *items;
	size_t at = 0;

	assert_true(table->size <= sizeof(object));
	assert_int_equal(parse(b, table, json, before, object), BF_E_SYNTAX);
	parts = bf_entity_parts(&b->body);
	items = parts.items;
	for (uint32_t i = 0; i < parts.count; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s %.*s\n",
				       BF_SLICE_FMT(items[i].pointer),
				       BF_SLICE_FMT(items[i].message));
	assert_string_equal(text, lines);
}

#define VK   (&bf_virtual_key_table)
#define TEAM (&bf_team_table)

static void a_key_is_completed_as_in_a_file(void **state)
{
	struct bf_conf_virtual_key key;
	struct entity_bed b;

	(void)state;
	open_bed(&b, "version: 1\n" MOCK);
	parse_well(&b, VK,
		   "{\"id\":\"k\",\"name\":\"ops\",\"team_id\":\"t\",\"expected_version\":7,"
		   "\"budget\":{\"max_limit\":2.5,\"reset_duration\":\"1d\"},"
		   "\"rate_limit\":{\"request_max_limit\":5,\"request_reset_duration\":\"1m\"},"
		   "\"provider_configs\":[{\"provider\":\"mock\",\"weight\":0.5,\"budgets\":[{"
		   "\"max_limit\":1,\"reset_duration\":\"1h\"}]}]}",
		   NULL, &key);
	assert_int_equal(b.body.expected_version, 7);
	assert_int_equal(key.own.budgets.count, 1);
	assert_int_equal(key.own.budget.count, 0);
	const struct bf_conf_budget *budget = key.own.budgets.items;
	assert_int_equal(budget->max_limit_nusd, INT64_C(2500000000));
	assert_int_equal(budget->id.len, 36);
	/* The rate limit stays where it is, with an id. */
	assert_int_equal(key.own.rate_limit_id.len, 0);
	assert_int_equal(key.own.rate_limit.count, 1);
	const struct bf_conf_rate_limit *rate = key.own.rate_limit.items;
	assert_int_equal(rate->id.len, 36);
	assert_int_equal(rate->request_max_limit, 5);
	const struct bf_conf_provider_config *config = key.provider_configs.items;
	assert_int_equal(config->own.id.len, 36);
	assert_true(bf_slice_is(config->own.name, "mock"));
	/* Version 1: a list that is left out means all. */
	assert_int_equal(config->allowed_models.count, 1);
	assert_false(key.allow_all_providers);
	assert_true(bf_entity_gives(&b.body, "budget"));
	assert_false(bf_entity_gives(&b.body, "budgets"));
	close_bed(&b);
}

static void the_same_key_has_the_same_ids_as_in_a_file(void **state)
{
	struct bf_conf_virtual_key key;
	struct entity_bed b;

	(void)state;
	open_bed(&b, MOCK "governance: {virtual_keys: [{id: k, name: ops, value: v, budgets: "
			  "[{max_limit: 1, reset_duration: 1d}], provider_configs: [{provider: "
			  "mock, allowed_models: '*', key_ids: '*'}]}]}\n");
	parse_well(&b, VK,
		   "{\"id\":\"k\",\"name\":\"ops\",\"budgets\":[{\"max_limit\":3,"
		   "\"reset_duration\":\"24h\"}],\"provider_configs\":[{\"provider\":\"mock\"}]}",
		   NULL, &key);
	const struct bf_conf_virtual_key *file = b.file.config.governance.virtual_keys.items;
	assert_true(bf_slice_eq(((struct bf_conf_budget *)key.own.budgets.items)->id,
				((struct bf_conf_budget *)file->own.budgets.items)->id));
	assert_true(
	    bf_slice_eq(((struct bf_conf_provider_config *)key.provider_configs.items)->own.id,
			((struct bf_conf_provider_config *)file->provider_configs.items)->own.id));
	close_bed(&b);
}

static void a_change_keeps_what_it_does_not_name(void **state)
{
	struct bf_conf_virtual_key old, key;
	struct entity_bed b;

	(void)state;
	open_bed(&b, MOCK);
	parse_well(&b, VK,
		   "{\"id\":\"k\",\"name\":\"ops\",\"description\":\"d\",\"is_active\":false,"
		   "\"team_id\":\"t\",\"expires_at\":\"2036-01-01T00:00:00Z\",\"budgets\":[{\"id\":"
		   "\"day\",\"max_limit\":1,\"reset_duration\":\"1d\"},{\"id\":\"hour\","
		   "\"max_limit\":1,\"reset_duration\":\"1h\"}],\"rate_limit\":{\"id\":\"r\","
		   "\"concurrent_max_limit\":2}}",
		   NULL, &old);
	parse_well(&b, VK, "{\"name\":\"ops 2\"}", &old, &key);
	assert_true(bf_slice_is(key.own.name, "ops 2"));
	assert_true(bf_slice_is(key.description, "d"));
	assert_false(key.is_active);
	assert_true(bf_slice_is(key.team_id, "t"));
	assert_int_equal(key.own.budgets.count, 2);
	assert_int_equal(key.own.rate_limit.count, 1);

	/* A list is given as a whole; the one of a day keeps its id, whatever it was written as. */
	parse_well(&b, VK,
		   "{\"budgets\":[{\"max_limit\":9,\"reset_duration\":\"24h\"},{\"max_limit\":8,"
		   "\"reset_duration\":\"1w\"}],\"team_id\":\"\",\"expires_at\":null,"
		   "\"rate_limit\":{\"concurrent_max_limit\":3}}",
		   &old, &key);
	const struct bf_conf_budget *budgets = key.own.budgets.items;
	assert_int_equal(key.own.budgets.count, 2);
	assert_true(bf_slice_is(budgets[0].id, "day"));
	assert_int_equal(budgets[1].id.len, 36);
	assert_int_equal(key.team_id.len, 0);
	assert_int_equal(key.expires_at_ms, 0);
	const struct bf_conf_rate_limit *rate = key.own.rate_limit.items;
	assert_true(bf_slice_is(rate->id, "r"));
	assert_int_equal(rate->concurrent_max_limit, 3);

	parse_well(&b, VK, "{\"rate_limit\":{},\"budget\":{}}", &old, &key);
	assert_int_equal(key.own.rate_limit.count, 0);
	assert_int_equal(key.own.rate_limit_id.len, 0);
	assert_int_equal(key.own.budgets.count, 0);
	parse_well(&b, VK, "{\"rate_limit_id\":\"other\",\"budgets\":[]}", &old, &key);
	assert_int_equal(key.own.rate_limit.count, 0);
	assert_true(bf_slice_is(key.own.rate_limit_id, "other"));
	assert_int_equal(key.own.budgets.count, 0);
	close_bed(&b);
}

static void what_answers_show_may_come_back(void **state)
{
	struct bf_conf_team old, team;
	struct entity_bed b;

	(void)state;
	open_bed(&b, MOCK);
	parse_well(&b, TEAM, "{\"id\":\"t\",\"name\":\"blue\"}", NULL, &old);
	parse_well(&b, TEAM,
		   "{\"id\":\"t\",\"name\":\"red\",\"version\":3,\"created_at\":\"x\","
		   "\"updated_at\":\"y\",\"customer_id\":null,\"budgets\":[{\"max_limit\":1,"
		   "\"reset_duration\":\"1d\",\"current_usage\":0.5,\"held\":1,"
		   "\"window_end\":\"z\"}]}",
		   &old, &team);
	assert_true(bf_slice_is(team.own.name, "red"));
	assert_int_equal(b.body.expected_version, 0);
	close_bed(&b);
}

/* Without a version in the file, a key of which nothing is said may use all; no change opens one.
 */
static void what_was_closed_stays_closed(void **state)
{
	struct bf_conf_virtual_key open, shut, key;
	struct entity_bed b;

	(void)state;
	open_bed(&b, MOCK);
	parse_well(&b, VK, "{\"id\":\"k\",\"name\":\"a\"}", NULL, &open);
	assert_true(open.allow_all_providers);
	parse_well(&b, VK, "{\"name\":\"b\"}", &open, &key);
	assert_true(key.allow_all_providers);
	parse_well(&b, VK, "{\"provider_configs\":[{\"provider\":\"mock\"}]}", &open, &key);
	assert_false(key.allow_all_providers);
	parse_well(&b, VK,
		   "{\"provider_configs\":[{\"provider\":\"mock\"}],\"allow_all_providers\":true}",
		   &open, &key);
	assert_true(key.allow_all_providers);

	parse_well(&b, VK, "{\"id\":\"k\",\"name\":\"a\",\"allow_all_providers\":false}", NULL,
		   &shut);
	assert_false(shut.allow_all_providers);
	parse_well(&b, VK, "{\"name\":\"b\"}", &shut, &key);
	assert_false(key.allow_all_providers);
	parse_well(&b, VK,
		   "{\"id\":\"k\",\"name\":\"a\",\"provider_configs\":[{\"provider\":\"mock\"}]}",
		   NULL, &shut);
	parse_well(&b, VK, "{\"provider_configs\":[]}", &shut, &key);
	assert_int_equal(key.provider_configs.count, 0);
	assert_false(key.allow_all_providers);
	close_bed(&b);
	open_bed(&b, "version: 2\n" MOCK);
	parse_well(&b, VK, "{\"id\":\"k\",\"name\":\"a\"}", NULL, &key);
	assert_false(key.allow_all_providers);
	close_bed(&b);
}

/* What the gateway made of an owner's id is known again; what somebody chose is not. */
static void made_ids_are_known(void **state)
{
	struct bf_slice key = BF_SLICE_LIT("k"), other = BF_SLICE_LIT("x");
	struct bf_conf_virtual_key object;
	struct entity_bed b;

	(void)state;
	open_bed(&b, MOCK);
	parse_well(&b, VK,
		   "{\"id\":\"k\",\"name\":\"a\",\"rate_limit\":{\"concurrent_max_limit\":1},"
		   "\"provider_configs\":[{\"provider\":\"mock\"}]}",
		   NULL, &object);
	const struct bf_conf_rate_limit *rate = object.own.rate_limit.items;
	const struct bf_conf_provider_config *config = object.provider_configs.items;
	struct bf_slice mock = config->provider;
	assert_true(bf_rate_limit_is_own(BF_OWNER_VIRTUAL_KEY, key, rate->id, &b.arena));
	assert_false(bf_rate_limit_is_own(BF_OWNER_VIRTUAL_KEY, other, rate->id, &b.arena));
	assert_false(bf_rate_limit_is_own(BF_OWNER_TEAM, key, rate->id, &b.arena));
	assert_false(bf_rate_limit_is_own(BF_OWNER_VIRTUAL_KEY, key, other, &b.arena));
	assert_true(bf_provider_config_is_own(key, mock, config->own.id, &b.arena));
	assert_false(bf_provider_config_is_own(other, mock, config->own.id, &b.arena));
	assert_false(bf_provider_config_is_own(key, mock, other, &b.arena));
	close_bed(&b);
}

static void every_fault_names_its_member(void **state)
{
	struct entity_bed b;

	(void)state;
	open_bed(&b, MOCK);
	parse_badly(&b, TEAM, "{\"id\":\"t\"}", NULL, " \"name\" is missing: add it\n");
	parse_badly(&b, TEAM, "[]", NULL, " must be a JSON object\n");
	parse_badly(&b, TEAM, "", NULL, " not JSON: 1:1: the text ends where a value should be\n");
	parse_badly(
	    &b, TEAM,
	    "{\"name\":\"a\",\"customerid\":\"c\",\"budgets\":[{\"max_limit\":-1,"
	    "\"reset_duration\":\"soon\"}]}",
	    NULL,
	    "/customerid unknown key \"customerid\": did you mean \"customer_id\"?\n"
	    "/budgets/0/max_limit budgets[0].max_limit: must be from 0 to 2000000000, not \"-1\"\n"
	    "/budgets/0/reset_duration budgets[0].reset_duration: must be a duration such as "
	    "30s, 1h or 1d, with d, w, M, Q and Y for days, weeks, months, quarters and "
	    "years, or daily, weekly, monthly, yearly, not \"soon\"\n");
	parse_badly(
	    &b, VK, "{\"name\":\"a\",\"team_id\":\"t\",\"customer_id\":\"c\"}", NULL,
	    " has team_id and customer_id: keep one of them; the customer of its team counts "
	    "anyway\n");
	parse_badly(
	    &b, VK, "{\"name\":\"a\",\"value\":\"env.KEY\"}", NULL,
	    "/value value: env.NAME and file.PATH are for the configuration file: write the "
	    "value itself\n");
	parse_badly(&b, TEAM, "{\"id\":\"t\",\"name\":\"a\",\"claims\":{\"x\":1}}", NULL,
		    "/claims claims: is not part of this build: remove it\n");
	parse_badly(&b, TEAM, "{\"name\":\"a\",\"name\":\"b\"}", NULL,
		    "/name duplicate key \"name\": it stands in line 1 already; remove one\n");
	parse_badly(&b, TEAM, "{\"name\":\"a\",\"expected_version\":\"1\"}", NULL,
		    " expected_version: must be a whole number: the version that was read\n");
	close_bed(&b);
}

/* A name that says nothing is none; neither is a key of the API that can be guessed. */
static void what_is_empty_is_not_given(void **state)
{
	struct bf_conf_virtual_key before;
	struct entity_bed b;

	(void)state;
	open_bed(&b, "providers: {mock: {}}\n");
	parse_badly(&b, VK, "{\"name\":\"\"}", NULL, "/name name: is empty: give it a text\n");
	parse_badly(&b, VK, "{\"name\":\"  \"}", NULL, "/name name: is empty: give it a text\n");
	/* Nor is an id that no client could put into a path. */
	parse_badly(&b, TEAM, "{\"name\":\"a\",\"id\":\"..\"}", NULL,
		    "/id id: could not be asked for by its path: give another one\n");
	parse_badly(&b, VK, "{\"name\":\"a\",\"id\":\"quota\"}", NULL,
		    "/id id: could not be asked for by its path: give another one\n");
	parse_well(&b, VK, "{\"name\":\"a\",\"id\":\"a/..\"}", NULL, &before);
	parse_badly(&b, VK, "{\"name\":\" \"}", &before, "/name name: is empty: give it a text\n");
	parse_badly(
	    &b, &bf_api_key_table, "{\"name\":\"a\",\"value\":\"short\"}", NULL,
	    "/value value: has 5 bytes: give it at least 20, or leave it out: then one is made\n");
	parse_badly(&b, &bf_api_key_table,
		    "{\"name\":\"a\",\"value\":\"bfs_0123456789abcdef0123\"}", NULL,
		    "/value value: begins as tokens of sessions do: give another one\n");
	close_bed(&b);
}

static void faults_of_the_whole_are_the_loaders(void **state)
{
	struct bf_conf_team old;
	struct entity_bed b;

	(void)state;
	open_bed(&b, MOCK);
	parse_badly(
	    &b, VK,
	    "{\"id\":\"k\",\"name\":\"a\",\"provider_configs\":[{\"provider\":\"mock\"},{"
	    "\"provider\":\"muck\"}]}",
	    NULL,
	    "/provider_configs/1/provider provider_configs[1].provider: no provider has the "
	    "name \"muck\": did you mean \"mock\"?\n");
	parse_badly(&b, TEAM,
		    "{\"id\":\"t\",\"name\":\"a\",\"budgets\":[{\"max_limit\":1,\"reset_duration\":"
		    "\"1d\"},{\"max_limit\":2,\"reset_duration\":\"24h\"}]}",
		    NULL,
		    "/budgets/1/reset_duration budgets: \"24h\" is the window of another budget of "
		    "this team too: keep the lower one\n");
	parse_well(&b, TEAM, "{\"id\":\"t\",\"name\":\"a\"}", NULL, &old);
	parse_badly(
	    &b, TEAM, "{\"name\":null}", &old,
	    "/name name: is required and cannot be removed: give another value, or leave it "
	    "out\n");
	parse_badly(
	    &b, TEAM, "{\"rate_limit\":{\"request_max_limit\":1}}", &old,
	    "/rate_limit rate_limit: request_max_limit needs request_reset_duration: add it, "
	    "such as 1h\n");
	close_bed(&b);
}

static void a_caller_may_find_faults_too(void **state)
{
	struct bf_conf_virtual_key key;
	struct entity_bed b;
	struct bf_array parts;
	const struct bf_problem_part *items;

	(void)state;
	open_bed(&b, MOCK);
	parse_well(&b, VK,
		   "{\"id\":\"k\",\"name\":\"a\",\"team_id\":\"t\",\"provider_configs\":[{"
		   "\"provider\":\"mock\",\"rate_limit_id\":\"x\"}]}",
		   NULL, &key);
	bf_entity_blame(&b.body, "team_id", "no team has the id \"t\"");
	bf_entity_blame(&b.body, "provider_configs[0].rate_limit_id", "is wrong");
	bf_entity_blame(&b.body, "provider_configs[0].budgets[2].id", "is wrong too");
	bf_entity_blame(&b.body, NULL, "all of it");
	parts = bf_entity_parts(&b.body);
	items = parts.items;
	assert_int_equal(parts.count, 4);
	assert_string_equal(items[0].pointer.ptr, "");
	assert_string_equal(items[0].message.ptr, "all of it");
	assert_string_equal(items[1].pointer.ptr, "/team_id");
	assert_string_equal(items[1].message.ptr, "team_id: no team has the id \"t\"");
	assert_string_equal(items[2].pointer.ptr, "/provider_configs/0");
	assert_string_equal(items[3].pointer.ptr, "/provider_configs/0/rate_limit_id");
	close_bed(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_key_is_completed_as_in_a_file),
	    cmocka_unit_test(the_same_key_has_the_same_ids_as_in_a_file),
	    cmocka_unit_test(a_change_keeps_what_it_does_not_name),
	    cmocka_unit_test(what_answers_show_may_come_back),
	    cmocka_unit_test(what_was_closed_stays_closed),
	    cmocka_unit_test(made_ids_are_known),
	    cmocka_unit_test(every_fault_names_its_member),
	    cmocka_unit_test(what_is_empty_is_not_given),
	    cmocka_unit_test(faults_of_the_whole_are_the_loaders),
	    cmocka_unit_test(a_caller_may_find_faults_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
