/*
 * What stands in front of a request's body. Called when a provider is opened (what never changes)
 * and once per call. Must never let a client's header touch framing, credentials, or what the
 * gateway says about itself.
 */
#include "proxyd/provider/openai_head.h"

#include <errno.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/base/num.h"
#include "proxyd/worker.h"

#define FORWARD_PREFIX "x-bf-eh-"
/* Accept, names of the lines that are ours, traceparent, the length: 190 bytes. */
#define OPENAI_HEAD_FIXED 256u

static bool name_in(struct bf_slice name, const struct bf_array *list)
{
	const struct bf_slice *names = list->items;

	for (uint32_t i = 0; i < list->count; i++) {
		if (bf_slice_eq_nocase(name, names[i]))
			return true;
	}
	return false;
}

bool openai_head_is_ours(struct bf_slice name)
{
	return bf_header_is_reserved(name);
}

/* Callers' credentials, ours or a provider's. */
static bool name_is_credential(struct bf_slice name)
{
	return bf_slice_eq_nocase(name, BF_SLICE_LIT("x-api-key")) ||
	       bf_slice_eq_nocase(name, BF_SLICE_LIT("x-goog-api-key")) ||
	       bf_slice_eq_nocase(name, BF_SLICE_LIT("api-key")) ||
	       bf_slice_starts_nocase(name, BF_SLICE_LIT("x-bf-"));
}

static bool text_is_clean(struct bf_slice text, bool is_name)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char ch = (unsigned char)text.ptr[i];
		if (ch == 0x7f || (ch < ' ' && ch != '\t') || (is_name && (ch <= ' ' || ch == ':')))
			return false;
	}
	return !is_name || text.len > 0;
}

/* ---- what never changes */

struct bf_slice openai_head_extra(const struct bf_conf_provider *conf, const char *name)
{
	const struct bf_conf_pair *pairs = conf->network_config.extra_headers.items;
	struct bf_slice found = {NULL, 0};

	for (uint32_t i = 0; i < conf->network_config.extra_headers.count; i++) {
		if (bf_slice_eq_nocase(pairs[i].name, bf_slice_from(name)))
			found = pairs[i].value;
	}
	return found;
}

static int head_extra_lines(struct bf_buf *out, const struct bf_conf_provider *conf)
{
	const struct bf_conf_pair *pairs = conf->network_config.extra_headers.items;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < conf->network_config.extra_headers.count; i++) {
		struct bf_slice name = pairs[i].name, value = pairs[i].value;
		if (openai_head_is_ours(name) ||
		    bf_slice_eq_nocase(name, BF_SLICE_LIT("authorization")) ||
		    !text_is_clean(name, true) || !text_is_clean(value, false))
			continue;
		r = bf_buf_printf(out, "%.*s: %.*s\r\n", BF_SLICE_FMT(name), BF_SLICE_FMT(value));
	}
	return r;
}

static int head_own_lines(struct bf_buf *out, const struct bf_conf_provider *conf,
			  const char *version)
{
	int r = 0;

	if (!openai_head_extra(conf, "user-agent").ptr)
		r = bf_buf_printf(out, "User-Agent: bifrost/%s\r\n", version);
	return r < 0 ? r : head_extra_lines(out, conf);
}

int openai_head_template(struct bf_buf *out, const struct bf_conf_provider *conf,
			 const struct upstream_target *target, enum shm_usage_object object,
			 const char *version)
{
	int r = bf_buf_printf(out,
			      "POST %s%s HTTP/1.1\r\n"
			      "Host: %s\r\n"
			      "Content-Type: application/json\r\n"
			      "Accept-Encoding: identity\r\n",
			      target->path, openai_object_path(object), target->authority);

	return r < 0 ? r : head_own_lines(out, conf, version);
}

int openai_head_models(struct bf_buf *out, const struct exchange *x,
		       const struct bf_conf_provider *conf, const struct upstream_target *target,
		       struct bf_slice authorization)
{
	struct bf_slice key = x->key ? x->key->value : (struct bf_slice){NULL, 0};
	int r = bf_buf_printf(out,
			      "GET %s/models HTTP/1.1\r\n"
			      "Host: %s\r\n"
			      "Accept: application/json\r\n"
			      "Accept-Encoding: identity\r\n",
			      target->path, target->authority);

	if (r == 0)
		r = head_own_lines(out, conf, x->worker->version);
	if (r == 0 && key.len)
		r = bf_buf_printf(out, "Authorization: Bearer %.*s\r\n", BF_SLICE_FMT(key));
	else if (r == 0 && authorization.len && text_is_clean(authorization, false))
		r = bf_buf_printf(out, "Authorization: %.*s\r\n", BF_SLICE_FMT(authorization));
	if (r == 0 && x->traceparent[0])
		r = bf_buf_printf(out, "traceparent: %s\r\n", x->traceparent);
	return r < 0 ? r : bf_buf_append(out, "\r\n", 2);
}

/* ---- what a request adds */

struct head_pen {
	char *at;
	size_t len, room;
	bool full; /* something was left out */
};

static void pen_put(struct head_pen *pen, struct bf_slice s)
{
	if (s.len > pen->room - pen->len) {
		pen->full = true;
		return;
	}
	memcpy(pen->at + pen->len, s.ptr, s.len);
	pen->len += s.len;
}

static void pen_line(struct head_pen *pen, struct bf_slice name, struct bf_slice value)
{
	pen_put(pen, name);
	pen_put(pen, BF_SLICE_LIT(": "));
	pen_put(pen, value);
	pen_put(pen, BF_SLICE_LIT("\r\n"));
}

/* The first member of a comma-separated list, without the blanks around it; takes it off. */
static struct bf_slice next_of_list(struct bf_slice *list)
{
	const char *comma = memchr(list->ptr, ',', list->len);
	struct bf_slice one = {list->ptr, comma ? (size_t)(comma - list->ptr) : list->len};
	size_t used = one.len + (comma ? 1 : 0);

	*list = (struct bf_slice){list->ptr + used, list->len - used};
	while (one.len && (one.ptr[0] == ' ' || one.ptr[0] == '\t'))
		one = (struct bf_slice){one.ptr + 1, one.len - 1};
	while (one.len && (one.ptr[one.len - 1] == ' ' || one.ptr[one.len - 1] == '\t'))
		one.len--;
	return one;
}

/* Does a Connection header name it? Then it is for us alone (RFC 9110, 7.6.1). */
static bool is_hop_by_hop(const struct exchange *x, struct bf_slice name)
{
	for (uint32_t i = 0; i < x->header_count; i++) {
		struct bf_slice list = x->headers[i].value;

		if (!bf_slice_eq_nocase(x->headers[i].name, BF_SLICE_LIT("connection")))
			continue;
		while (list.len) {
			struct bf_slice one = next_of_list(&list);
			if (bf_slice_eq_nocase(one, name))
				return true;
		}
	}
	return false;
}

/* Under which name a header of the client's goes on; ptr NULL: it does not. */
static struct bf_slice forwarded_name(const struct exchange *x, const struct exchange_header *h)
{
	const struct bf_conf_header_filter *filter = &x->worker->client->header_filter_config;
	const struct bf_slice no = {NULL, 0};
	struct bf_slice name = h->name;
	/* Asked of every header of every request: the first letter says no to most. */
	bool prefixed = name.len && (name.ptr[0] | 0x20) == FORWARD_PREFIX[0] &&
			bf_slice_starts_nocase(name, BF_SLICE_LIT(FORWARD_PREFIX));

	if (prefixed)
		name = (struct bf_slice){name.ptr + sizeof(FORWARD_PREFIX) - 1,
					 name.len - (sizeof(FORWARD_PREFIX) - 1)};
	if (!prefixed && filter->allowlist.count == 0)
		return no;
	if (filter->allowlist.count && !name_in(name, &filter->allowlist))
		return no;
	if (name_in(name, &filter->denylist) || openai_head_is_ours(name) ||
	    name_is_credential(name) || bf_slice_eq_nocase(name, BF_SLICE_LIT("user-agent")))
		return no;
	/* The client's own key to this gateway is not for providers, unless it says so. */
	if (bf_slice_eq_nocase(name, BF_SLICE_LIT("authorization")) && (!prefixed || x->key))
		return no;
	if (is_hop_by_hop(x, name) || (prefixed && is_hop_by_hop(x, h->name)))
		return no;
	return text_is_clean(name, true) && text_is_clean(h->value, false) ? name : no;
}

/* Configured headers win over a client's of the same name. */
static bool is_configured(const struct bf_conf_provider *conf, struct bf_slice name)
{
	const struct bf_conf_pair *pairs = conf->network_config.extra_headers.items;

	for (uint32_t i = 0; i < conf->network_config.extra_headers.count; i++) {
		if (bf_slice_eq_nocase(pairs[i].name, name))
			return true;
	}
	return false;
}

static void pen_forwarded(struct head_pen *pen, const struct exchange *x,
			  const struct bf_conf_provider *conf)
{
	for (uint32_t i = 0; i < x->header_count; i++) {
		struct bf_slice name = forwarded_name(x, &x->headers[i]);
		if (name.ptr && !is_configured(conf, name))
			pen_line(pen, name, x->headers[i].value);
	}
}

static void pen_length(struct head_pen *pen, size_t n)
{
	char digits[20], *end = digits + sizeof(digits), *from = bf_format_u64_before(end, n);

	pen_put(pen, BF_SLICE_LIT("Content-Length: "));
	pen_put(pen, (struct bf_slice){from, (size_t)(end - from)});
	pen_put(pen, BF_SLICE_LIT("\r\n\r\n"));
}

static void pen_rest(struct head_pen *pen, const struct exchange *x,
		     const struct bf_conf_provider *conf, struct bf_slice authorization,
		     size_t body_len)
{
	pen_put(pen, x->wants_stream ? BF_SLICE_LIT("Accept: text/event-stream\r\n")
				     : BF_SLICE_LIT("Accept: application/json\r\n"));
	if (x->key && x->key->value.len) {
		pen_put(pen, BF_SLICE_LIT("Authorization: Bearer "));
		pen_put(pen, x->key->value);
		pen_put(pen, BF_SLICE_LIT("\r\n"));
	} else if (authorization.len && text_is_clean(authorization, false)) {
		pen_line(pen, BF_SLICE_LIT("Authorization"), authorization);
	}
	if (x->traceparent[0])
		pen_line(pen, BF_SLICE_LIT("traceparent"), bf_slice_from(x->traceparent));
	if (x->traceparent[0] && x->tracestate.len)
		pen_line(pen, BF_SLICE_LIT("tracestate"), x->tracestate);
	pen_forwarded(pen, x, conf);
	pen_length(pen, body_len);
}

/* What pen_rest writes at most. */
static size_t rest_room(const struct exchange *x, struct bf_slice authorization)
{
	size_t n = OPENAI_HEAD_FIXED + x->tracestate.len;

	n += x->key && x->key->value.len ? x->key->value.len : authorization.len;
	for (uint32_t i = 0; i < x->header_count; i++)
		n += x->headers[i].name.len + x->headers[i].value.len + sizeof(": \r\n");
	return BF_MIN(n, (size_t)OPENAI_HEAD_MAX);
}

int openai_head_rest(struct exchange *x, const struct bf_conf_provider *conf,
		     struct bf_slice authorization, size_t body_len, struct iovec *ret_part)
{
	struct head_pen pen = {.room = rest_room(x, authorization)};

	pen.at = bf_arena_alloc(&x->arena, pen.room);
	if (!pen.at)
		return -ENOMEM;
	pen_rest(&pen, x, conf, authorization, body_len);
	if (pen.full)
		return BF_E_LIMIT;
	*ret_part = (struct iovec){pen.at, pen.len};
	return 0;
}
