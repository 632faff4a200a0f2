/*
 * OpenSSL behind a few calls. Called by whoever connects to an https URL. Must never skip a check
 * of certificate or name except for bf_tls_trust_anyone, and never leave anything in OpenSSL's
 * error queue.
 */
#include "common/net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "common/net/addr.h"
#include "common/net/tls_priv.h"

struct bf_tls_trust {
	SSL_CTX *ctx;
};

struct bf_tls {
	SSL *ssl;
	struct bf_tls_session *session;
	bool up; /* the handshake is through */
};

static int on_tls_ticket(SSL *ssl, SSL_SESSION *ticket)
{
	const struct bf_tls *tls = SSL_get_app_data(ssl);

	if (!tls || !tls->session)
		return 0;
	SSL_SESSION_free(tls->session->ticket);
	tls->session->ticket = ticket;
	return 1; /* the reference is ours now */
}

int bf_tls_trust_nobody(struct bf_tls_trust **ret_trust, struct bf_err *err)
{
	struct bf_tls_trust *trust = calloc(1, sizeof(*trust));
	char why[160];

	if (!trust)
		return bf_err_sys(err, -ENOMEM, "TLS");
	trust->ctx = SSL_CTX_new(TLS_client_method());
	if (!trust->ctx || SSL_CTX_set_min_proto_version(trust->ctx, TLS1_2_VERSION) != 1) {
		bf_tls_trust_free(trust);
		return bf_err_set(err, BF_E_STATE, "TLS: %s", tls_reason(why));
	}
	SSL_CTX_set_verify(trust->ctx, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_options(trust->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_mode(trust->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					       SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_session_cache_mode(trust->ctx,
					     SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(trust->ctx, on_tls_ticket);
	*ret_trust = trust;
	return 0;
}

int bf_tls_trust_anyone(struct bf_tls_trust **ret_trust, struct bf_err *err)
{
	int r = bf_tls_trust_nobody(ret_trust, err);

	if (r == 0)
		SSL_CTX_set_verify((*ret_trust)->ctx, SSL_VERIFY_NONE, NULL);
	return r;
}

const char *bf_tls_bundle_path(void)
{
	static const char *const paths[] = {
	    "/etc/ssl/certs/ca-certificates.crt",
	    "/etc/pki/tls/certs/ca-bundle.crt",
	    "/etc/ssl/ca-bundle.pem",
	    "/etc/ssl/cert.pem",
	};
	const char *named = getenv("SSL_CERT_FILE");

	if (named && named[0])
		return named;
	for (size_t i = 0; i < BF_ARRAY_LEN(paths); i++) {
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	}
	return NULL;
}

int bf_tls_trust_system(struct bf_tls_trust **ret_trust, struct bf_err *err)
{
	const char *path = bf_tls_bundle_path();
	struct bf_tls_trust *trust;
	char why[160];
	int r;

	if (!path)
		return bf_err_set(err, BF_E_MISSING,
				  "TLS: no bundle of certificates on this system: install "
				  "ca-certificates, or name one in SSL_CERT_FILE");
	r = bf_tls_trust_nobody(&trust, err);
	if (r < 0)
		return r;
	if (SSL_CTX_load_verify_file(trust->ctx, path) != 1) {
		r = bf_err_set(err, BF_E_MISSING, "TLS: %s: %s", path, tls_reason(why));
		bf_tls_trust_free(trust);
		return r;
	}
	*ret_trust = trust;
	return 0;
}

/* How many certificates were taken; negative when one cannot be read. */
static int tls_add_pem(SSL_CTX *ctx, BIO *bio)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	int count = 0;
	X509 *cert;

	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		int added = X509_STORE_add_cert(store, cert);
		X509_free(cert);
		if (added != 1)
			return -1;
		count++;
	}
	/* No further PEM block is the end; anything else is damage. */
	unsigned long e = ERR_peek_last_error();
	bool ended = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
	if (ended)
		ERR_clear_error();
	return ended ? count : -1;
}

int bf_tls_trust_pem(struct bf_slice pem, struct bf_tls_trust **ret_trust, struct bf_err *err)
{
	struct bf_tls_trust *trust;
	char why[160];
	BIO *bio;
	int r = bf_tls_trust_nobody(&trust, err);

	if (r < 0)
		return r;
	bio = tls_bio(pem);
	int count = bio ? tls_add_pem(trust->ctx, bio) : -1;
	(void)BIO_free(bio);
	if (count > 0) {
		*ret_trust = trust;
		return 0;
	}
	bf_tls_trust_free(trust);
	return bf_err_set(err, BF_E_SYNTAX, "%s",
			  count == 0 ? "no certificate in PEM form" : tls_reason(why));
}

void bf_tls_trust_free(struct bf_tls_trust *trust)
{
	if (!trust)
		return;
	SSL_CTX_free(trust->ctx);
	free(trust);
}

/* The name the certificate must carry; a name also says which certificate is wanted. */
static bool tls_expect(SSL *ssl, const char *host)
{
	struct bf_addr addr;

	if (bf_addr_from_ip(bf_slice_from(host), 1, &addr) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
				   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	/* SSL_set_tlsext_host_name without its cast, which drops the const. */
	return SSL_set1_host(ssl, host) == 1 &&
	       SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			(void *)(uintptr_t)host) == 1;
}

int bf_tls_open(struct bf_tls_trust *trust, int fd, const char *host,
		struct bf_tls_session *session, struct bf_tls **ret_tls, struct bf_err *err)
{
	struct bf_tls *tls = calloc(1, sizeof(*tls));
	char why[160];

	if (!tls)
		return bf_err_sys(err, -ENOMEM, "TLS");
	tls->session = session;
	tls->ssl = SSL_new(trust->ctx);
	if (!tls->ssl || !tls_expect(tls->ssl, host) || SSL_set_fd(tls->ssl, fd) != 1) {
		int r = bf_err_set(err, BF_E_STATE, "TLS: %s", tls_reason(why));
		bf_tls_close(tls); /* forgets the reason */
		return r;
	}
	(void)SSL_set_app_data(tls->ssl, tls);
	if (session && session->ticket)
		(void)SSL_set_session(tls->ssl, session->ticket);
	SSL_set_connect_state(tls->ssl);
	*ret_tls = tls;
	return 0;
}

static int tls_refused(struct bf_tls *tls, struct bf_err *err)
{
	long verdict = SSL_get_verify_result(tls->ssl);
	char why[160];

	(void)tls_reason(why);
	if (verdict != X509_V_OK)
		return bf_err_set(err, BF_E_DENIED, "the certificate was refused: %s",
				  X509_verify_cert_error_string(verdict));
	return bf_err_set(err, BF_E_UPSTREAM, "%s", why);
}

int bf_tls_handshake(struct bf_tls *tls, struct bf_err *err)
{
	ERR_clear_error();
	int r = SSL_do_handshake(tls->ssl);

	if (r == 1) {
		tls->up = true;
		return BF_TLS_DONE;
	}
	switch (SSL_get_error(tls->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		return BF_TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return BF_TLS_WANT_WRITE;
	default:
		return tls_refused(tls, err);
	}
}

static ssize_t tls_io_result(const struct bf_tls *tls, int r)
{
	switch (SSL_get_error(tls->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		ERR_clear_error();
		return BF_E_CLOSED;
	}
}

ssize_t bf_tls_read(struct bf_tls *tls, void *out, size_t size)
{
	size_t n = 0;

	ERR_clear_error();
	int r = SSL_read_ex(tls->ssl, out, size, &n);
	return r == 1 ? (ssize_t)n : tls_io_result(tls, r);
}

ssize_t bf_tls_write(struct bf_tls *tls, const void *bytes, size_t len)
{
	size_t n = 0;

	ERR_clear_error();
	int r = SSL_write_ex(tls->ssl, bytes, len, &n);
	if (r == 1)
		return (ssize_t)n;
	ssize_t code = tls_io_result(tls, r);
	return code == 0 ? BF_E_CLOSED : code;
}

bool bf_tls_pending(const struct bf_tls *tls)
{
	return SSL_has_pending(tls->ssl) == 1 && SSL_pending(tls->ssl) > 0;
}

bool bf_tls_read_wants_write(const struct bf_tls *tls)
{
	return SSL_want_write(tls->ssl);
}

bool bf_tls_resumed(const struct bf_tls *tls)
{
	return SSL_session_reused(tls->ssl) == 1;
}

void bf_tls_close(struct bf_tls *tls)
{
	if (!tls)
		return;
	ERR_clear_error();
	if (tls->ssl && tls->up)
		(void)SSL_shutdown(tls->ssl);
	SSL_free(tls->ssl);
	ERR_clear_error();
	free(tls);
}

void bf_tls_session_free(struct bf_tls_session *session)
{
	SSL_SESSION_free(session->ticket);
	session->ticket = NULL;
}
