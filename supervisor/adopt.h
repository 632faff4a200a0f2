/*
 * Who accepts from a listener slot whose own worker does not: a slot without a reader would swallow
 * its share of connections. Pure: from who serves now to ADOPT and RELEASE messages.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ADOPT_MAX_SLOTS 64u
#define ADOPT_NOBODY    UINT32_MAX

struct adopt {
	uint32_t slots;
	uint32_t carrier[ADOPT_MAX_SLOTS]; /* worker that was told ADOPT for this slot */
};

struct adopt_order {
	uint32_t worker; /* to whom */
	uint32_t slot;
	bool release;
};

#define ADOPT_MAX_ORDERS (2 * ADOPT_MAX_SLOTS)

void adopt_init(struct adopt *a, uint32_t slots);

/* The process of this worker is gone or draining: it carries nothing any more, and is not to be
 * told so. */
void adopt_forget(struct adopt *a, uint32_t worker);

/*
 * serves[w]: worker w accepts now. Orders that make every slot served, the one with the fewest
 * foreign slots first; their number.
 */
uint32_t adopt_update(struct adopt *a, const bool *serves,
		      struct adopt_order orders[ADOPT_MAX_ORDERS]);
