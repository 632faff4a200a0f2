/*
 * Rights are gone for good, and core files hold no secrets. What needs root is skipped for an
 * ordinary user, aloud.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/proc/fds.h"
#include "common/proc/privdrop.h"
#include "tests/support/forked.h"
#include "tests/support/smaps.h"

#define NOBODY "nobody"

static bool status_line_is(const char *key, const char *value)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	bool same = false;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, key, strlen(key)) == 0)
			same = strstr(line, value) != NULL;
	}
	if (f != NULL)
		(void)fclose(f);
	return same;
}

static bool has_no_capability(void)
{
	static const char zero[] = "0000000000000000";

	return status_line_is("CapInh:", zero) && status_line_is("CapPrm:", zero) &&
	       status_line_is("CapEff:", zero) && status_line_is("CapAmb:", zero);
}

static int become_nobody(const void *arg)
{
	struct bf_err err = {0};
	uid_t r, e, s;
	gid_t groups[64];

	(void)arg;
	if (bf_privdrop(NOBODY, &err) != 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (getresuid(&r, &e, &s) < 0 || r == 0 || r != e || e != s || getgid() == 0)
		return 2;
	if (setuid(0) == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0)
		return 3;
	for (int i = 0, n = getgroups(64, groups); i < n; i++) {
		if (groups[i] == 0)
			return 4;
	}
	if (!has_no_capability() || !status_line_is("CapBnd:", "0000000000000000"))
		return 5;
	return open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES ? 0 : 6;
}

static int become_nobody_twice(const void *arg)
{
	int r = become_nobody(arg);

	if (r != 0)
		return r;
	if (bf_privdrop(NOBODY, NULL) != 0 || bf_privdrop(NULL, NULL) != 0 ||
	    bf_privdrop("", NULL) != 0)
		return 10;
	return bf_privdrop("daemon", NULL) == -EPERM ? 0 : 11;
}

static int stay_root(const void *arg)
{
	(void)arg;
	return bf_privdrop("", NULL) == 0 && geteuid() == 0 && setuid(0) == 0 ? 0 : 1;
}

/* An ordinary user that was left some capability by its parent. */
static int drop_what_is_left(const void *arg)
{
	(void)arg;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 1;
	if (!status_line_is("CapPrm:", "ffff")) /* the premise: they were kept */
		return 2;
	return bf_privdrop("", NULL) == 0 && has_no_capability() ? 0 : 3;
}

static void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: needs root\n");
	skip();
}

static void root_becomes_nobody(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(run_forked(become_nobody, NULL), 0);
	assert_int_equal(run_forked(become_nobody_twice, NULL), 0);
}

static void without_a_user_root_stays(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(run_forked(stay_root, NULL), 0);
}

static void kept_capabilities_are_dropped(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(run_forked(drop_what_is_left, NULL), 0);
}

static void impossible_users_are_refused(void **state)
{
	struct bf_err err = {0};

	(void)state;
	assert_int_equal(bf_privdrop("no-such-user-here", &err), BF_E_UNKNOWN);
	assert_non_null(strstr(err.text, "no-such-user-here"));
	assert_int_equal(bf_privdrop("root", &err), BF_E_DENIED);
	assert_non_null(strstr(err.text, "root"));
}

static int core_filter_is_set(const void *arg)
{
	FILE *f;
	char text[32] = "";

	(void)arg;
	if (geteuid() == 0 && bf_privdrop(NOBODY, NULL) != 0)
		return 1;
	if (bf_core_limit_contents(NULL) != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1)
		return 2;
	f = fopen("/proc/self/coredump_filter", "re");
	if (f == NULL || fgets(text, sizeof(text), f) == NULL)
		return 3;
	return strtoul(text, NULL, 16) == 0x11 ? 0 : 4;
}

static void core_contents_are_limited_after_the_drop(void **state)
{
	(void)state;
	assert_int_equal(run_forked(core_filter_is_set, NULL), 0);
}

/* Never in memory in clear except where it is put on purpose: the test binary holds it masked. */
#define CANARY_LEN 24

static void put_canary(volatile char *out, char kind)
{
	static const unsigned char masked[CANARY_LEN] = {
	    0x39, 0x3b, 0x34, 0x3b, 0x28, 0x23, 0x77, 0x1b, 0x6b, 0x1c, 0x6a, 0x19,
	    0x68, 0x18, 0x69, 0x1d, 0x6e, 0x1e, 0x6f, 0x12, 0x6c, 0x13, 0x6d, 0x14};

	for (size_t i = 0; i < CANARY_LEN; i++)
		out[i] = (char)(masked[i] ^ 0x5a);
	out[CANARY_LEN] = kind;
}

struct planted {
	char *heap;         /* must be found: the search works */
	char *arena;        /* must not */
	const void *config; /* must not */
	char *shared;       /* must not */
};

/*
 * With -Darena=malloc every allocation is ordinary heap memory, so that ASan sees it: such a build
 * does not keep what its arenas hold out of core files, and is not for production.
 */
#ifdef BF_ARENA_MALLOC
static const bool arenas_are_marked = false;
#else
static const bool arenas_are_marked = true;
#endif

static bool plant(struct planted *p, struct bf_arena *arena)
{
	char *source;
	size_t len;
	int fd;

	bf_arena_init_nodump(arena, 1u << 20);
	p->heap = malloc(CANARY_LEN + 1);
	p->arena = bf_arena_alloc(arena, CANARY_LEN + 1);
	source = bf_arena_alloc(arena, CANARY_LEN + 1);
	p->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->heap == NULL || p->arena == NULL || source == NULL || p->shared == MAP_FAILED)
		return false;
	put_canary(p->heap, 'H');
	put_canary(p->arena, 'A');
	put_canary(source, 'C');
	put_canary(p->shared, 'S');
	fd = bf_memfd_sealed("config", source, CANARY_LEN + 1);
	return bf_memfd_map(fd, &p->config, &len, NULL) == 0;
}

static void secret_memory_is_marked(void **state)
{
	struct planted p;
	struct bf_arena arena;

	(void)state;
	assert_true(plant(&p, &arena));
	assert_int_equal(mapping_has_flag(p.arena, "dd"), arenas_are_marked);
	assert_true(mapping_has_flag(p.config, "dd"));
	assert_false(mapping_has_flag(p.heap, "dd"));
	bf_memfd_unmap(p.config, CANARY_LEN + 1);
	bf_arena_done(&arena);
	(void)munmap(p.shared, 4096);
	free(p.heap);
}

/* Leaves a core file in the current folder. */
static int die_with_secrets(const void *arg)
{
	struct rlimit all;
	struct planted p;
	struct bf_arena arena;

	(void)arg;
	if (getrlimit(RLIMIT_CORE, &all) < 0)
		return 1;
	all.rlim_cur = geteuid() == 0 ? RLIM_INFINITY : all.rlim_max;
	all.rlim_max = all.rlim_cur;
	if (setrlimit(RLIMIT_CORE, &all) < 0 || all.rlim_cur == 0)
		return 2;
	if (!plant(&p, &arena) || bf_core_limit_contents(NULL) != 0)
		return 3;
	(void)signal(SIGABRT, SIG_DFL);
	(void)raise(SIGABRT);
	return 4;
}

/* Which kinds of canary a file holds, one bit per letter. */
static uint32_t kinds_in_file(FILE *f)
{
	char want[CANARY_LEN + 1], window[CANARY_LEN + 1] = {0};
	uint32_t found = 0;
	int c;

	put_canary(want, 0);
	while ((c = getc_unlocked(f)) != EOF) {
		if (memcmp(window, want, CANARY_LEN) == 0 && c >= 'A' && c <= 'Z')
			found |= 1u << (c - 'A');
		memmove(window, window + 1, CANARY_LEN - 1);
		window[CANARY_LEN - 1] = (char)c;
	}
	return found;
}

static FILE *open_core(pid_t pid)
{
	char name[32];
	FILE *f = fopen("core", "re");

	if (f != NULL)
		return f;
	(void)snprintf(name, sizeof(name), "core.%d", (int)pid);
	return fopen(name, "re");
}

static bool cores_land_in_the_current_folder(void)
{
	FILE *f = fopen("/proc/sys/kernel/core_pattern", "re");
	char pattern[128] = "";
	bool yes = f != NULL && fgets(pattern, sizeof(pattern), f) != NULL &&
		   strcmp(pattern, "core\n") == 0;

	if (f != NULL)
		(void)fclose(f);
	return yes;
}

static uint32_t bit(char kind)
{
	return 1u << (kind - 'A');
}

static void a_core_file_holds_no_secret(void **state)
{
	char folder[] = "/tmp/bf-core-XXXXXX";
	char back[4096], with_pid[32];
	uint32_t found;
	int status;
	pid_t pid;
	FILE *core;

	(void)state;
	assert_non_null(getcwd(back, sizeof(back)));
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	pid = fork();
	if (pid == 0)
		_exit(die_with_secrets(NULL));
	status = wait_limited(pid, 60000);
	core = open_core(pid);
	if (core == NULL && (!cores_land_in_the_current_folder() || exited_with(status, 2))) {
		print_message("skipped: this system leaves no core file here\n");
		assert_int_equal(chdir(back), 0);
		(void)rmdir(folder);
		skip();
	}
	assert_true(died_of(status, SIGABRT));
	assert_non_null(core);
	found = kinds_in_file(core);
	(void)fclose(core);
	/* The config's source lies in the arena too. */
	assert_int_equal(found, arenas_are_marked ? bit('H') : bit('H') | bit('A') | bit('C'));
	(void)snprintf(with_pid, sizeof(with_pid), "core.%d", (int)pid);
	(void)unlink("core");
	(void)unlink(with_pid);
	assert_int_equal(chdir(back), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(root_becomes_nobody),
	    cmocka_unit_test(without_a_user_root_stays),
	    cmocka_unit_test(kept_capabilities_are_dropped),
	    cmocka_unit_test(impossible_users_are_refused),
	    cmocka_unit_test(core_contents_are_limited_after_the_drop),
	    cmocka_unit_test(secret_memory_is_marked),
	    cmocka_unit_test(a_core_file_holds_no_secret),
	};

	return cmocka_run_group_tests_name("common/proc/privdrop", tests, NULL, NULL);
}
