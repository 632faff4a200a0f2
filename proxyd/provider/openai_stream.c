/*
 * A stream's events: whole ones are relayed as they come, those that came together in one piece;
 * the usage chunk that only we asked for stays here. Called with pieces of the body. Must never
 * pass on half an event, and never end a stream cleanly that did not say that it is whole.
 */
#include <stdio.h>

#include "proxyd/provider/openai_priv.h"

#define STREAM_DONE BF_SLICE_LIT("data: [DONE]\n\n")

enum event_kind {
	EVENT_RELAYED,
	EVENT_HIDDEN,
	EVENT_FINAL, /* relayed, by on_final */
	EVENT_DONE,  /* the marker: the end */
	EVENT_LAST,  /* an event that is the end, by on_final */
	EVENT_FAILED,
	EVENT_ERROR,
};

struct stream_event {
	struct bf_slice bytes, data; /* data: ptr NULL: it has none */
	uint64_t tokens;
	struct openai_said said;
};

static bool is_responses(const struct openai_call *call)
{
	return call->object == SHM_OBJECT_RESPONSES;
}

static enum event_kind stream_kind(const struct openai_call *call, const struct openai_said *said)
{
	switch (said->verdict) {
	case OPENAI_COMPLETED:
		return EVENT_LAST;
	case OPENAI_FAILED:
		return EVENT_FAILED;
	case OPENAI_ERROR:
		return EVENT_ERROR;
	case OPENAI_GOES_ON:
		break;
	}
	if (is_responses(call))
		return EVENT_RELAYED;
	if (said->usage && said->alone)
		return call->x->wants_usage_chunk ? EVENT_FINAL : EVENT_HIDDEN;
	return said->stop_reason.len ? EVENT_FINAL : EVENT_RELAYED;
}

static void stream_open_event(struct openai_call *call, struct stream_event *e)
{
	struct openai *o = call->p->state;

	e->data = (struct bf_slice){NULL, 0};
	if (sse_data(e->bytes, &o->joined, &e->data) < 0)
		e->data.ptr = NULL;
	e->tokens = e->data.ptr ? openai_said_tokens(call->object, e->data) : 0;
}

static enum event_kind stream_read_event(struct openai_call *call, struct stream_event *e)
{
	struct openai *o = call->p->state;
	bool first = call->events == 0;

	if (!e->data.ptr)
		return EVENT_RELAYED;
	if (bf_slice_is(e->data, "[DONE]"))
		return is_responses(call) ? EVENT_HIDDEN : EVENT_DONE;
	call->events++;
	call->tokens += e->tokens;
	if (!openai_said_maybe(call->object, e->data, first) ||
	    !openai_said_read(call->object, e->data, false, &o->scratch, &e->said))
		return EVENT_RELAYED;
	enum event_kind kind = stream_kind(call, &e->said);
	/* What a response's other events say of it is not its end. */
	if (!is_responses(call) || kind == EVENT_LAST || kind == EVENT_FAILED)
		openai_heard(call, &e->said, call->tokens);
	return kind;
}

/* The end: what is given as the tail leaves after the record is written. */
static void stream_finish(struct openai_call *call, struct bf_slice tail)
{
	const struct exchange_outcome outcome = {.http_status = 200, .tail = tail};

	/* What came together with the end was not counted yet. */
	if (!call->usage_seen)
		openai_estimate(call, call->tokens);
	upstream_release(&call->up);
	openai_finish(call, &outcome);
}

/* The provider says that it failed. An error instead of the first event is an answer as good as a
 * status: nothing was passed on yet. */
static void stream_error(struct openai_call *call, const struct openai_said *said,
			 struct bf_slice tail)
{
	char text[320];
	bool first = call->events <= 1;
	const struct exchange_outcome outcome = {
	    .fault = EXCHANGE_FAULT_STATUS,
	    .http_status = said->error_status ? said->error_status : 502,
	    .error_type = "upstream_stream_error",
	    .error_text = text,
	    .truncated = !first,
	    .tail = tail,
	};

	(void)snprintf(text, sizeof(text), "the provider reported an error %s%s%.*s",
		       first ? "instead of an answer" : "in its answer",
		       said->error_text.len ? ": " : "", (int)BF_MIN(said->error_text.len, 200u),
		       said->error_text.ptr ? said->error_text.ptr : "");
	upstream_release(&call->up);
	openai_finish(call, &outcome);
}

/* Comments before the first event are not passed on: an attempt that showed nothing can be
 * repeated. */
static bool stream_relay(struct openai_call *call, struct bf_slice run)
{
	if (run.len == 0 || call->events == 0)
		return true;
	if (!call->usage_seen)
		openai_estimate(call, call->tokens);
	call->x->stream_events = (uint32_t)call->events;
	return call->x->sink->on_body(call->x, run);
}

static bool stream_final(struct openai_call *call, const struct stream_event *e)
{
	bool one_line = e->data.ptr >= e->bytes.ptr && e->data.ptr < e->bytes.ptr + e->bytes.len;

	if (!one_line)
		return stream_relay(call, e->bytes);
	if (!call->usage_seen)
		openai_estimate(call, call->tokens);
	call->x->stream_events = (uint32_t)call->events - 1;
	return call->x->sink->on_final(call->x, e->bytes, e->data);
}

/* An event that is not simply relayed; what stood before it was. False: the call is over. */
static bool stream_special(struct openai_call *call, enum event_kind kind,
			   const struct stream_event *e)
{
	const struct bf_slice none = {NULL, 0};

	switch (kind) {
	case EVENT_FINAL:
		return stream_final(call, e);
	case EVENT_LAST:
		if (stream_final(call, e))
			stream_finish(call, none);
		return false;
	case EVENT_FAILED:
		stream_error(call, &e->said, e->bytes);
		return false;
	case EVENT_ERROR:
		stream_error(call, &e->said, none);
		return false;
	case EVENT_RELAYED:
	case EVENT_HIDDEN:
	case EVENT_DONE:
		break;
	}
	return true;
}

/* Limits look at all that is relayed at once: what is reserved must not be refused together with
 * the event that is more than that. */
static bool stream_has_room(const struct openai_call *call, const struct stream_event *e)
{
	const struct exchange_spend *s = &call->x->spend;

	return !s->metered || call->tokens + e->tokens <= s->output_tokens;
}

/* Relays the whole events in text; *ret_used is what they take. False: the call is over. */
static bool stream_events(struct openai_call *call, struct bf_slice text, size_t *ret_used)
{
	size_t begin = 0, at = 0; /* of what is to be relayed; of the next event */

	for (;;) {
		struct stream_event e;
		size_t n = sse_next(&call->scan, text.ptr + at, text.len - at);
		if (n == 0)
			break;
		e.bytes = (struct bf_slice){text.ptr + at, n};
		stream_open_event(call, &e);
		if (at > begin && !stream_has_room(call, &e)) {
			if (!stream_relay(call, (struct bf_slice){text.ptr + begin, at - begin}))
				return false;
			begin = at;
		}
		enum event_kind kind = stream_read_event(call, &e);
		at += n;
		if (kind == EVENT_RELAYED)
			continue;
		if (kind == EVENT_DONE) {
			stream_finish(call, (struct bf_slice){text.ptr + begin, at - begin});
			return false;
		}
		if (!stream_relay(call, (struct bf_slice){text.ptr + begin, at - n - begin}) ||
		    !stream_special(call, kind, &e))
			return false;
		begin = at;
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
		openai_give_up(call, EXCHANGE_FAULT_NETWORK, 502, "upstream_protocol_error",
			       "the provider sent an event of more than 4 MiB");
		return false;
	}
	if (!worker_answer_take(w, bytes.len)) {
		openai_give_up(call, EXCHANGE_FAULT_LOCAL, 503, "answer_memory_full",
			       "no memory to hold the provider's answer");
		return false;
	}
	call->partial_charged += bytes.len;
	if (bf_buf_append_slice(&call->partial, bytes) == 0)
		return true;
	openai_give_up(call, EXCHANGE_FAULT_LOCAL, 503, "out_of_memory",
		       "no memory to hold the provider's answer");
	return false;
}

/* A buffer that is empty goes back: most of a stream's life it would lie idle. */
static void stream_kept_used(struct openai_call *call, size_t used)
{
	bf_buf_consume(&call->partial, used);
	call->partial_charged -= used;
	worker_answer_give(call->x->worker, used);
	if (bf_buf_len(&call->partial) == 0)
		bf_buf_done(&call->partial);
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

void openai_stream_end(struct openai_call *call)
{
	bool marker_due = !call->p->conf->custom_provider_config.does_not_send_done_marker;

	if (is_responses(call) || marker_due || !call->stop_seen || !call->framed ||
	    bf_buf_len(&call->partial) > 0)
		openai_give_up(call, EXCHANGE_FAULT_NETWORK, 502, "upstream_truncated",
			       "the provider ended the stream without its terminal event");
	else
		stream_finish(call, STREAM_DONE);
}
