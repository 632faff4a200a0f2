/*
 * Splices a request. Called once per attempt. Must never copy or re-serialise the body: what
 * is not understood here reaches the provider byte by byte.
 */
#include "proxyd/provider/openai_body.h"

#include <errno.h>

#include "common/codec/json_writer.h"

static bool is_plain_text(struct bf_slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.ptr[i];
		if (ch < ' ' || ch == '"' || ch == '\\')
			return false;
	}
	return true;
}

/* Does it lie where its client wrote it, behind the name of the provider? */
static bool model_lies_in_body(const struct exchange *x)
{
	uintptr_t model = (uintptr_t)x->model.ptr, body = (uintptr_t)x->body.ptr;

	return model > body + x->model_edit.from &&
	       model + x->model.len + 1 == body + x->model_edit.to;
}

/* x->model as a JSON string: its own bytes where they need no escapes. */
static int splice_model(struct exchange *x, struct exchange_edit *ret_edit)
{
	struct exchange_edit *e = ret_edit;
	struct bf_json_writer j;
	struct bf_buf text;

	*e = x->model_edit;
	if (model_lies_in_body(x)) {
		e->from++;
		e->to -= (uint32_t)x->model.len + 1;
		return 0;
	}
	if (is_plain_text(x->model)) {
		e->from++;
		e->to--;
		e->text = x->model;
		return 0;
	}
	bf_buf_init(&text, 16 * (x->model.len + 1));
	bf_jw_init(&j, &text);
	bf_jw_string(&j, x->model);
	int r = bf_jw_finish(&j);
	if (r == 0)
		e->text = bf_arena_dup(&x->arena, bf_buf_slice(&text));
	bf_buf_done(&text);
	return r == 0 && e->text.ptr ? 0 : -ENOMEM;
}

static unsigned piece_add(struct iovec *pieces, unsigned n, struct bf_slice part)
{
	if (part.len == 0)
		return n;
	pieces[n] = (struct iovec){(void *)(uintptr_t)part.ptr, part.len};
	return n + 1;
}

static void splice_sort(struct exchange_edit *places, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		struct exchange_edit e = places[i];
		unsigned k = i;
		for (; k > 0 && places[k - 1].from > e.from; k--)
			places[k] = places[k - 1];
		places[k] = e;
	}
}

int openai_body_splice(struct exchange *x, bool ask_usage, struct iovec pieces[OPENAI_PIECES_MAX])
{
	struct exchange_edit places[3];
	struct bf_slice body = x->body;
	unsigned count = 0, n = 0;
	size_t at = 0;

	/* Before the cut: where both begin at one place, what is put in comes first. */
	if (ask_usage && x->usage_edit.to)
		places[count++] = x->usage_edit;
	if (x->fallbacks_edit.to)
		places[count++] = x->fallbacks_edit;
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
