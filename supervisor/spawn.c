/*
 * fork + fexecve. Used for children (child.c) and for the throw-away configuration helper
 * (config.c). Between fork and exec it must use nothing but async-signal-safe calls.
 */
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/proc/fds.h"

static void reset_signals(void)
{
	sigset_t none;

	/* Handlers are reset by exec; what is ignored (by us, or by the shell that started us in
	 * the background) would stay ignored. */
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int place_stdin(int fd)
{
	if (fd < 0)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fd == STDIN_FILENO)
		return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
	return dup2(fd, STDIN_FILENO) < 0 ? -errno : 0;
}

static _Noreturn void in_child(const struct spawn *s, int *fds)
{
	static const char failed[] = "bifrost: a child could not be executed\n";
	int binary = 3 + (int)s->fd_count;

	reset_signals();
	/* A group of its own: Ctrl-C on a terminal reaches the supervisor alone, which stops its
	 * children in order. */
	(void)setpgid(0, 0);
	fds[s->fd_count] = s->binary;
	if (place_stdin(s->stdin_fd) == 0 && bf_fds_place(fds, s->fd_count + 1, 3) == 0 &&
	    fcntl(binary, F_SETFD, FD_CLOEXEC) == 0)
		(void)fexecve(binary, s->argv, s->envp);
	(void)!write(STDERR_FILENO, failed, sizeof(failed) - 1);
	_exit(127);
}

pid_t spawn_process(const struct spawn *s, struct bf_err *err)
{
	int fds[SPAWN_MAX_FDS + 1];
	pid_t pid;

	if (s->fd_count > SPAWN_MAX_FDS)
		return bf_err_set(err, BF_E_LIMIT, "%s: more than %u descriptors to inherit",
				  s->name, SPAWN_MAX_FDS);
	if (s->fd_count)
		memcpy(fds, s->fds, s->fd_count * sizeof(fds[0]));
	pid = fork();
	if (pid == 0)
		in_child(s, fds);
	if (pid < 0)
		return bf_err_sys(err, -errno, "%s: fork", s->name);
	return pid;
}

const char *spawn_exit_text(int wait_status, char *out, size_t size)
{
	if (WIFEXITED(wait_status)) {
		(void)snprintf(out, size, "exit %d", WEXITSTATUS(wait_status));
	} else if (WIFSIGNALED(wait_status)) {
		int sig = WTERMSIG(wait_status);
		const char *name = sigabbrev_np(sig);

		(void)snprintf(out, size, "signal %d (%s)%s", sig, name ? name : "?",
			       sig == SIGSYS ? ": a system call outside its sandbox" : "");
	} else {
		(void)snprintf(out, size, "status %#x", (unsigned)wait_status);
	}
	return out;
}
