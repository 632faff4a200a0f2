/*
 * Reads answers for conn.c. Must tell a whole answer from one that was cut at any byte.
 */
#include "tests/support/loadgen/reply.h"

#include <strings.h>

#include "common/base/macros.h"
#include "common/base/num.h"

void reply_init(struct reply *r)
{
	*r = (struct reply){0};
	bf_buf_init(&r->head, REPLY_HEAD_MAX);
}

void reply_done(struct reply *r)
{
	bf_buf_done(&r->head);
}

void reply_reset(struct reply *r)
{
	struct bf_buf head = r->head;

	bf_buf_clear(&head);
	*r = (struct reply){.head = head};
}

static enum reply_got bad(struct reply *r)
{
	r->state = REPLY_FAILED;
	return REPLY_BAD;
}

static bool name_is(const char *name, size_t len, const char *want)
{
	return strlen(want) == len && strncasecmp(name, want, len) == 0;
}

static int read_field(struct reply *r, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));
	size_t len = colon ? (size_t)(colon - line) : 0;
	struct bf_slice v;

	if (!len)
		return -1;
	for (colon++; colon < end && *colon == ' '; colon++)
		;
	v = (struct bf_slice){colon, (size_t)(end - colon)};
	if (name_is(line, len, "content-length")) {
		if (r->has_length)
			return -1;
		r->has_length = true;
		return bf_parse_u64(v, &r->rest);
	}
	if (name_is(line, len, "transfer-encoding")) {
		r->chunked = name_is(v.ptr, v.len, "chunked");
		return r->chunked ? 0 : -1;
	}
	if (name_is(line, len, "connection")) {
		r->close = r->close || name_is(v.ptr, v.len, "close");
	} else if (name_is(line, len, "content-type")) {
		r->is_stream = bf_slice_starts(v, BF_SLICE_LIT("text/event-stream"));
	} else if (name_is(line, len, "x-request-id")) {
		memcpy(r->id, v.ptr, BF_MIN(v.len, REPLY_ID_LEN));
		r->id[BF_MIN(v.len, REPLY_ID_LEN)] = 0;
	}
	return 0;
}

static int read_status(struct reply *r, const char *line, size_t len)
{
	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ')
		return -1;
	for (int i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		r->status = r->status * 10 + line[i] - '0';
	}
	r->close = line[7] == '0';
	return 0;
}

/* text ends with the empty line. */
static int read_head(struct reply *r, struct bf_slice text)
{
	const char *last = text.ptr + text.len - 2;
	const char *end = memmem(text.ptr, text.len, "\r\n", 2);

	if (!end || read_status(r, text.ptr, (size_t)(end - text.ptr)) != 0)
		return -1;
	while (end + 2 < last) {
		const char *line = end + 2;

		end = memmem(line, (size_t)(text.ptr + text.len - line), "\r\n", 2);
		if (!end || read_field(r, line, end) != 0)
			return -1;
	}
	return r->chunked && r->has_length ? -1 : 0;
}

static void after_head(struct reply *r)
{
	if (r->status < 200) {
		reply_reset(r); /* an interim answer */
	} else if (r->status == 204 || r->status == 304) {
		r->state = REPLY_WHOLE;
	} else if (r->chunked) {
		r->state = REPLY_CHUNK_SIZE;
	} else if (r->has_length) {
		r->state = r->rest ? REPLY_LENGTH : REPLY_WHOLE;
	} else {
		r->state = REPLY_TO_END;
		r->close = true;
	}
}

/* Length of a head that ends within these bytes, or 0. */
static size_t head_length(struct bf_slice text)
{
	const char *end = memmem(text.ptr, text.len, "\r\n\r\n", 4);

	return end ? (size_t)(end - text.ptr) + 4 : 0;
}

static enum reply_got take_head(struct reply *r, struct bf_slice *in)
{
	size_t kept = bf_buf_len(&r->head), whole = 0;
	struct bf_slice text = *in;

	if (!kept)
		whole = head_length(text);
	if (!whole) {
		if (bf_buf_append_slice(&r->head, *in) != 0)
			return bad(r);
		text = bf_buf_slice(&r->head);
		whole = head_length(text);
	}
	if (memcmp(text.ptr, "HTTP/1.", BF_MIN(text.len, 7)) != 0)
		return bad(r);
	if (!whole) {
		in->len = 0;
		return REPLY_MORE;
	}
	text.len = whole;
	if (read_head(r, text) != 0)
		return bad(r);
	*in = (struct bf_slice){in->ptr + (whole - kept), in->len - (whole - kept)};
	bf_buf_clear(&r->head);
	after_head(r);
	return REPLY_MORE;
}

static enum reply_got take_body(struct reply *r, struct bf_slice *in, struct bf_slice *ret_payload)
{
	size_t n = in->len;

	if (r->state != REPLY_TO_END) {
		n = (size_t)BF_MIN(n, r->rest);
		r->rest -= n;
	}
	*ret_payload = (struct bf_slice){in->ptr, n};
	*in = (struct bf_slice){in->ptr + n, in->len - n};
	if (r->state != REPLY_TO_END && !r->rest)
		r->state = r->state == REPLY_LENGTH ? REPLY_WHOLE : REPLY_CHUNK_END;
	return REPLY_PAYLOAD;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The line of a chunk's size, a byte at a time; extensions are not expected. */
static enum reply_got take_size(struct reply *r, struct bf_slice *in)
{
	char c = *in->ptr;
	int digit = hex_digit(c);

	in->ptr++;
	in->len--;
	if (digit >= 0 && !memchr(r->line, '\r', r->line_len) && r->line_len < 15) {
		r->line[r->line_len++] = c;
		r->rest = r->rest << 4 | (unsigned)digit;
		return REPLY_MORE;
	}
	if (c == '\r' && r->line_len && r->line[r->line_len - 1] != '\r') {
		r->line[r->line_len++] = c;
		return REPLY_MORE;
	}
	if (c != '\n' || !r->line_len || r->line[r->line_len - 1] != '\r')
		return bad(r);
	r->line_len = 0;
	r->state = r->rest ? REPLY_CHUNK_DATA : REPLY_TRAILER;
	return REPLY_MORE;
}

/* CRLF behind a chunk (lines false), or lines up to an empty one. */
static enum reply_got take_line_end(struct reply *r, struct bf_slice *in, bool lines)
{
	char c = *in->ptr;

	in->ptr++;
	in->len--;
	if (c == '\n' && r->line_len && r->line[0] == '\r') {
		r->line_len = 0;
		r->rest = 0;
		r->state = lines ? REPLY_WHOLE : REPLY_CHUNK_SIZE;
	} else if (c == '\r' && !r->line_len) {
		r->line[r->line_len++] = c;
	} else if (!lines) {
		return bad(r);
	} else {
		r->line_len = c == '\n' ? 0 : 1;
		r->line[0] = 'x'; /* within a trailer's line */
	}
	return REPLY_MORE;
}

enum reply_got reply_next(struct reply *r, struct bf_slice *in, struct bf_slice *ret_payload)
{
	enum reply_got got = REPLY_MORE;

	while (got == REPLY_MORE && r->state != REPLY_WHOLE && in->len) {
		switch (r->state) {
		case REPLY_HEAD:
			got = take_head(r, in);
			break;
		case REPLY_LENGTH:
		case REPLY_TO_END:
		case REPLY_CHUNK_DATA:
			return take_body(r, in, ret_payload);
		case REPLY_CHUNK_SIZE:
			got = take_size(r, in);
			break;
		case REPLY_CHUNK_END:
			got = take_line_end(r, in, false);
			break;
		case REPLY_TRAILER:
			got = take_line_end(r, in, true);
			break;
		case REPLY_WHOLE:
		case REPLY_FAILED:
			return REPLY_BAD;
		}
	}
	return got == REPLY_MORE && r->state == REPLY_WHOLE ? REPLY_DONE : got;
}

bool reply_ends_here(const struct reply *r)
{
	return r->state == REPLY_TO_END;
}
