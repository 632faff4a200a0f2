/*
 * Heads as nearly every client sends them. Called by http1.c before it asks llhttp, which goes from
 * byte to byte. Must never take a head that llhttp would refuse or read otherwise.
 */
#include "proxyd/front/http1_priv.h"
#include "proxyd/head_field.h"

/* What most requests begin with. Returns the first header, or NULL. */
static const char *usual_line(struct http1 *h, const char *bytes, size_t len)
{
	static const struct bf_slice version = BF_SLICE_INIT(" HTTP/1.1\r\n");
	struct bf_slice head = {bytes, len}, rest;
	bool post = bf_slice_starts(head, BF_SLICE_LIT("POST /"));
	const char *target = bytes + (post ? 5 : 4), *end;

	if (!post && !bf_slice_starts(head, BF_SLICE_LIT("GET /")))
		return NULL;
	end = head_target_end(target);
	rest = (struct bf_slice){end, len - (size_t)(end - bytes)};
	if (!bf_slice_starts(rest, version))
		return NULL;
	h->head.method = post ? EXCHANGE_POST : EXCHANGE_GET;
	h->url = (struct bf_slice){target, (size_t)(end - target)};
	return end + version.len;
}

/* Header lines up to the empty one; false: llhttp has to look. They are in the table, and not yet
 * looked at. */
static bool usual_fields(struct http1 *h, const char *p, const char *end)
{
	struct exchange_header *row = h->table->rows;
	bool length = false;

	for (uint32_t n = 0; n < EXCHANGE_HEADERS_MAX; n++, row++) {
		if (*p == '\r') {
			h->head.header_count = n;
			return true;
		}
		p = head_field_read(p, end, row);
		if (!p || head_field_is_framing(row))
			return false;
		if (row->name.len != 14 || !bf_slice_is_nocase(row->name, "content-length"))
			continue;
		if (length || !head_field_length(row->value, &h->head.content_length))
			return false;
		length = true;
	}
	return false;
}

int http1_read_usual(struct http1 *h, const char *bytes, size_t len)
{
	const char *fields = usual_line(h, bytes, len);

	if (!fields || !usual_fields(h, fields, bytes + len)) {
		h->url = (struct bf_slice){NULL, 0};
		h->head.content_length = 0;
		return 1;
	}
	for (uint32_t i = 0; i < h->head.header_count; i++) {
		if (http1_take_header(h, h->table->rows[i].name, h->table->rows[i].value) < 0)
			return -1;
	}
	h->head.keep_alive = true;
	return http1_check_headers(h) < 0 ? -1 : http1_take_target(h);
}
