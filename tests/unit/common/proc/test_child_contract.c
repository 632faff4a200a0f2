/* Wrong versions, broken contracts, and failures between exec and READY. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/macros.h"
#include "common/proc/child_priv.h"
#include "common/proc/contract.h"
#include "common/proc/fds.h"
#include "common/proc/sandbox_priv.h"
#include "tests/support/forked.h"
#include "tests/unit/common/proc/child_script.h"

static void another_version_is_refused(void **state)
{
	const struct bf_msg_hello wrong[] = {
	    {BF_FRAME_VERSION + 1, bf_slice_from(bf_build_id()), SCRIPT_LAYOUT},
	    {BF_FRAME_VERSION, bf_slice_from("another"), SCRIPT_LAYOUT},
	    {BF_FRAME_VERSION, bf_slice_from(""), SCRIPT_LAYOUT},
	    {BF_FRAME_VERSION, bf_slice_from(bf_build_id()), SCRIPT_LAYOUT + 1},
	};
	const struct change build[] = {{BF_ENV_BUILD_ID, "another"}, {NULL, NULL}};
	struct script s;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(wrong); i++) {
		script_start(&s, "");
		script_send_msg(&s, BF_MSG_HELLO, SUPERVISOR, 0, 0, &wrong[i]);
		script_expect_exit(&s, BF_EXIT_VERSION);
		script_finish(&s);
	}
	script_start_with(&s, -1, build);
	script_expect_exit(&s, BF_EXIT_VERSION);
	script_finish(&s);
}

static void a_broken_contract_is_refused(void **state)
{
	static const struct change changes[][2] = {
	    {{BF_ENV_INDEX, NULL}},     {{BF_ENV_INDEX, "4"}},
	    {{BF_ENV_INDEX, "-1"}},     {{BF_ENV_INDEX, "two"}},
	    {{BF_ENV_INDEX, ""}},       {{BF_ENV_INDEX, "99999999999999999999"}},
	    {{BF_ENV_PROC_SLOT, NULL}}, {{BF_ENV_PROC_SLOT, "1024"}},
	    {{BF_ENV_BUILD_ID, NULL}},  {{BF_ENV_WORKERS, NULL}},
	    {{BF_ENV_WORKERS, "1 "}},   {{BF_ENV_ADDRESSES, NULL}},
	    {{BF_ENV_ADDRESSES, "65"}}, {{BF_ENV_ADDRESSES, "4"}},
	    {{BF_ENV_STATE_DIR, NULL}}, {{BF_ENV_RUNTIME_DIR, NULL}},
	    {{BF_ENV_LOG_LEVEL, NULL}}, {{BF_ENV_LOG_LEVEL, "loud"}},
	    {{BF_ENV_ROLE, "writerd"}}, {{BF_ENV_ROLE, ""}},
	};
	struct script s;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(changes); i++) {
		script_start_with(&s, -1, changes[i]);
		script_expect_exit(&s, BF_EXIT_USAGE);
		script_finish(&s);
	}
}

static void a_config_it_cannot_use(void **state)
{
	static const char garbage[] = "\x81\xa6server\x01";
	struct script s;
	int unsealed = memfd_create("config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	script_start_with(&s, unsealed, NULL);
	script_expect_exit(&s, BF_EXIT_CONFIG);
	script_finish(&s);
	script_start_with(&s, bf_memfd_sealed("config", garbage, sizeof(garbage) - 1), NULL);
	script_expect_exit(&s, BF_EXIT_CONFIG);
	script_finish(&s);
	script_start_with(&s, bf_memfd_sealed("config", "", 0), NULL);
	script_expect_exit(&s, BF_EXIT_CONFIG);
	script_finish(&s);
}

static void failures_on_the_way_end_it(void **state)
{
	const struct change no_user[] = {{BF_ENV_USER, "no-such-user-here"}, {NULL, NULL}};
	struct script s;

	(void)state;
	script_start(&s, "open_fails");
	script_expect_exit(&s, BF_EXIT_FAILED);
	script_finish(&s);
	script_start(&s, "open_finds_another_layout");
	script_expect_exit(&s, BF_EXIT_VERSION);
	script_finish(&s);
	script_start(&s, "start_fails");
	script_send_hello(&s);
	script_expect_exit(&s, BF_EXIT_FAILED);
	assert_int_equal(script_note_of_stop(&s), '-');
	script_finish(&s);
	script_start_with(&s, -1, no_user);
	script_expect_exit(&s, BF_EXIT_SANDBOX);
	script_finish(&s);
}

static void the_fence_is_up(void **state)
{
	struct script s;
	struct bf_msg_status status;
	struct bf_arena arena;

	(void)state;
	bf_arena_init(&arena, 1u << 20);
	script_start_ready(&s, "drain_opens_a_file");
	script_send_plain(&s, BF_MSG_DRAIN);
	script_ask_status(&s, &arena, &status); /* EPERM, and life goes on */
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
	script_start_ready(&s, "drain_forks");
	script_send_plain(&s, BF_MSG_DRAIN);
#if BF_SANITIZER
	script_ask_status(&s, &arena, &status);
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
#else
	assert_true(died_of(wait_limited(s.pid, 10000), SIGSYS));
#endif
	script_finish(&s);
	bf_arena_done(&arena);
}

static int by_hand(const void *arg)
{
	char *argv[] = {(char[]){"bifrost-proxyd"}, NULL};
	const struct change *change = arg;

	script_set_contract(change);
	if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0 || close_range(3, ~0u, 0) < 0)
		return 1;
	(void)execv("/proc/self/exe", argv);
	return 127;
}

static int with_stdout_in(int fd, const void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (dup2(fd, STDOUT_FILENO) < 0)
			_exit(1);
		_exit(by_hand(arg));
	}
	return wait_limited(pid, 10000);
}

static void started_by_hand_it_says_how(void **state)
{
	char line[200] = "";
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_true(exited_with(with_stdout_in(p[1], NULL), BF_EXIT_USAGE));
	assert_true(read(p[0], line, sizeof(line) - 1) > 0);
	assert_string_equal(line, "bifrost-proxyd is started by bifrost; run `bifrost -c FILE`\n");
	(void)close(p[0]);
	(void)close(p[1]);
}

static void a_contract_names_what_is_wrong(void **state)
{
	struct bf_contract c;
	struct bf_err err = {0};

	(void)state;
	assert_int_equal(bf_contract_read(BF_ROLE_PROXYD, &c, &err), BF_E_STATE);
	(void)setenv(BF_ENV_ROLE, "clusterd", 1);
	assert_int_equal(bf_contract_read(BF_ROLE_PROXYD, &c, &err), BF_E_UNKNOWN);
	assert_non_null(strstr(err.text, "clusterd"));
	(void)unsetenv(BF_ENV_ROLE);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(another_version_is_refused),
	    cmocka_unit_test(a_broken_contract_is_refused),
	    cmocka_unit_test(a_config_it_cannot_use),
	    cmocka_unit_test(failures_on_the_way_end_it),
	    cmocka_unit_test(the_fence_is_up),
	    cmocka_unit_test(started_by_hand_it_says_how),
	    cmocka_unit_test(a_contract_names_what_is_wrong),
	};

	if (getenv(BF_ENV_ROLE) != NULL)
		return be_child(argc, argv);
	return cmocka_run_group_tests_name("common/proc/child_contract", tests, NULL, NULL);
}
