/*
 * bifrost: the supervisor. Says what the command line asks for and hands over. Must never do
 * anything that a test could not do by calling the parts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/proc/child.h"
#include "common/proc/contract.h"
#include "common/proc/privdrop.h"
#include "supervisor/supervisor.h"

static int fail(int code, const struct bf_err *err)
{
	(void)fprintf(stderr, "bifrost: %s\n", err->text);
	return code;
}

/* A closed standard descriptor would be given to the next file opened, and written to. */
static int fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd >= 0 && fd <= STDERR_FILENO)
			(void)fcntl(fd, F_SETFD, 0);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
	return fd < 0 ? -errno : 0;
}

/* Another program does it and prints; its exit code is ours. */
static int hand_over(bool to_worker, const char *mode, const char *file, char *const *environment)
{
	const char *name = to_worker ? "bifrost-proxyd" : "bifrost-config";
	struct binaries binaries;
	struct bf_err err = {0};
	char argv0[32], arg1[32], arg2[4096];
	char *argv[] = {argv0, arg1, file ? arg2 : NULL, NULL};

	if (binaries_open(&binaries, &err) < 0)
		return fail(BF_EXIT_FAILED, &err);
	(void)snprintf(argv0, sizeof(argv0), "%s", name);
	(void)snprintf(arg1, sizeof(arg1), "%s", mode);
	(void)snprintf(arg2, sizeof(arg2), "%s", file ? file : "");
	(void)fexecve(to_worker ? binaries.fds[BF_ROLE_PROXYD] : binaries.config_helper, argv,
		      environment);
	(void)bf_err_sys(&err, -errno, "%s/%s: cannot be executed", binaries.folder, name);
	binaries_close(&binaries);
	return fail(BF_EXIT_FAILED, &err);
}

static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int run(const struct options *options, char *const *environment)
{
	struct bf_err err = {0};

	(void)umask(0077);
	raise_limits();
	/* Inherited by the children too: nothing here ever gains rights by an exec. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		(void)bf_err_sys(&err, -errno, "no_new_privs");
		return fail(BF_EXIT_SANDBOX, &err);
	}
	/* The bundle of the configuration passes through our memory. */
	if (bf_core_limit_contents(&err) < 0)
		return fail(BF_EXIT_SANDBOX, &err);
	return supervisor_run(options, environment);
}

int main(int argc, char **argv, char **environment)
{
	struct options options;
	struct bf_err err = {0};

	if (fill_standard_fds() < 0)
		return BF_EXIT_FAILED;
	if (options_parse(argc, argv, &options, &err) < 0)
		return fail(BF_EXIT_USAGE, &err);
	switch (options.mode) {
	case OPTIONS_CHECK:
		return hand_over(false, "--check", options.file, environment);
	case OPTIONS_DUMP_SCHEMA:
		return hand_over(false, "--dump-schema", NULL, environment);
	case OPTIONS_DUMP_OPENAPI:
		return hand_over(true, "--dump-openapi", NULL, environment);
	case OPTIONS_VERSION:
		(void)printf("bifrost %s (build %s)\n", bf_version(), bf_build_id());
		return BF_EXIT_OK;
	case OPTIONS_HELP:
		(void)fputs(options_help, stdout);
		return BF_EXIT_OK;
	case OPTIONS_RUN:
		break;
	}
	return run(&options, environment);
}
