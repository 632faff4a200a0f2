/*
 * The built-in provider that needs no network: answers with a configured text or with the last user
 * message, plain or as a stream, at a configured pace. A token is a word. Called by the relay. Must
 * never be anything but deterministic: tests and first steps rely on it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/codec/json_writer.h"
#include "proxyd/provider/mock_text.h"
#include "proxyd/provider/provider.h"

#define MOCK_TEXT_MAX  (128u << 20)
#define MOCK_ID_PREFIX "chatcmpl-"

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
	uint64_t prompt_tokens, completion_tokens; /* completion: told so far */
	bool head_sent, role_sent;
	char id[sizeof(MOCK_ID_PREFIX) + BF_UUID_TEXT_LEN];
};

static void mock_read_messages(struct mock_call *call, struct bf_slice *ret_last_user)
{
	struct exchange *x = call->x;
	const struct bf_json_tape *t = &x->json;

	*ret_last_user = (struct bf_slice){NULL, 0};
	for (uint32_t m = bf_json_first(x->content_token); m < t->tokens[x->content_token].next;
	     m = t->tokens[m].next) {
		struct bf_slice text = mock_message_text(t, m, &x->arena);
		struct bf_slice role = bf_json_raw(t, bf_json_member(t, m, "role"));
		call->prompt_tokens += mock_count_words(text);
		if (bf_slice_is(role, "\"user\""))
			*ret_last_user = text;
	}
}

static void mock_write_head(struct bf_json_writer *j, const struct mock_call *call,
			    const char *object)
{
	bf_jw_object(j);
	bf_jw_key(j, "id");
	bf_jw_cstr(j, call->id);
	bf_jw_key(j, "object");
	bf_jw_cstr(j, object);
	bf_jw_key(j, "created");
	bf_jw_i64(j, call->x->started_wall_ns / 1000000000);
	bf_jw_key(j, "model");
	bf_jw_string(j, call->x->model);
	bf_jw_key(j, "choices");
	bf_jw_array(j);
}

static void mock_write_usage(struct bf_json_writer *j, const struct mock_call *call)
{
	bf_jw_key(j, "usage");
	bf_jw_object(j);
	bf_jw_key(j, "prompt_tokens");
	bf_jw_u64(j, call->prompt_tokens);
	bf_jw_key(j, "completion_tokens");
	bf_jw_u64(j, call->completion_tokens);
	bf_jw_key(j, "total_tokens");
	bf_jw_u64(j, call->prompt_tokens + call->completion_tokens);
	bf_jw_end_object(j);
}

/* Open a choice up to its message or delta. */
static void mock_open_choice(struct bf_json_writer *j, const char *part)
{
	bf_jw_object(j);
	bf_jw_key(j, "index");
	bf_jw_i64(j, 0);
	bf_jw_key(j, part);
	bf_jw_object(j);
}

static void mock_close_choice(struct bf_json_writer *j, const char *finish_reason)
{
	bf_jw_end_object(j);
	bf_jw_key(j, "finish_reason");
	if (finish_reason)
		bf_jw_cstr(j, finish_reason);
	else
		bf_jw_null(j);
	bf_jw_end_object(j);
}

static struct bf_buf *mock_text(const struct mock_call *call)
{
	struct mock_state *state = call->p->state;
	return &state->text;
}

static void mock_done(struct mock_call *call, struct bf_slice tail, bool failed)
{
	struct exchange *x = call->x;
	const struct exchange_outcome outcome = {
	    .http_status = failed ? 503 : 200,
	    .error_type = failed ? "out_of_memory" : NULL,
	    .error_text = failed ? "no memory for the answer" : NULL,
	    .tail = tail,
	};

	ev_timer_stop(call->p->worker->loop, &call->timer);
	x->sink->on_done(x, &outcome);
}

static void mock_answer(struct mock_call *call)
{
	struct exchange *x = call->x;
	struct bf_buf *text = mock_text(call);
	struct bf_json_writer j;

	call->completion_tokens = mock_count_words(call->reply);
	x->sink->on_usage(x, call->prompt_tokens, call->completion_tokens, 0);
	bf_buf_clear(text);
	bf_jw_init(&j, text);
	mock_write_head(&j, call, "chat.completion");
	mock_open_choice(&j, "message");
	bf_jw_key(&j, "role");
	bf_jw_cstr(&j, "assistant");
	bf_jw_key(&j, "content");
	bf_jw_string(&j, call->reply);
	mock_close_choice(&j, "stop");
	bf_jw_end_array(&j);
	mock_write_usage(&j, call);
	bf_jw_end_object(&j);
	if (bf_jw_finish(&j) < 0) {
		mock_done(call, (struct bf_slice){NULL, 0}, true);
		return;
	}
	x->sink->on_head(x, 200, false);
	if (x->sink->on_body(x, bf_buf_slice(text)))
		mock_done(call, (struct bf_slice){NULL, 0}, false);
}

/* Appends one event; delta is what the choice says. */
static int mock_event(struct mock_call *call, const char *role, struct bf_slice content,
		      const char *finish_reason)
{
	struct bf_buf *text = mock_text(call);
	struct bf_json_writer j;
	int r = bf_buf_append_slice(text, BF_SLICE_LIT("data: "));

	if (r < 0)
		return r;
	bf_jw_init(&j, text);
	mock_write_head(&j, call, "chat.completion.chunk");
	mock_open_choice(&j, "delta");
	if (role) {
		bf_jw_key(&j, "role");
		bf_jw_cstr(&j, role);
	}
	if (!finish_reason) {
		bf_jw_key(&j, "content");
		bf_jw_string(&j, content);
	}
	mock_close_choice(&j, finish_reason);
	bf_jw_end_array(&j);
	bf_jw_end_object(&j);
	r = bf_jw_finish(&j);
	return r < 0 ? r : bf_buf_append_slice(text, BF_SLICE_LIT("\n\n"));
}

static int mock_usage_event(struct mock_call *call)
{
	struct bf_buf *text = mock_text(call);
	struct bf_json_writer j;
	int r = bf_buf_append_slice(text, BF_SLICE_LIT("data: "));

	if (r < 0)
		return r;
	bf_jw_init(&j, text);
	mock_write_head(&j, call, "chat.completion.chunk");
	bf_jw_end_array(&j);
	mock_write_usage(&j, call);
	bf_jw_end_object(&j);
	r = bf_jw_finish(&j);
	return r < 0 ? r : bf_buf_append_slice(text, BF_SLICE_LIT("\n\n"));
}

static void mock_stream_end(struct mock_call *call)
{
	struct bf_buf *text = mock_text(call);
	int r;

	bf_buf_clear(text);
	r = mock_event(call, NULL, (struct bf_slice){NULL, 0}, "stop");
	if (r == 0 && call->x->wants_usage_chunk)
		r = mock_usage_event(call);
	if (r == 0)
		r = bf_buf_append_slice(text, BF_SLICE_LIT("data: [DONE]\n\n"));
	mock_done(call, bf_buf_slice(text), r < 0);
}

/* One word, or the opening role. False: the exchange is over. */
static bool mock_stream_step(struct mock_call *call)
{
	struct exchange *x = call->x;
	struct bf_buf *text = mock_text(call);
	int r;

	bf_buf_clear(text);
	if (!call->role_sent) {
		call->role_sent = true;
		r = mock_event(call, "assistant", (struct bf_slice){NULL, 0}, NULL);
	} else {
		struct bf_slice word = mock_next_word(&call->left);
		call->completion_tokens += mock_count_words(word);
		r = mock_event(call, NULL, word, NULL);
	}
	if (r < 0) {
		mock_done(call, (struct bf_slice){NULL, 0}, true);
		return false;
	}
	x->sink->on_usage(x, call->prompt_tokens, call->completion_tokens, 0);
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
		if (call->role_sent && call->left.len == 0) {
			mock_stream_end(call);
			return;
		}
		bool was_role = !call->role_sent;
		if (!mock_stream_step(call))
			return;
		if (interval_ms > 0 && !was_role) {
			ev_timer_set(&call->timer, (double)interval_ms / 1000.0, 0.0);
			ev_timer_start(call->p->worker->loop, &call->timer);
			return;
		}
	}
}

static void mock_work(struct mock_call *call)
{
	if (call->x->wants_stream)
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

static void mock_start(struct provider *p, struct exchange *x)
{
	struct mock_call *call = bf_arena_alloc(&x->arena, sizeof(*call));
	const struct bf_conf_mock *conf = &p->conf->mock_config;
	struct bf_slice last_user;

	if (!call) {
		const struct exchange_outcome outcome = {.http_status = 503,
							 .error_type = "out_of_memory",
							 .error_text = "no memory for the call"};
		x->sink->on_done(x, &outcome);
		return;
	}
	*call = (struct mock_call){.x = x, .p = p};
	memcpy(call->id, MOCK_ID_PREFIX, sizeof(MOCK_ID_PREFIX) - 1);
	bf_uuid_format(&x->id, call->id + sizeof(MOCK_ID_PREFIX) - 1);
	ev_timer_init(&call->timer, on_mock_timer, (double)conf->latency_ms / 1000.0, 0.0);
	call->timer.data = call;
	x->provider_call = call;
	x->call_cancel = mock_cancel;
	x->call_resume = mock_resume;
	mock_read_messages(call, &last_user);
	call->reply = conf->reply.len ? conf->reply : last_user;
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
