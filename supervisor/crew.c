/*
 * The crew: seats, reaping, adoption, and the fixed order of what follows a death. Called by
 * lifecycle.c, router.c and roll.c. Must never let what happens on one seat change another one, but
 * for the adoption of listener slots.
 */
#include "supervisor/crew.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/ipc/messages.h"
#include "common/log/log.h"
#include "supervisor/identity.h"
#include "supervisor/spawn.h"

#define CHILD_OF(it) BF_CONTAINER_OF(it, struct child, node)

_Static_assert(offsetof(struct child, node) == 0, "a node of the list is its child");
_Static_assert(PLAN_MAX_WORKERS <= ADOPT_MAX_SLOTS, "every worker has a listener slot");

struct child_limits crew_limits(const struct crew *crew, const struct plan_row *row)
{
	return (struct child_limits){
	    .ready_ms = crew->conf->ready_timeout_ms,
	    .drain_ms = crew->conf->drain_timeout_ms,
	    .stop_ms = row->stop_timeout_ms,
	};
}

static int add_seats(struct crew *crew, const struct plan_row *row, int config_fd, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int r = seat_init(&crew->seats[crew->seat_count], crew, row, i, config_fd);

		if (r < 0)
			return r;
		crew->seat_count++;
	}
	return 0;
}

int crew_init(struct crew *crew, const struct slices *slices, uint32_t workers)
{
	assert(workers <= ADOPT_MAX_SLOTS);
	bf_list_init(&crew->children);
	adopt_init(&crew->adopt, workers);
	for (size_t i = 0; i < plan_row_count; i++) {
		const struct plan_row *row = &plan_rows[i];
		int r = add_seats(crew, row, slices->fds[row->role], row->per_worker ? workers : 1);

		if (r < 0)
			return r;
	}
	return 0;
}

void crew_start(struct crew *crew)
{
	for (uint32_t i = 0; i < crew->seat_count; i++)
		seat_feed(&crew->seats[i], SEAT_EV_START);
}

void crew_done(struct crew *crew)
{
	struct bf_list *it, *next;

	if (!crew->children.next)
		return;
	BF_LIST_FOREACH_SAFE(it, next, &crew->children)
	{
		struct child *child = CHILD_OF(it);

		(void)kill(child->pid, SIGKILL);
		(void)waitpid(child->pid, NULL, 0);
		identity_dead(crew->shm, child->proc_slot, child->seat->row);
		child_free(child);
	}
	for (uint32_t i = 0; i < crew->seat_count; i++)
		seat_done(&crew->seats[i]);
	crew->seat_count = 0;
}

struct seat *crew_seat(struct crew *crew, uint16_t endpoint)
{
	for (uint32_t i = 0; i < crew->seat_count; i++) {
		if (seat_endpoint(&crew->seats[i]) == endpoint)
			return &crew->seats[i];
	}
	return NULL;
}

struct child *crew_find(struct crew *crew, uint16_t endpoint)
{
	struct seat *seat = crew_seat(crew, endpoint);

	return seat && seat->serving && seat->serving->fsm.state == CHILD_READY ? seat->serving
										: NULL;
}

struct child *crew_holder(struct crew *crew, uint32_t proc_slot)
{
	struct bf_list *it, *next;

	BF_LIST_FOREACH_SAFE(it, next, &crew->children)
	{
		if (CHILD_OF(it)->proc_slot == proc_slot)
			return CHILD_OF(it);
	}
	return NULL;
}

/* ------------------------------------------------------------------ adoption */

static struct seat *worker_seat(struct crew *crew, uint32_t index)
{
	return crew_seat(crew, BF_ENDPOINT(BF_ROLE_PROXYD, index));
}

static void send_order(struct crew *crew, const struct adopt_order *o)
{
	struct seat *seat = worker_seat(crew, o->worker);
	struct bf_msg_listen_slot message = {.slot = o->slot};

	if (!seat || !seat->serving)
		return;
	bf_log(BF_LOG_INFO, o->release ? "slot_released" : "slot_adopted", "slot=%u worker=%u",
	       o->slot, o->worker);
	(void)child_send(seat->serving, o->release ? BF_MSG_RELEASE : BF_MSG_ADOPT, &message);
}

void crew_adopt(struct crew *crew)
{
	struct adopt_order orders[ADOPT_MAX_ORDERS];
	bool serves[ADOPT_MAX_SLOTS] = {false};
	uint32_t n;

	if (crew->closing)
		return;
	for (uint32_t w = 0; w < crew->adopt.slots; w++) {
		const struct seat *seat = worker_seat(crew, w);

		serves[w] = seat && seat->serving && child_accepts(seat->serving);
	}
	n = adopt_update(&crew->adopt, serves, orders);
	for (uint32_t i = 0; i < n; i++)
		send_order(crew, &orders[i]);
}

void crew_ready(struct child *child)
{
	struct crew *crew = child->crew;

	seat_feed(child->seat, SEAT_EV_READY);
	crew_adopt(crew);
	crew->events->on_ready(crew->owner, child);
}

void crew_left(struct child *child)
{
	struct seat *seat = child->seat;

	if (!seat->row->has_listeners || seat->serving != child)
		return;
	adopt_forget(&child->crew->adopt, seat->index);
	crew_adopt(child->crew);
}

void crew_shut(struct child *child)
{
	if (child->seat->closing == child)
		seat_shut(child->seat);
}

/* ------------------------------------------------------------------ deaths */

static struct child *find_pid(struct crew *crew, pid_t pid)
{
	struct bf_list *it, *next;

	BF_LIST_FOREACH_SAFE(it, next, &crew->children)
	{
		if (CHILD_OF(it)->pid == pid)
			return CHILD_OF(it);
	}
	return NULL;
}

static void note_exit(struct child *child, int wait_status)
{
	struct seat *seat = child->seat;
	bool expected = child->part == CHILD_LEAVING || seat->state == SEAT_CLOSED ||
			seat->state == SEAT_CHANGING;
	char how[80], name[24];

	(void)spawn_exit_text(wait_status, how, sizeof(how));
	seat->exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
	(void)snprintf(seat->last_exit, sizeof(seat->last_exit), "%s%s%.70s", how,
		       child->why[0] ? ": " : "", child->why);
	bf_log(expected && WIFEXITED(wait_status) ? BF_LOG_INFO : BF_LOG_WARN, "child_ended",
	       "child=%s child_pid=%d how=%s why=%s", bf_endpoint_format(child->endpoint, name),
	       (int)child->pid, bf_log_quote(how), bf_log_quote(child->why));
}

static void tell_writer(struct crew *crew, const struct child *dead)
{
	struct child *writer = crew_find(crew, BF_ENDPOINT(BF_ROLE_WRITERD, 0));
	struct bf_msg_proc message = {.proc_slot = dead->proc_slot, .pid = (uint64_t)dead->pid};

	/* A writer that starts looks at all slots by itself. */
	if (writer && dead->seat->row->has_rings)
		(void)child_send(writer, BF_MSG_PROC_DEAD, &message);
}

static void leave_seat(struct child *child)
{
	struct seat *seat = child->seat;

	seat->lost_ready_ms = child->ready_mono_ms ? bf_mono_ms() - child->ready_mono_ms : -1;
	if (seat->serving == child) {
		seat->serving = NULL;
		seat_feed(seat, SEAT_EV_LOST);
	} else if (seat->coming == child) {
		seat->coming = NULL;
		seat_feed(seat, SEAT_EV_LOST_IN);
	}
}

bool crew_reaped(struct crew *crew, pid_t pid, int wait_status)
{
	struct child *child = find_pid(crew, pid);
	struct seat *seat;

	if (!child)
		return false;
	seat = child->seat;
	note_exit(child, wait_status);
	child_feed(child, CHILD_EV_REAPED, NULL);
	identity_dead(crew->shm, child->proc_slot, seat->row);
	tell_writer(crew, child);
	crew->events->on_gone(crew->owner, child, wait_status);
	crew_shut(child);
	leave_seat(child);
	child_free(child);
	/* Its slot may be what a start was waiting for. */
	if (!seat->row->has_rings)
		crew_slots_freed(crew);
	return true;
}

void crew_slots_freed(struct crew *crew)
{
	if (identity_count(crew->shm, SHM_SLOT_FREE) <= IDENTITY_RESERVE)
		return;
	for (uint32_t i = 0; i < crew->seat_count; i++) {
		struct seat *seat = &crew->seats[i];

		if (seat->state != SEAT_BACKOFF || !seat->no_slot)
			continue;
		ev_timer_stop(crew->loop, &seat->pause);
		ev_timer_set(&seat->pause, 0., 0.);
		ev_timer_start(crew->loop, &seat->pause);
	}
}

/* ------------------------------------------------------------------ replacing and stopping */

int crew_roll(struct seat *seat, int config_fd, struct bf_err *err)
{
	char name[24];

	(void)bf_endpoint_format(seat_endpoint(seat), name);
	if (seat->trial_fd >= 0 || seat->closing || seat->state == SEAT_ROLLING ||
	    seat->state == SEAT_CHANGING || seat->state == SEAT_TRYING)
		return bf_err_set(err, BF_E_STATE,
				  "%s: is being replaced already: try again when that is done",
				  name);
	if (seat->state == SEAT_CLOSED || seat->state == SEAT_STOPPED)
		return bf_err_set(err, BF_E_STATE, "%s: the node is stopping", name);
	if (seat_leaving(seat) >= CREW_MAX_LEAVING)
		return bf_err_set(err, BF_E_FULL,
				  "%s: %u replaced processes still finish their requests: try "
				  "again when one has left",
				  name, CREW_MAX_LEAVING);
	seat->trial_fd = slices_dup(config_fd >= 0 ? config_fd : seat->config_fd);
	if (seat->trial_fd < 0)
		return bf_err_sys(err, seat->trial_fd, "%s: its configuration", name);
	restart_forgive(&seat->restart);
	seat_feed(seat, seat->row->may_overlap ? SEAT_EV_OVERLAP : SEAT_EV_SWAP);
	return 0;
}

uint32_t crew_living(const struct crew *crew, uint8_t stop_order)
{
	uint32_t n = 0;

	for (const struct bf_list *it = crew->children.next; it != &crew->children; it = it->next)
		n += ((const struct child *)(const void *)it)->seat->row->stop_order == stop_order;
	return n;
}

void crew_feed(struct crew *crew, uint8_t stop_order, enum child_event event, const char *why)
{
	struct bf_list *it, *next;

	BF_LIST_FOREACH_SAFE(it, next, &crew->children)
	{
		if (CHILD_OF(it)->seat->row->stop_order == stop_order)
			child_feed(CHILD_OF(it), event, why);
	}
}

uint32_t crew_close(struct crew *crew, uint8_t stop_order)
{
	for (uint32_t i = 0; i < crew->seat_count; i++) {
		if (crew->seats[i].row->stop_order == stop_order)
			seat_feed(&crew->seats[i], SEAT_EV_CLOSE);
	}
	return crew_living(crew, stop_order);
}
