/* msgpack reader: every first byte, every width at its edges, cuts and mutations at every byte,
 * bombs of depth and count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/macros.h"
#include "common/codec/mp.h"

static struct bf_mp_reader reader_of(const void *bytes, size_t len)
{
	struct bf_mp_reader r;

	bf_mp_reader_init(&r, (struct bf_slice){bytes, len});
	return r;
}

#define READER(lit) reader_of("" lit, sizeof(lit) - 1)

/* One value of each kind and width. */
static const char sample[] =
    "\xdc\x00\x1b"
    "\xc0\xc2\xc3\x00\x7f\xe0\xff\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff"
    "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00"
    "\xd3\x80\x00\x00\x00\x00\x00\x00\x00\xa3"
    "abc\xd9\x02"
    "de\xda\x00\x01"
    "f\xdb\x00\x00\x00\x01"
    "g\xc4\x01\x00\xc5\x00\x01\x01\xc6\x00\x00\x00\x01\x02"
    "\xca\x3f\x80\x00\x00\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"
    "\xd4\x01\x00\xc7\x02\x05\x01\x02"
    "\x82\x01\x91\x02\xa1"
    "k\xde\x00\x01\xc0\xdd\x00\x00\x00\x01\xc0";

static void test_integers(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int64_t value;
	} rows[] = {
	    {"\x00", 1, 0},
	    {"\x7f", 1, 127},
	    {"\xe0", 1, -32},
	    {"\xff", 1, -1},
	    {"\xcc\xff", 2, 255},
	    {"\xcd\xff\xff", 3, 65535},
	    {"\xce\xff\xff\xff\xff", 5, UINT32_MAX},
	    {"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9, INT64_MAX},
	    {"\xd0\x80", 2, -128},
	    {"\xd0\x7f", 2, 127},
	    {"\xd1\x80\x00", 3, -32768},
	    {"\xd2\x80\x00\x00\x00", 5, INT32_MIN},
	    {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, INT64_MIN},
	    {"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", 9, -1},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(rows); i++) {
		struct bf_mp_reader r = reader_of(rows[i].bytes, rows[i].len);
		assert_int_equal(bf_mp_peek(&r), BF_MP_INT);
		assert_true(bf_mp_read_i64(&r) == rows[i].value);
		assert_int_equal(bf_mp_reader_finish(&r), 0);
		r = reader_of(rows[i].bytes, rows[i].len);
		uint64_t value = bf_mp_read_u64(&r);
		assert_int_equal(r.error, rows[i].value < 0 ? BF_E_RANGE : 0);
		assert_true(value == (rows[i].value < 0 ? 0 : (uint64_t)rows[i].value));
	}
	struct bf_mp_reader r = READER("\xcf\x80\x00\x00\x00\x00\x00\x00\x00");
	assert_int_equal(bf_mp_peek(&r), BF_MP_UINT);
	assert_true(bf_mp_read_u64(&r) == UINT64_C(1) << 63);
	assert_int_equal(bf_mp_reader_finish(&r), 0);
	r = READER("\xcf\x80\x00\x00\x00\x00\x00\x00\x00");
	assert_int_equal(bf_mp_read_i64(&r), 0);
	assert_int_equal(r.error, BF_E_RANGE);
}

static void test_typed_values(void **state)
{
	struct bf_mp_reader r =
	    READER("\xc3\xc2\xc0\xa2hi\xc4\x02\x00\xff\x92\x01\x02\x81\x01\x02\xa0\xc4\x00");

	(void)state;
	assert_true(bf_mp_read_bool(&r));
	assert_false(bf_mp_read_bool(&r));
	bf_mp_read_nil(&r);
	assert_true(bf_slice_is(bf_mp_read_str(&r), "hi"));
	struct bf_slice bin = bf_mp_read_bin(&r);
	assert_int_equal(bin.len, 2);
	assert_memory_equal(bin.ptr, "\x00\xff", 2);
	assert_int_equal(bf_mp_read_array(&r), 2);
	assert_int_equal(bf_mp_read_i64(&r), 1);
	assert_int_equal(bf_mp_read_u64(&r), 2);
	assert_int_equal(bf_mp_read_map(&r), 1);
	bf_mp_skip(&r);
	bf_mp_skip(&r);
	assert_int_equal(bf_mp_read_str(&r).len, 0);
	assert_int_equal(bf_mp_read_bin(&r).len, 0);
	assert_int_equal(bf_mp_peek(&r), BF_MP_END);
	assert_int_equal(bf_mp_reader_finish(&r), 0);
}

static void call(struct bf_mp_reader *r, int which)
{
	switch (which) {
	case 0:
		(void)bf_mp_read_bool(r);
		break;
	case 1:
		(void)bf_mp_read_i64(r);
		break;
	case 2:
		(void)bf_mp_read_u64(r);
		break;
	case 3:
		(void)bf_mp_read_str(r);
		break;
	case 4:
		(void)bf_mp_read_bin(r);
		break;
	case 5:
		bf_mp_read_nil(r);
		break;
	case 6:
		(void)bf_mp_read_array(r);
		break;
	case 7:
		(void)bf_mp_read_map(r);
		break;
	default:
		bf_mp_skip(r);
		break;
	}
}

/* Each call on each first byte: the type that peek tells is read, every other call is BF_E_TYPE and
 * moves nothing. */
static void test_every_first_byte_with_every_call(void **state)
{
	static const unsigned reads[] = {
	    [BF_MP_NIL] = 1 << 5,   [BF_MP_BOOL] = 1 << 0, [BF_MP_INT] = 1 << 1 | 1 << 2,
	    [BF_MP_UINT] = 1 << 2,  [BF_MP_STR] = 1 << 3,  [BF_MP_BIN] = 1 << 4,
	    [BF_MP_ARRAY] = 1 << 6, [BF_MP_MAP] = 1 << 7,  [BF_MP_FLOAT] = 0,
	    [BF_MP_EXT] = 0,
	};
	unsigned char bytes[64];

	(void)state;
	for (unsigned first = 0; first < 256; first++)
		for (int which = 0; which < 9; which++) {
			memset(bytes, 0, sizeof(bytes));
			bytes[0] = (unsigned char)first;
			struct bf_mp_reader r = reader_of(bytes, sizeof(bytes));
			enum bf_mp_type type = bf_mp_peek(&r);
			call(&r, which);
			if (first == 0xc1) {
				assert_int_equal(type, BF_MP_ERROR);
				assert_int_equal(r.error, BF_E_SYNTAX);
			} else if (which == 8 || (reads[type] & 1u << which)) {
				/* Negative fixed numbers are out of the range of u64. */
				assert_int_equal(r.error,
						 which == 2 && first >= 0xe0 ? BF_E_RANGE : 0);
				assert_true(r.pos > bytes);
			} else {
				assert_int_equal(r.error, BF_E_TYPE);
				assert_ptr_equal(r.pos, bytes);
			}
		}
}

static void test_nothing_after_the_first_error(void **state)
{
	struct bf_mp_reader r = READER("\xa1x\x01\x02");

	(void)state;
	(void)bf_mp_read_i64(&r);
	assert_int_equal(r.error, BF_E_TYPE);
	for (int which = 0; which < 9; which++)
		call(&r, which);
	assert_int_equal(bf_mp_peek(&r), BF_MP_ERROR);
	assert_int_equal(bf_mp_read_array(&r), 0);
	assert_null(bf_mp_read_str(&r).ptr);
	assert_int_equal(bf_mp_reader_finish(&r), BF_E_TYPE);
}

static void test_left_over_bytes(void **state)
{
	struct bf_mp_reader r = READER("\x01\x02");

	(void)state;
	(void)bf_mp_read_i64(&r);
	assert_int_equal(bf_mp_reader_finish(&r), BF_E_SYNTAX);
	r = reader_of(NULL, 0);
	assert_int_equal(bf_mp_peek(&r), BF_MP_END);
	assert_int_equal(bf_mp_reader_finish(&r), 0);
	(void)bf_mp_read_bool(&r);
	assert_int_equal(bf_mp_reader_finish(&r), BF_E_SYNTAX);
}

static int skip_copy(const void *bytes, size_t len)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	struct bf_mp_reader r = reader_of(copy, len);
	bf_mp_skip(&r);
	int error = bf_mp_reader_finish(&r);
	free(copy);
	return error;
}

static void test_cut_at_every_byte(void **state)
{
	(void)state;
	assert_int_equal(skip_copy(sample, sizeof(sample) - 1), 0);
	for (size_t len = 0; len < sizeof(sample) - 1; len++) {
		int error = skip_copy(sample, len);
		assert_true(error == BF_E_SYNTAX || error == BF_E_LIMIT);
	}
}

static void test_one_mutated_byte(void **state)
{
	char copy[sizeof(sample)];
	unsigned accepted = 0;

	(void)state;
	for (size_t at = 0; at < sizeof(sample) - 1; at++)
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(copy, sample, sizeof(sample));
			copy[at] = (char)byte;
			int error = skip_copy(copy, sizeof(sample) - 1);
			assert_true(error == 0 || error == BF_E_SYNTAX || error == BF_E_LIMIT);
			accepted += error == 0;
		}
	assert_true(accepted > 1000);
}

/* Counts and lengths that claim more than there is, up to 4 G. */
static void test_huge_counts(void **state)
{
	(void)state;
	struct bf_mp_reader r = READER("\xdd\xff\xff\xff\xff\x01\x02");
	assert_int_equal(bf_mp_read_array(&r), 0);
	assert_int_equal(r.error, BF_E_LIMIT);
	r = READER("\xdf\xff\xff\xff\xff\x01\x02");
	assert_int_equal(bf_mp_read_map(&r), 0);
	assert_int_equal(r.error, BF_E_LIMIT);
	r = READER("\xdf\x80\x00\x00\x00\x01\x02");
	bf_mp_skip(&r);
	assert_int_equal(r.error, BF_E_LIMIT);
	r = READER("\x82\x01\x02\x03");
	assert_int_equal(bf_mp_read_map(&r), 0);
	assert_int_equal(r.error, BF_E_LIMIT);
	r = READER("\x93\x01\x02\x03");
	assert_int_equal(bf_mp_read_array(&r), 3);
	r = READER("\x94\x01\x02\x03");
	assert_int_equal(bf_mp_read_array(&r), 0);
	r = READER("\xdb\xff\xff\xff\xff"
		   "ab");
	assert_null(bf_mp_read_str(&r).ptr);
	assert_int_equal(r.error, BF_E_SYNTAX);
	assert_int_equal(skip_copy("\xc6\xff\xff\xff\xff\x00", 6), BF_E_SYNTAX);
	assert_int_equal(skip_copy("\xc9\xff\xff\xff\xff\x00\x00", 7), BF_E_SYNTAX);
	assert_int_equal(skip_copy("\xd8\x00\x00", 3), BF_E_SYNTAX);
}

static void test_depth(void **state)
{
	static char bytes[3000000];

	(void)state;
	memset(bytes, '\x91', sizeof(bytes));
	bytes[64] = '\x01';
	assert_int_equal(skip_copy(bytes, 65), 0);
	bytes[64] = '\x91';
	bytes[65] = '\x01';
	assert_int_equal(skip_copy(bytes, 66), BF_E_LIMIT);
	bytes[65] = '\x91';
	assert_int_equal(skip_copy(bytes, sizeof(bytes)), BF_E_LIMIT);
	memset(bytes, '\x81', sizeof(bytes));
	assert_int_equal(skip_copy(bytes, sizeof(bytes)), BF_E_LIMIT);
	/* Many values on one level are no depth. */
	memset(bytes, '\x90', sizeof(bytes));
	memcpy(bytes, "\xdd\x00\x2d\xc6\xbb", 5);
	assert_int_equal(skip_copy(bytes, 5 + 0x2dc6bb), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_integers),
	    cmocka_unit_test(test_typed_values),
	    cmocka_unit_test(test_every_first_byte_with_every_call),
	    cmocka_unit_test(test_nothing_after_the_first_error),
	    cmocka_unit_test(test_left_over_bytes),
	    cmocka_unit_test(test_cut_at_every_byte),
	    cmocka_unit_test(test_one_mutated_byte),
	    cmocka_unit_test(test_huge_counts),
	    cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
