/*
 * Snapshots that one process holds: what is in force, and what will be once the segment's header
 * says so. At most two generations are mapped. Decides nothing about files and channels: whoever
 * owns it gives it descriptors and the number that is in force.
 */
#pragma once

#include "common/snapshot/snapshot.h"

struct bf_snapshot_generation {
	uint64_t number; /* 0: none */
	struct bf_snapshot_blob *base, *overlay;
};

/* Zeroed: holds nothing. */
struct bf_snapshot_holder {
	struct bf_snapshot_blob *coming; /* a base that no overlay came for yet */
	struct bf_snapshot_generation now, next;
	struct bf_snapshot view; /* of now */
};

/*
 * Maps a base (generation 0), or the overlay that makes a generation of the base it lies over; fd
 * stays the caller's. The generation that was taken before gives way unless bf_snapshot_now()
 * was told that it is in force: that is asked first. 0; BF_E_STATE for an
 * overlay of a base that is not held, or a base where an overlay belongs; what bf_snapshot_map()
 * says. Nothing changes on an error.
 */
int bf_snapshot_take(struct bf_snapshot_holder *h, int fd, uint64_t generation, struct bf_err *err);

/* What is in force when `generation` is; NULL: nothing yet, or what this process has not heard of:
 * an older one serves nobody. What it returned before is gone when that has changed: never kept
 * beyond the step at hand. */
const struct bf_snapshot *bf_snapshot_now(struct bf_snapshot_holder *h, uint64_t generation);
/* The same, or else what this process had last: for who may be late by a change. */
const struct bf_snapshot *bf_snapshot_held(struct bf_snapshot_holder *h, uint64_t generation);
/* This process was told of others, and what is in force is on its way to it. */
bool bf_snapshot_is_behind(struct bf_snapshot_holder *h, uint64_t generation);

void bf_snapshot_release(struct bf_snapshot_holder *h);
