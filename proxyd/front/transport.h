/*
 * How bytes of a client come and go: the bare socket, or TLS over it. tls NULL: the socket, with
 * one system call for each call here.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/net/tls_server.h"

/* Bytes, 0 for the peer's end, -EAGAIN, or BF_E_CLOSED. With TLS a full buffer may have left bytes
 * that no event tells of. */
ssize_t transport_read(int fd, struct bf_tls_peer *tls, void *out, size_t size);

/*
 * Bytes taken, -EAGAIN, or BF_E_CLOSED. What was not taken must be given again, from its first byte
 * on, before anything else. scratch: BF_TLS_RECORD_MAX bytes.
 */
ssize_t transport_write(int fd, struct bf_tls_peer *tls, struct iovec *iov, size_t count,
			char *scratch);
