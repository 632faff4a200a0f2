/* msgpack writer: exact bytes at the edges of each width, reading back, the ceiling at every size,
 * no partial silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/macros.h"
#include "common/codec/mp.h"

static void write_everything(struct bf_mp_writer *w)
{
	bf_mp_write_array(w, 8);
	bf_mp_write_nil(w);
	bf_mp_write_bool(w, true);
	bf_mp_write_bool(w, false);
	bf_mp_write_i64(w, INT64_MIN);
	bf_mp_write_u64(w, UINT64_MAX);
	bf_mp_write_str(w, BF_SLICE_LIT("text"));
	bf_mp_write_bin(w, BF_SLICE_LIT("\x00\xff"));
	bf_mp_write_map(w, 1);
	bf_mp_write_str(w, (struct bf_slice){NULL, 0});
	bf_mp_write_bin(w, (struct bf_slice){NULL, 0});
}

static const char everything[] =
    "\x98\xc0\xc3\xc2\xd3\x80\x00\x00\x00\x00\x00\x00\x00"
    "\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa4text\xc4\x02\x00\xff\x81\xa0\xc4";

static void test_bytes(void **state)
{
	struct bf_buf out;
	struct bf_mp_writer w;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	bf_mp_writer_init(&w, &out);
	write_everything(&w);
	assert_int_equal(bf_mp_writer_finish(&w), 0);
	/* The last byte, the length 0 of the bin, is the literal's terminator. */
	assert_int_equal(bf_buf_len(&out), sizeof(everything));
	assert_memory_equal(bf_buf_slice(&out).ptr, everything, sizeof(everything));
	bf_buf_done(&out);
}

static void test_numbers_read_back(void **state)
{
	struct bf_buf out;
	struct bf_mp_writer w;
	struct bf_mp_reader r;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	for (unsigned bit = 0; bit < 64; bit++)
		for (int add = -1; add <= 1; add++) {
			uint64_t u = (UINT64_C(1) << bit) + (uint64_t)(int64_t)add;
			int64_t s = (int64_t)u;
			bf_buf_clear(&out);
			bf_mp_writer_init(&w, &out);
			bf_mp_write_u64(&w, u);
			bf_mp_write_i64(&w, s);
			bf_mp_write_i64(&w, (int64_t)(0 - u));
			assert_int_equal(bf_mp_writer_finish(&w), 0);
			bf_mp_reader_init(&r, bf_buf_slice(&out));
			assert_true(bf_mp_read_u64(&r) == u);
			assert_true(bf_mp_read_i64(&r) == s);
			assert_true(bf_mp_read_i64(&r) == (int64_t)(0 - u));
			assert_int_equal(bf_mp_reader_finish(&r), 0);
		}
	bf_buf_done(&out);
}

static void test_lengths_read_back(void **state)
{
	static const uint32_t lengths[] = {0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536};
	static char text[65536];
	struct bf_buf out;
	struct bf_mp_writer w;
	struct bf_mp_reader r;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	memset(text, 't', sizeof(text));
	for (size_t i = 0; i < BF_ARRAY_LEN(lengths); i++) {
		struct bf_slice s = {text, lengths[i]};
		bf_buf_clear(&out);
		bf_mp_writer_init(&w, &out);
		bf_mp_write_str(&w, s);
		bf_mp_write_bin(&w, s);
		bf_mp_write_array(&w, lengths[i]);
		for (uint32_t k = 0; k < lengths[i]; k++)
			bf_mp_write_nil(&w);
		bf_mp_write_map(&w, lengths[i] / 2);
		for (uint32_t k = 0; k < lengths[i] / 2 * 2; k++)
			bf_mp_write_bool(&w, true);
		assert_int_equal(bf_mp_writer_finish(&w), 0);
		bf_mp_reader_init(&r, bf_buf_slice(&out));
		assert_true(bf_slice_eq(bf_mp_read_str(&r), s));
		assert_true(bf_slice_eq(bf_mp_read_bin(&r), s));
		struct bf_mp_reader shallow = r;
		assert_int_equal(bf_mp_read_array(&shallow), lengths[i]);
		bf_mp_skip(&r);
		shallow = r;
		assert_int_equal(bf_mp_read_map(&shallow), lengths[i] / 2);
		bf_mp_skip(&r);
		assert_int_equal(bf_mp_reader_finish(&r), 0);
	}
	bf_buf_done(&out);
}

static void test_every_ceiling(void **state)
{
	(void)state;
	for (size_t max = 0; max <= sizeof(everything) + 1; max++) {
		struct bf_buf out;
		struct bf_mp_writer w;
		bf_buf_init(&out, max);
		bf_mp_writer_init(&w, &out);
		write_everything(&w);
		assert_int_equal(bf_mp_writer_finish(&w),
				 max < sizeof(everything) ? BF_E_LIMIT : 0);
		if (bf_buf_len(&out))
			assert_memory_equal(bf_buf_slice(&out).ptr, everything, bf_buf_len(&out));
		bf_buf_done(&out);
	}
}

static void test_lengths_beyond_the_format(void **state)
{
	struct bf_buf out;
	struct bf_mp_writer w;

	(void)state;
	bf_buf_init(&out, SIZE_MAX);
	bf_mp_writer_init(&w, &out);
	bf_mp_write_str(&w, (struct bf_slice){"x", (size_t)UINT32_MAX + 1});
	assert_int_equal(bf_mp_writer_finish(&w), BF_E_LIMIT);
	bf_mp_writer_init(&w, &out);
	bf_mp_write_bin(&w, (struct bf_slice){"x", (size_t)UINT32_MAX + 1});
	bf_mp_write_nil(&w);
	assert_int_equal(bf_mp_writer_finish(&w), BF_E_LIMIT);
	assert_int_equal(bf_buf_len(&out), 0);
	bf_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_numbers_read_back),
	    cmocka_unit_test(test_lengths_read_back),
	    cmocka_unit_test(test_every_ceiling),
	    cmocka_unit_test(test_lengths_beyond_the_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
