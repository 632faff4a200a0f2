/*
 * Which retired meters are named by nobody any more. Called by writerd now and then. Must look at
 * entries before records: an entry ends after its record was pushed, so what has left the entries
 * is seen among the records, or was released.
 */
#include "shm/meter_op.h"
#include "shm/parts.h"

struct suspects {
	uint32_t m[SHM_METER_COLLECT]; /* ascending */
	bool named[SHM_METER_COLLECT];
	unsigned n;
};

static void name(struct suspects *s, uint32_t m)
{
	unsigned low = 0, high = s->n;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (s->m[middle] < m)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < s->n && s->m[low] == m)
		s->named[low] = true;
}

static void name_entry(const struct shm_inflight_entry *e, struct suspects *s)
{
	/* mo: acquire, pairs with shm_meter_admit(): the meters of this many */
	uint32_t n = atomic_load_explicit(&e->meter_count, memory_order_acquire);

	for (uint32_t k = 0; k < n && k < SHM_METERS_PER_REQUEST; k++)
		/* mo: relaxed, as above; what a next request writes there meanwhile is stale */
		name(s, atomic_load_explicit(&e->meters[k].meter, memory_order_relaxed));
}

static void name_entries(const struct shm_segment *seg, uint32_t p, struct suspects *s)
{
	const struct shm_desk *d = &seg->map->desks[p];

	for (uint32_t w = 0; w < SHM_INFLIGHT_WORDS; w++) {
		/* mo: acquire, pairs with the bit's setting and clearing */
		uint64_t bits = atomic_load_explicit(&d->held_bits[w], memory_order_acquire);

		for (; bits; bits &= bits - 1)
			name_entry(
			    &seg->map->stores[p].inflight[w * 64 + (uint32_t)__builtin_ctzll(bits)],
			    s);
	}
}

static void name_records(const struct shm_ring_view *ring, struct suspects *s)
{
	uint64_t waiting = shm_ring_waiting(ring);

	for (uint64_t i = 0; i < waiting; i++) {
		const struct shm_usage_record *r = shm_ring_at(ring, i);

		for (uint32_t k = 0; k < r->meter_count && k < SHM_METERS_PER_REQUEST; k++)
			name(s, r->meters[k]);
	}
}

static void name_all(const struct shm_segment *seg, struct suspects *s)
{
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		struct shm_ring_view ring = shm_usage_ring_view(seg, p);
		struct shm_ring_view over = shm_usage_overflow_view(seg, p);

		if (!shm_slot_used(seg, p))
			continue;
		name_entries(seg, p, s);
		name_records(&over, s);
		name_records(&ring, s);
	}
}

unsigned shm_meter_collect(struct shm_segment *seg)
{
	struct suspects s = {.n = 0};
	unsigned left = 0;

	for (uint32_t m = 0; (m = shm_meter_next(seg, m)) != SHM_METER_NOWHERE; m++) {
		/* mo: acquire, pairs with shm_meter_retire(): no admission can succeed there */
		if (atomic_load_explicit(&meter_at(seg, m)->place, memory_order_acquire) !=
		    METER_RETIRED)
			continue;
		if (s.n < SHM_METER_COLLECT)
			s.m[s.n++] = m;
		else
			left++;
	}
	if (s.n > 0)
		name_all(seg, &s);
	for (unsigned i = 0; i < s.n; i++) {
		if (s.named[i])
			left++;
		else
			shm_meter_free(seg, s.m[i]);
	}
	return left;
}
