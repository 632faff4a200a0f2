/* The command line of bifrostctl: help, usage errors, where the folder comes from. */
#include "ctl/ctl.h"
#include "tests/unit/ctl/fake_supervisor.h"

struct usage {
	const char *words[4];
	const char *says;
};

static void test_usage_errors(void **state)
{
	static const struct usage list[] = {
	    {{"frobnicate"}, "no command \"frobnicate\""},
	    {{"status", "--all"}, "the option \"--all\""},
	    {{"status", "more"}, "the word \"more\""},
	    {{"--frob"}, "the option \"--frob\""},
	    {{"check", "--json"}, "no --json form"},
	    {{"describe-protocol", "--json"}, "no --json form"},
	    {{"check", "a", "b"}, "the word \"b\""},
	    {{"restart"}, "needs the NAME"},
	    {{"restart", "proxyd"}, "proxyd.0"},
	    {{"restart", "nobody"}, "no process is called \"nobody\""},
	    {{"restart", "writerd", "proxyd.0"}, "the word \"proxyd.0\""},
	    {{"restart", "--json", "--force"}, "the option \"--force\""},
	    {{"reload", "now"}, "the word \"now\""},
	    {{"drain", "--on"}, "the option \"--on\""},
	    {{"dump", "--count"}, "the option \"--count\""},
	    {{"limits", "--all"}, "the option \"--all\""},
	    {{"limits", "--accept-clock", "vk"}, "the word \"vk\""},
	    {{"trace", "--count"}, "--count needs"},
	    {{"trace", "--count", "0"}, "--count needs"},
	    {{"trace", "--count", "-1"}, "--count needs"},
	    {{"trace", "--count=x"}, "--count needs"},
	    {{"trace", "--count=1", "--count=2"}, "--count is given twice"},
	    {{"limits", "--owner", ""}, "--owner needs"},
	    {{"limits", "--owner="}, "--owner needs"},
	    {{"limits", "--owner=team", "--owner", "team"}, "--owner is given twice"},
	    {{"limits", "--owner=team", "--owner"}, "--owner is given twice"},
	    {{"limits", "--virtual-key"}, "--virtual-key needs"},
	    {{"limits", "--virtual-key=a", "--virtual-key=b"}, "--virtual-key is given twice"},
	    {{"status", "--runtime-dir", "x"}, "--runtime-dir is given twice"},
	    {{"status", "--runtime-dir"}, "--runtime-dir is given twice"},
	};
	struct fake *f = *state;

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		const char *const *w = list[i].words;
		/* The folder is named by the harness already. */
		assert_int_equal(fake_ctl(f, w[0], w[1], w[2], w[3]), CTL_USAGE);
		assert_true(fake_one_line(f->err));
		if (!fake_says(f->err, list[i].says))
			fail_msg("%s: %s", list[i].says, f->err);
		assert_string_equal(f->out, "");
	}
}

static void test_no_command_shows_help_as_an_error(void **state)
{
	struct fake *f = *state;

	assert_int_equal(fake_ctl(f, NULL, NULL, NULL, NULL), CTL_USAGE);
	assert_true(fake_says(f->err, "usage: bifrostctl"));
	assert_string_equal(f->out, "");
}

static void test_help_and_version(void **state)
{
	struct fake *f = *state;

	assert_int_equal(fake_ctl(f, "status", "--help", NULL, NULL), CTL_OK);
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		char line[64];
		(void)snprintf(line, sizeof(line), "\n  %s ", c->name);
		assert_int_equal(fake_says(f->out, line), c->help != NULL);
		if (c->help)
			assert_true(fake_says(f->out, c->help));
	}
	assert_true(fake_says(
	    f->out, "exit codes: 0 ok, 1 failed, 2 the gateway is not running, 3 refused"));
	assert_int_equal(fake_ctl(f, "--version", NULL, NULL, NULL), CTL_OK);
	assert_true(fake_says(f->out, "bifrostctl 0."));
	assert_true(fake_says(f->out, "(build "));
}

static void test_describe_protocol(void **state)
{
	struct fake *f = *state;

	assert_int_equal(fake_ctl(f, "describe-protocol", NULL, NULL, NULL), CTL_OK);
	assert_true(fake_says(f->out, "## 25 `traced`"));
	assert_int_equal(fake_ctl(f, "describe-protocol", "x", NULL, NULL), CTL_USAGE);
	struct ctl_args none = {.count = 0};
	struct ctl ctl = {.out = stdout, .err = stderr, .fd = -1};
	assert_int_equal(ctl_no_more(&ctl, &none), CTL_OK);
}

static int run(char **argv, char **ret_err)
{
	size_t len;
	FILE *err = open_memstream(ret_err, &len);
	int argc = 0;

	while (argv[argc])
		argc++;
	int code = ctl_run(argc, argv, stdout, err);
	(void)fclose(err);
	return code;
}

static void test_folder_of_option_environment_and_default(void **state BF_UNUSED)
{
	char program[] = "bifrostctl", status[] = "status",
	     option[] = "--runtime-dir=/nowhere/option";
	char *with[] = {program, status, option, NULL};
	char *without[] = {program, status, NULL};
	char *err = NULL;

	(void)setenv("BIFROST_RUNTIME_DIR", "/nowhere/environment", 1);
	assert_int_equal(run(with, &err), CTL_NOT_RUNNING);
	assert_true(fake_says(err, "/nowhere/option/control.sock"));
	free(err);
	option[sizeof("--runtime-dir") - 1] = '\0';
	assert_int_equal(run(with, &err), CTL_USAGE);
	assert_true(fake_says(err, "--runtime-dir needs a folder"));
	free(err);
	assert_int_equal(run(without, &err), CTL_NOT_RUNNING);
	assert_true(fake_says(err, "/nowhere/environment/control.sock"));
	free(err);
	(void)setenv("BIFROST_RUNTIME_DIR", "", 1);
	/* Where a gateway may really run: another answer than "not running" names the folder too.
	 */
	if (run(without, &err) != CTL_OK)
		assert_true(fake_says(err, "/run/bifrost/control.sock"));
	free(err);
	(void)unsetenv("BIFROST_RUNTIME_DIR");
}

static void test_unwritable_output_is_a_failure(void **state BF_UNUSED)
{
	char program[] = "bifrostctl", help[] = "--help";
	char *argv[] = {program, help, NULL};
	FILE *full = fopen("/dev/full", "w");
	char *err = NULL;
	size_t len;
	FILE *errors = open_memstream(&err, &len);

	assert_non_null(full);
	assert_int_equal(ctl_run(2, argv, full, errors), CTL_FAILED);
	(void)fclose(full);
	(void)fclose(errors);
	assert_true(fake_says(err, "could not be written"));
	free(err);
}

static void test_too_many_words(void **state BF_UNUSED)
{
	char word[] = "status";
	char *argv[CTL_MAX_WORDS + 3];
	char *err = NULL;

	for (size_t i = 0; i < BF_ARRAY_LEN(argv) - 1; i++)
		argv[i] = word;
	argv[BF_ARRAY_LEN(argv) - 1] = NULL;
	assert_int_equal(run(argv, &err), CTL_USAGE);
	assert_true(fake_one_line(err));
	free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_FAKE(test_usage_errors),
	    WITH_FAKE(test_no_command_shows_help_as_an_error),
	    WITH_FAKE(test_help_and_version),
	    WITH_FAKE(test_describe_protocol),
	    cmocka_unit_test(test_folder_of_option_environment_and_default),
	    cmocka_unit_test(test_unwritable_output_is_a_failure),
	    cmocka_unit_test(test_too_many_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
