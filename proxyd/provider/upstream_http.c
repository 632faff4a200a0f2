/*
 * Reads answers of upstreams. Called by upstream connections, tests and the fuzzer. Refuses what
 * llhttp lets pass and what two readers could understand differently: folded lines, doubled or
 * contradicting framing headers, codings that were not asked for. Must never trust a length.
 */
#include "proxyd/provider/upstream_http.h"

#include <string.h>

#include "common/base/macros.h"

/* What chunk framing may cost: a fixed part, and 8 bytes for each byte of content. */
#define UPSTREAM_FRAME_FREE     (64u << 10)
#define UPSTREAM_FRAME_PER_BYTE 8u

static int http_fail(struct upstream_http *h, const char *reason)
{
	if (h->phase != UPSTREAM_HTTP_FAILED) {
		h->phase = UPSTREAM_HTTP_FAILED;
		h->reason = reason;
	}
	return -1;
}

static void http_keep(char *out, size_t size, size_t *len, const char *at, size_t n)
{
	if (*len < size)
		memcpy(out + *len, at, BF_MIN(n, size - *len));
	*len += n;
}

static int on_field(llhttp_t *p, const char *at, size_t len)
{
	struct upstream_http *h = p->data;

	if (h->phase == UPSTREAM_HTTP_TRAILER)
		return 0;
	http_keep(h->name, sizeof(h->name), &h->name_len, at, len);
	upstream_lines_name(&h->lines, at, len);
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
	struct upstream_http *h = p->data;

	if (h->phase == UPSTREAM_HTTP_TRAILER)
		return 0;
	http_keep(h->value, sizeof(h->value), &h->value_len, at, len);
	upstream_lines_value(&h->lines, at, len);
	return 0;
}

static bool http_name_is(const struct upstream_http *h, const char *name)
{
	return bf_slice_is_nocase((struct bf_slice){h->name, h->name_len}, name);
}

static struct bf_slice http_value(const struct upstream_http *h)
{
	struct bf_slice v = {h->value, BF_MIN(h->value_len, sizeof(h->value))};

	while (v.len && (v.ptr[v.len - 1] == ' ' || v.ptr[v.len - 1] == '\t'))
		v.len--;
	return v;
}

static bool http_value_is(const struct upstream_http *h, const char *text)
{
	return h->value_len <= sizeof(h->value) && bf_slice_is_nocase(http_value(h), text);
}

static void take_content_type(struct upstream_http *h)
{
	static const char usual[] = "application/json";
	struct bf_slice v = http_value(h);
	char *out = h->head.content_type;
	size_t max = BF_MIN(v.len, sizeof(h->head.content_type) - 1), n = 0;

	if (bf_slice_is(v, usual)) {
		memcpy(out, usual, sizeof(usual));
		return;
	}
	for (; n < max; n++) {
		char ch = v.ptr[n];
		if (ch == ';' || ch == ',' || ch == ' ' || ch == '\t')
			break;
		out[n] = ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch;
	}
	out[n] = '\0';
}

/* A value that does not fit says nothing. */
static void take_text(const struct upstream_http *h, char *out, size_t size)
{
	struct bf_slice v = http_value(h);

	if (h->value_len > sizeof(h->value) || v.len >= size)
		return;
	memcpy(out, v.ptr, v.len);
	out[v.len] = '\0';
}

static int take_transfer_encoding(struct upstream_http *h)
{
	if (++h->te_count > 1)
		return http_fail(h, "more than one Transfer-Encoding header");
	if (!http_value_is(h, "chunked"))
		return http_fail(h, "a Transfer-Encoding other than chunked");
	h->te_chunked = true;
	return 0;
}

static int take_length(struct upstream_http *h)
{
	return ++h->length_count > 1 ? http_fail(h, "more than one Content-Length header") : 0;
}

/* Headers that matter to reading, by the length of their names: few others have it. */
static int take_header(struct upstream_http *h)
{
	switch (h->name_len) {
	case 10:
		if (http_name_is(h, "connection") && !http_value_is(h, "close") &&
		    !http_value_is(h, "keep-alive"))
			upstream_lines_names(&h->lines);
		return 0;
	case 11:
		if (http_name_is(h, "retry-after"))
			take_text(h, h->head.retry_after, sizeof(h->head.retry_after));
		return 0;
	case 12:
		if (http_name_is(h, "content-type"))
			take_content_type(h);
		return 0;
	case 14:
		if (http_name_is(h, "content-length"))
			return take_length(h);
		if (http_name_is(h, "retry-after-ms"))
			take_text(h, h->head.retry_after_ms, sizeof(h->head.retry_after_ms));
		return 0;
	case 16:
		if (http_name_is(h, "content-encoding"))
			h->head.encoded = h->head.encoded || !http_value_is(h, "identity");
		return 0;
	case 17:
		return http_name_is(h, "transfer-encoding") ? take_transfer_encoding(h) : 0;
	default:
		return 0;
	}
}

static int on_value_complete(llhttp_t *p)
{
	struct upstream_http *h = p->data;
	int r = 0;

	if (h->phase != UPSTREAM_HTTP_TRAILER) {
		r = take_header(h);
		upstream_lines_end(&h->lines);
	}
	h->name_len = h->value_len = 0;
	return r;
}

static int on_headers_complete(llhttp_t *p)
{
	struct upstream_http *h = p->data;

	if (h->phase == UPSTREAM_HTTP_TRAILER)
		return 0;
	h->complete = true;
	h->head.status = p->status_code;
	if (p->http_major != 1 || p->http_minor > 1)
		return http_fail(h, "an HTTP version other than 1.1 and 1.0");
	if (h->te_count && p->http_minor == 0)
		return http_fail(h, "Transfer-Encoding in HTTP/1.0");
	if (h->te_count && h->length_count)
		return http_fail(h, "both Content-Length and Transfer-Encoding");
	h->keep_alive = llhttp_should_keep_alive(p) != 0;
	p->upgrade = 0;
	return 0;
}

static int on_chunk_body(llhttp_t *p, const char *at, size_t len)
{
	struct upstream_http *h = p->data;

	if (h->phase != UPSTREAM_HTTP_CHUNKS)
		return 0;
	h->body_bytes += len;
	h->stopped = !h->events->on_body(h->ctx, (struct bf_slice){at, len});
	return h->stopped ? -1 : 0;
}

static int on_chunk_header(llhttp_t *p)
{
	struct upstream_http *h = p->data;

	if (p->content_length != 0)
		return 0;
	h->phase = UPSTREAM_HTTP_TRAILER;
	head_scan_trailer(&h->scan);
	return HPE_PAUSED; /* the trailer section is scanned before llhttp sees it */
}

static int on_message_complete(llhttp_t *p)
{
	struct upstream_http *h = p->data;

	if (h->phase != UPSTREAM_HTTP_TRAILER)
		return 0;
	h->phase = UPSTREAM_HTTP_DONE;
	return HPE_PAUSED;
}

static const llhttp_settings_t http_settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_chunk_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

void upstream_http_reset(struct upstream_http *h)
{
	memset(h, 0, sizeof(*h));
	llhttp_init(&h->parser, HTTP_RESPONSE, &http_settings);
	h->parser.data = h;
	head_scan_trailer(&h->scan); /* no empty lines before the status line */
}

static void http_fail_llhttp(struct upstream_http *h)
{
	const char *reason = llhttp_get_error_reason(&h->parser);

	(void)http_fail(h, reason && reason[0] ? reason : "this is not an HTTP answer");
}

/* How the body ends, by RFC 9112 section 6.3. */
static void http_frame(struct upstream_http *h)
{
	if (h->head.status == 204 || h->head.status == 304) {
		h->phase = UPSTREAM_HTTP_DONE;
	} else if (h->te_chunked) {
		h->phase = UPSTREAM_HTTP_CHUNKS;
	} else if (h->length_count) {
		h->left = h->parser.content_length;
		h->phase = h->left ? UPSTREAM_HTTP_LENGTH : UPSTREAM_HTTP_DONE;
	} else {
		h->keep_alive = false;
		h->phase = UPSTREAM_HTTP_TO_CLOSE;
	}
}

/* The head is complete: skip an interim one, else tell. */
static void http_head_done(struct upstream_http *h)
{
	if (!h->complete) {
		(void)http_fail(h, "this is not an HTTP answer");
	} else if (h->head.status < 100 || h->head.status > 599) {
		(void)http_fail(h, "a status that HTTP does not know");
	} else if (h->head.status == 101) {
		(void)http_fail(h, "it switched protocols without being asked");
	} else if (h->head.status < 200) {
		unsigned seen = h->informational + 1;
		const struct upstream_http_events *events = h->events;
		struct upstream_lines lines = h->lines;
		void *ctx = h->ctx;

		upstream_http_reset(h);
		h->lines = lines;
		upstream_lines_restart(&h->lines);
		h->informational = seen;
		h->events = events;
		h->ctx = ctx;
		if (seen > UPSTREAM_INFORMATIONAL_MAX)
			(void)http_fail(h, "too many interim answers");
	} else {
		http_frame(h);
		h->head.framed = h->phase != UPSTREAM_HTTP_TO_CLOSE;
		h->head.lines = upstream_lines_done(&h->lines);
		h->stopped = !h->events->on_head(h->ctx, &h->head);
	}
}

static size_t feed_head(struct upstream_http *h, const char *bytes, size_t len)
{
	size_t n = head_scan_feed(&h->scan, bytes, len);

	if (h->scan.state == HEAD_SCAN_BAD) {
		(void)http_fail(h, h->scan.reason);
		return n;
	}
	if (h->scan.scanned > UPSTREAM_HEAD_MAX) {
		(void)http_fail(h, "an endless header section");
		return n;
	}
	llhttp_errno_t e = llhttp_execute(&h->parser, bytes, n);
	if (e != HPE_OK)
		http_fail_llhttp(h);
	else if (h->scan.state == HEAD_SCAN_END)
		http_head_done(h);
	return n;
}

static size_t feed_plain(struct upstream_http *h, const char *bytes, size_t len)
{
	size_t n = len;

	if (h->phase == UPSTREAM_HTTP_LENGTH) {
		n = (size_t)BF_MIN((uint64_t)len, h->left);
		h->left -= n;
		if (h->left == 0)
			h->phase = UPSTREAM_HTTP_DONE;
	}
	h->body_bytes += n;
	h->stopped = !h->events->on_body(h->ctx, (struct bf_slice){bytes, n});
	return n;
}

static size_t feed_chunks(struct upstream_http *h, const char *bytes, size_t len)
{
	uint64_t content = h->body_bytes;
	llhttp_errno_t e = llhttp_execute(&h->parser, bytes, len);
	size_t used = len;

	if (h->stopped)
		return len;
	if (e == HPE_PAUSED) {
		used = (size_t)(llhttp_get_error_pos(&h->parser) - bytes);
		llhttp_resume(&h->parser);
	} else if (e != HPE_OK) {
		http_fail_llhttp(h);
		return len;
	}
	h->frame_bytes += used - (h->body_bytes - content);
	return used;
}

static size_t feed_trailer(struct upstream_http *h, const char *bytes, size_t len)
{
	size_t n = head_scan_feed(&h->scan, bytes, len);

	if (h->scan.state == HEAD_SCAN_BAD) {
		(void)http_fail(h, h->scan.reason);
		return n;
	}
	llhttp_errno_t e = llhttp_execute(&h->parser, bytes, n);
	if (e != HPE_OK && e != HPE_PAUSED)
		http_fail_llhttp(h);
	else if ((h->scan.state == HEAD_SCAN_END) != (h->phase == UPSTREAM_HTTP_DONE))
		(void)http_fail(h, "malformed trailer section");
	h->frame_bytes += n;
	return n;
}

static size_t feed_step(struct upstream_http *h, const char *bytes, size_t len)
{
	switch (h->phase) {
	case UPSTREAM_HTTP_HEAD:
		return feed_head(h, bytes, len);
	case UPSTREAM_HTTP_LENGTH:
	case UPSTREAM_HTTP_TO_CLOSE:
		return feed_plain(h, bytes, len);
	case UPSTREAM_HTTP_CHUNKS:
		return feed_chunks(h, bytes, len);
	case UPSTREAM_HTTP_TRAILER:
		return feed_trailer(h, bytes, len);
	case UPSTREAM_HTTP_DONE:
	case UPSTREAM_HTTP_FAILED:
		break;
	}
	return 0;
}

size_t upstream_http_feed(struct upstream_http *h, const char *bytes, size_t len,
			  const struct upstream_http_events *events, void *ctx)
{
	size_t used = 0;

	h->events = events;
	h->ctx = ctx;
	h->stopped = false;
	while (used < len && !h->stopped && h->phase < UPSTREAM_HTTP_DONE) {
		used += feed_step(h, bytes + used, len - used);
		if (h->frame_bytes > UPSTREAM_FRAME_FREE + UPSTREAM_FRAME_PER_BYTE * h->body_bytes)
			(void)http_fail(h, "too much chunk framing for so little content");
	}
	h->events = NULL;
	h->ctx = NULL;
	return used;
}

void upstream_http_end(struct upstream_http *h, bool orderly)
{
	h->keep_alive = false;
	if (h->phase == UPSTREAM_HTTP_TO_CLOSE && orderly)
		h->phase = UPSTREAM_HTTP_DONE;
	else if (h->phase != UPSTREAM_HTTP_DONE)
		(void)http_fail(h, "the connection ended before the answer did");
}
