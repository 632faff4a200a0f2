/*
 * One operation on one meter, and the words around it. Only for shm/meter*.c.
 */
#pragma once

#include <assert.h>

#include "shm/cas128.h"
#include "shm/layout.h"
#include "shm/meter.h"
#include "shm/meter_word.h"

enum meter_result {
	METER_OP_DONE,
	METER_OP_REFUSED,
	METER_OP_STALE,
	METER_OP_BUSY,
	METER_OP_AHEAD,   /* the word is in a window too far ahead of the clock: ask again */
	METER_OP_DROPPED, /* the window has turned: nothing to adjust */
};

/* How far a place has come, see meter_directory.c. */
enum meter_place {
	METER_PLACED, /* or nobody's */
	METER_OPEN,
	METER_RETIRED,
};

/* Number k of the n operations of a phase of in-flight entry i. */
struct meter_op {
	struct shm_meter *meter;
	struct shm_meter_entry *entry;
	enum meter_phase phase;
	uint32_t i, k, n;
	uint32_t now_epoch; /* METER_RESERVE only */
	int64_t most;       /* the limit is no more than that; METER_ADJUST asks for none */
};

static inline struct shm_meter *meter_at(const struct shm_segment *seg, uint32_t m)
{
	assert(m < SHM_METERS);
	return &seg->map->meters[m];
}

static inline struct shm_inflight_entry *meter_entry_at(const struct shm_meter_writer *w,
							uint32_t i)
{
	assert(i < SHM_INFLIGHT_ENTRIES);
	return &w->seg->map->stores[w->p].inflight[i];
}

/* Where an entry's reservation stands: the holder's own word, which shm_meter_collect() may read.
 */
static inline uint32_t meter_of(const struct shm_meter_entry *x)
{
	/* mo: relaxed, published by meter_count */
	return atomic_load_explicit(&x->meter, memory_order_relaxed);
}

static inline enum shm_meter_state meter_state_of(const struct shm_inflight_entry *e)
{
	/* mo: acquire, pairs with the store of the state: the numbers that belong to it */
	return (enum shm_meter_state)atomic_load_explicit(&e->meter_state, memory_order_acquire);
}

static inline uint32_t meter_count_of(const struct shm_inflight_entry *e)
{
	/* mo: relaxed, the holder's own word; a sweeper has the death behind it */
	uint32_t n = atomic_load_explicit(&e->meter_count, memory_order_relaxed);

	return n < SHM_METERS_PER_REQUEST ? n : SHM_METERS_PER_REQUEST;
}

static inline _Atomic uint64_t *meter_note_of(const struct shm_meter_writer *w, uint32_t p)
{
	return &w->seg->map->slots[p].note;
}

/* Holder: one operation, announced and tried. Only METER_ADJUST never gives up. */
enum meter_result meter_op(struct shm_meter_writer *w, const struct meter_op *o);

/* Holder: how far it came, in one store; meter_step() takes the next number before. */
void meter_progress(struct shm_meter_writer *w, enum meter_phase phase, uint32_t entry, uint32_t k,
		    uint32_t n);
void meter_step(struct shm_meter_writer *w, enum meter_phase phase, uint32_t entry, uint32_t k,
		uint32_t n);
/* Before a tag is replaced: its writer is told that its operation took effect. */
void meter_acknowledge(const struct shm_meter_writer *w, uint32_t m, uint64_t hi);
/* A hint that spares others the acknowledgement; only after progress has moved on. */
void meter_note_done(const struct shm_meter_writer *w);

#define METER_ANY_CONFIG 1u /* odd: no version that a want may name */

/* What a window may hold besides what other nodes used of it, and what it missed, if its limit is
 * no more than most; DONE, STALE or BUSY. */
enum meter_result meter_room(const struct shm_meter *m, uint32_t config, int64_t most,
			     uint32_t epoch, int64_t *ret_room);

static inline int64_t meter_most(const struct shm_meter_want *want)
{
	return want->lowered ? want->most : SHM_METER_LIMIT_MAX;
}
/* writerd: the same value, or a new window with this one, under a tag of nobody: whoever decided on
 * the word as it was loses its swap. */
void meter_touch(struct shm_segment *seg, uint32_t m, bool restart, uint32_t epoch, int64_t value);
/* writerd: another version with the same limit. */
void meter_make_stale(struct shm_segment *seg, uint32_t m);

/* Parts that the sweep shares with the holder: applies deltas from k on and closes the phase; takes
 * the first k reservations back; makes an extension count. Each may be begun again by another. */
void meter_adjust(struct shm_meter_writer *w, uint32_t i, uint32_t k, uint32_t n);
void meter_undo(struct shm_meter_writer *w, uint32_t i, uint32_t k, enum meter_phase phase);
void meter_extended(struct shm_meter_writer *w, uint32_t i, uint32_t n);

/*
 * For the sweep of entry i of a dead identity p, by one sweeper: decides what it is charged, which
 * a repetition does not change, and returns how many meters; closes them with the same numbers.
 */
uint32_t meter_sweep_decide(struct shm_segment *seg, uint32_t p, uint32_t i,
			    int64_t charged[SHM_METERS_PER_REQUEST]);
void meter_sweep_close(struct shm_segment *seg, uint32_t p, uint32_t i);
