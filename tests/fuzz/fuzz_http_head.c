/*
 * HTTP/1.1 requests as a client may send them: read whole, one byte at a time, and behind an empty
 * line, where llhttp reads every head: all must come to the same. Aborts when they differ, or when
 * a slice points outside the input.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxyd/front/http1.h"

#define HEAD_MAX 4096u
#define BODY_MAX 65536u

static struct http1_table table;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A digest of everything a request said. */
struct seen {
	enum http1_phase phase;
	int status;
	size_t used;
	uint64_t body_len, body_hash, head_hash;
};

static uint64_t hash(uint64_t h, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return h;
}

static int on_body(void *ctx, const char *bytes, size_t len)
{
	struct seen *s = ctx;

	if (s->body_len + len > BODY_MAX)
		return 413;
	s->body_len += len;
	s->body_hash = hash(s->body_hash, bytes, len);
	return 0;
}

static void check_slice(struct bf_slice s, const char *bytes, size_t len)
{
	bool fixed = s.len == 1 && (s.ptr[0] == '/' || s.ptr[0] == '*');

	if (s.len && !fixed && (s.ptr < bytes || s.ptr + s.len > bytes + len))
		abort();
}

static void note_head(struct seen *s, const struct http1_head *head, const char *bytes, size_t len)
{
	const struct bf_slice slices[] = {head->path, head->query, head->request_id};

	for (size_t i = 0; i < BF_ARRAY_LEN(slices); i++) {
		check_slice(slices[i], bytes, len);
		s->head_hash = hash(s->head_hash + slices[i].len, slices[i].ptr, slices[i].len);
	}
	for (uint32_t i = 0; i < head->header_count; i++) {
		const struct exchange_header *row = &head->headers[i];
		check_slice(row->name, bytes, len);
		check_slice(row->value, bytes, len);
		s->head_hash = hash(s->head_hash + row->name.len, row->name.ptr, row->name.len);
		s->head_hash = hash(s->head_hash + row->value.len, row->value.ptr, row->value.len);
	}
	s->head_hash += (uint64_t)head->method + head->content_length * 8 + head->keep_alive * 2u +
			head->chunked * 4u;
}

/* Reads one request from pieces of step bytes; copies of the exact size let ASan see a look beyond.
 */
static void read_request(struct seen *s, const char *bytes, size_t size, size_t step)
{
	struct http1 h;
	size_t pos = 0;

	memset(s, 0, sizeof(*s));
	http1_init(&h, &table);
	for (size_t end = 0; end < size && h.phase != HTTP1_DONE && h.phase != HTTP1_FAILED;) {
		end = BF_MIN(end + step, size);
		if (h.phase == HTTP1_HEAD) {
			char *copy = malloc(end);
			if (!copy)
				abort();
			memcpy(copy, bytes, end);
			long n = http1_read_head(&h, copy, end, HEAD_MAX);
			if (n > 0) {
				pos = (size_t)n;
				note_head(s, &h.head, copy, pos);
			}
			free(copy);
		}
		while (h.phase > HTTP1_HEAD && h.phase < HTTP1_DONE && pos < end)
			pos += http1_read_body(&h, bytes + pos, end - pos, on_body, s);
	}
	s->phase = h.phase;
	s->status = h.status;
	s->used = h.phase == HTTP1_DONE ? pos : 0;
	if (h.phase == HTTP1_FAILED && (h.status < 400 || h.status > 599))
		abort();
}

/* What may be refused for its length is left out. */
static void compare_with_llhttp(const struct seen *s, const uint8_t *data, size_t size)
{
	static char text[HEAD_MAX];
	struct seen slow;

	if (size == 0 || size > sizeof(text) - 2 || data[0] == '\r')
		return;
	memcpy(text, "\r\n", 2);
	memcpy(text + 2, data, size);
	read_request(&slow, text, size + 2, size + 2);
	if (s->phase != slow.phase || s->body_len != slow.body_len ||
	    (s->phase == HTTP1_DONE &&
	     (s->used + 2 != slow.used || s->head_hash != slow.head_hash)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, single;

	if (size > BODY_MAX)
		return 0;
	read_request(&whole, (const char *)data, size, size ? size : 1);
	read_request(&single, (const char *)data, size, 1);
	if (whole.phase != single.phase || whole.status != single.status ||
	    whole.used != single.used)
		abort();
	/* A body that turned out bad may have been handed out to a different point. */
	if (whole.phase == HTTP1_DONE &&
	    (whole.body_len != single.body_len || whole.body_hash != single.body_hash ||
	     whole.head_hash != single.head_hash))
		abort();
	compare_with_llhttp(&whole, data, size);
	return 0;
}
