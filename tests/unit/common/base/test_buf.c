/* Buffer: the ceiling to the byte, order of bytes under random traffic, compaction, printf, and
 * realloc failing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/err.h"

static int fail_after = -1;

void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

void *__wrap_realloc(void *ptr, size_t size)
{
	if (fail_after == 0)
		return NULL;
	if (fail_after > 0)
		fail_after--;
	return __real_realloc(ptr, size);
}

static void test_ceiling_is_exact(void **state)
{
	struct bf_buf b;
	char bytes[100] = {0};

	(void)state;
	bf_buf_init(&b, 100);
	assert_int_equal(bf_buf_append(&b, bytes, 99), 0);
	assert_int_equal(bf_buf_append(&b, bytes, 2), BF_E_LIMIT);
	assert_int_equal(bf_buf_len(&b), 99);
	assert_int_equal(bf_buf_append(&b, bytes, 1), 0);
	assert_int_equal(bf_buf_append(&b, bytes, 1), BF_E_LIMIT);
	assert_int_equal(bf_buf_append(&b, bytes, 0), 0);
	assert_int_equal(bf_buf_append_slice(&b, (struct bf_slice){NULL, 0}), 0);
	assert_int_equal(bf_buf_append_slice(&b, BF_SLICE_LIT("x")), BF_E_LIMIT);
	bf_buf_consume(&b, 40);
	assert_int_equal(bf_buf_append(&b, bytes, 41), BF_E_LIMIT);
	assert_int_equal(bf_buf_append(&b, bytes, 40), 0);
	assert_true(b.size <= 100);
	bf_buf_done(&b);
}

static void test_wants_that_overflow(void **state)
{
	struct bf_buf b;

	(void)state;
	bf_buf_init(&b, SIZE_MAX);
	assert_int_equal(bf_buf_reserve(&b, SIZE_MAX), BF_E_LIMIT);
	assert_int_equal(bf_buf_append(&b, "x", 1), 0);
	assert_int_equal(bf_buf_reserve(&b, SIZE_MAX), BF_E_LIMIT);
	assert_int_equal(bf_buf_reserve(&b, SIZE_MAX - 1), BF_E_LIMIT);
	assert_int_equal(bf_buf_len(&b), 1);
	bf_buf_done(&b);

	bf_buf_init(&b, 0);
	assert_int_equal(bf_buf_append(&b, "x", 1), BF_E_LIMIT);
	assert_int_equal(bf_buf_reserve(&b, 0), 0);
	bf_buf_done(&b);
}

static void test_reserve_gives_room(void **state)
{
	struct bf_buf b;

	(void)state;
	bf_buf_init(&b, 1 << 20);
	for (size_t want = 1; want < 300000; want = want * 2 + 3) {
		assert_int_equal(bf_buf_reserve(&b, want), 0);
		assert_true(b.size - b.end >= want);
		memset(b.data + b.end, 'y', want);
	}
	bf_buf_done(&b);
}

/* A counter goes in at one end and must come out at the other, whatever the sizes of the steps. */
static void test_random_traffic_keeps_order(void **state)
{
	static const size_t ceilings[] = {1, 7, 600, 5000, 300000};

	(void)state;
	for (size_t c = 0; c < BF_ARRAY_LEN(ceilings); c++) {
		struct bf_buf b;
		uint8_t in = 0, out = 0;
		uint32_t seed = 12345;
		bf_buf_init(&b, ceilings[c]);
		for (int step = 0; step < 3000; step++) {
			seed = seed * 1664525 + 1013904223;
			size_t n = (seed >> 8) % (ceilings[c] / 2 + 1);
			bool fits = n <= ceilings[c] - bf_buf_len(&b);
			assert_int_equal(bf_buf_reserve(&b, n), fits ? 0 : BF_E_LIMIT);
			for (size_t i = 0; fits && i < n; i++)
				b.data[b.end++] = (char)in++;
			size_t gone = bf_buf_len(&b) * ((seed >> 3) & 15) / 15;
			for (size_t i = 0; i < gone; i++)
				if ((uint8_t)b.data[b.start + i] != out++)
					fail_msg("byte out of order");
			bf_buf_consume(&b, gone);
			assert_true(b.size <= BF_MAX(ceilings[c], (size_t)1));
		}
		bf_buf_done(&b);
	}
}

static void test_small_buffers_compact_before_they_grow(void **state)
{
	struct bf_buf b;
	char bytes[512] = {0};

	(void)state;
	bf_buf_init(&b, 1 << 20);
	assert_int_equal(bf_buf_append(&b, bytes, 512), 0);
	size_t size = b.size;
	for (int i = 0; i < 100; i++) {
		bf_buf_consume(&b, 100);
		assert_int_equal(bf_buf_append(&b, bytes, 100), 0);
	}
	assert_int_equal(b.size, size);
	bf_buf_done(&b);
}

/* A large buffer that stays nearly full must not move all its bytes for each small step: 200,000
 * steps in a moment. */
static void test_large_nearly_full_buffer_is_not_quadratic(void **state)
{
	struct bf_buf b;
	size_t moves = 0;

	(void)state;
	bf_buf_init(&b, 8u << 20);
	assert_int_equal(bf_buf_reserve(&b, 1u << 20), 0);
	memset(b.data, 'z', 1u << 20);
	b.end = 1u << 20;
	for (int i = 0; i < 200000; i++) {
		size_t start = b.start;
		assert_int_equal(bf_buf_append(&b, "0123456789", 10), 0);
		moves += b.start < start;
		bf_buf_consume(&b, 10);
	}
	assert_true(moves <= 4);
	assert_true(b.size <= 4u << 20);
	bf_buf_done(&b);
}

static void test_printf_to_the_ceiling(void **state)
{
	struct bf_buf b;

	(void)state;
	bf_buf_init(&b, 10);
	assert_int_equal(bf_buf_printf(&b, "%s", "12345"), 0);
	assert_int_equal(bf_buf_printf(&b, "%s", "123456"), BF_E_LIMIT);
	assert_int_equal(bf_buf_len(&b), 5);
	assert_int_equal(bf_buf_printf(&b, "%d", 67890), 0);
	assert_memory_equal(b.data, "1234567890", 10);
	assert_int_equal(bf_buf_printf(&b, "x"), BF_E_LIMIT);
	bf_buf_consume(&b, 3);
	assert_int_equal(bf_buf_printf(&b, "abc"), 0);
	assert_memory_equal(bf_buf_slice(&b).ptr, "4567890abc", 10);
	bf_buf_clear(&b);
	assert_int_equal(bf_buf_len(&b), 0);
	assert_int_equal(bf_buf_printf(&b, "%s", ""), 0);
	bf_buf_done(&b);
	assert_null(bf_buf_slice(&b).ptr);
	bf_buf_done(&b);
}

static void test_realloc_fails_at_call_n(void **state)
{
	char bytes[1000] = {0};

	(void)state;
	for (int n = 0; n < 3; n++) {
		struct bf_buf b;
		size_t len = 0;
		int r = 0;
		bf_buf_init(&b, 1 << 20);
		fail_after = n;
		while (r == 0) {
			r = bf_buf_append(&b, bytes, sizeof(bytes));
			len += r == 0 ? sizeof(bytes) : 0;
		}
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(bf_buf_len(&b), len);
		fail_after = 0;
		bf_buf_consume(&b, len);
		assert_int_equal(bf_buf_printf(&b, "%4000d", 1), -ENOMEM);
		assert_int_equal(bf_buf_len(&b), 0);
		fail_after = -1;
		assert_int_equal(bf_buf_append(&b, bytes, sizeof(bytes)), 0);
		bf_buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ceiling_is_exact),
	    cmocka_unit_test(test_wants_that_overflow),
	    cmocka_unit_test(test_reserve_gives_room),
	    cmocka_unit_test(test_random_traffic_keeps_order),
	    cmocka_unit_test(test_small_buffers_compact_before_they_grow),
	    cmocka_unit_test(test_large_nearly_full_buffer_is_not_quadratic),
	    cmocka_unit_test(test_printf_to_the_ceiling),
	    cmocka_unit_test(test_realloc_fails_at_call_n),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
