/* Files, TCP and abstract sockets as Landlock fences them (bf_landlock_apply), for every ABI this
 * kernel can play. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/proc/sandbox_priv.h"
#include "tests/support/forked.h"
#include "tests/unit/common/proc/sandbox_world.h"

static int act_connect_abstract(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "\0bf-sandbox-test"};

	return because(connect(world.unix_socket, (const struct sockaddr *)&sa, sizeof(sa)));
}

static int needs_landlock(int abi)
{
	if (bf_landlock_abi() >= abi)
		return 1;
	print_message("skipped: Landlock ABI %d, needs %d\n", bf_landlock_abi(), abi);
	return 0;
}

static int fence_store(const struct bf_sandbox_path *paths)
{
	const struct bf_sandbox sandbox = {.groups = STORE, .paths = paths};
	struct bf_sandbox_report report;

	return bf_sandbox_apply(&sandbox, world.state, NULL, &report, NULL);
}

static const struct bf_sandbox_path state_and_readable[] = {
    {"@state", BF_PATH_READ | BF_PATH_WRITE},
    {world.readable, BF_PATH_READ},
    {"/no/such/path", BF_PATH_READ},
    {NULL, 0},
};

/* What a store does with its files. */
static int work_in_state(const void *arg)
{
	char a[160], b[160];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int fd;

	(void)arg;
	(void)snprintf(a, sizeof(a), "%s/a", world.state);
	(void)snprintf(b, sizeof(b), "%s/b", world.state);
	if (fence_store(state_and_readable) != 0)
		return UNFENCED;
	fd = file_in(world.state, "a", O_RDWR | O_CREAT);
	if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) < 0 || fcntl(fd, F_SETLK, &lock) < 0 ||
	    ftruncate(fd, 100) < 0)
		return 1;
	if (rename(a, b) < 0 || access(b, R_OK) < 0)
		return 2;
	return 0;
}

static int rename_and_remove(const void *arg)
{
	char a[160], b[160], d[160];
	int fd;

	(void)arg;
	(void)snprintf(a, sizeof(a), "%s/c", world.state);
	(void)snprintf(b, sizeof(b), "%s/d", world.state);
	(void)snprintf(d, sizeof(d), "%s/sub", world.state);
	if (fence_store(state_and_readable) != 0)
		return UNFENCED;
	fd = file_in(world.state, "c", O_RDWR | O_CREAT);
	if (fd < 0 || rename(a, b) < 0 || access(b, R_OK) < 0)
		return 1;
	if (mkdir(d, 0700) < 0 || rmdir(d) < 0 || unlink(b) < 0)
		return 2;
	return file_in(world.state, "d", O_RDONLY) < 0 && errno == ENOENT ? 0 : 3;
}

static int elsewhere_is_closed(const void *arg)
{
	char target[160];
	int fd;

	(void)arg;
	(void)snprintf(target, sizeof(target), "%s/stolen", world.outside);
	if (fence_store(state_and_readable) != 0)
		return UNFENCED;
	if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return 1;
	if (open("/proc/self/mem", O_RDWR | O_CLOEXEC) >= 0 ||
	    open("/proc/self/environ", O_RDONLY | O_CLOEXEC) >= 0)
		return 2;
	if (file_in(world.outside, "new", O_WRONLY | O_CREAT) >= 0 ||
	    file_in(world.outside, "there", O_RDONLY) >= 0)
		return 3;
	if (file_in(world.state, "link-out", O_RDONLY) >= 0 ||
	    file_in(world.state, "../outside/there", O_RDONLY) >= 0)
		return 4;
	fd = open(world.readable, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 5;
	if (open(world.readable, O_WRONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return 6;
	if (open(world.readable, O_RDONLY | O_TRUNC | O_CLOEXEC) >= 0 && bf_landlock_abi() >= 3)
		return 7;
	return rename(world.readable, target) < 0 && (errno == EACCES || errno == EXDEV) ? 0 : 8;
}

/* Nothing but opening is needed: no path at all is listed. */
static int no_paths_no_files(const void *arg)
{
	(void)arg;
	if (fence_store(NULL) != 0)
		return UNFENCED;
	return file_in(world.state, "x", O_WRONLY | O_CREAT) < 0 &&
		       open("/", O_RDONLY | O_CLOEXEC) < 0
		   ? 0
		   : 1;
}

static void files_only_where_listed(void **state)
{
	(void)state;
	if (!needs_landlock(2))
		skip();
	assert_int_equal(run_forked(work_in_state, NULL), 0);
	assert_int_equal(run_forked(rename_and_remove, NULL), 0);
	assert_int_equal(run_forked(elsewhere_is_closed, NULL), 0);
	assert_int_equal(run_forked(no_paths_no_files, NULL), 0);
}

static void tcp_connect_needs_the_rule(void **state)
{
	const struct attempt without = {"connect", CLIENT, false, connect_listener};
	const struct attempt with = {"connect", CLIENT, true, connect_listener};

	(void)state;
	if (!needs_landlock(4))
		skip();
	assert_int_equal(run_forked(behind_fence, &without), DENIED << 8);
	assert_int_equal(run_forked(behind_fence, &with), 0);
}

/* An abstract socket that listens outside: reachable without a fence, not from behind it. */
static void abstract_sockets_are_out_of_reach(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "\0bf-sandbox-test"};
	const struct attempt a = {"connect", CLIENT, true, act_connect_abstract};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	if (!needs_landlock(6))
		skip();
	assert_int_equal(bind(listener, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(run_forked(without_fence, &a), 0);
	assert_int_equal(run_forked(behind_fence, &a), DENIED << 8);
	(void)close(listener);
}

static int report_and_privileges(const void *arg)
{
	const struct bf_sandbox sandbox = {.groups = PLAIN};
	struct bf_sandbox_report report = {0};
	int abi = bf_landlock_abi();

	(void)arg;
	if (bf_sandbox_apply(&sandbox, NULL, NULL, &report, NULL) != 0)
		return 1;
	if (!report.seccomp || report.landlock_abi != abi || report.landlock_files != (abi >= 1))
		return 2;
	return report.landlock_net == (abi >= 4) && report.landlock_scope == (abi >= 6) ? 0 : 3;
}

static int unknown_folder(const void *arg)
{
	static const struct bf_sandbox_path paths[] = {{"@runtime", BF_PATH_READ}, {NULL, 0}};

	(void)arg;
	return fence_store(paths) == BF_E_MISSING ? 0 : 1;
}

/* Older kernels, as far as this one can play them: rules of a lower ABI must be accepted. */
static int lower_abi(const void *arg)
{
	const struct bf_sandbox sandbox = {.groups = STORE, .paths = state_and_readable};
	struct bf_sandbox_report report = {0};
	int abi = *(const int *)arg;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 1;
	if (bf_landlock_apply(&sandbox, world.state, NULL, abi, &report, NULL) != 0 ||
	    report.landlock_abi != abi)
		return 2;
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 &&
		       file_in(world.state, "abi", O_RDWR | O_CREAT) >= 0
		   ? 0
		   : 3;
}

static void every_abi_is_accepted(void **state)
{
	(void)state;
	for (int abi = 1; abi <= bf_landlock_abi(); abi++)
		assert_int_equal(run_forked(lower_abi, &abi), 0);
}

static void the_report_is_true(void **state)
{
	(void)state;
	assert_int_equal(run_forked(report_and_privileges, NULL), 0);
	if (bf_landlock_abi() > 0)
		assert_int_equal(run_forked(unknown_folder, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(files_only_where_listed),
	    cmocka_unit_test(tcp_connect_needs_the_rule),
	    cmocka_unit_test(abstract_sockets_are_out_of_reach),
	    cmocka_unit_test(every_abi_is_accepted),
	    cmocka_unit_test(the_report_is_true),
	};

	return cmocka_run_group_tests_name("common/proc/sandbox_landlock", tests, make_world,
					   remove_world);
}
