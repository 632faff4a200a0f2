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

/*
 * The same for 64 bytes at once, kept: the reader asks it for one string after the other, so that a
 * short string costs a shift and a count of bits, and no look at its bytes waits for the end of
 * the string before.
 */
#define BF_SCAN_BLOCK 64u

struct bf_scan_block {
	const char *base; /* of the 64 bytes */
	uint64_t special; /* bit i: base[i] is special, or lies beyond the end of the text */
	uint64_t high;    /* 0x80 set: some byte of them is above 0x7f */
};

/* Bit i of each byte that is special, byte after byte, for any machine. */
static inline uint64_t bf_scan_mask_bytes(const char *p, uint64_t *ret_high)
{
	uint64_t special = 0, high = 0;

	for (unsigned i = 0; i < BF_SCAN_BLOCK; i++) {
		special |= (uint64_t)bf_scan_special((unsigned char)p[i]) << i;
		high |= (unsigned char)p[i];
	}
	*ret_high = high & 0x80;
	return special;
}

#ifdef __SSE2__
static inline uint64_t bf_scan_mask_sse2(const char *p, uint64_t *ret_high)
{
	/* With bit 1 turned, the quote is 0x20, below which only control bytes are. */
	const __m128i turn = _mm_set1_epi8(0x02);
	const __m128i below = _mm_set1_epi8(0x20);
	const __m128i slash = _mm_set1_epi8('\\');
	__m128i seen = _mm_setzero_si128();
	uint64_t special = 0;

	for (unsigned i = 0; i < BF_SCAN_BLOCK; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		__m128i t = _mm_xor_si128(v, turn);
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(t, below), t),
					   _mm_cmpeq_epi8(v, slash));
		special |= (uint64_t)(unsigned)_mm_movemask_epi8(hit) << i;
		seen = _mm_or_si128(seen, v);
	}
	*ret_high = _mm_movemask_epi8(seen) ? 0x80 : 0;
	return special;
}
#define bf_scan_mask bf_scan_mask_sse2
#else
#define bf_scan_mask bf_scan_mask_bytes
#endif

/* Looks at the 64 bytes at base, of which those from end on do not exist. */
static inline void bf_scan_block_at(struct bf_scan_block *b, const char *base, const char *end)
{
	b->base = base;
	if (end - base >= (ptrdiff_t)BF_SCAN_BLOCK) {
		b->special = bf_scan_mask(base, &b->high);
	} else {
		char last[BF_SCAN_BLOCK] = {0};
		if (base < end)
			memcpy(last, base, (size_t)(end - base));
		b->special = bf_scan_mask(last, &b->high);
	}
}

/*
 * The first special byte from p on; at end or beyond it when there is none. p never goes back from
 * one call to the next. *io_high as above, but for whole blocks.
 */
static inline const char *bf_scan_next(struct bf_scan_block *b, const char *p, const char *end,
				       uint64_t *io_high)
{
	size_t skip = (size_t)(p - b->base);

	if (skip >= BF_SCAN_BLOCK) {
		bf_scan_block_at(b, b->base + skip / BF_SCAN_BLOCK * BF_SCAN_BLOCK, end);
		skip %= BF_SCAN_BLOCK;
	}
	uint64_t special = b->special & UINT64_MAX << skip;
	while (special == 0) {
		*io_high |= b->high;
		bf_scan_block_at(b, b->base + BF_SCAN_BLOCK, end);
		special = b->special;
	}
	*io_high |= b->high;
	return b->base + __builtin_ctzll(special);
}
