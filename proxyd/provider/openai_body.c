/*
 * Splices a request. Called once per attempt. Must never copy or re-serialise the body: what
 * is not understood here reaches the provider byte by byte.
 */
#include "proxyd/provider/openai_body.h"

#include <errno.h>

#include "common/codec/json_writer.h"

/* body[from, to) becomes text. */
struct splice {
	size_t from, to;
	struct bf_slice text;
};

static size_t offset_of(const struct bf_json_tape *t, struct bf_slice part)
{
	return (size_t)(part.ptr - t->text.ptr);
}

static bool is_plain_text(struct bf_slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.ptr[i];
		if (ch < ' ' || ch == '"' || ch == '\\')
			return false;
	}
	return true;
}

/* x->model as a JSON string: its own bytes where they need no escapes. */
static int splice_model(struct exchange *x, struct splice *s)
{
	const struct bf_json_tape *t = &x->json;
	struct bf_slice raw = bf_json_raw(t, x->model_token);
	struct bf_json_writer j;
	struct bf_buf text;

	s->from = offset_of(t, raw);
	s->to = s->from + raw.len;
	if (is_plain_text(x->model)) {
		s->from++;
		s->to--;
		s->text = x->model;
		return 0;
	}
	bf_buf_init(&text, 16 * (x->model.len + 1));
	bf_jw_init(&j, &text);
	bf_jw_string(&j, x->model);
	int r = bf_jw_finish(&j);
	if (r == 0)
		s->text = bf_arena_dup(&x->arena, bf_buf_slice(&text));
	bf_buf_done(&text);
	return r == 0 && s->text.ptr ? 0 : -ENOMEM;
}

/* Behind the brace that opens an object. */
static void splice_first_member(const struct bf_json_tape *t, uint32_t object, struct bf_slice text,
				struct splice *s)
{
	s->from = s->to = offset_of(t, bf_json_raw(t, object)) + 1;
	s->text = text;
}

static void splice_value(const struct bf_json_tape *t, uint32_t value, struct bf_slice text,
			 struct splice *s)
{
	struct bf_slice raw = bf_json_raw(t, value);

	s->from = offset_of(t, raw);
	s->to = s->from + raw.len;
	s->text = text;
}

/* The member whose value this is, with the one comma that goes with it. */
static void splice_cut(const struct bf_json_tape *t, uint32_t value, struct splice *s)
{
	uint32_t after = t->tokens[value].next, before = BF_JSON_NONE;

	s->from = offset_of(t, bf_json_raw(t, value - 1));
	s->text = (struct bf_slice){NULL, 0};
	if (after < t->tokens[0].next) {
		s->to = offset_of(t, bf_json_raw(t, after));
		return;
	}
	for (uint32_t key = bf_json_first(0); key + 1 < value; key = t->tokens[key + 1].next)
		before = key + 1;
	if (before != BF_JSON_NONE)
		s->from = offset_of(t, bf_json_raw(t, before)) + bf_json_raw(t, before).len;
	s->to = offset_of(t, bf_json_raw(t, value)) + bf_json_raw(t, value).len;
}

static void splice_usage(const struct bf_json_tape *t, struct splice *s)
{
	uint32_t options = bf_json_member(t, 0, "stream_options");
	uint32_t include;

	if (options == BF_JSON_NONE) {
		splice_first_member(
		    t, 0, BF_SLICE_LIT("\"stream_options\":{\"include_usage\":true},"), s);
		return;
	}
	if (t->tokens[options].type == BF_JSON_NULL) {
		splice_value(t, options, BF_SLICE_LIT("{\"include_usage\":true}"), s);
		return;
	}
	include = bf_json_member(t, options, "include_usage");
	if (include != BF_JSON_NONE)
		splice_value(t, include, BF_SLICE_LIT("true"), s);
	else if (t->tokens[options].count == 0)
		splice_first_member(t, options, BF_SLICE_LIT("\"include_usage\":true"), s);
	else
		splice_first_member(t, options, BF_SLICE_LIT("\"include_usage\":true,"), s);
}

static unsigned piece_add(struct iovec *pieces, unsigned n, struct bf_slice part)
{
	if (part.len == 0)
		return n;
	pieces[n] = (struct iovec){(void *)(uintptr_t)part.ptr, part.len};
	return n + 1;
}

static void splice_sort(struct splice *places, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		struct splice s = places[i];
		unsigned k = i;
		for (; k > 0 && places[k - 1].from > s.from; k--)
			places[k] = places[k - 1];
		places[k] = s;
	}
}

int openai_body_splice(struct exchange *x, bool ask_usage, struct iovec pieces[OPENAI_PIECES_MAX])
{
	struct splice places[3];
	struct bf_slice body = x->body;
	unsigned count = 0, n = 0;
	size_t at = 0;

	/* Before the cut: where both begin at one place, what is put in comes first. */
	if (x->wants_stream && ask_usage && !x->wants_usage_chunk)
		splice_usage(&x->json, &places[count++]);
	if (x->fallbacks_token != BF_JSON_NONE)
		splice_cut(&x->json, x->fallbacks_token, &places[count++]);
	if (splice_model(x, &places[count++]) < 0)
		return -ENOMEM;
	splice_sort(places, count);
	for (unsigned i = 0; i < count; i++) {
		n = piece_add(pieces, n, (struct bf_slice){body.ptr + at, places[i].from - at});
		n = piece_add(pieces, n, places[i].text);
		at = places[i].to;
	}
	return (int)piece_add(pieces, n, (struct bf_slice){body.ptr + at, body.len - at});
}
