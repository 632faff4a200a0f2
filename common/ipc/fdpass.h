/*
 * Datagrams with at most one descriptor over a Unix socket. The layer below frames: it knows
 * nothing of their form.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/*
 * Sends head and body as one datagram, with fd unless it is -1. Never blocks, never raises SIGPIPE.
 * 0 or -errno; the descriptor stays the caller's.
 */
int bf_fdpass_send(int sock, const void *head, size_t head_len, const void *body, size_t body_len,
		   int fd);

/*
 * Receives one datagram. Never blocks. Its length (0: the peer has closed, or sent nothing at all),
 * or -errno, or BF_E_LIMIT when it is longer than cap, or BF_E_SYNTAX when descriptors were lost or
 * more than one came. *ret_fd is -1 or a close-on-exec descriptor that belongs to the caller; on an
 * error every descriptor that came is closed.
 */
ssize_t bf_fdpass_recv(int sock, void *buf, size_t cap, int *ret_fd);
