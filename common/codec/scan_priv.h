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

/* A quote, a backslash, a control byte, or part of a UTF-8 sequence. */
static inline int bf_scan_special(unsigned char c)
{
	return c < 0x20 || c >= 0x80 || c == '"' || c == '\\';
}

static inline const char *bf_scan_bytes(const char *p, const char *end)
{
	while (p < end && !bf_scan_special((unsigned char)*p))
		p++;
	return p;
}

/* The first special byte, or end: 8 bytes at a time. A borrow may flag a byte above a special one,
 * never hide one. */
static inline const char *bf_scan_words(const char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t highs = UINT64_C(0x8080808080808080);

	while (end - p >= 8) {
		uint64_t w, quote, slash;
		memcpy(&w, p, sizeof(w));
		quote = w ^ (ones * '"');
		slash = w ^ (ones * '\\');
		if ((w | (w - ones * 0x20) | (quote - ones) | (slash - ones)) & highs)
			break;
		p += 8;
	}
	return bf_scan_bytes(p, end);
}

#ifdef __SSE2__
/* As above, 16 bytes at a time. Bytes from 0x80 are negative here, so one comparison finds them and
 * control bytes. */
static inline const char *bf_scan_sse2(const char *p, const char *end)
{
	const __m128i space = _mm_set1_epi8(0x20);
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i slash = _mm_set1_epi8('\\');

	while (end - p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i hit =
		    _mm_or_si128(_mm_cmplt_epi8(v, space),
				 _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
		int mask = _mm_movemask_epi8(hit);
		if (mask)
			return p + __builtin_ctz((unsigned)mask);
		p += 16;
	}
	return bf_scan_bytes(p, end);
}
#define bf_scan_plain bf_scan_sse2
#else
#define bf_scan_plain bf_scan_words
#endif

/* Bytes of valid UTF-8 sequences above 0x7f from here on. */
size_t bf_utf8_run(const char *text, size_t len);
