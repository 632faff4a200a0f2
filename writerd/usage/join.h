/*
 * Bodies to their records. Both come from the same worker, bodies first, under the request's id;
 * the record may still be on its way (or never come: its worker died).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shm/segment.h"
#include "writerd/store/store.h"

#define JOIN_MAX_RECORDS 512u /* of one process slot in one transaction */

/* Per process slot, in writerd's memory only: what waits without a record, and since when. */
struct join {
	uint64_t stuck_end;
	int64_t stuck_since_ms;
};

/*
 * Looks through the content ring of p and points items[i].input and .output (n <= JOIN_MAX_RECORDS
 * items whose records are set) at their bodies, in the segment. Returns the position that may be
 * given to shm_content_release once the items are committed, 0 for none: it never passes a body
 * whose record has not been seen, unless the ring is more than half full and the body has waited
 * for a second.
 */
uint64_t join_content(struct shm_segment *seg, uint32_t p, struct join *j, struct store_item *items,
		      size_t n, int64_t now_ms);

/* Releases all bodies of p: nobody wants them. */
void join_discard(struct shm_segment *seg, uint32_t p);
