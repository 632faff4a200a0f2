/* bifrostctl check: which program it runs, with what, and what becomes of its exit code. */
#include "tests/unit/ctl/fake_supervisor.h"

/* A stand-in for the program that parses: notes its arguments and ends as it is told. */
static void install(struct fake *f, const char *ending)
{
	char path[280];

	(void)snprintf(path, sizeof(path), "%s/bifrost-config", f->dir);
	FILE *script = fopen(path, "w");
	assert_non_null(script);
	(void)fprintf(script, "#!/bin/sh\nprintf '%%s|' \"$@\" > '%s/segment'\n%s\n", f->dir,
		      ending);
	(void)fclose(script);
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(setenv("BIFROST_LIBEXEC_DIR", f->dir, 1), 0);
}

static void arguments_were(struct fake *f, const char *expected)
{
	char path[280], text[256] = "";

	(void)snprintf(path, sizeof(path), "%s/segment", f->dir);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	(void)fclose(file);
	assert_string_equal(text, expected);
}

static void test_file_and_default_file(void **state)
{
	struct fake *f = *state;

	install(f, "exit 0");
	assert_int_equal(fake_ctl(f, "check", "my file.yaml", NULL, NULL), CTL_OK);
	arguments_were(f, "--check|my file.yaml|");
	assert_string_equal(f->out, "my file.yaml: valid\n");
	assert_int_equal(fake_ctl(f, "check", NULL, NULL, NULL), CTL_OK);
	arguments_were(f, "--check|/etc/bifrost/bifrost.yaml|");
	assert_string_equal(f->err, "");
}

static void test_exit_codes(void **state)
{
	static const struct {
		const char *ending;
		int code;
		const char *says;
	} list[] = {{"exit 78", CTL_FAILED, ""},
		    {"exit 1", CTL_FAILED, ""},
		    {"exit 2", CTL_FAILED, ""},
		    {"exit 64", CTL_USAGE, ""},
		    {"kill -9 $$", CTL_FAILED, "killed by signal 9"}};
	struct fake *f = *state;

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		install(f, list[i].ending);
		assert_int_equal(fake_ctl(f, "check", "x", NULL, NULL), list[i].code);
		assert_true(fake_says(f->err, list[i].says));
		assert_string_equal(f->out, "");
	}
}

static void test_incomplete_installation(void **state)
{
	struct fake *f = *state;

	assert_int_equal(setenv("BIFROST_LIBEXEC_DIR", f->dir, 1), 0);
	assert_int_equal(fake_ctl(f, "check", "x", NULL, NULL), CTL_FAILED);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(f->err, "bifrost-config"));
	assert_true(fake_says(f->err, f->dir));
}

static void test_option_as_a_file_name(void **state)
{
	struct fake *f = *state;

	install(f, "exit 0");
	assert_int_equal(fake_ctl(f, "check", "--fix", NULL, NULL), CTL_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_FAKE(test_file_and_default_file),
	    WITH_FAKE(test_exit_codes),
	    WITH_FAKE(test_incomplete_installation),
	    WITH_FAKE(test_option_as_a_file_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
