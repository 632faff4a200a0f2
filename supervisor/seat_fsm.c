/*
 * Seats as a table. seat.c feeds it and does what it says. It knows nothing of processes or time;
 * it must never lead to two serving processes on one seat, nor to a seat that waits for nothing
 * (the unit test walks every path for that).
 */
#include "supervisor/seat_fsm.h"

#include <assert.h>
#include <stddef.h>

#define NEXT(state) (1u << (state))

const struct seat_state_def seat_states[SEAT_STATE_COUNT] = {
    [SEAT_STOPPED] = {"stopped", NEXT(SEAT_STARTING) | NEXT(SEAT_CLOSED)},
    [SEAT_STARTING] = {"starting", NEXT(SEAT_READY) | NEXT(SEAT_BACKOFF) | NEXT(SEAT_CHANGING) |
				       NEXT(SEAT_CLOSED)},
    [SEAT_READY] = {"ready", NEXT(SEAT_BACKOFF) | NEXT(SEAT_ROLLING) | NEXT(SEAT_CHANGING) |
				 NEXT(SEAT_CLOSED)},
    [SEAT_ROLLING] = {"rolling", NEXT(SEAT_READY) | NEXT(SEAT_TRYING) | NEXT(SEAT_CLOSED)},
    [SEAT_CHANGING] = {"changing", NEXT(SEAT_TRYING) | NEXT(SEAT_CLOSED)},
    [SEAT_TRYING] = {"trying", NEXT(SEAT_READY) | NEXT(SEAT_BACKOFF) | NEXT(SEAT_CLOSED)},
    [SEAT_BACKOFF] = {"backoff", NEXT(SEAT_STARTING) | NEXT(SEAT_TRYING) | NEXT(SEAT_CLOSED)},
    [SEAT_CLOSED] = {"closed", 0},
};

struct step {
	uint8_t next;
	uint16_t actions;
};

#define STAY(state)      \
	{                \
		state, 0 \
	}
#define FAIL_STAY(state)              \
	{                             \
		state, SEAT_ROLL_FAIL \
	}

static const struct step steps[SEAT_STATE_COUNT][SEAT_EVENT_COUNT] =
    {
	[SEAT_STOPPED] =
	    {
		[SEAT_EV_START] = {SEAT_STARTING, SEAT_SPAWN},
		[SEAT_EV_READY] = STAY(SEAT_STOPPED),
		[SEAT_EV_LOST_IN] = STAY(SEAT_STOPPED),
		[SEAT_EV_LOST] = STAY(SEAT_STOPPED),
		[SEAT_EV_TIMER] = STAY(SEAT_STOPPED),
		[SEAT_EV_OVERLAP] = FAIL_STAY(SEAT_STOPPED),
		[SEAT_EV_SWAP] = FAIL_STAY(SEAT_STOPPED),
		[SEAT_EV_CLOSE] = {SEAT_CLOSED, 0},
	    },
	[SEAT_STARTING] =
	    {
		[SEAT_EV_START] = STAY(SEAT_STARTING),
		[SEAT_EV_READY] = {SEAT_READY, SEAT_PROMOTE},
		[SEAT_EV_LOST_IN] = {SEAT_BACKOFF, SEAT_ARM},
		[SEAT_EV_LOST] = STAY(SEAT_STARTING),
		[SEAT_EV_TIMER] = STAY(SEAT_STARTING),
		/* It may be failing on the very configuration that is to be replaced. */
		[SEAT_EV_OVERLAP] = {SEAT_CHANGING, SEAT_STOP_IN},
		[SEAT_EV_SWAP] = {SEAT_CHANGING, SEAT_STOP_IN},
		[SEAT_EV_CLOSE] = {SEAT_CLOSED, SEAT_STOP_IN},
	    },
	[SEAT_READY] =
	    {
		[SEAT_EV_START] = STAY(SEAT_READY),
		[SEAT_EV_READY] = STAY(SEAT_READY),
		[SEAT_EV_LOST_IN] = STAY(SEAT_READY),
		[SEAT_EV_LOST] = {SEAT_BACKOFF, SEAT_ARM},
		[SEAT_EV_TIMER] = STAY(SEAT_READY),
		[SEAT_EV_OVERLAP] = {SEAT_ROLLING, SEAT_SPAWN_NEW},
		[SEAT_EV_SWAP] = {SEAT_CHANGING, SEAT_STOP_OLD},
		[SEAT_EV_CLOSE] = {SEAT_CLOSED, SEAT_STOP_OLD},
	    },
	[SEAT_ROLLING] =
	    {
		[SEAT_EV_START] = STAY(SEAT_ROLLING),
		[SEAT_EV_READY] = {SEAT_READY, SEAT_PROMOTE | SEAT_ROLL_OK},
		[SEAT_EV_LOST_IN] = {SEAT_READY, SEAT_ROLL_FAIL},
		[SEAT_EV_LOST] = {SEAT_TRYING, 0},
		[SEAT_EV_TIMER] = STAY(SEAT_ROLLING),
		[SEAT_EV_OVERLAP] = STAY(SEAT_ROLLING),
		[SEAT_EV_SWAP] = STAY(SEAT_ROLLING),
		[SEAT_EV_CLOSE] = {SEAT_CLOSED, SEAT_STOP_IN | SEAT_STOP_OLD | SEAT_ROLL_FAIL},
	    },
	[SEAT_CHANGING] =
	    {
		[SEAT_EV_START] = STAY(SEAT_CHANGING),
		/* READY crossed our STOP: it leaves all the same. */
		[SEAT_EV_READY] = STAY(SEAT_CHANGING),
		[SEAT_EV_LOST_IN] = {SEAT_TRYING, SEAT_SPAWN_NEW},
		[SEAT_EV_LOST] = {SEAT_TRYING, SEAT_SPAWN_NEW},
		[SEAT_EV_TIMER] = STAY(SEAT_CHANGING),
		[SEAT_EV_OVERLAP] = STAY(SEAT_CHANGING),
		[SEAT_EV_SWAP] = STAY(SEAT_CHANGING),
		[SEAT_EV_CLOSE] = {SEAT_CLOSED, SEAT_ROLL_FAIL},
	    },
	[SEAT_TRYING] =
	    {
		[SEAT_EV_START] = STAY(SEAT_TRYING),
		[SEAT_EV_READY] = {SEAT_READY, SEAT_PROMOTE | SEAT_ROLL_OK},
		[SEAT_EV_LOST_IN] = {SEAT_BACKOFF, SEAT_ROLL_FAIL | SEAT_ARM},
		[SEAT_EV_LOST] = STAY(SEAT_TRYING),
		[SEAT_EV_TIMER] = STAY(SEAT_TRYING),
		[SEAT_EV_OVERLAP] = STAY(SEAT_TRYING),
		[SEAT_EV_SWAP] = STAY(SEAT_TRYING),
		[SEAT_EV_CLOSE] = {SEAT_CLOSED, SEAT_STOP_IN | SEAT_ROLL_FAIL},
	    },
	[SEAT_BACKOFF] =
	    {
		[SEAT_EV_START] = STAY(SEAT_BACKOFF),
		[SEAT_EV_READY] = STAY(SEAT_BACKOFF),
		[SEAT_EV_LOST_IN] = STAY(SEAT_BACKOFF),
		[SEAT_EV_LOST] = STAY(SEAT_BACKOFF),
		[SEAT_EV_TIMER] = {SEAT_STARTING, SEAT_SPAWN},
		[SEAT_EV_OVERLAP] = {SEAT_TRYING, SEAT_DISARM | SEAT_SPAWN_NEW},
		[SEAT_EV_SWAP] = {SEAT_TRYING, SEAT_DISARM | SEAT_SPAWN_NEW},
		[SEAT_EV_CLOSE] = {SEAT_CLOSED, SEAT_DISARM},
	    },
	[SEAT_CLOSED] =
	    {
		[SEAT_EV_START] = STAY(SEAT_CLOSED),
		[SEAT_EV_READY] = STAY(SEAT_CLOSED),
		[SEAT_EV_LOST_IN] = STAY(SEAT_CLOSED),
		[SEAT_EV_LOST] = STAY(SEAT_CLOSED),
		[SEAT_EV_TIMER] = STAY(SEAT_CLOSED),
		[SEAT_EV_OVERLAP] = FAIL_STAY(SEAT_CLOSED),
		[SEAT_EV_SWAP] = FAIL_STAY(SEAT_CLOSED),
		[SEAT_EV_CLOSE] = STAY(SEAT_CLOSED),
	    },
};

unsigned seat_fsm_feed(enum seat_state *state, enum seat_event event)
{
	const struct step *step = &steps[*state][event];
	enum seat_state next = (enum seat_state)step->next;

	assert(next == *state || (seat_states[*state].next & NEXT(next)));
	*state = next;
	return step->actions;
}

const char *seat_event_name(enum seat_event event)
{
	static const char *const names[SEAT_EVENT_COUNT] = {
	    [SEAT_EV_START] = "start", [SEAT_EV_READY] = "ready", [SEAT_EV_LOST_IN] = "lost_in",
	    [SEAT_EV_LOST] = "lost",   [SEAT_EV_TIMER] = "timer", [SEAT_EV_OVERLAP] = "overlap",
	    [SEAT_EV_SWAP] = "swap",   [SEAT_EV_CLOSE] = "close",
	};

	return names[event];
}
