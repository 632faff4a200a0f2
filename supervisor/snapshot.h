/*
 * What is in force, from the supervisor's side: keeps the descriptors, hands them to whoever serves
 * and puts the next one in force when all have it (flip.h). Reads none of them.
 */
#pragma once

#include "common/ipc/frame.h"
#include "supervisor/crew.h"
#include "supervisor/flip.h"

/* A base and an overlay of it; -1: none. */
struct snapshot_pair {
	int base, overlay;
};

struct snapshots {
	struct crew *crew;
	struct flip flip;
	struct snapshot_pair now;
	struct snapshot_pair next;   /* its base is -1 when it is that of now */
	struct snapshot_pair coming; /* given by the writer, not begun */
	uint32_t writer_slot;        /* who gave it, and whom the flip answers */
	ev_timer deadline;
	int64_t began_mono_ms; /* of next */
	uint64_t killed;       /* workers that took too long, or refused what is in force */
};

/* The crew has a segment and a loop. */
void snapshots_init(struct snapshots *s, struct crew *crew);
void snapshots_done(struct snapshots *s);

/* A process was greeted; it is ready; it was reaped. */
void snapshots_greeted(struct snapshots *s, struct child *child);
void snapshots_ready(struct snapshots *s, const struct child *child);
void snapshots_gone(struct snapshots *s, const struct child *child);

/* A permitted frame about snapshots to the supervisor: what the writer gives, or an answer. */
void snapshots_frame(struct snapshots *s, struct child *child, struct bf_frame *f);

/* Bytes of what is in force: base and overlay. */
uint64_t snapshots_bytes(const struct snapshots *s);
