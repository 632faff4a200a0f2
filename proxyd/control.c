/*
 * Message handlers of this process. Called by the child runtime. Must never trust that a slot
 * number makes sense: a bad one is answered, not obeyed.
 */
#include "proxyd/control.h"

#include <inttypes.h>

#include "common/log/log.h"
#include "common/proc/contract.h"
#include "proxyd/gate/govern.h"

/* So long a worker that starts waits for what is in force: others serve meanwhile, or nobody can
 * yet and clients are better off in the queue of its listener. Then it serves as it is, with 503,
 * so that whoever asks for its health is answered. */
#define CATCH_UP_S 2.

static void on_adopt(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct proxyd *d = child->daemon;
	const struct bf_msg_listen_slot *m = message;

	(void)f;
	if (m->slot >= child->workers || listener_adopt(&d->front.listener, (uint32_t)m->slot) < 0)
		bf_log(BF_LOG_WARN, "adopt_refused", "slot=%" PRIu64, m->slot);
	else
		bf_log(BF_LOG_INFO, "slot_adopted", "slot=%" PRIu64, m->slot);
}

static void on_release(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct proxyd *d = child->daemon;
	const struct bf_msg_listen_slot *m = message;

	(void)f;
	/* A worker never gives up its own slot but by draining. */
	if (m->slot >= child->workers || m->slot == child->index)
		bf_log(BF_LOG_WARN, "release_refused", "slot=%" PRIu64, m->slot);
	else if (listener_release(&d->front.listener, (uint32_t)m->slot) == 0)
		bf_log(BF_LOG_INFO, "slot_released", "slot=%" PRIu64, m->slot);
}

static void on_drained(void *ctx)
{
	struct proxyd *d = ctx;
	struct bf_child *child = d->child;

	bf_log(BF_LOG_INFO, "drained", "requests_in_flight=%" PRIu64, d->worker.inflight);
	(void)bf_channel_send_msg(&child->channel, BF_MSG_DRAINED, child->endpoint,
				  BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0), 0, 0, NULL);
	bf_child_leave(child, BF_EXIT_OK);
}

static void on_drain(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct proxyd *d = child->daemon;

	(void)f;
	(void)message;
	front_drain(&d->front, on_drained, d);
	/* What a reload waits for: whoever connects from now on meets our successor. */
	(void)bf_channel_send_msg(&child->channel, BF_MSG_DRAINING, child->endpoint,
				  BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0), 0, 0, NULL);
}

static void on_logs_result(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct proxyd *d = child->daemon;

	ask_logs_result(&d->asks, f->request, message, f->fd);
}

static void on_entity_result(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct proxyd *d = child->daemon;

	ask_entity_result(&d->asks, f->request, message, f->fd);
}

/* ---- taking its place */

static void serve(struct proxyd *d)
{
	ev_timer_stop(d->worker.loop, &d->catch_up);
	if (listener_adopt(&d->front.listener, d->child->index) < 0) {
		bf_log(BF_LOG_ERROR, "no_listeners", "slot=%u", d->child->index);
		bf_child_leave(d->child, BF_EXIT_FAILED);
		return;
	}
	bf_child_ready(d->child);
}

static void on_catch_up(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	serve(timer->data);
}

/* on_snapshot() serves before, as soon as it can. */
void control_begin(struct proxyd *d)
{
	ev_timer_init(&d->catch_up, on_catch_up, CATCH_UP_S, 0.);
	d->catch_up.data = d;
	ev_now_update(d->worker.loop);
	ev_timer_start(d->worker.loop, &d->catch_up);
}

void control_done(struct proxyd *d)
{
	ev_timer_stop(d->worker.loop, &d->catch_up);
}

/* Held beside what is in force until the segment's header says that it is. */
static void on_snapshot(struct bf_child *child, struct bf_frame *f, const void *message)
{
	const struct bf_msg_snapshot_next *m = message;
	struct proxyd *d = child->daemon;
	struct bf_err err = {0};
	int r;

	/* What came before is in force since, or gives way. */
	(void)govern_follow(&d->worker);
	r = bf_snapshot_take(&d->snapshots, f->fd, m->generation, &err);
	if (r == 0 && m->generation)
		r = govern_prepare(&d->worker, &err);
	if (r < 0)
		bf_log(BF_LOG_ERROR, "snapshot_refused", "generation=%" PRIu64 " reason=%s",
		       m->generation, bf_log_quote(err.text));
	if (f->request == 0)
		return;
	(void)bf_channel_send_msg(&child->channel,
				  r < 0 ? BF_MSG_SNAPSHOT_REFUSED : BF_MSG_SNAPSHOT_TAKEN,
				  child->endpoint, f->source, f->request, BF_FRAME_REPLY, NULL);
	if (ev_is_active(&d->catch_up) && govern_follow(&d->worker))
		serve(d);
}

static void on_error(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct proxyd *d = child->daemon;

	ask_error(&d->asks, f->request, message);
}

const struct bf_child_handler control_handlers[] = {
    {BF_MSG_LOGS_RESULT, on_logs_result},
    {BF_MSG_ENTITY_RESULT, on_entity_result},
    {BF_MSG_SNAPSHOT_NEXT, on_snapshot},
    {BF_MSG_ERROR, on_error},
    {BF_MSG_ADOPT, on_adopt},
    {BF_MSG_RELEASE, on_release},
    {BF_MSG_DRAIN, on_drain},
    {0, NULL},
};

static void add_snapshot(const struct proxyd *d, struct bf_array *items, struct bf_arena *arena)
{
	const struct bf_snapshot_generation *now = &d->snapshots.now;
	const struct governance *g = d->worker.governance;
	uint64_t changed = 0;

	for (uint32_t type = 1; now->overlay && type < BF_ENTITY_TYPE_MAX; type++)
		changed += bf_snapshot_count(now->overlay, type);
	bf_status_add(items, arena, "snapshot_generation", "%" PRIu64, now->number);
	bf_status_add(items, arena, "snapshot_overlay_records", "%" PRIu64, changed);
	if (g)
		bf_status_add(items, arena, "virtual_keys_cached", "%u of %u", g->keys.count,
			      g->keys.keys_max);
}

void control_status(struct bf_child *child, struct bf_array *items, struct bf_arena *arena)
{
	const struct proxyd *d = child->daemon;
	const struct listener *l = &d->front.listener;
	uint32_t accepting = 0;

	for (uint32_t s = 0; s < l->slots; s++)
		accepting += l->accepting[s];
	bf_status_add(items, arena, "connections", "%u", d->front.conn_count);
	bf_status_add(items, arena, "idle_connections", "%u", d->front.idle_count);
	bf_status_add(items, arena, "requests_in_flight", "%" PRIu64, d->worker.inflight);
	bf_status_add(items, arena, "body_bytes", "%" PRIu64, d->worker.body_bytes);
	bf_status_add(items, arena, "answer_bytes", "%" PRIu64, d->worker.answer_bytes);
	bf_status_add(items, arena, "listener_slots", "%u", accepting);
	add_snapshot(d, items, arena);
	bf_status_add(items, arena, "log_queries_waiting", "%u", d->asks.waiting);
	bf_status_add(items, arena, "draining", "%s", d->front.drain.on ? "yes" : "no");
}
