/*
 * A stream of chat chunks: whole events are relayed as they come, those that came together in one
 * piece; the usage chunk that only we asked for stays here. Called with pieces of the body. Must
 * never pass on half an event, and never end a stream cleanly that did not say [DONE].
 */
#include "proxyd/provider/openai_priv.h"
#include "proxyd/provider/openai_usage.h"

enum event_kind {
	EVENT_RELAYED,
	EVENT_HIDDEN,
	EVENT_DONE,
};

static enum event_kind stream_read_event(struct openai_call *call, struct bf_slice event)
{
	struct openai *o = call->p->state;
	struct openai_usage usage;
	struct bf_slice data = {NULL, 0};

	if (sse_data(event, &o->joined, &data) < 0 || !data.ptr)
		return EVENT_RELAYED;
	if (bf_slice_is(data, "[DONE]"))
		return EVENT_DONE;
	call->events++;
	if (!openai_usage_maybe(data) || !openai_usage_read(data, &o->scratch, &usage))
		return EVENT_RELAYED;
	openai_told(call, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens);
	return usage.alone && !call->x->wants_usage_chunk ? EVENT_HIDDEN : EVENT_RELAYED;
}

/* The terminal event: with what stands directly before it, it leaves after the record is written.
 */
static void stream_done(struct openai_call *call, struct bf_slice tail)
{
	const struct exchange_outcome outcome = {.http_status = 200, .tail = tail};

	upstream_release(&call->up);
	openai_finish(call, &outcome);
}

static bool stream_relay(struct openai_call *call, struct bf_slice run)
{
	if (run.len == 0)
		return true;
	if (!call->usage_seen)
		openai_estimate(call, call->events);
	return call->x->sink->on_body(call->x, run);
}

/* Relays the whole events in text; *ret_used is what they take. False: the call is over. */
static bool stream_events(struct openai_call *call, struct bf_slice text, size_t *ret_used)
{
	size_t begin = 0, at = 0; /* of what is to be relayed; of the next event */

	for (;;) {
		size_t n = sse_next(&call->scan, text.ptr + at, text.len - at);
		if (n == 0)
			break;
		enum event_kind kind = stream_read_event(call, (struct bf_slice){text.ptr + at, n});
		if (kind == EVENT_DONE) {
			stream_done(call, (struct bf_slice){text.ptr + begin, at + n - begin});
			return false;
		}
		if (kind == EVENT_HIDDEN) {
			if (!stream_relay(call, (struct bf_slice){text.ptr + begin, at - begin}))
				return false;
			begin = at + n;
		}
		at += n;
	}
	*ret_used = at;
	return stream_relay(call, (struct bf_slice){text.ptr + begin, at - begin});
}

/* Keeps the beginning of an event. False: the call is over. */
static bool stream_keep(struct openai_call *call, struct bf_slice bytes)
{
	struct worker *w = call->x->worker;

	if (bytes.len == 0)
		return true;
	if (bf_buf_len(&call->partial) + bytes.len > OPENAI_EVENT_MAX) {
		openai_give_up(call, 502, "upstream_protocol_error",
			       "the provider sent an event of more than 4 MiB");
		return false;
	}
	if (!worker_answer_take(w, bytes.len)) {
		openai_give_up(call, 503, "answer_memory_full",
			       "no memory to hold the provider's answer");
		return false;
	}
	call->partial_charged += bytes.len;
	if (bf_buf_append_slice(&call->partial, bytes) == 0)
		return true;
	openai_give_up(call, 503, "out_of_memory", "no memory to hold the provider's answer");
	return false;
}

static void stream_kept_used(struct openai_call *call, size_t used)
{
	bf_buf_consume(&call->partial, used);
	call->partial_charged -= used;
	worker_answer_give(call->x->worker, used);
}

bool openai_stream_body(struct openai_call *call, struct bf_slice bytes)
{
	int64_t idle_ms = call->p->conf->network_config.stream_idle_timeout_ms;
	bool kept = bf_buf_len(&call->partial) > 0;
	size_t used = 0;

	if (kept && !stream_keep(call, bytes))
		return false;
	if (!stream_events(call, kept ? bf_buf_slice(&call->partial) : bytes, &used))
		return false;
	if (used)
		upstream_deadline(&call->up, idle_ms);
	if (!kept)
		return stream_keep(call, (struct bf_slice){bytes.ptr + used, bytes.len - used});
	stream_kept_used(call, used);
	return true;
}
