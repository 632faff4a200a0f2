/*
 * Adoption of orphaned listener slots. Asked by crew.c after every change of who serves. Must never
 * leave a slot without a reader while any worker serves, nor tell two workers to carry the same
 * slot for longer than a crossing message.
 */
#include "supervisor/adopt.h"

#include <assert.h>

void adopt_init(struct adopt *a, uint32_t slots)
{
	assert(slots <= ADOPT_MAX_SLOTS);
	a->slots = slots;
	for (uint32_t s = 0; s < ADOPT_MAX_SLOTS; s++)
		a->carrier[s] = ADOPT_NOBODY;
}

void adopt_forget(struct adopt *a, uint32_t worker)
{
	for (uint32_t s = 0; s < a->slots; s++) {
		if (a->carrier[s] == worker)
			a->carrier[s] = ADOPT_NOBODY;
	}
}

static uint32_t carried_by(const struct adopt *a, uint32_t worker)
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < a->slots; s++)
		n += a->carrier[s] == worker;
	return n;
}

static uint32_t least_loaded(const struct adopt *a, const bool *serves)
{
	uint32_t best = ADOPT_NOBODY, best_load = UINT32_MAX;

	for (uint32_t w = 0; w < a->slots; w++) {
		uint32_t load;

		if (!serves[w])
			continue;
		load = carried_by(a, w);
		if (load < best_load) {
			best = w;
			best_load = load;
		}
	}
	return best;
}

uint32_t adopt_update(struct adopt *a, const bool *serves,
		      struct adopt_order orders[ADOPT_MAX_ORDERS])
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < a->slots; s++) {
		uint32_t carrier = a->carrier[s];

		if (carrier != ADOPT_NOBODY && !serves[s] && serves[carrier])
			continue;
		/* A carrier that lives but does not serve (stalled) must let go when it wakes. */
		if (carrier != ADOPT_NOBODY)
			orders[n++] = (struct adopt_order){carrier, s, true};
		a->carrier[s] = serves[s] ? ADOPT_NOBODY : least_loaded(a, serves);
		if (a->carrier[s] != ADOPT_NOBODY)
			orders[n++] = (struct adopt_order){a->carrier[s], s, false};
	}
	return n;
}
