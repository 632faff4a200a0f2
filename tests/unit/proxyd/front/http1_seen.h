/* What a request reader makes of bytes, for its tests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/front/http1.h"

#define HEAD_MAX 4096u

static struct http1_table table;

/* What a reader made of some bytes. */
struct seen {
	int status; /* 0: good or unfinished */
	enum http1_phase phase;
	struct http1_head head; /* slices point into path, query */
	char path[256], query[256], request_id[160];
	char fields[1024]; /* each name, a colon, its value and a line feed */
	char body[1024];
	size_t body_len;
	size_t used; /* bytes of this message */
	char reason[128];
};

static inline int on_body(void *ctx, const char *bytes, size_t len)
{
	struct seen *s = ctx;

	assert_true(s->body_len + len <= sizeof(s->body));
	memcpy(s->body + s->body_len, bytes, len);
	s->body_len += len;
	return 0;
}

static inline void keep(char *to, size_t size, struct bf_slice from)
{
	(void)snprintf(to, size, "%.*s", BF_SLICE_FMT(from));
}

/* An exact heap copy, so that ASan sees a look beyond the bytes given. */
static inline char *copy_of(const char *bytes, size_t len)
{
	char *p = malloc(len ? len : 1);

	assert_non_null(p);
	memcpy(p, bytes, len);
	return p;
}

static inline void keep_fields(struct seen *s, const struct http1_head *head)
{
	size_t at = 0;

	for (uint32_t i = 0; i < head->header_count && at < sizeof(s->fields); i++)
		at += (size_t)snprintf(s->fields + at, sizeof(s->fields) - at, "%.*s:%.*s\n",
				       BF_SLICE_FMT(head->headers[i].name),
				       BF_SLICE_FMT(head->headers[i].value));
}

static inline bool seen_failed(struct seen *s, const struct http1 *h)
{
	if (h->phase != HTTP1_FAILED)
		return false;
	s->status = h->status;
	(void)snprintf(s->reason, sizeof(s->reason), "%s", h->reason ? h->reason : "");
	return true;
}

/* Feeds pieces that end at each of cuts (the last one at len). Heads see all bytes so far, as the
 * connection does it. */
static inline void feed(struct seen *s, const char *text, const size_t *cuts, size_t cut_count)
{
	struct http1 h;
	size_t pos = 0;

	memset(s, 0, sizeof(*s));
	http1_init(&h, &table);
	for (size_t i = 0; i < cut_count && h.phase != HTTP1_DONE; i++) {
		char *bytes = copy_of(text, cuts[i]);
		if (h.phase == HTTP1_HEAD) {
			long n = http1_read_head(&h, bytes, cuts[i], HEAD_MAX);
			if (n > 0) {
				s->head = h.head;
				keep_fields(s, &h.head);
				keep(s->path, sizeof(s->path), h.head.path);
				keep(s->query, sizeof(s->query), h.head.query);
				keep(s->request_id, sizeof(s->request_id), h.head.request_id);
				pos = (size_t)n;
			}
		}
		if (h.phase == HTTP1_LENGTH || h.phase == HTTP1_CHUNKS ||
		    h.phase == HTTP1_TRAILER) {
			while (pos < cuts[i] && h.phase != HTTP1_DONE && h.phase != HTTP1_FAILED)
				pos += http1_read_body(&h, bytes + pos, cuts[i] - pos, on_body, s);
		}
		free(bytes);
		if (seen_failed(s, &h))
			break;
	}
	s->phase = h.phase;
	s->used = pos;
}

static inline void feed_whole(struct seen *s, const char *text, size_t len)
{
	feed(s, text, &len, 1);
}

static inline void expect_same(const struct seen *a, const struct seen *b, const char *what)
{
	if (a->status != b->status || a->phase != b->phase || a->body_len != b->body_len ||
	    memcmp(a->body, b->body, a->body_len) != 0 || strcmp(a->path, b->path) != 0 ||
	    (a->phase == HTTP1_DONE && a->used != b->used))
		fail_msg("%s: status %d/%d phase %d/%d body %zu/%zu used %zu/%zu", what, a->status,
			 b->status, (int)a->phase, (int)b->phase, a->body_len, b->body_len, a->used,
			 b->used);
}

/* With an empty line before it a head is unusual, and means the same. */
static inline void expect_as_llhttp(const char *text, size_t len)
{
	struct seen fast, slow;
	char behind[1024] = "\r\n";

	assert_true(len + 2 <= sizeof(behind));
	memcpy(behind + 2, text, len);
	feed_whole(&fast, text, len);
	feed_whole(&slow, behind, len + 2);
	if (slow.used)
		slow.used -= 2;
	/* What word is no method is told only where nothing stands before it. */
	if (fast.status == 501 && slow.status == 400)
		return;
	expect_same(&fast, &slow, text);
	if (fast.status != 0)
		return;
	assert_string_equal(fast.fields, slow.fields);
	assert_string_equal(fast.query, slow.query);
	assert_string_equal(fast.request_id, slow.request_id);
	assert_int_equal(fast.head.method, slow.head.method);
	assert_int_equal(fast.head.content_length, slow.head.content_length);
	assert_int_equal(fast.head.has_length, slow.head.has_length);
	assert_int_equal(fast.head.chunked, slow.head.chunked);
	assert_int_equal(fast.head.keep_alive, slow.head.keep_alive);
	assert_int_equal(fast.head.http10, slow.head.http10);
	assert_int_equal(fast.head.expect_continue, slow.head.expect_continue);
	assert_int_equal(fast.head.body_encoded, slow.head.body_encoded);
	assert_int_equal(fast.head.header_count, slow.head.header_count);
}
