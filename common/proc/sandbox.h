/*
 * What a process may do once it runs: no_new_privs, Landlock rules for paths, TCP, abstract sockets
 * and signals, and a table of system calls. Applied once, after everything that needs more has been
 * opened. A call outside the table ends the process with SIGSYS after one line on stderr that gives
 * its number (a few that only foreign code would make, such as execve and ptrace, without that
 * line); calls that libraries probe answer EPERM. No process here runs a program, forks, or maps
 * memory that can be executed: dlopen after the fence is up fails (so pthread_cancel must not be
 * used).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* Groups of system calls, so that a process's table reads like a sentence. */
enum bf_syscall_group {
	BF_SYS_BASE = 1 << 0, /* memory, clocks, exit, what held descriptors can do, epoll, eventfd,
				 signals, getrandom */
	BF_SYS_CHANNEL = 1 << 1, /* sendmsg/recvmsg and what fd passing needs */
	BF_SYS_ACCEPT = 1 << 2,  /* accept4, options of SOL_SOCKET and TCP, shutdown */
	BF_SYS_CONNECT = 1 << 3, /* socket for AF_INET/AF_INET6 and connect */
	BF_SYS_FILES = 1 << 4,   /* openat, stat, rename, fsync, locks: writerd */
	BF_SYS_THREADS = 1 << 5, /* clone for threads */
	BF_SYS_MEMFD = 1 << 6,   /* memfd_create and seals */
};

enum bf_path_access {
	BF_PATH_READ = 1 << 0,
	BF_PATH_WRITE =
	    1 << 1, /* create, write, rename, remove below it; reading is BF_PATH_READ's */
};

struct bf_sandbox_path {
	const char *path; /* "@state", "@runtime" stand for the folders of the contract */
	unsigned access;
};

struct bf_sandbox {
	unsigned groups; /* enum bf_syscall_group */
	const struct bf_sandbox_path
	    *paths;       /* ended by a NULL path, or NULL; a missing path is skipped */
	bool tcp_connect; /* Landlock network rules: may connect to TCP */
	bool tcp_bind;
};

struct bf_sandbox_report {
	int landlock_abi; /* 0: the kernel has none */
	bool landlock_files, landlock_net, landlock_scope, seccomp;
};

/*
 * Applies the sandbox to the calling (single-threaded) process; it cannot be taken back. A kernel
 * without Landlock is reported, not an error; a kernel without seccomp filters is an error. After
 * an error the process is half fenced: exit.
 */
int bf_sandbox_apply(const struct bf_sandbox *sandbox, const char *state_dir,
		     const char *runtime_dir, struct bf_sandbox_report *ret_report,
		     struct bf_err *err);
