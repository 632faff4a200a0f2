/* The words of a command line. */
#include "ctl/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"

static struct ctl_args split(const char *line)
{
	static char copy[256];
	char *argv[CTL_MAX_WORDS + 2] = {copy};
	int argc = 1;
	struct ctl_args args;

	(void)snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	assert_int_equal(ctl_args_init(&args, argc, argv), 0);
	return args;
}

static void test_flags_are_taken_wherever_they_stand(void **state BF_UNUSED)
{
	struct ctl_args args = split("--json a --json b --jso --jsonx");

	assert_true(ctl_args_flag(&args, "--json"));
	assert_int_equal(args.count, 4);
	assert_false(ctl_args_flag(&args, "--json"));
	assert_string_equal(ctl_args_operand(&args), "a");
	assert_string_equal(ctl_args_operand(&args), "b");
	assert_null(ctl_args_operand(&args));
	assert_string_equal(args.words[0], "--jso");
}

static void test_values_in_both_forms(void **state BF_UNUSED)
{
	struct ctl_args args = split("a --count 3 b");
	const char *value = NULL;

	assert_int_equal(ctl_args_value(&args, "--count", &value), 1);
	assert_string_equal(value, "3");
	assert_int_equal(args.count, 2);
	assert_int_equal(ctl_args_value(&args, "--count", &value), 0);

	args = split("a --count=4 b");
	assert_int_equal(ctl_args_value(&args, "--count", &value), 1);
	assert_string_equal(value, "4");
	assert_string_equal(args.words[1], "b");

	args = split("--counter 4");
	assert_int_equal(ctl_args_value(&args, "--count", &value), 0);
}

static void test_missing_values(void **state BF_UNUSED)
{
	struct ctl_args args = split("a --count");
	const char *value = NULL;

	assert_int_equal(ctl_args_value(&args, "--count", &value), -1);
	args = split("a --count=");
	assert_int_equal(ctl_args_value(&args, "--count", &value), -1);
	args.count = 2;
	args.words[0] = "--count";
	args.words[1] = "";
	assert_int_equal(ctl_args_value(&args, "--count", &value), -1);
}

static void test_too_many_words(void **state BF_UNUSED)
{
	char word[] = "x";
	char *argv[CTL_MAX_WORDS + 2];
	struct ctl_args args;

	for (size_t i = 0; i < BF_ARRAY_LEN(argv); i++)
		argv[i] = word;
	assert_int_equal(ctl_args_init(&args, CTL_MAX_WORDS + 1, argv), 0);
	assert_int_equal(args.count, CTL_MAX_WORDS);
	assert_int_equal(ctl_args_init(&args, CTL_MAX_WORDS + 2, argv), -1);
	assert_int_equal(ctl_args_init(&args, 0, argv), 0);
	assert_null(ctl_args_operand(&args));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flags_are_taken_wherever_they_stand),
	    cmocka_unit_test(test_values_in_both_forms),
	    cmocka_unit_test(test_missing_values),
	    cmocka_unit_test(test_too_many_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
