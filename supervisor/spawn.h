/* Fork and exec of a held program: the only place of the supervisor that does. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/base/err.h"

#define SPAWN_MAX_FDS 1024u

struct spawn {
	const char *name; /* argv[0], and in errors */
	int binary;       /* O_PATH descriptor */
	char *const *argv, *const *envp;
	int stdin_fd;   /* becomes 0; -1: /dev/null */
	const int *fds; /* placed at 3, 4, 5, ...; nothing else is inherited but 1 and 2 */
	size_t fd_count;
};

/* The pid, or -errno. The caller keeps its descriptors. */
pid_t spawn_process(const struct spawn *s, struct bf_err *err);

/* "exit 3", "signal 9 (KILL)", "signal 31 (SYS): a system call outside its sandbox". Returns out.
 */
const char *spawn_exit_text(int wait_status, char *out, size_t size);
