/*
 * The inner loop of JSON strings: how many bytes from here need no look. Private to common/codec
 * and its tests. Both forms are always compiled where they can be, so that a test compares them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A quote, a backslash or a control byte. */
static inline int bf_scan_special(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

/*
 * The first special byte, or end. *io_high gets a bit of 0x80 set when some byte up to there may be
 * above 0x7f: the caller then checks UTF-8 once over the whole string, which is faster than to stop
 * at each sequence.
 */
static inline const char *bf_scan_bytes(const char *p, const char *end, unsigned *io_high)
{
	unsigned high = *io_high;

	for (; p < end && !bf_scan_special((unsigned char)*p); p++)
		high |= (unsigned char)*p;
	*io_high = high;
	return p;
}

/* 8 bytes at a time. A borrow may flag a byte above a special one, never hide one. */
static inline const char *bf_scan_words(const char *p, const char *end, unsigned *io_high)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t highs = UINT64_C(0x8080808080808080);
	uint64_t seen = 0;

	while (end - p >= 8) {
		uint64_t w, quote, slash;
		memcpy(&w, p, sizeof(w));
		quote = w ^ (ones * '"');
		slash = w ^ (ones * '\\');
		if ((((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) |
		     ((slash - ones) & ~slash)) &
		    highs)
			break;
		seen |= w;
		p += 8;
	}
	*io_high |= seen & highs ? 0x80 : 0;
	return bf_scan_bytes(p, end, io_high);
}

#ifdef __SSE2__
/* 16 bytes at a time. The bytes behind a special one may set *io_high too. */
static inline const char *bf_scan_sse2(const char *p, const char *end, unsigned *io_high)
{
	const __m128i control = _mm_set1_epi8(0x1f);
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i slash = _mm_set1_epi8('\\');
	__m128i seen = _mm_setzero_si128();

	while (end - p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i hit =
		    _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(v, control), v),
				 _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
		int mask = _mm_movemask_epi8(hit);
		seen = _mm_or_si128(seen, v);
		if (mask) {
			*io_high |= _mm_movemask_epi8(seen) ? 0x80 : 0;
			return p + __builtin_ctz((unsigned)mask);
		}
		p += 16;
	}
	*io_high |= _mm_movemask_epi8(seen) ? 0x80 : 0;
	return bf_scan_bytes(p, end, io_high);
}
#define bf_scan_plain bf_scan_sse2
#else
#define bf_scan_plain bf_scan_words
#endif
