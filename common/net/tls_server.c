/*
 * OpenSSL's server side behind a few calls. Called by proxyd's front. Must never wait, and never
 * leave anything in OpenSSL's error queue.
 */
#include "common/net/tls_server.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/net/tls_priv.h"
#include "common/net/tls_ticket.h"

struct bf_tls_server {
	SSL_CTX *ctx;
	struct bf_tls_ticket_keys tickets;
	int64_t expires_s;
};

/* No struct of our own: a connection costs what OpenSSL takes, and no more. */
static SSL *ssl_of(const struct bf_tls_peer *peer)
{
	return (SSL *)(uintptr_t)peer;
}

/* A key with a passphrase has nobody to ask. */
static int on_passphrase(char *buf, int size, int rwflag, void *ctx)
{
	bool *asked = ctx;

	(void)buf;
	(void)size;
	(void)rwflag;
	*asked = true;
	return -1;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned in_len, void *arg)
{
	static const char wanted[] = "http/1.1";
	const size_t wanted_len = sizeof(wanted) - 1;

	(void)ssl;
	(void)arg;
	for (unsigned i = 0; i < in_len; i += 1u + in[i]) {
		if (in[i] == wanted_len && in_len - i > wanted_len &&
		    memcmp(in + i + 1, wanted, wanted_len) == 0) {
			*out = in + i + 1;
			*out_len = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool server_rules(struct bf_tls_server *server)
{
	SSL_CTX *ctx = server->ctx;

	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		return false;
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					   SSL_OP_CIPHER_SERVER_PREFERENCE |
					   SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* Buffers of 16 KiB each way are held only while they hold something. */
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					SSL_MODE_RELEASE_BUFFERS);
	/* One read for what is there, instead of one for each record's head and one for its rest.
	 */
	SSL_CTX_set_read_ahead(ctx, 1);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	return SSL_CTX_set_num_tickets(ctx, 1) == 1;
}

/* Leaf first, then the chain. 0 when all of the text was taken. */
static int server_chain(struct bf_tls_server *server, const char *where, struct bf_slice cert,
			struct bf_err *err)
{
	BIO *bio = tls_bio(cert);
	X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool good = leaf && SSL_CTX_use_certificate(server->ctx, leaf) == 1;
	struct tm end;
	char why[160];
	X509 *next;

	if (good && ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &end) == 1)
		server->expires_s = timegm(&end);
	while (good && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		good = SSL_CTX_add0_chain_cert(server->ctx, next) == 1;
		if (!good)
			X509_free(next);
	}
	X509_free(leaf);
	(void)BIO_free(bio);
	/* No further PEM block is the end; anything else is damage. */
	unsigned long e = ERR_peek_last_error();
	if (good && (ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE))
		good = false;
	if (good) {
		ERR_clear_error();
		return 0;
	}
	return bf_err_set(err, BF_E_SYNTAX,
			  "%s.cert: no chain of certificates (%s): give PEM text, the server's own "
			  "certificate first",
			  where, tls_reason(why));
}

static int server_key(struct bf_tls_server *server, const char *where, struct bf_slice key,
		      struct bf_err *err)
{
	bool asked = false;
	BIO *bio = tls_bio(key);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &asked) : NULL;
	char why[160];
	int r = 0;

	(void)BIO_free(bio);
	if (asked && !pkey)
		r = bf_err_set(err, BF_E_SYNTAX,
			       "%s.key: the key is encrypted: give it without a passphrase", where);
	else if (!pkey)
		r = bf_err_set(err, BF_E_SYNTAX, "%s.key: no private key (%s): give PEM text",
			       where, tls_reason(why));
	else if (SSL_CTX_use_PrivateKey(server->ctx, pkey) != 1 ||
		 SSL_CTX_check_private_key(server->ctx) != 1)
		r = bf_err_set(err, BF_E_RANGE,
			       "%s.key: does not belong to the first certificate of %s.cert: give "
			       "the key of that one, or put its certificate first",
			       where, where);
	else if (!bf_tls_ticket_keys_make(&server->tickets, pkey))
		r = bf_err_set(err, BF_E_STATE, "%s: %s", where, tls_reason(why));
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return r;
}

int bf_tls_server_new(const char *where, struct bf_slice cert, struct bf_slice key,
		      struct bf_tls_server **ret_server, struct bf_err *err)
{
	struct bf_tls_server *server = calloc(1, sizeof(*server));
	char why[160];
	int r = 0;

	if (!server)
		return bf_err_sys(err, -ENOMEM, "%s", where);
	server->ctx = SSL_CTX_new(TLS_server_method());
	if (!server->ctx || !server_rules(server))
		r = bf_err_set(err, BF_E_STATE, "%s: %s", where, tls_reason(why));
	if (r == 0)
		r = server_chain(server, where, cert, err);
	if (r == 0)
		r = server_key(server, where, key, err);
	if (r == 0)
		r = bf_tls_ticket_keys_use(&server->tickets, server->ctx) ? 0 : -ENOMEM;
	if (r < 0) {
		bf_tls_server_free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

void bf_tls_server_free(struct bf_tls_server *server)
{
	if (!server)
		return;
	SSL_CTX_free(server->ctx);
	explicit_bzero(&server->tickets, sizeof(server->tickets));
	free(server);
}

int64_t bf_tls_server_expires_s(const struct bf_tls_server *server)
{
	return server->expires_s;
}

struct bf_tls_peer *bf_tls_peer_new(struct bf_tls_server *server, int fd)
{
	SSL *ssl = SSL_new(server->ctx);

	if (ssl && SSL_set_fd(ssl, fd) == 1) {
		SSL_set_accept_state(ssl);
		return (struct bf_tls_peer *)ssl;
	}
	SSL_free(ssl);
	ERR_clear_error();
	return NULL;
}

static enum bf_tls_step handshake_failed(char why[160])
{
	unsigned long e = ERR_peek_error();
	bool plain = ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_HTTP_REQUEST;

	(void)tls_reason(why);
	return plain ? BF_TLS_STEP_PLAIN : BF_TLS_STEP_FAILED;
}

enum bf_tls_step bf_tls_peer_handshake(struct bf_tls_peer *peer, char why[160])
{
	ERR_clear_error();
	int r = SSL_do_handshake(ssl_of(peer));

	if (r == 1)
		return BF_TLS_STEP_UP;
	switch (SSL_get_error(ssl_of(peer), r)) {
	case SSL_ERROR_WANT_READ:
		return BF_TLS_STEP_READ;
	case SSL_ERROR_WANT_WRITE:
		return BF_TLS_STEP_WRITE;
	default:
		return handshake_failed(why);
	}
}

static ssize_t peer_io_result(const SSL *ssl, int r)
{
	switch (SSL_get_error(ssl, r)) {
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

ssize_t bf_tls_peer_read(struct bf_tls_peer *peer, void *out, size_t size)
{
	SSL *ssl = ssl_of(peer);
	size_t used = 0, n;

	ERR_clear_error();
	do {
		int r = SSL_read_ex(ssl, (char *)out + used, size - used, &n);
		if (r != 1) {
			ssize_t code = peer_io_result(ssl, r);
			return used ? (ssize_t)used : code; /* the end will be told again */
		}
		used += n;
	} while (used < size && SSL_has_pending(ssl) == 1);
	return (ssize_t)used;
}

ssize_t bf_tls_peer_write(struct bf_tls_peer *peer, const void *bytes, size_t len)
{
	size_t n = 0;

	ERR_clear_error();
	int r = SSL_write_ex(ssl_of(peer), bytes, BF_MIN(len, (size_t)BF_TLS_RECORD_MAX), &n);
	if (r == 1)
		return (ssize_t)n;
	ssize_t code = peer_io_result(ssl_of(peer), r);
	return code == 0 ? BF_E_CLOSED : code;
}

bool bf_tls_peer_resumed(const struct bf_tls_peer *peer)
{
	return SSL_session_reused(ssl_of(peer)) == 1;
}

void bf_tls_peer_free(struct bf_tls_peer *peer)
{
	SSL *ssl = ssl_of(peer);

	if (!peer)
		return;
	ERR_clear_error();
	/* Refuses by itself when the handshake is not through or the connection is dead. */
	if (SSL_is_init_finished(ssl))
		(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	ERR_clear_error();
}
