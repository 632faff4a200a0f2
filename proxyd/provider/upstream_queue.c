/*
 * Who may call a provider now, and who waits for it. Called by calls when they start and end, and
 * by connections that become free. Must never start a call from within another one's report: what
 * became free is given away before the loop sleeps.
 */
#include <assert.h>

#include "proxyd/provider/upstream_priv.h"
#include "proxyd/worker.h"

static bool pool_has_room(const struct upstream *up)
{
	return up->newest_idle || up->conn_count < up->conns_max;
}

static bool queue_has_room(const struct upstream_queue *q)
{
	return q->running_max == 0 || q->running < q->running_max;
}

static void queue_gauge(const struct upstream_queue *q, int64_t change)
{
	if (q->worker)
		shm_metric_add(q->worker->seg, q->worker->proc_slot, SHM_M_UPSTREAM_QUEUED, change);
}

static void queue_append(struct upstream_queue *q, struct upstream_call *call)
{
	call->waiting = true;
	call->next_waiting = NULL;
	call->prev_waiting = q->last;
	if (q->last)
		q->last->next_waiting = call;
	else
		q->first = call;
	q->last = call;
	q->waiting++;
	queue_gauge(q, 1);
}

static void queue_remove(struct upstream_queue *q, struct upstream_call *call)
{
	if (call->prev_waiting)
		call->prev_waiting->next_waiting = call->next_waiting;
	else
		q->first = call->next_waiting;
	if (call->next_waiting)
		call->next_waiting->prev_waiting = call->prev_waiting;
	else
		q->last = call->prev_waiting;
	call->waiting = false;
	call->next_waiting = call->prev_waiting = NULL;
	q->waiting--;
	queue_gauge(q, -1);
}

bool upstream_queue_enter(struct upstream_call *call)
{
	struct upstream_queue *q = call->up->queue;

	/* Nobody overtakes who waits. */
	if (!q->waiting && queue_has_room(q) && pool_has_room(call->up)) {
		call->running = true;
		q->running++;
		return true;
	}
	if (q->drop_excess && q->waiting >= q->waiting_max) {
		if (q->worker)
			worker_count(q->worker, SHM_M_UPSTREAM_DROPPED);
		return false;
	}
	queue_append(q, call);
	upstream_queue_stir(q); /* those before it may wait for another host */
	return true;
}

void upstream_queue_leave(struct upstream_call *call)
{
	struct upstream_queue *q = call->up->queue;

	if (call->waiting)
		queue_remove(q, call);
	if (!call->running)
		return;
	assert(q->running > 0);
	call->running = false;
	q->running--;
	upstream_queue_stir(q);
}

/* The first that can go. Where all go to one host, a glance at the first is enough. */
static struct upstream_call *queue_next(const struct upstream_queue *q)
{
	struct upstream_call *call = queue_has_room(q) ? q->first : NULL;

	while (call && !pool_has_room(call->up))
		call = q->pools > 1 ? call->next_waiting : NULL;
	return call;
}

static void on_queue_pump(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	struct upstream_queue *q = prepare->data;
	struct upstream_call *call;

	(void)revents;
	ev_prepare_stop(loop, prepare);
	while ((call = queue_next(q)) != NULL) {
		queue_remove(q, call);
		call->running = true;
		q->running++;
		upstream_call_begin(call);
	}
}

void upstream_queue_open(struct upstream_queue *q, struct ev_loop *loop, struct worker *worker)
{
	q->loop = loop;
	q->worker = worker;
	ev_prepare_init(&q->pump, on_queue_pump);
	q->pump.data = q;
}

void upstream_queue_close(struct upstream_queue *q)
{
	if (!q->loop)
		return;
	assert(!q->waiting && !q->running);
	ev_prepare_stop(q->loop, &q->pump);
	q->loop = NULL;
}
