/* Escapes of JSON strings. Private to common/codec. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/slice.h"

/* Bytes of the escape at p (a backslash), both halves of a surrogate pair together; 0 when it is
 * not valid, as half a pair is unless lone_passes. */
size_t bf_json_escape_length(const char *p, const char *end, bool lone_passes);

/* The same; the two that prose is full of without a call. */
static inline size_t bf_json_escape_skip(const char *p, const char *end, bool lone_passes)
{
	if (end - p > 1 && (p[1] == 'n' || p[1] == '"'))
		return 2;
	return bf_json_escape_length(p, end, lone_passes);
}

/* Unescapes a raw string that the reader accepted; the bytes written, never more than raw.len. Half
 * a surrogate pair becomes U+FFFD. */
size_t bf_json_unescape(struct bf_slice raw, char *out);

/* Whether a raw string that the reader accepted means text. Allocates nothing. */
bool bf_json_unescaped_is(struct bf_slice raw, struct bf_slice text);
