/*
 * The three words of the meter protocol, taken apart and put together. Only for shm/meter*.c and
 * their tests.
 *
 *   word.hi   epoch:24 | writer:8 | seq:32          who moved the meter last, in which window
 *   note      state:2 | meter:25 | seq:37           what its writer is about to do; others may set
 * DONE progress  phase:2 | entry:13 | k:6 | n:6 | seq:37   how far the holder came, one store
 *
 * seq counts every announced operation of an identity, for ever. 32 bits of it stand in the word: a
 * process would have to sleep through 2^32 operations of others for a tag to come back to it, at
 * 100 million a second for 43 s, and it is killed after 30 s of silence. 37 bits in the note: 23
 * minutes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/window.h"

#define METER_NOBODY   255u /* writer: configuration, not a process */
#define METER_SEQ_BITS 37u
#define METER_SEQ_MASK ((UINT64_C(1) << METER_SEQ_BITS) - 1)
#define METER_EPOCHS   (1u << BF_EPOCH_BITS)
#define METER_AHEAD    BF_EPOCH_AHEAD /* epochs that a word may be ahead of a worker's clock */

enum meter_note_state {
	METER_NOTE_NONE,
	METER_NOTE_PENDING,
	METER_NOTE_DONE,
};

enum meter_phase {
	METER_IDLE,
	METER_RESERVE, /* entries below k are reserved; undone after a death */
	METER_ADJUST,  /* deltas below k are applied; finished after a death */
	METER_EXTEND,  /* deltas below k are reserved on top; undone after a death */
};

struct meter_progress {
	enum meter_phase phase;
	uint32_t entry, k, n;
	uint64_t seq;
};

static inline uint64_t meter_hi(uint32_t epoch, uint32_t writer, uint64_t seq)
{
	return (uint64_t)(epoch & (METER_EPOCHS - 1)) << 40 | (uint64_t)(writer & 255u) << 32 |
	       (uint32_t)seq;
}

static inline uint32_t meter_hi_epoch(uint64_t hi)
{
	return (uint32_t)(hi >> 40);
}

static inline uint32_t meter_hi_writer(uint64_t hi)
{
	return (uint32_t)(hi >> 32) & 255u;
}

/* Does the word carry the tag of operation seq of p? */
static inline bool meter_hi_is(uint64_t hi, uint32_t p, uint64_t seq)
{
	return meter_hi_writer(hi) == p && (uint32_t)hi == (uint32_t)seq;
}

static inline uint64_t meter_note(enum meter_note_state state, uint32_t meter, uint64_t seq)
{
	return (uint64_t)state << 62 | (uint64_t)(meter & 0x1ffffffu) << METER_SEQ_BITS |
	       (seq & METER_SEQ_MASK);
}

static inline enum meter_note_state meter_note_state(uint64_t note)
{
	return (enum meter_note_state)(note >> 62);
}

static inline uint32_t meter_note_meter(uint64_t note)
{
	return (uint32_t)(note >> METER_SEQ_BITS) & 0x1ffffffu;
}

static inline uint64_t meter_note_with(uint64_t note, enum meter_note_state state)
{
	return (note & ~(UINT64_C(3) << 62)) | (uint64_t)state << 62;
}

static inline uint64_t meter_progress_pack(const struct meter_progress *g)
{
	return (uint64_t)g->phase << 62 | (uint64_t)(g->entry & 8191u) << 49 |
	       (uint64_t)(g->k & 63u) << 43 | (uint64_t)(g->n & 63u) << METER_SEQ_BITS |
	       (g->seq & METER_SEQ_MASK);
}

static inline struct meter_progress meter_progress_unpack(uint64_t word)
{
	return (struct meter_progress){
	    .phase = (enum meter_phase)(word >> 62),
	    .entry = (uint32_t)(word >> 49) & 8191u,
	    .k = (uint32_t)(word >> 43) & 63u,
	    .n = (uint32_t)(word >> METER_SEQ_BITS) & 63u,
	    .seq = word & METER_SEQ_MASK,
	};
}

/* The epoch to charge: the word's when it is at most METER_AHEAD further, else the caller's. */
static inline uint32_t meter_epoch_later(uint32_t word_epoch, uint32_t now_epoch)
{
	uint32_t ahead = (word_epoch - now_epoch) & (METER_EPOCHS - 1);

	return ahead <= METER_AHEAD ? word_epoch : now_epoch;
}

/* Is the word in a later window than that, and too late a one to go on with it? */
static inline bool meter_epoch_far_ahead(uint32_t word_epoch, uint32_t now_epoch)
{
	uint32_t ahead = (word_epoch - now_epoch) & (METER_EPOCHS - 1);

	return ahead > METER_AHEAD && ahead < METER_EPOCHS / 2;
}
