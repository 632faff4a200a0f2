/*
 * Process slots: who holds which identity. A slot's life is a cycle; each arrow has one writer:
 *
 *   FREE -> ASSIGNED (supervisor, before fork) -> LIVE (the child) -> DEAD (supervisor, after
 * waitpid)
 *        -> FREE (writerd, when rings are empty and in-flight entries swept; for roles without
 * rings the supervisor)
 *
 * ASSIGNED -> DEAD also happens: a child that died before it said it lives.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

enum shm_slot_state {
	SHM_SLOT_FREE,
	SHM_SLOT_ASSIGNED,
	SHM_SLOT_LIVE,
	SHM_SLOT_DEAD,
	SHM_SLOT_STATE_COUNT,
};

struct shm_slot_info {
	enum shm_slot_state state;
	uint16_t role;  /* enum bf_role as a number */
	uint32_t index; /* worker slot */
	uint32_t pid;
	uint64_t incarnation; /* counts the holders of this slot */
	int64_t started_wall_ns;
	int64_t heartbeat_mono_ns;
};

/* A free slot for a child about to be forked, or -1 when all are taken or the folder is full.
 * Supervisor only. */
int shm_slot_assign(struct shm_segment *seg, uint16_t role, uint32_t index);
/* Supervisor, right after fork. */
void shm_slot_set_pid(struct shm_segment *seg, uint32_t p, uint32_t pid);
/* The child: ASSIGNED -> LIVE. BF_E_STATE when the slot is not its own. */
int shm_slot_enter(struct shm_segment *seg, uint32_t p, uint32_t pid, int64_t wall_ns,
		   int64_t mono_ns);
void shm_slot_beat(struct shm_segment *seg, uint32_t p, int64_t mono_ns);
/* Supervisor, after waitpid proved the death; no-op unless ASSIGNED or LIVE. */
void shm_slot_dead(struct shm_segment *seg, uint32_t p);
/*
 * Supervisor, after it re-attached a segment while holding the lock of the runtime folder: everyone
 * of the earlier life, the earlier supervisor included, is gone. Before it assigns a slot to
 * itself.
 */
void shm_slot_all_dead(struct shm_segment *seg);
/*
 * DEAD -> FREE: gives the slot's pages back and retires its metrics exactly once, however often a
 * killed caller repeats it. BF_E_STATE unless DEAD and clean (rings empty, nothing held).
 */
int shm_slot_free(struct shm_segment *seg, uint32_t p);

void shm_slot_info(const struct shm_segment *seg, uint32_t p, struct shm_slot_info *ret_info);
const char *shm_slot_state_name(enum shm_slot_state s);
