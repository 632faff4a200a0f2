/*
 * Providers that speak the OpenAI API, in the client's own dialect: bytes are spliced on the way
 * out and relayed on the way back. Called by the relay and by upstream calls. Must never retry over
 * keys or providers, and never put a key into a message.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log/log.h"
#include "proxyd/provider/key.h"
#include "proxyd/provider/openai_body.h"
#include "proxyd/provider/openai_priv.h"
#include "proxyd/provider/openai_usage.h"

/* ---- the end of a call */

void openai_finish(struct openai_call *call, const struct exchange_outcome *outcome)
{
	struct exchange *x = call->x;
	struct bf_buf partial = call->partial; /* the tail may lie in it */

	x->record.attempts = BF_MAX(call->up.attempts, 1u);
	worker_answer_give(x->worker, call->partial_charged);
	x->sink->on_done(x, outcome);
	bf_buf_done(&partial);
}

/* A plain answer that began and cannot end must not pass for one: it is taken back. */
static void openai_fail(struct openai_call *call, const struct upstream_failure *f)
{
	struct exchange *x = call->x;
	const struct exchange_outcome outcome = {
	    .http_status = f->http_status,
	    .error_type = f->type,
	    .error_text = f->text,
	    .truncated = call->mode != OPENAI_WAITING,
	};

	if (call->mode == OPENAI_PLAIN) {
		x->answer_status = 0;
		bf_buf_clear(&x->answer);
	}
	openai_finish(call, &outcome);
}

void openai_give_up(struct openai_call *call, int http_status, const char *type, const char *text)
{
	const struct upstream_failure failure = {http_status, type, text};

	upstream_cancel(&call->up);
	openai_fail(call, &failure);
}

/* ---- tokens */

void openai_estimate(struct openai_call *call, uint64_t completion_tokens)
{
	struct exchange *x = call->x;

	x->record.flags |= SHM_USAGE_ESTIMATED;
	x->sink->on_usage(x, x->body.len / OPENAI_BYTES_PER_TOKEN, completion_tokens, 0);
}

void openai_told(struct openai_call *call, uint64_t prompt_tokens, uint64_t completion_tokens,
		 uint64_t cached_tokens)
{
	struct exchange *x = call->x;

	call->usage_seen = true;
	x->record.flags &= ~(uint32_t)SHM_USAGE_ESTIMATED;
	x->sink->on_usage(x, prompt_tokens, completion_tokens, cached_tokens);
}

static void openai_count_plain(struct openai_call *call)
{
	struct openai *o = call->p->state;
	struct bf_slice answer = bf_buf_slice(&call->x->answer);
	struct openai_usage usage;

	if (openai_usage_read(answer, &o->scratch, &usage))
		openai_told(call, usage.prompt_tokens, usage.completion_tokens,
			    usage.cached_tokens);
	else
		openai_estimate(call, answer.len / OPENAI_BYTES_PER_TOKEN);
}

/* ---- the answer */

static const char *openai_status_type(int http_status)
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

static bool openai_is_json(const struct upstream_head *head)
{
	return head->content_type[0] == '\0' || strstr(head->content_type, "json") != NULL;
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

static bool on_openai_head(struct upstream_call *up, const struct upstream_head *head)
{
	struct openai_call *call = BF_CONTAINER_OF(up, struct openai_call, up);
	struct exchange *x = call->x;
	const char *problem = openai_head_problem(call, head);

	if (problem) {
		openai_give_up(call, 502, "upstream_protocol_error", problem);
		return false;
	}
	call->status = head->status;
	call->mode = openai_mode_of(head);
	x->retry_after_s = head->retry_after_s;
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

static void on_openai_end(struct upstream_call *up)
{
	struct openai_call *call = BF_CONTAINER_OF(up, struct openai_call, up);
	struct exchange_outcome outcome = {.http_status = call->status};
	char text[64];

	if (call->mode == OPENAI_STREAM) {
		openai_give_up(call, 502, "upstream_truncated",
			       "the provider ended the stream without its terminal event");
		return;
	}
	if (call->status > 299) {
		(void)snprintf(text, sizeof(text), "the provider answered with status %d",
			       call->status);
		outcome.error_type = openai_status_type(call->status);
		outcome.error_text = text;
	} else {
		openai_count_plain(call);
	}
	openai_finish(call, &outcome);
}

static void on_openai_fail(struct upstream_call *up, const struct upstream_failure *failure)
{
	openai_fail(BF_CONTAINER_OF(up, struct openai_call, up), failure);
}

static const struct upstream_events openai_events = {
    .on_head = on_openai_head,
    .on_body = on_openai_body,
    .wants_more = on_openai_wants_more,
    .on_end = on_openai_end,
    .on_fail = on_openai_fail,
};

/* ---- the request */

static void openai_cancel(struct exchange *x)
{
	struct openai_call *call = x->provider_call;

	x->record.attempts = BF_MAX(call->up.attempts, 1u);
	upstream_cancel(&call->up);
	worker_answer_give(x->worker, call->partial_charged);
	bf_buf_done(&call->partial);
}

static void openai_resume(struct exchange *x)
{
	struct openai_call *call = x->provider_call;

	if (!call->up.paused)
		return;
	upstream_deadline(&call->up, call->p->conf->network_config.stream_idle_timeout_ms);
	upstream_resume(&call->up);
}

/* Key, framing and the empty line; the rest of the head is the same for all requests. */
static int openai_head(struct openai_call *call, const struct bf_conf_provider_key *key,
		       size_t body_len)
{
	const struct openai *o = call->p->state;
	struct exchange *x = call->x;
	struct bf_slice secret = key ? key->value : (struct bf_slice){NULL, 0};
	char *text = bf_arena_printf(&x->arena, "Accept: %s\r\n%s%.*s%sContent-Length: %zu\r\n\r\n",
				     x->wants_stream ? "text/event-stream" : "application/json",
				     secret.len ? "Authorization: Bearer " : "",
				     BF_SLICE_FMT(secret), secret.len ? "\r\n" : "", body_len);

	if (!text)
		return -ENOMEM;
	call->up.iov[0] = (struct iovec){o->head.data + o->head.start, bf_buf_len(&o->head)};
	call->up.iov[1] = (struct iovec){text, strlen(text)};
	return 0;
}

_Static_assert(2 + OPENAI_PIECES_MAX <= UPSTREAM_IOV_MAX, "a request fits its pieces");

static int openai_request(struct openai_call *call, const struct bf_conf_provider_key *key)
{
	const struct openai *o = call->p->state;
	size_t body_len = 0;
	int pieces = openai_body_splice(call->x, !o->family->usage_unasked, call->up.iov + 2);

	if (pieces < 0)
		return pieces;
	for (int i = 0; i < pieces; i++)
		body_len += call->up.iov[2 + i].iov_len;
	call->up.iov_count = 2 + (unsigned)pieces;
	return openai_head(call, key, body_len);
}

/* Before anything was sent. */
static void openai_refuse(struct exchange *x, int http_status, const char *type, const char *text)
{
	const struct exchange_outcome outcome = {
	    .http_status = http_status, .error_type = type, .error_text = text};

	x->sink->on_done(x, &outcome);
}

static void openai_start(struct provider *p, struct exchange *x)
{
	struct openai *o = p->state;
	struct openai_call *call;

	call = bf_arena_alloc(&x->arena, sizeof(*call));
	if (call) {
		call->x = x;
		call->p = p;
		call->up.up = &o->up;
		call->up.events = &openai_events;
		call->up.arena = &x->arena;
		call->up.timeout_ms = p->conf->network_config.request_timeout_ms;
		bf_buf_init_nodump(&call->partial, OPENAI_EVENT_MAX);
	}
	if (!call || openai_request(call, x->key) < 0) {
		openai_refuse(x, 503, "out_of_memory", "no memory for the call");
		return;
	}
	x->provider_call = call;
	x->call_cancel = openai_cancel;
	x->call_resume = openai_resume;
	upstream_start(&call->up);
}

/* ---- the provider */

static void openai_warn(const struct provider *p)
{
	const struct bf_conf_provider_key *keys = p->conf->keys.items;

	for (uint32_t i = 0; i < p->conf->keys.count; i++) {
		if (!provider_key_is_sendable(&keys[i]))
			bf_log(BF_LOG_ERROR, "provider_key_unusable",
			       "provider=%.*s key=%.*s reason=\"its value holds a space, a line "
			       "break or another byte that no header may have\"",
			       BF_SLICE_FMT(p->conf->name), BF_SLICE_FMT(keys[i].name));
	}
}

static int openai_head_template(struct openai *o, const struct upstream_target *t,
				const char *version)
{
	return bf_buf_printf(&o->head,
			     "POST %s/chat/completions HTTP/1.1\r\n"
			     "Host: %s\r\n"
			     "User-Agent: bifrost/%s\r\n"
			     "Content-Type: application/json\r\n"
			     "Accept-Encoding: identity\r\n",
			     t->path, t->authority, version);
}

/* The pool, over the resolver and the certificates that were read at the start. */
static int openai_connect(struct provider *p, const struct upstream_target *target)
{
	struct openai *o = p->state;
	const struct provider_set *set = p->worker->providers;
	struct bf_tls_trust *trust =
	    provider_net_trust(&set->net, p->worker->config, (uint32_t)(p - set->items));

	int r = upstream_open(&o->up, p->worker->loop, set->net.resolver, trust, target);
	return r < 0 ? r : openai_head_template(o, target, p->worker->version);
}

static int openai_open(struct provider *p, struct bf_err *err)
{
	struct openai *o = calloc(1, sizeof(*o));
	struct upstream_target target;
	int r;

	if (!o)
		return bf_err_sys(err, -ENOMEM, "provider %.*s", BF_SLICE_FMT(p->conf->name));
	p->state = o;
	o->family = openai_family_of(p->conf->name);
	bf_arena_init_nodump(&o->scratch, OPENAI_SCRATCH_MAX);
	bf_buf_init_nodump(&o->joined, OPENAI_EVENT_MAX);
	bf_buf_init(&o->head, UPSTREAM_PATH_MAX + 1024);
	r = provider_target(p->conf, &target, err);
	if (r < 0)
		return r;
	openai_warn(p);
	r = openai_connect(p, &target);
	return r < 0 ? bf_err_sys(err, r, "provider %.*s", BF_SLICE_FMT(p->conf->name)) : 0;
}

static void openai_close(struct provider *p)
{
	struct openai *o = p->state;

	if (!o)
		return;
	upstream_close(&o->up);
	bf_buf_done(&o->head);
	bf_buf_done(&o->joined);
	bf_arena_done(&o->scratch);
	free(o);
	p->state = NULL;
}

static uint32_t openai_connections(const struct provider *p)
{
	const struct openai *o = p->state;

	return o ? o->up.conn_count : 0;
}

const struct provider_ops provider_openai = {
    .name = "openai",
    .open = openai_open,
    .close = openai_close,
    .start = openai_start,
    .connections = openai_connections,
};
