/*
 * Makes the blobs of snapshot.h. Used by writerd alone, and by tests and benchmarks. Takes memory
 * for the index only: records go to the memfd as they come.
 */
#pragma once

#include "common/snapshot/snapshot.h"

struct bf_snapshot_builder;

/* base_id: of a base a number of its own, not 0; of an overlay that of its base. */
int bf_snapshot_builder_open(struct bf_snapshot_builder **ret_builder, bool is_overlay,
			     uint64_t base_id, const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN],
			     struct bf_err *err);
/*
 * Deleted ones only in overlays: BF_E_STATE. BF_E_RANGE for a type that is none, an id that is
 * empty or too long, a body that is too big; BF_E_LIMIT: the blob would be; -errno.
 */
int bf_snapshot_builder_add(struct bf_snapshot_builder *b, const struct bf_entity *entity,
			    struct bf_err *err);
/*
 * Seals it. Returns the memfd, which is the caller's, or an error; BF_E_DUPLICATE: an id of a type
 * was added twice; of two with one secret the first is found. May be called when nothing was added.
 * A big index takes its time: about 100 ms for a million.
 */
int bf_snapshot_builder_finish(struct bf_snapshot_builder *b, struct bf_err *err);
/* Accepts NULL; also after finish. */
void bf_snapshot_builder_close(struct bf_snapshot_builder *b);
