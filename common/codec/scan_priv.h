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

/* The first special byte, or end. *io_high gets a bit of 0x80 set when some byte up to there may be
 * above 0x7f: the caller then checks UTF-8 once over the whole string, which is faster than to stop
 * at each sequence. */
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
static inline __m128i bf_scan_load(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Zero where a byte is special: with bit 1 turned, a quote is 0x20, below which only control bytes
 * are. */
static inline __m128i bf_scan_distance(__m128i v)
{
	__m128i above = _mm_subs_epu8(_mm_xor_si128(v, _mm_set1_epi8(0x02)), _mm_set1_epi8(0x20));

	return _mm_min_epu8(above, _mm_xor_si128(v, _mm_set1_epi8('\\')));
}

/* The lesser of two with these bits turned. */
static inline __m128i bf_scan_least(__m128i a, __m128i b, char bits)
{
	__m128i turned = _mm_set1_epi8(bits);
	return _mm_min_epu8(_mm_xor_si128(a, turned), _mm_xor_si128(b, turned));
}

/* Bit i: one of the bytes i of 16 is zero. */
static inline unsigned bf_scan_zeros(__m128i v)
{
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_setzero_si128()));
}

/* 64 bytes at a time up to those that hold a special one, or fewer than 64. */
static inline const char *bf_scan_far(const char *p, const char *end, unsigned *io_high)
{
	__m128i seen = _mm_setzero_si128();

	for (; end - p >= 64; p += 64) {
		__m128i a = bf_scan_load(p), b = bf_scan_load(p + 16);
		__m128i c = bf_scan_load(p + 32), d = bf_scan_load(p + 48);
		__m128i low = _mm_min_epu8(bf_scan_least(a, b, 0x02), bf_scan_least(c, d, 0x02));
		__m128i far = _mm_min_epu8(bf_scan_least(a, b, '\\'), bf_scan_least(c, d, '\\'));
		if (bf_scan_zeros(_mm_min_epu8(_mm_subs_epu8(low, _mm_set1_epi8(0x20)), far)))
			break;
		seen = _mm_or_si128(seen, _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d)));
	}
	*io_high |= _mm_movemask_epi8(seen) ? 0x80 : 0;
	return p;
}

/* 16 bytes at a time, and 64 where nothing was special for that long: prose has long runs, and
 * text full of escapes short ones. The bytes behind a special one may set *io_high too. */
static inline const char *bf_scan_sse2(const char *p, const char *end, unsigned *io_high)
{
	__m128i seen = _mm_setzero_si128();
	const char *start = p;

	while (end - p >= 16) {
		if (p - start == 64)
			start = p = bf_scan_far(p, end, io_high);
		if (end - p < 16)
			break;
		__m128i v = bf_scan_load(p);
		unsigned hits = bf_scan_zeros(bf_scan_distance(v));
		seen = _mm_or_si128(seen, v);
		if (hits) {
			*io_high |= _mm_movemask_epi8(seen) ? 0x80 : 0;
			return p + __builtin_ctz(hits);
		}
		p += 16;
	}
	*io_high |= _mm_movemask_epi8(seen) ? 0x80 : 0;
	return bf_scan_bytes(p, end, io_high);
}
#define bf_scan_plain bf_scan_sse2
#else
static inline const char *bf_scan_far(const char *p, const char *end, unsigned *io_high)
{
	(void)end;
	(void)io_high;
	return p;
}

#define bf_scan_plain bf_scan_words
#endif

/*
 * The end of most strings: where the quote that ends plain ASCII stands, within the next 15 bytes.
 * NULL where more must be looked at.
 */
static inline const char *bf_scan_short(const char *p, const char *end)
{
#ifdef __SSE2__
	if (end - p < 16)
		return NULL;
	/* As above; bytes above 0x7f are negative, and so not above 0x20 either. */
	__m128i v = bf_scan_load(p);
	__m128i above = _mm_cmpgt_epi8(_mm_xor_si128(v, _mm_set1_epi8(0x02)), _mm_set1_epi8(0x20));
	__m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
	unsigned hits = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(slash, above)) ^ 0xffff;
	if (hits == 0)
		return NULL;
	p += (unsigned)__builtin_ctz(hits);
	return *p == '"' ? p : NULL;
#else
	const char *last = end - p < 16 ? end : p + 16;
	while (p < last && !bf_scan_special((unsigned char)*p) && (unsigned char)*p < 0x80)
		p++;
	return p < last && *p == '"' ? p : NULL;
#endif
}

/* Masks have bit i for byte i of 64. */
#define BF_SCAN_BLOCK 64u

/* The bits from n on; n may be any. */
static inline uint64_t bf_scan_from(size_t n)
{
	return n < BF_SCAN_BLOCK ? UINT64_MAX << n : 0;
}

/* 64 bytes at base, or a copy with zeros in place of those beyond the end. */
static inline const char *bf_scan_block(const char *base, const char *end, char copy[BF_SCAN_BLOCK])
{
	if (end - base >= (ptrdiff_t)BF_SCAN_BLOCK)
		return base;
	memset(copy, 0, BF_SCAN_BLOCK);
	if (base < end)
		memcpy(copy, base, (size_t)(end - base));
	return copy;
}

/* The special bytes of 64, byte after byte, for any machine. */
static inline uint64_t bf_scan_mask_bytes(const char *p, unsigned *io_high)
{
	uint64_t special = 0;

	for (unsigned i = 0; i < BF_SCAN_BLOCK; i++) {
		special |= (uint64_t)bf_scan_special((unsigned char)p[i]) << i;
		*io_high |= (unsigned char)p[i];
	}
	return special;
}

#ifdef __SSE2__
static inline uint64_t bf_scan_mask_sse2(const char *p, unsigned *io_high)
{
	__m128i seen = _mm_setzero_si128();
	uint64_t special = 0;

	for (unsigned i = 0; i < BF_SCAN_BLOCK; i += 16) {
		__m128i v = bf_scan_load(p + i);
		special |= (uint64_t)bf_scan_zeros(bf_scan_distance(v)) << i;
		seen = _mm_or_si128(seen, v);
	}
	*io_high |= _mm_movemask_epi8(seen) ? 0x80 : 0;
	return special;
}
#define bf_scan_mask bf_scan_mask_sse2
#else
#define bf_scan_mask bf_scan_mask_bytes
#endif

/*
 * What 64 bytes are, for the skim: it looks at all of them alike, and sorts out
 * afterwards what stands in a string.
 */
struct bf_scan_marks {
	uint64_t quote, slash, control;
	uint64_t bracket; /* of either kind, open or closed */
	uint64_t foreign; /* only in strings: above 0x7f, or a quote or comment in some dialect */
	uint64_t high;    /* above 0x7f */
};

/* The first bytes of comments, and the other quote. */
static inline int bf_scan_foreign(unsigned char c)
{
	return c == '#' || c == '\'' || c == '/' || c > 0x7f;
}

/* Byte after byte, for any machine. */
static inline struct bf_scan_marks bf_scan_mark_bytes(const char *p)
{
	struct bf_scan_marks m = {0};

	for (unsigned i = 0; i < BF_SCAN_BLOCK; i++) {
		unsigned char c = (unsigned char)p[i];
		m.quote |= (uint64_t)(c == '"') << i;
		m.slash |= (uint64_t)(c == '\\') << i;
		m.control |= (uint64_t)(c < 0x20) << i;
		m.bracket |= (uint64_t)((c | 0x20) == '{' || (c | 0x20) == '}') << i;
		m.foreign |= (uint64_t)bf_scan_foreign(c) << i;
		m.high |= (uint64_t)(c > 0x7f) << i;
	}
	return m;
}

#ifdef __SSE2__
static inline __m128i bf_scan_is(__m128i v, char byte)
{
	return _mm_cmpeq_epi8(v, _mm_set1_epi8(byte));
}

static inline uint64_t bf_scan_bits(__m128i v, unsigned at)
{
	return (uint64_t)(unsigned)_mm_movemask_epi8(v) << at;
}

/* What few blocks have: at most foreign bytes in strings, escapes, line ends. */
static inline void bf_scan_mark_rare(const char *p, struct bf_scan_marks *m)
{
	for (unsigned i = 0; i < BF_SCAN_BLOCK; i += 16) {
		__m128i v = bf_scan_load(p + i);
		__m128i hash = bf_scan_is(_mm_andnot_si128(_mm_set1_epi8(4), v), '#');
		__m128i foreign = _mm_or_si128(v, _mm_or_si128(hash, bf_scan_is(v, '/')));
		__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
		m->slash |= bf_scan_bits(bf_scan_is(v, '\\'), i);
		m->control |= bf_scan_bits(control, i);
		m->foreign |= bf_scan_bits(foreign, i);
		m->high |= bf_scan_bits(v, i);
	}
}

static inline struct bf_scan_marks bf_scan_mark_sse2(const char *p)
{
	struct bf_scan_marks m = {0};
	__m128i rare = _mm_setzero_si128(); /* 0x80 set in some byte: not all is as yet */

	for (unsigned i = 0; i < BF_SCAN_BLOCK; i += 16) {
		__m128i v = bf_scan_load(p + i);
		__m128i lower = _mm_or_si128(v, _mm_set1_epi8(0x20));
		__m128i hash = bf_scan_is(_mm_andnot_si128(_mm_set1_epi8(4), v), '#');
		__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
		__m128i slashes = _mm_or_si128(bf_scan_is(v, '/'), bf_scan_is(v, '\\'));
		rare = _mm_or_si128(_mm_or_si128(rare, v), _mm_or_si128(hash, control));
		rare = _mm_or_si128(rare, slashes);
		m.quote |= bf_scan_bits(bf_scan_is(v, '"'), i);
		m.bracket |=
		    bf_scan_bits(_mm_or_si128(bf_scan_is(lower, '{'), bf_scan_is(lower, '}')), i);
	}
	if (_mm_movemask_epi8(rare))
		bf_scan_mark_rare(p, &m);
	return m;
}
#define bf_scan_mark bf_scan_mark_sse2
#else
#define bf_scan_mark bf_scan_mark_bytes
#endif
