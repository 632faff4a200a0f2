/*
 * Bump arena with a hard cap. Lifetime of everything inside: until bf_arena_reset or bf_arena_done.
 * With -Darena=malloc every allocation is a malloc of its own, so that ASan sees each object; a
 * no-dump arena then still wipes, but its memory is ordinary heap.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/macros.h"
#include "common/base/slice.h"

struct bf_arena_chunk;

struct bf_arena {
	struct bf_arena_chunk *chunks; /* newest first */
	size_t used_bytes;             /* handed out since the last reset, alignment included */
	size_t cap_bytes;
	size_t keep_bytes; /* largest chunk that a reset keeps, its header included */
	bool nodump; /* chunks are mmap'd with MADV_DONTDUMP and wiped at reset: for secrets */
};

/* An empty arena: no memory is taken before the first allocation. */
void bf_arena_init(struct bf_arena *a, size_t cap_bytes);

/* As bf_arena_init, for memory that must not reach a core file. */
void bf_arena_init_nodump(struct bf_arena *a, size_t cap_bytes);

/* size bytes, aligned to 16, zeroed; NULL beyond the cap or when memory is out. size 0 gives a
 * valid pointer. */
void *bf_arena_alloc(struct bf_arena *a, size_t size) BF_MUST_CHECK;

/*
 * Resizes an allocation of old_size bytes; new bytes are zeroed. In place for the newest one while
 * its chunk has room, else a copy, and the old bytes stay counted until the reset; making smaller
 * never moves. NULL leaves ptr as it was.
 */
void *bf_arena_resize(struct bf_arena *a, void *ptr, size_t old_size,
		      size_t new_size) BF_MUST_CHECK;

/* A terminated copy of s; ptr is NULL when it does not fit. */
struct bf_slice bf_arena_dup(struct bf_arena *a, struct bf_slice s) BF_MUST_CHECK;

/* Formatted text, terminated; NULL when it does not fit. */
char *bf_arena_printf(struct bf_arena *a, const char *fmt, ...) BF_PRINTF(2, 3) BF_MUST_CHECK;

/* Of an arena that is filled and reset again and again: a reset keeps a chunk of up to so many
 * bytes instead of 64 KiB. */
void bf_arena_keep(struct bf_arena *a, size_t bytes);

/* Forgets everything; keeps one chunk, of at most 64 KiB or what bf_arena_keep said, for reuse. */
void bf_arena_reset(struct bf_arena *a);

/* Frees everything; the arena may be used again. Accepts a zeroed arena. */
void bf_arena_done(struct bf_arena *a);
