/*
 * One call to an upstream: a connection from the pool or a new one, its deadline, one retry when a
 * kept connection turns out to be dead. Called by providers and by connections. Must never report
 * twice, and never touch a call that is over.
 */
#include "proxyd/provider/upstream.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "proxyd/provider/upstream_priv.h"

#define CALL_TEXT_MAX 320u

/* The timer and whatever else still points at the call. */
static void call_forget(struct upstream_call *call)
{
	ev_timer_stop(call->up->loop, &call->timer);
	bf_resolve_cancel(&call->wait);
	call->conn = NULL;
}

void upstream_call_fail(struct upstream_call *call, int http_status, const char *type,
			const char *fmt, ...)
{
	struct upstream_failure failure = {http_status, type, "the call to the provider failed"};
	va_list ap;

	call_forget(call);
	call->text = bf_arena_alloc(call->arena, CALL_TEXT_MAX);
	if (call->text) {
		va_start(ap, fmt);
		(void)vsnprintf(call->text, CALL_TEXT_MAX, fmt, ap);
		va_end(ap);
		failure.text = call->text;
	}
	call->events->on_fail(call, &failure);
}

void upstream_call_ended(struct upstream_call *call)
{
	call_forget(call);
	call->events->on_end(call);
}

/* ---- time */

static void call_arm(struct upstream_call *call, int64_t now_ms)
{
	int64_t left_ms = BF_MAX(call->deadline_ms - now_ms, (int64_t)1);

	call->armed_ms = call->deadline_ms;
	ev_timer_stop(call->up->loop, &call->timer);
	ev_timer_set(&call->timer, (double)left_ms / 1000.0, 0.0);
	ev_timer_start(call->up->loop, &call->timer);
}

void upstream_deadline(struct upstream_call *call, int64_t ms)
{
	int64_t now_ms = bf_mono_ms();

	call->deadline_ms = ms ? now_ms + ms : 0;
	/* A later one costs nothing: the timer looks again when it fires. */
	if (ms && (!ev_is_active(&call->timer) || call->deadline_ms < call->armed_ms))
		call_arm(call, now_ms);
}

/* Of the time that the whole answer may take. */
static int64_t call_time_left(const struct upstream_call *call)
{
	int64_t left_ms = call->started_ms + call->timeout_ms - bf_mono_ms();

	return BF_MAX(left_ms, (int64_t)1);
}

static void on_call_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct upstream_call *call = timer->data;
	int64_t now_ms = bf_mono_ms();

	(void)loop;
	(void)revents;
	if (call->deadline_ms == 0)
		return;
	if (now_ms < call->deadline_ms) {
		call_arm(call, now_ms);
		return;
	}
	if (call->conn)
		upstream_conn_close(call->conn);
	if (call->connecting)
		upstream_call_fail(call, 504, "upstream_connect_timeout",
				   "no connection to the provider at %s in time",
				   call->up->target.authority);
	else
		upstream_call_fail(call, 504, "upstream_timeout",
				   "the provider was silent for too long");
}

/* ---- connecting */

static void call_dial_next(struct upstream_call *call)
{
	struct upstream *up = call->up;
	struct upstream_dial *d = call->dial;
	const char *refused = NULL;

	while (d->next < d->count) {
		const struct bf_addr *addr = &d->addrs[d->next++];
		int code = 0;
		refused = upstream_target_refuses(&up->target, addr);
		if (refused) {
			(void)snprintf(d->why, sizeof(d->why), "%s", refused);
			continue;
		}
		call->conn = upstream_conn_dial(up, addr, call, &code);
		if (call->conn)
			return;
		(void)snprintf(d->why, sizeof(d->why), "%s", bf_err_text(code));
	}
	upstream_call_fail(call, 502,
			   refused ? "upstream_address_refused" : "upstream_connect_failed",
			   "no connection to the provider at %s: %s", up->target.authority, d->why);
}

void upstream_call_connect_failed(struct upstream_call *call, const char *why)
{
	call->conn = NULL;
	(void)snprintf(call->dial->why, sizeof(call->dial->why), "%s", why);
	call_dial_next(call);
}

static bool call_known(struct upstream_call *call)
{
	const struct upstream_target *t = &call->up->target;
	struct upstream_dial *d = call->dial;

	d->count = bf_resolve_known(call->up->resolver, bf_slice_from(t->host), t->port, d->addrs);
	return d->count > 0;
}

static void on_call_resolved(struct bf_resolve_wait *wait, int code, const char *reason)
{
	struct upstream_call *call = BF_CONTAINER_OF(wait, struct upstream_call, wait);

	if (code == 0 && call_known(call))
		call_dial_next(call);
	else
		upstream_call_fail(call, code == BF_E_TIMEOUT ? 504 : 502,
				   "upstream_resolve_failed", "the name %s cannot be resolved: %s",
				   call->up->target.host, code == 0 ? "no address" : reason);
}

static void call_dial(struct upstream_call *call)
{
	struct upstream *up = call->up;

	if (up->conn_count >= UPSTREAM_CONNS_MAX) {
		upstream_call_fail(call, 503, "upstream_connections_full",
				   "this worker holds %u connections to the provider",
				   UPSTREAM_CONNS_MAX);
		return;
	}
	call->connecting = true;
	call->dial = bf_arena_alloc(call->arena, sizeof(*call->dial));
	if (!call->dial) {
		upstream_call_fail(call, 503, "out_of_memory", "no memory for the call");
		return;
	}
	if (call_known(call)) {
		call_dial_next(call);
		return;
	}
	call->wait.on_answer = on_call_resolved;
	bf_resolve_ask(up->resolver, bf_slice_from(up->target.host), &call->wait);
}

void upstream_call_connected(struct upstream_call *call)
{
	call->connecting = false;
	upstream_deadline(call, call_time_left(call));
}

/* ---- public */

void upstream_start(struct upstream_call *call)
{
	struct upstream_conn *idle = call->up->newest_idle;

	call->total = 0;
	for (unsigned i = 0; i < call->iov_count; i++)
		call->total += call->iov[i].iov_len;
	call->conn = NULL;
	call->attempts = 0;
	call->answered = call->paused = call->connecting = false;
	call->dial = NULL;
	call->text = NULL;
	call->wait = (struct bf_resolve_wait){0};
	call->started_ms = bf_mono_ms();
	call->deadline_ms = call->armed_ms = 0;
	ev_timer_init(&call->timer, on_call_timer, 0.0, 0.0);
	call->timer.data = call;
	call->reused = idle != NULL;
	if (idle) {
		upstream_deadline(call, call->timeout_ms);
		upstream_conn_use(idle, call);
	} else {
		upstream_deadline(call,
				  BF_MIN(call->timeout_ms, (int64_t)UPSTREAM_CONNECT_TIMEOUT_MS));
		call_dial(call);
	}
}

/* A kept connection may die just as it is used: nothing was answered, so once more, on a new one.
 */
void upstream_call_cut(struct upstream_call *call, const char *why)
{
	call->conn = NULL;
	if (!call->reused || call->answered) {
		upstream_call_fail(call, 502, "upstream_closed", "%s", why);
		return;
	}
	call->reused = false;
	upstream_deadline(call, BF_MIN(call_time_left(call), (int64_t)UPSTREAM_CONNECT_TIMEOUT_MS));
	call_dial(call);
}

void upstream_cancel(struct upstream_call *call)
{
	struct upstream_conn *c = call->conn;

	call_forget(call);
	if (c)
		upstream_conn_close(c);
}

void upstream_release(struct upstream_call *call)
{
	struct upstream_conn *c = call->conn;
	bool whole = call->sent == call->total;

	call_forget(call);
	if (!c)
		return;
	assert(c->state == UPSTREAM_BUSY);
	if (!whole) {
		upstream_conn_close(c);
		return;
	}
	c->call = NULL;
	upstream_conn_set_state(c, UPSTREAM_DRAINING);
}

void upstream_resume(struct upstream_call *call)
{
	if (!call->paused)
		return;
	call->paused = false;
	if (call->conn)
		upstream_conn_wake(call->conn);
}
