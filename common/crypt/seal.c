/*
 * AES-256-GCM around bytes that leave memory: version, nonce, cipher text, tag. Called by writerd
 * for its store and for the copy of what is in force. Must never say why a seal did not open:
 * another key, another place and changed bytes look the same.
 */
#include "common/crypt/seal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/base/rand.h"

#define VERSION   1
#define NONCE_LEN 12
#define TAG_LEN   16

_Static_assert(BF_SEAL_OVERHEAD == 1 + NONCE_LEN + TAG_LEN, "the header says what it costs");

/* The one cipher both ways; context is authenticated and not part of the output. */
static bool run(EVP_CIPHER_CTX *c, struct bf_slice context, struct bf_slice in, uint8_t *out)
{
	int n = 0;

	if (context.len &&
	    EVP_CipherUpdate(c, NULL, &n, (const uint8_t *)context.ptr, (int)context.len) != 1)
		return false;
	return in.len == 0 ||
	       EVP_CipherUpdate(c, out, &n, (const uint8_t *)in.ptr, (int)in.len) == 1;
}

static bool encrypt(EVP_CIPHER_CTX *c, const uint8_t *key, struct bf_slice context,
		    struct bf_slice plain, uint8_t *out)
{
	uint8_t *nonce = out + 1, *text = nonce + NONCE_LEN, *tag = text + plain.len;
	int n = 0;

	out[0] = VERSION;
	bf_rand_bytes(nonce, NONCE_LEN);
	return EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
	       run(c, context, plain, text) && EVP_CipherFinal_ex(c, tag, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) == 1;
}

int bf_seal(const uint8_t key[BF_SEAL_KEY_LEN], struct bf_slice context, struct bf_slice plain,
	    struct bf_buf *out)
{
	EVP_CIPHER_CTX *c;
	bool ok;
	int r;

	if (plain.len > INT_MAX - BF_SEAL_OVERHEAD || context.len > INT_MAX)
		return BF_E_LIMIT;
	r = bf_buf_reserve(out, plain.len + BF_SEAL_OVERHEAD);
	if (r < 0)
		return r;
	c = EVP_CIPHER_CTX_new();
	ok = c && encrypt(c, key, context, plain, (uint8_t *)out->data + out->end);
	EVP_CIPHER_CTX_free(c);
	if (!ok)
		return -ENOMEM;
	out->end += plain.len + BF_SEAL_OVERHEAD;
	return 0;
}

/* 0; BF_E_DENIED: what was written to out is nobody's. */
static int decrypt(EVP_CIPHER_CTX *c, const uint8_t *key, struct bf_slice context,
		   const uint8_t *sealed, size_t len, uint8_t *out)
{
	const uint8_t *nonce = sealed + 1;
	struct bf_slice text = {(const char *)nonce + NONCE_LEN, len};
	uint8_t tag[TAG_LEN], rest[TAG_LEN];
	int n = 0;

	memcpy(tag, nonce + NONCE_LEN + len, TAG_LEN);
	if (EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) != 1 ||
	    !run(c, context, text, out))
		return -ENOMEM;
	return EVP_CipherFinal_ex(c, rest, &n) == 1 ? 0 : BF_E_DENIED;
}

int bf_unseal(const uint8_t key[BF_SEAL_KEY_LEN], struct bf_slice context, struct bf_slice sealed,
	      struct bf_buf *out)
{
	size_t len = sealed.len - BF_SEAL_OVERHEAD;
	EVP_CIPHER_CTX *c;
	uint8_t *at;
	int r;

	if (sealed.len < BF_SEAL_OVERHEAD || sealed.len > INT_MAX || context.len > INT_MAX ||
	    (uint8_t)sealed.ptr[0] != VERSION)
		return BF_E_DENIED;
	r = bf_buf_reserve(out, len ? len : 1);
	if (r < 0)
		return r;
	at = (uint8_t *)out->data + out->end;
	c = EVP_CIPHER_CTX_new();
	r = c ? decrypt(c, key, context, (const uint8_t *)sealed.ptr, len, at) : -ENOMEM;
	EVP_CIPHER_CTX_free(c);
	if (r < 0) {
		bf_wipe(at, len);
		return r;
	}
	out->end += len;
	return 0;
}
