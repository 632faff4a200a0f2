/* The hint: near names found, far ones not guessed. */
#include "table_bed.h"

#include <limits.h>

#include "common/schema/nearest.h"

static unsigned distance(const char *a, const char *b)
{
	return bf_name_distance(bf_slice_from(a), bf_slice_from(b));
}

static void distances(void **state)
{
	char longest[66];

	(void)state;
	assert_int_equal(distance("", ""), 0);
	assert_int_equal(distance("", "abc"), 3);
	assert_int_equal(distance("listen", "listen"), 0);
	assert_int_equal(distance("listn", "listen"), 1);
	assert_int_equal(distance("lisetn", "listen"), 1);
	assert_int_equal(distance("kitten", "sitting"), 3);
	assert_int_equal(distance("initialPoolSize", "initial_pool_size"), 0);
	assert_int_equal(distance("drain-timeout", "drain_timeout"), 0);
	assert_int_equal(distance("ABC", "abc"), 0);
	memset(longest, 'a', 65);
	longest[65] = '\0';
	assert_int_equal(distance(longest, "a"), UINT_MAX);
	longest[64] = '\0';
	assert_int_equal(distance(longest, ""), 64);
	assert_int_equal(distance("___", ""), 0);
}

static const char *best(const char *wanted, const char *const *names)
{
	struct bf_nearest n;

	bf_nearest_init(&n, bf_slice_from(wanted));
	for (; *names; names++)
		bf_nearest_offer(&n, bf_slice_from(*names));
	return n.best.ptr;
}

static void picks_the_nearest_or_none(void **state)
{
	static const char *const names[] = {
	    "listen", "read_buffer_size", "idle_timeout", "body_timeout", "a", NULL};

	(void)state;
	assert_string_equal(best("readBufferSize", names), "read_buffer_size");
	assert_string_equal(best("bodytimeout", names), "body_timeout");
	assert_string_equal(best("idel_timeout", names), "idle_timeout");
	assert_null(best("governance", names));
	assert_null(best("xyz", names));
	assert_null(best("", names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(distances),
	    cmocka_unit_test(picks_the_nearest_or_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
