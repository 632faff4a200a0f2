/*
 * Single texts that have a form of their own: labels, header names, origins, addresses, PEM. Called
 * by the decoder for every such value, so that the error names its line and column. Must never show
 * a text that may be a secret.
 */
#include <string.h>
#include <strings.h>

#include "common/base/arena.h"
#include "common/base/num.h"
#include "common/schema/config_priv.h"

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int lower(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	char *copy = bf_arena_alloc(arena, text->len + 1);

	if (!copy)
		return bf_err_set(err, BF_E_LIMIT, "does not fit into memory");
	for (size_t i = 0; i < text->len; i++) {
		char c = text->ptr[i];

		copy[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
	copy[text->len] = '\0';
	text->ptr = copy;
	return 0;
}

int bf_settle_header_name(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	if (text->len == 0)
		return bf_err_set(err, BF_E_SYNTAX, "is empty: give the name of a header");
	/* A token may hold a star; who writes one means more than one header. */
	if (memchr(text->ptr, '*', text->len))
		return bf_err_set(err, BF_E_SYNTAX,
				  "must be the name of one header: wildcards mean nothing here");
	for (size_t i = 0; i < text->len; i++) {
		char c = text->ptr[i];

		if (!is_alnum(c) && !(c && strchr("!#$%&'+-.^_`|~", c)))
			return bf_err_set(err, BF_E_SYNTAX,
					  "must be the name of a header: letters, digits and '-'");
	}
	return lower(text, arena, err);
}

int bf_settle_header_or_all(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	return bf_slice_is(*text, "*") ? 0 : bf_settle_header_name(text, arena, err);
}

bool bf_header_is_reserved(struct bf_slice name)
{
	static const char *const reserved[] = {
	    "host",
	    "connection",
	    "content-length",
	    "content-type",
	    "content-encoding",
	    "transfer-encoding",
	    "te",
	    "trailer",
	    "upgrade",
	    "expect",
	    "keep-alive",
	    "proxy-connection",
	    "proxy-authorization",
	    "cookie",
	    "accept",
	    "accept-encoding",
	    "traceparent",
	    "tracestate",
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(reserved); i++)
		if (name.len == strlen(reserved[i]) &&
		    strncasecmp(name.ptr, reserved[i], name.len) == 0)
			return true;
	return false;
}

int bf_settle_sent_header(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	int r = bf_settle_header_name(text, arena, err);

	if (r == 0 && bf_header_is_reserved(*text))
		return bf_err_set(err, BF_E_UNKNOWN,
				  "is a header that the gateway decides on itself: remove it");
	return r;
}

static struct bf_slice from(struct bf_slice text, size_t skip)
{
	return (struct bf_slice){text.ptr + skip, text.len - skip};
}

/* Length of "https://"; 0 when there is no scheme. */
static size_t scheme_len(struct bf_slice text)
{
	size_t i = 0;

	while (i < text.len && (is_alnum(text.ptr[i]) || (i > 0 && strchr("+-.", text.ptr[i]))))
		i++;
	return i > 0 && bf_slice_starts(from(text, i), BF_SLICE_LIT("://")) ? i + 3 : 0;
}

static size_t host_len(struct bf_slice text)
{
	size_t i = 0;

	if (text.len && text.ptr[0] == '[') {
		while (i < text.len && text.ptr[i] != ']')
			i++;
		return i < text.len && i > 2 ? i + 1 : 0;
	}
	while (i < text.len &&
	       (is_alnum(text.ptr[i]) || (text.ptr[i] && strchr("-._", text.ptr[i]))))
		i++;
	return i;
}

static bool is_default_port(struct bf_slice scheme, uint64_t port)
{
	return (port == 443 && bf_slice_is(scheme, "https://")) ||
	       (port == 80 && bf_slice_is(scheme, "http://"));
}

/* U+2028 to U+202E and U+2066 to U+2069: they end lines, or turn text around so that one name looks
 * like another. */
static bool is_turning(const unsigned char *c, size_t left)
{
	if (left < 3 || c[0] != 0xe2)
		return false;
	return (c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) ||
	       (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

/* C0, DEL, and C1 as UTF-8 has it. */
static bool has_control(struct bf_slice text)
{
	const unsigned char *bytes = (const unsigned char *)text.ptr;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = bytes[i], before = i ? bytes[i - 1] : 0;

		if (c < 0x20 || c == 0x7f || (before == 0xc2 && c <= 0x9f) ||
		    is_turning(bytes + i, text.len - i))
			return true;
	}
	return false;
}

int bf_settle_label(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	(void)arena;
	if (has_control(*text))
		return bf_err_set(err, BF_E_SYNTAX,
				  "has a control character, such as a line break or a tab: remove "
				  "it");
	return 0;
}

/* As browsers send it: lower case, without the scheme's own port. */
int bf_settle_origin(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	static const char wanted[] =
	    "must be \"*\" or an origin as browsers send it: SCHEME://HOST[:PORT], no path, no "
	    "wildcard within";
	uint64_t port = 0;

	if (bf_slice_is(*text, "*"))
		return 0;
	int r = lower(text, arena, err);
	size_t scheme = scheme_len(*text);
	size_t host = scheme ? host_len(from(*text, scheme)) : 0;
	if (r < 0)
		return r;
	if (host == 0)
		return bf_err_set(err, BF_E_SYNTAX, "%s", wanted);
	struct bf_slice rest = from(*text, scheme + host);
	if (rest.len == 0)
		return 0;
	if (rest.ptr[0] != ':' || bf_parse_u64(from(rest, 1), &port) < 0 || port < 1 ||
	    port > 65535)
		return bf_err_set(err, BF_E_SYNTAX, "%s", wanted);
	if (is_default_port((struct bf_slice){text->ptr, scheme}, port))
		*text = bf_arena_dup(arena, (struct bf_slice){text->ptr, scheme + host});
	return text->ptr ? 0 : bf_err_set(err, BF_E_LIMIT, "does not fit into memory");
}

static bool holds(struct bf_slice text, const char *part)
{
	return text.len && memmem(text.ptr, text.len, part, strlen(part));
}

int bf_settle_cert_pem(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	(void)arena;
	if (holds(*text, "-----BEGIN ") && holds(*text, "CERTIFICATE-----"))
		return 0;
	return bf_err_set(
	    err, BF_E_SYNTAX,
	    "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----): give the "
	    "path of the file or its text");
}

int bf_settle_key_pem(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	(void)arena;
	if (holds(*text, "ENCRYPTED"))
		return bf_err_set(
		    err, BF_E_SYNTAX,
		    "needs a passphrase, which nobody could type at a start: write it "
		    "without one (openssl pkey -in KEY -out FILE)");
	if (holds(*text, "-----BEGIN ") && holds(*text, "PRIVATE KEY-----"))
		return 0;
	return bf_err_set(err, BF_E_SYNTAX,
			  "holds no private key in PEM form (-----BEGIN ... KEY-----): give the "
			  "path of the file or its text");
}

int bf_settle_url(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	(void)arena;
	if (bf_url_is_askable(*text))
		return 0;
	return bf_err_set(err, BF_E_SYNTAX, "%s", BF_URL_MUST_BE);
}
