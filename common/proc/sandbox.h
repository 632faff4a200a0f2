/*
 * What a process may do once it runs: no_new_privs, Landlock rules for paths, and a table of system calls. Applied once,
 * after everything that needs more has been opened. A call outside the table kills the process with SIGSYS (the
 * supervisor tells which); calls in `refuse` answer EPERM because libraries probe them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* Groups of system calls, so that a process's table reads like a sentence. */
enum bf_syscall_group {
	BF_SYS_BASE = 1 << 0,	 /* memory, clocks, exit, read/write/close, epoll, eventfd, signals, getrandom */
	BF_SYS_CHANNEL = 1 << 1, /* sendmsg/recvmsg and what fd passing needs */
	BF_SYS_ACCEPT = 1 << 2,	 /* accept4, socket options, shutdown */
	BF_SYS_CONNECT = 1 << 3, /* socket for AF_INET/AF_INET6 and connect */
	BF_SYS_FILES = 1 << 4,	 /* openat, stat, rename, fsync, locks: writerd */
	BF_SYS_THREADS = 1 << 5, /* clone for threads, futex */
	BF_SYS_MEMFD = 1 << 6,	 /* memfd_create and seals */
};

enum bf_path_access {
	BF_PATH_READ = 1 << 0,
	BF_PATH_WRITE = 1 << 1, /* create, write, rename, remove below it */
};

struct bf_sandbox_path {
	const char *path; /* "@state", "@runtime" stand for the folders of the contract */
	unsigned access;
};

struct bf_sandbox {
	unsigned groups; /* enum bf_syscall_group */
	const struct bf_sandbox_path *paths; /* ended by a NULL path; a missing path is skipped */
	bool tcp_connect; /* Landlock network rules: may connect to TCP */
	bool tcp_bind;
};

struct bf_sandbox_report {
	int landlock_abi; /* 0: the kernel has none */
	bool landlock_files, landlock_net, landlock_scope, seccomp;
};

/*
 * Applies the sandbox to the calling (single-threaded) process. A kernel without Landlock is reported, not an error; a
 * kernel without seccomp filters is an error.
 */
int bf_sandbox_apply(const struct bf_sandbox *sandbox, const char *state_dir, const char *runtime_dir,
		     struct bf_sandbox_report *ret_report, struct bf_err *err);
