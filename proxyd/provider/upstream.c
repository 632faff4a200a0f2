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
	upstream_queue_leave(call);
	ev_timer_stop(call->up->loop, &call->timer);
	bf_resolve_cancel(&call->wait);
	call->conn = NULL;
}

static void call_report(struct upstream_call *call, struct upstream_failure *failure,
			const char *fmt, va_list ap) BF_PRINTF(3, 0);

static void call_report(struct upstream_call *call, struct upstream_failure *failure,
			const char *fmt, va_list ap)
{
	call_forget(call);
	failure->text = "the call to the provider failed";
	call->text = bf_arena_alloc(call->arena, CALL_TEXT_MAX);
	if (call->text) {
		(void)vsnprintf(call->text, CALL_TEXT_MAX, fmt, ap);
		failure->text = call->text;
	}
	call->events->on_fail(call, failure);
}

void upstream_call_fail(struct upstream_call *call, int http_status, const char *type,
			const char *fmt, ...)
{
	struct upstream_failure failure = {.http_status = http_status, .type = type};
	va_list ap;

	va_start(ap, fmt);
	call_report(call, &failure, fmt, ap);
	va_end(ap);
}

void upstream_call_refuse(struct upstream_call *call, int http_status, const char *type,
			  const char *fmt, ...)
{
	struct upstream_failure failure = {.http_status = http_status, .local = true, .type = type};
	va_list ap;

	va_start(ap, fmt);
	call_report(call, &failure, fmt, ap);
	va_end(ap);
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
	int64_t now_ms = bf_mono_coarse_ms();

	call->deadline_ms = ms ? now_ms + ms : call->give_up_ms;
	if (call->give_up_ms)
		call->deadline_ms = BF_MIN(call->deadline_ms, call->give_up_ms);
	/* A later one costs nothing: the timer looks again when it fires. */
	if (call->deadline_ms &&
	    (!ev_is_active(&call->timer) || call->deadline_ms < call->armed_ms))
		call_arm(call, now_ms);
}

/* Of the time that the whole answer may take. */
static int64_t call_time_left(const struct upstream_call *call)
{
	int64_t left_ms = call->started_ms + call->timeout_ms - bf_mono_coarse_ms();

	return BF_MAX(left_ms, (int64_t)1);
}

/* To the head of the answer, once the request can be sent. */
static int64_t call_head_time(const struct upstream_call *call)
{
	int64_t left_ms = call_time_left(call);

	return call->first_byte_ms ? BF_MIN(left_ms, call->first_byte_ms) : left_ms;
}

static int64_t call_dial_time(const struct upstream_call *call)
{
	return BF_MIN(call_time_left(call), call->up->connect_timeout_ms);
}

/* Which of its times is over. */
static void call_late(struct upstream_call *call, int64_t now_ms)
{
	const char *where = call->up->target.authority;

	if (call->phase == UPSTREAM_WAITING)
		upstream_call_refuse(call, 504, "upstream_queue_timeout",
				     "no turn for a call to the provider at %s in time", where);
	else if (call->give_up_ms && now_ms >= call->give_up_ms)
		upstream_call_fail(call, 504, "upstream_total_timeout",
				   "the provider at %s did not finish in time (total_timeout)",
				   where);
	else if (call->phase == UPSTREAM_DIALING)
		upstream_call_fail(call, 504, "upstream_connect_timeout",
				   "no connection to the provider at %s in time", where);
	else
		upstream_call_fail(call, 504, "upstream_timeout",
				   "the provider was silent for too long");
}

static void on_call_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct upstream_call *call = timer->data;
	int64_t now_ms = bf_mono_coarse_ms();

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
	call_late(call, now_ms);
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
	if (refused)
		upstream_call_refuse(call, 502, "upstream_address_refused",
				     "no connection to the provider at %s: %s",
				     up->target.authority, d->why);
	else
		upstream_call_fail(call, 502, "upstream_connect_failed",
				   "no connection to the provider at %s: %s", up->target.authority,
				   d->why);
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

	call->phase = UPSTREAM_DIALING;
	upstream_deadline(call, call_dial_time(call));
	call->dial = bf_arena_alloc(call->arena, sizeof(*call->dial));
	if (!call->dial) {
		upstream_call_refuse(call, 503, "out_of_memory", "no memory for the call");
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
	call->phase = UPSTREAM_ASKING;
	upstream_deadline(call, call_head_time(call));
}

void upstream_call_answers(struct upstream_call *call)
{
	call->phase = UPSTREAM_ANSWERING;
	if (call->first_byte_ms)
		upstream_deadline(call, call_time_left(call));
}

/* ---- public */

void upstream_call_begin(struct upstream_call *call)
{
	struct upstream_conn *idle = call->up->newest_idle;

	call->reused = idle != NULL;
	if (!idle) {
		call_dial(call);
		return;
	}
	upstream_call_connected(call);
	upstream_conn_use(idle, call);
}

static void call_drop(struct upstream_call *call)
{
	upstream_call_refuse(call, 503, "bifrost_dropped",
			     "%u calls wait for the provider at %s already (buffer_size)",
			     call->up->queue->waiting, call->up->target.authority);
}

void upstream_start(struct upstream_call *call)
{
	call->total = 0;
	for (unsigned i = 0; i < call->iov_count; i++)
		call->total += call->iov[i].iov_len;
	call->conn = NULL;
	call->attempts = 0;
	call->answered = call->paused = call->waiting = call->running = false;
	call->phase = UPSTREAM_WAITING;
	call->dial = NULL;
	call->text = NULL;
	call->wait = (struct bf_resolve_wait){0};
	call->deadline_ms = call->armed_ms = 0;
	call->started_ms = bf_mono_coarse_ms();
	ev_timer_init(&call->timer, on_call_timer, 0.0, 0.0);
	call->timer.data = call;
	if (!upstream_queue_enter(call))
		call_drop(call);
	else if (call->running)
		upstream_call_begin(call);
	else
		upstream_deadline(call, call->timeout_ms);
}

void upstream_call_repeat(struct upstream_call *call)
{
	call->conn = NULL;
	call->reused = false;
	call->events->on_repeat(call);
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
