/*
 * SPSC ring of fixed records with a separate "freed" position. Called by usage.c; never called for
 * a slot by two producers or two consumers at a time (the slot's state sees to that).
 *
 * Proof. tail is written by the producer alone, head and freed by the consumer alone; all three
 * only grow, and freed <= head <= tail <= freed + count at every instant, since each side moves its
 * own word only within what it read of the other's, which can only have grown since.
 * - A record is whole when seen: it is copied before tail is stored (release) and read after tail
 * is loaded (acquire).
 * - A place is overwritten only after the consumer let go: the producer writes position t only when
 * t - freed < count, with freed loaded by acquire from the consumer's release, which comes after
 * its last read and after the pages were given back.
 * - Pages are given back for positions in [freed, head) only, which the producer can not be
 * writing: it writes below freed + count, and places of [freed, head) come round at freed + count
 * and above.
 * - Death of the producer before the store of tail leaves nothing visible; after it, one whole
 * record.
 * - Death of the consumer before the store of head leaves the records to its successor; between
 * head and freed, a few places that the next release (or shm_ring_repair) frees. Giving the same
 * pages back twice does no harm for the same reason as once. Both sides are wait-free: no loops at
 * all.
 */
#include "shm/ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/killpoint.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older headers lack it */
#endif

static unsigned char *place(const struct shm_ring_view *v, uint64_t position)
{
	return v->records + (size_t)(position & (v->count - 1)) * v->record_bytes;
}

uint64_t shm_ring_room(const struct shm_ring_view *v)
{
	/* mo: relaxed, the producer's own word */
	uint64_t tail = atomic_load_explicit(&v->ctl->tail, memory_order_relaxed);
	/* mo: acquire, pairs with free_upto(): what the consumer read there is behind it */
	uint64_t used = tail - atomic_load_explicit(&v->ctl->freed, memory_order_acquire);

	return used < v->count ? v->count - used : 0;
}

bool shm_ring_drained(const struct shm_ring_view *v)
{
	/* mo: relaxed, the producer's own word */
	uint64_t tail = atomic_load_explicit(&v->ctl->tail, memory_order_relaxed);

	/* mo: acquire, pairs with shm_ring_release(): order across two rings rests on it (usage.c)
	 */
	return atomic_load_explicit(&v->ctl->head, memory_order_acquire) == tail;
}

/* Positions from ready on, one chunk; where it starts is chunk-aligned as long as ready is. */
static bool prepare_chunk(const struct shm_ring_view *v, uint64_t ready)
{
	return shm_touch(place(v, ready), (size_t)v->chunk_records * v->record_bytes);
}

bool shm_ring_prepare(const struct shm_ring_view *v, uint64_t n)
{
	/* mo: relaxed (both), the producer's own words */
	uint64_t tail = atomic_load_explicit(&v->ctl->tail, memory_order_relaxed);
	/* mo: relaxed, as above */
	uint64_t ready = atomic_load_explicit(&v->ctl->ready, memory_order_relaxed);

	if (ready >= tail + n)
		return true;
	if (v->chunk_records == 1) {
		/* Pages that are kept are taken once, for ever. */
		if (!shm_touch(v->records, (size_t)v->count * v->record_bytes))
			return false;
		/* mo: relaxed, the producer's own word */
		atomic_store_explicit(&v->ctl->ready, UINT64_MAX, memory_order_relaxed);
		return true;
	}
	/* n <= count, so at most count / chunk_records rounds; nearly always one. */
	for (; ready < tail + n; ready += v->chunk_records) {
		if (!prepare_chunk(v, ready))
			return false;
		/* mo: relaxed, the producer's own word */
		atomic_store_explicit(&v->ctl->ready, ready + v->chunk_records,
				      memory_order_relaxed);
	}
	return true;
}

void shm_ring_push(const struct shm_ring_view *v, const void *record)
{
	/* mo: relaxed, the producer's own word */
	uint64_t tail = atomic_load_explicit(&v->ctl->tail, memory_order_relaxed);

	assert(shm_ring_room(v) > 0);
	SHM_KILLPOINT("ring_push_before_copy");
	memcpy(place(v, tail), record, v->record_bytes);
	SHM_KILLPOINT("ring_push_copied");
	/*
	 * mo: seq_cst, pairs with shm_ring_waiting(): publishes the copy; and stands before the
	 * load in shm_doorbell_ring(), which release alone would not order
	 */
	atomic_store_explicit(&v->ctl->tail, tail + 1, memory_order_seq_cst);
	SHM_KILLPOINT("ring_push_published");
}

uint64_t shm_ring_waiting(const struct shm_ring_view *v)
{
	/* mo: acquire, pairs with shm_ring_release(); read first, so that an observer never sees it
	 * pass tail */
	uint64_t head = atomic_load_explicit(&v->ctl->head, memory_order_acquire);
	/* mo: seq_cst, pairs with shm_ring_push(); stands after the store in
	 * shm_doorbell_sleeping() */
	uint64_t n = atomic_load_explicit(&v->ctl->tail, memory_order_seq_cst) - head;

	return n < v->count ? n : v->count;
}

const void *shm_ring_at(const struct shm_ring_view *v, uint64_t i)
{
	/* mo: relaxed, the consumer's own word; the record was published to it by
	 * shm_ring_waiting() */
	return place(v, atomic_load_explicit(&v->ctl->head, memory_order_relaxed) + i);
}

bool shm_touch(void *start, size_t len)
{
	if (madvise(start, len, MADV_POPULATE_WRITE) == 0)
		return true;
	return errno != EFAULT && errno != ENOMEM && errno != ENOSPC;
}

void shm_give_back(void *start, size_t len)
{
	if (len > 0)
		(void)madvise(start, len, MADV_REMOVE);
}

/* Frees positions up to a chunk boundary: pages first, then the word that lets the producer in. */
static void free_upto(const struct shm_ring_view *v, uint64_t upto)
{
	/* mo: relaxed, the consumer's own word */
	uint64_t from = atomic_load_explicit(&v->ctl->freed, memory_order_relaxed);
	uint64_t n = upto - from;
	uint64_t to_end = v->count - (from & (v->count - 1));

	if (n == 0 || n > v->count)
		return;
	if (v->chunk_records > 1) {
		uint64_t first = n < to_end ? n : to_end;

		shm_give_back(place(v, from), (size_t)first * v->record_bytes);
		SHM_KILLPOINT("ring_free_half");
		shm_give_back(v->records, (size_t)(n - first) * v->record_bytes);
	}
	SHM_KILLPOINT("ring_free_given_back");
	/* mo: release, pairs with shm_ring_room(): our reads of these places come before the
	 * producer's writes */
	atomic_store_explicit(&v->ctl->freed, upto, memory_order_release);
}

void shm_ring_release(const struct shm_ring_view *v, uint64_t n)
{
	uint64_t waiting = shm_ring_waiting(v);
	uint64_t head;

	/* No assert: the producer is the less trusted side, and its words must not end the
	 * consumer. */
	n = n < waiting ? n : waiting;
	if (n == 0)
		return;
	/* mo: relaxed, the consumer's own word */
	head = atomic_load_explicit(&v->ctl->head, memory_order_relaxed) + n;
	SHM_KILLPOINT("ring_release_before");
	/* mo: release, pairs with shm_ring_drained(): what was read here is behind it */
	atomic_store_explicit(&v->ctl->head, head, memory_order_release);
	SHM_KILLPOINT("ring_release_head");
	free_upto(v, head - head % v->chunk_records);
	SHM_KILLPOINT("ring_release_freed");
}

void shm_ring_repair(const struct shm_ring_view *v)
{
	/* mo: relaxed, the consumer's own word */
	uint64_t head = atomic_load_explicit(&v->ctl->head, memory_order_relaxed);

	free_upto(v, head - head % v->chunk_records);
}

void shm_ring_retire(const struct shm_ring_view *v)
{
	/* mo: relaxed, no producer is left: the state of the slot ordered its last store before us
	 */
	uint64_t tail = atomic_load_explicit(&v->ctl->tail, memory_order_relaxed);

	shm_ring_repair(v);
	/* mo: relaxed, as above; nothing was ever taken when both are zero */
	if (tail == 0 && atomic_load_explicit(&v->ctl->ready, memory_order_relaxed) == 0)
		return;
	shm_give_back(v->records, (size_t)v->count * v->record_bytes);
	SHM_KILLPOINT("ring_retire_given_back");
	/* mo: relaxed, published to the next holder by the slot's state */
	atomic_store_explicit(&v->ctl->ready,
			      v->chunk_records == 1 ? 0 : tail - tail % v->chunk_records,
			      memory_order_relaxed);
}

int shm_ring_valid(const struct shm_ring *ctl, const _Atomic uint64_t *floor, uint64_t capacity,
		   const char *name, uint32_t p, struct bf_err *err)
{
	/*
	 * All three words only grow. Read in this order, each has had more time to grow than the
	 * one it must not be below; floor is read again for the word that must not be too far above
	 * it.
	 */
	/* mo: acquire, pairs with free_upto() or shm_content_release() */
	uint64_t freed = atomic_load_explicit(floor, memory_order_acquire);
	/* mo: acquire, pairs with shm_ring_release() or shm_content_release() */
	uint64_t head = atomic_load_explicit(&ctl->head, memory_order_acquire);
	/* mo: acquire, pairs with shm_ring_push() or shm_content_push() */
	uint64_t tail = atomic_load_explicit(&ctl->tail, memory_order_acquire);
	/* mo: acquire, as the first load */
	uint64_t freed_now = atomic_load_explicit(floor, memory_order_acquire);

	if ((int64_t)(head - freed) < 0 || (int64_t)(tail - head) < 0 ||
	    (int64_t)(tail - freed_now) > (int64_t)capacity)
		return bf_err_set(
		    err, BF_E_CORRUPT,
		    "segment: %s ring of process slot %u: positions %llu/%llu/%llu do not fit: "
		    "stop bifrost and remove the segment file",
		    name, p, (unsigned long long)freed, (unsigned long long)head,
		    (unsigned long long)tail);
	return 0;
}
