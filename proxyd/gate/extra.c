/*
 * extra_fields, spliced into answers that are otherwise passed on as they came. Called by the relay
 * for every answer of the unified routes, and for error bodies. Must never read or copy the answer:
 * it is paid per request, so its text is put together by hand. Where an upstream sent a member of
 * this name, ours stands behind it, and readers take the last one.
 */
#include "proxyd/gate/extra.h"

#include <stdint.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/num.h"
#include "proxyd/gate/route.h"
#include "proxyd/worker.h"

#define EXTRA_FRAME_MAX 512u /* all but the names */
#define EXTRA_ESCAPED   6u   /* bytes that one byte of a name takes at most */

bool extra_wanted(const struct exchange *x)
{
	return x->route && x->route->object && x->route->dialect == ERROR_UNIFIED;
}

static const struct bf_slice extra_request_types[][2] = {
    [SHM_OBJECT_CHAT] = {BF_SLICE_INIT("chat_completion"), BF_SLICE_INIT("chat_completion_stream")},
    [SHM_OBJECT_COMPLETION] = {BF_SLICE_INIT("text_completion"),
			       BF_SLICE_INIT("text_completion_stream")},
    [SHM_OBJECT_EMBEDDING] = {BF_SLICE_INIT("embedding"), BF_SLICE_INIT("embedding")},
    [SHM_OBJECT_RESPONSES] = {BF_SLICE_INIT("responses"), BF_SLICE_INIT("responses_stream")},
};

/* ---- text */

static char *put(char *at, struct bf_slice text)
{
	if (text.len)
		memcpy(at, text.ptr, text.len);
	return at + text.len;
}

#define PUT(at, literal) put(at, BF_SLICE_LIT(literal))

/* Does one of 8 bytes need an escape: a control character, a quote or a backslash? */
static bool is_special8(uint64_t bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	uint64_t quote = bytes ^ ones * '"', slash = bytes ^ ones * '\\';

	return (((bytes - ones * ' ') & ~bytes) | ((quote - ones) & ~quote) |
		((slash - ones) & ~slash)) &
	       highs;
}

/* Needs no escape. */
static bool is_plain(struct bf_slice text)
{
	uint64_t bytes;
	size_t i = 0;

	for (; i + 8 <= text.len; i += 8) {
		memcpy(&bytes, text.ptr + i, 8);
		if (is_special8(bytes))
			return false;
	}
	for (; i < text.len; i++) {
		unsigned char ch = (unsigned char)text.ptr[i];
		if (ch < ' ' || ch == '"' || ch == '\\')
			return false;
	}
	return true;
}

/* Names are valid UTF-8: they came from a checked body or a checked configuration. */
static char *put_escaped(char *at, struct bf_slice text)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char ch = (unsigned char)text.ptr[i];
		if (ch >= ' ' && ch != '"' && ch != '\\') {
			*at++ = (char)ch;
			continue;
		}
		at = PUT(at, "\\u00");
		*at++ = hex[ch >> 4];
		*at++ = hex[ch & 15];
	}
	return at;
}

/* The text as it stands within quotes: nearly always itself; else it is written to *io_spare. */
static struct bf_slice escaped(struct bf_slice text, char **io_spare)
{
	char *from = *io_spare;

	if (is_plain(text))
		return text;
	*io_spare = put_escaped(from, text);
	return (struct bf_slice){from, (size_t)(*io_spare - from)};
}

static char *put_number(char *at, uint64_t value)
{
	char digits[20], *end = digits + sizeof(digits), *from = bf_format_u64_before(end, value);

	return put(at, (struct bf_slice){from, (size_t)(end - from)});
}

/* ---- the member */

/* As they stand within quotes: most are told more than once. */
struct extra_names {
	struct bf_slice provider, model, key;
	struct exchange_target first; /* what was asked for, when this is a fallback */
};

static struct exchange_target extra_primary(const struct exchange *x)
{
	if (x->target > 0)
		return x->targets[0];
	return (struct exchange_target){x->provider, x->model};
}

static struct extra_names extra_names(const struct exchange *x, char *spare)
{
	struct extra_names n = {
	    .provider = escaped(x->provider, &spare),
	    .model = escaped(x->model, &spare),
	};

	n.first = (struct exchange_target){n.provider, n.model};
	if (x->key)
		n.key = escaped(x->key->name, &spare);
	if (x->target > 0) {
		n.first.provider = escaped(x->targets[0].provider, &spare);
		n.first.model = escaped(x->targets[0].model, &spare);
	}
	return n;
}

/* Bytes that all names take at most. */
static size_t extra_spare(const struct exchange *x)
{
	struct exchange_target first = extra_primary(x);

	return EXTRA_ESCAPED * (x->provider.len + x->model.len + first.provider.len +
				first.model.len + (x->key ? x->key->name.len : 0));
}

static char *put_routing(char *at, const struct exchange *x, const struct extra_names *n)
{
	at = put(PUT(at, ",\"routing_info\":{\"provider\":\""), n->provider);
	at = put(PUT(at, "\",\"model\":\""), n->model);
	if (x->key)
		at = put(PUT(at, "\",\"key\":\""), n->key);
	at = x->target > 0 ? PUT(at, "\",\"is_fallback\":true,\"primary_provider\":\"")
			   : PUT(at, "\",\"is_fallback\":false,\"primary_provider\":\"");
	at = put(at, n->first.provider);
	at = put(PUT(at, "\",\"primary_model\":\""), n->first.model);
	return PUT(at, "\"}");
}

/* What the row says when it is closed already; else until now. */
static int64_t extra_latency_ms(const struct exchange *x)
{
	int64_t start_ns = x->row_mono_ns ? x->row_mono_ns : x->started_mono_ns;

	if (x->record.latency_us)
		return x->record.latency_us / 1000;
	return (bf_mono_ns() - start_ns) / 1000000;
}

static char *put_called(char *at, const struct exchange *x, const struct extra_names *n)
{
	int64_t ms = extra_latency_ms(x);

	at = put(PUT(at, ",\"provider\":\""), n->provider);
	at = put(PUT(at, "\",\"original_model_requested\":\""), n->first.model);
	at = put(PUT(at, "\",\"resolved_model_used\":\""), n->model);
	at = put_number(PUT(at, "\",\"latency\":"), ms > 0 ? (uint64_t)ms : 0);
	if (x->wants_stream)
		at = put_number(PUT(at, ",\"chunk_index\":"), x->stream_events);
	return put_routing(at, x, n);
}

/* Room that put_member() needs: each name is told twice at most, and may be written to spare room
 * behind all that. */
static size_t extra_bound(const struct exchange *x, struct bf_slice class)
{
	return EXTRA_FRAME_MAX + class.len + 3 * extra_spare(x);
}

static char *put_member(char *at, const struct exchange *x, struct bf_slice class)
{
	char *spare = at + EXTRA_FRAME_MAX + class.len + 2 * extra_spare(x);
	unsigned object = x->route ? x->route->object : 0;
	char *first = PUT(at, "\"extra_fields\":");

	at = first;
	if (class.len)
		at = PUT(put(PUT(at, ",\"error_type\":\""), class), "\"");
	if (object)
		at = PUT(put(PUT(at, ",\"request_type\":\""),
			     extra_request_types[object][x->wants_stream]),
			 "\"");
	if (x->provider.len) {
		struct extra_names n = extra_names(x, spare);
		at = put_called(at, x, &n);
	}
	/* Each member brought its comma. */
	*first = '{';
	return PUT(at == first ? first + 1 : at, "}");
}

int extra_member(const struct exchange *x, const char *error_class, struct bf_buf *out)
{
	struct bf_slice class = bf_slice_from(error_class);
	int r = bf_buf_reserve(out, extra_bound(x, class));

	if (r < 0)
		return r;
	out->end = (size_t)(put_member(out->data + out->end, x, class) - out->data);
	return 0;
}

/* ---- splicing */

static bool is_space(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

/* Bytes of an object's text before its last brace, or 0 when this is none; *ret_empty: it has no
 * member yet. */
static size_t extra_place(struct bf_slice json, bool *ret_empty)
{
	size_t first = 0, last = json.len, before;

	while (first < last && is_space(json.ptr[first]))
		first++;
	while (last > first && is_space(json.ptr[last - 1]))
		last--;
	if (last - first < 2 || json.ptr[first] != '{' || json.ptr[last - 1] != '}')
		return 0;
	before = last - 1;
	while (is_space(json.ptr[before - 1]))
		before--;
	*ret_empty = before == first + 1;
	return last - 1;
}

int extra_append(struct exchange *x)
{
	const struct bf_slice no_class = {NULL, 0};
	struct bf_buf *answer = &x->answer;
	bool empty = false;
	size_t place = extra_place(bf_buf_slice(answer), &empty);
	size_t bound = extra_bound(x, no_class) + 2; /* a comma and the brace */
	char *at, *from;
	int r;

	if (place == 0)
		return 0;
	if (!worker_answer_take(x->worker, bound))
		return BF_E_FULL;
	r = bf_buf_reserve(answer, bound);
	if (r < 0) {
		worker_answer_give(x->worker, bound);
		return r;
	}
	/* The brace, and what blanks follow it, make room. */
	at = from = answer->data + answer->start + place;
	if (!empty)
		*at++ = ',';
	at = PUT(put_member(at, x, no_class), "}");
	answer->end = (size_t)(at - answer->data);
	x->answer_charged += (size_t)(at - from);
	worker_answer_give(x->worker, bound - (size_t)(at - from));
	return 0;
}

/* Where json stands in event; SIZE_MAX when it lies elsewhere. */
static size_t extra_offset(struct bf_slice event, struct bf_slice json)
{
	uintptr_t from = (uintptr_t)event.ptr, at = (uintptr_t)json.ptr;

	if (at < from || json.len > event.len || at - from > event.len - json.len)
		return SIZE_MAX;
	return at - from;
}

bool extra_event(struct exchange *x, struct bf_slice event, struct bf_slice json,
		 struct bf_buf *out)
{
	size_t before = bf_buf_len(out);
	size_t offset = extra_offset(event, json);
	bool empty = false;
	size_t place = offset == SIZE_MAX ? 0 : extra_place(json, &empty);
	size_t cut = offset + place;

	if (place == 0)
		return false;
	if (bf_buf_append(out, event.ptr, cut) == 0 && (empty || bf_buf_append(out, ",", 1) == 0) &&
	    extra_member(x, NULL, out) == 0 &&
	    bf_buf_append(out, event.ptr + cut, event.len - cut) == 0)
		return true;
	out->end = out->start + before;
	return false;
}
