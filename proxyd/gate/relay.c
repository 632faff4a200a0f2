/*
 * The way back of an admitted exchange: implements exchange_sink. Order at the end: the record is
 * in the segment before the answer's last bytes are handed to the front, so that a client that saw
 * a whole answer always has its row, even if this worker is killed at once. Called by providers,
 * by the front when the client has gone, and by its clock. Must never settle twice, and never bind
 * the client to an attempt before its first event.
 */
#include "proxyd/gate/relay.h"

#include <string.h>

#include "proxyd/gate/call_priv.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/extra.h"
#include "proxyd/gate/limits.h"
#include "proxyd/record/record.h"
#include "proxyd/worker.h"

/* A copy of a stream that is kept for the log; longer ones are cut. */
#define RELAY_LOG_MAX   (256u << 10)
#define RELAY_HEARTBEAT BF_SLICE_LIT(": heartbeat\n\n")

/* Keeps len bytes of the provider's answer. BF_E_FULL, BF_E_LIMIT, -ENOMEM. */
static int relay_keep(struct exchange *x, struct bf_slice bytes)
{
	if (!worker_answer_take(x->worker, bytes.len))
		return BF_E_FULL;
	x->answer_charged += bytes.len;
	return bf_buf_append_slice(&x->answer, bytes);
}

/* The log's copy of a stream takes at most half of the budget: a log must never make a request
 * fail. */
static void relay_keep_for_log(struct exchange *x, struct bf_slice bytes)
{
	const struct worker *w = x->worker;
	size_t kept = bf_buf_len(&x->answer);

	if (!record_wants_content(x))
		return;
	if (bytes.len > RELAY_LOG_MAX - kept) {
		x->record.flags |= SHM_USAGE_CONTENT_CUT;
		bytes.len = RELAY_LOG_MAX - kept;
	}
	if (bytes.len == 0)
		return;
	if (w->answer_bytes + bytes.len > w->config->server.body_memory_bytes / 2 ||
	    relay_keep(x, bytes) < 0)
		x->record.flags |= SHM_USAGE_CONTENT_CUT;
}

/* ---- streams: their head leaves with the first thing there is to say */

static void relay_begin(struct exchange *x)
{
	if (x->state == EXCHANGE_STREAMING)
		return;
	exchange_set_state(x, EXCHANGE_STREAMING);
	shm_metric_add(x->worker->seg, x->worker->proc_slot, SHM_M_STREAMS_OPEN, 1);
	limits_tell(x);
	x->out->stream_start(x);
}

static void relay_finish(struct exchange *x)
{
	if (x->state == EXCHANGE_STREAMING)
		shm_metric_add(x->worker->seg, x->worker->proc_slot, SHM_M_STREAMS_OPEN, -1);
	exchange_set_state(x, EXCHANGE_DONE);
}

static void relay_event(struct exchange *x, struct bf_slice logged, struct bf_slice sent)
{
	x->call->spoke = true;
	x->forwarded = true;
	relay_begin(x);
	relay_keep_for_log(x, logged);
	x->out->stream_event(x, sent);
}

static void relay_on_tick(struct exchange *x, int64_t now_mono_ms)
{
	const struct bf_conf_server *server = &x->worker->config->server;
	struct call *call = x->call;
	bool answered = call->is_stream || x->state == EXCHANGE_STREAMING;
	int64_t limit_ms =
	    answered ? server->heartbeat_interval_ms : server->early_heartbeat_after_ms;

	if (call->spoke) {
		call->spoke = false;
		call->quiet_ms = now_mono_ms;
		return;
	}
	/* A client that reads slower than events come is not to get more. */
	if (limit_ms <= 0 || now_mono_ms - call->quiet_ms < limit_ms || !x->out->stream_ready(x))
		return;
	call->quiet_ms = now_mono_ms;
	relay_begin(x);
	x->out->stream_event(x, RELAY_HEARTBEAT);
	worker_count(x->worker, SHM_M_HEARTBEATS);
}

/* ---- the end */

/* The client is told in the way that is still open to it; the row is written. */
static void relay_tell_failure(struct exchange *x, const struct exchange_outcome *o, bool streaming)
{
	const char *text = o->error_text ? o->error_text : "failed";
	int status = o->http_status ? o->http_status : 502;
	struct bf_buf *out = &x->worker->text;

	limits_tell(x);
	if (streaming && o->tail.len) {
		/* The provider's own last words say it. */
		x->out->stream_event(x, o->tail);
		x->out->stream_end(x);
	} else if (streaming) {
		/* Streams tell the truth: an error event, and no end that looks like one. */
		bf_buf_clear(out);
		if (error_event_write(out, x, status, o->error_type, text) == 0)
			x->out->stream_event(x, bf_buf_slice(out));
		x->out->stream_end(x);
	} else if (x->answer_status && bf_buf_len(&x->answer)) {
		/* An upstream's own error body; only one that never came is ours to word. */
		(void)error_relayed(x, x->answer_status);
		x->out->answer(x, x->answer_status, BF_SLICE_LIT("application/json"),
			       bf_buf_slice(&x->answer));
	} else {
		gate_answer_error(x, status, o->error_type, text);
	}
}

/* What was collected of an answer that cannot end must not pass for one. */
static void relay_take_back(struct exchange *x)
{
	if (x->forwarded || x->answer_status > 299)
		return;
	x->answer_status = 0;
	bf_buf_clear(&x->answer);
}

static void relay_close(struct exchange *x, const struct exchange_outcome *outcome)
{
	/* One that waits for its meters has no row yet, or one that is closed. */
	if (x->admitted)
		record_close(x, outcome);
	else if (!x->call->kept)
		gate_refused(x, outcome);
}

void relay_end(struct exchange *x, const struct exchange_outcome *outcome)
{
	bool streaming = x->state == EXCHANGE_STREAMING;

	relay_close(x, outcome);
	relay_finish(x);
	relay_tell_failure(x, outcome, streaming);
}

/* An attempt failed. */
static void relay_failed(struct exchange *x, const struct exchange_outcome *outcome)
{
	struct exchange_outcome last = *outcome;

	relay_take_back(x);
	if (x->forwarded)
		call_failed(x, &last);
	else if (call_again(x, &last))
		return;
	relay_end(x, &last);
}

/* The provider's answer does not fit here: the call is stopped and counts as failed. */
static void relay_overrun(struct exchange *x, int code)
{
	const struct exchange_outcome outcome = {
	    .fault = EXCHANGE_FAULT_LOCAL,
	    .http_status = code == BF_E_LIMIT ? 502 : 503,
	    .error_type = code == BF_E_LIMIT ? "answer_too_large" : "answer_memory_full",
	    .error_text = code == BF_E_LIMIT ? "the provider's answer is larger than 16 MiB"
					     : "no memory to hold the provider's answer",
	};

	x->call_cancel(x);
	x->answer_status = 0;
	bf_buf_clear(&x->answer);
	relay_failed(x, &outcome);
}

/* The limits of its key have no more for this stream. */
static bool relay_cut(struct exchange *x)
{
	const struct limits_refusal *no = x->call->refused;
	const struct exchange_outcome outcome = {
	    .fault = EXCHANGE_FAULT_LOCAL,
	    .http_status = no ? no->http_status : 429,
	    .error_type = no ? no->type : "rate_limited",
	    .error_text = no ? no->text : "the limits of this virtual key are used up",
	    .truncated = true,
	};

	x->call_cancel(x);
	relay_failed(x, &outcome);
	return false;
}

/* ---- what a provider reports */

static void relay_on_head(struct exchange *x, int http_status, bool is_stream)
{
	x->answer_status = http_status;
	x->call->is_stream = is_stream;
	x->call->spoke = true;
	record_first_byte(x);
}

static bool relay_on_body(struct exchange *x, struct bf_slice bytes)
{
	int r;

	if (x->spend.over)
		return relay_cut(x);
	if (x->call->is_stream) {
		relay_event(x, bytes, bytes);
		return true;
	}
	r = relay_keep(x, bytes);
	if (r < 0)
		relay_overrun(x, r);
	return r == 0;
}

static bool relay_on_final(struct exchange *x, struct bf_slice event, struct bf_slice json)
{
	struct bf_buf *text = &x->worker->text;

	if (!x->call->is_stream || !extra_wanted(x) || x->spend.over)
		return relay_on_body(x, event);
	bf_buf_clear(text);
	relay_event(x, event, extra_event(x, event, json, text) ? bf_buf_slice(text) : event);
	return true;
}

/* A stream that runs: one that said why it stopped takes nothing more. */
static void relay_watch_limits(struct exchange *x, uint64_t completion_tokens)
{
	struct call *call = x->call;
	struct limits_refusal no;

	if (!call->is_stream || x->spend.over || x->record.stop_reason[0])
		return;
	if (limits_seen(x, completion_tokens, &no))
		return;
	call->refused = bf_arena_alloc(&x->arena, sizeof(no));
	if (call->refused)
		*call->refused = no;
}

static void relay_on_usage(struct exchange *x, uint64_t prompt_tokens, uint64_t completion_tokens,
			   uint64_t cached_tokens)
{
	if (x->spend.metered)
		relay_watch_limits(x, completion_tokens);
	record_progress(x, prompt_tokens, completion_tokens, cached_tokens);
}

static void relay_plain_done(struct exchange *x, const struct exchange_outcome *outcome)
{
	record_close(x, outcome);
	relay_finish(x);
	if (extra_wanted(x))
		(void)extra_append(x); /* without room for them the answer leaves as it came */
	limits_tell(x);
	x->out->answer(x, x->answer_status ? x->answer_status : outcome->http_status,
		       BF_SLICE_LIT("application/json"), bf_buf_slice(&x->answer));
}

/* Heartbeats promised a stream before the provider said that it has none. */
static void relay_no_stream(struct exchange *x)
{
	const struct exchange_outcome outcome = {
	    .fault = EXCHANGE_FAULT_LOCAL,
	    .http_status = 502,
	    .error_type = "upstream_protocol_error",
	    .error_text = "the provider answered a stream with something else",
	};

	relay_failed(x, &outcome);
}

static void relay_on_done(struct exchange *x, const struct exchange_outcome *outcome)
{
	if (outcome->error_type) {
		relay_failed(x, outcome);
		return;
	}
	if (!x->call->is_stream && x->state == EXCHANGE_STREAMING) {
		relay_no_stream(x);
		return;
	}
	call_succeeded(x);
	if (x->spend.metered)
		limits_learn(x);
	if (!x->call->is_stream) {
		relay_plain_done(x, outcome);
		return;
	}
	relay_begin(x);
	if (outcome->tail.len)
		relay_keep_for_log(x, outcome->tail);
	record_close(x, outcome);
	relay_finish(x);
	if (outcome->tail.len)
		x->out->stream_event(x, outcome->tail);
	x->out->stream_end(x);
}

static const struct exchange_sink relay_sink = {
    .on_head = relay_on_head,
    .on_body = relay_on_body,
    .on_final = relay_on_final,
    .on_usage = relay_on_usage,
    .on_repeat = call_repeated,
    .on_done = relay_on_done,
};

/* This worker leaves: the client is told in the way that is still open to it, and its row says what
 * it was told. */
static void relay_leave(struct exchange *x)
{
	bool streaming = x->state == EXCHANGE_STREAMING;
	const struct exchange_outcome outcome = {
	    .fault = EXCHANGE_FAULT_LOCAL,
	    .http_status = 503,
	    .error_type = EXCHANGE_WORKER_LEFT,
	    .error_text = EXCHANGE_WORKER_LEFT_TEXT,
	    .truncated = streaming,
	};

	x->answer_status = streaming ? 200 : 0;
	if (!streaming) {
		bf_buf_clear(&x->answer);
		x->answer_head.len = 0;
		x->retry_after_s = 1;
	}
	relay_close(x, &outcome);
	relay_finish(x);
	relay_tell_failure(x, &outcome, streaming);
}

/* The client is gone, or this worker leaves: the call ends here, and its row says so. */
static void relay_cancel(struct exchange *x, const char *why)
{
	const struct exchange_outcome outcome = {
	    .http_status = 499,
	    .error_type = why,
	    .error_text = "the call was stopped before its end",
	};

	if (x->call_cancel)
		x->call_cancel(x);
	call_stopped(x);
	if (strcmp(why, EXCHANGE_WORKER_LEFT) == 0) {
		relay_leave(x);
		return;
	}
	relay_close(x, &outcome);
	relay_finish(x);
}

void relay_attach(struct exchange *x)
{
	x->sink = &relay_sink;
	x->cancel = relay_cancel;
	if (x->wants_stream)
		x->on_tick = relay_on_tick;
	exchange_set_state(x, EXCHANGE_CALLING);
}
