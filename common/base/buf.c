/*
 * Growable byte buffer with a ceiling. Called by everything that reads or writes a socket. Never
 * holds more than max_bytes, and never leaves a copy of no-dump bytes behind.
 */
#include "common/base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/nodump.h"

#define BUF_FIRST_SIZE 512u
#define BUF_CHEAP_MOVE (64u * 1024)

void bf_buf_init(struct bf_buf *b, size_t max_bytes)
{
	*b = (struct bf_buf){.max_bytes = max_bytes};
}

void bf_buf_init_nodump(struct bf_buf *b, size_t max_bytes)
{
	*b = (struct bf_buf){.max_bytes = max_bytes, .nodump = true};
}

static void release(struct bf_buf *b)
{
	if (b->nodump)
		bf_nodump_free(b->data, b->size);
	else
		free(b->data);
	b->data = NULL;
}

void bf_buf_done(struct bf_buf *b)
{
	release(b);
	b->start = b->end = b->size = 0;
}

static void compact(struct bf_buf *b)
{
	size_t len = bf_buf_len(b);

	if (b->start == 0)
		return;
	if (len)
		memmove(b->data, b->data + b->start, len);
	b->start = 0;
	b->end = len;
}

/*
 * Moving the bytes to the front pays when it is cheap or when at least as many bytes left as stay;
 * otherwise a large buffer that is always nearly full would move all of itself for every few bytes.
 */
static bool worth_compacting(const struct bf_buf *b, size_t want, size_t limit)
{
	size_t len = bf_buf_len(b);

	if (b->size - len < want)
		return false;
	return len <= BUF_CHEAP_MOVE || b->start >= len || b->size >= limit;
}

static int move_to(struct bf_buf *b, size_t size)
{
	size_t len = bf_buf_len(b);
	char *data;

	if (b->nodump) {
		data = bf_nodump_alloc(&size);
		if (!data)
			return -ENOMEM;
		if (len)
			memcpy(data, b->data + b->start, len);
		release(b);
	} else {
		compact(b);
		data = realloc(b->data, size);
		if (!data)
			return -ENOMEM;
	}
	b->data = data;
	b->start = 0;
	b->end = len;
	b->size = size;
	return 0;
}

/* Room for want bytes, of which spare are not counted against the ceiling (the terminator of
 * printf). */
static BF_NOINLINE int make_room(struct bf_buf *b, size_t want, size_t spare)
{
	size_t len = bf_buf_len(b);

	if (want - spare > b->max_bytes - len || want > SIZE_MAX / 4)
		return BF_E_LIMIT;
	if (b->data && b->size - b->end >= want)
		return 0;
	size_t limit = BF_MIN(b->max_bytes, SIZE_MAX / 4) + spare;
	if (b->data && worth_compacting(b, want, limit)) {
		compact(b);
		return 0;
	}
	size_t size = BF_MAX(b->size * 2, (size_t)BUF_FIRST_SIZE);
	size = BF_MIN(size, limit);
	size = BF_MAX(size, len + want);
	return move_to(b, BF_MAX(size, (size_t)1));
}

/* Nearly always, in a buffer that is used again and again. */
static bool has_room(const struct bf_buf *b, size_t want)
{
	return b->size - b->end >= want && b->max_bytes - bf_buf_len(b) >= want && b->data;
}

int bf_buf_reserve(struct bf_buf *b, size_t want)
{
	return has_room(b, want) ? 0 : make_room(b, want, 0);
}

int bf_buf_append(struct bf_buf *b, const void *bytes, size_t len)
{
	if (len == 0)
		return 0;
	int r = bf_buf_reserve(b, len);
	if (r < 0)
		return r;
	memcpy(b->data + b->end, bytes, len);
	b->end += len;
	return 0;
}

int bf_buf_append_slice(struct bf_buf *b, struct bf_slice s)
{
	return bf_buf_append(b, s.ptr, s.len);
}

int bf_buf_printf(struct bf_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	size_t room = b->data ? b->size - b->end : 0;

	va_start(ap, fmt);
	va_copy(again, ap);
	int r = 0;
	int n = vsnprintf(room ? b->data + b->end : NULL, room, fmt, ap);
	if (n < 0)
		r = BF_E_SYNTAX;
	else if ((size_t)n >= room || (size_t)n > b->max_bytes - bf_buf_len(b))
		r = make_room(b, (size_t)n + 1, 1);
	if (n >= 0 && r == 0) {
		if ((size_t)n >= room)
			(void)vsnprintf(b->data + b->end, (size_t)n + 1, fmt, again);
		b->end += (size_t)n;
	}
	va_end(again);
	va_end(ap);
	return r;
}

void bf_buf_consume(struct bf_buf *b, size_t n)
{
	assert(n <= bf_buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void bf_buf_clear(struct bf_buf *b)
{
	b->start = b->end = 0;
}
