/*
 * Session tickets without state. Called by tls_server.c. Only TLS 1.3 gets them: its resumption
 * exchanges fresh keys, so that who later learns the private key still cannot read what was
 * recorded. Must never give a TLS 1.2 client a ticket, whose key would be all that protects it.
 */
#include "common/net/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

#define TICKET_NAME_LEN 16u
#define TICKET_IV_LEN   16

/* One key of a turn; which: 'n' its name, 'c' for the cipher, 'm' for the code. */
static bool ticket_key(const struct bf_tls_ticket_keys *keys, int64_t turn, char which,
		       uint8_t out[32])
{
	uint8_t label[9] = {(uint8_t)which};
	unsigned len = 32;

	for (int i = 0; i < 8; i++)
		label[1 + i] = (uint8_t)((uint64_t)turn >> (8 * i));
	return HMAC(EVP_sha256(), keys->secret, sizeof(keys->secret), label, sizeof(label), out,
		    &len) != NULL;
}

static int64_t ticket_turn(void)
{
	return bf_wall_ms() / 1000 / BF_TLS_TICKET_TURN_S;
}

static bool ticket_ciphers(const struct bf_tls_ticket_keys *keys, int64_t turn, const uint8_t *iv,
			   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool encrypt)
{
	uint8_t key[32], code[32];
	char digest[] = "SHA256";
	bool good = ticket_key(keys, turn, 'c', key) && ticket_key(keys, turn, 'm', code);
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, code, sizeof(code)),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};

	good = good && EVP_MAC_CTX_set_params(mac, params) == 1 &&
	       EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key, iv, encrypt) == 1;
	explicit_bzero(key, sizeof(key));
	explicit_bzero(code, sizeof(code));
	return good;
}

static int ticket_seal(const struct bf_tls_ticket_keys *keys, uint8_t *name, uint8_t *iv,
		       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	int64_t turn = ticket_turn();
	uint8_t full[32];

	if (!ticket_key(keys, turn, 'n', full) || RAND_bytes(iv, TICKET_IV_LEN) != 1)
		return -1;
	memcpy(name, full, TICKET_NAME_LEN);
	return ticket_ciphers(keys, turn, iv, cipher, mac, true) ? 1 : -1;
}

/* 2: good, and the client gets a new one, since each is meant to be used once. */
static int ticket_open(const struct bf_tls_ticket_keys *keys, const uint8_t *name,
		       const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	int64_t now = ticket_turn();
	uint8_t full[32];

	for (int64_t turn = now; turn >= now - 1; turn--) {
		if (!ticket_key(keys, turn, 'n', full))
			return -1;
		if (memcmp(name, full, TICKET_NAME_LEN) == 0)
			return ticket_ciphers(keys, turn, iv, cipher, mac, false) ? 2 : -1;
	}
	return 0; /* too old, or not ours: a full handshake */
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int encrypt)
{
	const struct bf_tls_ticket_keys *keys = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (SSL_version(ssl) < TLS1_3_VERSION)
		return 0;
	return encrypt ? ticket_seal(keys, name, iv, cipher, mac)
		       : ticket_open(keys, name, iv, cipher, mac);
}

bool bf_tls_ticket_keys_make(struct bf_tls_ticket_keys *keys, EVP_PKEY *pkey)
{
	static const char label[] = "bifrost session tickets";
	uint8_t *der = NULL;
	unsigned len = sizeof(keys->secret);
	int n = i2d_PrivateKey(pkey, &der);

	if (n <= 0)
		return false;
	bool good = HMAC(EVP_sha256(), label, sizeof(label) - 1, der, (size_t)n, keys->secret,
			 &len) != NULL;
	OPENSSL_clear_free(der, (size_t)n);
	return good;
}

bool bf_tls_ticket_keys_use(struct bf_tls_ticket_keys *keys, SSL_CTX *ctx)
{
	return SSL_CTX_set_app_data(ctx, keys) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1;
}
