/* UTF-8 validation (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the longest valid prefix; equals len when all of it is valid. */
size_t bf_utf8_valid_prefix(const char *text, size_t len);

static inline bool bf_utf8_valid(const char *text, size_t len)
{
	return bf_utf8_valid_prefix(text, len) == len;
}

/* Writes 1..4 bytes of a scalar value; 0 when cp is none. */
size_t bf_utf8_encode(uint32_t cp, char out[4]);
