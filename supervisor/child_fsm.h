/*
 * The life of one process, from fork to waitpid, as a pure machine: (state, event, now) -> next
 * state, deadline, actions. There is no way to CHILD_GONE but through waitpid.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum child_state {
	CHILD_STARTING, /* forked; has not said READY */
	CHILD_READY,
	CHILD_DRAINING, /* told to finish what runs */
	CHILD_STOPPING, /* told to leave, or its channel is closed: it has a short time left */
	CHILD_KILLED,   /* SIGKILL was sent */
	CHILD_GONE,     /* reaped */
	CHILD_STATE_COUNT,
};

enum child_event {
	CHILD_EV_STARTING, /* it said that it is still at its start */
	CHILD_EV_READY,    /* it said READY */
	CHILD_EV_DRAINED,  /* it said DRAINED */
	CHILD_EV_CLOSED,   /* its channel ended or carried garbage */
	CHILD_EV_DRAIN,    /* we want it to finish and leave */
	CHILD_EV_STOP,     /* we want it to leave now */
	CHILD_EV_KILL,     /* we want it gone */
	CHILD_EV_STALLED,  /* its heartbeat has stopped for too long */
	CHILD_EV_TIMEOUT,  /* the deadline passed */
	CHILD_EV_REAPED,   /* waitpid returned it */
	CHILD_EVENT_COUNT,
};

enum child_action {
	CHILD_SEND_DRAIN = 1 << 0,
	CHILD_SEND_STOP = 1 << 1,
	CHILD_DO_KILL = 1 << 2, /* before the close: it shall not leave by itself meanwhile */
	CHILD_CLOSE_CHANNEL = 1 << 3,
	CHILD_TELL_READY = 1 << 4,  /* it serves from now on */
	CHILD_TELL_LEFT = 1 << 5,   /* it served and does so no more */
	CHILD_TELL_GONE = 1 << 6,   /* its identity may be declared dead */
	CHILD_TELL_STUCK = 1 << 7,  /* SIGKILL has no effect: the kernel holds it */
	CHILD_TELL_BROKEN = 1 << 8, /* it said what it may not say now */
};

#define CHILD_NO_DEADLINE INT64_MAX
#define CHILD_LEAVE_MS    2000  /* for a child whose channel is closed */
#define CHILD_REAP_MS     10000 /* from SIGKILL to a complaint */

struct child_limits {
	int64_t ready_ms; /* from the fork, or the last word of it, to READY */
	int64_t drain_ms, stop_ms;
};

struct child_fsm {
	enum child_state state;
	int64_t deadline_mono_ms;
};

struct child_state_def {
	const char *name; /* shown by bifrostctl status */
	uint32_t next;    /* bits 1 << enum child_state */
};
extern const struct child_state_def child_states[CHILD_STATE_COUNT];

/* A process just forked. */
void child_fsm_init(struct child_fsm *f, int64_t now_mono_ms, const struct child_limits *limits);

/* Bits of enum child_action, to be done in the order of their values. */
unsigned child_fsm_feed(struct child_fsm *f, enum child_event event, int64_t now_mono_ms,
			const struct child_limits *limits);

const char *child_event_name(enum child_event event);
