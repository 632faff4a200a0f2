/*
 * Checked parsing of numbers, durations and sizes, and their text. Called by config, JSON and
 * command lines. Never goes through floating point and never accepts a text in part.
 */
#include "common/base/num.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/base/err.h"
#include "common/base/macros.h"

#define NS_PER_MS 1000000u

/* What is left of a text while it is read from the front. */
struct cursor {
	const char *p, *end;
};

static struct cursor cursor_of(struct bf_slice text)
{
	return (struct cursor){text.ptr, text.len ? text.ptr + text.len : text.ptr};
}

static bool at_digit(const struct cursor *c)
{
	return c->p < c->end && *c->p >= '0' && *c->p <= '9';
}

/* All digits from here. BF_E_SYNTAX without any, BF_E_RANGE above UINT64_MAX (after reading them
 * all). */
static int read_digits(struct cursor *c, uint64_t *ret_value)
{
	uint64_t value = 0;
	bool over = false;

	if (!at_digit(c))
		return BF_E_SYNTAX;
	for (; at_digit(c); c->p++)
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (unsigned)(*c->p - '0'), &value))
			over = true;
	*ret_value = value;
	return over ? BF_E_RANGE : 0;
}

/* As read_digits; a leading zero is refused, since other readers would take it for octal. */
static int read_plain(struct cursor *c, uint64_t *ret_value)
{
	if (c->end - c->p > 1 && c->p[0] == '0' && c->p[1] >= '0' && c->p[1] <= '9')
		return BF_E_SYNTAX;
	return read_digits(c, ret_value);
}

static bool read_minus(struct cursor *c)
{
	if (c->p == c->end || *c->p != '-')
		return false;
	c->p++;
	return true;
}

static int with_sign(uint64_t magnitude, bool negative, int64_t *ret_value)
{
	if (magnitude > (uint64_t)INT64_MAX + negative)
		return BF_E_RANGE;
	*ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return 0;
}

int bf_parse_i64(struct bf_slice text, int64_t *ret_value)
{
	struct cursor c = cursor_of(text);
	bool negative = read_minus(&c);
	uint64_t magnitude;

	int r = read_plain(&c, &magnitude);
	if (r == BF_E_SYNTAX || c.p != c.end)
		return BF_E_SYNTAX;
	return r < 0 ? r : with_sign(magnitude, negative, ret_value);
}

int bf_parse_u64(struct bf_slice text, uint64_t *ret_value)
{
	struct cursor c = cursor_of(text);
	uint64_t value;

	int r = read_plain(&c, &value);
	if (r == BF_E_SYNTAX || c.p != c.end)
		return BF_E_SYNTAX;
	if (r == 0)
		*ret_value = value;
	return r;
}

struct duration_unit {
	const char *name;
	uint64_t ns;
};

/* Longer names first: "ms" before "m". "\xc2\xb5" and "\xce\xbc" are the two micro signs that Go
 * accepts. */
static const struct duration_unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000},
    {"\xce\xbcs", 1000},
    {"ms", NS_PER_MS},
    {"s", UINT64_C(1000) * NS_PER_MS},
    {"m", UINT64_C(60000) * NS_PER_MS},
    {"h", UINT64_C(3600000) * NS_PER_MS},
    {"d", UINT64_C(86400000) * NS_PER_MS},
};

static const struct duration_unit *read_unit(struct cursor *c)
{
	struct bf_slice rest = {c->p, (size_t)(c->end - c->p)};

	for (size_t i = 0; i < BF_ARRAY_LEN(duration_units); i++) {
		struct bf_slice name = bf_slice_from(duration_units[i].name);
		if (bf_slice_starts(rest, name)) {
			c->p += name.len;
			return &duration_units[i];
		}
	}
	return NULL;
}

/* The nanoseconds of the decimals of one unit; BF_E_RANGE when they are no whole number. */
static int fraction_ns(struct bf_slice decimals, uint64_t unit_ns, uint64_t *ret_ns)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < decimals.len; i++) {
		uint64_t digit = (uint64_t)(decimals.ptr[i] - '0');
		if (digit && unit_ns * digit % 10)
			return BF_E_RANGE;
		ns += unit_ns * digit / 10;
		unit_ns = unit_ns % 10 ? 0 : unit_ns / 10;
		if (unit_ns == 0 && i + 1 < decimals.len && decimals.ptr[i + 1] != '0')
			return BF_E_RANGE;
	}
	*ret_ns = ns;
	return 0;
}

/* Adds one "number unit" to the sum, kept in two parts so that neither overflows before the range
 * does. */
static int add_part(struct cursor *c, uint64_t *ms, uint64_t *ns)
{
	uint64_t whole, decimals_ns, sum;
	struct bf_slice decimals = {NULL, 0};

	int over = read_digits(c, &whole);
	if (over == BF_E_SYNTAX)
		return over;
	if (c->p < c->end && *c->p == '.') {
		decimals.ptr = ++c->p;
		while (at_digit(c))
			c->p++;
		decimals.len = (size_t)(c->p - decimals.ptr);
		if (decimals.len == 0)
			return BF_E_SYNTAX;
	}
	const struct duration_unit *unit = read_unit(c);
	if (!unit)
		return BF_E_SYNTAX;
	int r = fraction_ns(decimals, unit->ns, &decimals_ns);
	if (over < 0 || r < 0)
		return BF_E_RANGE;
	uint64_t *into = unit->ns >= NS_PER_MS ? ms : ns;
	uint64_t factor = unit->ns >= NS_PER_MS ? unit->ns / NS_PER_MS : unit->ns;
	if (__builtin_mul_overflow(whole, factor, &sum) ||
	    __builtin_add_overflow(*into, sum, into) ||
	    __builtin_add_overflow(*ns, decimals_ns, ns))
		return BF_E_RANGE;
	return 0;
}

int bf_parse_duration_ms(struct bf_slice text, int64_t *ret_ms)
{
	struct cursor c = cursor_of(text);
	uint64_t ms = 0, ns = 0;
	int range = 0;

	if (c.p == c.end)
		return BF_E_SYNTAX;
	/* The whole text is read even beyond the range: "9999999999999d?" is malformed first of
	 * all. */
	while (c.p < c.end) {
		int r = add_part(&c, &ms, &ns);
		if (r == BF_E_SYNTAX)
			return r;
		range = r < 0 ? r : range;
	}
	if (range < 0 || ns % NS_PER_MS || __builtin_add_overflow(ms, ns / NS_PER_MS, &ms) ||
	    ms > INT64_MAX)
		return BF_E_RANGE;
	*ret_ms = (int64_t)ms;
	return 0;
}

/* The power of 1024 of a suffix such as "", "B", "k", "MB", "GiB"; -1 when it is none. */
static int size_shift(const struct cursor *c)
{
	const char *p = c->p;
	int shift = 0;

	if (p == c->end)
		return 0;
	switch (*p | 0x20) {
	case 'k':
		shift = 10;
		break;
	case 'm':
		shift = 20;
		break;
	case 'g':
		shift = 30;
		break;
	case 't':
		shift = 40;
		break;
	default:
		break;
	}
	if (shift && ++p == c->end)
		return shift;
	if (shift && (*p | 0x20) == 'i' && ++p == c->end)
		return -1;
	return (*p | 0x20) == 'b' && p + 1 == c->end ? shift : -1;
}

int bf_parse_size(struct bf_slice text, uint64_t *ret_bytes)
{
	struct cursor c = cursor_of(text);
	uint64_t value;

	int r = read_plain(&c, &value);
	int shift = r == BF_E_SYNTAX ? -1 : size_shift(&c);
	if (shift < 0)
		return BF_E_SYNTAX;
	if (r < 0 || value > UINT64_MAX >> shift)
		return BF_E_RANGE;
	*ret_bytes = value << shift;
	return 0;
}

int bf_parse_micro(struct bf_slice text, int64_t *ret_micro)
{
	struct cursor c = cursor_of(text);
	bool negative = read_minus(&c);
	uint64_t whole, micro = 0;
	int decimals = 0;

	int r = read_plain(&c, &whole);
	if (r == BF_E_SYNTAX)
		return r;
	if (c.p < c.end && *c.p == '.') {
		c.p++;
		for (; at_digit(&c); c.p++, decimals++)
			if (decimals < 6)
				micro = micro * 10 + (uint64_t)(*c.p - '0');
		if (decimals == 0)
			return BF_E_SYNTAX;
	}
	if (c.p != c.end)
		return BF_E_SYNTAX;
	for (int i = decimals; i < 6; i++)
		micro *= 10;
	if (r < 0 || decimals > 6 || __builtin_mul_overflow(whole, UINT64_C(1000000), &whole) ||
	    __builtin_add_overflow(micro, whole, &micro))
		return BF_E_RANGE;
	return with_sign(micro, negative, ret_micro);
}

const char *bf_format_duration_ms(int64_t ms, char out[32])
{
	static const struct {
		int64_t ms;
		const char *name;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	size_t i = 0;

	if (ms == 0)
		i = 3;
	else
		while (ms % units[i].ms)
			i++;
	(void)snprintf(out, 32, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
	return out;
}

const char *bf_format_size(uint64_t bytes, char out[32])
{
	static const char *const names[] = {"", "KiB", "MiB", "GiB", "TiB"};
	size_t i = 0;

	while (bytes && i + 1 < BF_ARRAY_LEN(names) && bytes % 1024 == 0) {
		bytes /= 1024;
		i++;
	}
	(void)snprintf(out, 32, "%" PRIu64 "%s", bytes, names[i]);
	return out;
}

static char *hex_bytes(const uint8_t *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	return out;
}

/* Four or two digits at a time: an answer's head has up to seven numbers. */
char *bf_format_u64_before(char *end, uint64_t value)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930"
				    "31323334353637383940414243444546474849505152535455565758596061"
				    "62636465666768697071727374757677787980818283848586878889909192"
				    "93949596979899";

	for (; value >= 10000; value /= 10000) {
		unsigned four = (unsigned)(value % 10000);
		end = memcpy(end - 2, pairs + four % 100 * 2, 2);
		end = memcpy(end - 2, pairs + four / 100 * 2, 2);
	}
	for (; value >= 100; value /= 100)
		end = memcpy(end - 2, pairs + value % 100 * 2, 2);
	if (value >= 10)
		return memcpy(end - 2, pairs + value * 2, 2);
	*--end = (char)('0' + value);
	return end;
}

#ifdef __SSE2__

/* Eight bytes at a time: ids are made of these, several for each request. */
char *bf_format_hex(const uint8_t *bytes, size_t len, char *out)
{
	const __m128i low = _mm_set1_epi8(15), nine = _mm_set1_epi8(9);
	const __m128i zero = _mm_set1_epi8('0'), to_letter = _mm_set1_epi8('a' - '0' - 10);
	size_t i = 0;

	for (; i + 8 <= len; i += 8, out += 16) {
		__m128i b = _mm_loadl_epi64((const __m128i *)(const void *)(bytes + i));
		__m128i high = _mm_and_si128(_mm_srli_epi16(b, 4), low);
		__m128i d = _mm_unpacklo_epi8(high, _mm_and_si128(b, low));
		__m128i letter = _mm_and_si128(_mm_cmpgt_epi8(d, nine), to_letter);
		_mm_storeu_si128((__m128i *)(void *)out,
				 _mm_add_epi8(_mm_add_epi8(d, zero), letter));
	}
	return hex_bytes(bytes + i, len - i, out);
}

#else

char *bf_format_hex(const uint8_t *bytes, size_t len, char *out)
{
	return hex_bytes(bytes, len, out);
}

#endif
