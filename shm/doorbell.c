/*
 * Doorbell: wakes writerd through an eventfd, about once per sleep. Called by workers after a push
 * and by writerd around its sleep; never loses a wake-up and never blocks (a full eventfd is a rung
 * one).
 *
 * Proof. The word is odd while the consumer sleeps or is about to. All four accesses that matter
 * are sequentially consistent, so they stand in one total order: producer P1 store ring.tail, P2
 * load word; consumer C1 store word odd, C2 load ring.tail (shm_usage_peek, shm_content_next). If
 * P2 reads an even word it stands before C1, hence P1 before C2, and the consumer's second look
 * finds the record. If P2 reads an odd one, the eventfd is written; it stays readable until read,
 * so it wakes the sleep that follows C1. The word is moved to even only after the write, and only
 * from the very sleep that was read (the number is part of it), so a slow producer can not silence
 * a later sleep. Two producers may both write: that costs one spurious wake-up. Deaths. Producer
 * before its write: word still odd, so the next producer rings, and the supervisor's report of the
 * death wakes writerd for the slot itself. Producer between write and move: the next one writes
 * again. Consumer asleep: the word stays odd, a producer writes once and makes it even; its
 * successor looks at all rings before it first sleeps. Nothing to repair.
 */
#include "shm/doorbell.h"

#include <stdint.h>
#include <unistd.h>

#include "shm/killpoint.h"
#include "shm/layout.h"

void shm_doorbell_sleeping(struct shm_segment *seg, bool on)
{
	_Atomic uint64_t *word = &seg->map->header.doorbell;
	/* mo: relaxed, only compared and counted on; the exchange below orders */
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	/* At most two tries: only we make the word odd, and a producer makes it even once. */
	for (int tries = 0; tries < 2; tries++) {
		uint64_t odd = seen & 1;

		if (!on && !odd)
			return;
		/*
		 * A sleep that follows a sleep gets a number of its own too.
		 * mo: seq_cst, pairs with shm_doorbell_ring(): before the second look at the rings
		 */
		if (atomic_compare_exchange_strong_explicit(
			word, &seen, on && odd ? seen + 2 : seen + 1, memory_order_seq_cst,
			memory_order_relaxed))
			break;
	}
	SHM_KILLPOINT("doorbell_sleeping");
}

void shm_doorbell_ring(struct shm_segment *seg, int event_fd)
{
	_Atomic uint64_t *word = &seg->map->header.doorbell;
	/* mo: seq_cst, pairs with shm_doorbell_sleeping(): after the store of a ring's tail */
	uint64_t seen = atomic_load_explicit(word, memory_order_seq_cst);
	uint64_t one = 1;

	if (!(seen & 1))
		return;
	SHM_KILLPOINT("doorbell_ring_before");
	if (write(event_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: the counter is at its top, so it is readable. Nothing else can be mended
		 * from here. */
	}
	SHM_KILLPOINT("doorbell_ring_written");
	/* mo: seq_cst, pairs with shm_doorbell_sleeping(): ends the sleep that was seen, no other
	 */
	(void)atomic_compare_exchange_strong_explicit(word, &seen, seen + 1, memory_order_seq_cst,
						      memory_order_relaxed);
}
