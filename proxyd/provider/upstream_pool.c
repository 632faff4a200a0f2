/*
 * The pool of one upstream: opening, closing, states of its connections, idle ones and their end.
 * Called by the provider and by connections. Must never close a connection that carries a call,
 * except when told so by the call.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/nodump.h"
#include "proxyd/provider/upstream_priv.h"

#define NEXT(state) (1u << (state))

static const unsigned conn_next[UPSTREAM_CONN_STATE_COUNT] = {
    [UPSTREAM_CONNECTING] = NEXT(UPSTREAM_HANDSHAKE) | NEXT(UPSTREAM_BUSY) | NEXT(UPSTREAM_DEAD),
    [UPSTREAM_HANDSHAKE] = NEXT(UPSTREAM_BUSY) | NEXT(UPSTREAM_DEAD),
    [UPSTREAM_BUSY] = NEXT(UPSTREAM_DRAINING) | NEXT(UPSTREAM_IDLE) | NEXT(UPSTREAM_DEAD),
    [UPSTREAM_DRAINING] = NEXT(UPSTREAM_IDLE) | NEXT(UPSTREAM_DEAD),
    [UPSTREAM_IDLE] = NEXT(UPSTREAM_BUSY) | NEXT(UPSTREAM_DEAD),
    [UPSTREAM_DEAD] = 0,
};

static void idle_link(struct upstream_conn *c)
{
	struct upstream *up = c->up;

	c->newer_idle = NULL;
	c->older_idle = up->newest_idle;
	if (c->older_idle)
		c->older_idle->newer_idle = c;
	up->newest_idle = c;
	up->idle_count++;
}

static void idle_unlink(struct upstream_conn *c)
{
	struct upstream *up = c->up;

	if (c->newer_idle)
		c->newer_idle->older_idle = c->older_idle;
	else
		up->newest_idle = c->older_idle;
	if (c->older_idle)
		c->older_idle->newer_idle = c->newer_idle;
	c->newer_idle = c->older_idle = NULL;
	up->idle_count--;
}

static struct upstream_conn *idle_oldest(const struct upstream *up)
{
	struct upstream_conn *c = up->newest_idle;

	while (c && c->older_idle)
		c = c->older_idle;
	return c;
}

void upstream_conn_set_state(struct upstream_conn *c, enum upstream_conn_state next)
{
	struct upstream *up = c->up;

	assert(conn_next[c->state] & NEXT(next));
	if (c->state == UPSTREAM_IDLE)
		idle_unlink(c);
	c->state = next;
	c->since_ms = bf_mono_coarse_ms();
	if (next == UPSTREAM_IDLE) {
		idle_link(c);
		upstream_queue_stir(up->queue);
	}
	if (next == UPSTREAM_IDLE || next == UPSTREAM_DRAINING) {
		if (!ev_is_active(&up->reaper))
			ev_timer_again(up->loop, &up->reaper);
	}
	if (up->idle_count > UPSTREAM_IDLE_MAX)
		upstream_conn_close(idle_oldest(up));
}

bool upstream_conn_is_old(const struct upstream_conn *c, int64_t now_ms)
{
	return now_ms - c->born_ms >= UPSTREAM_LIFETIME_MS;
}

static bool conn_expired(const struct upstream_conn *c, int64_t now_ms)
{
	int64_t age_ms = now_ms - c->since_ms;

	return (c->state == UPSTREAM_IDLE &&
		(age_ms >= UPSTREAM_IDLE_EXPIRY_MS || upstream_conn_is_old(c, now_ms))) ||
	       (c->state == UPSTREAM_DRAINING && age_ms >= UPSTREAM_DRAIN_MS);
}

static void on_reaper(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct upstream *up = timer->data;
	int64_t now_ms = bf_mono_coarse_ms();
	bool waiting = false;

	(void)revents;
	for (struct upstream_conn *c = up->conns, *next; c; c = next) {
		next = c->next;
		if (conn_expired(c, now_ms))
			upstream_conn_close(c);
		else if (c->state == UPSTREAM_IDLE || c->state == UPSTREAM_DRAINING)
			waiting = true;
	}
	if (!waiting)
		ev_timer_stop(loop, timer);
}

static void bury(struct upstream *up)
{
	while (up->dead) {
		struct upstream_conn *c = up->dead;
		up->dead = c->next;
		free(c);
	}
}

static void on_burier(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	(void)revents;
	ev_prepare_stop(loop, prepare);
	bury(prepare->data);
}

int upstream_open(struct upstream *up, struct ev_loop *loop, struct bf_resolver *resolver,
		  struct bf_tls_trust *trust, const struct upstream_target *target,
		  const struct upstream_options *options)
{
	*up = (struct upstream){.loop = loop, .resolver = resolver, .trust = trust};
	up->target = *target;
	up->queue = options->queue;
	up->conns_max = options->conns_max ? options->conns_max : UPSTREAM_CONNS_MAX;
	up->connect_timeout_ms =
	    options->connect_timeout_ms ? options->connect_timeout_ms : UPSTREAM_CONNECT_TIMEOUT_MS;
	/* Answers are nobody's business in a core file. */
	up->in_bytes = UPSTREAM_READ_BYTES;
	up->in = bf_nodump_alloc(&up->in_bytes);
	if (!up->in)
		return -ENOMEM;
	up->queue->pools++;
	bf_buf_init_nodump(&up->out, UPSTREAM_READ_BYTES);
	ev_timer_init(&up->reaper, on_reaper, 0.0, UPSTREAM_REAP_MS / 1000.0);
	up->reaper.data = up;
	ev_prepare_init(&up->burier, on_burier);
	up->burier.data = up;
	return 0;
}

void upstream_close(struct upstream *up)
{
	if (!up->in)
		return;
	while (up->conns) {
		assert(!up->conns->call);
		upstream_conn_close(up->conns);
	}
	ev_timer_stop(up->loop, &up->reaper);
	ev_prepare_stop(up->loop, &up->burier);
	up->queue->pools--;
	bury(up);
	bf_tls_session_free(&up->session);
	bf_buf_done(&up->out);
	bf_nodump_free(up->in, up->in_bytes);
	up->in = NULL;
}
