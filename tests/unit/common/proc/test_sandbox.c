/*
 * The sandbox as the kernel enforces it (bf_sandbox_apply): each attempt runs in a process of its
 * own behind a fence and must end in EPERM, EACCES or SIGSYS.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "tests/support/forked.h"
#include "tests/unit/common/proc/sandbox_world.h"

static int act_socket_unix(void)
{
	return because(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int act_socket_raw(void)
{
	return because(socket(AF_INET, SOCK_RAW, 1));
}

static int act_socket_netlink(void)
{
	return because(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int act_execve(void)
{
	char *argv[] = {(char[]){"true"}, NULL};

	return because(execve("/bin/true", argv, NULL));
}

static int act_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return because(pid);
}

static int act_vfork_call(void)
{
#ifdef SYS_vfork
	return because(syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
#else
	return EPERM;
#endif
}

static int act_ptrace(void)
{
	return because(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int act_process_vm_readv(void)
{
	return because(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int act_open_passwd(void)
{
	return because(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int act_old_open(void)
{
#ifdef SYS_open
	return because(syscall(SYS_open, "/etc/passwd", O_RDONLY));
#else
	return EPERM;
#endif
}

static int act_create(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/new", world.state);
	return because(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int act_stat(void)
{
	struct stat st;

	return because(stat("/etc/passwd", &st));
}

static int act_unlink(void)
{
	return because(unlink(world.readable));
}

static int act_truncate_by_name(void)
{
	return because(truncate(world.readable, 0));
}

static int act_chmod(void)
{
	return because(chmod(world.readable, 0777));
}

static int act_bind(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return because(bind(world.tcp, (const struct sockaddr *)&sa, sizeof(sa)));
}

static int act_listen(void)
{
	return because(listen(world.tcp, 1));
}

static int act_accept(void)
{
	return because(accept4(world.tcp_listener, NULL, NULL, SOCK_NONBLOCK));
}

static int act_map_executable(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		       MAP_FAILED
		   ? errno
		   : 0;
}

static int act_make_executable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return because(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int act_kill_parent(void)
{
	return because(kill(getppid(), 0));
}

static int act_tgkill_parent(void)
{
	return because(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int act_dumpable(void)
{
	return because(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int act_tiocsti(void)
{
	return because(ioctl(0, TIOCSTI, "x"));
}

static int act_setuid(void)
{
	return because(syscall(SYS_setuid, getuid()));
}

static int act_memfd(void)
{
	return because(memfd_create("x", MFD_CLOEXEC));
}

static int act_io_uring(void)
{
	return because(syscall(SYS_io_uring_setup, 1, NULL));
}

static int act_unshare(void)
{
	return because(unshare(CLONE_NEWUSER));
}

static int act_mount(void)
{
	return because(syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL));
}

static int act_bpf(void)
{
	return because(syscall(SYS_bpf, 0, NULL, 0));
}

static int act_personality(void)
{
	return because(syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */));
}

static int act_raise_limit(void)
{
	struct rlimit l = {64, 64};

	return because(setrlimit(RLIMIT_NOFILE, &l));
}

static int act_setsockopt_ip(void)
{
	return because(setsockopt(world.tcp, IPPROTO_IP, 64, "", 0));
}

static int act_unknown_number(void)
{
	return because(syscall(999));
}

static int act_x32(void)
{
#ifdef __x86_64__
	return because(syscall(0x40000000L | SYS_getpid));
#else
	return EPERM;
#endif
}

static const struct attempt forbidden[] = {
    {"socket(AF_UNIX)", PLAIN, false, act_socket_unix},
    {"socket(AF_UNIX) of a client", CLIENT, false, act_socket_unix},
    {"socket(AF_INET)", PLAIN, false, act_socket_inet},
    {"socket(AF_INET, RAW) of a client", CLIENT, false, act_socket_raw},
    {"socket(AF_NETLINK) of a client", CLIENT, false, act_socket_netlink},
    {"execve", PLAIN, false, act_execve},
    {"execve with all groups", GENERAL, true, act_execve},
    {"fork", PLAIN, false, act_fork},
    {"fork with all groups", GENERAL, true, act_fork},
    {"vfork with all groups", GENERAL, true, act_vfork_call},
    {"ptrace", GENERAL, true, act_ptrace},
    {"process_vm_readv", GENERAL, true, act_process_vm_readv},
    {"open(/etc/passwd)", PLAIN, false, act_open_passwd},
    {"the older open", PLAIN, false, act_old_open},
    {"creating a file", PLAIN, false, act_create},
    {"stat", PLAIN, false, act_stat},
    {"unlink", PLAIN, false, act_unlink},
    {"truncate by name", GENERAL, true, act_truncate_by_name},
    {"chmod", GENERAL, true, act_chmod},
    {"connect", PLAIN, false, connect_listener},
    {"bind", PLAIN, false, act_bind},
    {"bind with all groups", GENERAL, true, act_bind},
    {"listen", GENERAL, true, act_listen},
    {"accept", PLAIN, false, act_accept},
    {"mmap(PROT_EXEC)", GENERAL, true, act_map_executable},
    {"mprotect(PROT_EXEC)", GENERAL, true, act_make_executable},
    {"kill", GENERAL, true, act_kill_parent},
    {"tgkill", GENERAL, true, act_tgkill_parent},
    {"prctl(PR_SET_DUMPABLE)", GENERAL, true, act_dumpable},
    {"ioctl(TIOCSTI)", GENERAL, true, act_tiocsti},
    {"setuid", GENERAL, true, act_setuid},
    {"memfd_create", PLAIN, false, act_memfd},
    {"io_uring", GENERAL, true, act_io_uring},
    {"unshare", GENERAL, true, act_unshare},
    {"mount", GENERAL, true, act_mount},
    {"bpf", GENERAL, true, act_bpf},
    {"personality", GENERAL, true, act_personality},
    {"setrlimit", GENERAL, true, act_raise_limit},
    {"setsockopt(IPPROTO_IP)", GENERAL, true, act_setsockopt_ip},
    {"a call that does not exist", GENERAL, true, act_unknown_number},
    {"an x32 call", GENERAL, true, act_x32},
};

static void forbidden_calls_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(forbidden); i++) {
		int status = run_forked(behind_fence_quietly, &forbidden[i]);

		if (!died_of(status, SIGSYS) && !exited_with(status, DENIED))
			fail_msg("%s: status %#x", forbidden[i].name, (unsigned)status);
	}
}

/* The premise of the test above: these do work for a process without a fence, so it is the fence
 * that stops them. */
static void forbidden_calls_work_without_fence(void **state)
{
	static int (*const premises[])(void) = {
	    act_socket_unix,   act_fork,           act_open_passwd,     act_old_open,
	    act_create,        act_stat,           connect_listener,    act_bind,
	    act_listen,        act_map_executable, act_make_executable, act_kill_parent,
	    act_tgkill_parent, act_dumpable,       act_setuid,          act_memfd,
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(premises); i++) {
		const struct attempt a = {.act = premises[i]};

		if (!exited_with(run_forked(without_fence, &a), 0))
			fail_msg("premise %zu does not hold", i);
	}
}

static int trap_with_stderr(const void *arg)
{
	const struct attempt a = {"", PLAIN, false, act_unknown_number};

	if (dup2(*(const int *)arg, STDERR_FILENO) < 0)
		return OTHER;
	return behind_fence(&a);
}

static void the_log_names_the_call(void **state)
{
	char line[128] = "";
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_true(died_of(run_forked(trap_with_stderr, &p[1]), SIGSYS));
	assert_true(read(p[0], line, sizeof(line) - 1) > 0);
	assert_string_equal(line, "level=error event=forbidden_syscall nr=999\n");
	(void)close(p[0]);
	(void)close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forbidden_calls_are_refused),
	    cmocka_unit_test(forbidden_calls_work_without_fence),
	    cmocka_unit_test(the_log_names_the_call),
	};

	return cmocka_run_group_tests_name("common/proc/sandbox", tests, make_world, remove_world);
}
