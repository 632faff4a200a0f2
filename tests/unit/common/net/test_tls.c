/* The TLS client against OpenSSL's server on the other end of a socket pair, one step at a time. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/net/tls.h"

static EVP_PKEY *server_key;
static X509 *server_cert;
static char pem[4096];

/* Signed by itself, for the name good.test and for 127.0.0.1. */
static int make_certificate(void **state BF_UNUSED)
{
	X509V3_CTX ctx;
	BIO *bio = BIO_new(BIO_s_mem());

	(void)signal(SIGPIPE, SIG_IGN);
	server_key = EVP_EC_gen("P-256");
	server_cert = X509_new();
	(void)X509_set_version(server_cert, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(server_cert), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(server_cert), -60);
	(void)X509_gmtime_adj(X509_getm_notAfter(server_cert), 3600);
	(void)X509_NAME_add_entry_by_txt(X509_get_subject_name(server_cert), "CN", MBSTRING_ASC,
					 (const unsigned char *)"test", -1, -1, 0);
	(void)X509_set_issuer_name(server_cert, X509_get_subject_name(server_cert));
	(void)X509_set_pubkey(server_cert, server_key);
	X509V3_set_ctx(&ctx, server_cert, server_cert, NULL, NULL, 0);
	X509_EXTENSION *names =
	    X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, "DNS:good.test,IP:127.0.0.1");
	(void)X509_add_ext(server_cert, names, -1);
	X509_EXTENSION_free(names);
	(void)X509_sign(server_cert, server_key, EVP_sha256());
	(void)PEM_write_bio_X509(bio, server_cert);
	int n = BIO_read(bio, pem, sizeof(pem) - 1);
	pem[n > 0 ? n : 0] = '\0';
	(void)BIO_free(bio);
	return n > 0 ? 0 : -1;
}

static int drop_certificate(void **state BF_UNUSED)
{
	X509_free(server_cert);
	EVP_PKEY_free(server_key);
	return 0;
}

struct pair {
	int client, server;
	SSL_CTX *server_ctx;
	SSL *ssl;
	struct bf_tls_trust *trust;
	struct bf_tls *tls;
};

static void pair_open(struct pair *p, const char *host, struct bf_tls_trust *trust,
		      struct bf_tls_session *session, SSL_CTX *ctx)
{
	struct bf_err err = {0};
	int fds[2];

	memset(p, 0, sizeof(*p));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	p->client = fds[0];
	p->server = fds[1];
	p->trust = trust;
	p->server_ctx = ctx;
	p->ssl = SSL_new(ctx);
	assert_int_equal(SSL_set_fd(p->ssl, p->server), 1);
	SSL_set_accept_state(p->ssl);
	if (bf_tls_open(trust, p->client, host, session, &p->tls, &err) < 0)
		fail_msg("%s", err.text);
}

static void pair_close(struct pair *p)
{
	bf_tls_close(p->tls);
	SSL_free(p->ssl);
	(void)close(p->client);
	(void)close(p->server);
}

static SSL_CTX *server_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_int_equal(SSL_CTX_use_certificate(ctx, server_cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, server_key), 1);
	return ctx;
}

static struct bf_tls_trust *trusting(void)
{
	struct bf_tls_trust *trust = NULL;
	struct bf_err err = {0};

	if (bf_tls_trust_pem(bf_slice_from(pem), &trust, &err) < 0)
		fail_msg("%s", err.text);
	return trust;
}

/* BF_TLS_DONE or the client's error. */
static int shake(struct pair *p, struct bf_err *err)
{
	int r = BF_TLS_WANT_READ;

	for (int i = 0; i < 20 && r > 0; i++) {
		r = bf_tls_handshake(p->tls, err);
		(void)SSL_do_handshake(p->ssl);
	}
	return r;
}

static void bytes_both_ways(void **state BF_UNUSED)
{
	SSL_CTX *ctx = server_context();
	struct bf_err err = {0};
	struct pair p;
	char buf[64];

	pair_open(&p, "good.test", trusting(), NULL, ctx);
	assert_int_equal(shake(&p, &err), BF_TLS_DONE);
	assert_string_equal(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name), "good.test");
	assert_int_equal(bf_tls_read(p.tls, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(bf_tls_write(p.tls, "ping", 4), 4);
	assert_int_equal(SSL_read(p.ssl, buf, sizeof(buf)), 4);
	assert_int_equal(SSL_write(p.ssl, "pong!", 5), 5);
	assert_int_equal(bf_tls_read(p.tls, buf, 2), 2);
	assert_true(bf_tls_pending(p.tls));
	assert_int_equal(bf_tls_read(p.tls, buf, sizeof(buf)), 3);
	assert_false(bf_tls_pending(p.tls));
	assert_false(bf_tls_read_wants_write(p.tls));
	(void)SSL_shutdown(p.ssl);
	assert_int_equal(bf_tls_read(p.tls, buf, sizeof(buf)), 0);
	pair_close(&p);
	bf_tls_trust_free(p.trust);
	SSL_CTX_free(ctx);
}

static void names_are_checked(void **state BF_UNUSED)
{
	static const struct {
		const char *host;
		bool good;
	} list[] = {{"good.test", true},   {"GOOD.test", true}, {"127.0.0.1", true},
		    {"127.0.0.2", false},  {"bad.test", false}, {"x.good.test", false},
		    {"good.test.", false}, {"good.tes", false}, {"test", false}};
	SSL_CTX *ctx = server_context();

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct bf_err err = {0};
		struct pair p;
		pair_open(&p, list[i].host, trusting(), NULL, ctx);
		int r = shake(&p, &err);
		if (list[i].good != (r == BF_TLS_DONE))
			fail_msg("%s: %d %s", list[i].host, r, err.text);
		if (!list[i].good)
			assert_non_null(strstr(err.text, "mismatch"));
		pair_close(&p);
		bf_tls_trust_free(p.trust);
	}
	SSL_CTX_free(ctx);
}

static void nobody_is_believed_without_trust(void **state BF_UNUSED)
{
	SSL_CTX *ctx = server_context();
	struct bf_tls_trust *nobody = NULL;
	struct bf_err err = {0};
	struct pair p;

	assert_int_equal(bf_tls_trust_nobody(&nobody, &err), 0);
	pair_open(&p, "good.test", nobody, NULL, ctx);
	assert_int_equal(shake(&p, &err), BF_E_DENIED);
	assert_non_null(strstr(err.text, "self-signed"));
	pair_close(&p);
	bf_tls_trust_free(nobody);
	SSL_CTX_free(ctx);
}

static void anyone_is_believed_when_asked_for(void **state BF_UNUSED)
{
	SSL_CTX *ctx = server_context();
	struct bf_tls_trust *anyone = NULL;
	struct bf_err err = {0};
	struct pair p;

	assert_int_equal(bf_tls_trust_anyone(&anyone, &err), 0);
	pair_open(&p, "elsewhere.test", anyone, NULL, ctx);
	assert_int_equal(shake(&p, &err), BF_TLS_DONE);
	pair_close(&p);
	bf_tls_trust_free(anyone);
	SSL_CTX_free(ctx);
}

static void a_cut_is_no_end(void **state BF_UNUSED)
{
	SSL_CTX *ctx = server_context();
	struct bf_err err = {0};
	struct pair p;
	char buf[16];

	pair_open(&p, "good.test", trusting(), NULL, ctx);
	assert_int_equal(shake(&p, &err), BF_TLS_DONE);
	(void)shutdown(p.server, SHUT_RDWR);
	assert_int_equal(bf_tls_read(p.tls, buf, sizeof(buf)), BF_E_CLOSED);
	assert_int_equal(bf_tls_write(p.tls, "x", 1), BF_E_CLOSED);
	pair_close(&p);
	bf_tls_trust_free(p.trust);

	/* In mid-handshake, and garbage instead of one. */
	pair_open(&p, "good.test", trusting(), NULL, ctx);
	assert_int_equal(bf_tls_handshake(p.tls, &err), BF_TLS_WANT_READ);
	assert_int_equal(write(p.server, "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
	assert_true(bf_tls_handshake(p.tls, &err) < 0);
	assert_true(err.text[0] != '\0');
	pair_close(&p);
	bf_tls_trust_free(p.trust);
	SSL_CTX_free(ctx);
}

static void a_full_socket_takes_no_more(void **state BF_UNUSED)
{
	static char block[16384];
	SSL_CTX *ctx = server_context();
	struct bf_err err = {0};
	struct pair p;
	ssize_t n = 1;

	pair_open(&p, "good.test", trusting(), NULL, ctx);
	assert_int_equal(shake(&p, &err), BF_TLS_DONE);
	for (int i = 0; i < 10000 && n > 0; i++)
		n = bf_tls_write(p.tls, block, sizeof(block));
	assert_int_equal(n, -EAGAIN);
	while (SSL_read(p.ssl, block, sizeof(block)) > 0)
		;
	assert_true(bf_tls_write(p.tls, block, sizeof(block)) > 0);
	pair_close(&p);
	bf_tls_trust_free(p.trust);
	SSL_CTX_free(ctx);
}

static void tickets(void **state BF_UNUSED)
{
	SSL_CTX *ctx = server_context();
	struct bf_tls_session session = {NULL};
	struct bf_tls_trust *trust = trusting();
	struct bf_err err = {0};
	char buf[16];

	for (int i = 0; i < 3; i++) {
		struct pair p;
		pair_open(&p, "good.test", trust, &session, ctx);
		assert_int_equal(shake(&p, &err), BF_TLS_DONE);
		assert_int_equal(bf_tls_resumed(p.tls), i > 0);
		assert_int_equal(bf_tls_read(p.tls, buf, sizeof(buf)), -EAGAIN);
		assert_non_null(session.ticket);
		pair_close(&p);
	}
	bf_tls_session_free(&session);
	assert_null(session.ticket);
	bf_tls_trust_free(trust);
	SSL_CTX_free(ctx);
}

static void texts_that_hold_no_certificate(void **state BF_UNUSED)
{
	static char cut[4096], twice[8192];
	const char *list[] = {"", "hello", cut, "-----BEGIN CERTIFICATE-----\nAAAA\n"};

	(void)snprintf(cut, sizeof(cut), "%.*s", (int)(strlen(pem) / 2), pem);
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct bf_tls_trust *trust = NULL;
		struct bf_err err = {0};
		assert_int_equal(bf_tls_trust_pem(bf_slice_from(list[i]), &trust, &err),
				 BF_E_SYNTAX);
		assert_null(trust);
		assert_true(err.text[0] != '\0');
	}
	struct bf_tls_trust *trust = NULL;
	(void)snprintf(twice, sizeof(twice), "# a comment\n%s\n%s", pem, pem);
	assert_int_equal(bf_tls_trust_pem(bf_slice_from(twice), &trust, NULL), 0);
	bf_tls_trust_free(trust);
}

static void the_systems_bundle(void **state BF_UNUSED)
{
	struct bf_tls_trust *trust = NULL;
	struct bf_err err = {0};
	char path[] = "/tmp/test-tls-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)setenv("SSL_CERT_FILE", path, 1);
	assert_int_equal(bf_tls_trust_system(&trust, &err), BF_E_MISSING);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(write(fd, pem, strlen(pem)), (ssize_t)strlen(pem));
	assert_int_equal(bf_tls_trust_system(&trust, &err), 0);
	bf_tls_trust_free(trust);
	assert_string_equal(bf_tls_bundle_path(), path);
	(void)setenv("SSL_CERT_FILE", "/tmp/no/such/bundle", 1);
	assert_int_equal(bf_tls_trust_system(&trust, &err), BF_E_MISSING);
	assert_non_null(strstr(err.text, "/tmp/no/such/bundle: No such file"));
	(void)unsetenv("SSL_CERT_FILE");
	(void)close(fd);
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_both_ways),
	    cmocka_unit_test(names_are_checked),
	    cmocka_unit_test(nobody_is_believed_without_trust),
	    cmocka_unit_test(anyone_is_believed_when_asked_for),
	    cmocka_unit_test(a_cut_is_no_end),
	    cmocka_unit_test(a_full_socket_takes_no_more),
	    cmocka_unit_test(tickets),
	    cmocka_unit_test(texts_that_hold_no_certificate),
	    cmocka_unit_test(the_systems_bundle),
	};
	return cmocka_run_group_tests(tests, make_certificate, drop_certificate);
}
