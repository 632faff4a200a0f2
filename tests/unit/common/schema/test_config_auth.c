/* Who may use the management API, and the secret that protects secrets: where they stand, what is
 * refused, who sees them. */
#include "load_bed.h"

#include "common/schema/config_auth.h"

static void both_places_mean_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char text[256];
		struct load_bed b;

		(void)snprintf(text, sizeof(text), "%s%s%s", i ? "" : "governance: {",
			       "auth_config: {is_enabled: true, admin_username: ada, "
			       "admin_password: hunter2hunter2}",
			       i ? "\n" MOCK : "}\n" MOCK);
		assert_string_equal(bed_load(&b, text), "");
		const struct bf_conf_auth_config *a = &b.config.governance.auth_config;
		assert_true(bf_slice_is(a->id, "auth"));
		assert_true(a->is_enabled);
		assert_true(bf_slice_is(a->admin_username, "ada"));
		assert_true(bf_slice_is(a->admin_password, "hunter2hunter2"));
		assert_false(a->disable_auth_on_inference);
		assert_int_equal(b.config.auth_config.id.len, 0);
		assert_false(b.config.auth_config.is_enabled);
		bed_done(&b);
	}
	bed_says("governance: {auth_config: {}}\nauth_config: {}\n" MOCK,
		 "x.yaml:2:14: error: auth_config: stands in governance too: keep "
		 "governance.auth_config and remove this\n");
}

static void without_a_block_there_is_none(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, MOCK "auth_config: null\n"), "");
	assert_int_equal(b.config.governance.auth_config.id.len, 0);
	assert_int_equal(b.config.encryption_key.len, 0);
	bed_done(&b);
	/* One that is off is there. */
	assert_string_equal(bed_load(&b, MOCK "governance: {auth_config: {is_enabled: false}}\n"),
			    "");
	assert_int_equal(b.config.governance.auth_config.id.len, 4);
	bed_done(&b);
}

static void half_of_it_is_refused(void **state)
{
	(void)state;
	bed_says("auth_config: {is_enabled: true, admin_password: hunter2hunter2}\n" MOCK,
		 "x.yaml:1:1: error: auth_config: is_enabled needs admin_username: add it, or set "
		 "is_enabled: false\n");
	bed_mentions("auth_config: {is_enabled: true, admin_username: a}\n" MOCK,
		     "is_enabled needs admin_password: add it");
	bed_says("auth_config: {admin_password: hunter2}\n" MOCK,
		 "x.yaml:1:1: error: auth_config: admin_password has 7 bytes: give it at least "
		 "8\n");
	bed_mentions("auth_config: {admin_username: 'a:b'}\n" MOCK,
		     "auth_config.admin_username: must have no colon");
	bed_mentions("auth_config: {admin_username: \"a\\tb\"}\n" MOCK, "no control characters");
	bed_mentions("auth_config: {admin_user: a}\n" MOCK, "did you mean \"admin_username\"?");
}

#define ASKED                                                                     \
	"  auth_config: {is_enabled: true, admin_username: ada, admin_password: " \
	"hunter2hunter2}\n"
#define KEYS(entries) "governance:\n" ASKED "  api_keys: [" entries "]\n" MOCK

static void keys_of_the_api(void **state)
{
	struct load_bed b;
	const struct bf_conf_api_key *key;

	(void)state;
	assert_string_equal(bed_load(&b, KEYS("{name: ci, value: hunter2hunter2hunter2}, {id: d, "
					      "name: deploy, value: another-of-20-bytes-, "
					      "is_active: false, expires_at: "
					      "\"2036-01-01T00:00:00Z\"}")),
			    "");
	key = b.config.governance.api_keys.items;
	assert_int_equal(b.config.governance.api_keys.count, 2);
	assert_int_equal(key[0].id.len, 36);
	assert_true(bf_slice_is(key[0].value, "hunter2hunter2hunter2"));
	assert_true(key[0].is_active && key[0].expires_at_ms == 0);
	assert_true(bf_slice_is(key[1].id, "d"));
	assert_false(key[1].is_active);
	assert_int_equal(key[1].expires_at_ms, INT64_C(2082758400000));
	bed_done(&b);
}

static void bad_keys_of_the_api(void **state)
{
	static const struct {
		const char *yaml, *lines;
	} cases[] = {
	    {KEYS("{name: a}"), "x.yaml:3:14: error: governance.api_keys[0]: \"value\" is missing: "
				"add a secret of its own, best as env.NAME or file.PATH\n"},
	    {KEYS("{value: hunter2hunter2hunter2}"),
	     "x.yaml:3:14: error: governance.api_keys[0]: \"name\" is missing: add it\n"},
	    {KEYS("{name: a, value: nineteen-bytes-long}"),
	     "x.yaml:3:31: error: governance.api_keys[0].value: has 19 bytes: give it at least 20, "
	     "or leave it out: then one is made\n"},
	    {KEYS("{name: a, value: bfs_hunter2hunter2hunter2}"),
	     "x.yaml:3:31: error: governance.api_keys[0].value: begins as tokens of sessions do: "
	     "give another one\n"},
	    {KEYS("{name: a, value: hunter2hunter2hunter2}, {name: b, value: "
		  "hunter2hunter2hunter2}"),
	     "x.yaml:3:72: error: this value stands in line 3 already: every API key needs its "
	     "own\n"},
	    {KEYS("{name: a, value: hunter2hunter2hunter2}, {name: a, value: "
		  "hunter3hunter3hunter3}"),
	     "x.yaml:3:62: error: the API key name \"a\" stands in line 3 already: every API key "
	     "needs its own\n"},
	    {"governance: {api_keys: [{name: a, value: hunter2hunter2hunter2}]}\n" MOCK,
	     "x.yaml:1:24: warning: governance.api_keys: have no effect as long as nobody is asked "
	     "who calls: add governance.auth_config with is_enabled: true, here or by the "
	     "management API\n"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++)
		bed_says(cases[i].yaml, cases[i].lines);
}

static void a_short_encryption_key_is_refused_and_not_shown(void **state)
{
	struct load_bed b;
	const char *text;

	(void)state;
	text = bed_load(&b, "encryption_key: fifteen-bytes..\n" MOCK);
	assert_string_equal(text, "x.yaml:1:17: error: encryption_key: has 15 bytes: give it at "
				  "least 16, such as those of \"openssl rand -base64 32\"\n");
	bed_done(&b);
	assert_string_equal(bed_load(&b, "encryption_key: sixteen-bytes...\n" MOCK), "");
	assert_true(bf_slice_is(b.config.encryption_key, "sixteen-bytes..."));
	bed_done(&b);
}

static bool slice_holds(const struct load_bed *b, uint16_t audience, const char *text)
{
	struct bf_buf out;
	bool found;

	bf_buf_init(&out, 1 << 20);
	assert_int_equal(bf_table_encode_mp(&bf_config_table, &b->config, audience, &out), 0);
	found = memmem(out.data, bf_buf_len(&out), text, strlen(text)) != NULL;
	bf_buf_done(&out);
	return found;
}

/* It makes hashes of keys and seals the password; whoever reads requests knows neither key. */
static void writerd_alone_sees_them(void **state)
{
	static const char *const secrets[] = {"the-password", "the-encryption-key"};
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, "encryption_key: the-encryption-key\nauth_config: "
					 "{is_enabled: true, admin_username: a, admin_password: "
					 "the-password}\n" MOCK),
			    "");
	for (size_t i = 0; i < 2; i++) {
		assert_true(slice_holds(&b, BF_FOR_WRITERD, secrets[i]));
		assert_false(slice_holds(&b, BF_FOR_ALL & ~BF_FOR_WRITERD, secrets[i]));
	}
	bed_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_places_mean_the_same),
	    cmocka_unit_test(without_a_block_there_is_none),
	    cmocka_unit_test(half_of_it_is_refused),
	    cmocka_unit_test(keys_of_the_api),
	    cmocka_unit_test(bad_keys_of_the_api),
	    cmocka_unit_test(a_short_encryption_key_is_refused_and_not_shown),
	    cmocka_unit_test(writerd_alone_sees_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
