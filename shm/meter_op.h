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
	METER_OP_DROPPED, /* the window has turned: nothing to adjust */
};

/* Number k of the n operations of a phase of in-flight entry i. */
struct meter_op {
	struct shm_meter *meter;
	struct shm_meter_entry *entry;
	enum meter_phase phase;
	uint32_t i, k, n;
	uint32_t now_epoch; /* METER_RESERVE only */
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

/* Parts that the sweep shares with the holder: applies deltas from k on and closes the phase; takes
 * the first k reservations back; makes an extension count. Each may be begun again by another. */
void meter_adjust(struct shm_meter_writer *w, uint32_t i, uint32_t k, uint32_t n);
void meter_undo(struct shm_meter_writer *w, uint32_t i, uint32_t k, enum meter_phase phase);
void meter_extended(struct shm_meter_writer *w, uint32_t i, uint32_t n);
