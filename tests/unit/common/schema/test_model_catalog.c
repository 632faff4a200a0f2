/* Names of models: which could be asked for, and which stand in a list twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/macros.h"
#include "common/schema/model_catalog.h"

static struct bf_arena arena;

static bool is_name(const char *text)
{
	struct bf_err err = {0};
	int r = bf_model_name_check(bf_slice_from(text), &err);

	assert_int_equal(err.code, r);
	return r == 0;
}

static void what_a_request_could_name(void **state)
{
	char text[BF_CATALOG_NAME_MAX + 2];

	(void)state;
	assert_true(is_name("gpt-4o"));
	assert_true(is_name("meta-llama/Llama 3:free"));
	assert_true(is_name("mod\xc3\xa8le"));
	assert_true(is_name("**"));
	assert_false(is_name(""));
	assert_false(is_name(" "));
	assert_false(is_name("*"));
	assert_false(is_name(" a"));
	assert_false(is_name("a "));
	assert_false(is_name("a\tb"));
	assert_false(is_name("a\x7f"));
	assert_int_equal(bf_model_name_check((struct bf_slice){"a\0b", 3}, NULL), BF_E_SYNTAX);
	memset(text, 'x', sizeof(text));
	text[BF_CATALOG_NAME_MAX] = '\0';
	assert_true(is_name(text));
	text[BF_CATALOG_NAME_MAX] = 'x';
	text[BF_CATALOG_NAME_MAX + 1] = '\0';
	assert_false(is_name(text));
}

static void the_first_that_was_there_before(void **state)
{
	struct bf_slice names[] = {BF_SLICE_INIT("b"), BF_SLICE_INIT("a"), BF_SLICE_INIT("ab"),
				   BF_SLICE_INIT("B"), BF_SLICE_INIT("a"), BF_SLICE_INIT("b"),
				   BF_SLICE_INIT("b")};

	(void)state;
	bf_arena_init(&arena, 1 << 16);
	/* Lists by their length: none stands there twice among the first four. */
	for (uint32_t count = 0; count <= BF_ARRAY_LEN(names); count++) {
		const struct bf_array list = {count ? names : NULL, count};

		assert_int_equal(bf_model_catalog_twice(&list, &arena), BF_MIN(count, 4u));
	}
	bf_arena_done(&arena);
}

static void without_memory_nothing_is_said(void **state)
{
	static struct bf_slice names[4096];
	const struct bf_array list = {names, 4096};

	(void)state;
	bf_arena_init(&arena, 1024);
	assert_true(bf_model_catalog_twice(&list, &arena) < 0);
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_request_could_name),
	    cmocka_unit_test(the_first_that_was_there_before),
	    cmocka_unit_test(without_memory_nothing_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
