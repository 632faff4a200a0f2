/* Numbers, durations, sizes, millionths: the edges of every range, garbage, and text that reads
 * back as it was. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/macros.h"
#include "common/base/num.h"

#define UNTOUCHED 4242

struct row {
	const char *text;
	int code;
	int64_t value;
};

typedef int (*parse_fn)(struct bf_slice text, int64_t *ret_value);

static void check(const struct row *rows, size_t count, parse_fn parse)
{
	for (size_t i = 0; i < count; i++) {
		int64_t value = UNTOUCHED;
		int r = parse(bf_slice_from(rows[i].text), &value);
		if (r != rows[i].code || value != (r ? UNTOUCHED : rows[i].value))
			fail_msg("\"%s\": code %d, value %lld", rows[i].text, r, (long long)value);
	}
}

static void test_i64(void **state)
{
	static const struct row rows[] = {
	    {"0", 0, 0},
	    {"-0", 0, 0},
	    {"9223372036854775807", 0, INT64_MAX},
	    {"-9223372036854775808", 0, INT64_MIN},
	    {"9223372036854775808", BF_E_RANGE, 0},
	    {"-9223372036854775809", BF_E_RANGE, 0},
	    {"18446744073709551616", BF_E_RANGE, 0},
	    {"99999999999999999999999", BF_E_RANGE, 0},
	    {"99999999999999999999999x", BF_E_SYNTAX, 0},
	    {"", BF_E_SYNTAX, 0},
	    {"-", BF_E_SYNTAX, 0},
	    {"+1", BF_E_SYNTAX, 0},
	    {" 1", BF_E_SYNTAX, 0},
	    {"1 ", BF_E_SYNTAX, 0},
	    {"010", BF_E_SYNTAX, 0},
	    {"--1", BF_E_SYNTAX, 0},
	    {"0x10", BF_E_SYNTAX, 0},
	    {"1.0", BF_E_SYNTAX, 0},
	    {"1e3", BF_E_SYNTAX, 0},
	};

	(void)state;
	check(rows, BF_ARRAY_LEN(rows), bf_parse_i64);
}

static void test_u64(void **state)
{
	uint64_t value = UNTOUCHED;

	(void)state;
	assert_int_equal(bf_parse_u64(BF_SLICE_LIT("18446744073709551615"), &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(bf_parse_u64(BF_SLICE_LIT("18446744073709551616"), &value), BF_E_RANGE);
	assert_int_equal(bf_parse_u64(BF_SLICE_LIT("-1"), &value), BF_E_SYNTAX);
	assert_int_equal(bf_parse_u64(BF_SLICE_LIT("00"), &value), BF_E_SYNTAX);
	assert_int_equal(bf_parse_u64((struct bf_slice){NULL, 0}, &value), BF_E_SYNTAX);
	assert_true(value == UINT64_MAX);
	/* The length counts, not a terminator. */
	assert_int_equal(bf_parse_u64((struct bf_slice){"123", 2}, &value), 0);
	assert_true(value == 12);
	assert_int_equal(bf_parse_u64((struct bf_slice){"1\0", 2}, &value), BF_E_SYNTAX);
}

static void test_duration(void **state)
{
	static const struct row rows[] = {
	    {"1500ms", 0, 1500},
	    {"30s", 0, 30000},
	    {"5m", 0, 300000},
	    {"2h", 0, 7200000},
	    {"1d", 0, 86400000},
	    {"1h30m", 0, 5400000},
	    {"1.5s", 0, 1500},
	    {"0.001s", 0, 1},
	    {"1.000s", 0, 1000},
	    {"0.0010000000000000000s", 0, 1},
	    {"1500us", BF_E_RANGE, 0},
	    {"2000us", 0, 2},
	    {"2000\xc2\xb5s", 0, 2},
	    {"2000\xce\xbcs", 0, 2},
	    {"500us500000ns", 0, 1},
	    {"1.5ms", BF_E_RANGE, 0},
	    {"0.0001s", BF_E_RANGE, 0},
	    {"0.00000000000000001d", BF_E_RANGE, 0},
	    {"0s", 0, 0},
	    {"1m1m", 0, 120000},
	    {"9223372036854775807ms", 0, INT64_MAX},
	    {"9223372036854775808ms", BF_E_RANGE, 0},
	    {"99999999999999999999d", BF_E_RANGE, 0},
	    {"99999999999999999999d?", BF_E_SYNTAX, 0},
	    {"9223372036854775807ms1ms", BF_E_RANGE, 0},
	    {"", BF_E_SYNTAX, 0},
	    {"0", BF_E_SYNTAX, 0},
	    {"30", BF_E_SYNTAX, 0},
	    {"s", BF_E_SYNTAX, 0},
	    {"-1s", BF_E_SYNTAX, 0},
	    {"1.s", BF_E_SYNTAX, 0},
	    {".5s", BF_E_SYNTAX, 0},
	    {"1h30", BF_E_SYNTAX, 0},
	    {"1 s", BF_E_SYNTAX, 0},
	    {"1S", BF_E_SYNTAX, 0},
	    {"1w", BF_E_SYNTAX, 0},
	    {"1.5.5s", BF_E_SYNTAX, 0},
	    {"1s ", BF_E_SYNTAX, 0},
	};

	(void)state;
	check(rows, BF_ARRAY_LEN(rows), bf_parse_duration_ms);
}

static int parse_size(struct bf_slice text, int64_t *ret_value)
{
	uint64_t value;
	int r = bf_parse_size(text, &value);

	if (r == 0)
		*ret_value = (int64_t)value;
	return r;
}

static void test_size(void **state)
{
	static const struct row rows[] = {
	    {"512", 0, 512},
	    {"512B", 0, 512},
	    {"64KiB", 0, 65536},
	    {"64KB", 0, 65536},
	    {"64K", 0, 65536},
	    {"64kib", 0, 65536},
	    {"10MB", 0, 10485760},
	    {"2GB", 0, INT64_C(2) << 30},
	    {"1TiB", 0, INT64_C(1) << 40},
	    {"0", 0, 0},
	    {"16777215TB", 0, (int64_t)(UINT64_C(16777215) << 40)},
	    {"16777216TB", BF_E_RANGE, 0},
	    {"18446744073709551616", BF_E_RANGE, 0},
	    {"18446744073709551616x", BF_E_SYNTAX, 0},
	    {"", BF_E_SYNTAX, 0},
	    {"K", BF_E_SYNTAX, 0},
	    {"1Ki", BF_E_SYNTAX, 0},
	    {"1iB", BF_E_SYNTAX, 0},
	    {"1KBB", BF_E_SYNTAX, 0},
	    {"1 KB", BF_E_SYNTAX, 0},
	    {"-1", BF_E_SYNTAX, 0},
	    {"1.5MB", BF_E_SYNTAX, 0},
	    {"1PB", BF_E_SYNTAX, 0},
	    {"1\x0b", BF_E_SYNTAX, 0},
	};

	(void)state;
	check(rows, BF_ARRAY_LEN(rows), parse_size);
}

static void test_micro(void **state)
{
	static const struct row rows[] = {
	    {"0.25", 0, 250000},
	    {"1", 0, 1000000},
	    {"-0.5", 0, -500000},
	    {"0.000001", 0, 1},
	    {"9223372036854.775807", 0, INT64_MAX},
	    {"-9223372036854.775808", 0, INT64_MIN},
	    {"9223372036854.775808", BF_E_RANGE, 0},
	    {"18446744073709.551616", BF_E_RANGE, 0},
	    {"99999999999999999999", BF_E_RANGE, 0},
	    {"0.0000001", BF_E_RANGE, 0},
	    {"0.0000000", BF_E_RANGE, 0},
	    {"", BF_E_SYNTAX, 0},
	    {"-", BF_E_SYNTAX, 0},
	    {".5", BF_E_SYNTAX, 0},
	    {"1.", BF_E_SYNTAX, 0},
	    {"01", BF_E_SYNTAX, 0},
	    {"1e-3", BF_E_SYNTAX, 0},
	    {"0.5 ", BF_E_SYNTAX, 0},
	    {"0.0000000x", BF_E_SYNTAX, 0},
	};

	(void)state;
	check(rows, BF_ARRAY_LEN(rows), bf_parse_micro);
}

static void test_formats(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(bf_format_duration_ms(90000, out), "90s");
	assert_string_equal(bf_format_duration_ms(1500, out), "1500ms");
	assert_string_equal(bf_format_duration_ms(5400000, out), "90m");
	assert_string_equal(bf_format_duration_ms(0, out), "0s");
	assert_string_equal(bf_format_duration_ms(7200000, out), "2h");
	assert_string_equal(bf_format_duration_ms(172800000, out), "2d");
	assert_string_equal(bf_format_duration_ms(INT64_MIN, out), "-9223372036854775808ms");
	assert_string_equal(bf_format_size(0, out), "0");
	assert_string_equal(bf_format_size(1023, out), "1023");
	assert_string_equal(bf_format_size(65536, out), "64KiB");
	assert_string_equal(bf_format_size(UINT64_MAX, out), "18446744073709551615");
	assert_string_equal(bf_format_size(UINT64_C(1) << 60, out), "1048576TiB");
}

static void test_formats_read_back(void **state)
{
	char out[32];

	(void)state;
	for (uint64_t v = 1; v < UINT64_MAX / 7; v = v * 7 + 3) {
		for (unsigned shift = 0; shift < 50; shift += 10) {
			uint64_t size = v << shift, size_back;
			int64_t ms =
			    (int64_t)(v % (INT64_MAX / 86400000)) * (shift == 20   ? 60000
								     : shift == 30 ? 86400000
										   : 1);
			int64_t ms_back;
			assert_int_equal(
			    bf_parse_size(bf_slice_from(bf_format_size(size, out)), &size_back), 0);
			assert_true(size_back == size);
			assert_int_equal(
			    bf_parse_duration_ms(bf_slice_from(bf_format_duration_ms(ms, out)),
						 &ms_back),
			    0);
			assert_true(ms_back == ms);
		}
	}
}

static void test_decimal(void **state)
{
	static const uint64_t edges[] = {
	    99999999, 100000000, UINT32_MAX, 10000100001, UINT64_C(1000000000001), UINT64_MAX};
	char text[64], expected[32];
	char *end = text + 40;

	(void)state;
	for (size_t i = 0; i < 20000 + BF_ARRAY_LEN(edges); i++) {
		uint64_t value = i < 20000 ? i : edges[i - 20000];

		memset(text, '#', sizeof(text));
		char *from = bf_format_u64_before(end, value);
		int len = snprintf(expected, sizeof(expected), "%" PRIu64, value);
		assert_int_equal(end - from, len);
		assert_memory_equal(from, expected, (size_t)len);
		assert_int_equal(from[-1], '#');
		assert_int_equal(*end, '#');
	}
}

static void test_hex(void **state)
{
	uint8_t all[256];
	char out[513] = "", pair[3];

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	assert_ptr_equal(bf_format_hex(all, 0, out), out);
	assert_int_equal(out[0], '\0');
	assert_ptr_equal(bf_format_hex(all, sizeof(all), out), out + 512);
	assert_int_equal(out[512], '\0');
	for (size_t i = 0; i < sizeof(all); i++) {
		(void)snprintf(pair, sizeof(pair), "%02x", (unsigned)i);
		assert_memory_equal(out + 2 * i, pair, 2);
	}
}

/* Of every length, nothing but its own digits is written. */
static void test_hex_of_every_length(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x09, 0x0a, 0x9f, 0xa0, 0xff, 0x10, 0xf9, 0x90,
					0x7f, 0x80, 0x99, 0xaa, 0x5b, 0xb5, 0xc3, 0x3c, 0xde};
	static const char digits[] = "00090a9fa0ff10f9907f8099aa5bb5c33cde";
	char out[2 * sizeof(bytes) + 1];

	(void)state;
	for (size_t from = 0; from < sizeof(bytes); from++) {
		for (size_t len = 0; len <= sizeof(bytes) - from; len++) {
			memset(out, '#', sizeof(out));
			assert_ptr_equal(bf_format_hex(bytes + from, len, out), out + 2 * len);
			assert_memory_equal(out, digits + 2 * from, 2 * len);
			for (size_t i = 2 * len; i < sizeof(out); i++)
				assert_int_equal(out[i], '#');
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_i64),
	    cmocka_unit_test(test_u64),
	    cmocka_unit_test(test_duration),
	    cmocka_unit_test(test_size),
	    cmocka_unit_test(test_micro),
	    cmocka_unit_test(test_formats),
	    cmocka_unit_test(test_formats_read_back),
	    cmocka_unit_test(test_decimal),
	    cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_hex_of_every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
