/*
 * Bump arena. Called wherever many small objects die together: a request, a message, a config load.
 * Never grows past its cap and never frees a single object.
 */
#include "common/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/nodump.h"

#define ARENA_ALIGN       16u
#define ARENA_FIRST_CHUNK 4096u
#define ARENA_KEEP_MAX    (64u * 1024)
#define ARENA_CHUNK_MAX   (256u * 1024)

struct bf_arena_chunk {
	struct bf_arena_chunk *next;
	size_t size;   /* of data */
	size_t used;   /* in a no-dump chunk everything beyond is zero */
	size_t mapped; /* whole size when it came from bf_nodump_alloc, else 0 */
	_Alignas(ARENA_ALIGN) char data[];
};

_Static_assert(sizeof(struct bf_arena_chunk) % ARENA_ALIGN == 0, "data must be aligned");

void bf_arena_init(struct bf_arena *a, size_t cap_bytes)
{
	*a = (struct bf_arena){.cap_bytes = cap_bytes, .keep_bytes = ARENA_KEEP_MAX};
}

void bf_arena_init_nodump(struct bf_arena *a, size_t cap_bytes)
{
	bf_arena_init(a, cap_bytes);
	a->nodump = true;
}

void bf_arena_keep(struct bf_arena *a, size_t bytes)
{
	a->keep_bytes = bytes;
}

/* 0 on overflow; a size of 0 takes one unit, so that every allocation has an address of its own. */
static size_t round_size(size_t size)
{
	if (size == 0)
		return ARENA_ALIGN;
	if (size > SIZE_MAX / 2)
		return 0;
	return (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

static BF_NOINLINE struct bf_arena_chunk *chunk_new(struct bf_arena *a, size_t size)
{
	struct bf_arena_chunk *c;
	size_t whole = sizeof(*c) + size;
	bool map = a->nodump;

#ifdef BF_ARENA_MALLOC
	map = false;
#endif
	c = map ? bf_nodump_alloc(&whole) : malloc(whole);
	if (!c)
		return NULL;
	c->size = whole - sizeof(*c);
	c->used = 0;
	c->mapped = map ? whole : 0;
	c->next = a->chunks;
	a->chunks = c;
	return c;
}

static void chunk_free(const struct bf_arena *a, struct bf_arena_chunk *c)
{
	if (c->mapped) {
		bf_nodump_free(c, c->mapped);
		return;
	}
	if (a->nodump)
		explicit_bzero(c->data, c->used);
	free(c);
}

#ifdef BF_ARENA_MALLOC

/* One object per chunk, of its exact size: a read or write past the end meets ASan's red zone. */
static void *take(struct bf_arena *a, size_t size, size_t rounded)
{
	struct bf_arena_chunk *c = chunk_new(a, size);

	if (!c)
		return NULL;
	c->used = size;
	a->used_bytes += rounded;
	memset(c->data, 0, size);
	return c->data;
}

static bool resize_in_place(struct bf_arena *a, char *ptr, size_t old_size, size_t new_size)
{
	(void)a;
	(void)ptr;
	return new_size <= old_size;
}

static bool keeps_chunk(const struct bf_arena *a, const struct bf_arena_chunk *c)
{
	(void)a;
	(void)c;
	return false;
}

#else

static size_t next_chunk_size(const struct bf_arena *a, size_t rounded)
{
	size_t size =
	    a->chunks ? a->chunks->size + sizeof(struct bf_arena_chunk) : ARENA_FIRST_CHUNK / 2;

	size = BF_MIN(size * 2, (size_t)ARENA_CHUNK_MAX) - sizeof(struct bf_arena_chunk);
	/* No chunk needs to be larger than what the cap still allows. */
	size = BF_MIN(size, a->cap_bytes - a->used_bytes);
	return BF_MAX(size, rounded);
}

static void *take(struct bf_arena *a, size_t size, size_t rounded)
{
	struct bf_arena_chunk *c = a->chunks;

	if (BF_UNLIKELY(!c || c->size - c->used < rounded)) {
		c = chunk_new(a, next_chunk_size(a, rounded));
		if (!c)
			return NULL;
	}
	char *ptr = c->data + c->used;
	c->used += rounded;
	a->used_bytes += rounded;
	return a->nodump ? ptr : memset(ptr, 0, size);
}

/* Only the newest allocation of the newest chunk can move its end. */
static bool resize_in_place(struct bf_arena *a, char *ptr, size_t old_size, size_t new_size)
{
	struct bf_arena_chunk *c = a->chunks;
	size_t old_rounded = round_size(old_size);
	size_t new_rounded = round_size(new_size);
	bool newest = c && ptr + old_rounded == c->data + c->used && ptr >= c->data;

	if (!newest)
		return new_rounded <= old_rounded;
	size_t start = (size_t)(ptr - c->data);
	if (new_rounded > c->size - start)
		return false;
	if (a->nodump && new_rounded < old_rounded)
		explicit_bzero(ptr + new_rounded, old_rounded - new_rounded);
	c->used = start + new_rounded;
	a->used_bytes = a->used_bytes - old_rounded + new_rounded;
	return true;
}

static bool keeps_chunk(const struct bf_arena *a, const struct bf_arena_chunk *c)
{
	return c->size + sizeof(*c) <= a->keep_bytes;
}

#endif

void *bf_arena_alloc(struct bf_arena *a, size_t size)
{
	size_t rounded = round_size(size);

	if (rounded == 0 || rounded > a->cap_bytes - a->used_bytes)
		return NULL;
	return take(a, size, rounded);
}

void *bf_arena_resize(struct bf_arena *a, void *ptr, size_t old_size, size_t new_size)
{
	size_t old_rounded = round_size(old_size);
	size_t new_rounded = round_size(new_size);

	if (!ptr)
		return bf_arena_alloc(a, new_size);
	if (new_rounded == 0)
		return NULL;
	bool fits =
	    new_rounded <= old_rounded || new_rounded - old_rounded <= a->cap_bytes - a->used_bytes;
	if (fits && resize_in_place(a, ptr, old_size, new_size)) {
		if (new_size > old_size)
			memset((char *)ptr + old_size, 0, new_size - old_size);
		return ptr;
	}
	char *copy = bf_arena_alloc(a, new_size);
	if (copy)
		memcpy(copy, ptr, BF_MIN(old_size, new_size));
	return copy;
}

struct bf_slice bf_arena_dup(struct bf_arena *a, struct bf_slice s)
{
	char *copy = s.len < SIZE_MAX ? bf_arena_alloc(a, s.len + 1) : NULL;

	if (!copy)
		return (struct bf_slice){NULL, 0};
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	return (struct bf_slice){copy, s.len};
}

char *bf_arena_printf(struct bf_arena *a, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *text = n < 0 ? NULL : bf_arena_alloc(a, (size_t)n + 1);
	if (text)
		(void)vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return text;
}

void bf_arena_reset(struct bf_arena *a)
{
	struct bf_arena_chunk *kept = NULL;

	/* The newest chunk that is not too large to lie idle; chunks grow, so it is the best of
	 * those. */
	for (struct bf_arena_chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		if (kept || !keeps_chunk(a, c)) {
			chunk_free(a, c);
			continue;
		}
		if (a->nodump)
			explicit_bzero(c->data, c->used);
		c->used = 0;
		c->next = NULL;
		kept = c;
	}
	a->chunks = kept;
	a->used_bytes = 0;
}

void bf_arena_done(struct bf_arena *a)
{
	for (struct bf_arena_chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		chunk_free(a, c);
	}
	a->chunks = NULL;
	a->used_bytes = 0;
}
