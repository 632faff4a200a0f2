/*
 * Landlock rules of a process: folders it may use, TCP, abstract sockets and signals to strangers.
 * Called by bf_sandbox_apply. The structures are our own because the kernel headers of Debian 12
 * stop at ABI 2.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/proc/sandbox_priv.h"

#define LL_CREATE_RULESET_VERSION (1u << 0)
#define LL_RULE_PATH_BENEATH      1

#define LL_FS_EXECUTE     (1ull << 0)
#define LL_FS_WRITE_FILE  (1ull << 1)
#define LL_FS_READ_FILE   (1ull << 2)
#define LL_FS_READ_DIR    (1ull << 3)
#define LL_FS_REMOVE_DIR  (1ull << 4)
#define LL_FS_REMOVE_FILE (1ull << 5)
#define LL_FS_MAKE_DIR    (1ull << 7)
#define LL_FS_MAKE_REG    (1ull << 8)
#define LL_FS_ALL_ABI1    ((1ull << 13) - 1)
#define LL_FS_REFER       (1ull << 13) /* ABI 2 */
#define LL_FS_TRUNCATE    (1ull << 14) /* ABI 3 */
#define LL_FS_IOCTL_DEV   (1ull << 15) /* ABI 5 */
#define LL_FS_FILE_RIGHTS \
	(LL_FS_EXECUTE | LL_FS_WRITE_FILE | LL_FS_READ_FILE | LL_FS_TRUNCATE | LL_FS_IOCTL_DEV)

#define LL_NET_BIND_TCP    (1ull << 0) /* ABI 4 */
#define LL_NET_CONNECT_TCP (1ull << 1)

#define LL_SCOPE_ABSTRACT_UNIX (1ull << 0) /* ABI 6 */
#define LL_SCOPE_SIGNAL        (1ull << 1)

struct ll_ruleset {
	uint64_t handled_fs;
	uint64_t handled_net; /* ABI 4 */
	uint64_t scoped;      /* ABI 6 */
};

struct ll_path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

int bf_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

static uint64_t handled_fs(int abi)
{
	uint64_t rights = LL_FS_ALL_ABI1;

	if (abi >= 2)
		rights |= LL_FS_REFER;
	if (abi >= 3)
		rights |= LL_FS_TRUNCATE;
	if (abi >= 5)
		rights |= LL_FS_IOCTL_DEV;
	return rights;
}

static uint64_t path_rights(unsigned access)
{
	uint64_t rights = 0;

	if (access & BF_PATH_READ)
		rights |= LL_FS_READ_FILE | LL_FS_READ_DIR;
	if (access & BF_PATH_WRITE)
		rights |= LL_FS_WRITE_FILE | LL_FS_REMOVE_DIR | LL_FS_REMOVE_FILE | LL_FS_MAKE_DIR |
			  LL_FS_MAKE_REG | LL_FS_REFER | LL_FS_TRUNCATE;
	return rights;
}

static struct ll_ruleset wanted_rules(const struct bf_sandbox *sandbox, int abi)
{
	struct ll_ruleset rules = {.handled_fs = handled_fs(abi)};

	if (abi >= 4) {
		if (!sandbox->tcp_bind)
			rules.handled_net |= LL_NET_BIND_TCP;
		if (!sandbox->tcp_connect)
			rules.handled_net |= LL_NET_CONNECT_TCP;
	}
	if (abi >= 6)
		rules.scoped = LL_SCOPE_ABSTRACT_UNIX | LL_SCOPE_SIGNAL;
	return rules;
}

/* Older kernels refuse a structure that is longer than theirs unless the rest is zero; be exact
 * instead. */
static size_t rules_size(int abi)
{
	if (abi >= 6)
		return sizeof(struct ll_ruleset);
	return abi >= 4 ? offsetof(struct ll_ruleset, scoped)
			: offsetof(struct ll_ruleset, handled_net);
}

static int add_path(int ruleset, const char *path, uint64_t rights, struct bf_err *err)
{
	struct ll_path_beneath rule = {.allowed = rights};
	struct stat st;
	int r = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0 && errno == ENOENT)
		return 0;
	if (rule.parent_fd < 0)
		return bf_err_sys(err, -errno, "sandbox: %s", path);
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed &= LL_FS_FILE_RIGHTS;
	if (syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH_BENEATH, &rule, 0) < 0)
		r = bf_err_sys(err, -errno, "sandbox: landlock rule for %s", path);
	(void)close(rule.parent_fd);
	return r;
}

static const char *resolve(const char *path, const char *state_dir, const char *runtime_dir)
{
	if (strcmp(path, "@state") == 0)
		return state_dir;
	return strcmp(path, "@runtime") == 0 ? runtime_dir : path;
}

static int add_paths(int ruleset, const struct bf_sandbox *sandbox, const char *state_dir,
		     const char *runtime_dir, int abi, struct bf_err *err)
{
	for (const struct bf_sandbox_path *p = sandbox->paths; p != NULL && p->path != NULL; p++) {
		const char *path = resolve(p->path, state_dir, runtime_dir);
		int r;

		if (path == NULL)
			return bf_err_set(err, BF_E_MISSING,
					  "sandbox: %s is not known to this process", p->path);
		r = add_path(ruleset, path, path_rights(p->access) & handled_fs(abi), err);
		if (r < 0)
			return r;
	}
	return 0;
}

int bf_landlock_apply(const struct bf_sandbox *sandbox, const char *state_dir,
		      const char *runtime_dir, int abi, struct bf_sandbox_report *report,
		      struct bf_err *err)
{
	struct ll_ruleset rules = wanted_rules(sandbox, abi);
	long ruleset = syscall(SYS_landlock_create_ruleset, &rules, rules_size(abi), 0);
	int r;

	if (ruleset < 0)
		return bf_err_sys(err, -errno, "sandbox: landlock ruleset (ABI %d)", abi);
	r = add_paths((int)ruleset, sandbox, state_dir, runtime_dir, abi, err);
	if (r == 0 && syscall(SYS_landlock_restrict_self, (int)ruleset, 0) < 0)
		r = bf_err_sys(err, -errno, "sandbox: landlock");
	(void)close((int)ruleset);
	if (r < 0)
		return r;
	report->landlock_abi = abi;
	report->landlock_files = true;
	report->landlock_net = abi >= 4;
	report->landlock_scope = abi >= 6;
	return 0;
}
