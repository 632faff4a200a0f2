/* For tests: run a function in a process of its own and tell how it ended. */
#pragma once

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Waits up to limit_ms; kills it then. Returns the wait status, or -1 when it had to be killed. */
static inline int wait_limited(pid_t pid, int limit_ms)
{
	struct timespec step = {0, 2000000};
	int status;

	for (int waited = 0; waited < limit_ms; waited += 2) {
		pid_t r = waitpid(pid, &status, WNOHANG);

		if (r == pid)
			return status;
		if (r < 0 && errno != EINTR)
			return -1;
		(void)nanosleep(&step, NULL);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	return -1;
}

/* The process exits with what fn returns (0..255). */
static inline int run_forked(int (*fn)(const void *arg), const void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(arg));
	return pid < 0 ? -1 : wait_limited(pid, 20000);
}

static inline bool exited_with(int status, int code)
{
	return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static inline bool died_of(int status, int sig)
{
	return status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == sig;
}
