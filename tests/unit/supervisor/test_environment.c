/* What a process finds in its environment: above all, what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/proc/contract.h"
#include "supervisor/environment.h"

static const struct environment child = {
    .role = "proxyd",
    .index = 3,
    .proc_slot = 9,
    .workers = 4,
    .addresses = 2,
    .build_id = "b1",
    .user = "",
    .state_dir = "/s",
    .runtime_dir = "/r",
    .log_level = "info",
};

static const char *find(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; env[i]; i++) {
		if (strncmp(env[i], name, len) == 0 && env[i][len] == '=')
			return env[i] + len + 1;
	}
	return NULL;
}

static size_t count(char *const *env)
{
	size_t n = 0;

	while (env[n])
		n++;
	return n;
}

static void test_contract(void **state)
{
	char *none[] = {NULL};
	struct bf_arena arena;
	char **env;

	(void)state;
	bf_arena_init(&arena, 65536);
	env = environment_of_child(&child, none, &arena);
	assert_non_null(env);
	assert_string_equal(find(env, BF_ENV_ROLE), "proxyd");
	assert_string_equal(find(env, BF_ENV_INDEX), "3");
	assert_string_equal(find(env, BF_ENV_PROC_SLOT), "9");
	assert_string_equal(find(env, BF_ENV_BUILD_ID), "b1");
	assert_string_equal(find(env, BF_ENV_WORKERS), "4");
	assert_string_equal(find(env, BF_ENV_ADDRESSES), "2");
	assert_string_equal(find(env, BF_ENV_USER), "");
	assert_string_equal(find(env, BF_ENV_STATE_DIR), "/s");
	assert_string_equal(find(env, BF_ENV_RUNTIME_DIR), "/r");
	assert_string_equal(find(env, BF_ENV_LOG_LEVEL), "info");
	assert_int_equal(count(env), 10);
	bf_arena_done(&arena);
}

static void test_secrets_stay_outside(void **state)
{
	static char in[][48] = {"OPENAI_API_KEY=sk-1",
				"PATH=/bin",
				"PATHS=no",
				"LANG=C",
				"TZ=UTC",
				"FAKE_CHILD=x",
				"FAKE_CHILD_A=1",
				"ASAN_OPTIONS=a",
				"LD_PRELOAD=/x.so",
				"BIFROST_ROLE=x",
				"NOTIFY_SOCKET=@x",
				"HOME=/root"};
	char *list[BF_ARRAY_LEN(in) + 1] = {NULL};
	struct bf_arena arena;
	char **env;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(in); i++)
		list[i] = in[i];
	bf_arena_init(&arena, 65536);
	env = environment_of_child(&child, list, &arena);
	assert_null(find(env, "OPENAI_API_KEY"));
	assert_null(find(env, "PATHS"));
	assert_null(find(env, "LD_PRELOAD"));
	assert_null(find(env, "NOTIFY_SOCKET"));
	assert_null(find(env, "HOME"));
	assert_string_equal(find(env, "PATH"), "/bin");
	assert_string_equal(find(env, "FAKE_CHILD_A"), "1");
	assert_string_equal(find(env, "ASAN_OPTIONS"), "a");
	assert_string_equal(find(env, BF_ENV_ROLE), "proxyd");
	assert_int_equal(count(env), 10 + 6);
	bf_arena_done(&arena);
}

static void test_config_helper_sees_all_but_a_foreign_user(void **state)
{
	char key[] = "KEY=v", user[] = BF_ENV_USER "=root";
	char *list[] = {key, user, NULL};
	struct bf_arena arena;
	char **env;

	(void)state;
	bf_arena_init(&arena, 65536);
	env = environment_of_config_helper("bf", list, &arena);
	assert_string_equal(find(env, "KEY"), "v");
	assert_string_equal(find(env, BF_ENV_USER), "bf");
	assert_int_equal(count(env), 2);
	bf_arena_done(&arena);
}

/* Wherever memory ends, the answer is NULL and never a half environment. */
static void test_every_shortage(void **state)
{
	char key[] = "PATH=v";
	char *list[] = {key, NULL};
	bool worked = false;

	(void)state;
	for (size_t cap = 0; cap < 4096; cap += 16) {
		struct bf_arena arena;
		char **env;

		bf_arena_init(&arena, cap);
		env = environment_of_child(&child, list, &arena);
		assert_true(env || !worked);
		worked = env != NULL;
		bf_arena_done(&arena);
	}
	assert_true(worked);
}

static void test_more_than_is_taken(void **state)
{
	static char in[100][24];
	char *list[101] = {NULL};
	struct bf_arena arena;

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		(void)snprintf(in[i], sizeof(in[i]), "FAKE_CHILD_%zu=x", i);
		list[i] = in[i];
	}
	bf_arena_init(&arena, 65536);
	assert_int_equal(count(environment_of_child(&child, list, &arena)), 10 + 64);
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_contract),
	    cmocka_unit_test(test_secrets_stay_outside),
	    cmocka_unit_test(test_config_helper_sees_all_but_a_foreign_user),
	    cmocka_unit_test(test_every_shortage),
	    cmocka_unit_test(test_more_than_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
