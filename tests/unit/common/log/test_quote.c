/* Quoting: nothing ends the value or the line, invalid UTF-8 is made visible, long text is cut
 * whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/log/log.h"

static void test_escapes(void **state)
{
	(void)state;
	assert_string_equal(bf_log_quote("plain text"), "\"plain text\"");
	assert_string_equal(bf_log_quote(""), "\"\"");
	assert_string_equal(bf_log_quote_slice((struct bf_slice){"a\"bc", 3}), "\"a\\\"b\"");
	assert_string_equal(bf_log_quote_slice((struct bf_slice){NULL, 0}), "\"\"");
	assert_string_equal(bf_log_quote(NULL), "\"\"");
	assert_string_equal(bf_log_quote("a\"b\\c\nd\te"), "\"a\\\"b\\\\c\\nd\\te\"");
	assert_string_equal(bf_log_quote("\r\x1b[0m\x7f\x01"), "\"\\x0d\\x1b[0m\\x7f\\x01\"");
}

static void test_utf8(void **state)
{
	static const char *const valid[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
					    "\xc2\xa0", "\xed\x9f\xbf"};
	static const char *const invalid[] = {"\x80",
					      "\xc3",
					      "\xc3x",
					      "\xc0\x80",
					      "\xe2\x82",
					      "\xed\xa0\x80",
					      "\xf4\x90\x80\x80",
					      "\xf0\x80\x80\x80",
					      "\xff",
					      "\xe0\x9f\x80",
					      "\xc2\x9b"};

	(void)state;
	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
		const char *q = bf_log_quote(valid[i]);
		assert_int_equal(strlen(q), strlen(valid[i]) + 2);
		assert_memory_equal(q + 1, valid[i], strlen(valid[i]));
	}
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		const char *q = bf_log_quote(invalid[i]);
		assert_memory_equal(q, "\"\\x", 3);
		for (; *q; q++)
			assert_true((unsigned char)*q < 0x80);
	}
}

static void test_every_byte_is_safe(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char text[3] = {(char)c, 'z', 0};
		const char *q = bf_log_quote(text);
		size_t len = strlen(q);
		assert_int_equal(q[0], '"');
		assert_int_equal(q[len - 1], '"');
		for (size_t i = 1; i < len - 1; i++) {
			assert_true((unsigned char)q[i] >= 0x20 && q[i] != 0x7f);
			assert_true(q[i] != '"' || q[i - 1] == '\\');
		}
	}
}

static void test_cut_at_the_buffer(void **state)
{
	static const char *const units[] = {"x", "\n", "\x01", "\xc3\xa4", "\xf0\x9f\x98\x80"};
	char text[6000];

	(void)state;
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		size_t unit = strlen(units[u]);
		for (size_t len = 0; len + unit < 1200 * unit; len += unit) {
			memcpy(text + len, units[u], unit + 1);
			const char *q = bf_log_quote(text);
			size_t n = strlen(q);
			assert_true(n < 1024);
			assert_int_equal(q[n - 1], '"');
			if (n < (len + unit) + 2)
				assert_memory_equal(q + n - 4, "...\"", 4);
		}
	}
}

static void test_four_buffers(void **state)
{
	(void)state;
	const char *a = bf_log_quote("a"), *b = bf_log_quote("b"), *c = bf_log_quote("c"),
		   *d = bf_log_quote("d");
	assert_string_equal(a, "\"a\"");
	assert_string_equal(b, "\"b\"");
	assert_string_equal(c, "\"c\"");
	assert_string_equal(d, "\"d\"");
	assert_ptr_equal(bf_log_quote("e"), a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_escapes),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_every_byte_is_safe),
	    cmocka_unit_test(test_cut_at_the_buffer),
	    cmocka_unit_test(test_four_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
