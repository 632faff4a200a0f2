/*
 * The sandbox as the kernel enforces it: each attempt runs in a process of its own behind a fence.
 * Forbidden ones must end in EPERM, EACCES or SIGSYS; ordinary work must go on as if there were
 * none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
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
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/proc/fds.h"
#include "common/proc/sandbox.h"
#include "common/proc/sandbox_priv.h"
#include "tests/support/forked.h"

#define DENIED   100 /* EPERM or EACCES */
#define OTHER    101
#define UNFENCED 102

/* What attempts need from before the fence. */
static struct {
	char folder[64], state[96], outside[96], readable[96];
	int pipe[2], pair[2];
	int tcp, tcp_listener, unix_socket;
	uint16_t port;
} world;

struct attempt {
	const char *name;
	unsigned groups;
	bool tcp_connect;
	int (*act)(void); /* 0 done, else errno */
};

static int because(long r)
{
	return r < 0 ? errno : 0;
}

/* ---- forbidden ---- */

static int act_socket_unix(void)
{
	return because(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int act_socket_inet(void)
{
	return because(socket(AF_INET, SOCK_STREAM, 0));
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

static int connect_listener(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(world.port)};

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return because(connect(world.tcp, (const struct sockaddr *)&sa, sizeof(sa)));
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

static int act_connect_abstract(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "\0bf-sandbox-test"};

	return because(connect(world.unix_socket, (const struct sockaddr *)&sa, sizeof(sa)));
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

#define PLAIN  (BF_SYS_BASE | BF_SYS_CHANNEL)
#define CLIENT (BF_SYS_BASE | BF_SYS_CONNECT)
#define STORE  (BF_SYS_BASE | BF_SYS_FILES)
#define GENERAL                                                                         \
	(BF_SYS_BASE | BF_SYS_CHANNEL | BF_SYS_ACCEPT | BF_SYS_CONNECT | BF_SYS_FILES | \
	 BF_SYS_THREADS | BF_SYS_MEMFD)

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

/* ---- allowed ---- */

static int act_nothing(void)
{
	return 0;
}

static int act_memory(void)
{
	char *big = malloc(8u << 20), *more;

	if (big == NULL)
		return ENOMEM;
	memset(big, 1, 8u << 20);
	more = realloc(big, 32u << 20);
	if (more == NULL)
		return ENOMEM;
	free(more);
	return 0;
}

static int act_print(void)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%d %s %lld", 1, "two", 3ll);
	(void)fprintf(stderr, "%.0s", text);
	return strlen(text) == 7 ? 0 : EINVAL;
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static void on_usr1(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	*(int *)w->data = 1;
}

static int act_loop(void)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	ev_timer t;
	ev_signal s;
	int seen = 0;

	if (loop == NULL)
		return EINVAL;
	ev_timer_init(&t, on_timer, .02, 0.);
	ev_timer_start(loop, &t);
	ev_signal_init(&s, on_usr1, SIGUSR1);
	s.data = &seen;
	ev_signal_start(loop, &s);
	(void)raise(SIGUSR1);
	ev_run(loop, 0);
	ev_loop_destroy(loop);
	return seen ? 0 : EINVAL;
}

static int act_pass_descriptor(void)
{
	char space[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = space,
			   .msg_controllen = sizeof(space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &world.pipe[0], sizeof(int));
	if (sendmsg(world.pair[0], &m, MSG_NOSIGNAL) != 1)
		return errno;
	return recvmsg(world.pair[1], &m, MSG_CMSG_CLOEXEC) == 1 && m.msg_controllen > 0 ? 0
											 : EINVAL;
}

static int act_pipe(void)
{
	char c = 'p';

	if (write(world.pipe[1], &c, 1) != 1 || read(world.pipe[0], &c, 1) != 1)
		return errno;
	return fcntl(world.pipe[0], F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
}

static int act_fstat(void)
{
	struct stat st;

	return because(fstat(world.pipe[0], &st));
}

static int act_look_around(void)
{
	struct rlimit l;
	struct rusage u;
	char name[16];

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || getrusage(RUSAGE_SELF, &u) < 0 ||
	    prctl(PR_GET_NAME, name) < 0)
		return errno;
	return getpid() > 0 && sysconf(_SC_PHYS_PAGES) > 0 ? 0 : EINVAL;
}

static int act_abort_is_sigabrt(void)
{
	(void)signal(SIGABRT, SIG_DFL);
	(void)raise(SIGABRT);
	return EINVAL;
}

static int act_accept_and_talk(void)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int one = 1, r = connect_listener(), fd;

	if (r != 0)
		return r;
	fd =
	    accept4(world.tcp_listener, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one)) < 0)
		return errno;
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || shutdown(fd, SHUT_WR) < 0)
		return errno;
	return getpeername(fd, (struct sockaddr *)&sa, &len) < 0 ? errno : 0;
}

static void *a_thread(void *arg)
{
	*(int *)arg = 1;
	return arg;
}

static int act_thread(void)
{
	pthread_t t;
	int ran = 0;
	int r = pthread_create(&t, NULL, a_thread, &ran);

	if (r != 0)
		return r;
	r = pthread_join(t, NULL);
	return r != 0 ? r : !ran;
}

static int act_sealed_memfd(void)
{
	int fd = bf_memfd_sealed("m", "abc", 3);
	const void *bytes;
	size_t len;

	return fd < 0 ? -fd : -bf_memfd_map(fd, &bytes, &len, NULL);
}

static const struct attempt allowed[] = {
    {"nothing", PLAIN, false, act_nothing},
    {"memory", PLAIN, false, act_memory},
    {"printing", PLAIN, false, act_print},
    {"a libev loop with timer and signal", PLAIN, false, act_loop},
    {"a descriptor over a channel", PLAIN, false, act_pass_descriptor},
    {"a pipe", PLAIN, false, act_pipe},
    {"fstat", PLAIN, false, act_fstat},
    {"limits, usage, name", PLAIN, false, act_look_around},
    {"socket of a client", CLIENT, true, act_socket_inet},
    {"connect of a client", CLIENT, true, connect_listener},
    {"accepting", CLIENT | BF_SYS_ACCEPT, true, act_accept_and_talk},
    {"a thread", BF_SYS_BASE | BF_SYS_THREADS, false, act_thread},
    {"a sealed memfd", BF_SYS_BASE | BF_SYS_MEMFD, false, act_sealed_memfd},
};

/* ---- the fence ---- */

/* Of each attempt's own: a connection left by one would be the next one's surprise. */
static void take_fresh_sockets(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);

	world.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world.unix_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world.tcp_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(world.tcp_listener, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(world.tcp_listener, 16) < 0 ||
	    getsockname(world.tcp_listener, (struct sockaddr *)&sa, &len) < 0)
		_exit(UNFENCED);
	world.port = ntohs(sa.sin_port);
}

static int behind_fence(const void *arg)
{
	const struct attempt *a = arg;
	const struct bf_sandbox sandbox = {.groups = a->groups, .tcp_connect = a->tcp_connect};
	struct bf_sandbox_report report;
	struct bf_err err = {0};
	int r;

	take_fresh_sockets();
	if (bf_sandbox_apply(&sandbox, world.state, NULL, &report, &err) != 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return UNFENCED;
	}
	r = a->act();
	if (r == 0)
		return 0;
	return r == EPERM || r == EACCES ? DENIED : OTHER;
}

/* Without the line that names the call: forty of them would hide what a test has to say. */
static int behind_fence_quietly(const void *arg)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		return UNFENCED;
	return behind_fence(arg);
}

static void forbidden_calls_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(forbidden); i++) {
		int status = run_forked(behind_fence_quietly, &forbidden[i]);

		if (!died_of(status, SIGSYS) && !exited_with(status, DENIED))
			fail_msg("%s: status %#x", forbidden[i].name, (unsigned)status);
	}
}

static int without_fence(const void *arg)
{
	const struct attempt *a = arg;

	take_fresh_sockets();
	return a->act() == 0 ? 0 : OTHER;
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

static void allowed_calls_work(void **state)
{
	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(allowed); i++) {
		int status = run_forked(behind_fence, &allowed[i]);

		if (!exited_with(status, 0))
			fail_msg("%s: status %#x", allowed[i].name, (unsigned)status);
	}
}

static void an_abort_is_still_an_abort(void **state)
{
	const struct attempt a = {"abort", PLAIN, false, act_abort_is_sigabrt};

	(void)state;
	assert_true(died_of(run_forked(behind_fence, &a), SIGABRT));
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

/* ---- Landlock ---- */

static int needs_landlock(int abi)
{
	if (bf_landlock_abi() >= abi)
		return 1;
	print_message("skipped: Landlock ABI %d, needs %d\n", bf_landlock_abi(), abi);
	return 0;
}

static int file_in(const char *folder, const char *name, int flags)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return open(path, flags | O_CLOEXEC, 0600);
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

/* ---- world ---- */

static void make_file(const char *folder, const char *name)
{
	int fd = file_in(folder, name, O_WRONLY | O_CREAT);

	assert_true(fd >= 0);
	(void)close(fd);
}

static int make_world(void **state)
{
	char link[160];

	(void)state;
	strcpy(world.folder, "/tmp/bf-sandbox-XXXXXX");
	if (mkdtemp(world.folder) == NULL)
		return -1;
	(void)snprintf(world.state, sizeof(world.state), "%s/state", world.folder);
	(void)snprintf(world.outside, sizeof(world.outside), "%s/outside", world.folder);
	(void)snprintf(world.readable, sizeof(world.readable), "%s/readable", world.folder);
	(void)snprintf(link, sizeof(link), "%s/link-out", world.state);
	if (mkdir(world.state, 0700) < 0 || mkdir(world.outside, 0700) < 0 ||
	    symlink("../outside/there", link) < 0)
		return -1;
	make_file(world.outside, "there");
	make_file(world.folder, "readable");
	if (pipe(world.pipe) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, world.pair) < 0)
		return -1;
	return 0;
}

static int remove_world(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", world.folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forbidden_calls_are_refused),
	    cmocka_unit_test(forbidden_calls_work_without_fence),
	    cmocka_unit_test(allowed_calls_work),
	    cmocka_unit_test(an_abort_is_still_an_abort),
	    cmocka_unit_test(the_log_names_the_call),
	    cmocka_unit_test(files_only_where_listed),
	    cmocka_unit_test(tcp_connect_needs_the_rule),
	    cmocka_unit_test(abstract_sockets_are_out_of_reach),
	    cmocka_unit_test(every_abi_is_accepted),
	    cmocka_unit_test(the_report_is_true),
	};

	return cmocka_run_group_tests_name("common/proc/sandbox", tests, make_world, remove_world);
}
