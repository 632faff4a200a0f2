/*
 * Requests to a provider: reads headers and the body's tape once, finds out whom they are for, has
 * the exchange admitted and hands it on. Called by the route table. Must never copy or rewrite the
 * body, and never refuse a member that it does not need: what is not read here goes upstream as it
 * came.
 */
#include "proxyd/gate/infer.h"

#include <stdarg.h>
#include <stdio.h>

#include "proxyd/gate/admit.h"
#include "proxyd/gate/call.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/govern.h"
#include "proxyd/gate/headers.h"
#include "proxyd/gate/infer_content.h"
#include "proxyd/gate/infer_edit.h"
#include "proxyd/gate/infer_length.h"
#include "proxyd/gate/infer_target.h"
#include "proxyd/gate/route.h"

int infer_fail(struct infer_error *e, int http_status, const char *type, const char *fmt, ...)
{
	va_list ap;

	e->http_status = http_status;
	e->type = type;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}

int infer_no_memory(struct infer_error *e)
{
	return infer_fail(e, 503, "out_of_memory", "no memory to read the request body");
}

/* Schemas are the bulk of many bodies, and what is wrong in them is the provider's to say: only
 * where they end matters here. */
static const struct bf_slice infer_unread[] = {BF_SLICE_INIT("tools"),
					       BF_SLICE_INIT("functions"),
					       BF_SLICE_INIT("response_format"),
					       {NULL, 0}};

static int infer_parse(const struct exchange *x, struct bf_json_tape *ret_tape,
		       struct infer_error *e)
{
	struct bf_json_limits limits = bf_json_default_limits;
	struct bf_err err = {0};
	int r;

	if (x->body.len == 0)
		return infer_invalid(e, "the request body is empty; send a JSON object");
	limits.skimmed = infer_unread;
	r = bf_json_parse(ret_tape, x->body, &x->worker->tape_arena, &limits, &err);
	if (r == 0 && ret_tape->tokens[0].type != BF_JSON_OBJECT)
		return infer_invalid(e, "the request body must be a JSON object");
	if (r == 0)
		return 0;
	if (r == BF_E_SYNTAX || r == BF_E_DUPLICATE)
		return infer_invalid(e, "the request body is not valid JSON: %s", err.text);
	if (r == BF_E_LIMIT)
		return infer_invalid(e, "the request body is too complex: %s", err.text);
	return infer_no_memory(e);
}

/* An optional boolean; absent and null leave *ret_value alone. */
static int infer_bool(const struct bf_json_tape *t, uint32_t i, const char *key, bool *ret_value,
		      struct infer_error *e)
{
	if (i == BF_JSON_NONE || t->tokens[i].type == BF_JSON_NULL)
		return 0;
	if (bf_json_bool(t, i, ret_value) < 0)
		return infer_invalid(e, "%s must be true or false", key);
	return 0;
}

/* How a stream is told to report its usage; only these two objects have the option. */
static int infer_usage(struct exchange *x, const struct infer_body *b, struct infer_error *e)
{
	const struct bf_json_tape *t = &b->tape;
	uint32_t options = b->at[INFER_STREAM_OPTIONS];

	if (infer_member_given(b, INFER_STREAM_OPTIONS)) {
		if (t->tokens[options].type != BF_JSON_OBJECT)
			return infer_invalid(e, "stream_options must be an object");
		if (infer_bool(t, bf_json_member(t, options, "include_usage"), "include_usage",
			       &x->wants_usage_chunk, e) < 0)
			return -1;
	}
	if (x->wants_stream && !x->wants_usage_chunk)
		infer_edit_usage(x, t, options);
	return 0;
}

static int infer_stream(struct exchange *x, const struct infer_body *b, struct infer_error *e)
{
	unsigned object = x->route->object;

	if (infer_bool(&b->tape, b->at[INFER_STREAM], "stream", &x->wants_stream, e) < 0)
		return -1;
	if (object == SHM_OBJECT_EMBEDDING && x->wants_stream)
		return infer_invalid(e, "stream is not possible for embeddings");
	if (object != SHM_OBJECT_CHAT && object != SHM_OBJECT_COMPLETION)
		return 0;
	return infer_usage(x, b, e);
}

/* What a response in the background takes is told to whoever fetches it, and not here. */
static int infer_background(const struct exchange *x, const struct infer_body *b,
			    struct infer_error *e)
{
	bool background = false;

	if (x->route->object != SHM_OBJECT_RESPONSES || !govern_counts_tokens(x))
		return 0;
	if (infer_bool(&b->tape, b->at[INFER_BACKGROUND], "background", &background, e) < 0)
		return -1;
	return background ? infer_invalid(e, "background is not possible with a virtual key that "
					     "has limits of tokens or cost, because what the "
					     "response takes would not be counted; leave it out, "
					     "or use a key without such limits")
			  : 0;
}

static int infer_tape(struct exchange *x, const struct provider_set *set, struct infer_error *e)
{
	struct infer_body body;

	if (infer_parse(x, &body.tape, e) < 0)
		return -1;
	infer_members_find(&body);
	if (infer_targets(x, &body, set, e) < 0 || infer_content(x, &body, e) < 0 ||
	    infer_background(x, &body, e) < 0)
		return -1;
	if (govern_limits(x) && infer_length(x, &body, e) < 0)
		return -1;
	if (x->governed && infer_tier(x, &body, e) < 0)
		return -1;
	return infer_stream(x, &body, e);
}

int infer_read(struct exchange *x, const struct provider_set *set, struct infer_error *ret_error)
{
	int r;

	if (x->body_encoded)
		return infer_fail(
		    ret_error, 415, "unsupported_encoding",
		    "a Content-Encoding of the request body is not supported; send plain JSON");
	r = infer_tape(x, set, ret_error);
	bf_arena_reset(&x->worker->tape_arena);
	return r;
}

/* Headers and targets cost memory as the body does: they count against the same budget. */
static bool infer_charge(struct exchange *x)
{
	uint64_t n = x->arena.used_bytes;

	if (!worker_body_take(x->worker, n))
		return false;
	x->body_charged += n;
	return true;
}

void infer_enter(struct exchange *x)
{
	struct worker *w = x->worker;
	struct infer_error e;

	if (headers_read(x, &e) < 0 || (w->governance && govern_key(x, &e) < 0) ||
	    infer_read(x, provider_set_of(x), &e) < 0) {
		gate_refuse(x, e.http_status, e.type, "%s", e.text);
		return;
	}
	if (!infer_charge(x)) {
		x->retry_after_s = ADMIT_RETRY_AFTER_S;
		gate_refuse(x, 503, "body_memory_full",
			    "too many request bodies in memory (server.body_memory)");
		return;
	}
	if (!admit(x))
		return;
	call_start(x);
}
