/*
 * The limits of the configuration and their meters in the segment: writerd gives each its place,
 * with what the store knows of its window, takes places back that no limit names any more once all
 * workers of older configurations have left, and says how limits stand. Every step may be killed
 * and begun again by the next writerd.
 *
 * A meter's total is the sum of the rows that its limit is about, whoever admitted them. Watched,
 * by the store's word, is an identity of which this is so. When a plan names it (again), the rows
 * of its window are summed up once (limits_begin.c); from then on each row is added by who names
 * the meter in it, or else by writerd (limits_missed.c). Before its first row writerd forgets those
 * that its plan does not name: their totals may lack rows from then on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/govern/plan.h"
#include "common/ipc/messages.h"
#include "shm/wall.h"
#include "writerd/fold.h"
#include "writerd/owners.h"
#include "writerd/store.h"

#define LIMITS_NOT_PLACED UINT32_MAX

/* Lengths of windows that share a clock: how many limits stand still is counted by these. */
struct limits_class {
	uint32_t count;
	int64_t length_ms;
};

/* Limits of one owner in the plan. */
struct limits_span {
	uint32_t first, count;
};

struct limits {
	struct shm_segment *seg;
	struct store *store;
	uint32_t proc_slot;
	struct bf_arena arena; /* of the plan */
	struct bf_plan plan;
	const struct bf_config *config;
	struct owners owners; /* of rows that the store writes */
	uint32_t *places;     /* of each limit: its meter, LIMITS_NOT_PLACED */
	bool *open;           /* each: others find its meter */
	bool *begun;          /* each: its total is whole, and so does the store say */
	bool ready;           /* all that have a place are begun, nobody else is watched */
	uint32_t *by_place;   /* SHM_METERS: 1 + number of the limit; 0: no limit of the plan */
	struct fold fold;
	struct limits_span *teams, *customers; /* each of the configuration's */
	struct bf_arena path;                  /* of one row */
	int64_t missed_until_ns;               /* wall: later requests know this plan */
	struct limits_class classes[SHM_WALL_CLASSES];
	uint32_t unplaced, crowded; /* crowded: of them, for want of a place */
	bool store_told;            /* that the store does not tell totals */
	uint32_t begun_told;        /* lines about meters that began with rows */
	bool retired_left;
	int64_t retire_at_ms, collect_at_ms, janitor_at_ms; /* monotonic; retire: 0: done */
};

/*
 * Makes the plan and places it as far as segment and store allow; limits_second() goes on with the
 * rest. 0, -ENOMEM, or what bf_plan_make says. config must outlive it, and so must the store,
 * which until limits_done() gives its rows the owners that the plan says.
 */
int limits_start(struct limits *l, struct shm_segment *seg, struct store *store,
		 const struct bf_config *config, uint32_t proc_slot, struct bf_err *err);
void limits_done(struct limits *l);

/*
 * After the store was opened, perhaps as a new file because somebody moved the old one away: what
 * is shown as used is not forgotten. A total that is lower is raised to it. 0 or the store's error.
 */
int limits_keep(struct limits *l, struct bf_err *err);

/* Before rows are written: all meters that have a place are begun. 0 at once when they are, or the
 * store's error. */
int limits_ready(struct limits *l, struct bf_err *err);
/* Others find the meter of this limit. */
void limits_open(struct limits *l, uint32_t i);

/* Now, as windows of this limit know it: milliseconds since 1970. */
int64_t limits_now_ms(const struct limits *l, const struct bf_limit *limit);

/* The most that its tables take, the plan aside. */
size_t limits_memory(void);

/* Once a second: places what had none, gives old places back, keeps gauges and health true. */
void limits_second(struct limits *l);

/*
 * One page of BF_MSG_LIMITS: ret_page->items are in arena. 0, BF_E_UNKNOWN (no such key or owner),
 * -ENOMEM.
 */
int limits_page(const struct limits *l, const struct bf_msg_limits_get *ask,
		struct bf_msg_limits *ret_page, struct bf_arena *arena, struct bf_err *err);
