/* Providers and their keys as workers ask for them: what is kept of secrets, whose names are taken,
 * who may not go. */
#include "tests/unit/writerd/entities_bed.h"

#define PROVIDER BF_ENTITY_PROVIDER
#define CREATE   BF_ENTITY_CREATE
#define UPDATE   BF_ENTITY_UPDATE
#define DELETE   BF_ENTITY_DELETE

#define SEALED "encryption_key: 0123456789abcdef\nproviders: {mock: {}}\n"
#define LIVE                                                                                \
	"{\"provider\":\"live\",\"keys\":[{\"name\":\"a\",\"value\":\"sk-secret-first\"}]," \
	"\"network_config\":{\"base_url\":\"https://h.test\",\"extra_headers\":{\"x-org\":" \
	"\"org-of-ours\"}}}"

static struct bed b;
static struct bf_arena arena;

/* As it is in force. */
static const struct bf_conf_provider *provider(const char *name)
{
	struct bf_conf_provider *p;
	struct bf_entity e;

	assert_true(bed_finds(&b, PROVIDER, name, &e));
	bf_arena_reset(&arena);
	p = bf_arena_alloc(&arena, sizeof(*p));
	assert_non_null(p);
	assert_int_equal(bf_entity_decode(&e, p, &arena, NULL), 0);
	return p;
}

static const struct bf_conf_provider_key *key(const char *name, uint32_t i)
{
	const struct bf_conf_provider *p = provider(name);

	assert_true(i < p->keys.count);
	return (const struct bf_conf_provider_key *)p->keys.items + i;
}

/* Of the key `id` (NULL: a new one) of a provider. */
static unsigned ask_key(enum bf_entity_action action, const char *name, const char *id,
			const char *json)
{
	struct bf_msg_entity_change ask = bed_change(action, PROVIDER, name, json);

	ask.is_sub = true;
	ask.sub_id = bf_slice_from(id ? id : "");
	bed_send(&b, &ask);
	bed_settle(&b);
	return (unsigned)b.status;
}

static int open_bed(void **state)
{
	(void)state;
	bf_arena_init(&arena, 16 << 20);
	bed_open(&b, SEALED);
	bed_ask_well(&b, CREATE, PROVIDER, "", LIVE);
	return 0;
}

static int close_bed(void **state)
{
	(void)state;
	bed_close(&b);
	bf_arena_done(&arena);
	return 0;
}

static void secrets_are_kept_and_not_shown(void **state)
{
	(void)state;
	assert_null(strstr(b.json, "sk-secret"));
	assert_null(strstr(b.json, "org-of-ours"));
	assert_string_equal(bed_member(&b, "value_hint"), "\xe2\x80\xa6irst");
	/* What was shown stands for what there is. */
	bed_ask_well(
	    &b, UPDATE, PROVIDER, "live",
	    "{\"keys\":[{\"name\":\"a\",\"value\":\"\xe2\x80\xa6irst\",\"weight\":2},"
	    "{\"name\":\"b\",\"value\":\"sk-secret-other\"}],\"network_config\":{\"base_url\":"
	    "\"https://h.test\",\"extra_headers\":{\"x-org\":\"***\"}}}");
	assert_string_equal(key("live", 0)->value.ptr, "sk-secret-first");
	assert_int_equal(key("live", 0)->weight_micro, 2000000);
	assert_string_equal(key("live", 1)->value.ptr, "sk-secret-other");
	const struct bf_conf_pair *header = provider("live")->network_config.extra_headers.items;
	assert_string_equal(header->value.ptr, "org-of-ours");
	/* Of one that is not there nothing can be shown. */
	bed_ask_badly(&b, UPDATE, PROVIDER, "live",
		      "{\"network_config\":{\"base_url\":\"https://h.test\",\"extra_headers\":"
		      "{\"x-new\":\"***\"}}}",
		      400, "stands for a value that there is");
	/* By its id, whatever its name is now. */
	char id[64], json[256];
	(void)snprintf(id, sizeof(id), "%s", key("live", 0)->id.ptr);
	(void)snprintf(json, sizeof(json), "{\"keys\":[{\"id\":\"%s\",\"name\":\"c\"}]}", id);
	bed_ask_well(&b, UPDATE, PROVIDER, "live", json);
	assert_string_equal(key("live", 0)->value.ptr, "sk-secret-first");
	assert_string_equal(key("live", 0)->id.ptr, id);
}

static void keys_come_and_go(void **state)
{
	char id[64];

	(void)state;
	assert_int_equal(ask_key(CREATE, "live", NULL, "{\"name\":\"b\",\"value\":\"sk-b\"}"), 201);
	assert_null(strstr(b.json, "sk-b"));
	(void)snprintf(id, sizeof(id), "%s", key("live", 1)->id.ptr);
	assert_int_equal(strlen(id), 36);
	assert_int_equal(ask_key(UPDATE, "live", id, "{\"models\":[\"m\"]}"), 200);
	assert_string_equal(key("live", 1)->value.ptr, "sk-b");
	assert_int_equal(key("live", 1)->models.count, 1);
	assert_int_equal(ask_key(UPDATE, "live", id, "{\"id\":\"x\"}"), 400);
	assert_int_equal(ask_key(UPDATE, "live", id, "{\"models\":[]}"), 400);
	assert_int_equal(ask_key(UPDATE, "live", id, "{\"sgl_key_config\":{\"url\":\"http://a\"}}"),
			 400);
	assert_int_equal(ask_key(UPDATE, "live", id, "{\"expected_version\":1}"), 409);
	assert_int_equal(ask_key(UPDATE, "live", "x", "{}"), 404);
	assert_int_equal(ask_key(UPDATE, "nobody", id, "{}"), 404);
	assert_int_equal(ask_key(BF_ENTITY_ROTATE, "live", id, ""), 501);
	assert_int_equal(ask_key(DELETE, "live", id, ""), 200);
	assert_int_equal(ask_key(DELETE, "live", id, ""), 404);
	/* Without any it waits for one. */
	(void)snprintf(id, sizeof(id), "%s", key("live", 0)->id.ptr);
	assert_int_equal(ask_key(DELETE, "live", id, ""), 200);
	assert_int_equal(provider("live")->keys.count, 0);
	assert_int_equal(ask_key(CREATE, "live", NULL, "{\"name\":\"a\",\"value\":\"v\"}"), 201);
}

/* Keys are managed apart from their provider: it may be made first. */
static void a_provider_comes_before_its_keys(void **state)
{
	(void)state;
	bed_ask_well(&b, CREATE, PROVIDER, "", "{\"provider\":\"openai\"}");
	assert_int_equal(provider("openai")->keys.count, 0);
	bed_ask_well(&b, UPDATE, PROVIDER, "openai", "{\"network_config\":{\"max_retries\":1}}");
	assert_int_equal(ask_key(CREATE, "openai", NULL, "{\"name\":\"o\"}"), 400);
	assert_non_null(strstr(b.json, "value is empty"));
	assert_int_equal(ask_key(CREATE, "openai", NULL, "{\"name\":\"o\",\"value\":\"v\"}"), 201);
	assert_string_equal(key("openai", 0)->value.ptr, "v");
	bed_ask_well(&b, UPDATE, PROVIDER, "openai", "{\"keys\":[]}");
	assert_int_equal(provider("openai")->keys.count, 0);
}

static void several_keys_at_once(void **state)
{
	char id[2][64], json[400];

	(void)state;
	assert_int_equal(ask_key(CREATE, "live", NULL, "{\"name\":\"b\",\"value\":\"v\"}"), 201);
	for (uint32_t i = 0; i < 2; i++)
		(void)snprintf(id[i], sizeof(id[i]), "%s", key("live", i)->id.ptr);
	(void)snprintf(json, sizeof(json), "{\"key_ids\":[\"%s\",\"%s\"],\"enabled\":false}", id[1],
		       id[0]);
	assert_int_equal(ask_key(UPDATE, "live", NULL, json), 200);
	assert_non_null(strstr(b.json, "\"updated\":2"));
	assert_false(key("live", 0)->enabled);
	assert_false(key("live", 1)->enabled);
	assert_string_equal(key("live", 0)->value.ptr, "sk-secret-first");
	/* All of them or none. */
	(void)snprintf(json, sizeof(json), "{\"key_ids\":[\"%s\",\"x\"],\"enabled\":true}", id[0]);
	assert_int_equal(ask_key(UPDATE, "live", NULL, json), 404);
	assert_non_null(strstr(b.json, "no key with the id \\\"x\\\""));
	assert_false(key("live", 0)->enabled);
	(void)snprintf(json, sizeof(json), "{\"key_ids\":[\"%s\"],\"enabled\":true}", id[0]);
	assert_int_equal(ask_key(UPDATE, "nobody", NULL, json), 404);
	assert_int_equal(ask_key(UPDATE, "live", NULL, json), 200);
	assert_true(key("live", 0)->enabled);
	assert_false(key("live", 1)->enabled);
	for (size_t i = 0; i < 5; i++) {
		static const char *const bad[] = {
		    "{}",
		    "{\"key_ids\":[],\"enabled\":true}",
		    "{\"key_ids\":[\"a\"]}",
		    "{\"key_ids\":[\"a\"],\"enabled\":\"yes\"}",
		    "{\"key_ids\":[\"a\"],\"enabled\":true,\"weight\":1}",
		};

		assert_int_equal(ask_key(UPDATE, "live", NULL, bad[i]), 400);
	}
	(void)snprintf(json, sizeof(json),
		       "{\"key_ids\":[\"%s\"],\"enabled\":true,\"expected_version\":1}", id[0]);
	assert_int_equal(ask_key(UPDATE, "live", NULL, json), 409);
}

static void a_key_is_one_of_all_providers(void **state)
{
	(void)state;
	assert_int_equal(ask_key(CREATE, "mock", NULL, "{\"name\":\"a\",\"value\":\"x\"}"), 409);
	assert_non_null(strstr(b.json, "of the provider"));
	assert_int_equal(ask_key(CREATE, "live", NULL, "{\"name\":\"a\",\"value\":\"x\"}"), 409);
	bed_ask_badly(&b, CREATE, PROVIDER, "",
		      "{\"name\":\"two\",\"network_config\":{\"base_url\":\"https://h.test\"},"
		      "\"keys\":[{\"name\":\"a\",\"value\":\"x\"}]}",
		      409, "is the name of another key");
	bed_ask_badly(&b, CREATE, PROVIDER, "", LIVE, 409, "there is a provider with the id");
}

static void what_could_not_be_served_is_refused(void **state)
{
	static const struct {
		const char *json, *text;
	} bad[] = {
	    {"{}", "\\\"name\\\" is missing"},
	    {"{\"name\":\"A B\",\"network_config\":{\"base_url\":\"https://h\"}}", "may hold a-z"},
	    {"{\"name\":\"opemai\"}", "did you mean"},
	    {"{\"name\":\"openai\",\"keys\":[{\"name\":\"k\",\"value\":\"env.HOME\"}]}",
	     "are for the configuration file"},
	    {"{\"name\":\"openai\",\"keys\":[{\"name\":\"k\",\"value\":\"v\"}],\"network_config\":"
	     "{\"ca_cert_pem\":\"nothing\"}}",
	     "ca_cert_pem"},
	    {"{\"name\":\"openai\",\"keys\":[{\"name\":\"k\",\"value\":\"v\"}],\"network_config\":"
	     "{\"ca_cert_pem\":\"/etc/passwd\"}}",
	     "ca_cert_pem"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bed_ask_badly(&b, CREATE, PROVIDER, "", bad[i].json, 400, bad[i].text);
}

static void who_is_named_does_not_go(void **state)
{
	struct bf_entity e;

	(void)state;
	bed_ask_badly(&b, CREATE, BF_ENTITY_VIRTUAL_KEY, "v",
		      "{\"name\":\"v\",\"provider_configs\":[{\"provider\":\"lvie\"}]}", 400,
		      "did you mean");
	bed_ask_well(&b, CREATE, BF_ENTITY_VIRTUAL_KEY, "v",
		     "{\"name\":\"v\",\"provider_configs\":[{\"provider\":\"live\"}]}");
	bed_ask_badly(&b, DELETE, PROVIDER, "live", "", 409, "virtual key \\\"v\\\"");
	bed_ask_well(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "v", "{\"provider_configs\":[]}");
	bed_ask_well(&b, DELETE, PROVIDER, "live", "");
	/* The file may take away what a key names: the key stays, and the provider is not there. */
	bed_ask_well(&b, CREATE, PROVIDER, "", LIVE);
	bed_ask_well(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "v",
		     "{\"provider_configs\":[{\"provider\":\"mock\"}]}");
	bed_again(
	    &b,
	    "encryption_key: 0123456789abcdef\nproviders: {groq: {keys: [{name: g, value: v}]}}\n");
	assert_false(bed_finds(&b, PROVIDER, "mock", NULL));
	assert_true(bed_finds(&b, PROVIDER, "live", NULL));
	assert_true(bed_finds(&b, BF_ENTITY_VIRTUAL_KEY, "v", &e));
	assert_int_equal(e.flags & BF_ENTITY_QUARANTINED, 0);
}

/* A worker would pass over it, and whoever asked would be told that there is no key. */
static void what_no_worker_could_use_is_refused(void **state)
{
	static const char *const values[] = {"sk-a\\r\\n", "sk-a\\r\\nx-evil: 1", "sk a",
					     "sk-\xc3\xbc"};
	static const char *const urls[] = {"https://h.test/?key=sk-secret-second",
					   "https://h.test/v1#x",
					   "https://h.test:0",
					   "https://h.test:99999/v1",
					   "https://[::1]:x/v1",
					   "https://h.test/a b"};
	char json[256];

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(values); i++) {
		(void)snprintf(json, sizeof(json), "{\"name\":\"n\",\"value\":\"%s\"}", values[i]);
		assert_int_equal(ask_key(CREATE, "live", NULL, json), 400);
		assert_non_null(strstr(b.json, "could not be sent"));
		assert_null(strstr(b.json, "sk-a"));
		(void)snprintf(json, sizeof(json), "{\"keys\":[{\"name\":\"a\",\"value\":\"%s\"}]}",
			       values[i]);
		bed_ask_badly(&b, UPDATE, PROVIDER, "live", json, 400, "could not be sent");
	}
	for (size_t i = 0; i < BF_ARRAY_LEN(urls); i++) {
		(void)snprintf(json, sizeof(json),
			       "{\"name\":\"x\",\"network_config\":{\"base_url\":\"%s\"},"
			       "\"keys\":[{\"name\":\"n\",\"value\":\"v\"}]}",
			       urls[i]);
		bed_ask_badly(&b, CREATE, PROVIDER, "", json, 400, "query and other signs");
		assert_null(strstr(b.json, "sk-secret-second"));
	}
	bed_ask_well(
	    &b, CREATE, PROVIDER, "",
	    "{\"name\":\"x\",\"network_config\":{\"base_url\":\"http://[::1]:8080/v1/\"}}");
}

/* What the file brings later makes nobody who was there unchangeable: it can be shut off. */
static void a_clash_with_the_file_blocks_no_change(void **state)
{
	char id[64];

	(void)state;
	(void)snprintf(id, sizeof(id), "%.*s", BF_SLICE_FMT(key("live", 0)->id));
	bed_ask_well(&b, CREATE, BF_ENTITY_VIRTUAL_KEY, "v", "{\"name\":\"ops\"}");
	bed_ask_well(
	    &b, CREATE, BF_ENTITY_MODEL_CONFIG, "m",
	    "{\"id\":\"m\",\"model_name\":\"gpt\",\"rate_limit\":{\"concurrent_max_limit\":3}}");
	bed_again(&b,
		  "encryption_key: 0123456789abcdef\n"
		  "providers: {mock: {}, groq: {keys: [{name: a, value: v}]}}\n"
		  "governance:\n"
		  "  virtual_keys: [{id: w, name: ops, value: the-value-of-ops}]\n"
		  "  model_configs: [{id: n, model_name: gpt, rate_limit: {concurrent_max_limit: "
		  "4}}]\n");
	bed_ask_well(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "v", "{\"is_active\":false}");
	bed_ask_well(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "w", "{\"is_active\":false}");
	bed_ask_well(&b, UPDATE, BF_ENTITY_MODEL_CONFIG, "m",
		     "{\"rate_limit\":{\"concurrent_max_limit\":1}}");
	bed_ask_well(&b, UPDATE, BF_ENTITY_MODEL_CONFIG, "n",
		     "{\"rate_limit\":{\"concurrent_max_limit\":1}}");
	assert_int_equal(ask_key(UPDATE, "live", id, "{\"enabled\":false}"), 200);
	assert_false(key("live", 0)->enabled);
	/* New clashes are refused as ever. */
	bed_ask_badly(&b, CREATE, BF_ENTITY_VIRTUAL_KEY, "u", "{\"name\":\"ops\"}", 409,
		      "duplicate");
	assert_int_equal(ask_key(CREATE, "mock", NULL, "{\"name\":\"a\",\"value\":\"v\"}"), 409);
}

static void damage(const char *id)
{
	sqlite3 *db = NULL;
	char sql[160];

	(void)snprintf(
	    sql, sizeof(sql),
	    "UPDATE entities SET body = substr(body, 1, 40) || x'00' || substr(body, 42) "
	    "WHERE id = '%s'",
	    id);
	assert_int_equal(sqlite3_open(b.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	(void)sqlite3_close(db);
}

/* It is left out, and told; the login is not, for without it nobody would be asked for one. */
static void a_sealed_row_that_is_damaged(void **state)
{
	(void)state;
	bed_ask_well(&b, CREATE, BF_ENTITY_VIRTUAL_KEY, "v", "{\"name\":\"v\"}");
	bed_stop(&b);
	damage("live");
	bed_start(&b);
	assert_null(registry_refusal(&b.r));
	assert_int_equal(b.r.unreadable, 1);
	assert_false(bed_finds(&b, PROVIDER, "live", NULL));
	assert_true(bed_finds(&b, PROVIDER, "mock", NULL));
	assert_true(bed_finds(&b, BF_ENTITY_VIRTUAL_KEY, "v", NULL));
	bed_ask_well(&b, CREATE, PROVIDER, "", LIVE);
	bed_ask_well(&b, UPDATE, BF_ENTITY_AUTH_CONFIG, "",
		     "{\"is_enabled\":true,\"admin_username\":\"ada\",\"admin_password\":"
		     "\"enigma-enigma\"}");
	bed_stop(&b);
	damage("auth");
	bed_start(&b);
	assert_non_null(strstr(registry_refusal(&b.r), "auth_config is damaged"));
}

static void key_as_it_is(const char *id, struct bf_conf_virtual_key *ret_key)
{
	struct bf_entity e;

	assert_true(bed_finds(&b, BF_ENTITY_VIRTUAL_KEY, id, &e));
	bf_arena_reset(&arena);
	assert_int_equal(bf_entity_decode(&e, ret_key, &arena, NULL), 0);
}

/* A key whose provider's key is gone can be shut at once: it need not be mended first. */
static void who_is_gone_keeps_nobody_from_being_changed(void **state)
{
	static const char gone[] = "{\"provider_configs\":[{\"provider\":\"live\",\"key_ids\":"
				   "[\"a\"],\"budgets\":[{\"max_limit\":1,\"reset_duration\":"
				   "\"1d\"}]},{\"provider\":\"mock\",\"key_ids\":[]}]}";
	const struct bf_conf_provider_config *configs;
	struct bf_conf_virtual_key v;
	char id[64];

	(void)state;
	bed_ask_well(&b, CREATE, BF_ENTITY_VIRTUAL_KEY, "v", "{\"name\":\"v\"}");
	bed_ask_well(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "v", gone);
	(void)snprintf(id, sizeof(id), "%.*s", BF_SLICE_FMT(key("live", 0)->id));
	assert_int_equal(ask_key(DELETE, "live", id, ""), 200);
	bed_ask_well(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "v", "{\"is_active\":false}");
	key_as_it_is("v", &v);
	configs = v.provider_configs.items;
	assert_false(v.is_active);
	assert_false(v.allow_all_providers);
	assert_int_equal(v.provider_configs.count, 2);
	assert_int_equal(configs[0].key_ids.count, 1);
	assert_int_equal(configs[0].own.budgets.count, 1);
	bed_ask_badly(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "v",
		      "{\"budgets\":[{\"id\":\"day\",\"max_limit\":1,\"reset_duration\":\"1d\"},"
		      "{\"id\":\"day\",\"max_limit\":1,\"reset_duration\":\"1h\"}]}",
		      400, "stands in line 1 already: every budget needs its own");
	/* Who gives them again has to mend them. */
	bed_ask_badly(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "v", gone, 400, "has no key with the id");
}

static void limits_of_a_provider_can_be_sent_back(void **state)
{
	(void)state;
	bed_ask_well(&b, UPDATE, BF_ENTITY_PROVIDER_LIMITS, "mock",
		     "{\"rate_limit\":{\"concurrent_max_limit\":5}}");
	assert_non_null(strstr(b.json, "\"name\":\"mock\""));
	assert_null(strstr(b.json, "\"id\":\"mock\""));
}

static void what_is_accepted_of_clients(void **state)
{
	struct bf_conf_client client;
	struct bf_entity e;

	(void)state;
	assert_true(bed_finds(&b, BF_ENTITY_CLIENT_CONFIG, "client", &e));
	assert_int_not_equal(e.flags & BF_ENTITY_FROM_FILE, 0);
	bed_ask_well(&b, UPDATE, BF_ENTITY_CLIENT_CONFIG, "",
		     "{\"required_headers\":[\"X-Team\"],\"drop_excess_requests\":true}");
	assert_true(bed_finds(&b, BF_ENTITY_CLIENT_CONFIG, "client", &e));
	assert_int_equal(bf_entity_decode(&e, &client, &arena, NULL), 0);
	assert_true(client.drop_excess_requests);
	assert_string_equal(((const struct bf_slice *)client.required_headers.items)->ptr,
			    "x-team");
	bed_ask_badly(&b, UPDATE, BF_ENTITY_CLIENT_CONFIG, "", "{\"enable_logging\":false}", 400,
		      "enable_logging");
	bed_ask_badly(&b, UPDATE, BF_ENTITY_CLIENT_CONFIG, "",
		      "{\"max_request_body_size_mb\":\"1GB\"}", 400, "server.body_memory");
	/* The file says what it said: the API's word stands. */
	bed_again(&b, SEALED);
	assert_true(bed_finds(&b, BF_ENTITY_CLIENT_CONFIG, "client", &e));
	assert_int_equal(e.version, 2);
	bed_again(&b, "client: {drop_excess_requests: false, required_headers: [x-a]}\n" SEALED);
	assert_true(bed_finds(&b, BF_ENTITY_CLIENT_CONFIG, "client", &e));
	assert_int_equal(e.version, 3);
}

/* What an entity may have has a bound, however it was gathered. */
static void keys_that_do_not_fit(void **state)
{
	static char json[60000];
	unsigned status = 201;
	int keys = 0;

	(void)state;
	for (; status == 201 && keys < 30; keys++) {
		size_t n = (size_t)snprintf(json, sizeof(json),
					    "{\"name\":\"k%d\",\"value\":\"sk-%d\",\"models\":[",
					    keys, keys);

		for (int i = 0; i < 200; i++)
			n += (size_t)snprintf(json + n, sizeof(json) - n, "\"m%0239d\",", i);
		(void)snprintf(json + n, sizeof(json) - n, "\"m\"]}");
		status = ask_key(CREATE, "live", NULL, json);
	}
	assert_int_equal(status, 400);
	assert_non_null(strstr(b.json, "takes more than 1024 KiB with its keys"));
	assert_int_equal(provider("live")->keys.count, keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(secrets_are_kept_and_not_shown, open_bed, close_bed),
	    cmocka_unit_test_setup_teardown(keys_come_and_go, open_bed, close_bed),
	    cmocka_unit_test_setup_teardown(a_provider_comes_before_its_keys, open_bed, close_bed),
	    cmocka_unit_test_setup_teardown(several_keys_at_once, open_bed, close_bed),
	    cmocka_unit_test_setup_teardown(a_key_is_one_of_all_providers, open_bed, close_bed),
	    cmocka_unit_test_setup_teardown(what_could_not_be_served_is_refused, open_bed,
					    close_bed),
	    cmocka_unit_test_setup_teardown(who_is_named_does_not_go, open_bed, close_bed),
	    cmocka_unit_test_setup_teardown(who_is_gone_keeps_nobody_from_being_changed, open_bed,
					    close_bed),
	    cmocka_unit_test_setup_teardown(limits_of_a_provider_can_be_sent_back, open_bed,
					    close_bed),
	    cmocka_unit_test_setup_teardown(a_sealed_row_that_is_damaged, open_bed, close_bed),
	    cmocka_unit_test_setup_teardown(what_no_worker_could_use_is_refused, open_bed,
					    close_bed),
	    cmocka_unit_test_setup_teardown(a_clash_with_the_file_blocks_no_change, open_bed,
					    close_bed),
	    cmocka_unit_test_setup_teardown(keys_that_do_not_fit, open_bed, close_bed),
	    cmocka_unit_test_setup_teardown(what_is_accepted_of_clients, open_bed, close_bed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
