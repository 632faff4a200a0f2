/*
 * Giving up rights, each step verified: a child that could not drop what it was told to drop must
 * not run. Called once by the child runtime, after everything that needs rights is open and before
 * the sandbox.
 */
#include "common/proc/privdrop.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Anonymous private memory and ELF headers: no shared mappings (the segment, memfds), no file
 * pages. */
#define COREDUMP_FILTER "0x11"

static int drop_capabilities(struct bf_err *err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
	struct __user_cap_data_struct data[2];

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0,
		    0); /* EINVAL before Linux 4.3: nothing to clear */
	memset(data, 0, sizeof(data));
	if (syscall(SYS_capset, &head, data) < 0)
		return bf_err_sys(err, -errno, "privdrop: capset");
	memset(data, 0xff, sizeof(data));
	if (syscall(SYS_capget, &head, data) < 0)
		return bf_err_sys(err, -errno, "privdrop: capget");
	for (size_t i = 0; i < BF_ARRAY_LEN(data); i++) {
		if ((data[i].effective | data[i].permitted | data[i].inheritable) != 0)
			return bf_err_set(err, BF_E_DENIED,
					  "privdrop: capabilities remain after capset");
	}
	return 0;
}

/* Needs CAP_SETPCAP, so it comes before the user changes. The kernel's list ends with EINVAL. */
static int drop_bounding_set(struct bf_err *err)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL && cap > 0)
			return 0;
		return bf_err_sys(err, -errno,
				  "privdrop: capability %lu cannot leave the bounding set", cap);
	}
	return 0;
}

static int switch_user(const struct passwd *pw, struct bf_err *err)
{
	if (initgroups(pw->pw_name, pw->pw_gid) < 0)
		return bf_err_sys(err, -errno, "privdrop: groups of %s", pw->pw_name);
	if (setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0)
		return bf_err_sys(err, -errno, "privdrop: setresgid %u", (unsigned)pw->pw_gid);
	if (setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return bf_err_sys(err, -errno, "privdrop: setresuid %u", (unsigned)pw->pw_uid);
	return 0;
}

static int verify_user(const struct passwd *pw, struct bf_err *err)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
		return bf_err_sys(err, -errno, "privdrop: getresuid");
	if (ruid != pw->pw_uid || euid != pw->pw_uid || suid != pw->pw_uid || rgid != pw->pw_gid ||
	    egid != pw->pw_gid || sgid != pw->pw_gid)
		return bf_err_set(err, BF_E_DENIED, "privdrop: not %s in every id", pw->pw_name);
	if (setuid(0) == 0 || seteuid(0) == 0 || setresuid(0, 0, 0) == 0)
		return bf_err_set(err, BF_E_DENIED, "privdrop: root can be taken back");
	return 0;
}

static int become(const char *user, struct bf_err *err)
{
	const struct passwd *pw;
	int r;

	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL)
		return bf_err_set(
		    err, errno != 0 ? -errno : BF_E_UNKNOWN,
		    "privdrop: no user '%s': create it, or name another (bifrost --user)", user);
	if (pw->pw_uid == 0)
		return bf_err_set(err, BF_E_DENIED,
				  "privdrop: user '%s' is root: name an ordinary user", user);
	if (geteuid() != 0 && geteuid() == pw->pw_uid)
		return 0;
	if (geteuid() != 0)
		return bf_err_set(
		    err, -EPERM,
		    "privdrop: only root can become '%s': start as root or as that user", user);
	r = drop_bounding_set(err);
	if (r == 0)
		r = switch_user(pw, err);
	if (r == 0)
		r = verify_user(pw, err);
	return r;
}

int bf_privdrop(const char *user, struct bf_err *err)
{
	if (user != NULL && user[0] != '\0') {
		int r = become(user, err);

		if (r < 0)
			return r;
	} else if (geteuid() == 0) {
		return 0;
	}
	return drop_capabilities(err);
}

/* A changed user makes a process undumpable, which also takes its /proc files away: both come back
 * here. */
static int set_coredump_filter(void)
{
	ssize_t n;
	int fd;

	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return -errno;
	fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, COREDUMP_FILTER, sizeof(COREDUMP_FILTER) - 1);
	if (n < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return close(fd) < 0 ? -errno : 0;
}

int bf_core_limit_contents(struct bf_err *err)
{
	struct rlimit none = {0, 0};
	int r = set_coredump_filter();

	if (r == 0)
		return 0;
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return bf_err_sys(
		    err, -errno,
		    "core: contents cannot be limited and core files cannot be switched off");
	return bf_err_sys(
	    err, r, "core: contents cannot be limited, so core files are off: is /proc mounted?");
}
