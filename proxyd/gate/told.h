/*
 * The limits that metrics tell: as many as fit, of what is in force. Those of many keys' requests
 * come first: they are few, and many depend on them.
 */
#pragma once

#include "common/govern/plan.h"
#include "common/snapshot/snapshot.h"

#define TOLD_MAX      1000u
#define TOLD_BYTES    (256u << 10) /* of the samples of one family */
#define TOLD_EVERY_MS 10000        /* looking for them takes milliseconds */

struct told {
	struct bf_arena arena;
	struct bf_limit *items; /* copies, in the arena */
	uint32_t count;
	size_t bytes;        /* of their samples */
	uint64_t generation; /* of the snapshot that they are of; 0: none yet */
	int64_t made_mono_ms;
};

void told_open(struct told *t);
void told_close(struct told *t);

/* Follows the snapshot, not more often than that; everybody's limits are those of the plan. What
 * finds no memory is not told. */
void told_follow(struct told *t, const struct bf_snapshot *s, uint64_t generation,
		 const struct bf_plan *everybody, int64_t now_mono_ms);

/* Bytes of a text in quotes. */
size_t told_escaped(struct bf_slice text);
