/*
 * One process: started with its descriptors and environment, spoken to over its channel, watched by
 * one deadline. Called by seat.c. Must never conclude from anything but waitpid that the process is
 * gone, and never let a child inherit what belongs to another.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/ipc/messages.h"
#include "common/log/log.h"
#include "common/proc/child.h"
#include "common/proc/contract.h"
#include "supervisor/crew.h"
#include "supervisor/environment.h"
#include "supervisor/identity.h"
#include "supervisor/spawn.h"

#define ENVIRONMENT_BYTES 65536u

/* Actions after which the process will be gone: their reason is kept. */
#define ENDS (CHILD_DO_KILL | CHILD_CLOSE_CHANNEL | CHILD_SEND_STOP | CHILD_TELL_BROKEN)

_Static_assert(BF_FD_CHANNEL == 3 && BF_FD_SEGMENT == 4 && BF_FD_CONFIG == 5 && BF_FD_LOCK == 6 &&
		   BF_FD_DOORBELL == 7 && BF_FD_LISTEN == 8,
	       "descriptors are placed in this order");
_Static_assert(SOCKETS_MAX + BF_FD_LISTEN <= SPAWN_MAX_FDS, "all listeners fit");

static const char *name_of(const struct child *child, char out[24])
{
	return bf_endpoint_format(child->endpoint, out);
}

static void on_frame(struct bf_channel *c, struct bf_frame *f)
{
	struct child *child = c->owner;

	child->crew->events->on_frame(child->crew->owner, child, f);
}

static void on_closed(struct bf_channel *c, int code, const char *why)
{
	struct child *child = c->owner;
	char name[24];

	/* Code 0 is what every exit looks like; the reaping tells more. */
	if (code != 0)
		bf_log(BF_LOG_WARN, "channel_broken", "child=%s child_pid=%d why=%s",
		       name_of(child, name), (int)child->pid, bf_log_quote(why));
	child_feed(child, CHILD_EV_CLOSED, code != 0 ? why : NULL);
}

static const struct bf_channel_events channel_events = {.on_frame = on_frame,
							.on_closed = on_closed};

static void arm(struct child *child)
{
	int64_t left = child->fsm.deadline_mono_ms - bf_mono_ms();

	ev_timer_stop(child->crew->loop, &child->deadline);
	if (child->fsm.deadline_mono_ms == CHILD_NO_DEADLINE)
		return;
	/* libev counts from the start of the turn, which may be old by now. */
	ev_now_update(child->crew->loop);
	ev_timer_set(&child->deadline, left > 0 ? (double)left / 1000. : 0., 0.);
	ev_timer_start(child->crew->loop, &child->deadline);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct child *child = w->data;
	const char *why = "it did not leave when it was told to";

	(void)loop;
	(void)revents;
	if (child->fsm.state == CHILD_STARTING)
		why = "it did not become ready in time (supervisor.ready_timeout)";
	else if (child->fsm.state == CHILD_DRAINING)
		why = "its requests did not end in time (supervisor.drain_timeout)";
	child_feed(child, CHILD_EV_TIMEOUT, why);
}

int child_ask(struct child *child, uint16_t type, const void *message, uint32_t request, int fd)
{
	struct bf_frame f = {
	    .type = type,
	    .source = BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0),
	    .target = child->endpoint,
	    .request = request,
	    .fd = fd,
	};
	struct bf_buf body;
	int r;

	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	r = bf_msg_encode(type, message, &body);
	if (r == 0) {
		f.body = bf_buf_slice(&body);
		child->crew->events->on_sent(child->crew->owner, &f);
		r = bf_channel_send(&child->channel, &f);
	}
	bf_buf_done(&body);
	return r;
}

int child_send(struct child *child, uint16_t type, const void *message)
{
	return child_ask(child, type, message, 0, -1);
}

static void do_kill(const struct child *child)
{
	char name[24];

	bf_log(BF_LOG_WARN, "child_killed", "child=%s child_pid=%d why=%s", name_of(child, name),
	       (int)child->pid, bf_log_quote(child->why));
	/* The pid is ours until waitpid has returned it. */
	(void)kill(child->pid, SIGKILL);
}

static void tell(struct child *child, unsigned actions)
{
	char name[24];

	if (actions & CHILD_TELL_STUCK)
		bf_log(BF_LOG_ERROR, "child_stuck",
		       "child=%s child_pid=%d hint=\"SIGKILL has no effect: the kernel holds it; "
		       "look at its stack in /proc\"",
		       name_of(child, name), (int)child->pid);
	if (actions & CHILD_TELL_BROKEN)
		bf_log(BF_LOG_ERROR, "child_out_of_turn", "child=%s child_pid=%d why=%s",
		       name_of(child, name), (int)child->pid, bf_log_quote(child->why));
	if (actions & CHILD_TELL_READY) {
		child->ready_mono_ms = bf_mono_ms();
		bf_log(BF_LOG_INFO, "child_ready", "child=%s child_pid=%d after_ms=%lld",
		       name_of(child, name), (int)child->pid,
		       (long long)(child->ready_mono_ms - child->started_mono_ms));
		crew_ready(child);
	}
	if (actions & CHILD_TELL_LEFT)
		crew_left(child);
}

void child_feed(struct child *child, enum child_event event, const char *why)
{
	struct child_limits limits = crew_limits(child->crew, child->seat->row);
	enum child_state before = child->fsm.state;
	unsigned actions = child_fsm_feed(&child->fsm, event, bf_mono_ms(), &limits);
	char name[24];

	if (why && before != CHILD_KILLED && (actions & ENDS))
		(void)snprintf(child->why, sizeof(child->why), "%s", why);
	if (before != child->fsm.state)
		bf_log(BF_LOG_DEBUG, "child_state", "child=%s child_pid=%d from=%s to=%s event=%s",
		       name_of(child, name), (int)child->pid, child_states[before].name,
		       child_states[child->fsm.state].name, child_event_name(event));
	if (actions & CHILD_SEND_DRAIN)
		(void)child_send(child, BF_MSG_DRAIN, NULL);
	if (actions & CHILD_SEND_STOP)
		(void)child_send(child, BF_MSG_STOP, NULL);
	if (actions & CHILD_DO_KILL)
		do_kill(child);
	if (actions & CHILD_CLOSE_CHANNEL)
		bf_channel_close(&child->channel);
	if (child->fsm.state != CHILD_GONE)
		arm(child);
	else
		ev_timer_stop(child->crew->loop, &child->deadline);
	tell(child, actions);
}

bool child_accepts(const struct child *child)
{
	return child->fsm.state == CHILD_READY && !child->stalled;
}

/* The descriptors of the contract, in its order; their number. */
static size_t list_fds(const struct seat *seat, int channel, int config_fd, int *out)
{
	const struct crew *crew = seat->crew;
	size_t n = 0;

	out[n++] = channel;
	out[n++] = crew->segment_fd;
	out[n++] = config_fd;
	out[n++] = crew->lock_fd;
	out[n++] = crew->doorbell_fd;
	if (!seat->row->has_listeners)
		return n;
	for (uint32_t i = 0; i < crew->sockets->slots * crew->sockets->addresses; i++)
		out[n++] = crew->sockets->fds[i];
	return n;
}

static pid_t spawn(const struct seat *seat, uint32_t proc_slot, int channel, int config_fd,
		   struct bf_err *err)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	const struct crew *crew = seat->crew;
	int fds[SPAWN_MAX_FDS];
	char argv0[64], argument[32] = "";
	char *argv[] = {argv0, NULL, NULL};
	struct bf_arena arena;
	struct environment e = {
	    .role = bf_role_name(seat->row->role),
	    .index = seat->index,
	    .proc_slot = proc_slot,
	    .workers = crew->sockets->slots,
	    .addresses = crew->sockets->addresses,
	    .build_id = bf_build_id(),
	    .user = crew->user,
	    .state_dir = crew->folders->state,
	    .runtime_dir = crew->folders->runtime,
	    .log_level = levels[crew->conf->log_level & 3],
	};
	struct spawn s = {.name = seat->row->binary, .argv = argv, .stdin_fd = -1, .fds = fds};
	pid_t pid;

	(void)snprintf(argv0, sizeof(argv0), "%s", seat->row->binary);
	if (seat->row->argument) {
		(void)snprintf(argument, sizeof(argument), "%s", seat->row->argument);
		argv[1] = argument;
	}
	bf_arena_init(&arena, ENVIRONMENT_BYTES);
	s.binary = crew->binaries->fds[seat->row->role];
	s.fd_count = list_fds(seat, channel, config_fd, fds);
	s.envp = environment_of_child(&e, crew->inherited_env, &arena);
	pid = s.envp ? spawn_process(&s, err)
		     : bf_err_set(err, -ENOMEM, "%s: no memory for its environment", s.name);
	bf_arena_done(&arena);
	return pid;
}

static void greet(struct child *child)
{
	struct bf_msg_hello hello = {
	    .protocol = BF_FRAME_VERSION,
	    .build_id = bf_slice_from(bf_build_id()),
	    .layout_version = SHM_LAYOUT_VERSION,
	};

	(void)child_send(child, BF_MSG_HELLO, &hello);
	child->crew->events->on_greeted(child->crew->owner, child);
}

/* Our end of a channel whose other end a process just inherited. On an error that process is left
 * to the reaper. */
static int connect_child(struct child *child, int channel, struct bf_err *err)
{
	int r = bf_channel_open(&child->channel, child->crew->loop, channel, &channel_events, child,
				err);

	if (r < 0) {
		(void)close(channel);
		return r;
	}
	greet(child);
	return 0;
}

static struct child *new_child(struct seat *seat, uint32_t proc_slot)
{
	struct child_limits limits = crew_limits(seat->crew, seat->row);
	struct child *child = calloc(1, sizeof(*child));

	if (!child)
		return NULL;
	child->crew = seat->crew;
	child->seat = seat;
	child->part = CHILD_COMING;
	child->proc_slot = proc_slot;
	child->endpoint = seat_endpoint(seat);
	child->channel.fd = -1;
	child->started_mono_ms = bf_mono_ms();
	child_fsm_init(&child->fsm, child->started_mono_ms, &limits);
	ev_timer_init(&child->deadline, on_deadline, 0., 0.);
	child->deadline.data = child;
	bf_list_init(&child->node);
	return child;
}

static int fork_child(struct child *child, int config_fd, struct bf_err *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return bf_err_sys(err, -errno, "%s: socketpair", child->seat->row->binary);
	pid = spawn(child->seat, child->proc_slot, pair[1], config_fd, err);
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return (int)pid;
	}
	child->pid = pid;
	shm_slot_set_pid(child->crew->shm, child->proc_slot, (uint32_t)pid);
	return pair[0];
}

int child_start(struct seat *seat, int config_fd, struct child **ret_child, struct bf_err *err)
{
	struct crew *crew = seat->crew;
	int channel, slot = identity_assign(crew->shm, seat->row, seat->index);
	struct child *child;

	seat->no_slot = slot < 0;
	if (slot < 0) {
		return bf_err_set(err, BF_E_FULL,
				  "no free process slot: dead workers wait to be swept by writerd");
	}
	child = new_child(seat, (uint32_t)slot);
	channel = child ? fork_child(child, config_fd, err) : bf_err_set(err, -ENOMEM, "no memory");
	if (channel < 0) {
		/* Nothing was forked: waitpid has nothing to prove. */
		identity_dead(crew->shm, (uint32_t)slot, NULL);
		free(child);
		return channel;
	}
	bf_list_append(&crew->children, &child->node);
	*ret_child = child;
	arm(child);
	if (connect_child(child, channel, err) < 0) {
		/* It sees its channel closed and leaves; the deadline sees to that. */
		bf_log(BF_LOG_ERROR, "channel_failed", "child_pid=%d why=%s", (int)child->pid,
		       bf_log_quote(err->text));
		child_feed(child, CHILD_EV_KILL, "its channel could not be opened");
	}
	return 0;
}

void child_free(struct child *child)
{
	if (!child)
		return;
	bf_channel_close(&child->channel);
	ev_timer_stop(child->crew->loop, &child->deadline);
	bf_list_remove(&child->node);
	free(child);
}
