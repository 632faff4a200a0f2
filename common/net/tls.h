/*
 * TLS as a client over non-blocking sockets. The server's certificate and name are checked, unless
 * the trust is bf_tls_trust_anyone. What reads files (trust) happens before the sandbox.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/slice.h"

struct bf_tls_trust; /* whom to believe; process lifetime */
struct bf_tls;       /* one connection */

/* The newest ticket of one server, so that the next handshake is short. Zeroed at first. */
struct bf_tls_session {
	void *ticket;
};

enum bf_tls_want {
	BF_TLS_DONE,
	BF_TLS_WANT_READ,
	BF_TLS_WANT_WRITE,
};

/* Where distributions keep their bundle; SSL_CERT_FILE comes first. NULL: there is none. */
const char *bf_tls_bundle_path(void);
/* The system's certificates. BF_E_MISSING when no bundle was found: then nobody is believed. */
int bf_tls_trust_system(struct bf_tls_trust **ret_trust, struct bf_err *err);
/* The certificates of a PEM text and no others. BF_E_SYNTAX when it holds none or a bad one. */
int bf_tls_trust_pem(struct bf_slice pem, struct bf_tls_trust **ret_trust, struct bf_err *err);
/* Nobody. -ENOMEM, BF_E_STATE. */
int bf_tls_trust_nobody(struct bf_tls_trust **ret_trust, struct bf_err *err);
/* Anyone who answers: neither certificate nor name are looked at. -ENOMEM, BF_E_STATE. */
int bf_tls_trust_anyone(struct bf_tls_trust **ret_trust, struct bf_err *err);
/* Connections must be closed before. Accepts NULL. */
void bf_tls_trust_free(struct bf_tls_trust *trust);

/*
 * A client over fd, which stays the caller's. host is a name (sent as SNI) or an IP address.
 * session may be NULL; it must outlive the connection and belong to this host alone.
 */
int bf_tls_open(struct bf_tls_trust *trust, int fd, const char *host,
		struct bf_tls_session *session, struct bf_tls **ret_tls, struct bf_err *err);
/* enum bf_tls_want, or a negative code with err "why". */
int bf_tls_handshake(struct bf_tls *tls, struct bf_err *err);
/* Bytes, 0 for the peer's orderly end, -EAGAIN, or BF_E_CLOSED: the connection was cut. */
ssize_t bf_tls_read(struct bf_tls *tls, void *out, size_t size);
/* Bytes taken, -EAGAIN (call again with the same bytes), or BF_E_CLOSED. */
ssize_t bf_tls_write(struct bf_tls *tls, const void *bytes, size_t len);
/* Decrypted bytes wait: no event of the socket will tell. */
bool bf_tls_pending(const struct bf_tls *tls);
/* A read is held up because the socket takes no bytes. */
bool bf_tls_read_wants_write(const struct bf_tls *tls);
/* Was the handshake shortened by a ticket? */
bool bf_tls_resumed(const struct bf_tls *tls);
/* Says goodbye if the socket takes it at once. Accepts NULL. */
void bf_tls_close(struct bf_tls *tls);
void bf_tls_session_free(struct bf_tls_session *session);
