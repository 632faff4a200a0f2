/* The TLS server against OpenSSL's client on the other end of a socket pair. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/net/tls_server.h"
#include "common/net/tls_ticket.h"

static char cert_pem[4096], key_pem[4096], other_key_pem[4096], locked_key_pem[4096];
static int64_t wall_ns;

static int64_t fake_wall(void *ctx)
{
	(void)ctx;
	return wall_ns;
}

static int64_t fake_mono(void *ctx)
{
	(void)ctx;
	return 1000000000;
}

static void bio_text(BIO *bio, char out[4096])
{
	int n = BIO_read(bio, out, 4095);

	assert_true(n > 0);
	out[n] = '\0';
	(void)BIO_free(bio);
}

static void key_text(EVP_PKEY *key, const char *passphrase, char out[4096])
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, passphrase ? EVP_aes_128_cbc() : NULL,
						  (const unsigned char *)passphrase,
						  passphrase ? (int)strlen(passphrase) : 0, NULL,
						  NULL),
			 1);
	bio_text(bio, out);
}

static int make_pair(void **state BF_UNUSED)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());

	(void)signal(SIGPIPE, SIG_IGN);
	(void)X509_set_version(cert, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	(void)X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
					 (const unsigned char *)"test", -1, -1, 0);
	(void)X509_set_issuer_name(cert, X509_get_subject_name(cert));
	(void)X509_set_pubkey(cert, key);
	(void)X509_sign(cert, key, EVP_sha256());
	(void)PEM_write_bio_X509(bio, cert);
	bio_text(bio, cert_pem);
	key_text(key, NULL, key_pem);
	key_text(key, "sesame", locked_key_pem);
	key_text(other, NULL, other_key_pem);
	X509_free(cert);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	return 0;
}

static struct bf_tls_server *server_new(void)
{
	struct bf_tls_server *server = NULL;
	struct bf_err err = {0};

	if (bf_tls_server_new("server.tls", bf_slice_from(cert_pem), bf_slice_from(key_pem),
			      &server, &err) < 0)
		fail_msg("%s", err.text);
	return server;
}

struct link {
	int fds[2]; /* client, server */
	SSL *ssl;
	struct bf_tls_peer *peer;
};

static void link_open(struct link *l, SSL_CTX *ctx, struct bf_tls_server *server)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, l->fds), 0);
	l->ssl = SSL_new(ctx);
	assert_int_equal(SSL_set_fd(l->ssl, l->fds[0]), 1);
	SSL_set_connect_state(l->ssl);
	l->peer = bf_tls_peer_new(server, l->fds[1]);
	assert_non_null(l->peer);
}

static void link_close(struct link *l)
{
	/* Else OpenSSL takes the session for spoilt. */
	SSL_set_shutdown(l->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(l->ssl);
	bf_tls_peer_free(l->peer);
	(void)close(l->fds[0]);
	(void)close(l->fds[1]);
	assert_int_equal(ERR_peek_error(), 0);
}

static enum bf_tls_step shake(struct link *l, char why[160])
{
	enum bf_tls_step step = BF_TLS_STEP_READ;
	bool client_up = false;

	for (int i = 0; i < 20 && !(client_up && step == BF_TLS_STEP_UP); i++) {
		client_up = client_up || SSL_do_handshake(l->ssl) == 1;
		if (step != BF_TLS_STEP_UP)
			step = bf_tls_peer_handshake(l->peer, why);
		if (step == BF_TLS_STEP_FAILED || step == BF_TLS_STEP_PLAIN)
			break;
	}
	ERR_clear_error();
	return step;
}

static void bad_pairs_are_named(void **state BF_UNUSED)
{
	static char damaged[8192];
	const struct {
		const char *cert, *key, *part;
		int code;
	} cases[] = {
	    {"", key_pem, "server.tls.cert: no chain", BF_E_SYNTAX},
	    {"nonsense", key_pem, "server.tls.cert: no chain", BF_E_SYNTAX},
	    {damaged, key_pem, "server.tls.cert: no chain", BF_E_SYNTAX},
	    {cert_pem, "", "server.tls.key: no private key", BF_E_SYNTAX},
	    {cert_pem, cert_pem, "server.tls.key: no private key", BF_E_SYNTAX},
	    {cert_pem, locked_key_pem, "server.tls.key: the key is encrypted", BF_E_SYNTAX},
	    {cert_pem, other_key_pem, "server.tls.key: does not belong", BF_E_RANGE},
	};

	(void)snprintf(damaged, sizeof(damaged), "%s%.200s", cert_pem, cert_pem);
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct bf_tls_server *server = NULL;
		struct bf_err err = {0};
		int r = bf_tls_server_new("server.tls", bf_slice_from(cases[i].cert),
					  bf_slice_from(cases[i].key), &server, &err);
		if (r != cases[i].code || !strstr(err.text, cases[i].part))
			fail_msg("%zu: %d %s", i, r, err.text);
		assert_null(server);
		assert_int_equal(ERR_peek_error(), 0);
	}
	bf_tls_server_free(NULL);
}

static void knows_when_it_expires(void **state BF_UNUSED)
{
	struct bf_tls_server *server = server_new();
	int64_t left = bf_tls_server_expires_s(server) - (int64_t)time(NULL);

	assert_true(left > 3500 && left <= 3600);
	bf_tls_server_free(server);
}

/* The one protocol, by ALPN; TLS 1.2 and later. */
static void protocols(void **state BF_UNUSED)
{
	static const struct {
		const char *alpn;
		int version;
		bool good;
	} cases[] = {
	    {"", TLS1_3_VERSION, true},        {"", TLS1_2_VERSION, true},
	    {"", TLS1_1_VERSION, false},       {"\x02h2\x08http/1.1", TLS1_3_VERSION, true},
	    {"\x02h2", TLS1_3_VERSION, false},
	};
	struct bf_tls_server *server = server_new();

	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		const unsigned char *chosen;
		unsigned len;
		struct link l;
		char why[160];

		SSL_CTX_set_security_level(ctx, 0);
		(void)SSL_CTX_set_min_proto_version(ctx, cases[i].version);
		(void)SSL_CTX_set_max_proto_version(ctx, cases[i].version);
		if (cases[i].alpn[0])
			(void)SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)cases[i].alpn,
						      (unsigned)strlen(cases[i].alpn));
		link_open(&l, ctx, server);
		enum bf_tls_step step = shake(&l, why);
		if (step != (cases[i].good ? BF_TLS_STEP_UP : BF_TLS_STEP_FAILED))
			fail_msg("%zu: %d %s", i, (int)step, why);
		SSL_get0_alpn_selected(l.ssl, &chosen, &len);
		assert_int_equal(len, cases[i].good && cases[i].alpn[0] ? 8 : 0);
		link_close(&l);
		SSL_CTX_free(ctx);
	}
	bf_tls_server_free(server);
}

static void plain_and_garbage(void **state BF_UNUSED)
{
	static const struct {
		const char *text;
		enum bf_tls_step step;
	} cases[] = {
	    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", BF_TLS_STEP_PLAIN},
	    {"POST / HTTP/1.1\r\nHost: a\r\n\r\n", BF_TLS_STEP_PLAIN},
	    {"nonsense, and more of it", BF_TLS_STEP_FAILED},
	};
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct bf_tls_server *server = server_new();

	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct link l;
		char why[160] = "";
		link_open(&l, ctx, server);
		assert_true(write(l.fds[0], cases[i].text, strlen(cases[i].text)) > 0);
		assert_int_equal(bf_tls_peer_handshake(l.peer, why), cases[i].step);
		assert_true(why[0] != '\0');
		link_close(&l);
	}
	SSL_CTX_free(ctx);
	bf_tls_server_free(server);
}

/* Both ways, more than the socket holds, in pieces. */
static void bytes_both_ways(void **state BF_UNUSED)
{
	static char sent[300000], got[300000];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct bf_tls_server *server = server_new();
	size_t out = 0, in = 0, n;
	struct link l;
	char why[160];

	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 7 % 251);
	link_open(&l, ctx, server);
	assert_int_equal(shake(&l, why), BF_TLS_STEP_UP);
	assert_int_equal(bf_tls_peer_read(l.peer, got, sizeof(got)), -EAGAIN);
	for (int i = 0; i < 10000 && in < sizeof(sent); i++) {
		size_t rest = sizeof(sent) - out;
		ssize_t w = rest ? bf_tls_peer_write(l.peer, sent + out, rest) : -EAGAIN;
		assert_true(w > 0 || w == -EAGAIN);
		out += w > 0 ? (size_t)w : 0;
		if (w == -EAGAIN && SSL_read_ex(l.ssl, got + in, sizeof(got) - in, &n) == 1)
			in += n;
	}
	assert_memory_equal(sent, got, sizeof(sent));
	/* Three records that came together are read together. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(SSL_write(l.ssl, "abc", 3), 3);
	assert_int_equal(bf_tls_peer_read(l.peer, got, sizeof(got)), 9);
	assert_int_equal(SSL_write(l.ssl, "abcdef", 6), 6);
	assert_int_equal(bf_tls_peer_read(l.peer, got, 4), 4);
	assert_int_equal(bf_tls_peer_read(l.peer, got, sizeof(got)), 2);
	(void)SSL_shutdown(l.ssl);
	assert_int_equal(bf_tls_peer_read(l.peer, got, sizeof(got)), 0);
	link_close(&l);
	SSL_CTX_free(ctx);
	bf_tls_server_free(server);
}

static void a_cut_is_an_end(void **state BF_UNUSED)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct bf_tls_server *server = server_new();
	struct link l;
	char why[160], got[16];

	link_open(&l, ctx, server);
	assert_int_equal(shake(&l, why), BF_TLS_STEP_UP);
	(void)shutdown(l.fds[0], SHUT_RDWR);
	assert_int_equal(bf_tls_peer_read(l.peer, got, sizeof(got)), 0);
	assert_int_equal(bf_tls_peer_write(l.peer, "x", 1), BF_E_CLOSED);
	link_close(&l);
	SSL_CTX_free(ctx);
	bf_tls_server_free(server);
}

static SSL_SESSION *newest;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(newest);
	newest = session;
	return 1;
}

/* A handshake with server; resumes what is kept. Returns whether that went. */
static bool resumes(SSL_CTX *ctx, struct bf_tls_server *server)
{
	struct link l;
	char why[160], got[16];

	link_open(&l, ctx, server);
	if (newest)
		(void)SSL_set_session(l.ssl, newest);
	assert_int_equal(shake(&l, why), BF_TLS_STEP_UP);
	(void)SSL_read(l.ssl, got, sizeof(got)); /* the ticket */
	ERR_clear_error();
	bool resumed = bf_tls_peer_resumed(l.peer);
	assert_int_equal(resumed, SSL_session_reused(l.ssl));
	link_close(&l);
	return resumed;
}

/* Servers with one key honour each other's tickets, for two turns; TLS 1.2 gets none. */
static void tickets_are_shared(void **state BF_UNUSED)
{
	static const struct bf_clock_source source = {fake_mono, fake_wall, NULL};
	struct bf_tls_server *one = server_new(), *two = server_new();
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	wall_ns =
	    bf_wall_ns() / 1000000000 / BF_TLS_TICKET_TURN_S * BF_TLS_TICKET_TURN_S * 1000000000;
	bf_clock_set_source(&source);
	(void)SSL_CTX_set_session_cache_mode(ctx,
					     SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, keep_session);
	assert_false(resumes(ctx, one));
	assert_non_null(newest);
	assert_true(resumes(ctx, two));
	assert_true(resumes(ctx, one));
	SSL_SESSION *old = newest;
	assert_int_equal(SSL_SESSION_up_ref(old), 1);
	wall_ns += (int64_t)BF_TLS_TICKET_TURN_S * 1000000000;
	assert_true(resumes(ctx, one));
	SSL_SESSION_free(newest);
	newest = old;
	wall_ns += (int64_t)BF_TLS_TICKET_TURN_S * 1000000000;
	assert_false(resumes(ctx, one));
	SSL_SESSION_free(newest);
	newest = NULL;
	(void)SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	assert_false(resumes(ctx, one));
	assert_false(resumes(ctx, one));
	SSL_SESSION_free(newest);
	newest = NULL;
	SSL_CTX_free(ctx);
	bf_tls_server_free(one);
	bf_tls_server_free(two);
	bf_clock_set_source(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_pairs_are_named), cmocka_unit_test(knows_when_it_expires),
	    cmocka_unit_test(protocols),           cmocka_unit_test(plain_and_garbage),
	    cmocka_unit_test(bytes_both_ways),     cmocka_unit_test(a_cut_is_an_end),
	    cmocka_unit_test(tickets_are_shared),
	};
	return cmocka_run_group_tests(tests, make_pair, NULL);
}
