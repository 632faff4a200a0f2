/*
 * UTF-8 validation and encoding. Called by the JSON reader and writer and by the config loader.
 * Never reads past the given length.
 */
#include "common/codec/utf8.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

#ifdef __SSE2__

static inline __m128i load16(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Bytes of v above limit, as non-zero bytes. */
static inline __m128i above(__m128i v, unsigned char limit)
{
	return _mm_subs_epu8(v, _mm_set1_epi8((char)limit));
}

static inline __m128i equals(__m128i v, unsigned char byte)
{
	return _mm_cmpeq_epi8(v, _mm_set1_epi8((char)byte));
}

static inline __m128i is_zero(__m128i v)
{
	return _mm_cmpeq_epi8(v, _mm_setzero_si128());
}

/* Whether 16 bytes are in order, given the same text seen from 1, 2 and 3 bytes before. */
static inline bool block_valid(__m128i v, __m128i prev1, __m128i prev2, __m128i prev3)
{
	/* A continuation must stand exactly where a lead byte before asks for it. */
	__m128i asked =
	    _mm_or_si128(above(prev1, 0xbf), _mm_or_si128(above(prev2, 0xdf), above(prev3, 0xef)));
	__m128i is_cont = _mm_cmplt_epi8(v, _mm_set1_epi8((char)0xc0));
	__m128i bad = _mm_cmpeq_epi8(is_zero(asked), is_cont);

	/* 0xc0, 0xc1, 0xf5 and above are never valid. */
	bad = _mm_or_si128(bad, equals(_mm_and_si128(v, _mm_set1_epi8((char)0xfe)), 0xc0));
	bad = _mm_or_si128(bad, above(v, 0xf4));
	/* Overlong e0 and f0, surrogates ed, beyond U+10FFFF f4. */
	bad = _mm_or_si128(bad, _mm_and_si128(equals(prev1, 0xe0), is_zero(above(v, 0x9f))));
	bad = _mm_or_si128(bad, _mm_and_si128(equals(prev1, 0xed), above(v, 0x9f)));
	bad = _mm_or_si128(bad, _mm_and_si128(equals(prev1, 0xf0), is_zero(above(v, 0x8f))));
	bad = _mm_or_si128(bad, _mm_and_si128(equals(prev1, 0xf4), above(v, 0x8f)));
	return _mm_movemask_epi8(is_zero(bad)) == 0xffff;
}

/* A length up to which text is valid and ends with a whole character; what follows is not looked
 * at. */
static size_t valid_blocks(const char *text, size_t len)
{
	size_t at = 0;
	int tail = 0; /* the last three bytes of the block before are not all ASCII */

	while (len - at >= 16) {
		__m128i v = load16(text + at);
		int high = _mm_movemask_epi8(v);
		if (high | tail) {
			bool ok = at ? block_valid(v, load16(text + at - 1), load16(text + at - 2),
						   load16(text + at - 3))
				     : block_valid(v, _mm_slli_si128(v, 1), _mm_slli_si128(v, 2),
						   _mm_slli_si128(v, 3));
			if (!ok)
				break;
		}
		tail = high & 0xe000;
		at += 16;
	}
	/* The last character may go on beyond the blocks: the caller looks at it again. */
	for (int i = 0; i < 3 && at > 0 && ((unsigned char)text[at - 1] & 0xc0) == 0x80; i++)
		at--;
	return at > 0 && (unsigned char)text[at - 1] >= 0xc0 ? at - 1 : at;
}

#else

static size_t valid_blocks(const char *text, size_t len)
{
	uint64_t word;
	size_t at = 0;

	for (; len - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, text + at, sizeof(word));
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	return at;
}

#endif

size_t bf_utf8_valid_prefix(const char *text, size_t len)
{
	size_t at = len ? valid_blocks(text, len) : 0;

	while (at < len) {
		size_t n = (unsigned char)text[at] < 0x80
			       ? 1
			       : sequence_length((const unsigned char *)text + at, len - at);
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
