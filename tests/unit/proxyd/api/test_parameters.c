/* Query strings of the API: bounds, kinds, what is given twice or not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/api/parameters.h"

static const struct api_parameter table[] = {
    {.name = "limit", .kind = API_NUMBER, .min = 1, .max = 1000, .dflt = 50},
    {.name = "search", .kind = API_TEXT, .max = 8},
    {.name = "flag", .kind = API_FLAG},
    {.name = NULL},
};

static struct bf_arena arena;
static struct api_values values;
static struct bf_slice name;
static struct bf_err err;

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

static int reads(const char *query)
{
	err.text[0] = '\0';
	return api_parameters_read(table, bf_slice_from(query), &arena, &values, &name, &err);
}

static void what_is_given(void **state)
{
	(void)state;
	assert_int_equal(reads(""), 0);
	assert_int_equal(api_number(&values, "limit"), 50);
	assert_int_equal(api_text(&values, "search").len, 0);
	assert_int_equal(reads("limit=7&search=a%20b+c&flag=true"), 0);
	assert_int_equal(api_number(&values, "limit"), 7);
	assert_true(bf_slice_is(api_text(&values, "search"), "a b c"));
	assert_int_equal(api_number(&values, "flag"), 1);
	assert_int_equal(reads("&&flag=false&"), 0);
	assert_int_equal(api_number(&values, "flag"), 0);
	/* Not in this table. */
	assert_int_equal(api_number(&values, "offset"), 0);
	assert_int_equal(api_text(&values, "team_id").len, 0);
}

static void what_is_wrong(void **state)
{
	static const struct {
		const char *query;
		int code;
		const char *name;
	} cases[] = {
	    {"limit=0", BF_E_RANGE, "limit"},       {"limit=1001", BF_E_RANGE, "limit"},
	    {"limit=-1", BF_E_RANGE, "limit"},      {"limit=", BF_E_RANGE, "limit"},
	    {"limit", BF_E_RANGE, "limit"},         {"limit=1&limit=1", BF_E_DUPLICATE, "limit"},
	    {"search=", BF_E_SYNTAX, "search"},     {"search=123456789", BF_E_RANGE, "search"},
	    {"search=%zz", BF_E_SYNTAX, "search"},  {"search=%00", BF_E_SYNTAX, "search"},
	    {"search=%ff", BF_E_SYNTAX, "search"},  {"search=%f", BF_E_SYNTAX, "search"},
	    {"flag=yes", BF_E_SYNTAX, "flag"},      {"Limit=1", BF_E_UNKNOWN, "Limit"},
	    {"limit=1&x=2", BF_E_UNKNOWN, "x"},     {"=1", BF_E_UNKNOWN, ""},
	    {"%6cimit=1", BF_E_UNKNOWN, "%6cimit"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		assert_int_equal(reads(cases[i].query), cases[i].code);
		assert_true(bf_slice_is(name, cases[i].name));
		assert_true(err.text[0] != '\0');
	}
}

static void what_must_be_there(void **state)
{
	static const struct api_parameter must[] = {
	    {.name = "model", .kind = API_TEXT, .max = 8, .required = true},
	    {.name = NULL},
	};

	(void)state;
	assert_int_equal(api_parameters_read(must, BF_SLICE_LIT(""), &arena, &values, &name, &err),
			 BF_E_MISSING);
	assert_true(bf_slice_is(name, "model"));
	assert_int_equal(
	    api_parameters_read(must, BF_SLICE_LIT("model=m"), &arena, &values, &name, &err), 0);
}

static void an_operation_without_any(void **state)
{
	(void)state;
	assert_int_equal(api_parameters_read(NULL, BF_SLICE_LIT(""), &arena, &values, &name, &err),
			 0);
	assert_int_equal(api_number(&values, "limit"), 0);
	assert_int_equal(
	    api_parameters_read(NULL, BF_SLICE_LIT("a=1"), &arena, &values, &name, &err),
	    BF_E_UNKNOWN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_is_given),
	    TEST(what_is_wrong),
	    TEST(what_must_be_there),
	    TEST(an_operation_without_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
