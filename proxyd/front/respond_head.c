/*
 * Writing head sections. Called by respond for every answer and stream, hence without printf. Must
 * never write half a line.
 */
#include "proxyd/front/respond_head.h"

#include <string.h>

#include "common/base/clock.h"
#include "proxyd/front/cors.h"
#include "proxyd/front/front.h"
#include "proxyd/gate/route.h"

static const char *respond_reason(int http_status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
	    {200, "OK"},
	    {204, "No Content"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {402, "Payment Required"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {409, "Conflict"},
	    {413, "Content Too Large"},
	    {414, "URI Too Long"},
	    {415, "Unsupported Media Type"},
	    {417, "Expectation Failed"},
	    {422, "Unprocessable Content"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == http_status)
			return reasons[i].text;
	}
	return "Status";
}

void respond_head_lines(struct respond_head *h, struct bf_slice lines)
{
	if (lines.len == 0 || lines.len > sizeof(h->text) - h->len)
		return;
	memcpy(h->text + h->len, lines.ptr, lines.len);
	h->len += lines.len;
}

void respond_head_line(struct respond_head *h, struct bf_slice name, struct bf_slice value)
{
	if (name.len + value.len + 2 > sizeof(h->text) - h->len)
		return;
	respond_head_lines(h, name);
	respond_head_lines(h, value);
	respond_head_lines(h, BF_SLICE_LIT("\r\n"));
}

void respond_head_number(struct respond_head *h, struct bf_slice name, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	respond_head_line(h, name, (struct bf_slice){digits + at, sizeof(digits) - at});
}

static void head_status(struct respond_head *h, int http_status)
{
	unsigned s = (unsigned)http_status % 1000;
	char line[] = "HTTP/1.1 000 ";

	line[9] = (char)('0' + s / 100);
	line[10] = (char)('0' + s / 10 % 10);
	line[11] = (char)('0' + s % 10);
	respond_head_line(h, (struct bf_slice){line, sizeof(line) - 1},
			  bf_slice_from(respond_reason(http_status)));
}

static bool id_is_set(const struct bf_uuid *id)
{
	static const struct bf_uuid none;
	return memcmp(id, &none, sizeof(none)) != 0;
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
	if (x && id_is_set(&x->first_id)) {
		bf_uuid_format(&x->first_id, text);
	} else if (x && id_is_set(&x->id)) {
		bf_uuid_format(&x->id, text);
	} else {
		fresh = bf_uuid7(bf_wall_ms());
		bf_uuid_format(&fresh, text);
	}
	respond_head_line(h, name, (struct bf_slice){text, BF_UUID_TEXT_LEN});
}

static void head_cors(struct respond_head *h, const struct exchange *x)
{
	const struct bf_conf_client *client = &x->worker->config->client;
	struct bf_slice origin = exchange_header(x, "origin");
	struct cors_lines lines;

	/* Nearly all callers are no browsers. */
	if (origin.len == 0 && cors_is_open(client))
		return;
	if (gate_is_local(x))
		return;
	cors_answer_lines(client, origin, &lines);
	respond_head_lines(h, (struct bf_slice){lines.text, lines.len});
}

static void head_of_exchange(struct respond_head *h, const struct exchange *x)
{
	if (x->traceparent[0])
		respond_head_line(h, BF_SLICE_LIT("traceparent: "), bf_slice_from(x->traceparent));
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
	respond_head_line(h, BF_SLICE_LIT("Date: "), bf_slice_from(front_date(c->front)));
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
