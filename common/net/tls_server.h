/*
 * TLS as a server over non-blocking sockets: TLS 1.2 and later, http/1.1 by ALPN. Reads no file:
 * chain and key come as text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/slice.h"

struct bf_tls_server; /* chain, key and rules; process lifetime */
struct bf_tls_peer;   /* one connection of a client */

#define BF_TLS_RECORD_MAX 16384u /* bytes of one write that leave together */

enum bf_tls_step {
	BF_TLS_STEP_UP,
	BF_TLS_STEP_READ,  /* waits for the peer */
	BF_TLS_STEP_WRITE, /* waits for room in the socket */
	BF_TLS_STEP_PLAIN, /* the peer speaks HTTP without TLS */
	BF_TLS_STEP_FAILED,
};

/*
 * cert: PEM, leaf first; key: PEM, of the leaf, without a passphrase. `where` begins the text of
 * errors: BF_E_SYNTAX for a text that is none, BF_E_RANGE for a key of another certificate, and
 * -ENOMEM, BF_E_STATE.
 */
int bf_tls_server_new(const char *where, struct bf_slice cert, struct bf_slice key,
		      struct bf_tls_server **ret_server, struct bf_err *err);
/* Connections must be closed before. Accepts NULL. */
void bf_tls_server_free(struct bf_tls_server *server);
/* Seconds since 1970 at which the leaf ends to be valid. */
int64_t bf_tls_server_expires_s(const struct bf_tls_server *server);

/* A connection over fd, which stays the caller's. NULL: no memory. */
struct bf_tls_peer *bf_tls_peer_new(struct bf_tls_server *server, int fd) BF_MUST_CHECK;
/* Goes on with the handshake. PLAIN and FAILED are final; why is one line for the log. */
enum bf_tls_step bf_tls_peer_handshake(struct bf_tls_peer *peer, char why[160]);
/* Bytes, 0 for the peer's end, -EAGAIN, or BF_E_CLOSED. Takes as much as is there; when all of size
 * was filled there may be more that no event of the socket will tell of. */
ssize_t bf_tls_peer_read(struct bf_tls_peer *peer, void *out, size_t size);
/* Bytes taken (at most BF_TLS_RECORD_MAX), -EAGAIN (the next call must begin with the same bytes,
 * and not be shorter), or BF_E_CLOSED. */
ssize_t bf_tls_peer_write(struct bf_tls_peer *peer, const void *bytes, size_t len);
/* Was the handshake shortened by a ticket? */
bool bf_tls_peer_resumed(const struct bf_tls_peer *peer);
/* Says goodbye if the socket takes it at once. Accepts NULL. */
void bf_tls_peer_free(struct bf_tls_peer *peer);
