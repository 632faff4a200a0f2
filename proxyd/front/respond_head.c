/*
 * Writing head sections. Called by respond for every answer and stream, hence without printf. Must
 * never write half a line.
 */
#include "proxyd/front/respond_head.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "proxyd/front/cors.h"
#include "proxyd/front/front.h"
#include "proxyd/gate/route.h"

#define STATUS(code, reason)                                             \
	{                                                                \
		code, BF_SLICE_INIT("HTTP/1.1 " #code " " reason "\r\n") \
	}

static const struct {
	int status;
	struct bf_slice line;
} status_lines[] = {
    STATUS(200, "OK"),
    STATUS(204, "No Content"),
    STATUS(400, "Bad Request"),
    STATUS(401, "Unauthorized"),
    STATUS(402, "Payment Required"),
    STATUS(403, "Forbidden"),
    STATUS(404, "Not Found"),
    STATUS(405, "Method Not Allowed"),
    STATUS(408, "Request Timeout"),
    STATUS(409, "Conflict"),
    STATUS(413, "Content Too Large"),
    STATUS(414, "URI Too Long"),
    STATUS(415, "Unsupported Media Type"),
    STATUS(417, "Expectation Failed"),
    STATUS(422, "Unprocessable Content"),
    STATUS(429, "Too Many Requests"),
    STATUS(431, "Request Header Fields Too Large"),
    STATUS(500, "Internal Server Error"),
    STATUS(501, "Not Implemented"),
    STATUS(502, "Bad Gateway"),
    STATUS(503, "Service Unavailable"),
    STATUS(504, "Gateway Timeout"),
    STATUS(505, "HTTP Version Not Supported"),
};

void respond_head_lines(struct respond_head *h, struct bf_slice lines)
{
	if (lines.len == 0 || lines.len > sizeof(h->text) - h->len)
		return;
	memcpy(h->text + h->len, lines.ptr, lines.len);
	h->len += lines.len;
}

void respond_head_number(struct respond_head *h, struct bf_slice name, uint64_t value)
{
	char digits[20], *end = digits + sizeof(digits), *from = bf_format_u64_before(end, value);

	respond_head_line(h, name, (struct bf_slice){from, (size_t)(end - from)});
}

static void head_status(struct respond_head *h, int http_status)
{
	unsigned s = (unsigned)http_status % 1000;
	char other[] = "HTTP/1.1 000 Status\r\n";

	for (size_t i = 0; i < BF_ARRAY_LEN(status_lines); i++) {
		if (status_lines[i].status == http_status) {
			respond_head_lines(h, status_lines[i].line);
			return;
		}
	}
	other[9] = (char)('0' + s / 100);
	other[10] = (char)('0' + s / 10 % 10);
	other[11] = (char)('0' + s % 10);
	respond_head_lines(h, (struct bf_slice){other, sizeof(other) - 1});
}

/* The client's own; else that of its row; else one to find the answer by. */
static void head_request_id(struct respond_head *h, const struct exchange *x)
{
	const struct bf_slice name = BF_SLICE_LIT("X-Request-Id: ");
	char text[BF_UUID_TEXT_LEN + 1];
	struct bf_uuid fresh;

	if (x && x->request_id.len) {
		respond_head_line(h, name, x->request_id);
		return;
	}
	if (x && bf_uuid_is_set(&x->first_id)) {
		bf_uuid_format(&x->first_id, text);
	} else if (x && bf_uuid_is_set(&x->id)) {
		bf_uuid_format(&x->id, text);
	} else {
		fresh = bf_uuid7(bf_wall_ms());
		bf_uuid_format(&fresh, text);
	}
	respond_head_line(h, name, (struct bf_slice){text, BF_UUID_TEXT_LEN});
}

static void head_cors(struct respond_head *h, const struct exchange *x)
{
	const struct bf_conf_client *client = x->worker->client;
	struct bf_slice origin = exchange_header(x, "origin");
	struct cors_lines lines;

	/* Nearly all callers are no browsers. */
	if (origin.len == 0 && cors_is_open(client))
		return;
	if (gate_is_api(x->path))
		return;
	cors_answer_lines(client, origin, &lines);
	respond_head_lines(h, (struct bf_slice){lines.text, lines.len});
}

static void head_of_exchange(struct respond_head *h, const struct exchange *x)
{
	if (x->traceparent[0])
		respond_head_line(h, BF_SLICE_LIT("traceparent: "),
				  (struct bf_slice){x->traceparent, sizeof(x->traceparent) - 1});
	head_cors(h, x);
	if (x->retry_after_s)
		respond_head_number(h, BF_SLICE_LIT("Retry-After: "), x->retry_after_s);
	if (x->allow)
		respond_head_line(h, BF_SLICE_LIT("Allow: "), bf_slice_from(x->allow));
}

void respond_head_begin(struct respond_head *h, struct conn *c, int http_status,
			struct bf_slice content_type)
{
	h->len = 0;
	if (front_closes(c->front) || (c->http10 && !c->keep_alive))
		c->keep_alive = false;
	head_status(h, http_status);
	respond_head_lines(h, front_date_line(c->front));
	if (content_type.len)
		respond_head_line(h, BF_SLICE_LIT("Content-Type: "), content_type);
	head_request_id(h, c->x);
	if (c->x)
		head_of_exchange(h, c->x);
	if (!c->keep_alive)
		respond_head_lines(h, BF_SLICE_LIT("Connection: close\r\n"));
	else if (c->http10)
		respond_head_lines(h, BF_SLICE_LIT("Connection: keep-alive\r\n"));
}
