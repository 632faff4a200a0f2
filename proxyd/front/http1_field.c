/*
 * Headers that matter to reading a request. Called for each header, by whoever read it. Must never
 * let pass what another server could understand differently.
 */
#include <string.h>

#include "proxyd/front/http1_priv.h"

#define HTTP1_REQUEST_ID_MAX 128u

/* What can stand in a host[:port]; an address that a proxy would read differently is refused. */
static bool host_is_clean(struct bf_slice host)
{
	for (size_t i = 0; i < host.len; i++) {
		unsigned char ch = (unsigned char)host.ptr[i];
		bool usual = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= ':') || ch == '.';
		if (usual)
			continue;
		if (ch <= ' ' || ch >= 0x7f || strchr("/?#@,\\\"<>^`{|}", ch))
			return false;
	}
	return true;
}

static bool request_id_is_clean(struct bf_slice id)
{
	if (id.len == 0 || id.len > HTTP1_REQUEST_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		if (id.ptr[i] <= ' ' || id.ptr[i] >= 0x7f)
			return false;
	}
	return true;
}

static int take_transfer_encoding(struct http1 *h, struct bf_slice value)
{
	if (++h->te_count > 1)
		return http1_fail(h, 400, "more than one Transfer-Encoding header");
	if (!bf_slice_is_nocase(value, "chunked"))
		return http1_fail(h, 501, "this Transfer-Encoding is not supported; send chunked");
	h->head.chunked = true;
	return 0;
}

static int take_host(struct http1 *h, struct bf_slice value)
{
	if (++h->host_count > 1)
		return http1_fail(h, 400, "more than one Host header");
	if (!host_is_clean(value))
		return http1_fail(h, 400, "malformed Host header");
	return 0;
}

static int take_expect(struct http1 *h, struct bf_slice value)
{
	if (!bf_slice_is_nocase(value, "100-continue"))
		return http1_fail(h, 417,
				  "this expectation is not supported; only 100-continue is");
	h->head.expect_continue = true;
	return 0;
}

/* Headers that matter to reading; each length has at most one name that does. */
int http1_take_header(struct http1 *h, struct bf_slice name, struct bf_slice value)
{
	switch (name.len) {
	case 4:
		return bf_slice_is_nocase(name, "host") ? take_host(h, value) : 0;
	case 6:
		return bf_slice_is_nocase(name, "expect") ? take_expect(h, value) : 0;
	case 12:
		if (bf_slice_is_nocase(name, "x-request-id") && request_id_is_clean(value))
			h->head.request_id = value;
		return 0;
	case 14:
		if (bf_slice_is_nocase(name, "content-length"))
			h->head.has_length = true;
		return 0;
	case 16:
		if (bf_slice_is_nocase(name, "content-encoding"))
			h->head.body_encoded |=
			    value.len > 0 && !bf_slice_is_nocase(value, "identity");
		return 0;
	case 17:
		return bf_slice_is_nocase(name, "transfer-encoding")
			   ? take_transfer_encoding(h, value)
			   : 0;
	default:
		return 0;
	}
}
