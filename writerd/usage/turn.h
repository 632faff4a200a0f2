/*
 * The loop's side of writing: watches the doorbell and the timers, asks batch when to write, runs
 * one bounded transaction of intake, sweep or retention at a time, and keeps metrics and health
 * true.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "writerd/limits/limits.h"
#include "writerd/usage/batch.h"
#include "writerd/usage/intake.h"
#include "writerd/usage/retention.h"
#include "writerd/usage/sweep.h"

struct turn {
	struct ev_loop *loop;
	struct shm_segment *seg;
	struct store *store;
	uint32_t proc_slot;
	int doorbell_fd;
	ev_io bell;
	ev_timer next;   /* one shot: what batch asked for */
	ev_timer safety; /* in case a doorbell was lost, and for dead slots nobody told us of */
	struct batch batch;
	struct intake intake;
	struct sweep sweep;
	struct retention retention;
	struct limits *limits; /* NULL: none; told when the store was mended */
	uint64_t rows_written, rows_swept, store_errors;
	uint64_t dropped_seen[SHM_PROC_SLOTS];
	int64_t dropped_at_ms; /* 0: never */
};

/* Starts the watchers; the first turn follows at once. on_freed and owner: see struct sweep. */
void turn_start(struct turn *t, struct ev_loop *loop, struct shm_segment *seg, struct store *store,
		uint32_t proc_slot, int doorbell_fd, bool keep_content, int64_t retention_days);

/* Something may have changed: look now. */
void turn_poke(struct turn *t);

/*
 * Writes what waits now, without waiting for more: what is asked of the store next knows every row
 * that was pushed before. False: not all of it, because the store does not take it, or too much
 * comes meanwhile; the rest is written as ever. Nothing waits before turn_start().
 */
bool turn_flush(struct turn *t);

/* Once a second: health bits that follow from the segment. */
void turn_second(struct turn *t);

/*
 * Ends the watchers and empties what waits now: all rings and all dead slots, at most for limit_ms,
 * and only as long as the store takes it. Returns the number of rows that still wait (they stay in
 * the segment).
 */
uint64_t turn_stop(struct turn *t, int64_t limit_ms);
