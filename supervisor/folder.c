/*
 * The two folders. Called once at start, by main.c, before anything is forked. Must never follow a
 * link inside the runtime folder or trust a file there by its name alone.
 */
#include "supervisor/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/proc/contract.h"

int owner_find(const char *user, struct owner *ret_owner, struct bf_err *err)
{
	const struct passwd *pw;

	*ret_owner = (struct owner){.name = "", .uid = geteuid(), .gid = getegid()};
	if (!user || !*user)
		return 0;
	pw = getpwnam(user);
	if (!pw)
		return bf_err_set(err, BF_E_UNKNOWN,
				  "--user %s: there is no such user: create it (useradd --system)",
				  user);
	if (geteuid() != 0 && pw->pw_uid != geteuid())
		return bf_err_set(
		    err, BF_E_DENIED,
		    "--user %s: only root can become another user: start as root or without it",
		    user);
	*ret_owner = (struct owner){.name = user, .uid = pw->pw_uid, .gid = pw->pw_gid};
	return 0;
}

static int choose(char *out, size_t size, const char *env, struct bf_slice conf, const char *dflt,
		  struct bf_err *err)
{
	const char *from_env = getenv(env);
	char cwd[1024] = "";
	struct bf_slice path = bf_slice_from(dflt);
	int n;

	if (conf.len)
		path = conf;
	if (from_env && *from_env)
		path = bf_slice_from(from_env);
	if (path.ptr[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return bf_err_sys(err, -errno, "%.*s: working directory", BF_SLICE_FMT(path));
	n = snprintf(out, size, "%s%s%.*s", cwd, cwd[0] ? "/" : "", BF_SLICE_FMT(path));
	if (n < 0 || (size_t)n >= size)
		return bf_err_set(err, -ENAMETOOLONG,
				  "%.*s: folder name is too long: use a shorter one",
				  BF_SLICE_FMT(path));
	return 0;
}

int folder_choose(struct folders *f, struct bf_slice conf_state, struct bf_slice conf_runtime,
		  struct bf_err *err)
{
	int r;

	memset(f, 0, sizeof(*f));
	f->runtime_fd = f->lock_fd = -1;
	r = choose(f->state, sizeof(f->state), BF_ENV_STATE_DIR, conf_state, FOLDER_STATE_DEFAULT,
		   err);
	if (r < 0)
		return r;
	return choose(f->runtime, sizeof(f->runtime), BF_ENV_RUNTIME_DIR, conf_runtime,
		      FOLDER_RUNTIME_DEFAULT, err);
}

int folder_make(const char *path, mode_t mode)
{
	char part[1024];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		char c = part[i];

		if (c != '/' && c != '\0')
			continue;
		part[i] = '\0';
		/* Parents are made as a shell would; only the folder itself is private. */
		if (mkdir(part, c == '/' ? 0755 : mode) < 0 && errno != EEXIST)
			return -errno;
		part[i] = c;
	}
	return 0;
}

static int open_folder(const char *what, const char *path, const struct owner *owner,
		       struct bf_err *err)
{
	struct stat st;
	int fd, r = folder_make(path, 0700);

	if (r < 0)
		return bf_err_sys(err, r,
				  "%s: %s cannot be created: create it or choose another one", path,
				  what);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return bf_err_sys(err, -errno, "%s: %s cannot be opened", path, what);
	if (geteuid() == 0 && *owner->name && fchown(fd, owner->uid, owner->gid) < 0) {
		r = bf_err_sys(err, -errno, "%s: %s cannot be given to %s", path, what,
			       owner->name);
		(void)close(fd);
		return r;
	}
	if (fstat(fd, &st) == 0 && (st.st_mode & S_IWOTH)) {
		(void)close(fd);
		return bf_err_set(
		    err, BF_E_DENIED,
		    "%s: %s can be written by everyone: chmod o-w it, or choose one of its own",
		    path, what);
	}
	return fd;
}

/*
 * As the owner would, by the whole path: root's own right to write anywhere says nothing, and a
 * parent may be closed to the owner.
 */
static int try_write(const char *folder, const struct owner *owner)
{
	char path[1100];
	uid_t was_uid = geteuid();
	gid_t was_gid = getegid();
	int fd, r = 0;

	(void)snprintf(path, sizeof(path), "%s/.write-test", folder);
	(void)setfsgid(owner->gid);
	(void)setfsuid(owner->uid);
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || unlink(path) < 0)
		r = -errno;
	(void)setfsuid(was_uid);
	(void)setfsgid(was_gid);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int prepare_one(const char *what, const char *path, const struct owner *owner,
		       struct bf_err *err)
{
	int r, fd = open_folder(what, path, owner, err);

	if (fd < 0)
		return fd;
	r = try_write(path, owner);
	if (r == 0)
		return fd;
	(void)close(fd);
	return bf_err_sys(err, r,
			  "%s: %s is not writable for uid %u: chown it, or choose another one",
			  path, what, (unsigned)owner->uid);
}

int folder_prepare(struct folders *f, const struct owner *owner, struct bf_err *err)
{
	struct statfs fs;
	int fd = prepare_one("the state folder (BIFROST_STATE_DIR, supervisor.state_dir)", f->state,
			     owner, err);

	if (fd < 0)
		return fd;
	(void)close(fd);
	fd = prepare_one("the runtime folder (BIFROST_RUNTIME_DIR, supervisor.runtime_dir)",
			 f->runtime, owner, err);
	if (fd < 0)
		return fd;
	f->runtime_fd = fd;
	f->runtime_is_tmpfs =
	    fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
	return 0;
}

/* The pid in the lock file, when that is a living supervisor; 0 otherwise. */
static long living_holder(int fd)
{
	char text[32] = "", path[64], comm[32] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;
	int proc;

	if (pid <= 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	proc = open(path, O_RDONLY | O_CLOEXEC);
	if (proc < 0)
		return 0;
	n = read(proc, comm, sizeof(comm) - 1);
	(void)close(proc);
	return n > 0 && strcmp(comm, "bifrost\n") == 0 ? pid : 0;
}

static int write_pid(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return -errno;
	return 0;
}

static int wait_for_lock(struct folders *f, int64_t wait_ms, struct bf_err *err)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	int64_t end = bf_mono_ms() + wait_ms;

	while (flock(f->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		int why = errno;
		long pid = living_holder(f->lock_fd);

		if (why != EWOULDBLOCK && why != EINTR)
			return bf_err_sys(err, -why, "%s/lock: flock", f->runtime);
		if (pid)
			return bf_err_set(
			    err, BF_E_STATE,
			    "%s/lock: held by the bifrost with pid %ld: stop it, or give this one "
			    "a runtime folder of its own (BIFROST_RUNTIME_DIR)",
			    f->runtime, pid);
		if (bf_mono_ms() >= end)
			return bf_err_set(err, BF_E_STATE,
					  "%s/lock: still held by children of a supervisor that is "
					  "gone: see `fuser -v %s/lock`, end them and start again",
					  f->runtime, f->runtime);
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int folder_lock(struct folders *f, const struct owner *owner, int64_t wait_ms, struct bf_err *err)
{
	struct stat st;
	int r;

	f->lock_fd = openat(f->runtime_fd, "lock",
			    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (f->lock_fd < 0)
		return bf_err_sys(err, -errno, "%s/lock: cannot be opened", f->runtime);
	if (fstat(f->lock_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return bf_err_set(err, BF_E_CORRUPT, "%s/lock: is no regular file: remove it",
				  f->runtime);
	r = wait_for_lock(f, wait_ms, err);
	if (r < 0)
		return r;
	/* So that the next one may be started as that user. */
	if (geteuid() == 0 && *owner->name && fchown(f->lock_fd, owner->uid, owner->gid) < 0)
		return bf_err_sys(err, -errno, "%s/lock: cannot be given to %s", f->runtime,
				  owner->name);
	r = write_pid(f->lock_fd);
	return r < 0 ? bf_err_sys(err, r, "%s/lock: cannot be written", f->runtime) : 0;
}

void folder_close(struct folders *f)
{
	if (f->runtime_fd >= 0)
		(void)close(f->runtime_fd);
	if (f->lock_fd >= 0)
		(void)close(f->lock_fd);
	f->runtime_fd = f->lock_fd = -1;
}
