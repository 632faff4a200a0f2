/* Error reports: one line whatever goes in, cut with dots on a character, names and texts of both
 * kinds of codes. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"

static void test_set_returns_the_code(void **state)
{
	struct bf_err err = {0};

	(void)state;
	assert_int_equal(bf_err_set(&err, BF_E_LIMIT, "a: %d", 5), BF_E_LIMIT);
	assert_int_equal(err.code, BF_E_LIMIT);
	assert_string_equal(err.text, "a: 5");
	assert_int_equal(bf_err_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(bf_err_sys(NULL, -EIO, "x"), -EIO);
	assert_int_equal(bf_err_sys(&err, -ENOENT, "open %s", "f"), -ENOENT);
	assert_string_equal(err.text, "open f: No such file or directory");
	(void)bf_err_sys(&err, BF_E_TYPE, "field");
	assert_string_equal(err.text, "field: wrong type");
}

static void test_text_stays_one_line(void **state)
{
	struct bf_err err;

	(void)state;
	(void)bf_err_set(&err, -1, "a\nb\x1b[31m\x7f%s", "\r\t");
	assert_string_equal(err.text, "a?b?[31m???");
}

static void test_long_text_is_cut(void **state)
{
	struct bf_err err;
	char text[2000];

	(void)state;
	for (size_t len = 505; len < 520; len++) {
		memset(text, 'x', len);
		text[len] = '\0';
		(void)bf_err_set(&err, -1, "%s", text);
		size_t got = strlen(err.text);
		if (len < sizeof(err.text)) {
			assert_string_equal(err.text, text);
		} else {
			assert_int_equal(got, sizeof(err.text) - 1);
			assert_string_equal(err.text + got - 4, "x...");
		}
		(void)bf_err_sys(&err, -EIO, "%s", text);
		assert_string_equal(err.text + strlen(err.text) - 3, "...");
	}
	/* Two-byte characters at odd and even offsets: never half a character before the dots. */
	for (size_t odd = 0; odd < 2; odd++) {
		memset(text, 'x', odd);
		for (size_t i = odd; i + 1 < 1000; i += 2)
			memcpy(text + i, "\xc3\xa4", 2);
		text[999] = '\0';
		(void)bf_err_set(&err, -1, "%s", text);
		size_t got = strlen(err.text);
		assert_string_equal(err.text + got - 3, "...");
		assert_int_equal((unsigned char)err.text[got - 4], 0xa4);
	}
}

static void test_names_texts_and_http(void **state)
{
	(void)state;
#define X(name, code, http, text)                      \
	assert_string_equal(bf_err_name(code), #name); \
	assert_string_equal(bf_err_text(name), text);  \
	assert_int_equal(bf_err_http(name), http);
#include "common/base/errors.def"
#undef X
	assert_string_equal(bf_err_name(-ENOENT), "ENOENT");
	assert_int_equal(bf_err_http(-ENOENT), 500);
	assert_int_equal(bf_err_http(0), 200);
	static const int odd[] = {1, -1999, -999, INT_MIN, INT_MAX};
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		assert_string_equal(bf_err_name(odd[i]), "UNKNOWN");
		assert_string_equal(bf_err_text(odd[i]), "unknown error");
		assert_int_equal(bf_err_http(odd[i]), 500);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set_returns_the_code),
	    cmocka_unit_test(test_text_stays_one_line),
	    cmocka_unit_test(test_long_text_is_cut),
	    cmocka_unit_test(test_names_texts_and_http),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
