/*
 * The life of one process as a table. child.c feeds it and does what it says. It must never touch a
 * process, a clock or a channel, so that every state can be tried with every event.
 */
#include "supervisor/child_fsm.h"

#include <assert.h>
#include <stddef.h>

#define NEXT(state) (1u << (state))

const struct child_state_def child_states[CHILD_STATE_COUNT] = {
    [CHILD_STARTING] = {"starting", NEXT(CHILD_READY) | NEXT(CHILD_STOPPING) | NEXT(CHILD_KILLED) |
					NEXT(CHILD_GONE)},
    [CHILD_READY] = {"ready", NEXT(CHILD_DRAINING) | NEXT(CHILD_STOPPING) | NEXT(CHILD_KILLED) |
				  NEXT(CHILD_GONE)},
    [CHILD_DRAINING] = {"draining", NEXT(CHILD_STOPPING) | NEXT(CHILD_KILLED) | NEXT(CHILD_GONE)},
    [CHILD_STOPPING] = {"stopping", NEXT(CHILD_KILLED) | NEXT(CHILD_GONE)},
    [CHILD_KILLED] = {"killed", NEXT(CHILD_GONE)},
    [CHILD_GONE] = {"gone", 0},
};

/* Which deadline a step sets. */
enum timer {
	TIMER_KEEP,
	TIMER_NONE,
	TIMER_READY,
	TIMER_DRAIN,
	TIMER_STOP,
	TIMER_LEAVE,
	TIMER_REAP,
};

struct step {
	uint8_t next;
	uint8_t timer;
	uint16_t actions;
};

/* STAY: nothing to do. The rest reads: next state, deadline, actions. */
#define STAY(state)                  \
	{                            \
		state, TIMER_KEEP, 0 \
	}
#define KILL(extra)                                                                     \
	{                                                                               \
		CHILD_KILLED, TIMER_REAP, (extra) | CHILD_CLOSE_CHANNEL | CHILD_DO_KILL \
	}
#define LEAVE(extra)                                                       \
	{                                                                  \
		CHILD_STOPPING, TIMER_LEAVE, (extra) | CHILD_CLOSE_CHANNEL \
	}
#define STOP(extra)                                                   \
	{                                                             \
		CHILD_STOPPING, TIMER_STOP, (extra) | CHILD_SEND_STOP \
	}
#define GONE(extra)                                                                     \
	{                                                                               \
		CHILD_GONE, TIMER_NONE, (extra) | CHILD_CLOSE_CHANNEL | CHILD_TELL_GONE \
	}

static const struct step steps[CHILD_STATE_COUNT][CHILD_EVENT_COUNT] = {
    [CHILD_STARTING] =
	{
	    [CHILD_EV_STARTING] = {CHILD_STARTING, TIMER_READY, 0},
	    [CHILD_EV_READY] = {CHILD_READY, TIMER_NONE, CHILD_TELL_READY},
	    [CHILD_EV_DRAINED] = LEAVE(CHILD_TELL_BROKEN),
	    [CHILD_EV_CLOSED] = LEAVE(0),
	    [CHILD_EV_DRAIN] = STOP(0),
	    [CHILD_EV_STOP] = STOP(0),
	    [CHILD_EV_KILL] = KILL(0),
	    /* It beats only once it is up; the ready deadline watches it until then. */
	    [CHILD_EV_STALLED] = STAY(CHILD_STARTING),
	    [CHILD_EV_TIMEOUT] = KILL(0),
	    [CHILD_EV_REAPED] = GONE(0),
	},
    [CHILD_READY] =
	{
	    [CHILD_EV_STARTING] = LEAVE(CHILD_TELL_LEFT | CHILD_TELL_BROKEN),
	    [CHILD_EV_READY] = LEAVE(CHILD_TELL_LEFT | CHILD_TELL_BROKEN),
	    [CHILD_EV_DRAINED] = LEAVE(CHILD_TELL_LEFT | CHILD_TELL_BROKEN),
	    [CHILD_EV_CLOSED] = LEAVE(CHILD_TELL_LEFT),
	    [CHILD_EV_DRAIN] = {CHILD_DRAINING, TIMER_DRAIN, CHILD_SEND_DRAIN | CHILD_TELL_LEFT},
	    [CHILD_EV_STOP] = STOP(CHILD_TELL_LEFT),
	    [CHILD_EV_KILL] = KILL(CHILD_TELL_LEFT),
	    [CHILD_EV_STALLED] = KILL(CHILD_TELL_LEFT),
	    [CHILD_EV_TIMEOUT] = STAY(CHILD_READY),
	    [CHILD_EV_REAPED] = GONE(CHILD_TELL_LEFT),
	},
    [CHILD_DRAINING] =
	{
	    [CHILD_EV_STARTING] = LEAVE(CHILD_TELL_BROKEN),
	    [CHILD_EV_READY] = LEAVE(CHILD_TELL_BROKEN),
	    /* It exits by itself now: no STOP that would cross its exit. */
	    [CHILD_EV_DRAINED] = {CHILD_STOPPING, TIMER_LEAVE, 0},
	    [CHILD_EV_CLOSED] = LEAVE(0),
	    [CHILD_EV_DRAIN] = STAY(CHILD_DRAINING),
	    [CHILD_EV_STOP] = STOP(0),
	    [CHILD_EV_KILL] = KILL(0),
	    [CHILD_EV_STALLED] = KILL(0),
	    [CHILD_EV_TIMEOUT] = STOP(0),
	    [CHILD_EV_REAPED] = GONE(0),
	},
    [CHILD_STOPPING] =
	{
	    /* What it says may have crossed our STOP: no fault of the child's. */
	    [CHILD_EV_STARTING] = STAY(CHILD_STOPPING),
	    [CHILD_EV_READY] = STAY(CHILD_STOPPING),
	    [CHILD_EV_DRAINED] = STAY(CHILD_STOPPING),
	    [CHILD_EV_CLOSED] = {CHILD_STOPPING, TIMER_KEEP, CHILD_CLOSE_CHANNEL},
	    [CHILD_EV_DRAIN] = STAY(CHILD_STOPPING),
	    [CHILD_EV_STOP] = STAY(CHILD_STOPPING),
	    [CHILD_EV_KILL] = KILL(0),
	    [CHILD_EV_STALLED] = KILL(0),
	    [CHILD_EV_TIMEOUT] = KILL(0),
	    [CHILD_EV_REAPED] = GONE(0),
	},
    [CHILD_KILLED] =
	{
	    [CHILD_EV_STARTING] = STAY(CHILD_KILLED),
	    [CHILD_EV_READY] = STAY(CHILD_KILLED),
	    [CHILD_EV_DRAINED] = STAY(CHILD_KILLED),
	    [CHILD_EV_CLOSED] = STAY(CHILD_KILLED),
	    [CHILD_EV_DRAIN] = STAY(CHILD_KILLED),
	    [CHILD_EV_STOP] = STAY(CHILD_KILLED),
	    [CHILD_EV_KILL] = STAY(CHILD_KILLED),
	    [CHILD_EV_STALLED] = STAY(CHILD_KILLED),
	    [CHILD_EV_TIMEOUT] = {CHILD_KILLED, TIMER_REAP, CHILD_TELL_STUCK | CHILD_DO_KILL},
	    [CHILD_EV_REAPED] = GONE(0),
	},
    [CHILD_GONE] =
	{
	    [CHILD_EV_STARTING] = STAY(CHILD_GONE),
	    [CHILD_EV_READY] = STAY(CHILD_GONE),
	    [CHILD_EV_DRAINED] = STAY(CHILD_GONE),
	    [CHILD_EV_CLOSED] = STAY(CHILD_GONE),
	    [CHILD_EV_DRAIN] = STAY(CHILD_GONE),
	    [CHILD_EV_STOP] = STAY(CHILD_GONE),
	    [CHILD_EV_KILL] = STAY(CHILD_GONE),
	    [CHILD_EV_STALLED] = STAY(CHILD_GONE),
	    [CHILD_EV_TIMEOUT] = STAY(CHILD_GONE),
	    [CHILD_EV_REAPED] = STAY(CHILD_GONE),
	},
};

static void set_deadline(struct child_fsm *f, enum timer timer, int64_t now,
			 const struct child_limits *limits)
{
	switch (timer) {
	case TIMER_KEEP:
		break;
	case TIMER_NONE:
		f->deadline_mono_ms = CHILD_NO_DEADLINE;
		break;
	case TIMER_READY:
		f->deadline_mono_ms = now + limits->ready_ms;
		break;
	case TIMER_DRAIN:
		f->deadline_mono_ms = now + limits->drain_ms;
		break;
	case TIMER_STOP:
		f->deadline_mono_ms = now + limits->stop_ms;
		break;
	case TIMER_LEAVE:
		f->deadline_mono_ms = now + CHILD_LEAVE_MS;
		break;
	case TIMER_REAP:
		f->deadline_mono_ms = now + CHILD_REAP_MS;
		break;
	}
}

void child_fsm_init(struct child_fsm *f, int64_t now_mono_ms, const struct child_limits *limits)
{
	f->state = CHILD_STARTING;
	f->deadline_mono_ms = now_mono_ms + limits->ready_ms;
}

unsigned child_fsm_feed(struct child_fsm *f, enum child_event event, int64_t now_mono_ms,
			const struct child_limits *limits)
{
	const struct step *step = &steps[f->state][event];
	enum child_state next = (enum child_state)step->next;

	assert(next == f->state || (child_states[f->state].next & NEXT(next)));
	f->state = next;
	set_deadline(f, (enum timer)step->timer, now_mono_ms, limits);
	return step->actions;
}

const char *child_event_name(enum child_event event)
{
	static const char *const names[CHILD_EVENT_COUNT] = {
	    [CHILD_EV_STARTING] = "starting", [CHILD_EV_READY] = "ready",
	    [CHILD_EV_DRAINED] = "drained",   [CHILD_EV_CLOSED] = "closed",
	    [CHILD_EV_DRAIN] = "drain",       [CHILD_EV_STOP] = "stop",
	    [CHILD_EV_KILL] = "kill",         [CHILD_EV_STALLED] = "stalled",
	    [CHILD_EV_TIMEOUT] = "timeout",   [CHILD_EV_REAPED] = "reaped",
	};

	return names[event];
}
