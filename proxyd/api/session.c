/*
 * Tokens of sessions. Called by the door and by login. Must never believe a byte of a token before
 * its code is right.
 */
#include "proxyd/api/session.h"

#include <string.h>

#include "common/base/rand.h"
#include "common/crypt/seal.h"

#define SIGNED_BYTES 24u
#define TOKEN_TEXT   75u /* of SESSION_BYTES, without padding */

_Static_assert(SESSION_KEY_LEN == BF_HMAC_LEN, "the key of one code is another code");

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void session_key(const uint8_t pepper[SESSION_KEY_LEN], uint64_t auth_version,
		 uint8_t ret_key[SESSION_KEY_LEN])
{
	char label[24] = "bifrost session";

	for (unsigned i = 0; i < 8; i++)
		label[16 + i] = (char)(auth_version >> (8 * i));
	bf_hmac(pepper, (struct bf_slice){label, sizeof(label)}, ret_key);
}

static void encode(const uint8_t bytes[SESSION_BYTES], char out[SESSION_TOKEN_MAX])
{
	size_t n = sizeof(SESSION_PREFIX) - 1;

	memcpy(out, SESSION_PREFIX, n);
	for (unsigned i = 0; i < SESSION_BYTES * 8; i += 6) {
		unsigned at = i / 8, wide = (unsigned)bytes[at] << 8;

		if (at + 1 < SESSION_BYTES)
			wide |= bytes[at + 1];
		out[n++] = alphabet[wide >> (10 - i % 8) & 63];
	}
	out[n] = '\0';
}

static bool decode(struct bf_slice token, uint8_t out[SESSION_BYTES])
{
	size_t prefix = sizeof(SESSION_PREFIX) - 1;
	unsigned bits = 0, have = 0, n = 0;

	if (token.len != prefix + TOKEN_TEXT ||
	    !bf_slice_starts(token, BF_SLICE_LIT(SESSION_PREFIX)))
		return false;
	for (size_t i = prefix; i < token.len; i++) {
		const char *at = token.ptr[i] ? strchr(alphabet, token.ptr[i]) : NULL;

		if (!at)
			return false;
		bits = (bits << 6 | (unsigned)(at - alphabet)) & 0xffff;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		out[n++] = (uint8_t)(bits >> have);
	}
	/* The bits behind the last byte must be 0: one session has one token. */
	return (bits & ((1u << have) - 1)) == 0;
}

static void describe(const uint8_t bytes[SESSION_BYTES], struct session *s)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t ends_s = 0;

	for (unsigned i = 0; i < 16; i++) {
		s->id[2 * i] = digits[bytes[i] >> 4];
		s->id[2 * i + 1] = digits[bytes[i] & 15];
	}
	s->id[SESSION_ID_TEXT] = '\0';
	for (unsigned i = 16; i < SIGNED_BYTES; i++)
		ends_s = ends_s << 8 | bytes[i];
	s->ends_s = (int64_t)ends_s;
}

void session_begin(const uint8_t key[SESSION_KEY_LEN], int64_t now_s,
		   char ret_token[SESSION_TOKEN_MAX], struct session *ret_session)
{
	uint64_t ends_s = (uint64_t)now_s + SESSION_LIFE_S;
	uint8_t bytes[SESSION_BYTES];

	bf_rand_bytes(bytes, 16);
	for (unsigned i = 0; i < 8; i++)
		bytes[16 + i] = (uint8_t)(ends_s >> (56 - 8 * i));
	bf_hmac(key, (struct bf_slice){(const char *)bytes, SIGNED_BYTES}, bytes + SIGNED_BYTES);
	encode(bytes, ret_token);
	describe(bytes, ret_session);
}

bool session_check(const uint8_t key[SESSION_KEY_LEN], struct bf_slice token, int64_t now_s,
		   struct session *ret_session)
{
	uint8_t bytes[SESSION_BYTES], code[BF_HMAC_LEN];

	if (!decode(token, bytes))
		return false;
	bf_hmac(key, (struct bf_slice){(const char *)bytes, SIGNED_BYTES}, code);
	if (!bf_equal_secret(code, bytes + SIGNED_BYTES, sizeof(code)))
		return false;
	describe(bytes, ret_session);
	return ret_session->ends_s > now_s;
}
