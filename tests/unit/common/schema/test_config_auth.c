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
	    cmocka_unit_test(a_short_encryption_key_is_refused_and_not_shown),
	    cmocka_unit_test(writerd_alone_sees_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
