/*
 * bifrostctl check: runs the program that parses configurations for the gateway, so that the answer
 * is the one the gateway would get. Must never parse a file itself, and never run a program found
 * through PATH.
 */
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/proc/contract.h"
#include "ctl/ctl.h"

#define PROGRAM      "bifrost-config"
#define DEFAULT_FILE "/etc/bifrost/bifrost.yaml"

extern char **environ;

static bool is_program(const char *dir, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/" PROGRAM, dir);

	return n > 0 && n < PATH_MAX && access(out, X_OK) == 0;
}

/*
 * Where the supervisor looks too: $BIFROST_LIBEXEC_DIR, or beside this program, or the folder of
 * the installation. When it is in none of them, out is the last name tried.
 */
static bool find_program(char out[PATH_MAX])
{
	const char *given = getenv("BIFROST_LIBEXEC_DIR");
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (given && given[0])
		return is_program(given, out);
	if (n > 0) {
		self[n] = '\0';
		char *slash = strrchr(self, '/');
		if (slash) {
			*slash = '\0';
			if (is_program(self, out))
				return true;
		}
	}
	return is_program(BF_LIBEXEC_DIR, out);
}

static int code_of(struct ctl *ctl, int status)
{
	if (WIFSIGNALED(status))
		return ctl_fail(ctl, CTL_FAILED, "check: " PROGRAM " was killed by signal %d",
				WTERMSIG(status));
	if (WEXITSTATUS(status) == BF_EXIT_USAGE)
		return CTL_USAGE;
	return WEXITSTATUS(status) == 0 ? CTL_OK : CTL_FAILED;
}

int ctl_check(struct ctl *ctl, struct ctl_args *args)
{
	const char *file = ctl_args_operand(args);
	char program[PATH_MAX], name[PATH_MAX], option[] = "--check", zeroth[] = PROGRAM;
	char *argv[] = {zeroth, option, name, NULL};
	int status = 0;
	pid_t pid;
	int r = ctl_no_more(ctl, args);

	if (r != CTL_OK)
		return r;
	if (!find_program(program))
		return ctl_fail(ctl, CTL_FAILED,
				"check: %s: not there: is the installation complete?", program);
	if (snprintf(name, sizeof(name), "%s", file ? file : DEFAULT_FILE) >= PATH_MAX)
		return ctl_fail(ctl, CTL_USAGE, "check: the name of the file is too long");
	(void)fflush(ctl->out);
	r = posix_spawn(&pid, program, NULL, NULL, argv, environ);
	if (r != 0)
		return ctl_fail(ctl, CTL_FAILED, "check: %s: %s", program, strerror(r));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return ctl_fail(ctl, CTL_FAILED, "check: waitpid: %s", strerror(errno));
	}
	r = code_of(ctl, status);
	if (r == CTL_OK)
		(void)fprintf(ctl->out, "%s: valid\n", name);
	return r;
}
