/* Growable byte buffer with a ceiling: bytes enter at the end and leave at the front. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/macros.h"
#include "common/base/slice.h"

struct bf_buf {
	char *data;
	size_t start;     /* first unread byte */
	size_t end;       /* one past the last byte */
	size_t size;      /* allocated */
	size_t max_bytes; /* ceiling of end - start */
	bool nodump;      /* as in bf_arena */
};

void bf_buf_init(struct bf_buf *b, size_t max_bytes);
void bf_buf_init_nodump(struct bf_buf *b, size_t max_bytes);
void bf_buf_done(struct bf_buf *b);

/* Room for at least want more bytes, at data + end. 0, BF_E_LIMIT beyond the ceiling, -ENOMEM. */
int bf_buf_reserve(struct bf_buf *b, size_t want) BF_MUST_CHECK;

/* The same errors as bf_buf_reserve; on an error nothing was appended. */
int bf_buf_append(struct bf_buf *b, const void *bytes, size_t len) BF_MUST_CHECK;
int bf_buf_append_slice(struct bf_buf *b, struct bf_slice s) BF_MUST_CHECK;
int bf_buf_printf(struct bf_buf *b, const char *fmt, ...) BF_PRINTF(2, 3) BF_MUST_CHECK;

/* Drops n bytes from the front; n <= length (asserted). */
void bf_buf_consume(struct bf_buf *b, size_t n);
void bf_buf_clear(struct bf_buf *b);

static inline size_t bf_buf_len(const struct bf_buf *b)
{
	return b->end - b->start;
}

static inline struct bf_slice bf_buf_slice(const struct bf_buf *b)
{
	return (struct bf_slice){b->data ? b->data + b->start : NULL, b->end - b->start};
}
