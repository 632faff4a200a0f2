/*
 * One seat: does what seat_fsm says. Called by crew.c and child.c. Must never start a process
 * beside one that may not have company (plan_row.may_overlap), and always lets the configuration in
 * force come back after a failed trial.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/log/log.h"
#include "supervisor/crew.h"

static void on_pause_over(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct seat *seat = w->data;

	(void)loop;
	(void)revents;
	seat->pause_until_mono_ms = 0;
	seat_feed(seat, SEAT_EV_TIMER);
}

static void on_closing_over(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct seat *seat = w->data;
	char name[24];

	(void)loop;
	(void)revents;
	bf_log(BF_LOG_WARN, "child_still_open", "child=%s child_pid=%d waited_ms=%d",
	       bf_endpoint_format(seat_endpoint(seat), name), (int)seat->closing->pid,
	       SEAT_CLOSING_MS);
	seat_shut(seat);
}

int seat_init(struct seat *seat, struct crew *crew, const struct plan_row *row, uint32_t index,
	      int config_fd)
{
	memset(seat, 0, sizeof(*seat));
	seat->crew = crew;
	seat->row = row;
	seat->index = index;
	seat->state = SEAT_STOPPED;
	seat->lost_ready_ms = -1;
	seat->trial_fd = -1;
	ev_timer_init(&seat->pause, on_pause_over, 0., 0.);
	ev_timer_init(&seat->closing_wait, on_closing_over, 0., 0.);
	seat->pause.data = seat->closing_wait.data = seat;
	seat->config_fd = slices_dup(config_fd);
	return seat->config_fd < 0 ? seat->config_fd : 0;
}

void seat_done(struct seat *seat)
{
	ev_timer_stop(seat->crew->loop, &seat->pause);
	ev_timer_stop(seat->crew->loop, &seat->closing_wait);
	if (seat->config_fd >= 0)
		(void)close(seat->config_fd);
	if (seat->trial_fd >= 0)
		(void)close(seat->trial_fd);
	seat->config_fd = seat->trial_fd = -1;
}

uint16_t seat_endpoint(const struct seat *seat)
{
	return BF_ENDPOINT(seat->row->role, seat->index);
}

uint32_t seat_leaving(const struct seat *seat)
{
	const struct bf_list *head = &seat->crew->children;
	uint32_t n = 0;

	for (const struct bf_list *it = head->next; it != head; it = it->next) {
		const struct child *child = (const struct child *)(const void *)it;

		n += child->seat == seat && child->part == CHILD_LEAVING;
	}
	return n;
}

const char *seat_state_text(const struct seat *seat)
{
	if (seat->serving)
		return child_states[seat->serving->fsm.state].name;
	if (seat->coming)
		return child_states[seat->coming->fsm.state].name;
	return seat_states[seat->state].name;
}

static void spawn(struct seat *seat, int config_fd)
{
	struct bf_err err = {0};
	char name[24];

	seat->restart.starts++;
	if (child_start(seat, config_fd, &seat->coming, &err) == 0) {
		bf_log(BF_LOG_INFO, "child_started", "child=%s child_pid=%d proc_slot=%u",
		       bf_endpoint_format(seat_endpoint(seat), name), (int)seat->coming->pid,
		       seat->coming->proc_slot);
		return;
	}
	seat->coming = NULL;
	seat->lost_ready_ms = -1;
	(void)snprintf(seat->last_exit, sizeof(seat->last_exit), "not started: %.120s", err.text);
	bf_log(BF_LOG_ERROR, "child_not_started", "child=%s why=%s",
	       bf_endpoint_format(seat_endpoint(seat), name), bf_log_quote(err.text));
	seat_feed(seat, SEAT_EV_LOST_IN);
}

/* The pause that the restart policy gives; also 0 goes through the loop. */
static void arm(struct seat *seat)
{
	int64_t wait = restart_after_end(&seat->restart, seat->lost_ready_ms);
	char name[24];

	bf_log(wait ? BF_LOG_WARN : BF_LOG_INFO, "child_restart",
	       "child=%s in_ms=%lld failures=%u last=%s",
	       bf_endpoint_format(seat_endpoint(seat), name), (long long)wait,
	       seat->restart.failures, bf_log_quote(seat->last_exit));
	seat->pause_until_mono_ms = bf_mono_ms() + wait;
	ev_now_update(seat->crew->loop);
	ev_timer_set(&seat->pause, (double)wait / 1000., 0.);
	ev_timer_start(seat->crew->loop, &seat->pause);
}

static void promote(struct seat *seat)
{
	struct child *old = seat->serving;

	seat->serving = seat->coming;
	seat->serving->part = CHILD_SERVING;
	seat->coming = NULL;
	if (!old)
		return;
	old->part = CHILD_LEAVING;
	if (seat->row->has_listeners)
		adopt_forget(&seat->crew->adopt, seat->index);
	child_feed(old, seat->row->has_listeners ? CHILD_EV_DRAIN : CHILD_EV_STOP, NULL);
	seat->closing = old->fsm.state == CHILD_DRAINING ? old : NULL;
}

/* Until it says so, the predecessor may take a connection from the socket that both have. */
static void wait_for_door(struct seat *seat)
{
	ev_now_update(seat->crew->loop);
	ev_timer_set(&seat->closing_wait, SEAT_CLOSING_MS / 1000., 0.);
	ev_timer_start(seat->crew->loop, &seat->closing_wait);
}

void seat_shut(struct seat *seat)
{
	ev_timer_stop(seat->crew->loop, &seat->closing_wait);
	seat->closing = NULL;
	seat->crew->events->on_rolled(seat->crew->owner, seat, true);
}

static void end_trial(struct seat *seat, bool ok)
{
	if (seat->trial_fd >= 0) {
		int unused = ok ? seat->config_fd : seat->trial_fd;

		if (ok)
			seat->config_fd = seat->trial_fd;
		(void)close(unused);
		seat->trial_fd = -1;
	}
	if (ok && seat->closing)
		wait_for_door(seat);
	else
		seat->crew->events->on_rolled(seat->crew->owner, seat, ok);
}

static void stop_old(struct seat *seat)
{
	/* Only when the node stops is there time for requests; a seat that changes has nobody to
	 * take over. */
	bool drains = seat->row->has_listeners && seat->state == SEAT_CLOSED;

	child_feed(seat->serving, drains ? CHILD_EV_DRAIN : CHILD_EV_STOP, NULL);
}

static void disarm(struct seat *seat)
{
	ev_timer_stop(seat->crew->loop, &seat->pause);
	seat->pause_until_mono_ms = 0;
}

void seat_feed(struct seat *seat, enum seat_event event)
{
	enum seat_state before = seat->state;
	unsigned actions = seat_fsm_feed(&seat->state, event);
	char name[24];

	if (before != seat->state)
		bf_log(BF_LOG_DEBUG, "seat_state", "seat=%s from=%s to=%s event=%s",
		       bf_endpoint_format(seat_endpoint(seat), name), seat_states[before].name,
		       seat_states[seat->state].name, seat_event_name(event));
	if (actions & SEAT_DISARM)
		disarm(seat);
	if ((actions & SEAT_STOP_IN) && seat->coming)
		child_feed(seat->coming, CHILD_EV_STOP, NULL);
	if ((actions & SEAT_STOP_OLD) && seat->serving)
		stop_old(seat);
	if (actions & SEAT_PROMOTE)
		promote(seat);
	if (actions & SEAT_ROLL_OK)
		end_trial(seat, true);
	if (actions & SEAT_ROLL_FAIL)
		end_trial(seat, false);
	if (actions & SEAT_SPAWN)
		spawn(seat, seat->config_fd);
	if (actions & SEAT_SPAWN_NEW)
		spawn(seat, seat->trial_fd >= 0 ? seat->trial_fd : seat->config_fd);
	if (actions & SEAT_ARM)
		arm(seat);
}
