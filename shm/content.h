/*
 * Content ring: request and answer bodies on their way to the logs store, variable length. Dropped
 * first, and counted: when it is full the row goes without its content.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shm/segment.h"

#define SHM_CONTENT_RING_BYTES (4u << 20) /* per slot */
#define SHM_CONTENT_MAX_BYTES                                              \
	(1u << 20) /* longest body kept; longer ones are cut by the caller \
		    */

enum shm_content_kind {
	SHM_CONTENT_REQUEST = 1,
	SHM_CONTENT_RESPONSE = 2,
};

/*
 * Holder of p. 0, or BF_E_FULL: counted by the ring itself (the metric is the caller's). Before the
 * request's usage record, so that who sees the record finds the content. len may be 0; above
 * SHM_CONTENT_MAX_BYTES it is dropped.
 */
int shm_content_push(struct shm_segment *seg, uint32_t p, const uint8_t id[16],
		     enum shm_content_kind kind, const void *bytes, size_t len);

struct shm_content {
	uint8_t id[16];
	enum shm_content_kind kind;
	const void *bytes; /* contiguous, in the segment, until released */
	size_t len;
	uint64_t end; /* give to shm_content_release */
};

/*
 * Consumer. Walks what waits: after is 0 for the oldest item, else the previous item's end. 1, or 0
 * when none is left. A damaged item is dropped together with all behind it, when it is the oldest.
 */
int shm_content_next(struct shm_segment *seg, uint32_t p, uint64_t after,
		     struct shm_content *ret_item);
void shm_content_release(struct shm_segment *seg, uint32_t p, uint64_t end);
uint64_t shm_content_dropped(const struct shm_segment *seg, uint32_t p);
uint64_t shm_content_waiting_bytes(const struct shm_segment *seg, uint32_t p);
