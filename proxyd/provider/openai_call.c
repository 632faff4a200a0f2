/*
 * One call to a provider of the OpenAI family: the request, the answer's head, a plain answer, the
 * end. Called by the gate, by the front (through x) and by upstream calls. Must never retry over
 * keys or providers, and never put a key into a message.
 */
#include <errno.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "proxyd/provider/openai_body.h"
#include "proxyd/provider/openai_head.h"
#include "proxyd/provider/openai_mask.h"
#include "proxyd/provider/openai_priv.h"
#include "proxyd/provider/retry_after.h"

/* ---- the end of a call */

/* What a call holds beside its arena. */
static struct bf_buf openai_let_go(struct openai_call *call)
{
	struct exchange *x = call->x;

	worker_answer_give(x->worker, call->partial_charged);
	call->partial_charged = 0;
	return call->partial;
}

void openai_finish(struct openai_call *call, const struct exchange_outcome *outcome)
{
	struct bf_buf partial = openai_let_go(call); /* the tail may lie in it */

	call->x->sink->on_done(call->x, outcome);
	bf_buf_done(&partial);
}

/* A plain answer that began and cannot end must not pass for one: it is taken back. */
static void openai_fail(struct openai_call *call, enum exchange_fault fault,
			const struct upstream_failure *f, bool truncated)
{
	struct exchange *x = call->x;
	const struct exchange_outcome outcome = {
	    .fault = fault,
	    .http_status = f->http_status,
	    .error_type = f->type,
	    .error_text = f->text,
	    .truncated = truncated,
	};

	if (call->mode == OPENAI_PLAIN) {
		x->answer_status = 0;
		bf_buf_clear(&x->answer);
	}
	if (call->mode != OPENAI_STREAM)
		x->answer_head = (struct bf_slice){NULL, 0};
	openai_finish(call, &outcome);
}

void openai_give_up(struct openai_call *call, enum exchange_fault fault, int http_status,
		    const char *type, const char *text)
{
	const struct upstream_failure failure = {
	    .http_status = http_status, .type = type, .text = text};

	upstream_cancel(&call->up);
	openai_fail(call, fault, &failure, call->mode != OPENAI_WAITING);
}

/* ---- what an answer says */

void openai_estimate(struct openai_call *call, uint64_t completion_tokens)
{
	struct exchange *x = call->x;

	x->record.flags |= SHM_USAGE_ESTIMATED;
	x->sink->on_usage(x, x->body.len / OPENAI_BYTES_PER_TOKEN, completion_tokens, 0);
}

/* The provider had all of the request, and nobody will hear what it made of it. */
static void openai_estimate_unheard(struct openai_call *call)
{
	const struct upstream_call *up = &call->up;

	if (!call->usage_seen && up->attempts && up->sent == up->total && call->status <= 299)
		openai_estimate(call, call->tokens);
}

static void openai_note_stop(struct openai_call *call, struct bf_slice reason)
{
	struct shm_usage_record *r = &call->x->record;

	call->stop_seen = true;
	memset(r->stop_reason, 0, sizeof(r->stop_reason));
	memcpy(r->stop_reason, reason.ptr, BF_MIN(reason.len, sizeof(r->stop_reason)));
}

/* A tier that was told stays so when a later usage does not repeat it. */
static void openai_paid(struct exchange *x, const struct openai_said *said)
{
	enum bf_service_tier tier = x->paid.tier;

	x->tier_told = x->tier_told || said->service_tier.len;
	x->paid = said->paid;
	x->paid.tier = said->service_tier.len ? bf_service_tier_of(said->service_tier) : tier;
}

/* What only the sum tells, such as a model's thoughts, counts as the answer, which is the dearer.
 */
static void openai_add_up(const struct openai_call *call, uint64_t total, uint64_t *prompt,
			  uint64_t *completion)
{
	if (total <= *prompt + *completion)
		return;
	if (call->object == SHM_OBJECT_EMBEDDING)
		*prompt = total - *completion;
	else
		*completion = total - *prompt;
}

void openai_heard(struct openai_call *call, const struct openai_said *said,
		  uint64_t completion_tokens)
{
	struct exchange *x = call->x;
	uint64_t prompt =
	    said->prompt_known ? said->prompt_tokens : x->body.len / OPENAI_BYTES_PER_TOKEN;
	uint64_t completion = said->completion_known ? said->completion_tokens : completion_tokens;

	if (said->stop_reason.len)
		openai_note_stop(call, said->stop_reason);
	if (!said->usage || (!said->prompt_known && !said->completion_known && !said->total_tokens))
		return;
	call->usage_seen = true;
	openai_paid(x, said);
	if (said->prompt_known && said->completion_known)
		x->record.flags &= ~(uint32_t)SHM_USAGE_ESTIMATED;
	else
		x->record.flags |= SHM_USAGE_ESTIMATED;
	openai_add_up(call, said->total_tokens, &prompt, &completion);
	x->sink->on_usage(x, prompt, completion, said->cached_tokens);
}

const char *openai_status_type(int http_status)
{
	switch (http_status) {
	case 401:
	case 403:
		return "upstream_auth_failed";
	case 429:
		return "upstream_rate_limited";
	default:
		return http_status >= 500 ? "upstream_error" : "upstream_refused";
	}
}

/* An answer with a good status that is an error all the same: as if its status said so. */
static void openai_plain_error(struct openai_call *call, const struct openai_said *said)
{
	struct exchange *x = call->x;
	char text[320];
	const struct exchange_outcome outcome = {
	    .fault = EXCHANGE_FAULT_STATUS,
	    .http_status = said->error_status,
	    .error_type = openai_status_type(said->error_status),
	    .error_text = text,
	};

	(void)snprintf(text, sizeof(text), "the provider reported an error with status %d%s%.*s",
		       call->status, said->error_text.len ? ": " : "",
		       (int)BF_MIN(said->error_text.len, 200u),
		       said->error_text.ptr ? said->error_text.ptr : "");
	x->answer_status = said->error_status;
	openai_finish(call, &outcome);
}

static void openai_plain_end(struct openai_call *call)
{
	struct openai *o = call->p->state;
	struct bf_slice answer = bf_buf_slice(&call->x->answer);
	const struct exchange_outcome outcome = {.http_status = call->status};
	struct upstream_failure failure = {.http_status = 502, .type = "upstream_protocol_error"};
	uint64_t guess = answer.len / OPENAI_BYTES_PER_TOKEN;
	struct openai_said said;
	bool read = openai_said_read(call->object, answer, true, &o->scratch, &said);

	if (said.verdict == OPENAI_ERROR) {
		openai_mask(&call->x->answer, call->p->conf, call->x->key);
		openai_plain_error(call, &said);
		return;
	}
	failure.text = call->x->wants_stream ? "the provider answered a stream with something else"
					     : said.problem;
	if (failure.text) {
		openai_fail(call, EXCHANGE_FAULT_NETWORK, &failure, said.broken && !call->framed);
		return;
	}
	if (read)
		guess = (said.text_bytes + OPENAI_BYTES_PER_TOKEN - 1) / OPENAI_BYTES_PER_TOKEN;
	if (call->object == SHM_OBJECT_EMBEDDING)
		guess = 0;
	if (read)
		openai_heard(call, &said, guess);
	if (!call->usage_seen)
		openai_estimate(call, guess);
	openai_finish(call, &outcome);
}

/* ---- the answer */

static bool openai_is_json(const struct upstream_head *head)
{
	return head->content_type[0] == '\0' ||
	       strcmp(head->content_type, "application/json") == 0 ||
	       strstr(head->content_type, "json") != NULL;
}

/* Why this answer cannot be relayed; NULL: it can. */
static const char *openai_head_problem(const struct openai_call *call,
				       const struct upstream_head *head)
{
	bool good = head->status >= 200 && head->status <= 299;
	bool events = strcmp(head->content_type, "text/event-stream") == 0;

	if (head->encoded && (good || openai_is_json(head)))
		return "the provider sent a Content-Encoding that was not asked for";
	if (head->status >= 300 && head->status <= 399)
		return "the provider answered with a redirect; base_url must name the final place";
	if (good && events && !call->x->wants_stream)
		return "the provider sent a stream that was not asked for";
	if (good && !events && !openai_is_json(head))
		return "the provider answered with something that is no JSON";
	return NULL;
}

static enum openai_mode openai_mode_of(const struct upstream_head *head)
{
	if (head->status > 299)
		return openai_is_json(head) ? OPENAI_PLAIN : OPENAI_REPLACED;
	return strcmp(head->content_type, "text/event-stream") == 0 ? OPENAI_STREAM : OPENAI_PLAIN;
}

static unsigned openai_retry_after(const struct upstream_head *head)
{
	unsigned s = 0;

	if (head->retry_after[0])
		s = retry_after_seconds(bf_slice_from(head->retry_after), bf_wall_ms() / 1000);
	return s || !head->retry_after_ms[0]
		   ? s
		   : retry_after_ms_seconds(bf_slice_from(head->retry_after_ms));
}

static bool on_openai_head(struct upstream_call *up, const struct upstream_head *head)
{
	struct openai_call *call = BF_CONTAINER_OF(up, struct openai_call, up);
	struct exchange *x = call->x;
	const char *problem = openai_head_problem(call, head);

	if (problem) {
		openai_give_up(call, EXCHANGE_FAULT_NETWORK, 502, "upstream_protocol_error",
			       problem);
		return false;
	}
	call->status = head->status;
	call->framed = head->framed;
	call->mode = openai_mode_of(head);
	x->retry_after_s = openai_retry_after(head);
	x->answer_head = head->lines;
	if (call->mode != OPENAI_REPLACED)
		x->sink->on_head(x, head->status, call->mode == OPENAI_STREAM);
	if (call->mode == OPENAI_STREAM)
		upstream_deadline(up, call->p->conf->network_config.stream_idle_timeout_ms);
	return true;
}

static bool on_openai_body(struct upstream_call *up, struct bf_slice bytes)
{
	struct openai_call *call = BF_CONTAINER_OF(up, struct openai_call, up);

	switch (call->mode) {
	case OPENAI_STREAM:
		return openai_stream_body(call, bytes);
	case OPENAI_PLAIN:
		return call->x->sink->on_body(call->x, bytes);
	case OPENAI_WAITING:
	case OPENAI_REPLACED:
		break;
	}
	return true;
}

static bool on_openai_wants_more(struct upstream_call *up)
{
	struct openai_call *call = BF_CONTAINER_OF(up, struct openai_call, up);

	if (call->mode != OPENAI_STREAM || call->x->out->stream_ready(call->x))
		return true;
	upstream_deadline(up, 0); /* the client is slow, not the provider */
	return false;
}

static void on_openai_repeat(struct upstream_call *up)
{
	struct exchange *x = BF_CONTAINER_OF(up, struct openai_call, up)->x;

	x->sink->on_repeat(x);
}

static void on_openai_end(struct upstream_call *up)
{
	struct openai_call *call = BF_CONTAINER_OF(up, struct openai_call, up);
	char text[64];

	if (call->mode == OPENAI_STREAM) {
		openai_stream_end(call);
		return;
	}
	if (call->status <= 299) {
		openai_plain_end(call);
		return;
	}
	openai_mask(&call->x->answer, call->p->conf, call->x->key);
	(void)snprintf(text, sizeof(text), "the provider answered with status %d", call->status);
	const struct exchange_outcome outcome = {
	    .fault = EXCHANGE_FAULT_STATUS,
	    .http_status = call->status,
	    .error_type = openai_status_type(call->status),
	    .error_text = text,
	};
	openai_finish(call, &outcome);
}

static void on_openai_fail(struct upstream_call *up, const struct upstream_failure *failure)
{
	struct openai_call *call = BF_CONTAINER_OF(up, struct openai_call, up);

	if (failure->local && failure->http_status == 503)
		call->x->retry_after_s = 1;
	if (failure->http_status == 504)
		openai_estimate_unheard(call);
	/* A cut within the head counts as one; a head that is no HTTP is none. */
	bool begun = call->mode != OPENAI_WAITING ||
		     (up->answered && strcmp(failure->type, "upstream_protocol_error") != 0);
	openai_fail(call, failure->local ? EXCHANGE_FAULT_LOCAL : EXCHANGE_FAULT_NETWORK, failure,
		    begun);
}

static const struct upstream_events openai_events = {
    .on_head = on_openai_head,
    .on_body = on_openai_body,
    .wants_more = on_openai_wants_more,
    .on_repeat = on_openai_repeat,
    .on_end = on_openai_end,
    .on_fail = on_openai_fail,
};

/* ---- the request */

static void openai_cancel(struct exchange *x)
{
	struct openai_call *call = x->provider_call;

	openai_estimate_unheard(call);
	upstream_cancel(&call->up);
	struct bf_buf partial = openai_let_go(call);
	bf_buf_done(&partial);
}

static void openai_resume(struct exchange *x)
{
	struct openai_call *call = x->provider_call;

	if (!call->up.paused)
		return;
	upstream_deadline(&call->up, call->p->conf->network_config.stream_idle_timeout_ms);
	upstream_resume(&call->up);
}

struct openai_pool *openai_pool_of(const struct provider *p, const struct exchange *x)
{
	struct openai *o = p->state;
	const struct bf_conf_provider_key *keys = p->conf->keys.items;

	return &o->pools[x->key ? o->pool_of_key[x->key - keys] : 0];
}

_Static_assert(2 + OPENAI_PIECES_MAX <= UPSTREAM_IOV_MAX, "a request fits its pieces");

/* 0, BF_E_LIMIT (too many headers), -ENOMEM. */
static int openai_request(struct openai_call *call, const struct openai_pool *pool)
{
	const struct openai *o = call->p->state;
	const struct bf_buf *head = &pool->heads[call->object];
	struct iovec *iov = call->up.iov;
	bool ask = !o->family->usage_unasked &&
		   (call->object == SHM_OBJECT_CHAT || call->object == SHM_OBJECT_COMPLETION);
	size_t body_len = 0;
	int pieces = openai_body_splice(call->x, ask, iov + 2);

	if (pieces < 0)
		return pieces;
	for (int i = 0; i < pieces; i++)
		body_len += iov[2 + i].iov_len;
	iov[0] = (struct iovec){head->data + head->start, bf_buf_len(head)};
	call->up.iov_count = 2 + (unsigned)pieces;
	return openai_head_rest(call->x, call->p->conf, o->own_auth, body_len, &iov[1]);
}

void openai_refuse(struct exchange *x, int http_status, const char *type, const char *text)
{
	const struct exchange_outcome outcome = {.fault = EXCHANGE_FAULT_LOCAL,
						 .http_status = http_status,
						 .error_type = type,
						 .error_text = text};

	x->sink->on_done(x, &outcome);
}

static struct openai_call *openai_call_new(struct provider *p, struct exchange *x,
					   struct openai_pool *pool)
{
	const struct bf_conf_network *net = &p->conf->network_config;
	struct openai_call *call = bf_arena_alloc(&x->arena, sizeof(*call));

	if (!call)
		return NULL;
	call->x = x;
	call->p = p;
	call->object = x->object;
	call->up.up = &pool->up;
	call->up.events = &openai_events;
	call->up.arena = &x->arena;
	call->up.timeout_ms = net->request_timeout_ms;
	call->up.first_byte_ms = net->first_byte_timeout_ms;
	call->up.give_up_ms = x->deadline_mono_ms;
	bf_buf_init_nodump(&call->partial, OPENAI_EVENT_MAX);
	return call;
}

void openai_call_start(struct provider *p, struct exchange *x)
{
	struct openai *o = p->state;
	struct openai_pool *pool = openai_pool_of(p, x);
	struct provider_unable no;
	struct openai_call *call;
	int r;

	o->queue.drop_excess = p->worker->client->drop_excess_requests;
	x->answer_head = (struct bf_slice){NULL, 0};
	x->retry_after_s = 0;
	if (!provider_serves(p, x->object, &no)) {
		openai_refuse(x, no.http_status, no.type, no.text);
		return;
	}
	call = openai_call_new(p, x, pool);
	r = call ? openai_request(call, pool) : -ENOMEM;
	if (r == BF_E_LIMIT) {
		openai_refuse(x, 400, "headers_too_large",
			      "the headers that go on to the provider take more than 16 KiB");
		return;
	}
	if (r < 0) {
		openai_refuse(x, 503, "out_of_memory", "no memory for the call");
		return;
	}
	x->provider_call = call;
	x->call_cancel = openai_cancel;
	x->call_resume = openai_resume;
	upstream_start(&call->up);
}
