/*
 * A seat is what the plan asks for ("proxyd.0 shall run"); processes come and go on it. Pure
 * machine: which process to start, keep, stop, and when. At most one process serves a seat and at
 * most one more is on its way in; those that drain have left the seat.
 */
#pragma once

#include <stdint.h>

enum seat_state {
	SEAT_STOPPED,  /* never started */
	SEAT_STARTING, /* a process is on its way in, none serves */
	SEAT_READY,
	SEAT_ROLLING,  /* one serves, its successor is on its way in */
	SEAT_CHANGING, /* the old one was told to leave; its successor starts when it is gone */
	SEAT_TRYING,   /* a successor is on its way in, none serves */
	SEAT_BACKOFF,  /* none runs; the next start is timed */
	SEAT_CLOSED,   /* none shall run again */
	SEAT_STATE_COUNT,
};

enum seat_event {
	SEAT_EV_START,
	SEAT_EV_READY,   /* the process on its way in is there */
	SEAT_EV_LOST_IN, /* the process on its way in is gone, or could not be started */
	SEAT_EV_LOST,    /* the process that served is gone */
	SEAT_EV_TIMER,   /* the pause is over */
	SEAT_EV_OVERLAP, /* replace: the successor comes first */
	SEAT_EV_SWAP,    /* replace: the old one leaves first */
	SEAT_EV_CLOSE,
	SEAT_EVENT_COUNT,
};

enum seat_action {
	SEAT_DISARM = 1 << 0,    /* forget the pause */
	SEAT_STOP_IN = 1 << 1,   /* tell the one on its way in to leave */
	SEAT_STOP_OLD = 1 << 2,  /* tell the one that serves to leave */
	SEAT_PROMOTE = 1 << 3,   /* the one on its way in serves; whoever served before drains */
	SEAT_ROLL_OK = 1 << 4,   /* the replacement succeeded */
	SEAT_ROLL_FAIL = 1 << 5, /* it failed: what was before stays in force */
	SEAT_SPAWN = 1 << 6,     /* start with the configuration in force */
	SEAT_SPAWN_NEW = 1 << 7, /* start with the configuration on trial */
	SEAT_ARM = 1 << 8,       /* ask the restart policy for the pause */
};

struct seat_state_def {
	const char *name;
	uint32_t next; /* bits 1 << enum seat_state */
};
extern const struct seat_state_def seat_states[SEAT_STATE_COUNT];

/* Changes *state; bits of enum seat_action, to be done in the order of their values. */
unsigned seat_fsm_feed(enum seat_state *state, enum seat_event event);

const char *seat_event_name(enum seat_event event);
