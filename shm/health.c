/*
 * Health words: one per process slot, written by its holder alone. Read by GET /health and
 * bifrostctl; never a reason to wait. The words publish nothing but themselves; a dead process's
 * reasons vanish with its slot's state, so there is nothing to mend.
 */
#include "shm/health.h"

#include <assert.h>

#include "shm/layout.h"
#include "shm/parts.h"

const struct shm_health_def shm_health_defs[SHM_HEALTH_COUNT] = {
#define X(name, component_, reason_) [name] = {.component = component_, .reason = reason_},
#include "shm/health.def"
#undef X
};

void shm_health_set(struct shm_segment *seg, uint32_t p, enum shm_health_bit bit, bool on)
{
	_Atomic uint64_t *word;
	uint64_t bits, mask;

	assert(p < SHM_PROC_SLOTS && bit < SHM_HEALTH_COUNT);
	word = &seg->map->slots[p].health;
	mask = UINT64_C(1) << bit;
	/* mo: relaxed, the holder's own word */
	bits = atomic_load_explicit(word, memory_order_relaxed);
	/* mo: relaxed, bits that publish nothing but themselves */
	atomic_store_explicit(word, on ? bits | mask : bits & ~mask, memory_order_relaxed);
}

uint64_t shm_health_all(const struct shm_segment *seg)
{
	uint64_t bits = 0;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		if (shm_slot_state(seg, p) != SHM_SLOT_LIVE)
			continue;
		/* mo: relaxed, as above */
		bits |= atomic_load_explicit(&seg->map->slots[p].health, memory_order_relaxed);
	}
	return bits;
}
