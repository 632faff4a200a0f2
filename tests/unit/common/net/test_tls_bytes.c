/* The bytes of a TLS connection: one at a time, cut, spoilt, many; goodbyes and tickets. */
#include "tests/unit/common/net/test_tls_peer.h"

/* The server's bytes one at a time; then cut after each, and one bit of each turned over. */
static void bytes_of_a_handshake(void **state BF_UNUSED)
{
	SSL_CTX *ctx = server_with(leaf("DNS:good.test"), middle);
	struct bf_tls_trust *trust = trusting(root);
	struct bf_err err = {0};
	struct pair p;

	pair_open(&p, trust, ctx, NULL);
	assert_int_equal(shake(&p, 1, &err), BF_TLS_DONE);
	size_t all = p.sent;
	pair_close(&p);
	assert_true(all > 500);
	for (size_t cut = 0; cut + 8 < all; cut += cut < 16 ? 1 : 7) {
		pair_open(&p, trust, ctx, NULL);
		p.limit = cut;
		assert_int_equal(shake(&p, EACH, &err), BF_TLS_WANT_READ);
		(void)shutdown(p.peer, SHUT_WR);
		err.text[0] = '\0';
		assert_int_equal(bf_tls_handshake(p.tls, &err), BF_E_UPSTREAM);
		assert_true(err.text[0] != '\0');
		assert_int_equal(ERR_peek_error(), 0);
		pair_close(&p);
	}
	/* From behind the head of the first record, whose version nobody signs. */
	for (size_t spoil = 5; spoil + 8 < all; spoil += 7) {
		pair_open(&p, trust, ctx, NULL);
		p.spoil = spoil;
		int r = shake(&p, EACH, &err);
		if (r == BF_TLS_DONE)
			fail_msg("byte %zu of %zu is not checked", spoil, all);
		pair_close(&p);
	}
	bf_tls_trust_free(trust);
	SSL_CTX_free(ctx);
}

static void cut_within_a_record(void **state BF_UNUSED)
{
	SSL_CTX *ctx = server_with(leaf("DNS:good.test"), middle);
	struct bf_tls_trust *trust = trusting(root);
	struct bf_err err = {0};

	for (size_t keep = 0; keep < 60; keep++) {
		struct pair p;
		char buf[64];
		pair_open(&p, trust, ctx, NULL);
		assert_int_equal(shake(&p, EACH, &err), BF_TLS_DONE);
		feed(&p);
		(void)deliver(&p, EACH); /* the tickets */
		assert_int_equal(bf_tls_read(p.tls, buf, sizeof(buf)), -EAGAIN);
		assert_int_equal(SSL_write(p.ssl, "0123456789012345678901234567890123456789", 40),
				 40);
		assert_int_equal(deliver(&p, keep), keep);
		assert_int_equal(bf_tls_read(p.tls, buf, sizeof(buf)), -EAGAIN);
		assert_false(bf_tls_pending(p.tls));
		if (keep % 2)
			assert_int_equal(write(p.peer,
					       "garbage garbage garbage garbage garbage "
					       "garbage",
					       47),
					 47);
		(void)shutdown(p.peer, SHUT_WR);
		for (int again = 0; again < 2; again++)
			assert_int_equal(bf_tls_read(p.tls, buf, sizeof(buf)), BF_E_CLOSED);
		assert_int_equal(ERR_peek_error(), 0);
		pair_close(&p);
	}
	bf_tls_trust_free(trust);
	SSL_CTX_free(ctx);
}

/* Half a megabyte to the server and back, in pieces of all sizes through a small socket. */
static void large_data_in_small_pieces(void **state BF_UNUSED)
{
	static uint8_t data[1u << 19], back[1u << 19];
	SSL_CTX *ctx = server_with(leaf("DNS:good.test"), middle);
	struct bf_tls_trust *trust = trusting(root);
	size_t put = 0, echoed = 0, got = 0, held = 0, size = 1;
	struct bf_err err = {0};
	uint8_t buf[4096];
	struct pair p;
	int small = 4096;
	bool refused = false;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	pair_open(&p, trust, ctx, NULL);
	assert_int_equal(setsockopt(p.client, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	assert_int_equal(shake(&p, EACH, &err), BF_TLS_DONE);
	for (int i = 0; i < 200000 && got < sizeof(data); i++) {
		size = refused ? size : size % 20011 + 977; /* the same bytes again */
		ssize_t n = put < sizeof(data)
				? bf_tls_write(p.tls, data + put, BF_MIN(size, sizeof(data) - put))
				: 0;
		refused = n == -EAGAIN;
		assert_true(n >= 0 || refused);
		held += refused;
		put += n > 0 ? (size_t)n : 0;
		feed(&p);
		int e = SSL_read(p.ssl, buf, sizeof(buf));
		if (e > 0) {
			assert_memory_equal(buf, data + echoed, (size_t)e);
			assert_int_equal(SSL_write(p.ssl, buf, e), e);
			echoed += (size_t)e;
		}
		ERR_clear_error();
		(void)deliver(&p, 3 * size + 1500);
		while (got < sizeof(data)) {
			bool pending = bf_tls_pending(p.tls);
			n = bf_tls_read(p.tls, back + got,
					BF_MIN(size % 777 + 1, sizeof(data) - got));
			assert_true(n > 0 || (n == -EAGAIN && !pending));
			if (n < 0)
				break;
			got += (size_t)n;
		}
	}
	assert_int_equal(got, sizeof(data));
	assert_true(held > 0);
	assert_memory_equal(data, back, sizeof(data));
	pair_close(&p);
	bf_tls_trust_free(trust);
	SSL_CTX_free(ctx);
}

static void goodbyes(void **state BF_UNUSED)
{
	SSL_CTX *ctx = server_with(leaf("DNS:good.test"), middle);
	struct bf_tls_trust *trust = trusting(root);
	struct bf_err err = {0};
	struct pair p;
	char buf[16];

	pair_open(&p, trust, ctx, NULL);
	assert_int_equal(shake(&p, EACH, &err), BF_TLS_DONE);
	feed(&p);
	bf_tls_close(p.tls);
	p.tls = NULL;
	feed(&p);
	int r = SSL_read(p.ssl, buf, sizeof(buf));
	assert_int_equal(SSL_get_error(p.ssl, r), SSL_ERROR_ZERO_RETURN);
	pair_close(&p); /* and closes NULL */

	/* One that never began says nothing. */
	pair_open(&p, trust, ctx, NULL);
	bf_tls_close(p.tls);
	p.tls = NULL;
	assert_int_equal(read(p.peer, buf, sizeof(buf)), -1);
	pair_close(&p);

	/* No name means no check: it is not opened at all. */
	struct bf_tls *none = NULL;
	assert_int_equal(bf_tls_open(trust, 0, "", NULL, &none, &err), BF_E_STATE);
	assert_null(strstr(err.text, "the connection was cut"));
	assert_null(none);
	assert_int_equal(ERR_peek_error(), 0);
	bf_tls_trust_free(trust);
	SSL_CTX_free(ctx);
}

static bool shake_with(SSL_CTX *ctx, struct bf_tls_trust *trust, struct bf_tls_session *session)
{
	struct bf_err err = {0};
	struct pair p;
	char buf[16];

	pair_open(&p, trust, ctx, session);
	if (shake(&p, EACH, &err) != BF_TLS_DONE)
		fail_msg("%s", err.text);
	feed(&p);
	(void)deliver(&p, EACH);
	assert_int_equal(bf_tls_read(p.tls, buf, sizeof(buf)), -EAGAIN);
	bool resumed = bf_tls_resumed(p.tls);
	pair_close(&p);
	return resumed;
}

static void tickets_of_another_server(void **state BF_UNUSED)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct bf_tls_trust *trust = trusting(root);

	for (size_t i = 0; i < BF_ARRAY_LEN(versions); i++) {
		SSL_CTX *a = server_with(leaf("DNS:good.test"), middle);
		SSL_CTX *b = server_with(leaf("DNS:good.test"), middle);
		struct bf_tls_session session = {NULL};
		(void)SSL_CTX_set_max_proto_version(a, versions[i]);
		assert_false(shake_with(a, trust, &session));
		assert_true(shake_with(a, trust, &session));
		assert_false(shake_with(b, trust, &session)); /* a full handshake instead */
		assert_true(shake_with(b, trust, &session));  /* whose ticket is the newest */
		assert_false(shake_with(b, trust, NULL));
		bf_tls_session_free(&session);
		bf_tls_session_free(&session);
		SSL_CTX_free(a);
		SSL_CTX_free(b);
	}
	bf_tls_trust_free(trust);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_of_a_handshake),       cmocka_unit_test(cut_within_a_record),
	    cmocka_unit_test(large_data_in_small_pieces), cmocka_unit_test(goodbyes),
	    cmocka_unit_test(tickets_of_another_server),
	};
	return cmocka_run_group_tests(tests, make_authorities, drop_authorities);
}
