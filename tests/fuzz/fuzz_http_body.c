/*
 * Chunked request bodies as a client may send them: read whole, one byte at a time, and cut in two
 * where the input's first byte says. All must come to the same content, the same end and the same
 * verdict. Aborts when they differ, or when a piece of content lies outside of the input.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxyd/front/http1.h"

#define BODY_MAX 65536u

static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

static struct http1_table table;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	enum http1_phase phase;
	int status;
	size_t used, len;
	char bytes[BODY_MAX];
	const char *piece; /* what is being read */
	size_t piece_len;
};

static struct seen whole, single, cut;

static int on_body(void *ctx, const char *bytes, size_t len)
{
	struct seen *s = ctx;

	if (len == 0 || bytes < s->piece || bytes + len > s->piece + s->piece_len)
		abort();
	if (s->len + len > BODY_MAX)
		return 413;
	memcpy(s->bytes + s->len, bytes, len);
	s->len += len;
	return 0;
}

/* A copy of the exact size lets ASan see a look beyond. */
static void read_piece(struct seen *s, struct http1 *h, const uint8_t *bytes, size_t len)
{
	char *copy = malloc(len);
	size_t used = 0;

	if (!copy)
		abort();
	memcpy(copy, bytes, len);
	s->piece = copy;
	s->piece_len = len;
	while (used < len && h->phase != HTTP1_DONE && h->phase != HTTP1_FAILED)
		used += http1_read_body(h, copy + used, len - used, on_body, s);
	s->used += used;
	free(copy);
}

/* Pieces of step bytes, the first one of `first`. */
static void read_body(struct seen *s, const uint8_t *data, size_t size, size_t first, size_t step)
{
	struct http1 h;

	s->used = s->len = 0;
	http1_init(&h, &table);
	if (http1_read_head(&h, head, sizeof(head) - 1, 4096) != (long)sizeof(head) - 1)
		abort();
	for (size_t pos = 0, n = first; pos < size && h.phase < HTTP1_DONE; pos += n, n = step) {
		n = BF_MIN(n, size - pos);
		read_piece(s, &h, data + pos, n);
	}
	s->phase = h.phase;
	s->status = h.status;
	if (h.phase == HTTP1_FAILED && (h.status < 400 || h.status > 599))
		abort();
}

static void expect_same(const struct seen *a, const struct seen *b)
{
	if (a->phase != b->phase || a->status != b->status)
		abort();
	/* A body that turned out bad may have been handed out to a different point. */
	if (a->phase != HTTP1_FAILED &&
	    (a->used != b->used || a->len != b->len || memcmp(a->bytes, b->bytes, a->len) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > BODY_MAX)
		return 0;
	size_t first = 1 + data[0] % (size - 1);
	data++;
	size--;
	read_body(&whole, data, size, size, size);
	read_body(&single, data, size, 1, 1);
	read_body(&cut, data, size, BF_MIN(first, size), size);
	expect_same(&whole, &single);
	expect_same(&whole, &cut);
	return 0;
}
