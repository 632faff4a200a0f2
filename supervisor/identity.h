/* Process slots of the segment from the supervisor's side: who gets one, and what happens to those
 * of the dead. */
#pragma once

#include <stdint.h>

#include "shm/slot.h"
#include "supervisor/plan.h"

/* Workers cannot take the last slots: the writer, which frees slots, must always find one. */
#define IDENTITY_RESERVE 6u

/* A slot for a child about to be forked, or -1 when none is to be had. */
int identity_assign(struct shm_segment *seg, const struct plan_row *row, uint32_t index);

/* After waitpid, or when the fork failed. Slots without rings are free again at once. */
void identity_dead(struct shm_segment *seg, uint32_t slot, const struct plan_row *row);

/*
 * Declares every holder dead that an earlier supervisor left: the folder's lock proved that none
 * lives. Returns how many slots wait for writerd.
 */
uint32_t identity_recover(struct shm_segment *seg);

/* The supervisor's own slot, entered; -1 when there is none. */
int identity_own(struct shm_segment *seg);

uint32_t identity_count(const struct shm_segment *seg, enum shm_slot_state state);
