/*
 * Which system calls a group of the sandbox allows. Read by the BPF builder alone.
 *
 * Three ways to say no: REFUSE answers EPERM to what libraries probe for and live without; what
 * nobody has a reason to try kills at once; everything else traps, so that the log can name the
 * call before the process dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/net.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <netinet/in.h>

#include "common/proc/sandbox_priv.h"

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#endif

#define LOW(argument)  ((uint8_t)(2 * (argument)))
#define HIGH(argument) ((uint8_t)(2 * (argument) + 1))
#define EXACT          0xffffffffu

/* clang-format off */
#define ALLOW(group, name) \
	{.nr = __NR_##name, .groups = (group), .verdict = SECCOMP_RET_ALLOW}
#define ALLOW_IF(group, name, checked) \
	{.nr = __NR_##name, .groups = (group), .verdict = SECCOMP_RET_ALLOW, \
	 .check_count = sizeof(checked) / sizeof(struct bf_call_check), \
	 .checks = (const struct bf_call_check *)(const void *)&(checked)}
#define REFUSE_WITH(name, e) {.nr = __NR_##name, .verdict = SECCOMP_RET_ERRNO | (e)}
#define REFUSE(name)	     REFUSE_WITH(name, EPERM)
#define NEVER(name)	     {.nr = __NR_##name, .verdict = SECCOMP_RET_KILL_PROCESS}
/* clang-format on */

#define BASE    BF_SYS_BASE
#define CHANNEL BF_SYS_CHANNEL
#define ACCEPT  BF_SYS_ACCEPT
#define CONNECT BF_SYS_CONNECT
#define FILES   BF_SYS_FILES
#define THREADS BF_SYS_THREADS
#define MEMFD   BF_SYS_MEMFD
#define SOCKETS (BF_SYS_CHANNEL | BF_SYS_ACCEPT | BF_SYS_CONNECT)

const struct bf_call_check bf_call_own_pid = {.word = LOW(0), .count = 1, .mask = EXACT};

/* No new code, ever: what can be written cannot be run. */
static const struct bf_call_check not_executable[] = {
    {.word = LOW(2), .count = 1, .mask = PROT_EXEC, .values = {0}},
};

static const struct bf_call_check internet_socket[] = {
    {.word = LOW(0), .count = 2, .mask = EXACT, .values = {AF_INET, AF_INET6}},
    {.word = LOW(1), .count = 2, .mask = 0xf, .values = {SOCK_STREAM, SOCK_DGRAM}},
};

static const struct bf_call_check socket_option[] = {
    {.word = LOW(1), .count = 2, .mask = EXACT, .values = {SOL_SOCKET, IPPROTO_TCP}},
};

#define THREAD_FLAGS                                                                   \
	((uint32_t)(CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_FS | CLONE_FILES | \
		    CLONE_SYSVSEM))
#define SPACE_FLAGS                                                                               \
	((uint32_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		    CLONE_NEWPID | CLONE_NEWNET | CLONE_VFORK | CLONE_PTRACE))

static const struct bf_call_check a_thread[] = {
    {.word = LOW(0), .count = 1, .mask = THREAD_FLAGS | SPACE_FLAGS, .values = {THREAD_FLAGS}},
};

static const struct bf_call_check thread_name[] = {
    {.word = LOW(0), .count = 2, .mask = EXACT, .values = {PR_SET_NAME, PR_GET_NAME}},
};

static const struct bf_call_check harmless_ioctl[] = {
    {.word = LOW(1), .count = 3, .mask = EXACT, .values = {FIONREAD, FIONBIO, TIOCOUTQ}},
};

static const struct bf_call_check fd_flags[] = {
    {.word = LOW(1),
     .count = 6,
     .mask = EXACT,
     .values = {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS}},
};

static const struct bf_call_check fd_seals[] = {
    {.word = LOW(1), .count = 1, .mask = EXACT, .values = {F_ADD_SEALS}},
};

static const struct bf_call_check fd_locks[] = {
    {.word = LOW(1),
     .count = 6,
     .mask = EXACT,
     .values = {F_GETLK, F_SETLK, F_SETLKW, F_OFD_SETLK - 1, F_OFD_SETLK, F_OFD_SETLK + 1}},
};

/* fstat(3) of glibc 2.33 and later. A name is not looked at, so this can tell whether a file
 * exists: a known gap. */
static const struct bf_call_check by_descriptor[] = {
    {.word = LOW(3), .count = 1, .mask = AT_EMPTY_PATH, .values = {AT_EMPTY_PATH}},
};

static const struct bf_call_check no_new_limit[] = {
    {.word = LOW(2), .count = 1, .mask = EXACT, .values = {0}},
    {.word = HIGH(2), .count = 1, .mask = EXACT, .values = {0}},
};

/* clang-format off */
const struct bf_call_rule bf_call_rules[] = {
	/* Hot calls first: older kernels walk this list for every call. */
	ALLOW(BASE, read),
	ALLOW(BASE, write),
	ALLOW(BASE, writev),
#ifdef __NR_epoll_wait
	ALLOW(BASE, epoll_wait),
#endif
	ALLOW(BASE, epoll_pwait),
	ALLOW(BASE, epoll_ctl),
	ALLOW(SOCKETS, recvfrom),
	ALLOW(SOCKETS, sendto),
	ALLOW(SOCKETS, recvmsg),
	ALLOW(SOCKETS, sendmsg),
	ALLOW(ACCEPT, accept4),
	ALLOW(BASE, close),
	ALLOW(BASE, futex),
	ALLOW(SOCKETS, getsockopt),
	ALLOW(SOCKETS, shutdown),
	ALLOW(ACCEPT | CONNECT, getsockname),
	ALLOW(ACCEPT | CONNECT, getpeername),
	ALLOW(CONNECT, connect),
	ALLOW_IF(ACCEPT | CONNECT, setsockopt, socket_option),
	ALLOW_IF(CONNECT, socket, internet_socket),

	/* Descriptors that are held already. */
	ALLOW(BASE, readv),
	ALLOW(BASE, pread64),
	ALLOW(BASE, pwrite64),
	ALLOW(BASE, lseek),
	ALLOW(BASE, fstat),
	ALLOW(FILES, newfstatat),
	ALLOW_IF(BASE, newfstatat, by_descriptor),
	ALLOW(BASE, dup),
	ALLOW_IF(BASE, fcntl, fd_flags),
	ALLOW_IF(MEMFD, fcntl, fd_seals),
	ALLOW_IF(FILES, fcntl, fd_locks),
	ALLOW_IF(BASE, ioctl, harmless_ioctl),
	ALLOW(BASE, eventfd2),
	ALLOW(BASE, epoll_create1),
	ALLOW(BASE, timerfd_create),
	ALLOW(BASE, timerfd_settime),
#ifdef __NR_poll
	ALLOW(BASE, poll),
#endif
	ALLOW(BASE, ppoll),

	/* Memory. */
	ALLOW_IF(BASE, mmap, not_executable),
	ALLOW_IF(BASE, mprotect, not_executable),
	ALLOW(BASE, munmap),
	ALLOW(BASE, mremap),
	ALLOW(BASE, madvise),
	ALLOW(BASE, brk),

	/* Time, signals, itself. */
	ALLOW(BASE, clock_gettime),
	ALLOW(BASE, clock_getres),
	ALLOW(BASE, clock_nanosleep),
	ALLOW(BASE, nanosleep),
	ALLOW(BASE, gettimeofday),
#ifdef __NR_time
	ALLOW(BASE, time),
#endif
	ALLOW(BASE, timer_settime),
	ALLOW(BASE, rt_sigaction),
	ALLOW(BASE, rt_sigprocmask),
	ALLOW(BASE, rt_sigreturn),
	ALLOW(BASE, restart_syscall),
	ALLOW_IF(BASE, tgkill, bf_call_own_pid),
	ALLOW(BASE, exit),
	ALLOW(BASE, exit_group),
	ALLOW(BASE, getpid),
	ALLOW(BASE, gettid),
	ALLOW(BASE, getppid),
	ALLOW(BASE, getuid),
	ALLOW(BASE, geteuid),
	ALLOW(BASE, getgid),
	ALLOW(BASE, getegid),
	ALLOW(BASE, getrandom),
	ALLOW(BASE, getrusage),
	ALLOW(BASE, sysinfo),
	ALLOW(BASE, uname),
	ALLOW(BASE, sched_yield),
	ALLOW(BASE, sched_getaffinity),
	ALLOW_IF(BASE, prlimit64, no_new_limit),
	ALLOW_IF(BASE, prctl, thread_name),

	/* Files by name; where, is Landlock's business. */
	ALLOW(FILES, openat),
	ALLOW(FILES, statx),
	ALLOW(FILES, faccessat),
	ALLOW(FILES, readlinkat),
	ALLOW(FILES, renameat),
	ALLOW(FILES, renameat2),
	ALLOW(FILES, unlinkat),
	ALLOW(FILES, mkdirat),
#ifdef __NR_open
	ALLOW(FILES, open),
	ALLOW(FILES, stat),
	ALLOW(FILES, lstat),
	ALLOW(FILES, access),
	ALLOW(FILES, readlink),
	ALLOW(FILES, rename),
	ALLOW(FILES, unlink),
	ALLOW(FILES, mkdir),
	ALLOW(FILES, rmdir),
#endif
	ALLOW(FILES, getdents64),
	ALLOW(FILES, getcwd),
	ALLOW(FILES, statfs),
	ALLOW(FILES, fstatfs),
	ALLOW(FILES, fsync),
	ALLOW(FILES, fdatasync),
	ALLOW(FILES, sync_file_range),
	ALLOW(FILES | MEMFD, ftruncate),
	ALLOW(FILES | MEMFD, fallocate),
	ALLOW(FILES, fadvise64),
	ALLOW(FILES, preadv),
	ALLOW(FILES, pwritev),
	ALLOW(FILES, flock),
	ALLOW(FILES, fchmod),
	ALLOW(FILES, fchown),
	ALLOW(FILES, utimensat),
	ALLOW(FILES, umask),
	ALLOW(MEMFD, memfd_create),

	/* Threads. The arguments of clone3 cannot be looked at; glibc falls back to clone. */
	ALLOW_IF(THREADS, clone, a_thread),
	{.nr = __NR_clone3, .groups = THREADS, .verdict = SECCOMP_RET_ERRNO | ENOSYS},
	ALLOW(THREADS, set_robust_list),
	ALLOW(THREADS, rseq),
	ALLOW(THREADS, sigaltstack),

#if BF_SANITIZER
	/* What the sanitizers' runtimes do at thread ends, and what they try when they print a report.
	 */
	ALLOW(BASE, sigaltstack),
	REFUSE(clone),
	REFUSE(clone3),
	REFUSE(pipe2),
#ifdef __NR_pipe
	REFUSE(pipe),
	REFUSE(fork),
#endif
#endif

	/* Probes of libraries: a configuration file, a terminal, a name service, another option. */
	REFUSE(openat),
	REFUSE(newfstatat),
	REFUSE(statx),
	REFUSE(faccessat),
#ifdef __NR_faccessat2
	REFUSE_WITH(faccessat2, ENOSYS),
#endif
	REFUSE(readlinkat),
#ifdef __NR_open
	REFUSE(open),
	REFUSE(stat),
	REFUSE(lstat),
	REFUSE(access),
	REFUSE(readlink),
#endif
	REFUSE(socket),
	REFUSE(setsockopt),
	REFUSE(fcntl),
	REFUSE(ioctl),
	REFUSE(mmap),
	REFUSE(mprotect),
	REFUSE(prctl),
	REFUSE(prlimit64),
	REFUSE(sched_setaffinity),

	/* Only someone else's code would ask for these. */
	NEVER(execve),
	NEVER(execveat),
#ifdef __NR_fork
	NEVER(fork),
	NEVER(vfork),
#endif
	NEVER(ptrace),
	NEVER(process_vm_readv),
	NEVER(process_vm_writev),
	NEVER(bpf),
	NEVER(mount),
	NEVER(umount2),
	NEVER(pivot_root),
	NEVER(setns),
	NEVER(unshare),
	NEVER(init_module),
	NEVER(finit_module),
	NEVER(kexec_load),
	NEVER(keyctl),
	NEVER(add_key),
	NEVER(request_key),
	NEVER(userfaultfd),
	NEVER(perf_event_open),
	NEVER(io_uring_setup),
	NEVER(open_by_handle_at),
	NEVER(personality),
};
/* clang-format on */

const size_t bf_call_rule_count = sizeof(bf_call_rules) / sizeof(bf_call_rules[0]);
