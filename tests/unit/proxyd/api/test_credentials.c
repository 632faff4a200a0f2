/* Credentials as headers have them, well and badly written; and pages of other sites. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/api/credentials.h"

static struct bf_arena arena;
static struct credentials found;

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

static enum credentials_kind reads(const char *name, const char *value)
{
	const struct exchange_header header = {bf_slice_from(name), bf_slice_from(value)};
	const struct exchange x = {.headers = &header, .header_count = 1};

	assert_int_equal(credentials_read(&x, &arena, &found), 0);
	return found.kind;
}

static void basic(void **state)
{
	(void)state;
	assert_int_equal(reads("Authorization", "Basic YWRtaW46cGE6c3M="), CREDENTIALS_BASIC);
	assert_true(bf_slice_is(found.username, "admin"));
	assert_true(bf_slice_is(found.secret, "pa:ss"));
	assert_int_equal(reads("authorization", "bASIC   Og=="), CREDENTIALS_BASIC);
	assert_int_equal(found.username.len, 0);
	assert_int_equal(found.secret.len, 0);
	assert_int_equal(reads("authorization", "Basic YWRtaW4="), CREDENTIALS_BROKEN);
	assert_int_equal(reads("authorization", "Basic YWRtaW4"), CREDENTIALS_BROKEN);
	assert_int_equal(reads("authorization", "Basic ****"), CREDENTIALS_BROKEN);
	assert_int_equal(reads("authorization", "Basic "), CREDENTIALS_BROKEN);
	assert_int_equal(reads("authorization", "Basic"), CREDENTIALS_BROKEN);
}

static void bearers_and_others(void **state)
{
	(void)state;
	assert_int_equal(reads("authorization", "Bearer  bfs_x"), CREDENTIALS_BEARER);
	assert_true(bf_slice_is(found.secret, "bfs_x"));
	assert_int_equal(reads("authorization", "Digest x"), CREDENTIALS_BROKEN);
	assert_int_equal(reads("authorization", ""), CREDENTIALS_BROKEN);
	assert_int_equal(reads("accept", "x"), CREDENTIALS_NONE);
}

static void cookies(void **state)
{
	(void)state;
	assert_int_equal(reads("cookie", "token=abc"), CREDENTIALS_COOKIE);
	assert_true(bf_slice_is(found.secret, "abc"));
	assert_int_equal(reads("Cookie", "a=b;  token=x=y; token=z"), CREDENTIALS_COOKIE);
	assert_true(bf_slice_is(found.secret, "x=y"));
	assert_int_equal(reads("cookie", "xtoken=abc"), CREDENTIALS_NONE);
	assert_int_equal(reads("cookie", "tokens=abc; token=; token"), CREDENTIALS_NONE);
	assert_int_equal(reads("cookie", ""), CREDENTIALS_NONE);
}

static void authorization_wins(void **state)
{
	const struct exchange_header headers[] = {
	    {BF_SLICE_LIT("cookie"), BF_SLICE_LIT("token=abc")},
	    {BF_SLICE_LIT("authorization"), BF_SLICE_LIT("Digest x")},
	};
	const struct exchange x = {.headers = headers, .header_count = 2};

	(void)state;
	assert_int_equal(credentials_read(&x, &arena, &found), 0);
	assert_int_equal(found.kind, CREDENTIALS_BROKEN);
}

/* RFC 4648, section 10, and what is none. */
static void base64(void **state)
{
	static const char *const good[][2] = {
	    {"", ""},
	    {"Zg==", "f"},
	    {"Zm8=", "fo"},
	    {"Zm9v", "foo"},
	    {"Zm9vYg==", "foob"},
	    {"Zm9vYmE=", "fooba"},
	    {"Zm9vYmFy", "foobar"},
	};
	static const char *const bad[] = {
	    "Z", "Zg", "Zg=", "=g==", "Zg=a", "Z-g=", "Zm9v\n", "===="};
	struct bf_slice bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(credentials_base64(bf_slice_from(good[i][0]), &arena, &bytes), 0);
		assert_true(bf_slice_is(bytes, good[i][1]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(credentials_base64(bf_slice_from(bad[i]), &arena, &bytes),
				 BF_E_SYNTAX);
}

static bool foreign(const char *host, const char *origin, const char *site)
{
	struct exchange_header headers[3] = {{BF_SLICE_LIT("host"), bf_slice_from(host)}};
	struct exchange x = {.headers = headers, .header_count = 1};

	if (origin)
		headers[x.header_count++] =
		    (struct exchange_header){BF_SLICE_LIT("origin"), bf_slice_from(origin)};
	if (site)
		headers[x.header_count++] =
		    (struct exchange_header){BF_SLICE_LIT("sec-fetch-site"), bf_slice_from(site)};
	return credentials_foreign(&x);
}

static void pages_of_other_sites(void **state)
{
	(void)state;
	assert_false(foreign("bifrost:8080", NULL, NULL));
	assert_false(foreign("bifrost:8080", "http://bifrost:8080", NULL));
	assert_false(foreign("bifrost", "https://Bifrost", "same-origin"));
	assert_false(foreign("bifrost", NULL, "none"));
	assert_true(foreign("bifrost:8080", "http://bifrost", NULL));
	assert_true(foreign("bifrost", "null", NULL));
	assert_true(foreign("bifrost", "http://evil", NULL));
	assert_true(foreign("bifrost", NULL, "same-site"));
	assert_true(foreign("bifrost", NULL, "cross-site"));
	assert_true(foreign("bifrost", "http://bifrost", "cross-site"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(basic),  TEST(bearers_and_others),   TEST(cookies), TEST(authorization_wins),
	    TEST(base64), TEST(pages_of_other_sites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
