/*
 * The store and the oracle of the meters' stress: what rows charged to which limit in which window,
 * and what the meters must be worth when everyone is dead and swept. Lies in memory shared by all
 * processes but outside the segment.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/meter.h"
#include "shm/usage.h"

#define LIMITS        7u
#define LEDGER_EPOCHS 8192u
#define LEDGER_LANES  8u /* requests that a worker has at once */

/* What is limited: fixed but for the maximum and whether the plan names it. */
struct ledger_limit {
	uint64_t identity;
	uint32_t quantity;
	uint32_t turns; /* its window has so many of the shortest ones; 0: endless */
	int64_t most;   /* the highest maximum it ever has */
};
extern const struct ledger_limit ledger_limits[LIMITS];

/* A row that is being written: absolute numbers, so that it may be written again after a death. */
struct ledger_redo {
	_Atomic uint32_t valid;
	uint32_t p, lane, n;
	uint64_t id;
	struct {
		uint32_t limit, epoch;
		int64_t total;
	} cell[SHM_METERS_PER_REQUEST];
};

struct meter_ledger {
	struct ledger_redo redo;
	/* of each lane the last row that was written: a second one of it is refused */
	uint64_t last[SHM_PROC_SLOTS][LEDGER_LANES];
	int64_t settled[LIMITS][LEDGER_EPOCHS];
	uint64_t rows, crashed, charged_crashed, repeated;
};

/* Numbers of rows, ascending in a lane. */
static inline uint64_t ledger_id(uint64_t n, uint32_t lane)
{
	return n * LEDGER_LANES + lane;
}

uint32_t ledger_epoch(uint32_t limit, uint32_t now);

/* One writer: INSERT ... ON CONFLICT DO NOTHING and the fold, in one transaction. */
void ledger_commit(struct meter_ledger *l, const struct shm_segment *seg, uint32_t p,
		   const struct shm_usage_record *r);
/* The next writer: what the last one left half written. */
void ledger_recover(struct meter_ledger *l);

/* Nobody lives, nothing waits: every meter is worth exactly what its rows charged in its window.
 * How many were looked at. */
uint64_t ledger_check_meters(const struct meter_ledger *l, const struct shm_segment *seg);
