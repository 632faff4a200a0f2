/* What a request says about who it is, by its headers: pure. */
#pragma once

#include "common/base/arena.h"
#include "proxyd/exchange.h"

enum credentials_kind {
	CREDENTIALS_NONE,
	CREDENTIALS_BASIC,
	CREDENTIALS_BEARER,
	CREDENTIALS_COOKIE,
	CREDENTIALS_BROKEN, /* Authorization that cannot be read */
};

struct credentials {
	enum credentials_kind kind;
	struct bf_slice username; /* basic */
	struct bf_slice secret;   /* password or token */
};

/* Authorization wins over the cookie `token`. Decoded text lies in the arena. 0 or -ENOMEM. */
int credentials_read(const struct exchange *x, struct bf_arena *arena,
		     struct credentials *ret_credentials);

/*
 * Could a page of another site have made a browser send this, with the cookie that it keeps for us?
 * Only what a browser says itself counts: Sec-Fetch-Site, else Origin against Host.
 */
bool credentials_foreign(const struct exchange *x);

/* RFC 4648 with padding. BF_E_SYNTAX, -ENOMEM. */
int credentials_base64(struct bf_slice text, struct bf_arena *arena, struct bf_slice *ret_bytes);
