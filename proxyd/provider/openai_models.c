/*
 * Which models a provider of the OpenAI family says it has: one GET, whose answer goes to the sink
 * as it comes. Called by the gate, and by upstream calls. Must never pass on what stands in an
 * answer that is an error, which may quote the key.
 */
#include <errno.h>
#include <stdio.h>

#include "proxyd/provider/openai_head.h"
#include "proxyd/provider/openai_priv.h"

#define MODELS_HEAD_MAX (UPSTREAM_PATH_MAX + (96u << 10)) /* extra headers, and a key */

/* Lives in the exchange's arena. */
struct openai_models {
	struct upstream_call up;
	struct exchange *x;
	struct bf_buf head; /* no-dump: it holds the key */
};

static struct openai_models *models_of(struct upstream_call *up)
{
	return BF_CONTAINER_OF(up, struct openai_models, up);
}

static void models_finish(struct openai_models *m, const struct exchange_outcome *outcome)
{
	struct bf_buf head = m->head;

	m->x->sink->on_done(m->x, outcome);
	bf_buf_done(&head);
}

static void models_fail(struct openai_models *m, enum exchange_fault fault, int http_status,
			const char *type, const char *text)
{
	const struct exchange_outcome outcome = {
	    .fault = fault, .http_status = http_status, .error_type = type, .error_text = text};

	models_finish(m, &outcome);
}

/* ---- the answer */

/* Nobody reads what it says. */
static void models_refused(struct openai_models *m, int http_status)
{
	char text[64];

	upstream_release(&m->up);
	(void)snprintf(text, sizeof(text), "the provider answered with status %d", http_status);
	models_fail(m, EXCHANGE_FAULT_STATUS, http_status, openai_status_type(http_status), text);
}

static bool on_models_head(struct upstream_call *up, const struct upstream_head *head)
{
	struct openai_models *m = models_of(up);

	if (head->status > 299) {
		models_refused(m, head->status);
		return false;
	}
	if (head->encoded) {
		upstream_cancel(up);
		models_fail(m, EXCHANGE_FAULT_NETWORK, 502, "upstream_protocol_error",
			    "the provider sent a Content-Encoding that was not asked for");
		return false;
	}
	m->x->sink->on_head(m->x, head->status, false);
	return true;
}

static bool on_models_body(struct upstream_call *up, struct bf_slice bytes)
{
	struct exchange *x = models_of(up)->x;

	return x->sink->on_body(x, bytes);
}

static bool on_models_wants_more(struct upstream_call *up BF_UNUSED)
{
	return true;
}

static void on_models_repeat(struct upstream_call *up)
{
	struct exchange *x = models_of(up)->x;

	x->sink->on_repeat(x);
}

static void on_models_end(struct upstream_call *up)
{
	const struct exchange_outcome outcome = {.http_status = 200};

	models_finish(models_of(up), &outcome);
}

static void on_models_fail(struct upstream_call *up, const struct upstream_failure *f)
{
	models_fail(models_of(up), f->local ? EXCHANGE_FAULT_LOCAL : EXCHANGE_FAULT_NETWORK,
		    f->http_status, f->type, f->text);
}

static const struct upstream_events models_events = {
    .on_head = on_models_head,
    .on_body = on_models_body,
    .wants_more = on_models_wants_more,
    .on_repeat = on_models_repeat,
    .on_end = on_models_end,
    .on_fail = on_models_fail,
};

/* ---- the request */

static void models_cancel(struct exchange *x)
{
	struct openai_models *m = x->provider_call;

	upstream_cancel(&m->up);
	bf_buf_done(&m->head);
}

static void models_resume(struct exchange *x)
{
	struct openai_models *m = x->provider_call;

	upstream_resume(&m->up);
}

static int models_prepare(struct openai_models *m, struct provider *p, struct exchange *x)
{
	const struct bf_conf_network *net = &p->conf->network_config;
	const struct openai *o = p->state;
	struct openai_pool *pool = openai_pool_of(p, x);
	int r;

	m->x = x;
	m->up.up = &pool->up;
	m->up.events = &models_events;
	m->up.arena = &x->arena;
	m->up.timeout_ms = net->request_timeout_ms;
	m->up.first_byte_ms = net->first_byte_timeout_ms;
	m->up.give_up_ms = x->deadline_mono_ms;
	bf_buf_init_nodump(&m->head, MODELS_HEAD_MAX);
	r = openai_head_models(&m->head, x, p->conf, &pool->up.target, o->own_auth);
	m->up.iov[0] = (struct iovec){m->head.data + m->head.start, bf_buf_len(&m->head)};
	m->up.iov_count = 1;
	if (r < 0)
		bf_buf_done(&m->head);
	return r;
}

void openai_models_start(struct provider *p, struct exchange *x)
{
	struct openai *o = p->state;
	struct openai_models *m = bf_arena_alloc(&x->arena, sizeof(*m));

	o->queue.drop_excess = p->worker->client->drop_excess_requests;
	if (!m || models_prepare(m, p, x) < 0) {
		openai_refuse(x, 503, "out_of_memory", "no memory for the call");
		return;
	}
	x->provider_call = m;
	x->call_cancel = models_cancel;
	x->call_resume = models_resume;
	upstream_start(&m->up);
}
