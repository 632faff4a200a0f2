/* The command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "supervisor/options.h"

#define MAX_ARGS 8

static int parse(const char *const *args, struct options *o, struct bf_err *err)
{
	static char words[MAX_ARGS][64];
	char *argv[MAX_ARGS + 1] = {words[0]};
	int argc = 1;

	(void)strcpy(words[0], "bifrost");
	for (; args[argc - 1] && argc < MAX_ARGS; argc++) {
		(void)strncpy(words[argc], args[argc - 1], sizeof(words[0]) - 1);
		argv[argc] = words[argc];
	}
	return options_parse(argc, argv, o, err);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse((const char *const[]){NULL}, &o, NULL), 0);
	assert_int_equal(o.mode, OPTIONS_RUN);
	assert_string_equal(o.file, OPTIONS_DEFAULT_FILE);
	assert_null(o.user);
}

static void test_values(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(ARGS("-c", "a.yaml", "--user", "bf"), &o, NULL), 0);
	assert_string_equal(o.file, "a.yaml");
	assert_string_equal(o.user, "bf");
	assert_int_equal(parse(ARGS("--config=b.yaml", "--user=x"), &o, NULL), 0);
	assert_string_equal(o.file, "b.yaml");
	assert_string_equal(o.user, "x");
	assert_int_equal(parse(ARGS("--check", "-c", "c.yaml"), &o, NULL), 0);
	assert_int_equal(o.mode, OPTIONS_CHECK);
	assert_int_equal(parse(ARGS("--dump-schema"), &o, NULL), 0);
	assert_int_equal(o.mode, OPTIONS_DUMP_SCHEMA);
	assert_int_equal(parse(ARGS("--dump-openapi"), &o, NULL), 0);
	assert_int_equal(o.mode, OPTIONS_DUMP_OPENAPI);
	assert_int_equal(parse(ARGS("--version"), &o, NULL), 0);
	assert_int_equal(o.mode, OPTIONS_VERSION);
	assert_int_equal(parse(ARGS("-h"), &o, NULL), 0);
	assert_int_equal(o.mode, OPTIONS_HELP);
}

static void test_wrong_lines(void **state)
{
	static const char *const wrong[][3] = {
	    {"-c", NULL},       {"--config=", NULL},
	    {"--user", NULL},   {"--user=", NULL},
	    {"-x", NULL},       {"file", NULL},
	    {"--checks", NULL}, {"--configure", NULL},
	    {"", NULL},         {"--check", "--version", NULL},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(wrong); i++) {
		struct options o;
		struct bf_err err = {0};

		assert_int_equal(parse(wrong[i], &o, &err), BF_E_SYNTAX);
		assert_true(err.text[0] != '\0');
		assert_null(strchr(err.text, '\n'));
	}
}

static void test_help_names_every_option(void **state)
{
	static const char *const names[] = {"-c",        "--config",      "--user",
					    "--check",   "--dump-schema", "--dump-openapi",
					    "--version", "--help"};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++)
		assert_non_null(strstr(options_help, names[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_wrong_lines),
	    cmocka_unit_test(test_help_names_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
