/*
 * A process that dies at a chosen step of its work. Functions that the linker wraps (meson.build)
 * call step() before and after each change; step_in_child() says whether the work was finished.
 */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static long steps_left = -1; /* until SIGKILL; -1: never */

static inline void step(void)
{
	if (steps_left >= 0 && steps_left-- == 0)
		(void)raise(SIGKILL);
}

/* work() ends the process. True: with success; false: it was killed at step kill_at. */
static inline bool step_in_child(void (*work)(void *), void *ctx, long kill_at)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		steps_left = kill_at;
		work(ctx);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		assert_int_equal(WTERMSIG(status), SIGKILL);
	else
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFEXITED(status);
}
