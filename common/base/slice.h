/* Pointer and length by value: text that is not terminated and not owned. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct bf_slice {
	const char *ptr; /* NULL only when len is 0 */
	size_t len;
};

#define BF_SLICE_LIT(s) ((struct bf_slice)BF_SLICE_INIT(s))
#define BF_SLICE_INIT(s)            \
	{                           \
		"" s, sizeof(s) - 1 \
	} /* for tables */

/* For "%.*s": the precision and the pointer. Text longer than INT_MAX is cut. */
#define BF_SLICE_FMT(s) (int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len), ((s).ptr ? (s).ptr : "")

static inline struct bf_slice bf_slice_from(const char *s)
{
	return (struct bf_slice){s, s ? strlen(s) : 0};
}

static inline bool bf_slice_eq(struct bf_slice a, struct bf_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool bf_slice_is(struct bf_slice a, const char *s)
{
	return bf_slice_eq(a, bf_slice_from(s));
}

static inline bool bf_slice_starts(struct bf_slice a, struct bf_slice prefix)
{
	return a.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

/* The same for names whose case (of ASCII letters) does not matter: headers, hosts, schemes. Most
 * that differ do so in their first letter, without a call. */
static inline bool bf_slice_starts_nocase(struct bf_slice a, struct bf_slice prefix)
{
	if (a.len < prefix.len || prefix.len == 0)
		return prefix.len == 0;
	return ((a.ptr[0] ^ prefix.ptr[0]) & ~0x20) == 0 &&
	       strncasecmp(a.ptr, prefix.ptr, prefix.len) == 0;
}

static inline bool bf_slice_eq_nocase(struct bf_slice a, struct bf_slice b)
{
	return a.len == b.len && bf_slice_starts_nocase(a, b);
}

static inline bool bf_slice_is_nocase(struct bf_slice a, const char *s)
{
	return bf_slice_eq_nocase(a, bf_slice_from(s));
}

/* By bytes, what another begins with before it: below, at or above 0. */
static inline int bf_slice_compare(struct bf_slice a, struct bf_slice b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;
	int r = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;

	return r ? r : (a.len > b.len) - (a.len < b.len);
}

/* Nothing but visible characters of ASCII, as what travels in a header? */
static inline bool bf_slice_is_visible(struct bf_slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
			return false;
	return true;
}

/* FNV-1a, for tables of names that few may choose: who makes them meet makes a lookup as long as
 * the table. */
static inline uint32_t bf_slice_hash(struct bf_slice name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ (unsigned char)name.ptr[i]) * 16777619u;
	return h ^ h >> 15;
}
