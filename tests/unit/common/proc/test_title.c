/* The process title never leaves the space of argv. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>

#include <cmocka.h>

#include "common/proc/title.h"

struct block {
	char text[64];
	char *argv[4];
	int argc;
};

/* As the kernel lays it out: the strings one behind the other, then something that is not ours. */
static void lay_out(struct block *b, const char *first, const char *second)
{
	memset(b->text, '#', sizeof(b->text));
	strcpy(b->text, first);
	b->argv[0] = b->text;
	b->argc = 1;
	if (second != NULL) {
		b->argv[1] = b->text + strlen(first) + 1;
		strcpy(b->argv[1], second);
		b->argc = 2;
	}
	b->argv[b->argc] = NULL;
}

static void fits_into_all_arguments(void **state)
{
	struct block b;
	char comm[16];

	(void)state;
	lay_out(&b, "bifrost-proxyd", "xxxxxxxxxxxxx");
	bf_title_set(b.argc, b.argv, "bifrost-proxyd", "worker 3");
	assert_string_equal(b.text, "bifrost-proxyd: worker 3");
	for (size_t i = 15 + 14; i < sizeof(b.text); i++)
		assert_int_equal(b.text[i], '#');
	assert_int_equal(prctl(PR_GET_NAME, comm, 0, 0, 0), 0);
	assert_string_equal(comm, "bifrost-proxyd");
}

static void is_cut_at_the_last_argument(void **state)
{
	struct block b;
	char comm[16];

	(void)state;
	for (size_t len = 0; len < 30; len++) {
		char first[32];

		memset(first, 'a', len);
		first[len] = '\0';
		lay_out(&b, first, NULL);
		bf_title_set(b.argc, b.argv, "bifrost-discoveryd", "detail");
		assert_true(strlen(b.text) <= len);
		assert_memory_equal(b.text, "bifrost-discoveryd: detail", strlen(b.text));
		for (size_t i = len + 1; i < sizeof(b.text); i++)
			assert_int_equal(b.text[i], '#');
	}
	assert_int_equal(prctl(PR_GET_NAME, comm, 0, 0, 0), 0);
	assert_string_equal(comm, "bifrost-discove");
}

/* Arguments that someone copied elsewhere are not ours to write over. */
static void stops_at_a_gap(void **state)
{
	char elsewhere[] = "elsewhere";
	struct block b;

	(void)state;
	lay_out(&b, "abc", "def");
	b.argv[1] = elsewhere;
	bf_title_set(b.argc, b.argv, "bifrost", NULL);
	assert_string_equal(b.text, "bif");
	assert_string_equal(elsewhere, "elsewhere");
	assert_string_equal(b.text + 4, "def");
}

static void no_arguments_at_all(void **state)
{
	char *argv[] = {NULL};
	char comm[16];

	(void)state;
	bf_title_set(0, argv, "bifrost-one", "");
	bf_title_set(0, NULL, "bifrost-two", "");
	assert_int_equal(prctl(PR_GET_NAME, comm, 0, 0, 0), 0);
	assert_string_equal(comm, "bifrost-two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fits_into_all_arguments),
	    cmocka_unit_test(is_cut_at_the_last_argument),
	    cmocka_unit_test(stops_at_a_gap),
	    cmocka_unit_test(no_arguments_at_all),
	};

	return cmocka_run_group_tests_name("common/proc/title", tests, NULL, NULL);
}
