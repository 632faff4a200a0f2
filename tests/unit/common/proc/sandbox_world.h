/* What the tests of the sandbox share: things made before the fence, and attempts behind it. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/proc/sandbox.h"

#define DENIED   100 /* EPERM or EACCES */
#define OTHER    101
#define UNFENCED 102

#define PLAIN  (BF_SYS_BASE | BF_SYS_CHANNEL)
#define CLIENT (BF_SYS_BASE | BF_SYS_CONNECT)
#define STORE  (BF_SYS_BASE | BF_SYS_FILES)
#define GENERAL \
	(PLAIN | BF_SYS_ACCEPT | BF_SYS_CONNECT | BF_SYS_FILES | BF_SYS_THREADS | BF_SYS_MEMFD)

struct sandbox_world {
	char folder[64], state[96], outside[96], readable[96];
	int pipe[2], pair[2];
	int tcp, tcp_listener, unix_socket; /* of each attempt's own */
	uint16_t port;
};

extern struct sandbox_world world;

struct attempt {
	const char *name;
	unsigned groups;
	bool tcp_connect;
	int (*act)(void); /* 0 done, else errno */
};

static inline int because(long r)
{
	return r < 0 ? errno : 0;
}

/* Opens folder/name with mode 0600, or -1. */
int file_in(const char *folder, const char *name, int flags);

/* For run_forked, with a struct attempt: 0, DENIED, OTHER or UNFENCED. */
int behind_fence(const void *arg);
/* The same without the line that names a call: forty of them would hide what a test has to say. */
int behind_fence_quietly(const void *arg);
int without_fence(const void *arg);

/* Attempts that more than one test makes. */
int connect_listener(void);
int act_socket_inet(void);

/* Set-up and tear-down of a group of tests. */
int make_world(void **state);
int remove_world(void **state);
