/* A child whose supervisor is gone is gone within two seconds, whatever it is doing
 * (bf_deathwatch_arm). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "common/proc/contract.h"
#include "common/proc/sandbox_priv.h"
#include "tests/support/forked.h"
#include "tests/unit/common/proc/child_script.h"

_Static_assert(BF_ORPHAN_LIMIT_MS < 2000, "within two seconds");

static void an_orphan_leaves_in_order(void **state)
{
	struct script s;

	(void)state;
	script_start_ready(&s, "");
	assert_true(exited_with(script_orphan(&s), BF_EXIT_OK));
	assert_int_equal(script_note_of_stop(&s), 'o');
	script_finish(&s);
}

static void an_orphan_before_hello_leaves(void **state)
{
	struct script s;

	(void)state;
	script_start(&s, "");
	assert_true(exited_with(script_orphan(&s), BF_EXIT_OK));
	assert_int_equal(script_note_of_stop(&s), '-');
	script_finish(&s);
}

/* Gone before the child had even looked: there is no event to be woken by. */
static void an_orphan_from_birth_leaves(void **state)
{
	struct script s;

	(void)state;
	for (int i = 0; i < 2; i++) {
		script_start(&s, "start_hangs");
		script_send_hello(&s);
		assert_true(died_of(script_orphan(&s), SIGKILL));
		script_finish(&s);
	}
}

static void sleep_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	(void)nanosleep(&t, NULL);
}

/* ThreadSanitizer holds signals back until the next call that blocks, which a busy loop never
 * makes. */
static void need_prompt_signals(void)
{
	if (BF_THREAD_SANITIZER) {
		print_message("skipped: under ThreadSanitizer\n");
		skip();
	}
}

static void an_orphan_in_a_busy_loop_is_killed(void **state)
{
	struct script s;

	(void)state;
	need_prompt_signals();
	script_start_ready(&s, "drain_hangs");
	script_send_plain(&s, BF_MSG_DRAIN);
	sleep_ms(200);
	assert_int_equal(kill(s.pid, 0), 0); /* the premise: a living supervisor is waited for */
	assert_true(died_of(script_orphan(&s), SIGKILL));
	script_finish(&s);
}

static void an_orphan_that_hangs_in_start_is_killed(void **state)
{
	struct script s;

	(void)state;
	need_prompt_signals();
	script_start(&s, "start_hangs");
	script_send_hello(&s);
	sleep_ms(300);
	assert_true(died_of(script_orphan(&s), SIGKILL));
	script_finish(&s);
}

static void an_orphan_that_hangs_in_stop_is_killed(void **state)
{
	struct script s;

	(void)state;
	need_prompt_signals();
	script_start_ready(&s, "stop_hangs");
	assert_true(died_of(script_orphan(&s), SIGKILL));
	assert_int_equal(script_note_of_stop(&s), 'o');
	script_finish(&s);
	/* and one that was told to stop, with the supervisor dying meanwhile */
	script_start_ready(&s, "stop_hangs");
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_stop(&s);
	assert_int_equal(script_note_of_stop(&s), 's');
	assert_true(died_of(script_orphan(&s), SIGKILL));
	script_finish(&s);
}

/* A supervisor that only stops writing is gone as well. */
static void half_a_channel_is_none(void **state)
{
	struct script s;

	(void)state;
	script_start_ready(&s, "");
	assert_int_equal(shutdown(s.channel, SHUT_WR), 0);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_orphan_leaves_in_order),
	    cmocka_unit_test(an_orphan_before_hello_leaves),
	    cmocka_unit_test(an_orphan_from_birth_leaves),
	    cmocka_unit_test(an_orphan_in_a_busy_loop_is_killed),
	    cmocka_unit_test(an_orphan_that_hangs_in_start_is_killed),
	    cmocka_unit_test(an_orphan_that_hangs_in_stop_is_killed),
	    cmocka_unit_test(half_a_channel_is_none),
	};

	if (getenv(BF_ENV_ROLE) != NULL)
		return be_child(argc, argv);
	return cmocka_run_group_tests_name("common/proc/child_deathwatch", tests, NULL, NULL);
}
