/*
 * Sessions without a store: a token says which session it is and when it ends, under a key that
 * every worker has. Pure but for the random id.
 *
 * "bfs_" and base64url of: id (16 bytes), end in seconds since 1970 (8, most significant first),
 * HMAC-SHA256 of these 24 bytes (32).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

#define SESSION_PREFIX    "bfs_"
#define SESSION_BYTES     (16u + 8u + 32u)
#define SESSION_TOKEN_MAX (sizeof(SESSION_PREFIX) + (SESSION_BYTES + 2) / 3 * 4)
#define SESSION_LIFE_S    (30 * 24 * 3600)
#define SESSION_ID_TEXT   32u /* hex */
#define SESSION_KEY_LEN   32u

struct session {
	char id[SESSION_ID_TEXT + 1];
	int64_t ends_s;
};

/* The key of all sessions under a configuration of logins: another version ends them all. */
void session_key(const uint8_t pepper[SESSION_KEY_LEN], uint64_t auth_version,
		 uint8_t ret_key[SESSION_KEY_LEN]);

/* A new session; ret_token is terminated. */
void session_begin(const uint8_t key[SESSION_KEY_LEN], int64_t now_s,
		   char ret_token[SESSION_TOKEN_MAX], struct session *ret_session);

/* Is it a token that was made with this key and has not ended? In time that does not tell how wrong
 * it is. */
bool session_check(const uint8_t key[SESSION_KEY_LEN], struct bf_slice token, int64_t now_s,
		   struct session *ret_session);
