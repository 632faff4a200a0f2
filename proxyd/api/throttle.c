/*
 * Tries of passwords. Called by the door before it compares one. A bucket is the moment at which it
 * will be full again: that alone says how much is in it. Must never need memory that a stranger can
 * make grow.
 */
#include "proxyd/api/throttle.h"

#include <string.h>

#include "common/base/macros.h"

#define MINUTE_MS 60000

/* Of n tries a minute over all workers; at least one whole try fits. */
static void share(uint32_t n, uint32_t workers, int64_t *ret_step_ms, int64_t *ret_room_ms)
{
	uint32_t tries = BF_MAX(n / workers, 1u);

	*ret_step_ms = (int64_t)MINUTE_MS * workers / n;
	*ret_room_ms = *ret_step_ms * tries;
}

void throttle_open(struct throttle *t, uint32_t workers)
{
	memset(t, 0, sizeof(*t));
	workers = BF_MAX(workers, 1u);
	share(THROTTLE_PER_ADDRESS, workers, &t->step_address_ms, &t->room_address_ms);
	share(THROTTLE_PER_NODE, workers, &t->step_all_ms, &t->room_all_ms);
}

/* The address's own; else the one that is full for longest, emptied for it. */
static struct throttle_bucket *bucket_of(struct throttle *t, const uint8_t address[16])
{
	struct throttle_bucket *oldest = &t->addresses[0];

	for (unsigned i = 0; i < THROTTLE_ADDRESSES; i++) {
		struct throttle_bucket *b = &t->addresses[i];

		if (memcmp(b->address, address, 16) == 0 && b->full_ms > 0)
			return b;
		if (b->full_ms < oldest->full_ms)
			oldest = b;
	}
	memcpy(oldest->address, address, 16);
	oldest->full_ms = 0;
	return oldest;
}

/* How long until a try fits. */
static int64_t lacks(const struct throttle_bucket *b, int64_t now_ms, int64_t step_ms,
		     int64_t room_ms)
{
	return BF_MAX(b->full_ms - now_ms + step_ms - room_ms, 0);
}

int64_t throttle_take(struct throttle *t, const uint8_t address[16], int64_t now_ms)
{
	struct throttle_bucket *b = bucket_of(t, address);
	int64_t wait_ms = BF_MAX(lacks(b, now_ms, t->step_address_ms, t->room_address_ms),
				 lacks(&t->all, now_ms, t->step_all_ms, t->room_all_ms));

	if (wait_ms > 0)
		return wait_ms;
	b->full_ms = BF_MAX(b->full_ms, now_ms) + t->step_address_ms;
	t->all.full_ms = BF_MAX(t->all.full_ms, now_ms) + t->step_all_ms;
	return 0;
}

void throttle_give(struct throttle *t, const uint8_t address[16])
{
	bucket_of(t, address)->full_ms -= t->step_address_ms;
	t->all.full_ms -= t->step_all_ms;
}
