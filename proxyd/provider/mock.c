/*
 * The built-in provider that needs no network: answers with a configured text or with the last user
 * message, plain or as a stream, at a configured pace. A token is a word. Called by the relay. Must
 * never be anything but deterministic: tests and first steps rely on it.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/codec/json_writer.h"
#include "proxyd/provider/mock_read.h"
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
	struct mock_asked asked;
	struct mock_words words;
	bool head_sent, begun;
	bool lists; /* asked for its models */
};

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
	const struct mock_asked *asked = &call->asked;

	return mock_write_vectors(text, &call->words, asked->inputs, asked->input_count,
				  asked->dimensions, asked->base64);
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

/* ---- its models */

static void mock_write_name(struct bf_json_writer *j, struct bf_slice name)
{
	bf_jw_object(j);
	bf_jw_key(j, "id");
	bf_jw_string(j, name);
	bf_jw_key(j, "object");
	bf_jw_cstr(j, "model");
	bf_jw_end_object(j);
}

/* Those that its keys name, and its own. */
static int mock_write_models(const struct mock_call *call, struct bf_buf *text)
{
	const struct provider *p = call->p;
	const struct bf_conf_provider_key *keys = p->conf->keys.items;
	struct bf_json_writer j;

	bf_jw_init(&j, text);
	bf_jw_object(&j);
	bf_jw_key(&j, "object");
	bf_jw_cstr(&j, "list");
	bf_jw_key(&j, "data");
	bf_jw_array(&j);
	mock_write_name(&j, bf_slice_from(p->ops->default_model));
	for (uint32_t i = 0; i < p->conf->keys.count; i++) {
		const struct bf_slice *models = keys[i].models.items;

		for (uint32_t k = 0; k < keys[i].models.count; k++) {
			if (!bf_slice_is(models[k], "*"))
				mock_write_name(&j, models[k]);
		}
	}
	bf_jw_end_array(&j);
	bf_jw_end_object(&j);
	return bf_jw_finish(&j);
}

static void mock_list_models(struct mock_call *call)
{
	const struct bf_slice none = {NULL, 0};
	struct exchange *x = call->x;
	struct bf_buf *text = mock_text(call);

	if (mock_write_models(call, text) < 0) {
		mock_done(call, none, true);
		return;
	}
	x->sink->on_head(x, 200, false);
	if (x->sink->on_body(x, bf_buf_slice(text)))
		mock_done(call, none, false);
}

static void mock_work(struct mock_call *call)
{
	if (call->lists)
		mock_list_models(call);
	else if (call->x->wants_stream && call->words.object != SHM_OBJECT_EMBEDDING)
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

static struct mock_call *mock_call_new(struct provider *p, struct exchange *x, bool lists)
{
	struct mock_call *call = bf_arena_alloc(&x->arena, sizeof(*call));

	if (!call)
		return NULL;
	*call = (struct mock_call){.x = x, .p = p};
	call->words.object = x->object;
	call->words.created_s = x->started_wall_ns / 1000000000;
	call->words.model = x->model;
	call->lists = lists;
	bf_uuid_format(&x->id, call->words.id);
	ev_timer_init(&call->timer, on_mock_timer, (double)p->conf->mock_config.latency_ms / 1000.0,
		      0.0);
	call->timer.data = call;
	if (!lists && !mock_read(x, &call->asked))
		return NULL;
	call->words.prompt_tokens = call->asked.prompt_tokens;
	return call;
}

static void mock_begin(struct provider *p, struct exchange *x, bool lists)
{
	struct mock_call *call = mock_call_new(p, x, lists);
	const struct bf_conf_mock *conf = &p->conf->mock_config;

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
	call->reply = conf->reply.len ? conf->reply : call->asked.echo;
	call->left = call->reply;
	if (conf->latency_ms > 0)
		ev_timer_start(p->worker->loop, &call->timer);
	else
		mock_work(call);
}

static void mock_start(struct provider *p, struct exchange *x)
{
	mock_begin(p, x, false);
}

static void mock_list(struct provider *p, struct exchange *x)
{
	mock_begin(p, x, true);
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
    .list = mock_list,
};
