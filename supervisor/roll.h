/* Replacing processes one after the other: the next seat's turn comes when the one before has its
 * new process. */
#pragma once

#include <stdbool.h>

#include "supervisor/crew.h"

struct roll_step {
	struct seat *seat;
	int config_fd; /* the roll's own duplicate; -1: the one in force */
};

struct roll {
	bool running;
	uint32_t count, at;
	struct roll_step steps[CREW_MAX_SEATS];
	/* failed is the seat that could not be replaced (err says more), or NULL. Steps before `at`
	 * were replaced. */
	void (*on_done)(struct roll *roll, const struct seat *failed, const struct bf_err *err);
	void *owner;
};

/* Empties the list; nothing runs. */
void roll_clear(struct roll *roll);
/* 0 or -errno; config_fd is duplicated, -1 stays. */
int roll_add(struct roll *roll, struct seat *seat, int config_fd);
/* on_done follows, perhaps before this returns. */
void roll_start(struct roll *roll);
/* A seat's replacement ended (crew_events.on_rolled); ignored when it is not the one waited for. */
void roll_on_seat(struct roll *roll, struct seat *seat, bool ok);
