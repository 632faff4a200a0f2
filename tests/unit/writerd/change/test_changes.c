/* Changes as workers send them: what is in force afterwards, what is refused and why, what a new
 * process finds; groups, stores that fail, flips that are refused. */
#include "tests/unit/writerd/entities_bed.h"

#include "shm/health.h"

#define VK       BF_ENTITY_VIRTUAL_KEY
#define TEAM     BF_ENTITY_TEAM
#define CUSTOMER BF_ENTITY_CUSTOMER
#define MODEL    BF_ENTITY_MODEL_CONFIG
#define CREATE   BF_ENTITY_CREATE
#define UPDATE   BF_ENTITY_UPDATE
#define DELETE   BF_ENTITY_DELETE
#define ROTATE   BF_ENTITY_ROTATE

#define PLAIN  "providers: {mock: {}}\n"
#define SEALED "encryption_key: 0123456789abcdef\n" PLAIN

static struct bed b;

static void a_key_lives_and_dies(void **state)
{
	char value[256], next[256];

	(void)state;
	bed_open(&b, PLAIN);
	assert_int_equal(b.bases, 1);
	bed_ask_well(&b, CREATE, VK, "", "{\"name\":\"ops\",\"id\":\"k\"}");
	assert_int_equal(b.status, 201);
	assert_int_equal(b.version, 1);
	(void)snprintf(value, sizeof(value), "%s", bed_member(&b, "value"));
	assert_int_equal(strlen(value), 6 + 36);
	assert_memory_equal(value, "sk-bf-", 6);
	assert_string_equal(bed_holder(&b, VK, value), "k");

	bed_ask_well(&b, ROTATE, VK, "k", "");
	assert_int_equal(b.status, 200);
	assert_int_equal(b.version, 2);
	(void)snprintf(next, sizeof(next), "%s", bed_member(&b, "value"));
	assert_string_not_equal(value, next);
	assert_string_equal(bed_holder(&b, VK, next), "k");
	assert_string_equal(bed_holder(&b, VK, value), "");

	bed_ask_well(&b, UPDATE, VK, "k", "{\"is_active\":false}");
	assert_int_equal(b.version, 3);
	assert_string_equal(bed_member(&b, "value"), "");
	assert_string_equal(bed_holder(&b, VK, next), "k");

	bed_ask_well(&b, DELETE, VK, "k", "");
	assert_string_equal(bed_holder(&b, VK, next), "");
	assert_false(bed_finds(&b, VK, "k", NULL));
	bed_ask_badly(&b, UPDATE, VK, "k", "{}", 404, "there is no virtual key with the id");
	/* Of the same id again: versions go on. */
	bed_ask_well(&b, CREATE, VK, "k", "{\"name\":\"ops\"}");
	assert_int_equal(b.version, 5);
	bed_close(&b);
}

static void a_value_of_ones_own_is_kept_as_a_hash(void **state)
{
	static char file[1 << 20];
	size_t len;
	FILE *f;

	(void)state;
	bed_open(&b, PLAIN);
	bed_ask_well(&b, CREATE, VK, "k", "{\"name\":\"a\",\"value\":\"a-legacy-value-of-mine\"}");
	assert_string_equal(bed_member(&b, "value_hint"), "\xe2\x80\xa6mine");
	assert_string_equal(bed_holder(&b, VK, "a-legacy-value-of-mine"), "k");
	bed_ask_badly(&b, CREATE, VK, "k2", "{\"name\":\"b\",\"value\":\"a-legacy-value-of-mine\"}",
		      409, "another one has this value");
	assert_null(strstr(b.json, "legacy"));
	bed_stop(&b);
	f = fopen(b.path, "rb");
	assert_non_null(f);
	len = fread(file, 1, sizeof(file), f);
	(void)fclose(f);
	assert_null(memmem(file, len, "legacy", 6));
	bed_start(&b);
	assert_string_equal(bed_holder(&b, VK, "a-legacy-value-of-mine"), "k");
	bed_close(&b);
}

static void versions_must_fit(void **state)
{
	struct bf_msg_entity_change ask;

	(void)state;
	bed_open(&b, PLAIN);
	bed_ask_well(&b, CREATE, TEAM, "t", "{\"name\":\"a\"}");
	bed_ask_badly(&b, UPDATE, TEAM, "t", "{\"name\":\"b\",\"expected_version\":2}", 409,
		      "\"version\":1");
	ask = bed_change(UPDATE, TEAM, "t", "{\"name\":\"b\"}");
	ask.expected_version = 1;
	bed_send(&b, &ask);
	bed_settle(&b);
	assert_int_equal(b.status, 200);
	bed_send(&b, &ask);
	bed_settle(&b);
	assert_int_equal(b.status, 409);
	ask = bed_change(DELETE, TEAM, "t", "");
	ask.expected_version = 1;
	bed_send(&b, &ask);
	bed_settle(&b);
	assert_int_equal(b.status, 409);
	assert_true(bed_finds(&b, TEAM, "t", NULL));
	bed_close(&b);
}

static void what_does_not_fit_to_others_is_refused(void **state)
{
	(void)state;
	bed_open(&b, PLAIN);
	bed_ask_well(&b, CREATE, CUSTOMER, "acme", "{\"name\":\"Acme\"}");
	bed_ask_well(&b, CREATE, TEAM, "blue", "{\"name\":\"Blue\",\"customer_id\":\"acme\"}");
	bed_ask_well(&b, CREATE, VK, "k", "{\"name\":\"ops\",\"team_id\":\"blue\"}");
	bed_ask_badly(&b, CREATE, VK, "k", "{\"name\":\"x\"}", 409, "already_exists");
	bed_ask_badly(&b, CREATE, VK, "k2", "{\"name\":\"ops\"}", 409,
		      "\\\"ops\\\" is the name of another virtual key, with the id \\\"k\\\"");
	bed_ask_badly(&b, CREATE, VK, "k2", "{\"name\":\"x\",\"team_id\":\"bleu\"}", 400,
		      "no team has the id \\\"bleu\\\": did you mean \\\"blue\\\"?");
	bed_ask_badly(&b, UPDATE, VK, "k", "{\"team_id\":\"\",\"customer_id\":\"Acme\"}", 400,
		      "one has the name: its id is \\\"acme\\\"");
	bed_ask_badly(&b, CREATE, VK, "k2",
		      "{\"name\":\"x\",\"provider_configs\":[{\"provider\":\"mock\","
		      "\"rate_limit_id\":\"r\"}]}",
		      400, "\"pointer\":\"/provider_configs/0/rate_limit_id\"");
	bed_ask_badly(&b, CREATE, VK, "k2", "{\"name\":\"x\",\"id\":\"k3\"}", 400,
		      "id: is another one than that of the path");
	bed_ask_badly(
	    &b, CREATE, VK, "k2",
	    "{\"name\":\"x\",\"provider_configs\":[{\"provider\":\"mock\",\"id\":\"mine\"}"
	    "]}",
	    400, "provider_configs[0].id: is made by the gateway");
	bed_ask_badly(
	    &b, CREATE, VK, "k2",
	    "{\"name\":\"x\",\"rate_limit\":{\"id\":\"mine\",\"concurrent_max_limit\":1}}", 400,
	    "rate_limit: its id is made by the gateway");
	bed_ask_badly(&b, DELETE, CUSTOMER, "acme", "", 409, "it is named by team \\\"blue\\\"");
	bed_ask_badly(&b, DELETE, TEAM, "blue", "", 409, "it is named by virtual key \\\"k\\\"");
	bed_ask_well(&b, UPDATE, VK, "k", "{\"team_id\":null}");
	bed_ask_well(&b, DELETE, TEAM, "blue", "");
	bed_ask_well(&b, DELETE, CUSTOMER, "acme", "");
	/* Nothing that was refused left a trace. */
	assert_int_equal(entities_count(b.r.t, VK), 1);
	bed_close(&b);
}

static void models_are_one_for_each_target(void **state)
{
	(void)state;
	bed_open(&b, PLAIN);
	bed_ask_well(&b, CREATE, VK, "k", "{\"name\":\"ops\"}");
	bed_ask_well(&b, CREATE, MODEL, "", "{\"model_name\":\"gpt\",\"provider\":\"mock\"}");
	bed_ask_badly(&b, CREATE, MODEL, "other", "{\"model_name\":\"gpt\",\"provider\":\"mock\"}",
		      409, "about this model, provider and scope");
	bed_ask_well(&b, CREATE, MODEL, "mine",
		     "{\"model_name\":\"gpt\",\"provider\":\"mock\",\"scope\":\"virtual_key\","
		     "\"scope_id\":\"k\"}");
	bed_ask_badly(&b, DELETE, VK, "k", "", 409, "model config \\\"mine\\\"");
	bed_ask_badly(&b, CREATE, MODEL, "", "{\"model_name\":\"m\",\"provider\":\"muck\"}", 400,
		      "did you mean \\\"mock\\\"?");
	bed_close(&b);
}

static void nobody_meets_more_limits_than_can_be_decided(void **state)
{
	char json[4096];
	size_t at;

	(void)state;
	bed_open(&b, PLAIN);
	at = (size_t)snprintf(json, sizeof(json), "{\"name\":\"big\",\"budgets\":[");
	for (int i = 1; i <= 30; i++)
		at += (size_t)snprintf(json + at, sizeof(json) - at,
				       "%s{\"max_limit\":1,\"reset_duration\":\"%dh\"}",
				       i > 1 ? "," : "", i);
	(void)snprintf(json + at, sizeof(json) - at, "]}");
	bed_ask_well(&b, CREATE, TEAM, "t", json);
	bed_ask_well(&b, CREATE, CUSTOMER, "c", json);
	bed_ask_well(&b, CREATE, VK, "k", "{\"name\":\"a\",\"team_id\":\"t\"}");
	bed_ask_badly(&b, UPDATE, TEAM, "t", "{\"customer_id\":\"c\"}", 400,
		      "a request might meet 60 limits");
	bed_ask_badly(&b, UPDATE, VK, "k", json, 400, "at most 40 can be decided at once");
	bed_ask_badly(&b, UPDATE, BF_ENTITY_PROVIDER_LIMITS, "mock",
		      "{\"budgets\":[{\"max_limit\":1,\"reset_duration\":\"1h\"},{\"max_limit\":1,"
		      "\"reset_duration\":\"2h\"},{\"max_limit\":1,\"reset_duration\":\"3h\"}],"
		      "\"rate_limit\":{\"request_max_limit\":1,\"request_reset_duration\":\"1h\","
		      "\"token_max_limit\":1,\"token_reset_duration\":\"1h\","
		      "\"concurrent_max_limit\":1},\"budget\":{\"max_limit\":1,\"reset_duration\":"
		      "\"1d\"}}",
		      400, "\"type\":\"too_many_limits\"");
	bed_close(&b);
}

/* Two models with many limits each: no request is to both, and the bound adds them up. */
static void of_one_key_the_longest_path_is_found(void **state)
{
	char budgets[2048], json[4096];
	size_t at = 0;

	(void)state;
	for (int i = 1; i <= 15; i++)
		at += (size_t)snprintf(budgets + at, sizeof(budgets) - at,
				       "%s{\"max_limit\":1,\"reset_duration\":\"%dh\"}",
				       i > 1 ? "," : "", i);
	bed_open(&b, PLAIN);
	bed_ask_well(&b, CREATE, VK, "k", "{\"name\":\"a\"}");
	(void)snprintf(json, sizeof(json),
		       "{\"model_name\":\"one\",\"provider\":\"mock\",\"budgets\":[%s]}", budgets);
	bed_ask_well(&b, CREATE, MODEL, "", json);
	(void)snprintf(json, sizeof(json), "{\"model_name\":\"two\",\"budgets\":[%s]}", budgets);
	bed_ask_well(&b, CREATE, MODEL, "", json);
	/* 15 and 15 by the bound, with 15 of its own: 30 on any path. */
	(void)snprintf(json, sizeof(json), "{\"budgets\":[%s]}", budgets);
	bed_ask_well(&b, UPDATE, VK, "k", json);
	/* With its own model "one" it is 45 there. */
	(void)snprintf(json, sizeof(json),
		       "{\"model_name\":\"one\",\"scope\":\"virtual_key\",\"scope_id\":\"k\","
		       "\"budgets\":[%s]}",
		       budgets);
	bed_ask_badly(&b, CREATE, MODEL, "", json, 400, "meets 45 limits");
	bed_close(&b);
}

static void without_a_store_or_a_key_some_things_cannot_be(void **state)
{
	(void)state;
	bed_open(&b, "config_store: {enabled: false}\n" PLAIN);
	bed_ask_badly(&b, CREATE, TEAM, "t", "{\"name\":\"a\"}", 409, "config_store is off");
	bed_close(&b);
	bed_open(&b, PLAIN);
	bed_ask_badly(&b, UPDATE, BF_ENTITY_AUTH_CONFIG, "",
		      "{\"is_enabled\":true,\"admin_username\":\"a\",\"admin_password\":"
		      "\"12345678\"}",
		      409, "set encryption_key");
	bed_ask_badly(&b, UPDATE, BF_ENTITY_PROVIDER, "mock", "{}", 409, "set encryption_key");
	bed_ask_badly(&b, UPDATE, BF_ENTITY_PRICING, "m", "{}", 501, "not_built");
	bed_close(&b);
}

static void secrets_are_sealed_on_the_disk(void **state)
{
	static char file[1 << 20];
	struct bf_entity e;
	size_t len;
	FILE *f;

	(void)state;
	bed_open(&b, SEALED);
	bed_ask_well(&b, UPDATE, BF_ENTITY_AUTH_CONFIG, "",
		     "{\"is_enabled\":true,\"admin_username\":\"ada\",\"admin_password\":"
		     "\"enigma-enigma\"}");
	assert_null(strstr(b.json, "enigma"));
	bed_stop(&b);
	f = fopen(b.path, "rb");
	len = fread(file, 1, sizeof(file), f);
	(void)fclose(f);
	assert_null(memmem(file, len, "enigma", 6));
	bed_start(&b);
	assert_true(bed_finds(&b, BF_ENTITY_AUTH_CONFIG, "auth", &e));
	assert_non_null(memmem(e.body.ptr, e.body.len, "enigma-enigma", 13));
	/* With another key nothing is in force that was not, and nothing can be changed. */
	bed_again(&b, "encryption_key: another-key-of-16\n" PLAIN);
	bed_ask_badly(&b, CREATE, TEAM, "t", "{\"name\":\"a\"}", 503,
		      "give the encryption_key with which it was written");
	bed_again(&b, PLAIN);
	bed_ask_badly(&b, CREATE, TEAM, "t", "{\"name\":\"a\"}", 503, "is sealed");
	bed_again(&b, SEALED);
	bed_ask_well(&b, CREATE, TEAM, "t", "{\"name\":\"a\"}");
	bed_close(&b);
}

static void those_that_wait_become_one_group(void **state)
{
	const struct bf_msg_entity_change first =
	    bed_change(CREATE, TEAM, "t0", "{\"name\":\"0\"}");
	uint32_t overlays;
	char id[8], json[64];

	(void)state;
	bed_open(&b, PLAIN);
	overlays = b.overlays;
	bed_send(&b, &first);
	for (int i = 1; i < 40; i++) {
		(void)snprintf(id, sizeof(id), "t%d", i);
		(void)snprintf(json, sizeof(json), "{\"name\":\"%d\"}", i);
		const struct bf_msg_entity_change ask = bed_change(CREATE, TEAM, id, json);
		bed_send(&b, &ask);
	}
	/* One that contradicts another of its group. */
	const struct bf_msg_entity_change again =
	    bed_change(CREATE, TEAM, "t9", "{\"name\":\"x\"}");
	bed_send(&b, &again);
	bed_settle(&b);
	assert_int_equal(b.answers, 41);
	assert_int_equal(b.overlays, overlays + 2);
	assert_int_equal(entities_count(b.r.t, TEAM), 40);
	for (int i = 0; i < 40; i++) {
		(void)snprintf(id, sizeof(id), "t%d", i);
		assert_true(bed_finds(&b, TEAM, id, NULL));
	}
	bed_close(&b);
}

static void too_many_that_wait_are_told(void **state)
{
	static uint8_t buf[BF_FRAME_MAX];
	const struct bf_msg_entity_change ask = bed_change(DELETE, TEAM, "t", "");
	struct bf_frame f;
	bool told = false;

	(void)state;
	bed_open(&b, PLAIN);
	b.mood = BED_SILENT;
	const struct bf_msg_entity_change first = bed_change(CREATE, TEAM, "x", "{\"name\":\"x\"}");
	bed_send(&b, &first);
	for (unsigned i = 0; i <= CHANGES_WAITING_MAX; i++)
		bed_send(&b, &ask);
	while (!told && bf_frame_recv_blocking(b.supervisor, buf, 0, &f, NULL) == 0) {
		told = f.type == BF_MSG_ERROR;
		if (f.fd >= 0)
			(void)close(f.fd);
	}
	assert_true(told);
	assert_int_equal(b.changes.waiting_count, CHANGES_WAITING_MAX);
	changes_cancel(&b.changes, BF_ENDPOINT(BF_ROLE_PROXYD, 0), 2);
	assert_int_equal(b.changes.waiting_count, CHANGES_WAITING_MAX - 1);
	bed_close(&b);
}

/* It is stored; who asked is told the truth; the next flip has it. */
static void a_refused_flip_is_told_and_tried_again(void **state)
{
	(void)state;
	bed_open(&b, PLAIN);
	b.mood = BED_REFUSES;
	bed_ask_badly(&b, CREATE, TEAM, "t", "{\"name\":\"a\"}", 503, "not_in_force");
	assert_false(bed_finds(&b, TEAM, "t", NULL));
	b.mood = BED_TAKES;
	bed_ask_well(&b, CREATE, TEAM, "u", "{\"name\":\"b\"}");
	assert_true(bed_finds(&b, TEAM, "t", NULL));
	assert_true(bed_finds(&b, TEAM, "u", NULL));
	bed_close(&b);
}

/* Not a second later: who hears that all are ready finds a node in health. */
static void health_is_good_as_soon_as_it_is_in_force(void **state)
{
	const uint64_t bit = UINT64_C(1) << SHM_H_NOT_IN_FORCE;

	(void)state;
	bed_open(&b, PLAIN);
	bed_stop(&b);
	b.mood = BED_SILENT;
	bed_start(&b);
	registry_second(&b.r);
	assert_int_equal(shm_health_all(&b.c.seg) & bit, bit);
	publish_answered(&b.r.publish, b.r.publish.request, true);
	assert_int_equal(shm_health_all(&b.c.seg) & bit, 0);
	bed_close(&b);
}

static void a_store_that_fails_changes_nothing(void **state)
{
	sqlite3 *other = NULL;

	(void)state;
	bed_open(&b, PLAIN);
	bed_ask_well(&b, CREATE, TEAM, "t", "{\"name\":\"a\"}");
	assert_int_equal(sqlite3_open(b.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	bed_ask_badly(&b, UPDATE, TEAM, "t", "{\"name\":\"b\"}", 503, "config_store_failing");
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other,
				      "CREATE TRIGGER no BEFORE UPDATE ON entities BEGIN SELECT "
				      "RAISE(ABORT, 'no'); END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	bed_ask_badly(&b, UPDATE, TEAM, "t", "{\"name\":\"b\"}", 503, "config_store_failing");
	assert_int_equal(sqlite3_exec(other, "DROP TRIGGER no", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(other);
	assert_non_null(entities_named(b.r.t, TEAM, BF_SLICE_LIT("a")));
	assert_int_equal(entities_find(b.r.t, TEAM, BF_SLICE_LIT("t"))->e.version, 1);
	bed_ask_well(&b, UPDATE, TEAM, "t", "{\"name\":\"b\"}");
	bed_close(&b);
}

/* A writerd that dies anywhere: what its store has is in force afterwards, no more and no less. */
static void the_stores_truth_is_in_force_after_a_death(void **state)
{
	const struct bf_msg_entity_change ask = bed_change(CREATE, TEAM, "t", "{\"name\":\"a\"}");

	(void)state;
	bed_open(&b, PLAIN);
	/* Between commit and flip: nobody was answered. */
	b.mood = BED_SILENT;
	bed_send(&b, &ask);
	bed_settle(&b);
	assert_int_equal(b.answers, 0);
	assert_false(bed_finds(&b, TEAM, "t", NULL));
	bed_stop(&b);
	b.mood = BED_TAKES;
	bed_start(&b);
	assert_true(bed_finds(&b, TEAM, "t", NULL));
	/* Who got no answer asks again, and learns that it is done. */
	bed_ask_badly(&b, CREATE, TEAM, "t", "{\"name\":\"a\"}", 409, "already_exists");
	/* Before the commit: it never was. */
	struct bf_err err = {0};
	assert_int_equal(registry_begin(&b.r, &err), 0);
	struct change_answer answer;
	struct bf_arena arena;
	bf_arena_init_nodump(&arena, CHANGE_ARENA_BYTES);
	const struct bf_msg_entity_change lost = bed_change(CREATE, TEAM, "u", "{\"name\":\"b\"}");
	change_apply(&b.r, &lost, &arena, &answer);
	assert_true(answer.changed);
	bf_buf_done(&answer.json);
	bf_arena_done(&arena);
	bed_stop(&b);
	bed_start(&b);
	assert_false(bed_finds(&b, TEAM, "u", NULL));
	assert_true(bed_finds(&b, TEAM, "t", NULL));
	bed_close(&b);
}

static void a_large_overlay_becomes_a_new_base(void **state)
{
	char id[16], json[64];
	uint32_t bases;

	(void)state;
	bed_open(&b, PLAIN);
	bases = b.bases;
	for (unsigned i = 0; i < PUBLISH_OVERLAY_MAX_RECORDS + 100; i++) {
		(void)snprintf(id, sizeof(id), "t%u", i);
		(void)snprintf(json, sizeof(json), "{\"name\":\"%u\"}", i);
		const struct bf_msg_entity_change ask = bed_change(CREATE, TEAM, id, json);
		bed_send(&b, &ask);
		if (i % 50 == 49)
			bed_settle(&b);
	}
	bed_settle(&b);
	assert_int_equal(b.bases, bases + 1);
	assert_true(publish_overlay_records(&b.r.publish) < 200);
	const struct bf_snapshot s = bed_now(&b);
	assert_int_equal(bf_snapshot_live(&s, TEAM), PUBLISH_OVERLAY_MAX_RECORDS + 100);
	bed_ask_well(&b, DELETE, TEAM, "t5", "");
	assert_false(bed_finds(&b, TEAM, "t5", NULL));
	bed_close(&b);
}

static void keys_of_the_api_and_ended_sessions(void **state)
{
	char value[256];

	(void)state;
	bed_open(&b, PLAIN);
	bed_ask_well(&b, CREATE, BF_ENTITY_API_KEY, "", "{\"name\":\"ci\"}");
	(void)snprintf(value, sizeof(value), "%s", bed_member(&b, "value"));
	assert_int_equal(strlen(value), 7 + 64);
	assert_string_not_equal(bed_holder(&b, BF_ENTITY_API_KEY, value), "");
	assert_string_equal(bed_holder(&b, VK, value), "");
	bed_ask_well(&b, CREATE, BF_ENTITY_SESSION_END, "s",
		     "{\"id\":\"s\",\"expires_at\":\"2036-01-01T00:00:00Z\"}");
	assert_true(bed_finds(&b, BF_ENTITY_SESSION_END, "s", NULL));
	bed_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_key_lives_and_dies),
	    cmocka_unit_test(a_value_of_ones_own_is_kept_as_a_hash),
	    cmocka_unit_test(versions_must_fit),
	    cmocka_unit_test(what_does_not_fit_to_others_is_refused),
	    cmocka_unit_test(models_are_one_for_each_target),
	    cmocka_unit_test(nobody_meets_more_limits_than_can_be_decided),
	    cmocka_unit_test(of_one_key_the_longest_path_is_found),
	    cmocka_unit_test(without_a_store_or_a_key_some_things_cannot_be),
	    cmocka_unit_test(secrets_are_sealed_on_the_disk),
	    cmocka_unit_test(those_that_wait_become_one_group),
	    cmocka_unit_test(too_many_that_wait_are_told),
	    cmocka_unit_test(a_refused_flip_is_told_and_tried_again),
	    cmocka_unit_test(health_is_good_as_soon_as_it_is_in_force),
	    cmocka_unit_test(a_store_that_fails_changes_nothing),
	    cmocka_unit_test(the_stores_truth_is_in_force_after_a_death),
	    cmocka_unit_test(a_large_overlay_becomes_a_new_base),
	    cmocka_unit_test(keys_of_the_api_and_ended_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
