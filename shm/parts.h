/* What the parts of shm/ owe each other when a slot is checked and emptied. Not for other folders.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/ring.h"
#include "shm/segment.h"
#include "shm/slot.h"

struct shm_ring_view shm_usage_ring_view(const struct shm_segment *seg, uint32_t p);
struct shm_ring_view shm_usage_overflow_view(const struct shm_segment *seg, uint32_t p);

/* Holder of p: whether the usage ring can take n more records, with memory behind every place.
 * Stays true until a push. */
bool shm_usage_keep(const struct shm_segment *seg, uint32_t p, uint64_t n);

/* 0 or BF_E_CORRUPT with what is wrong; the structure may be in use. */
int shm_slot_valid(const struct shm_segment *seg, uint32_t p, struct bf_err *err);
int shm_usage_valid(const struct shm_segment *seg, uint32_t p, struct bf_err *err);
int shm_content_valid(const struct shm_segment *seg, uint32_t p, struct bf_err *err);
int shm_inflight_valid(const struct shm_segment *seg, uint32_t p, struct bf_err *err);

/*
 * By shm_slot_free, of a DEAD slot that is empty: give the pages back and leave the words as the
 * next holder expects them. Each may be killed anywhere and called again.
 */
void shm_usage_retire(struct shm_segment *seg, uint32_t p);
void shm_content_retire(struct shm_segment *seg, uint32_t p);
void shm_inflight_retire(struct shm_segment *seg, uint32_t p);
void shm_metrics_retire(struct shm_segment *seg, uint32_t p);

/* Whether the slot was ever held: the desk of one that never was is not to be touched. */
bool shm_slot_used(const struct shm_segment *seg, uint32_t p);
enum shm_slot_state shm_slot_state(const struct shm_segment *seg, uint32_t p);
