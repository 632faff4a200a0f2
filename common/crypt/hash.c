/*
 * Keyed hashes and what derives from them. Called by whoever keeps secrets or compares them; a
 * worker calls it for each key that it does not know yet. Must never fail: it takes no memory, so
 * the plain functions of libcrypto are used, and not those that look an algorithm up by its name.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "common/crypt/seal.h"

#define BLOCK_LEN 64

struct hmac {
	SHA256_CTX inner;
	uint8_t outer_pad[BLOCK_LEN];
};

static void hmac_begin(struct hmac *h, const uint8_t key[32])
{
	uint8_t inner_pad[BLOCK_LEN];

	for (size_t i = 0; i < BLOCK_LEN; i++) {
		uint8_t byte = i < 32 ? key[i] : 0;

		inner_pad[i] = byte ^ 0x36;
		h->outer_pad[i] = byte ^ 0x5c;
	}
	(void)SHA256_Init(&h->inner);
	(void)SHA256_Update(&h->inner, inner_pad, BLOCK_LEN);
	bf_wipe(inner_pad, sizeof(inner_pad));
}

static void hmac_add(struct hmac *h, const void *bytes, size_t len)
{
	if (len)
		(void)SHA256_Update(&h->inner, bytes, len);
}

static void hmac_end(struct hmac *h, uint8_t ret_mac[BF_HMAC_LEN])
{
	uint8_t inner[BF_HMAC_LEN];
	SHA256_CTX outer;

	(void)SHA256_Final(inner, &h->inner);
	(void)SHA256_Init(&outer);
	(void)SHA256_Update(&outer, h->outer_pad, BLOCK_LEN);
	(void)SHA256_Update(&outer, inner, sizeof(inner));
	(void)SHA256_Final(ret_mac, &outer);
	bf_wipe(h, sizeof(*h));
	bf_wipe(&outer, sizeof(outer));
	bf_wipe(inner, sizeof(inner));
}

void bf_hmac(const uint8_t key[32], struct bf_slice text, uint8_t ret_mac[BF_HMAC_LEN])
{
	struct hmac h;

	hmac_begin(&h, key);
	hmac_add(&h, text.ptr, text.len);
	hmac_end(&h, ret_mac);
}

/* Extract without a salt, then the first block of expand: what is asked for is one hash long. */
void bf_seal_key(struct bf_slice encryption_key, const char *purpose,
		 uint8_t ret_key[BF_SEAL_KEY_LEN])
{
	static const uint8_t no_salt[32], first_block = 1;
	uint8_t extracted[BF_HMAC_LEN];
	struct hmac h;

	bf_hmac(no_salt, encryption_key, extracted);
	hmac_begin(&h, extracted);
	hmac_add(&h, purpose, strlen(purpose));
	hmac_add(&h, &first_block, sizeof(first_block));
	hmac_end(&h, ret_key);
	bf_wipe(extracted, sizeof(extracted));
}

bool bf_equal_secret(const void *a, const void *b, size_t len)
{
	return len == 0 || CRYPTO_memcmp(a, b, len) == 0;
}

void bf_wipe(void *bytes, size_t len)
{
	if (len)
		OPENSSL_cleanse(bytes, len);
}
