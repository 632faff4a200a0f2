/*
 * Reads answers of upstreams. Called by upstream connections, tests and the fuzzer. Refuses what
 * llhttp lets pass and what two readers could understand differently: folded lines, doubled or
 * contradicting framing headers, codings that were not asked for. Must never trust a length.
 */
#include "proxyd/provider/upstream_http.h"

#include <string.h>

#include "common/base/macros.h"
#include "proxyd/head_field.h"

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

/* A header of the answer, trimmed. */
struct http_field {
	struct bf_slice name, value;
	bool whole; /* the value was not cut */
};

static bool name_is(const struct http_field *f, const char *name)
{
	return bf_slice_is_nocase(f->name, name);
}

static bool value_is(const struct http_field *f, const char *text)
{
	return f->whole && bf_slice_is_nocase(f->value, text);
}

static void take_content_type(struct upstream_http *h, struct bf_slice v)
{
	static const char usual[] = "application/json";
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
static void take_text(const struct http_field *f, char *out, size_t size)
{
	if (!f->whole || f->value.len >= size)
		return;
	memcpy(out, f->value.ptr, f->value.len);
	out[f->value.len] = '\0';
}

static int take_transfer_encoding(struct upstream_http *h, const struct http_field *f)
{
	if (++h->te_count > 1)
		return http_fail(h, "more than one Transfer-Encoding header");
	if (!value_is(f, "chunked"))
		return http_fail(h, "a Transfer-Encoding other than chunked");
	h->te_chunked = true;
	return 0;
}

static int take_length(struct upstream_http *h)
{
	return ++h->length_count > 1 ? http_fail(h, "more than one Content-Length header") : 0;
}

/* Headers that matter to reading, by the length of their names: few others have it. */
static int take_header(struct upstream_http *h, const struct http_field *f)
{
	switch (f->name.len) {
	case 10:
		if (name_is(f, "connection") && !value_is(f, "close") && !value_is(f, "keep-alive"))
			upstream_lines_names(&h->lines);
		return 0;
	case 11:
		if (name_is(f, "retry-after"))
			take_text(f, h->head.retry_after, sizeof(h->head.retry_after));
		return 0;
	case 12:
		if (name_is(f, "content-type"))
			take_content_type(h, f->value);
		return 0;
	case 14:
		if (name_is(f, "content-length"))
			return take_length(h);
		if (name_is(f, "retry-after-ms"))
			take_text(f, h->head.retry_after_ms, sizeof(h->head.retry_after_ms));
		return 0;
	case 16:
		if (name_is(f, "content-encoding"))
			h->head.encoded = h->head.encoded || !value_is(f, "identity");
		return 0;
	case 17:
		return name_is(f, "transfer-encoding") ? take_transfer_encoding(h, f) : 0;
	default:
		return 0;
	}
}

/* ---- usual heads, without llhttp */

/* What nearly all final answers begin with. Returns the first header, or NULL. */
static const char *usual_status(const char *bytes, const char *end, int *ret_status)
{
	static const char version[] = "HTTP/1.1 ";
	const char *code = bytes + sizeof(version) - 1;

	if (end - code < 4 || memcmp(bytes, version, sizeof(version) - 1) != 0)
		return NULL;
	for (int i = 0; i < 3; i++)
		if (code[i] < '0' || code[i] > '9')
			return NULL;
	if (code[0] < '2' || code[0] > '5' || code[3] != ' ')
		return NULL;
	*ret_status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + code[2] - '0';
	const char *behind = head_value_end(code + 4, end);
	return *behind == '\r' ? behind + 2 : NULL;
}

/* False: llhttp has to look. */
static bool take_usual_field(struct upstream_http *h, const struct exchange_header *field)
{
	const struct http_field f = {field->name, field->value,
				     field->value.len <= sizeof(h->value)};

	if (head_field_is_framing(field))
		return false;
	if (f.name.len == 14 && name_is(&f, "content-length") &&
	    (h->length_count || !head_field_length(f.value, &h->left)))
		return false;
	upstream_lines_add(&h->lines, f.name, f.value);
	return take_header(h, &f) == 0;
}

/* A whole head; false: it is unusual, and nothing is noted of it. */
static bool read_usual_head(struct upstream_http *h, const char *bytes, size_t len)
{
	const char *end = bytes + len, *p;
	struct exchange_header field;

	p = usual_status(bytes, end, &h->head.status);
	while (p && *p != '\r') {
		p = head_field_read(p, end, &field);
		if (p && !take_usual_field(h, &field))
			p = NULL;
	}
	h->complete = h->keep_alive = p != NULL;
	if (p)
		return true;
	h->head = (struct upstream_head){0};
	h->length_count = 0;
	h->left = 0;
	upstream_lines_restart(&h->lines);
	return false;
}

/* ---- llhttp's view */

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

static struct bf_slice kept_value(const struct upstream_http *h)
{
	struct bf_slice v = {h->value, BF_MIN(h->value_len, sizeof(h->value))};

	while (v.len && (v.ptr[v.len - 1] == ' ' || v.ptr[v.len - 1] == '\t'))
		v.len--;
	return v;
}

static int on_value_complete(llhttp_t *p)
{
	struct upstream_http *h = p->data;
	int r = 0;

	if (h->phase != UPSTREAM_HTTP_TRAILER) {
		/* A name that was cut is longer than all that matter. */
		const struct http_field f = {
		    {h->name, h->name_len}, kept_value(h), h->value_len <= sizeof(h->value)};
		r = take_header(h, &f);
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
	if (h->length_count)
		h->left = p->content_length;
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
	bool whole = h->scan.state == HEAD_SCAN_END && h->scan.scanned == n;
	llhttp_errno_t e = HPE_OK;
	if (!whole || !read_usual_head(h, bytes, n))
		e = llhttp_execute(&h->parser, bytes, n);
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
