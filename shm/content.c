/*
 * Content ring: variable-length items, contiguous, one producer (the slot's holder) and one
 * consumer (writerd). Called by proxyd and writerd; never waits, and never keeps a row back: a full
 * ring drops the item and counts it.
 *
 * Proof. As ring.c, with bytes for positions: tail is stored once per item (release), after the
 * item and, where it had to begin at the ring's start, after the wrap marker; so a death before
 * that store leaves nothing visible and a reader sees marker and item or neither. Both are 64-byte
 * aligned and the ring is a multiple of 64, so a marker always finds room. The producer writes only
 * below head + capacity, with head loaded by acquire from shm_content_release(), which comes after
 * the consumer's last read. The consumer copies a header before it believes it, and a header that
 * does not fit its place is damage (or a hostile producer): everything waiting is dropped and
 * counted, because lengths are all that leads to the next item.
 */
#include "shm/content.h"

#include <assert.h>
#include <string.h>

#include "shm/killpoint.h"
#include "shm/layout.h"
#include "shm/parts.h"

#define SHM_CONTENT_WRAP 0x50415257u /* "WRAP" */

static uint64_t item_bytes(size_t len)
{
	return sizeof(struct shm_content_item) +
	       ((uint64_t)len + SHM_LINE - 1) / SHM_LINE * SHM_LINE;
}

static uint64_t to_end(uint64_t position)
{
	return SHM_CONTENT_RING_BYTES - position % SHM_CONTENT_RING_BYTES;
}

static uint8_t *place(const struct shm_segment *seg, uint32_t p, uint64_t position)
{
	return seg->map->stores[p].content + position % SHM_CONTENT_RING_BYTES;
}

static int drop(struct shm_segment *seg, uint32_t p)
{
	struct shm_ring *ctl = &seg->map->desks[p].content;
	/* mo: relaxed, the producer's own word */
	uint64_t n = atomic_load_explicit(&ctl->dropped, memory_order_relaxed);

	/* mo: relaxed, a number that publishes nothing but itself */
	atomic_store_explicit(&ctl->dropped, n + 1, memory_order_relaxed);
	return BF_E_FULL;
}

static void write_item(struct shm_segment *seg, uint32_t p, uint64_t position, uint32_t kind,
		       const uint8_t id[16], const void *bytes, size_t len)
{
	struct shm_content_item item = {
	    .kind = kind,
	    .len = (uint32_t)len,
	    .position = position,
	};

	if (id)
		memcpy(item.id, id, sizeof(item.id));
	memcpy(place(seg, p, position), &item, sizeof(item));
	if (len > 0)
		memcpy(place(seg, p, position) + sizeof(item), bytes, len);
}

/* Memory behind all positions below upto; false when the file system is full. */
static bool prepare(struct shm_segment *seg, uint32_t p, uint64_t upto)
{
	struct shm_ring *ctl = &seg->map->desks[p].content;
	/* mo: relaxed, the producer's own word */
	uint64_t ready = atomic_load_explicit(&ctl->ready, memory_order_relaxed);

	/* At most SHM_CONTENT_MAX_BYTES / SHM_CHUNK_BYTES + 1 rounds, one for each chunk of bytes
	 * copied. */
	for (; ready < upto; ready += SHM_CHUNK_BYTES) {
		if (!shm_touch(place(seg, p, ready), SHM_CHUNK_BYTES))
			return false;
		/* mo: relaxed, the producer's own word */
		atomic_store_explicit(&ctl->ready, ready + SHM_CHUNK_BYTES, memory_order_relaxed);
	}
	return true;
}

int shm_content_push(struct shm_segment *seg, uint32_t p, const uint8_t id[16],
		     enum shm_content_kind kind, const void *bytes, size_t len)
{
	struct shm_ring *ctl;
	uint64_t tail, used, skip, need;

	assert(p < SHM_PROC_SLOTS);
	if (len > SHM_CONTENT_MAX_BYTES)
		return drop(seg, p);
	ctl = &seg->map->desks[p].content;
	/* mo: relaxed, the producer's own word */
	tail = atomic_load_explicit(&ctl->tail, memory_order_relaxed);
	/* mo: acquire, pairs with shm_content_release(): the consumer's reads come before our
	 * writes */
	used = tail - atomic_load_explicit(&ctl->head, memory_order_acquire);
	need = item_bytes(len);
	skip = need > to_end(tail) ? to_end(tail) : 0;
	if (used + skip + need > SHM_CONTENT_RING_BYTES || !prepare(seg, p, tail + skip + need))
		return drop(seg, p);
	if (skip > 0)
		write_item(seg, p, tail, SHM_CONTENT_WRAP, NULL, NULL, 0);
	SHM_KILLPOINT("content_push_marked");
	write_item(seg, p, tail + skip, (uint32_t)kind, id, bytes, len);
	SHM_KILLPOINT("content_push_copied");
	/* mo: seq_cst, pairs with shm_content_next(): publishes the item; stands before the load in
	 * shm_doorbell_ring() */
	atomic_store_explicit(&ctl->tail, tail + skip + need, memory_order_seq_cst);
	SHM_KILLPOINT("content_push_published");
	return 0;
}

/* Consumer: lets go of all that waits, because it can not be walked. */
static void skip_damage(struct shm_ring *ctl, uint64_t tail)
{
	/* mo: relaxed, the consumer's own word */
	uint64_t n = atomic_load_explicit(&ctl->damaged, memory_order_relaxed);

	/* mo: relaxed, a number that publishes nothing but itself */
	atomic_store_explicit(&ctl->damaged, n + 1, memory_order_relaxed);
	/* mo: release, pairs with shm_content_push() */
	atomic_store_explicit(&ctl->head, tail, memory_order_release);
}

/* Reads the item at *position, past a wrap marker if there is one. false: it does not fit its
 * place. */
static bool read_item(const struct shm_segment *seg, uint32_t p, uint64_t *position, uint64_t tail,
		      struct shm_content_item *ret_item)
{
	for (int tries = 0; tries < 2; tries++) {
		if (*position % SHM_LINE != 0 || *position >= tail)
			return false;
		memcpy(ret_item, place(seg, p, *position), sizeof(*ret_item));
		if (ret_item->position != *position)
			return false;
		if (ret_item->kind != SHM_CONTENT_WRAP)
			break;
		*position += to_end(*position);
	}
	return (ret_item->kind == SHM_CONTENT_REQUEST || ret_item->kind == SHM_CONTENT_RESPONSE) &&
	       ret_item->len <= SHM_CONTENT_MAX_BYTES &&
	       item_bytes(ret_item->len) <= to_end(*position) &&
	       item_bytes(ret_item->len) <= tail - *position;
}

int shm_content_next(struct shm_segment *seg, uint32_t p, uint64_t after,
		     struct shm_content *ret_item)
{
	struct shm_ring *ctl;
	struct shm_content_item item;
	uint64_t head, tail, position;

	assert(p < SHM_PROC_SLOTS);
	ctl = &seg->map->desks[p].content;
	/* mo: relaxed, the consumer's own word */
	head = atomic_load_explicit(&ctl->head, memory_order_relaxed);
	/* mo: seq_cst, pairs with shm_content_push(); stands after the store in
	 * shm_doorbell_sleeping() */
	tail = atomic_load_explicit(&ctl->tail, memory_order_seq_cst);
	position = after ? after : head;
	if (position == tail)
		return 0;
	if (position < head || position > tail || tail - head > SHM_CONTENT_RING_BYTES ||
	    !read_item(seg, p, &position, tail, &item)) {
		/* Items before the damage may still be in the caller's hands: drop only when none
		 * is. */
		if (after == 0 || after == head)
			skip_damage(ctl, tail);
		return 0;
	}
	memcpy(ret_item->id, item.id, sizeof(ret_item->id));
	ret_item->kind = (enum shm_content_kind)item.kind;
	ret_item->bytes = place(seg, p, position) + sizeof(item);
	ret_item->len = item.len;
	ret_item->end = position + item_bytes(item.len);
	return 1;
}

void shm_content_release(struct shm_segment *seg, uint32_t p, uint64_t end)
{
	struct shm_ring *ctl;
	uint64_t head, tail;

	assert(p < SHM_PROC_SLOTS);
	ctl = &seg->map->desks[p].content;
	/* mo: relaxed, the consumer's own word */
	head = atomic_load_explicit(&ctl->head, memory_order_relaxed);
	/* mo: acquire, pairs with shm_content_push() */
	tail = atomic_load_explicit(&ctl->tail, memory_order_acquire);
	if (end <= head || end > tail)
		return;
	SHM_KILLPOINT("content_release_before");
	/* mo: release, pairs with shm_content_push(): our reads come before the producer's writes
	 */
	atomic_store_explicit(&ctl->head, end, memory_order_release);
	SHM_KILLPOINT("content_release_after");
}

uint64_t shm_content_dropped(const struct shm_segment *seg, uint32_t p)
{
	assert(p < SHM_PROC_SLOTS);
	/* mo: relaxed, a number that publishes nothing but itself */
	return atomic_load_explicit(&seg->map->desks[p].content.dropped, memory_order_relaxed);
}

uint64_t shm_content_waiting_bytes(const struct shm_segment *seg, uint32_t p)
{
	const struct shm_ring *ctl;
	uint64_t head;

	assert(p < SHM_PROC_SLOTS);
	ctl = &seg->map->desks[p].content;
	/* mo: acquire, pairs with shm_content_release(); read first, so that an observer never sees
	 * it pass tail */
	head = atomic_load_explicit(&ctl->head, memory_order_acquire);
	/* mo: seq_cst, pairs with shm_content_push(), as in shm_content_next() */
	return atomic_load_explicit(&ctl->tail, memory_order_seq_cst) - head;
}

/* A crash leaves nothing to mend: what was not published is written over, what was not released is
 * found again. */
int shm_content_valid(const struct shm_segment *seg, uint32_t p, struct bf_err *err)
{
	const struct shm_ring *ctl = &seg->map->desks[p].content;

	return shm_ring_valid(ctl, &ctl->head, SHM_CONTENT_RING_BYTES, "content", p, err);
}

void shm_content_retire(struct shm_segment *seg, uint32_t p)
{
	struct shm_ring *ctl = &seg->map->desks[p].content;
	/* mo: relaxed (both), no producer is left: the state of the slot ordered its last store
	 * before us */
	uint64_t tail = atomic_load_explicit(&ctl->tail, memory_order_relaxed);

	/* mo: relaxed, as above */
	if (atomic_load_explicit(&ctl->ready, memory_order_relaxed) == 0)
		return;
	shm_give_back(seg->map->stores[p].content, SHM_CONTENT_RING_BYTES);
	SHM_KILLPOINT("content_retire_given_back");
	/* mo: relaxed, published to the next holder by the slot's state */
	atomic_store_explicit(&ctl->ready, tail - tail % SHM_CHUNK_BYTES, memory_order_relaxed);
}
