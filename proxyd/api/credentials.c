/*
 * Credentials of a request. Called by the door. Must never judge them, nor keep a secret anywhere
 * but in the request's memory.
 */
#include "proxyd/api/credentials.h"

#include <errno.h>
#include <string.h>

static int sextet(char ch)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = ch ? strchr(alphabet, ch) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

int credentials_base64(struct bf_slice text, struct bf_arena *arena, struct bf_slice *ret_bytes)
{
	size_t n = 0, pads = 0;
	uint32_t bits = 0;
	char *out;

	if (text.len % 4 != 0)
		return BF_E_SYNTAX;
	while (pads < 2 && pads < text.len && text.ptr[text.len - 1 - pads] == '=')
		pads++;
	out = bf_arena_alloc(arena, text.len / 4 * 3 + 1);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < text.len; i++) {
		int value = i < text.len - pads ? sextet(text.ptr[i]) : 0;

		if (value < 0)
			return BF_E_SYNTAX;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 != 3)
			continue;
		out[n++] = (char)(bits >> 16);
		out[n++] = (char)(bits >> 8);
		out[n++] = (char)bits;
	}
	*ret_bytes = (struct bf_slice){out, n - pads};
	return 0;
}

static bool take_scheme(struct bf_slice *value, struct bf_slice scheme)
{
	if (!bf_slice_starts_nocase(*value, scheme))
		return false;
	*value = (struct bf_slice){value->ptr + scheme.len, value->len - scheme.len};
	while (value->len && value->ptr[0] == ' ')
		*value = (struct bf_slice){value->ptr + 1, value->len - 1};
	return true;
}

static int read_basic(struct bf_slice text, struct bf_arena *arena, struct credentials *c)
{
	struct bf_slice pair;
	const char *colon;
	int r = credentials_base64(text, arena, &pair);

	c->kind = CREDENTIALS_BROKEN;
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	colon = pair.len ? memchr(pair.ptr, ':', pair.len) : NULL;
	if (!colon)
		return 0;
	c->kind = CREDENTIALS_BASIC;
	c->username = (struct bf_slice){pair.ptr, (size_t)(colon - pair.ptr)};
	c->secret = (struct bf_slice){colon + 1, pair.len - c->username.len - 1};
	return 0;
}

/* The value of a cookie of this name in one header. */
static struct bf_slice cookie(struct bf_slice header, struct bf_slice name)
{
	while (header.len) {
		const char *end = memchr(header.ptr, ';', header.len);
		struct bf_slice part = {header.ptr, end ? (size_t)(end - header.ptr) : header.len};
		size_t used = part.len + (end ? 1 : 0);

		header = (struct bf_slice){header.ptr + used, header.len - used};
		while (part.len && part.ptr[0] == ' ')
			part = (struct bf_slice){part.ptr + 1, part.len - 1};
		if (part.len > name.len && bf_slice_starts(part, name) && part.ptr[name.len] == '=')
			return (struct bf_slice){part.ptr + name.len + 1, part.len - name.len - 1};
	}
	return (struct bf_slice){NULL, 0};
}

int credentials_read(const struct exchange *x, struct bf_arena *arena,
		     struct credentials *ret_credentials)
{
	struct bf_slice value = exchange_header(x, "authorization");
	struct credentials *c = ret_credentials;

	*c = (struct credentials){.kind = CREDENTIALS_NONE};
	if (value.ptr) {
		if (take_scheme(&value, BF_SLICE_LIT("basic ")))
			return read_basic(value, arena, c);
		c->kind = take_scheme(&value, BF_SLICE_LIT("bearer ")) ? CREDENTIALS_BEARER
								       : CREDENTIALS_BROKEN;
		c->secret = value;
		return 0;
	}
	c->secret = cookie(exchange_header(x, "cookie"), BF_SLICE_LIT("token"));
	if (c->secret.len)
		c->kind = CREDENTIALS_COOKIE;
	return 0;
}

/* "https://host:port" of this very host. */
static bool is_own(struct bf_slice origin, struct bf_slice host)
{
	static const struct bf_slice schemes[] = {BF_SLICE_INIT("https://"),
						  BF_SLICE_INIT("http://")};

	for (size_t i = 0; i < 2; i++) {
		if (bf_slice_starts_nocase(origin, schemes[i]))
			return bf_slice_eq_nocase((struct bf_slice){origin.ptr + schemes[i].len,
								    origin.len - schemes[i].len},
						  host);
	}
	return false;
}

bool credentials_foreign(const struct exchange *x)
{
	struct bf_slice site = exchange_header(x, "sec-fetch-site");
	struct bf_slice origin = exchange_header(x, "origin");

	if (site.ptr)
		return !bf_slice_is(site, "same-origin") && !bf_slice_is(site, "none");
	return origin.ptr && !is_own(origin, exchange_header(x, "host"));
}
