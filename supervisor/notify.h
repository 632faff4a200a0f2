/* Telling the service manager (sd_notify): one datagram per message to $NOTIFY_SOCKET. Without one,
 * everything is a no-op. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/err.h"

enum notify_kind {
	NOTIFY_READY,
	NOTIFY_RELOADING,
	NOTIFY_STOPPING,
	NOTIFY_WATCHDOG,
	NOTIFY_STATUS,
};

struct notify {
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un address;
	socklen_t address_len;
	int64_t watchdog_ms; /* between two WATCHDOG=1; 0: not wanted */
};

/* path: of the filesystem, or "@name". 0, or BF_E_SYNTAX when it is neither or too long. */
int notify_address(const char *path, struct sockaddr_un *ret_address, socklen_t *ret_len);

/* Half of WATCHDOG_USEC in ms; 0 when it is absent, not a number, or meant for another pid
 * (WATCHDOG_PID). */
int64_t notify_watchdog_ms(const char *usec, const char *for_pid, int64_t own_pid);

/* The datagram of one message; its length. status goes into STATUS= (NULL: none), line breaks
 * become spaces. */
size_t notify_format(enum notify_kind kind, const char *status, int64_t mono_us, char *out,
		     size_t size);

/* Reads the environment. A value that cannot be used is an error; the caller warns and goes on
 * without. */
int notify_open(struct notify *n, struct bf_err *err);
void notify_close(struct notify *n);

/* Never blocks and never fails the caller: a lost datagram is the service manager's problem. */
void notify_send(const struct notify *n, enum notify_kind kind, const char *status);
