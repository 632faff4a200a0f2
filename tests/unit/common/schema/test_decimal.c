/* Decimal numbers: exact or refused, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/macros.h"
#include "common/schema/decimal.h"

static void parsed(void **state)
{
	static const struct {
		const char *text;
		unsigned decimals;
		int r;
		int64_t value;
	} cases[] = {
	    {"0", 9, 0, 0},
	    {"-0", 9, 0, 0},
	    {"0e99999", 9, 0, 0},
	    {"1", 0, 0, 1},
	    {"1", 9, 0, 1000000000},
	    {"0.000000001", 9, 0, 1},
	    {"0.0000000010", 9, 0, 1},
	    {"0.0000000001", 9, BF_E_TYPE, 0},
	    {"1.5e-07", 12, 0, 150000},
	    {"1.5E-7", 12, 0, 150000},
	    {"15e-8", 12, 0, 150000},
	    {"0.00000015", 12, 0, 150000},
	    {"1.5e-12", 12, BF_E_TYPE, 0},
	    {"2.5e+3", 6, 0, 2500000000},
	    {"2.5e3", 0, 0, 2500},
	    {"10.50", 1, 0, 105},
	    {"10.55", 1, BF_E_TYPE, 0},
	    {"-0.25", 6, 0, -250000},
	    {"100000000000000000000e-20", 0, 0, 1},
	    {"9223372036854775807", 0, 0, INT64_MAX},
	    {"9223372036854775808", 0, BF_E_RANGE, 0},
	    {"9223372036.854775807", 9, 0, INT64_MAX},
	    {"18446744073709551617", 0, BF_E_RANGE, 0},
	    {"99999999999999999999999", 0, BF_E_RANGE, 0},
	    {"0.12345678901234567890123", 9, BF_E_TYPE, 0},
	    {"1e19", 0, BF_E_RANGE, 0},
	    {"1e9999999999", 0, BF_E_RANGE, 0},
	    {"1e-9999999999", 0, BF_E_TYPE, 0},
	    {"", 0, BF_E_SYNTAX, 0},
	    {"-", 0, BF_E_SYNTAX, 0},
	    {"+1", 0, BF_E_SYNTAX, 0},
	    {"01", 0, BF_E_SYNTAX, 0},
	    {"1.", 6, BF_E_SYNTAX, 0},
	    {".5", 6, BF_E_SYNTAX, 0},
	    {"1e", 6, BF_E_SYNTAX, 0},
	    {"1e-", 6, BF_E_SYNTAX, 0},
	    {"1 ", 6, BF_E_SYNTAX, 0},
	    {"0x10", 6, BF_E_SYNTAX, 0},
	    {"1_000", 6, BF_E_SYNTAX, 0},
	    {"1.5.5", 6, BF_E_SYNTAX, 0},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		int64_t value = 77;
		int r = bf_decimal_parse(bf_slice_from(cases[i].text), cases[i].decimals, &value);

		if (r != cases[i].r || value != (r ? 77 : cases[i].value))
			fail_msg("%s: %d %lld", cases[i].text, r, (long long)value);
	}
}

static void both_ways(void **state)
{
	static const int64_t values[] = {
	    0,         1,         -1, 9, 10, 11, 99, 100, -5, 1500000, 123456789, 1000000000000,
	    INT64_MAX, -INT64_MAX};
	char text[BF_DECIMAL_BYTES];

	(void)state;
	for (unsigned decimals = 0; decimals <= BF_DECIMALS_MAX; decimals++) {
		for (size_t i = 0; i < BF_ARRAY_LEN(values); i++) {
			int64_t back = 77;

			(void)bf_decimal_format(values[i], decimals, text);
			assert_int_equal(bf_decimal_parse(bf_slice_from(text), decimals, &back), 0);
			assert_true(back == values[i]);
			assert_true(!strchr(text, '.') || text[strlen(text) - 1] != '0');
		}
	}
	assert_string_equal(bf_decimal_format(150000, 12, text), "0.00000015");
	assert_string_equal(bf_decimal_format(-1500000, 6, text), "-1.5");
	assert_string_equal(bf_decimal_format(2000000, 6, text), "2");
}

static void every_cut(void **state)
{
	static const char text[] = "123.456e-2";
	static const int wanted[] = {BF_E_SYNTAX, 0,           0,           0, BF_E_SYNTAX, 0, 0,
				     0,           BF_E_SYNTAX, BF_E_SYNTAX, 0};

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		int64_t value;

		assert_int_equal(bf_decimal_parse((struct bf_slice){text, len}, 9, &value),
				 wanted[len]);
	}
}

static void nearest(void **state)
{
	static const struct {
		const char *text;
		int64_t value; /* of two decimals */
	} cases[] = {
	    {"0", 0},
	    {"0.005", 1},
	    {"0.014", 1},
	    {"0.015", 2},
	    {"0.0249999", 2},
	    {"-0.005", -1},
	    {"-0.015", -2},
	    {"-0.00e-5", 0},
	    {"12.345", 1235},
	    {"0.995", 100},
	    {"1e2", 10000},
	    {"0.000", 0},
	    {"0e-9", 0},
	    {"184467440737095516.15e-16", 1845},
	    /* More digits than a number holds. */
	    {"1.23456789012345678901234", 123},
	    {"1.2350000000000000000000001", 124},
	    {"-1.2349999999999999999999999", -123},
	    {"0.00500000000000000000000000000000001", 1},
	    {"123456789012345678901234567890e-28", 1235},
	};
	int64_t value;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		assert_int_equal(bf_decimal_parse_nearest(bf_slice_from(cases[i].text), 2, &value),
				 0);
		if (value != cases[i].value)
			fail_msg("%s: %lld", cases[i].text, (long long)value);
	}
	/* What is more than nothing is not made nothing. */
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT("0.0049"), 2, &value) == BF_E_TYPE);
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT("-0.001"), 2, &value) == BF_E_TYPE);
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT("1e-300"), 2, &value) == BF_E_TYPE);
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT("1e40"), 2, &value) == BF_E_RANGE);
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT("9e-4"), 2, &value) == BF_E_TYPE);
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT("9e-300"), 2, &value) == BF_E_TYPE);
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT("0.00499999999999999999999999"), 2,
					     &value) == BF_E_TYPE);
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT("12345678901234567890123"), 2, &value) ==
		    BF_E_RANGE);
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT("1234567890123456789012.345"), 2,
					     &value) == BF_E_RANGE);
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT("x"), 2, &value) == BF_E_SYNTAX);
	assert_true(bf_decimal_parse_nearest(BF_SLICE_LIT(""), 2, &value) == BF_E_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parsed),
	    cmocka_unit_test(both_ways),
	    cmocka_unit_test(every_cut),
	    cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
