/*
 * Usage records: a small ring and a large overflow, FIFO across both. Called by proxyd (push, room)
 * and writerd (peek, release); never drops a record and never waits.
 *
 * Proof of order. The producer pushes into the small ring only when it sees the overflow fully
 * released; else into the overflow. So, (1): when a record X of the overflow is not yet released,
 * no record of the small ring is younger than X. The consumer loads the overflow's tail first and
 * the small ring's tail afterwards. So, (2): of any X it can see in the overflow, every older
 * record of the small ring is visible too, because they were pushed before X by the same producer.
 * By (1) and (2) "small ring first, then overflow" is the order of pushing. Between peek and
 * release nothing can enter the small ring while part of the overflow is peeked (1), so release may
 * count in the same order.
 */
#include "shm/usage.h"

#include <assert.h>

#include "shm/killpoint.h"
#include "shm/layout.h"
#include "shm/parts.h"
#include "shm/ring.h"

/* The least number of records that end where a chunk of pages does. */
#define USAGE_CHUNK_RECORDS 512u

_Static_assert(USAGE_CHUNK_RECORDS *SHM_USAGE_RECORD_BYTES % SHM_CHUNK_BYTES == 0,
	       "given back by whole pages: none that holds a part of a record still waiting");
_Static_assert(SHM_USAGE_OVERFLOW_RECORDS % USAGE_CHUNK_RECORDS == 0, "the ring is whole chunks");

struct shm_ring_view shm_usage_ring_view(const struct shm_segment *seg, uint32_t p)
{
	assert(p < SHM_PROC_SLOTS);
	return (struct shm_ring_view){
	    .ctl = &seg->map->desks[p].usage,
	    .records = (unsigned char *)seg->map->stores[p].usage,
	    .count = SHM_USAGE_RING_RECORDS,
	    .record_bytes = SHM_USAGE_RECORD_BYTES,
	    .chunk_records = 1,
	};
}

struct shm_ring_view shm_usage_overflow_view(const struct shm_segment *seg, uint32_t p)
{
	assert(p < SHM_PROC_SLOTS);
	return (struct shm_ring_view){
	    .ctl = &seg->map->desks[p].overflow,
	    .records = (unsigned char *)seg->map->stores[p].overflow,
	    .count = SHM_USAGE_OVERFLOW_RECORDS,
	    .record_bytes = SHM_USAGE_RECORD_BYTES,
	    .chunk_records = USAGE_CHUNK_RECORDS,
	};
}

int shm_usage_push(struct shm_segment *seg, uint32_t p, const struct shm_usage_record *r)
{
	struct shm_ring_view ring = shm_usage_ring_view(seg, p);
	struct shm_ring_view over = shm_usage_overflow_view(seg, p);

	if (shm_ring_drained(&over) && shm_ring_room(&ring) > 0) {
		shm_ring_push(&ring, r);
		return 0;
	}
	if (shm_ring_room(&over) == 0)
		return BF_E_FULL;
	shm_ring_push(&over, r);
	return 0;
}

bool shm_usage_push_spare(struct shm_segment *seg, uint32_t p, uint64_t held,
			  const struct shm_usage_record *r)
{
	struct shm_ring_view ring = shm_usage_ring_view(seg, p);
	struct shm_ring_view over = shm_usage_overflow_view(seg, p);

	if (!shm_ring_drained(&over) || shm_ring_room(&ring) <= SHM_USAGE_RING_RECORDS / 2 ||
	    !shm_usage_keep(seg, p, held + 1))
		return false;
	shm_ring_push(&ring, r);
	return true;
}

uint64_t shm_usage_room(const struct shm_segment *seg, uint32_t p)
{
	struct shm_ring_view ring = shm_usage_ring_view(seg, p);
	struct shm_ring_view over = shm_usage_overflow_view(seg, p);
	uint64_t room = shm_ring_room(&over);

	/* While spilling the small ring takes nothing, however empty it is. */
	if (shm_ring_drained(&over))
		room += shm_ring_room(&ring);
	return room;
}

size_t shm_usage_peek(struct shm_segment *seg, uint32_t p,
		      const struct shm_usage_record **ret_records, size_t max)
{
	struct shm_ring_view ring = shm_usage_ring_view(seg, p);
	struct shm_ring_view over = shm_usage_overflow_view(seg, p);
	uint64_t in_over = shm_ring_waiting(&over); /* before the small ring: proof (2) */
	uint64_t in_ring = shm_ring_waiting(&ring);
	size_t n = 0;

	for (uint64_t i = 0; i < in_ring && n < max; i++)
		ret_records[n++] = shm_ring_at(&ring, i);
	for (uint64_t i = 0; i < in_over && n < max; i++)
		ret_records[n++] = shm_ring_at(&over, i);
	return n;
}

void shm_usage_release(struct shm_segment *seg, uint32_t p, size_t n)
{
	struct shm_ring_view ring = shm_usage_ring_view(seg, p);
	struct shm_ring_view over = shm_usage_overflow_view(seg, p);
	uint64_t in_ring = shm_ring_waiting(&ring);
	uint64_t of_ring = n < in_ring ? n : in_ring;

	shm_ring_release(&ring, of_ring);
	SHM_KILLPOINT("usage_release_between");
	shm_ring_release(&over, n - of_ring);
}

uint64_t shm_usage_waiting(const struct shm_segment *seg, uint32_t p)
{
	struct shm_ring_view ring = shm_usage_ring_view(seg, p);
	struct shm_ring_view over = shm_usage_overflow_view(seg, p);

	return shm_ring_waiting(&over) + shm_ring_waiting(&ring);
}

uint64_t shm_usage_overflow_waiting(const struct shm_segment *seg, uint32_t p)
{
	struct shm_ring_view over = shm_usage_overflow_view(seg, p);

	return shm_ring_waiting(&over);
}

/* A killed producer leaves nothing to mend; a killed consumer at most places to free
 * (shm_ring_repair). */
int shm_usage_valid(const struct shm_segment *seg, uint32_t p, struct bf_err *err)
{
	const struct shm_desk *d = &seg->map->desks[p];
	int r = shm_ring_valid(&d->usage, &d->usage.freed, SHM_USAGE_RING_RECORDS, "usage", p, err);

	if (r < 0)
		return r;
	return shm_ring_valid(&d->overflow, &d->overflow.freed, SHM_USAGE_OVERFLOW_RECORDS,
			      "overflow", p, err);
}

bool shm_usage_keep(const struct shm_segment *seg, uint32_t p, uint64_t n)
{
	struct shm_ring_view ring = shm_usage_ring_view(seg, p);
	struct shm_ring_view over = shm_usage_overflow_view(seg, p);
	uint64_t in_ring = shm_ring_drained(&over) ? shm_ring_room(&ring) : 0;

	if (!shm_ring_prepare(&ring, in_ring < n ? in_ring : n))
		return false;
	if (n <= in_ring)
		return true;
	/* What the small ring will have drained by then only makes this more than is needed. */
	return n - in_ring <= shm_ring_room(&over) && shm_ring_prepare(&over, n - in_ring);
}

void shm_usage_retire(struct shm_segment *seg, uint32_t p)
{
	struct shm_ring_view ring = shm_usage_ring_view(seg, p);
	struct shm_ring_view over = shm_usage_overflow_view(seg, p);

	shm_ring_retire(&ring);
	SHM_KILLPOINT("usage_retire_half");
	shm_ring_retire(&over);
}
