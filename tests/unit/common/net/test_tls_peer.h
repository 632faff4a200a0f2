/* A TLS server on a socket pair whose every byte passes through the test. */
#pragma once

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/net/tls.h"

#define DAY  86400L
#define EACH SIZE_MAX

/* One key for all: what is tested is who signed whom, and the names tell that apart. */
static EVP_PKEY *key, *strange_key;
static X509 *root, *middle, *strange_root;
static int serial;
static const char *wanted_host = "good.test";

struct wish {
	const char *name, *alt, *usage;
	long from, to; /* seconds from now */
	bool ca;
};

static inline void add(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = value ? X509V3_EXT_conf_nid(NULL, NULL, nid, value) : NULL;

	if (!value)
		return;
	assert_non_null(e);
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* issuer NULL: signed by itself. */
static inline X509 *make(const struct wish *w, const X509 *issuer, EVP_PKEY *signer)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	(void)X509_set_version(cert, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), w->from);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), w->to);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)w->name,
					 -1, -1, 0);
	(void)X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name);
	(void)X509_set_pubkey(cert, issuer ? key : signer);
	add(cert, NID_basic_constraints, w->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	add(cert, NID_subject_alt_name, w->alt);
	add(cert, NID_ext_key_usage, w->usage);
	assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
	return cert;
}

static inline X509 *leaf(const char *alt)
{
	const struct wish w = {.name = "leaf", .alt = alt, .from = -DAY, .to = DAY};

	return make(&w, middle, key);
}

static inline int make_authorities(void **state BF_UNUSED)
{
	const struct wish w = {.name = "root", .from = -DAY, .to = DAY, .ca = true};
	const struct wish m = {.name = "middle", .from = -DAY, .to = DAY, .ca = true};

	(void)signal(SIGPIPE, SIG_IGN);
	key = EVP_EC_gen("P-256");
	strange_key = EVP_EC_gen("P-256");
	root = make(&w, NULL, key);
	strange_root = make(&w, NULL, strange_key);
	middle = make(&m, root, key);
	return 0;
}

static inline int drop_authorities(void **state BF_UNUSED)
{
	X509_free(root);
	X509_free(middle);
	X509_free(strange_root);
	EVP_PKEY_free(key);
	EVP_PKEY_free(strange_key);
	return 0;
}

static inline size_t write_pem(X509 *cert, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	int n = BIO_read(bio, out, (int)size - 1);
	(void)BIO_free(bio);
	assert_true(n > 0);
	out[n] = '\0';
	return (size_t)n;
}

static inline struct bf_tls_trust *trusting(X509 *cert)
{
	struct bf_tls_trust *trust = NULL;
	struct bf_err err = {0};
	char pem[4096];
	size_t len = write_pem(cert, pem, sizeof(pem));

	if (bf_tls_trust_pem((struct bf_slice){pem, len}, &trust, &err) < 0)
		fail_msg("%s", err.text);
	return trust;
}

/* Takes the leaf; between may be NULL. */
static inline SSL_CTX *server_with(X509 *cert, X509 *between)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	if (between)
		assert_int_equal(SSL_CTX_add1_chain_cert(ctx, between), 1);
	X509_free(cert);
	return ctx;
}

struct pair {
	int client, peer;
	SSL *ssl;
	BIO *in, *out; /* of the server */
	size_t sent;   /* bytes of the server the client was given */
	size_t limit, spoil;
	struct bf_tls *tls;
};

static inline void pair_open(struct pair *p, struct bf_tls_trust *trust, SSL_CTX *ctx,
			     struct bf_tls_session *session)
{
	struct bf_err err = {0};
	int fds[2];

	*p = (struct pair){.limit = EACH, .spoil = EACH};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	p->client = fds[0];
	p->peer = fds[1];
	p->ssl = SSL_new(ctx);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	(void)BIO_set_mem_eof_return(p->in, -1);
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_accept_state(p->ssl);
	if (bf_tls_open(trust, p->client, wanted_host, session, &p->tls, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void pair_close(struct pair *p)
{
	bf_tls_close(p->tls);
	SSL_free(p->ssl);
	(void)close(p->client);
	(void)close(p->peer);
	ERR_clear_error();
}

/* The server takes what the client sent. */
static inline void feed(struct pair *p)
{
	uint8_t buf[4096];
	ssize_t n;

	while ((n = read(p->peer, buf, sizeof(buf))) > 0)
		assert_int_equal(BIO_write(p->in, buf, (int)n), n);
	if (!SSL_is_init_finished(p->ssl))
		(void)SSL_do_handshake(p->ssl);
	ERR_clear_error();
}

/* Gives the client up to max bytes of the server; returns how many. */
static inline size_t deliver(struct pair *p, size_t max)
{
	uint8_t buf[4096];
	char *waiting;
	long have = BIO_get_mem_data(p->out, &waiting);
	size_t n = BF_MIN(BF_MIN(max, p->limit - p->sent), sizeof(buf));

	n = BF_MIN(n, (size_t)have);
	if (n == 0)
		return 0;
	memcpy(buf, waiting, n);
	if (p->spoil >= p->sent && p->spoil - p->sent < n)
		buf[p->spoil - p->sent] ^= 1;
	ssize_t put = write(p->peer, buf, n); /* a full socket takes fewer; the rest stays */
	if (put <= 0)
		return 0;
	assert_int_equal(BIO_read(p->out, buf, (int)put), put);
	p->sent += (size_t)put;
	return (size_t)put;
}

/* Shakes hands with `step` bytes at a time until done, refused, or nothing moves any more. */
static inline int shake(struct pair *p, size_t step, struct bf_err *err)
{
	int r = BF_TLS_WANT_READ;
	size_t moved = 1;

	for (int i = 0; i < 20000 && r > 0 && moved; i++) {
		r = bf_tls_handshake(p->tls, err);
		assert_int_equal(ERR_peek_error(), 0); /* nothing is left for the next one */
		feed(p);
		moved = deliver(p, step) || (i == 0);
	}
	return r;
}
