/* Whom the TLS client believes: chains, dates, names, protocols, damaged bundles. */
#include "tests/unit/common/net/test_tls_peer.h"

static int try(SSL_CTX *ctx, struct bf_tls_trust *trust, struct bf_err *err)
{
	struct pair p;

	pair_open(&p, trust, ctx, NULL);
	int r = shake(&p, EACH, err);
	pair_close(&p);
	SSL_CTX_free(ctx);
	return r;
}

static void chains(void **state BF_UNUSED)
{
	struct bf_tls_trust *trust = trusting(root), *other = trusting(strange_root);
	struct bf_tls_trust *nobody = NULL;
	const struct wish self = {.name = "self", .alt = "DNS:good.test", .from = -DAY, .to = DAY};
	const struct wish under = {.name = "u", .alt = "DNS:good.test", .from = -DAY, .to = DAY};
	struct bf_err err = {0};

	assert_int_equal(bf_tls_trust_nobody(&nobody, &err), 0);
	assert_int_equal(try(server_with(leaf("DNS:good.test"), middle), trust, &err), 0);
	assert_int_equal(try(server_with(leaf("DNS:good.test"), NULL), trust, &err), BF_E_DENIED);
	assert_int_equal(try(server_with(leaf("DNS:good.test"), middle), nobody, &err),
			 BF_E_DENIED);
	/* The same name, another key. */
	assert_int_equal(try(server_with(leaf("DNS:good.test"), middle), other, &err), BF_E_DENIED);
	assert_int_equal(try(server_with(make(&self, NULL, key), NULL), trust, &err), BF_E_DENIED);
	assert_non_null(strstr(err.text, "self-signed"));
	/* Signed by one that is no authority. */
	X509 *plain = leaf("DNS:good.test");
	SSL_CTX *ctx = server_with(make(&under, plain, key), plain);
	assert_int_equal(SSL_CTX_add1_chain_cert(ctx, middle), 1);
	assert_int_equal(try(ctx, trust, &err), BF_E_DENIED);
	X509_free(plain);
	bf_tls_trust_free(trust);
	bf_tls_trust_free(other);
	bf_tls_trust_free(nobody);
	bf_tls_trust_free(NULL);
}

static void dates_and_purposes(void **state BF_UNUSED)
{
	static const struct {
		struct wish wish;
		const char *why;
	} list[] = {
	    {{"l", "DNS:good.test", NULL, -2 * DAY, -DAY, false}, "expired"},
	    {{"l", "DNS:good.test", NULL, DAY, 2 * DAY, false}, "not yet valid"},
	    {{"l", "DNS:good.test", "clientAuth", -DAY, DAY, false}, "purpose"},
	    {{"good.test", "DNS:other.test", NULL, -DAY, DAY, false}, "mismatch"},
	    {{"l", "DNS:good.test", "serverAuth", -DAY, DAY, false}, NULL},
	};
	struct bf_tls_trust *trust = trusting(root);

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct bf_err err = {0};
		int r = try(server_with(make(&list[i].wish, middle, key), middle), trust, &err);
		assert_int_equal(r, list[i].why ? BF_E_DENIED : BF_TLS_DONE);
		if (list[i].why && !strstr(err.text, list[i].why))
			fail_msg("%s, not %s", err.text, list[i].why);
	}
	bf_tls_trust_free(trust);
}

static void wildcards(void **state BF_UNUSED)
{
	static const struct {
		const char *alt;
		bool good;
	} list[] = {
	    {"DNS:*.good.test", true},      {"DNS:*.test", false},
	    {"DNS:a*.good.test", false},    {"DNS:*i.good.test", false},
	    {"DNS:api.*.test", false},      {"DNS:*", false},
	    {"DNS:*.api.good.test", false}, {"DNS:good.test", false},
	    {"IP:127.0.0.1", false},        {"email:a@api.good.test", false},
	    {"DNS:api.good.test.x", false}, {"DNS:a.test,DNS:api.good.test", true},
	};
	struct bf_tls_trust *trust = trusting(root);

	wanted_host = "api.good.test";
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct bf_err err = {0};
		int r = try(server_with(leaf(list[i].alt), middle), trust, &err);
		if (r != (list[i].good ? BF_TLS_DONE : BF_E_DENIED))
			fail_msg("%s: %d %s", list[i].alt, r, err.text);
	}
	wanted_host = "good.test";
	bf_tls_trust_free(trust);
}

static void old_protocols_are_refused(void **state BF_UNUSED)
{
	static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION,
				       TLS1_3_VERSION};
	struct bf_tls_trust *trust = trusting(root);

	for (size_t i = 0; i < BF_ARRAY_LEN(versions); i++) {
		struct bf_err err = {0};
		SSL_CTX *ctx = server_with(leaf("DNS:good.test"), middle);
		SSL_CTX_set_security_level(ctx, 0);
		(void)SSL_CTX_set_min_proto_version(ctx, versions[i]);
		(void)SSL_CTX_set_max_proto_version(ctx, versions[i]);
		int r = try(ctx, trust, &err);
		assert_int_equal(r, versions[i] >= TLS1_2_VERSION ? BF_TLS_DONE : BF_E_UPSTREAM);
	}
	bf_tls_trust_free(trust);
}

/* A bundle whose second certificate is damaged anywhere is no bundle. */
static void pem_cut_at_every_byte(void **state BF_UNUSED)
{
	static const char head[] = "-----BEGIN CERTIFICATE-----\n";
	char text[8192], second[4096];
	size_t first = write_pem(root, text, sizeof(text));
	size_t len = write_pem(middle, second, sizeof(second));

	memcpy(text + first, second, len);
	for (size_t cut = sizeof(head) - 1; cut < len - 1; cut++) {
		struct bf_tls_trust *trust = NULL;
		struct bf_err err = {0};
		int r = bf_tls_trust_pem((struct bf_slice){text, first + cut}, &trust, &err);
		if (r != BF_E_SYNTAX)
			fail_msg("cut after %zu of %zu: %d", cut, len, r);
		assert_null(trust);
		assert_int_equal(ERR_peek_error(), 0);
	}
	struct bf_tls_trust *trust = NULL;
	struct bf_err err = {0};
	assert_int_equal(bf_tls_trust_pem((struct bf_slice){NULL, 0}, &trust, &err), BF_E_SYNTAX);
	assert_int_equal(bf_tls_trust_pem((struct bf_slice){text, first + len}, &trust, &err), 0);
	bf_tls_trust_free(trust);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(chains),
	    cmocka_unit_test(dates_and_purposes),
	    cmocka_unit_test(wildcards),
	    cmocka_unit_test(old_protocols_are_refused),
	    cmocka_unit_test(pem_cut_at_every_byte),
	};
	return cmocka_run_group_tests(tests, make_authorities, drop_authorities);
}
