/*
 * Headers of requests to a provider. Called before the body is read. Must never quote a value in an
 * answer or a log: it may be a secret of the client's.
 */
#include "proxyd/gate/headers.h"

#include <stdio.h>
#include <string.h>

#include "proxyd/worker.h"

/* One that says nothing is none. */
static bool header_given(const struct exchange *x, struct bf_slice name)
{
	for (uint32_t i = 0; i < x->header_count; i++) {
		if (x->headers[i].value.len && bf_slice_eq_nocase(x->headers[i].name, name))
			return true;
	}
	return false;
}

/* Names every missing one, as far as the text goes. */
static int headers_required(const struct exchange *x, struct infer_error *e)
{
	const struct bf_array *wanted = &x->worker->client->required_headers;
	const struct bf_slice *names = wanted->items;
	char list[INFER_ERROR_TEXT / 2] = "";
	size_t len = 0;

	for (uint32_t i = 0; i < wanted->count; i++) {
		if (header_given(x, names[i]) || len >= sizeof(list))
			continue;
		int n = snprintf(list + len, sizeof(list) - len, "%s%.*s", len ? ", " : "",
				 BF_SLICE_FMT(names[i]));
		len += n > 0 ? (size_t)n : 0;
	}
	if (len == 0)
		return 0;
	return infer_fail(e, 400, "missing_required_headers", "missing required headers: %s", list);
}

static bool is_visible(struct bf_slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	}
	return true;
}

static int headers_parent(struct exchange *x, struct bf_slice id, struct infer_error *e)
{
	if (id.len > sizeof(x->record.parent_id) || !is_visible(id))
		return infer_invalid(e,
				     "x-bf-parent-request-id must be at most %zu visible ASCII "
				     "characters",
				     sizeof(x->record.parent_id));
	memcpy(x->record.parent_id, id.ptr, id.len);
	return 0;
}

static int headers_one(struct exchange *x, const struct exchange_header *h, struct infer_error *e)
{
	if (bf_slice_eq_nocase(h->name, BF_SLICE_LIT("x-bf-api-key")))
		x->pin_key_name = h->value;
	else if (bf_slice_eq_nocase(h->name, BF_SLICE_LIT("x-bf-api-key-id")))
		x->pin_key_id = h->value;
	else if (bf_slice_eq_nocase(h->name, BF_SLICE_LIT("x-bf-parent-request-id")))
		return headers_parent(x, h->value, e);
	return 0;
}

int headers_read(struct exchange *x, struct infer_error *e)
{
	const struct bf_slice own = BF_SLICE_LIT("x-bf-");

	if (headers_required(x, e) < 0)
		return -1;
	for (uint32_t i = 0; i < x->header_count; i++) {
		const struct exchange_header *h = &x->headers[i];
		if (h->name.len <= own.len || h->value.len == 0 ||
		    !bf_slice_starts_nocase(h->name, own))
			continue;
		if (headers_one(x, h, e) < 0)
			return -1;
	}
	if (x->request_id.len)
		memcpy(x->record.request_id, x->request_id.ptr,
		       BF_MIN(x->request_id.len, sizeof(x->record.request_id)));
	return 0;
}
