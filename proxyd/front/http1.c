/*
 * HTTP/1.1 request reading. Called by conn input, unit tests and the fuzzer. llhttp parses; this
 * file refuses what llhttp 8.1 accepts even in strict mode (folding, missing or doubled Host,
 * Transfer-Encoding on HTTP/1.0, codings it cannot undo, endless chunk framing). Must never keep a
 * pointer into the input beyond the call, except h->head until the next one.
 */
#include "proxyd/front/http1.h"

#include <string.h>
#include <strings.h>

#include "proxyd/front/http1_priv.h"

/* Framing that a chunked body may cost: a fixed part, and 8 bytes for each byte of content
 * (one-byte chunks need 5). */
#define HTTP1_FRAME_FREE     (16u << 10)
#define HTTP1_FRAME_PER_BYTE 8u

int http1_fail(struct http1 *h, int status, const char *reason)
{
	if (h->phase != HTTP1_FAILED) {
		h->phase = HTTP1_FAILED;
		h->status = status;
		h->reason = reason;
	}
	return -1;
}

static struct bf_slice slice_trim(struct bf_slice s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static int note_header(struct http1 *h, struct bf_slice name, struct bf_slice value)
{
	if (h->head.header_count == EXCHANGE_HEADERS_MAX)
		return http1_fail(h, 431, "too many headers");
	h->table->rows[h->head.header_count++] = (struct exchange_header){name, value};
	return http1_take_header(h, name, value);
}

/* The whole section lies in one piece, so every span comes in one piece; anything else is a fold.
 */
static int on_span(struct http1 *h, struct bf_slice *span, const char *at, size_t len)
{
	if (span->ptr)
		return http1_fail(h, 400, "folded header line");
	*span = (struct bf_slice){at, len};
	return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
	struct http1 *h = p->data;
	return on_span(h, &h->url, at, len);
}

static int on_header_field(llhttp_t *p, const char *at, size_t len)
{
	struct http1 *h = p->data;
	return h->phase == HTTP1_TRAILER ? 0 : on_span(h, &h->name, at, len);
}

static int on_header_value(llhttp_t *p, const char *at, size_t len)
{
	struct http1 *h = p->data;
	return h->phase == HTTP1_TRAILER ? 0 : on_span(h, &h->value, at, len);
}

static int on_header_value_complete(llhttp_t *p)
{
	struct http1 *h = p->data;

	if (h->phase == HTTP1_TRAILER)
		return 0; /* trailers are read over: nothing here has a use for them */
	int r = note_header(h, h->name, slice_trim(h->value));
	h->name = h->value = (struct bf_slice){NULL, 0};
	return r;
}

static enum exchange_method method_of(uint8_t llhttp_method)
{
	switch (llhttp_method) {
	case HTTP_GET:
		return EXCHANGE_GET;
	case HTTP_HEAD:
		return EXCHANGE_HEAD;
	case HTTP_POST:
		return EXCHANGE_POST;
	case HTTP_PUT:
		return EXCHANGE_PUT;
	case HTTP_PATCH:
		return EXCHANGE_PATCH;
	case HTTP_DELETE:
		return EXCHANGE_DELETE;
	case HTTP_OPTIONS:
		return EXCHANGE_OPTIONS;
	default:
		return EXCHANGE_OTHER;
	}
}

/* "http://host/path" becomes "/path": servers must accept the absolute form. */
static int strip_authority(struct http1 *h, struct bf_slice *url)
{
	size_t scheme = strncasecmp(url->ptr, "http://", BF_MIN(url->len, 7)) == 0 ? 7 : 8;

	if (url->len < scheme || (scheme == 8 && strncasecmp(url->ptr, "https://", 8) != 0))
		return http1_fail(h, 400, "the request target must begin with a slash");
	size_t i = scheme;
	while (i < url->len && url->ptr[i] != '/' && url->ptr[i] != '?')
		i++;
	if (i == scheme)
		return http1_fail(h, 400, "the request target names no host");
	url->ptr += i;
	url->len -= i;
	if (url->len && url->ptr[0] == '?') {
		h->head.path = BF_SLICE_LIT("/");
		h->head.query = (struct bf_slice){url->ptr + 1, url->len - 1};
		return 1;
	}
	if (url->len == 0)
		*url = BF_SLICE_LIT("/");
	return 0;
}

int http1_take_target(struct http1 *h)
{
	struct bf_slice url = h->url;
	int r;

	if (url.len == 1 && url.ptr[0] == '*') {
		if (h->head.method != EXCHANGE_OPTIONS)
			return http1_fail(h, 400, "the request target * belongs to OPTIONS");
		h->head.star = true;
		h->head.path = url;
		return 0;
	}
	if (url.len == 0)
		return http1_fail(h, 400, "empty request target");
	/* llhttp skips further ones; a proxy in front may take them for a part of the target. */
	if (url.ptr[-2] == ' ' || url.ptr[url.len + 1] == ' ')
		return http1_fail(h, 400, "more than one space in the request line");
	if (url.ptr[0] != '/') {
		r = strip_authority(h, &url);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	const char *mark = memchr(url.ptr, '?', url.len);
	h->head.path = (struct bf_slice){url.ptr, mark ? (size_t)(mark - url.ptr) : url.len};
	if (mark)
		h->head.query = (struct bf_slice){mark + 1, url.len - h->head.path.len - 1};
	return 0;
}

int http1_check_headers(struct http1 *h)
{
	if (h->head.http10 && h->te_count)
		return http1_fail(h, 400, "Transfer-Encoding in HTTP/1.0");
	if (!h->head.http10 && h->host_count == 0)
		return http1_fail(h, 400, "HTTP/1.1 needs a Host header");
	if (h->head.has_length && h->te_count)
		return http1_fail(h, 400, "both Content-Length and Transfer-Encoding");
	return 0;
}

static int on_headers_complete(llhttp_t *p)
{
	struct http1 *h = p->data;

	if (h->phase == HTTP1_TRAILER)
		return 0;
	h->complete = true;
	h->head.method = method_of(p->method);
	if (p->method == HTTP_CONNECT)
		return http1_fail(h, 501, "CONNECT is not supported");
	if (p->http_major != 1 || p->http_minor > 1)
		return http1_fail(h, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	h->head.http10 = p->http_minor == 0;
	if (http1_check_headers(h) < 0 || http1_take_target(h) < 0)
		return -1;
	h->head.keep_alive = llhttp_should_keep_alive(p) != 0;
	h->head.expect_continue = h->head.expect_continue && !h->head.http10;
	/* An offer to upgrade may be ignored; llhttp would otherwise stop parsing here. */
	p->upgrade = 0;
	if (h->head.has_length)
		h->head.content_length = p->content_length;
	return 0;
}

static bool too_much_framing(const struct http1 *h, uint64_t frame_bytes)
{
	return frame_bytes > HTTP1_FRAME_FREE + HTTP1_FRAME_PER_BYTE * h->body_bytes;
}

static int fail_framing(struct http1 *h)
{
	return http1_fail(h, 400, "too much chunk framing for so little content");
}

static int on_body_piece(llhttp_t *p, const char *at, size_t len)
{
	struct http1 *h = p->data;
	uint64_t here = (uint64_t)(at - h->piece) - (h->body_bytes - h->piece_content);

	/* Asked before content counts, so that the verdict does not hang on how bytes arrive. */
	if (too_much_framing(h, h->frame_bytes + here))
		return fail_framing(h);
	int status = h->on_body(h->ctx, at, len);

	if (status != 0)
		return http1_fail(h, status, NULL);
	h->body_bytes += len;
	return 0;
}

static int on_chunk_header(llhttp_t *p)
{
	struct http1 *h = p->data;

	if (p->content_length != 0)
		return 0;
	h->phase = HTTP1_TRAILER;
	head_scan_trailer(&h->scan);
	return HPE_PAUSED; /* the trailer section is scanned before llhttp sees it */
}

static int on_message_complete(llhttp_t *p)
{
	struct http1 *h = p->data;

	if (h->phase != HTTP1_TRAILER)
		return 0;
	h->phase = HTTP1_DONE;
	return HPE_PAUSED;
}

static const llhttp_settings_t http1_settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body_piece,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

void http1_init(struct http1 *h, struct http1_table *table)
{
	h->table = table;
	http1_reset(h);
}

void http1_reset(struct http1 *h)
{
	struct http1_table *table = h->table;

	memset(h, 0, sizeof(*h));
	h->table = table;
	h->head.headers = table->rows;
	llhttp_init(&h->parser, HTTP_REQUEST, &http1_settings);
	h->parser.data = h;
	head_scan_request(&h->scan);
}

/* llhttp's view of an error, unless a callback had a better one. */
static int fail_llhttp(struct http1 *h)
{
	const char *reason = llhttp_get_error_reason(&h->parser);

	if (llhttp_get_errno(&h->parser) == HPE_INVALID_VERSION)
		return http1_fail(h, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	return http1_fail(h, 400, reason && reason[0] ? reason : "malformed request");
}

/* A word that may be a method, and a space: else it is no HTTP at all. */
static bool begins_with_method(const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && ((bytes[n] >= 'A' && bytes[n] <= 'Z') || bytes[n] == '-'))
		n++;
	return n > 0 && n < len && bytes[n] == ' ';
}

static int parse_any_head(struct http1 *h, const char *bytes, size_t len)
{
	llhttp_errno_t e = llhttp_execute(&h->parser, bytes, len);

	if (e == HPE_PAUSED_H2_UPGRADE)
		return http1_fail(h, 505, "HTTP/2 is not spoken here");
	if (e == HPE_INVALID_METHOD && begins_with_method(bytes, len))
		return http1_fail(h, 501, "this method is not known here; see GET and POST");
	if (e != HPE_OK)
		return fail_llhttp(h);
	/* The line scanner saw the end; if llhttp did not, it waits for the rest of an HTTP/2
	 * preface. */
	if (!h->complete)
		return http1_fail(h, 505, "HTTP/2 is not spoken here");
	return 0;
}

static long parse_head(struct http1 *h, const char *bytes, size_t len)
{
	int r = http1_read_usual(h, bytes, len);

	if (r > 0)
		r = parse_any_head(h, bytes, len);
	if (r < 0)
		return r;
	if (h->head.chunked)
		h->phase = HTTP1_CHUNKS;
	else if (h->head.content_length > 0)
		h->phase = HTTP1_LENGTH;
	else
		h->phase = HTTP1_DONE;
	h->left = h->head.content_length;
	return (long)len;
}

long http1_read_head(struct http1 *h, const char *bytes, size_t len, size_t max_head_bytes)
{
	if (h->phase != HTTP1_HEAD)
		return h->phase == HTTP1_FAILED ? -1 : 0;
	size_t until = BF_MIN(len, max_head_bytes);
	if (until > h->scan.scanned)
		(void)head_scan_feed(&h->scan, bytes + h->scan.scanned, until - h->scan.scanned);
	if (h->scan.state == HEAD_SCAN_BAD)
		return http1_fail(h, 400, h->scan.reason);
	if (h->scan.state == HEAD_SCAN_END)
		return parse_head(h, bytes, h->scan.scanned);
	if (h->scan.scanned < max_head_bytes)
		return 0;
	return h->scan.lines == 0
		   ? http1_fail(h, 414, "the request target is too long")
		   : http1_fail(h, 431,
				"the header section is larger than server.read_buffer_size");
}

static size_t read_length(struct http1 *h, const char *bytes, size_t len)
{
	size_t n = (size_t)BF_MIN((uint64_t)len, h->left);
	int status = n ? h->on_body(h->ctx, bytes, n) : 0;

	if (status != 0) {
		(void)http1_fail(h, status, NULL);
		return 0;
	}
	h->body_bytes += n;
	h->left -= n;
	if (h->left == 0)
		h->phase = HTTP1_DONE;
	return n;
}

static size_t read_chunks(struct http1 *h, const char *bytes, size_t len)
{
	h->piece = bytes;
	h->piece_content = h->body_bytes;
	llhttp_errno_t e = llhttp_execute(&h->parser, bytes, len);
	size_t used = len;

	if (e == HPE_PAUSED) {
		used = (size_t)(llhttp_get_error_pos(&h->parser) - bytes);
		llhttp_resume(&h->parser);
	} else if (e != HPE_OK) {
		(void)fail_llhttp(h);
		return 0;
	}
	h->frame_bytes += used - (h->body_bytes - h->piece_content);
	return used;
}

static size_t read_trailer(struct http1 *h, const char *bytes, size_t len)
{
	size_t n = head_scan_feed(&h->scan, bytes, len);

	if (h->scan.state == HEAD_SCAN_BAD) {
		(void)http1_fail(h, 400, h->scan.reason);
		return 0;
	}
	llhttp_errno_t e = llhttp_execute(&h->parser, bytes, n);
	if (e != HPE_OK && e != HPE_PAUSED) {
		(void)fail_llhttp(h);
		return 0;
	}
	/* Both must see the end at the same byte. */
	if ((h->scan.state == HEAD_SCAN_END) != (h->phase == HTTP1_DONE))
		(void)http1_fail(h, 400, "malformed trailer section");
	h->frame_bytes += n;
	return n;
}

size_t http1_read_body(struct http1 *h, const char *bytes, size_t len,
		       int (*on_body)(void *ctx, const char *bytes, size_t len), void *ctx)
{
	size_t used = 0;

	h->on_body = on_body;
	h->ctx = ctx;
	if (h->phase == HTTP1_LENGTH)
		used = read_length(h, bytes, len);
	if (h->phase == HTTP1_CHUNKS)
		used = read_chunks(h, bytes, len);
	if (h->phase == HTTP1_TRAILER && used < len)
		used += read_trailer(h, bytes + used, len - used);
	if (too_much_framing(h, h->frame_bytes))
		(void)fail_framing(h);
	h->on_body = NULL;
	h->ctx = NULL;
	return used;
}
