/*
 * Finds and holds the children's programs. Called once at start, by main.c. Must never look
 * anything up later: the descriptors are what is executed.
 */
#include "supervisor/binaries.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/plan.h"

static const char helper_name[] = "bifrost-config";

void binaries_init(struct binaries *b)
{
	for (size_t i = 0; i < BF_ROLE_COUNT; i++)
		b->fds[i] = -1;
	b->config_helper = -1;
	b->folder[0] = '\0';
}

void binaries_close(struct binaries *b)
{
	for (size_t i = 0; i < BF_ROLE_COUNT; i++) {
		if (b->fds[i] >= 0)
			(void)close(b->fds[i]);
	}
	if (b->config_helper >= 0)
		(void)close(b->config_helper);
	binaries_init(b);
}

static int open_one(int dir, const char *folder, const char *name, struct bf_err *err)
{
	struct stat st;
	int fd = openat(dir, name, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return bf_err_sys(err, -errno,
				  "%s/%s: cannot be opened: install it, or set BIFROST_LIBEXEC_DIR",
				  folder, name);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
		return fd;
	(void)close(fd);
	return bf_err_set(err, -EACCES, "%s/%s: is no program: install it again", folder, name);
}

static int open_all(struct binaries *b, int dir, const char *folder, struct bf_err *err)
{
	for (size_t i = 0; i < plan_row_count; i++) {
		int fd = open_one(dir, folder, plan_rows[i].binary, err);

		if (fd < 0)
			return fd;
		b->fds[plan_rows[i].role] = fd;
	}
	b->config_helper = open_one(dir, folder, helper_name, err);
	return b->config_helper < 0 ? b->config_helper : 0;
}

int binaries_open_in(struct binaries *b, const char *folder, struct bf_err *err)
{
	int dir, r;

	binaries_init(b);
	dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return bf_err_sys(err, -errno, "%s: folder of the programs cannot be opened",
				  folder);
	r = open_all(b, dir, folder, err);
	(void)close(dir);
	if (r < 0)
		binaries_close(b);
	else
		(void)snprintf(b->folder, sizeof(b->folder), "%s", folder);
	return r;
}

/* The folder this very program lies in. */
static int own_folder(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);
	char *slash;

	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash || slash == out)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

int binaries_open(struct binaries *b, struct bf_err *err)
{
	const char *asked = getenv("BIFROST_LIBEXEC_DIR");
	char beside[4096];

	if (asked && *asked)
		return binaries_open_in(b, asked, err);
	if (own_folder(beside, sizeof(beside)) == 0 && binaries_open_in(b, beside, NULL) == 0)
		return 0;
	return binaries_open_in(b, BF_LIBEXEC_DIR, err);
}
