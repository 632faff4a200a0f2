/* Which children there are: one row per role, everything about a role that is not code. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc/frame.h"

struct plan_row {
	enum bf_role role;
	const char *binary;   /* file name of its program */
	const char *argument; /* its only one; NULL: none */
	uint16_t audience;    /* enum bf_audience: which slice of the configuration it gets */
	bool per_worker;      /* one for each worker slot; otherwise a single one */
	bool has_rings;       /* its process slot is swept by writerd after its death */
	bool may_overlap;     /* a successor may live beside it; else it is stopped first */
	bool takes_snapshots; /* is told what is in force */
	bool has_listeners;   /* inherits the listening sockets, and drains before it leaves */
	uint8_t
	    stop_order; /* 0 leaves first; the next order is told when all of this one are gone */
	int64_t stop_timeout_ms; /* from STOP to SIGKILL */
};

#define PLAN_STOP_ORDERS 3u
/* So that all can be replaced while the old ones still drain: there are 64 process slots. */
#define PLAN_MAX_WORKERS 32u

extern const struct plan_row plan_rows[];
extern const size_t plan_row_count;

/* NULL for roles that are no children. */
const struct plan_row *plan_of(enum bf_role role);

/* Worker slots to use: what the configuration says, or the cores this process may run on, at most
 * limit. */
uint32_t plan_workers(uint64_t configured, uint32_t limit);
