/*
 * UTF-8 validation and encoding. Called by the JSON reader and writer and by the config loader.
 * Never reads past the given length.
 */
#include "common/codec/utf8.h"

#include <string.h>

#include "common/codec/scan_priv.h"

/* Length of the valid sequence at p that starts with a byte above 0x7f; 0 when there is none. */
static inline size_t sequence_length(const unsigned char *p, size_t left)
{
	unsigned lead = p[0];

	if (lead < 0xc2 || lead > 0xf4 || left < 2 || (p[1] & 0xc0) != 0x80)
		return 0;
	if (lead < 0xe0)
		return 2;
	if (left < 3 || (p[2] & 0xc0) != 0x80)
		return 0;
	if (lead < 0xf0)
		return (lead == 0xe0 && p[1] < 0xa0) || (lead == 0xed && p[1] > 0x9f) ? 0 : 3;
	if (left < 4 || (p[3] & 0xc0) != 0x80)
		return 0;
	return (lead == 0xf0 && p[1] < 0x90) || (lead == 0xf4 && p[1] > 0x8f) ? 0 : 4;
}

size_t bf_utf8_run(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len && (unsigned char)text[at] >= 0x80) {
		size_t n = sequence_length((const unsigned char *)text + at, len - at);
		if (n == 0)
			break;
		at += n;
	}
	return at;
}

size_t bf_utf8_valid_prefix(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		if ((unsigned char)text[at] < 0x80) {
			uint64_t word;
			while (len - at >= sizeof(word)) {
				memcpy(&word, text + at, sizeof(word));
				if (word & UINT64_C(0x8080808080808080))
					break;
				at += sizeof(word);
			}
			while (at < len && (unsigned char)text[at] < 0x80)
				at++;
			continue;
		}
		size_t n = bf_utf8_run(text + at, len - at);
		if (n == 0)
			break;
		at += n;
	}
	return at;
}

size_t bf_utf8_encode(uint32_t cp, char out[4])
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		if (cp >= 0xd800 && cp <= 0xdfff)
			return 0;
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	if (cp > 0x10ffff)
		return 0;
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}
