/*
 * Answers of upstreams: read whole and one byte at a time, which must come to the same, as HTTP and
 * as the events in the body. Aborts when they differ or a bound does not hold.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxyd/provider/openai_said.h"
#include "proxyd/provider/sse.h"
#include "proxyd/provider/upstream_http.h"

#define BODY_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	enum upstream_http_phase phase;
	size_t used;
	bool keep_alive;
	unsigned heads;
	struct upstream_head head;
	char body[BODY_MAX];
	size_t body_len;
};

static bool on_head(void *ctx, const struct upstream_head *head)
{
	struct seen *s = ctx;

	if (head->status < 200 || head->status > 599 || s->body_len || s->heads++)
		abort();
	s->head = *head;
	return true;
}

static bool on_body(void *ctx, struct bf_slice bytes)
{
	struct seen *s = ctx;

	if (bytes.len == 0 || !s->heads || s->body_len + bytes.len > BODY_MAX)
		abort();
	memcpy(s->body + s->body_len, bytes.ptr, bytes.len);
	s->body_len += bytes.len;
	return true;
}

static void read_answer(struct seen *s, const uint8_t *data, size_t size, size_t step,
			struct bf_arena *lines)
{
	static const struct upstream_http_events events = {on_head, on_body};
	struct upstream_http h;

	memset(s, 0, sizeof(*s));
	upstream_http_reset(&h);
	h.lines.arena = lines;
	for (size_t at = 0; at < size && h.phase < UPSTREAM_HTTP_DONE;) {
		size_t len = BF_MIN(step, size - at);
		char *copy = malloc(len);
		if (!copy)
			abort();
		memcpy(copy, data + at, len);
		size_t used = upstream_http_feed(&h, copy, len, &events, s);
		free(copy);
		if (used > len || (used < len && h.phase < UPSTREAM_HTTP_DONE))
			abort();
		at += used;
		s->used = at;
	}
	upstream_http_end(&h, true);
	if (h.phase != UPSTREAM_HTTP_DONE && h.phase != UPSTREAM_HTTP_FAILED)
		abort();
	if (h.phase == UPSTREAM_HTTP_FAILED && !h.reason)
		abort();
	s->phase = h.phase;
}

static bool same_head(const struct upstream_head *a, const struct upstream_head *b)
{
	return a->status == b->status && a->encoded == b->encoded && a->framed == b->framed &&
	       strcmp(a->content_type, b->content_type) == 0 &&
	       strcmp(a->retry_after, b->retry_after) == 0 &&
	       strcmp(a->retry_after_ms, b->retry_after_ms) == 0 && bf_slice_eq(a->lines, b->lines);
}

/* Whole lines, within the bounds. */
static void check_lines(struct bf_slice lines)
{
	size_t count = 0;

	if (lines.len > UPSTREAM_LINES_BYTES)
		abort();
	for (size_t i = 0; i < lines.len; i++)
		count += lines.ptr[i] == '\n';
	if (count > UPSTREAM_LINES_MAX || (lines.len && lines.ptr[lines.len - 1] != '\n'))
		abort();
}

/* Lengths of the events in bytes that come in pieces of step. */
static size_t read_events(const char *bytes, size_t len, size_t step, size_t *ends, size_t max)
{
	struct sse_scan scan = {0};
	size_t begin = 0, count = 0;

	for (size_t have = 0; have < len;) {
		have = BF_MIN(have + step, len);
		for (size_t n; (n = sse_next(&scan, bytes + begin, have - begin)) > 0;) {
			if (n > have - begin || count == max)
				abort();
			begin += n;
			ends[count++] = begin;
		}
	}
	return count;
}

static void check_events(const struct seen *s)
{
	static size_t whole[BODY_MAX], single[BODY_MAX];
	size_t n = read_events(s->body, s->body_len, BODY_MAX, whole, BODY_MAX);
	struct bf_arena arena;
	struct bf_buf joined;

	if (read_events(s->body, s->body_len, 1, single, BODY_MAX) != n ||
	    (n && memcmp(whole, single, n * sizeof(whole[0])) != 0))
		abort();
	bf_arena_init(&arena, 1 << 20);
	bf_buf_init(&joined, BODY_MAX);
	for (size_t i = 0, begin = 0; i < n; begin = whole[i++]) {
		struct bf_slice data;
		struct openai_said said;
		if (sse_data((struct bf_slice){s->body + begin, whole[i] - begin}, &joined, &data) <
		    0)
			continue;
		/* A cheap no must be right where keys are written as they are. */
		if (data.ptr && !memchr(data.ptr, '\\', data.len) &&
		    !openai_said_maybe(SHM_OBJECT_CHAT, data, false) &&
		    openai_said_read(SHM_OBJECT_CHAT, data, false, &arena, &said) &&
		    (said.usage || said.stop_reason.len))
			abort();
	}
	bf_buf_done(&joined);
	bf_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seen whole, single;
	struct bf_arena lines;

	if (size == 0 || size > BODY_MAX)
		return 0;
	bf_arena_init(&lines, 1 << 20);
	read_answer(&whole, data, size, size, &lines);
	read_answer(&single, data, size, 1, &lines);
	if (whole.phase != single.phase || whole.heads != single.heads)
		abort();
	if (whole.phase == UPSTREAM_HTTP_DONE &&
	    (whole.used != single.used || whole.body_len != single.body_len ||
	     memcmp(whole.body, single.body, whole.body_len) != 0 ||
	     !same_head(&whole.head, &single.head)))
		abort();
	check_lines(whole.head.lines);
	bf_arena_done(&lines);
	check_events(&whole);
	return 0;
}
