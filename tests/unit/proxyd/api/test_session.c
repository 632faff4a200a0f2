/* Tokens of sessions: their key, their end, and every byte of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/api/session.h"

static const uint8_t pepper[SESSION_KEY_LEN] = {1, 2, 3};
static uint8_t key[SESSION_KEY_LEN];
static char token[SESSION_TOKEN_MAX];
static struct session made, seen;

static int setup(void **state)
{
	(void)state;
	session_key(pepper, 1, key);
	session_begin(key, 1000, token, &made);
	return 0;
}

static bool checks(const char *text, int64_t now_s)
{
	return session_check(key, bf_slice_from(text), now_s, &seen);
}

static void it_lasts_until_its_end(void **state)
{
	(void)state;
	assert_int_equal(made.ends_s, 1000 + SESSION_LIFE_S);
	assert_int_equal(strlen(made.id), SESSION_ID_TEXT);
	assert_true(strlen(token) < SESSION_TOKEN_MAX);
	assert_true(checks(token, 1000));
	assert_string_equal(seen.id, made.id);
	assert_int_equal(seen.ends_s, made.ends_s);
	assert_true(checks(token, made.ends_s - 1));
	assert_false(checks(token, made.ends_s));
}

static void each_has_an_id_of_its_own(void **state)
{
	char other[SESSION_TOKEN_MAX];

	(void)state;
	session_begin(key, 1000, other, &seen);
	assert_string_not_equal(other, token);
	assert_string_not_equal(seen.id, made.id);
}

static void another_version_ends_it(void **state)
{
	static const uint8_t other_pepper[SESSION_KEY_LEN] = {9};

	(void)state;
	session_key(pepper, 2, key);
	assert_false(checks(token, 1000));
	session_key(other_pepper, 1, key);
	assert_false(checks(token, 1000));
	session_key(pepper, 1, key);
	assert_true(checks(token, 1000));
}

/* Whatever is changed, it is no token: also in the last character, which says only four bits. */
static void every_character_counts(void **state)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char text[SESSION_TOKEN_MAX + 8];

	(void)state;
	for (size_t i = 0; i < strlen(token); i++) {
		for (size_t c = 0; c < sizeof(alphabet) - 1; c++) {
			(void)memcpy(text, token, sizeof(token));
			text[i] = alphabet[c];
			assert_int_equal(checks(text, 1000), alphabet[c] == token[i]);
		}
		(void)memcpy(text, token, sizeof(token));
		text[i] = '\0';
		assert_false(checks(text, 1000));
		text[i] = '=';
		assert_false(checks(text, 1000));
	}
	(void)memcpy(text, token, sizeof(token));
	(void)strcat(text, "A");
	assert_false(checks(text, 1000));
	assert_false(session_check(key, (struct bf_slice){NULL, 0}, 1000, &seen));
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(it_lasts_until_its_end),
	    TEST(each_has_an_id_of_its_own),
	    TEST(another_version_ends_it),
	    TEST(every_character_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
