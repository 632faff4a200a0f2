/* Words: written and checked alike; one that is lost, doubled, cut or of another request shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/wire/words.h"

#define COUNT 30u

static size_t write_some(char *out, uint32_t width, uint32_t hash, uint64_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		words_write(out + i * width, width, hash, first + i);
	return count * width;
}

static bool check(const char *text, size_t len, uint32_t hash, uint64_t next)
{
	return words_check((struct bf_slice){text, len}, hash, &next);
}

static void test_round_trip(void **state)
{
	static const uint32_t widths[] = {10, 11, 40};
	char text[COUNT * 40];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t len = write_some(text, widths[i], 0xabcd1234, 0, COUNT);
		uint64_t next = 0;

		assert_true(words_check((struct bf_slice){text, len}, 0xabcd1234, &next));
		assert_int_equal(next, COUNT);
	}
}

static void test_numbers_turn(void **state)
{
	char text[4 * WORD_WIDTH_MIN];
	size_t len = write_some(text, WORD_WIDTH_MIN, 7, 99998, 4);

	(void)state;
	assert_true(check(text, len, 7, 99998));
}

static void test_what_is_wrong_shows(void **state)
{
	char text[COUNT * WORD_WIDTH_MIN];
	size_t len = write_some(text, WORD_WIDTH_MIN, 0x1111, 0, COUNT);

	(void)state;
	assert_false(check(text, len, 0x1112, 0));                       /* another request's */
	assert_false(check(text + WORD_WIDTH_MIN, len - 10, 0x1111, 0)); /* the first is lost */
	assert_false(check(text, len, 0x1111, 1));                       /* the first came twice */
	for (size_t cut = 1; cut < len; cut++) {
		if (cut % WORD_WIDTH_MIN)
			assert_false(check(text, cut, 0x1111, 0));
	}
	for (size_t i = 0; i < len; i++) {
		char was = text[i];

		text[i] = (char)(was ^ 1);
		assert_false(check(text, len, 0x1111, 0));
		text[i] = was;
	}
}

static void test_requests_differ(void **state)
{
	uint32_t a = words_hash(BF_SLICE_LIT("P-0000000001"));
	uint32_t b = words_hash(BF_SLICE_LIT("P-0000000002"));

	(void)state;
	assert_true((a & 0xffff) != (b & 0xffff));
	assert_int_equal(words_hash((struct bf_slice){NULL, 0}), 0);
	assert_int_equal(words_prompt_tokens((struct bf_slice){NULL, 0}), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_numbers_turn),
	    cmocka_unit_test(test_what_is_wrong_shows),
	    cmocka_unit_test(test_requests_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
