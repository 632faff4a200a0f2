/*
 * Values for log lines. Called by whoever logs text from outside. Never emits a byte that ends the
 * value or the line, nor one that is no UTF-8: journald would hide the line as a blob.
 */
#include <stddef.h>
#include <stdio.h>

#include "common/log/log.h"

#define QUOTE_SIZE  1024u
#define QUOTE_COUNT 4u

/* Bytes of the UTF-8 sequence at p, 0 when there is none. Reads up to the terminator at most. */
static size_t utf8_length(const unsigned char *p)
{
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, C1 controls, surrogates, beyond U+10FFFF. */
	if ((p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xe0 && p[1] < 0xa0) ||
	    (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* The quoted form of the character at *p, at most 4 bytes and a terminator; moves *p past it. */
static size_t quote_one(const unsigned char **p, char out[5])
{
	unsigned char c = **p;
	size_t len = c < 0x80 ? 1 : utf8_length(*p);
	int n;

	if (c == '"' || c == '\\')
		n = snprintf(out, 5, "\\%c", c);
	else if (c == '\n')
		n = snprintf(out, 5, "\\n");
	else if (c == '\t')
		n = snprintf(out, 5, "\\t");
	else if (c < 0x20 || c == 0x7f || len == 0)
		n = snprintf(out, 5, "\\x%02x", c);
	else
		n = snprintf(out, 5, "%.*s", (int)len, (const char *)*p);
	*p += len ? len : 1;
	return n < 0 ? 0 : (size_t)n;
}

const char *bf_log_quote(const char *text)
{
	static char buffers[QUOTE_COUNT][QUOTE_SIZE];
	static unsigned turn;
	char *out = buffers[turn++ % QUOTE_COUNT];
	const unsigned char *p = (const unsigned char *)(text ? text : "");
	size_t len = 0;

	out[len++] = '"';
	while (*p) {
		char one[5];
		size_t n = quote_one(&p, one);
		/* Room for three dots, the quote and the terminator must stay. */
		if (len + n > QUOTE_SIZE - 5) {
			len += (size_t)sprintf(out + len, "...");
			break;
		}
		for (size_t i = 0; i < n; i++)
			out[len++] = one[i];
	}
	out[len++] = '"';
	out[len] = '\0';
	return out;
}

const char *bf_log_quote_slice(struct bf_slice text)
{
	char ended[QUOTE_SIZE];

	(void)snprintf(ended, sizeof(ended), "%.*s", BF_SLICE_FMT(text));
	return bf_log_quote(ended);
}
