/*
 * Secrets at rest and keyed hashes, over OpenSSL. Keys derive from the configuration's
 * encryption_key; no function here logs, and what it no longer needs is wiped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/slice.h"

#define BF_SEAL_KEY_LEN  32u
#define BF_SEAL_OVERHEAD (1u + 12u + 16u) /* version, nonce, tag */
#define BF_HMAC_LEN      32u

/* HKDF-SHA256 (RFC 5869, without a salt) of the configured text for one purpose ("bifrost store",
 * ...): another one gives another key. */
void bf_seal_key(struct bf_slice encryption_key, const char *purpose,
		 uint8_t ret_key[BF_SEAL_KEY_LEN]);
/* Appends to out: AES-256-GCM with a random nonce; context is bound, not stored ("virtual_key/id").
 * 0, -ENOMEM or BF_E_LIMIT; then nothing was appended. */
int bf_seal(const uint8_t key[BF_SEAL_KEY_LEN], struct bf_slice context, struct bf_slice plain,
	    struct bf_buf *out);
/* Appends the plain text (out should be no-dump). BF_E_DENIED: another key, another context, or
 * bytes that were changed; -ENOMEM or BF_E_LIMIT. Nothing was appended then. */
int bf_unseal(const uint8_t key[BF_SEAL_KEY_LEN], struct bf_slice context, struct bf_slice sealed,
	      struct bf_buf *out);
/* HMAC-SHA256 (RFC 2104). */
void bf_hmac(const uint8_t key[32], struct bf_slice text, uint8_t ret_mac[BF_HMAC_LEN]);
/* In time that depends on the lengths alone. */
bool bf_equal_secret(const void *a, const void *b, size_t len);
/* Memory that nobody reads again is cleared all the same. */
void bf_wipe(void *bytes, size_t len);
