/*
 * The built-in provider that needs no network: answers with a configured text or with the last user
 * message, plain or as a stream, at a configured pace. A token is a word. Called by the relay. Must
 * never be anything but deterministic: tests and first steps rely on it.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxyd/provider/mock_text.h"
#include "proxyd/provider/mock_write.h"
#include "proxyd/provider/provider.h"

#define MOCK_TEXT_MAX (128u << 20)
struct mock_state {
	struct bf_buf text; /* the event or answer being built; used within one call only */
};

/* One call; lives in the exchange's arena. */
struct mock_call {
	struct exchange *x;
	struct provider *p;
	ev_timer timer;
	struct bf_slice left; /* of the reply, still to be streamed */
	struct bf_slice reply;
	struct bf_slice *inputs; /* of a call for embeddings */
	size_t input_count;
	struct mock_words words;
	bool head_sent, begun;
};

/* ---- the request */

/* One text of a list: its words are tokens; of anything else, its elements. */
static void mock_read_text(struct mock_call *call, uint32_t i, struct bf_slice *ret_text)
{
	const struct bf_json_tape *t = &call->x->json;

	*ret_text = (struct bf_slice){NULL, 0};
	if (t->tokens[i].type == BF_JSON_OBJECT)
		*ret_text = mock_message_text(t, i, &call->x->arena);
	else if (t->tokens[i].type == BF_JSON_STRING)
		(void)bf_json_string(t, i, &call->x->arena, ret_text);
	else
		call->words.prompt_tokens += BF_MAX(t->tokens[i].count, 1u);
	call->words.prompt_tokens += mock_count_words(*ret_text);
}

/* Messages, prompt or input: a text or a list. What the last user says is echoed. */
static void mock_read_content(struct mock_call *call, struct bf_slice *ret_echo)
{
	struct exchange *x = call->x;
	const struct bf_json_tape *t = &x->json;
	uint32_t content = x->content_token;
	struct bf_slice text;

	*ret_echo = (struct bf_slice){NULL, 0};
	if (content == BF_JSON_NONE)
		return;
	if (t->tokens[content].type != BF_JSON_ARRAY) {
		mock_read_text(call, content, ret_echo);
		return;
	}
	for (uint32_t m = bf_json_first(content); m < t->tokens[content].next;
	     m = t->tokens[m].next) {
		uint32_t role = bf_json_member(t, m, "role");
		mock_read_text(call, m, &text);
		if (text.len &&
		    (role == BF_JSON_NONE || bf_slice_is(bf_json_raw(t, role), "\"user\"")))
			*ret_echo = text;
	}
}

/* What vectors are wanted of: a text, a list of texts, a list of tokens, or a list of such lists.
 * The JSON itself will do, as it decides nothing but numbers. */
static bool mock_read_inputs(struct mock_call *call)
{
	struct exchange *x = call->x;
	const struct bf_json_tape *t = &x->json;
	uint32_t input = x->content_token;
	uint32_t first = bf_json_first(input);
	bool single = input == BF_JSON_NONE || t->tokens[input].type != BF_JSON_ARRAY ||
		      t->tokens[input].count == 0 || t->tokens[first].type == BF_JSON_NUMBER;
	size_t max = single ? 1 : t->tokens[input].count;

	call->inputs = bf_arena_alloc(&x->arena, max * sizeof(call->inputs[0]));
	if (!call->inputs)
		return false;
	if (single) {
		call->input_count = 1;
		call->inputs[0] = input == BF_JSON_NONE ? x->body : bf_json_raw(t, input);
		return true;
	}
	for (uint32_t i = first; i < t->tokens[input].next; i = t->tokens[i].next)
		call->inputs[call->input_count++] = bf_json_raw(t, i);
	return true;
}

/* ---- the answer */

static struct bf_buf *mock_text(const struct mock_call *call)
{
	struct mock_state *state = call->p->state;

	bf_buf_clear(&state->text);
	return &state->text;
}

static void mock_done(struct mock_call *call, struct bf_slice tail, bool failed)
{
	struct exchange *x = call->x;
	const struct exchange_outcome outcome = {
	    .fault = failed ? EXCHANGE_FAULT_LOCAL : EXCHANGE_FAULT_NONE,
	    .http_status = failed ? 503 : 200,
	    .error_type = failed ? "out_of_memory" : NULL,
	    .error_text = failed ? "no memory for the answer" : NULL,
	    .tail = tail,
	};

	ev_timer_stop(call->p->worker->loop, &call->timer);
	x->sink->on_done(x, &outcome);
}

static void mock_tell_usage(const struct mock_call *call)
{
	call->x->sink->on_usage(call->x, call->words.prompt_tokens, call->words.completion_tokens,
				0);
}

static void mock_note_stop(struct mock_call *call)
{
	bool responses = call->words.object == SHM_OBJECT_RESPONSES;

	(void)snprintf(call->x->record.stop_reason, sizeof(call->x->record.stop_reason), "%s",
		       responses ? "completed" : "stop");
}

static int mock_write_embeddings(struct mock_call *call, struct bf_buf *text)
{
	const struct bf_json_tape *t = &call->x->json;
	uint32_t format = bf_json_member(t, 0, "encoding_format");
	uint32_t dimensions = bf_json_member(t, 0, "dimensions");
	int64_t count = 0;

	if (dimensions != BF_JSON_NONE && bf_json_i64(t, dimensions, &count) < 0)
		count = 0;
	return mock_write_vectors(
	    text, &call->words, call->inputs, call->input_count, count > 0 ? (uint64_t)count : 0,
	    format != BF_JSON_NONE && bf_slice_is(bf_json_raw(t, format), "\"base64\""));
}

static void mock_answer(struct mock_call *call)
{
	const struct bf_slice none = {NULL, 0};
	struct exchange *x = call->x;
	struct bf_buf *text = mock_text(call);
	bool vectors = call->words.object == SHM_OBJECT_EMBEDDING;
	int r;

	if (!vectors) {
		call->words.completion_tokens = mock_count_words(call->reply);
		mock_note_stop(call);
	}
	mock_tell_usage(call);
	r = vectors ? mock_write_embeddings(call, text)
		    : mock_write_answer(text, &call->words, call->reply);
	if (r < 0) {
		mock_done(call, none, true);
		return;
	}
	x->sink->on_head(x, 200, false);
	if (x->sink->on_body(x, bf_buf_slice(text)))
		mock_done(call, none, false);
}

/* ---- a stream */

/* Writes and passes on an event of the end. False: the exchange is over. */
static bool mock_final(struct mock_call *call, bool usage)
{
	struct exchange *x = call->x;
	struct bf_buf *text = mock_text(call);
	struct bf_slice json = {NULL, 0};
	int r = usage ? mock_write_usage(text, &call->words, &json)
		      : mock_write_final(text, &call->words, call->reply, &json);

	if (r < 0) {
		mock_done(call, json, true);
		return false;
	}
	if (call->words.object == SHM_OBJECT_RESPONSES)
		x->stream_events = (uint32_t)call->words.sequence - 1;
	if (!x->sink->on_final(x, bf_buf_slice(text), json))
		return false;
	x->stream_events++;
	return true;
}

static void mock_stream_end(struct mock_call *call)
{
	struct exchange *x = call->x;
	struct bf_buf *text = mock_text(call);
	bool responses = call->words.object == SHM_OBJECT_RESPONSES;
	const struct bf_slice none = {NULL, 0};

	mock_note_stop(call);
	if (mock_write_closing(text, &call->words, call->reply) < 0) {
		mock_done(call, none, true);
		return;
	}
	if (bf_buf_len(text) && !x->sink->on_body(x, bf_buf_slice(text)))
		return;
	if (!mock_final(call, false))
		return;
	if (!responses && x->wants_usage_chunk && !mock_final(call, true))
		return;
	mock_done(call, responses ? none : BF_SLICE_LIT("data: [DONE]\n\n"), false);
}

/* One word, or the opening. False: the exchange is over. */
static bool mock_stream_step(struct mock_call *call)
{
	const struct bf_slice none = {NULL, 0};
	struct exchange *x = call->x;
	struct bf_buf *text = mock_text(call);
	int r;

	if (!call->begun) {
		call->begun = true;
		r = mock_write_begin(text, &call->words);
	} else {
		struct bf_slice word = mock_next_word(&call->left);
		call->words.completion_tokens += mock_count_words(word);
		r = mock_write_piece(text, &call->words, word);
	}
	if (r < 0) {
		mock_done(call, none, true);
		return false;
	}
	mock_tell_usage(call);
	x->stream_events++;
	return x->sink->on_body(x, bf_buf_slice(text));
}

/* Goes on with a stream as far as pace and client allow. */
static void mock_stream(struct mock_call *call)
{
	struct exchange *x = call->x;
	int64_t interval_ms = call->p->conf->mock_config.token_interval_ms;

	if (!call->head_sent) {
		call->head_sent = true;
		x->sink->on_head(x, 200, true);
	}
	while (x->out->stream_ready(x)) {
		if (call->begun && call->left.len == 0) {
			mock_stream_end(call);
			return;
		}
		bool was_opening = !call->begun;
		if (!mock_stream_step(call))
			return;
		if (interval_ms > 0 && !was_opening) {
			ev_timer_set(&call->timer, (double)interval_ms / 1000.0, 0.0);
			ev_timer_start(call->p->worker->loop, &call->timer);
			return;
		}
	}
}

static void mock_work(struct mock_call *call)
{
	if (call->x->wants_stream && call->words.object != SHM_OBJECT_EMBEDDING)
		mock_stream(call);
	else
		mock_answer(call);
}

static void on_mock_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	mock_work(timer->data);
}

/* ---- public */

static void mock_cancel(struct exchange *x)
{
	struct mock_call *call = x->provider_call;
	ev_timer_stop(call->p->worker->loop, &call->timer);
}

static void mock_resume(struct exchange *x)
{
	struct mock_call *call = x->provider_call;

	/* While the timer runs the pace decides, not the client. */
	if (!ev_is_active(&call->timer))
		mock_stream(call);
}

static struct mock_call *mock_call_new(struct provider *p, struct exchange *x)
{
	struct mock_call *call = bf_arena_alloc(&x->arena, sizeof(*call));

	if (!call)
		return NULL;
	*call = (struct mock_call){.x = x, .p = p};
	call->words.object = x->object;
	call->words.created_s = x->started_wall_ns / 1000000000;
	call->words.model = x->model;
	bf_uuid_format(&x->id, call->words.id);
	ev_timer_init(&call->timer, on_mock_timer, (double)p->conf->mock_config.latency_ms / 1000.0,
		      0.0);
	call->timer.data = call;
	return x->object != SHM_OBJECT_EMBEDDING || mock_read_inputs(call) ? call : NULL;
}

static void mock_start(struct provider *p, struct exchange *x)
{
	struct mock_call *call = mock_call_new(p, x);
	const struct bf_conf_mock *conf = &p->conf->mock_config;
	struct bf_slice echo;

	if (!call) {
		const struct exchange_outcome outcome = {.fault = EXCHANGE_FAULT_LOCAL,
							 .http_status = 503,
							 .error_type = "out_of_memory",
							 .error_text = "no memory for the call"};
		x->sink->on_done(x, &outcome);
		return;
	}
	x->provider_call = call;
	x->call_cancel = mock_cancel;
	x->call_resume = mock_resume;
	mock_read_content(call, &echo);
	call->reply = conf->reply.len ? conf->reply : echo;
	call->left = call->reply;
	if (conf->latency_ms > 0)
		ev_timer_start(p->worker->loop, &call->timer);
	else
		mock_work(call);
}

static int mock_open(struct provider *p, struct bf_err *err)
{
	struct mock_state *state = calloc(1, sizeof(*state));

	if (!state)
		return bf_err_sys(err, -ENOMEM, "mock");
	bf_buf_init_nodump(&state->text, MOCK_TEXT_MAX);
	p->state = state;
	return 0;
}

static void mock_close(struct provider *p)
{
	struct mock_state *state = p->state;

	if (!state)
		return;
	bf_buf_done(&state->text);
	free(state);
	p->state = NULL;
}

const struct provider_ops provider_mock = {
    .name = "mock",
    .default_model = "echo",
    .open = mock_open,
    .close = mock_close,
    .start = mock_start,
};
