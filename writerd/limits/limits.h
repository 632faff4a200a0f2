/*
 * The limits of all entities and their meters in the segment: writerd gives each its place, with
 * what the store knows of its window, before anybody can meet it; takes places back that no limit
 * names any more once no worker and no request can; and says how limits stand. It follows the
 * entities as they change. Every step may be killed and begun again by the next writerd.
 *
 * A meter's total is the sum of the rows that its limit is about, whoever admitted them. Watched,
 * by the store's word, is an identity of which this is so. When a limit comes (again), the rows
 * of its window are summed up once (limits_begin.c); from then on each row is added by who names
 * the meter in it, or else by writerd (limits_missed.c). A limit that goes is watched no more
 * before the next row is written: its total may lack rows from then on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/ipc/messages.h"
#include "shm/wall.h"
#include "writerd/limits/limits_table.h"
#include "writerd/row/owners.h"
#include "writerd/store/fold.h"
#include "writerd/store/store.h"

/* Lengths of windows that share a clock: how many limits stand still is counted by these. */
struct limits_class {
	uint32_t count;
	int64_t length_ms;
};

struct limits {
	struct shm_segment *seg;
	struct store *store;
	uint32_t proc_slot;
	int64_t others_ms;         /* a request that knew less may run so long after a flip */
	struct entities *const *t; /* *t NULL: nothing was loaded yet */
	struct owners owners;      /* of rows that the store writes */
	struct limits_table table;
	struct bf_list unplaced, placed, leaving; /* by state */
	struct bf_list
	    raised; /* of struct limit_extra: overrides that will begin or end by themselves */
	uint32_t *by_place; /* SHM_METERS: 1 + number of the limit; 0: no limit that is known */
	struct fold fold;
	struct bf_arena work; /* of one entity */
	bool loaded;
	bool forgotten;          /* nobody else is watched */
	uint32_t round;          /* of loading */
	uint32_t to_unwatch;     /* of those that leave */
	int64_t missed_until_ns; /* wall: later requests know all limits; INT64_MAX: not yet */
	struct limits_class classes[SHM_WALL_CLASSES];
	uint32_t live;       /* limits that do not leave */
	uint32_t closed;     /* of them, not open */
	uint32_t crowded;    /* of them, for want of a place */
	uint32_t unplanned;  /* entities whose limits are not known */
	bool store_told;     /* that the store does not tell totals */
	uint32_t begun_told; /* lines about meters that began with rows */
	bool retired_left;
	bool others_wait;                    /* meters of nobody's, until the next flip */
	int64_t retire_at_ms, collect_at_ms; /* monotonic; retire: 0: not known, or done */
	uint32_t janitor_at;                 /* number of a limit */
};

/*
 * Begins without any limit; limits_load() follows as soon as there are entities. others_ms: how
 * long after a flip a request may run that was admitted before it. t must outlive it, and so must
 * the store, which until limits_done() gives its rows the names of their owners. 0 or -ENOMEM.
 */
int limits_start(struct limits *l, struct shm_segment *seg, struct store *store,
		 struct entities *const *t, int64_t others_ms, uint32_t proc_slot,
		 struct bf_err *err);
void limits_done(struct limits *l);

/* All entities are known, perhaps anew: limits are those that they have now. */
void limits_load(struct limits *l);
/* An entity changed, came or went. After the last of a group limits_settle(). */
void limits_change(struct limits *l, uint32_t type, struct bf_slice id);
/* What came has its total and is open, as far as segment and store allow; limits_second() goes on
 * with the rest. Before what changed is published. */
void limits_settle(struct limits *l);
/* What was settled is in force: requests that begin from now on know it. */
void limits_in_force(struct limits *l);

/*
 * After the store was opened, perhaps as a new file because somebody moved the old one away: what
 * is shown as used is not forgotten. A total that is lower is raised to it. 0 or the store's error.
 */
int limits_keep(struct limits *l, struct bf_err *err);

/* Before rows are written: all that have a place are begun, and who left is watched no more. 0 at
 * once when it is so, or the store's error. */
int limits_ready(struct limits *l, struct bf_err *err);
/* Others find the meter of this limit. */
void limits_open(struct limits *l, struct limit *limit);

/* Now, as windows of this limit know it: milliseconds since 1970. */
int64_t limits_now_ms(const struct limits *l, const struct bf_limit *limit);

/* What its tables take without any limit. */
size_t limits_memory(void);

/* Once a second: places what had none, gives old places back, follows overrides as they begin
 * and end, keeps gauges and health true. */
void limits_second(struct limits *l);

/*
 * One page of BF_MSG_LIMITS: ret_page->items are in arena. 0, BF_E_UNKNOWN (no such key or owner),
 * -ENOMEM.
 */
int limits_page(const struct limits *l, const struct bf_msg_limits_get *ask,
		struct bf_msg_limits *ret_page, struct bf_arena *arena, struct bf_err *err);
