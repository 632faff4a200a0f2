/*
 * The way back of an admitted exchange: implements exchange_sink. Order at the end: the record is
 * in the segment before the answer's last bytes are handed to the front, so that a client that saw
 * a whole answer always has its row, even if this worker is killed at once. Called by providers,
 * and by the front when the client has gone. Must never settle twice.
 */
#include "proxyd/gate/relay.h"

#include "proxyd/gate/error.h"
#include "proxyd/gate/route.h"
#include "proxyd/provider/provider.h"
#include "proxyd/record/record.h"
#include "proxyd/worker.h"

/* A copy of a stream that is kept for the log; longer ones are cut. */
#define RELAY_LOG_MAX (256u << 10)

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

	if (!record_wants_content(x) || kept >= RELAY_LOG_MAX)
		return;
	bytes.len = BF_MIN(bytes.len, RELAY_LOG_MAX - kept);
	if (w->answer_bytes + bytes.len <= w->config->server.body_memory_bytes / 2)
		(void)relay_keep(x, bytes);
}

static void relay_on_head(struct exchange *x, int http_status, bool is_stream)
{
	x->answer_status = http_status;
	record_first_byte(x);
	if (!is_stream)
		return;
	exchange_set_state(x, EXCHANGE_STREAMING);
	x->out->stream_start(x);
}

/* Settles, then tells the client in the way that is still open to it. */
static void relay_fail(struct exchange *x, const struct exchange_outcome *outcome)
{
	bool streaming = x->state == EXCHANGE_STREAMING;
	int status = outcome->http_status ? outcome->http_status : 502;

	record_close(x, outcome);
	exchange_set_state(x, EXCHANGE_DONE);
	if (!streaming) {
		gate_answer_error(x, status, outcome->error_type,
				  outcome->error_text ? outcome->error_text : "failed");
		return;
	}
	/* Streams tell the truth: an error event, and no [DONE]. */
	struct bf_buf *text = &x->worker->text;
	bf_buf_clear(text);
	if (bf_buf_append_slice(text, BF_SLICE_LIT("data: ")) == 0 &&
	    error_write(text, gate_dialect(x), status, outcome->error_type,
			outcome->error_text ? outcome->error_text : "failed", x) == 0 &&
	    bf_buf_append_slice(text, BF_SLICE_LIT("\n\n")) == 0)
		x->out->stream_event(x, bf_buf_slice(text));
	x->out->stream_end(x);
}

/* The provider's answer does not fit here: the call is stopped and counts as failed. */
static void relay_overrun(struct exchange *x, int code)
{
	const struct exchange_outcome outcome = {
	    .http_status = code == BF_E_LIMIT ? 502 : 503,
	    .error_type = code == BF_E_LIMIT ? "answer_too_large" : "answer_memory_full",
	    .error_text = code == BF_E_LIMIT ? "the provider's answer is larger than 16 MiB"
					     : "no memory to hold the provider's answer",
	};

	x->call_cancel(x);
	relay_fail(x, &outcome);
}

static bool relay_on_body(struct exchange *x, struct bf_slice bytes)
{
	int r;

	if (x->state == EXCHANGE_STREAMING) {
		relay_keep_for_log(x, bytes);
		x->out->stream_event(x, bytes);
		return true;
	}
	r = relay_keep(x, bytes);
	if (r < 0)
		relay_overrun(x, r);
	return r == 0;
}

static bool relay_on_final(struct exchange *x, struct bf_slice event, struct bf_slice json)
{
	(void)json;
	return relay_on_body(x, event);
}

static void relay_on_usage(struct exchange *x, uint64_t prompt_tokens, uint64_t completion_tokens,
			   uint64_t cached_tokens)
{
	record_progress(x, prompt_tokens, completion_tokens, cached_tokens);
}

static void relay_on_done(struct exchange *x, const struct exchange_outcome *outcome)
{
	bool streaming = x->state == EXCHANGE_STREAMING;

	/* An upstream's own error body is passed on as it is; only an answer that never began is
	 * ours to word. */
	if (outcome->error_type && (streaming || bf_buf_len(&x->answer) == 0)) {
		relay_fail(x, outcome);
		return;
	}
	if (streaming && outcome->tail.len)
		relay_keep_for_log(x, outcome->tail);
	record_close(x, outcome);
	exchange_set_state(x, EXCHANGE_DONE);
	if (!streaming) {
		x->out->answer(x, x->answer_status ? x->answer_status : outcome->http_status,
			       BF_SLICE_LIT("application/json"), bf_buf_slice(&x->answer));
		return;
	}
	if (outcome->tail.len)
		x->out->stream_event(x, outcome->tail);
	x->out->stream_end(x);
}

static const struct exchange_sink relay_sink = {
    .on_head = relay_on_head,
    .on_body = relay_on_body,
    .on_final = relay_on_final,
    .on_usage = relay_on_usage,
    .on_done = relay_on_done,
};

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
	record_close(x, &outcome);
	exchange_set_state(x, EXCHANGE_DONE);
}

void relay_attach(struct exchange *x)
{
	x->sink = &relay_sink;
	x->cancel = relay_cancel;
	exchange_set_state(x, EXCHANGE_CALLING);
}
