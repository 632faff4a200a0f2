/*
 * The supervisor's second hand. Must never judge a child by time during which the supervisor itself
 * did not run: after a suspended machine everybody looks silent.
 */
#include "supervisor/watch.h"

#include "common/base/clock.h"
#include "common/log/log.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "shm/slot.h"
#include "shm/wall.h"

enum watch_verdict watch_judge(int64_t beat_ms, int64_t since_ms, int64_t now_ms, int64_t stall_ms)
{
	int64_t silent = now_ms - BF_MAX(beat_ms, since_ms);

	if (silent > stall_ms)
		return WATCH_STALLED;
	return silent > WATCH_LATE_MS ? WATCH_LATE : WATCH_FINE;
}

static int64_t beat_of(const struct child *child)
{
	struct shm_slot_info info;

	shm_slot_info(child->crew->shm, child->proc_slot, &info);
	return info.heartbeat_mono_ns / 1000000;
}

int64_t watch_heartbeat_age_ms(const struct child *child, int64_t now_ms)
{
	int64_t since = BF_MAX(beat_of(child), child->started_mono_ms);

	return now_ms > since ? now_ms - since : 0;
}

/* True when its heartbeat is overdue. */
static bool look_at(const struct watch *w, struct child *child, int64_t now)
{
	int64_t since = BF_MAX(child->ready_mono_ms, w->resumed_ms);
	enum watch_verdict v =
	    watch_judge(beat_of(child), since, now, child->crew->conf->stall_timeout_ms);
	char name[24];

	if (child->ready_mono_ms == 0 || child->fsm.state == CHILD_KILLED)
		return false;
	if (child->stalled != (v != WATCH_FINE)) {
		child->stalled = v != WATCH_FINE;
		bf_log(BF_LOG_WARN, child->stalled ? "heartbeat_late" : "heartbeat_back",
		       "child=%s child_pid=%d", bf_endpoint_format(child->endpoint, name),
		       (int)child->pid);
		crew_adopt(child->crew);
	}
	if (v == WATCH_STALLED)
		child_feed(child, CHILD_EV_STALLED,
			   "its heartbeat stopped (supervisor.stall_timeout)");
	return child->stalled;
}

static bool look_at_children(const struct watch *w, int64_t now)
{
	struct bf_list *it, *next;
	bool late = false;

	BF_LIST_FOREACH_SAFE(it, next, &w->crew->children)
	{
		if (look_at(w, BF_CONTAINER_OF(it, struct child, node), now))
			late = true;
	}
	return late;
}

static void set_health(const struct watch *w, enum shm_health_bit bit, bool on)
{
	shm_health_set(w->crew->shm, w->crew->own_slot, bit, on);
}

static void look_at_seats(const struct watch *w, int64_t now)
{
	bool missing = false, loop = false, no_slot = false;

	for (uint32_t i = 0; i < w->crew->seat_count; i++) {
		struct seat *seat = &w->crew->seats[i];

		if (seat->serving && seat->serving->fsm.state == CHILD_READY) {
			seat->served_mono_ms = now;
			restart_still_ready(&seat->restart, now - seat->serving->ready_mono_ms);
		}
		missing |= now - seat->served_mono_ms > WATCH_MISSING_MS;
		loop |= restart_is_loop(&seat->restart);
		no_slot |= seat->no_slot;
	}
	set_health(w, SHM_H_CHILD_MISSING, missing && !w->crew->closing);
	set_health(w, SHM_H_CHILD_CRASH_LOOP, loop);
	set_health(w, SHM_H_NO_PROC_SLOT, no_slot);
}

void watch_child_ready(const struct watch *w)
{
	look_at_seats(w, bf_mono_ms());
}

static uint32_t queued_frames(const struct watch *w)
{
	struct bf_list *it, *next;
	uint32_t n = admin_queue_frames(w->admin);

	BF_LIST_FOREACH_SAFE(it, next, &w->crew->children)
	n += BF_CONTAINER_OF(it, struct child, node)->channel.queue_frames;
	return n;
}

/* The clock of windows: nobody else moves it. */
static void look_at_clock(struct watch *w)
{
	struct shm_wall wall = shm_wall_update(w->crew->shm, bf_wall_ns(), bf_boot_ns());
	int off = (wall.ahead_ns > 0) - (wall.ahead_ns < 0);

	if (off == w->clock_off)
		return;
	w->clock_off = off;
	if (off > 0)
		bf_log(BF_LOG_WARN, "clock_jumped_ahead", "ahead_ms=%lld effect=%s",
		       (long long)(wall.ahead_ns / 1000000),
		       bf_log_quote("windows of limits shorter than that go on by the time of "
				    "before it until bifrostctl limits --accept-clock"));
	else if (off < 0)
		bf_log(BF_LOG_WARN, "clock_set_back", "behind_ms=%lld effect=%s",
		       (long long)(-wall.ahead_ns / 1000000),
		       bf_log_quote("windows of limits follow it slowly, or at once after "
				    "bifrostctl limits --accept-clock"));
	else
		bf_log(BF_LOG_INFO, "clock_believed", "effect=%s",
		       bf_log_quote("windows of limits follow the wall clock again"));
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct watch *w = timer->data;
	int64_t now = bf_mono_ms();

	(void)loop;
	(void)revents;
	bf_log_tick();
	if (now - w->last_ms > WATCH_OWN_HOLE_MS) {
		w->resumed_ms = now;
		bf_log(BF_LOG_WARN, "supervisor_was_away", "ms=%lld",
		       (long long)(now - w->last_ms));
	}
	w->last_ms = now;
	shm_slot_beat(w->crew->shm, w->crew->own_slot, bf_mono_ns());
	shm_metric_add(w->crew->shm, w->crew->own_slot, SHM_M_LOG_LINES_LOST, bf_log_take_lost());
	look_at_clock(w);
	set_health(w, SHM_H_CHILD_STALLED, look_at_children(w, now));
	look_at_seats(w, now);
	router_tick(w->router);
	shm_metric_set(w->crew->shm, w->crew->own_slot, SHM_M_CONTROL_QUEUE, queued_frames(w));
}

void watch_start(struct watch *w, struct crew *crew, struct admin *admin, struct router *router)
{
	int64_t now = bf_mono_ms();

	w->crew = crew;
	w->admin = admin;
	w->router = router;
	w->last_ms = now;
	w->resumed_ms = 0;
	w->clock_off = 0;
	for (uint32_t i = 0; i < crew->seat_count; i++)
		crew->seats[i].served_mono_ms = now;
	ev_timer_init(&w->timer, on_tick, 1., 1.);
	w->timer.data = w;
	ev_now_update(crew->loop);
	ev_timer_start(crew->loop, &w->timer);
}

void watch_stop(struct watch *w)
{
	if (w->crew)
		ev_timer_stop(w->crew->loop, &w->timer);
}
