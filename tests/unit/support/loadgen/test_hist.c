/* The histogram against sorted data: every quantile within a step above the nearest rank. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "common/base/macros.h"
#include "tests/support/loadgen/hist.h"

#define COUNT 20000u

static struct hist h;
static uint64_t values[COUNT];

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void check_all(size_t count)
{
	static const uint32_t shares[] = {0, 1, 500000, 900000, 990000, 999000, 999999, 1000000};

	h = (struct hist){0};
	for (size_t i = 0; i < count; i++)
		hist_add(&h, values[i]);
	qsort(values, count, sizeof(*values), by_size);
	for (size_t i = 0; i < BF_ARRAY_LEN(shares); i++) {
		size_t rank = (size_t)(((uint64_t)count * shares[i] + 999999) / 1000000);
		uint64_t exact = values[rank ? rank - 1 : 0], got = hist_quantile(&h, shares[i]);

		assert_true(got >= exact);
		assert_true(got - exact <= exact >> HIST_STEP_BITS);
	}
	assert_int_equal(hist_quantile(&h, 1000000), values[count - 1]);
}

static void test_against_sorted(void **state)
{
	uint64_t x = 88172645463325252ull;

	(void)state;
	for (unsigned width = 4; width <= 41; width++) {
		for (size_t i = 0; i < COUNT; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			values[i] = x >> (64 - 1 - x % width);
		}
		check_all(COUNT);
	}
}

static void test_small_counts(void **state)
{
	(void)state;
	h = (struct hist){0};
	assert_int_equal(hist_quantile(&h, 500000), 0);
	for (size_t count = 1; count <= 12; count++) {
		for (size_t i = 0; i < count; i++)
			values[i] = (count - i) * 977;
		check_all(count);
	}
}

static void test_edges(void **state)
{
	static const uint64_t edges[] = {
	    0, 1, 1023, 1024, 2047, 2048, 2049, 4095, 4096, 4097, (1ull << 42) - 1};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(edges); i++) {
		values[0] = edges[i];
		check_all(1);
	}
	h = (struct hist){0};
	hist_add(&h, UINT64_MAX);
	assert_int_equal(h.counts[HIST_BUCKETS - 1], 1);
	assert_int_equal(hist_quantile(&h, 1000000), (1ull << 42) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_against_sorted),
	    cmocka_unit_test(test_small_counts),
	    cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
