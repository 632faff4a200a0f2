/*
 * Tries of passwords. Called by the door before it compares one. Must never need memory that a
 * stranger can make grow.
 */
#include "proxyd/api/throttle.h"

#include <string.h>

#include "common/base/bucket.h"
#include "common/net/addr.h"

#define MINUTE_MS 60000

/* Of n tries a minute over all workers; least fit at once. */
static void share(uint32_t n, uint32_t least, uint32_t workers, int64_t *ret_step_ms,
		  int64_t *ret_room_ms)
{
	uint32_t tries = BF_MAX(n / workers, least);

	*ret_step_ms = (int64_t)MINUTE_MS * workers / n;
	*ret_room_ms = *ret_step_ms * tries;
}

void throttle_open(struct throttle *t, uint32_t workers)
{
	memset(t, 0, sizeof(*t));
	workers = BF_MAX(workers, 1u);
	share(THROTTLE_PER_ADDRESS, THROTTLE_LEAST_OF_ADDRESS, workers, &t->step_address_ms,
	      &t->room_address_ms);
	share(THROTTLE_PER_NODE, THROTTLE_LEAST_OF_NODE, workers, &t->step_all_ms, &t->room_all_ms);
}

/* Whoever has one address of an IPv6 network has 2^64 of them. */
static void settle(const uint8_t address[16], uint8_t ret_settled[16])
{
	memcpy(ret_settled, address, 16);
	if (!bf_addr_bytes_are_v4(address))
		memset(ret_settled + 8, 0, 8);
}

/* ---- where the right password came from */

static bool is_known(const struct throttle *t, const uint8_t address[16], int64_t now_ms)
{
	for (unsigned i = 0; i < THROTTLE_KNOWN; i++) {
		if (t->known[i].until_ms > now_ms && memcmp(t->known[i].address, address, 16) == 0)
			return true;
	}
	return false;
}

/* In its own place, else in that of the one that has been quiet for longest. */
static void know(struct throttle *t, const uint8_t address[16], int64_t now_ms)
{
	struct throttle_known *place = &t->known[0];

	for (unsigned i = 0; i < THROTTLE_KNOWN; i++) {
		struct throttle_known *k = &t->known[i];

		if (k->until_ms > 0 && memcmp(k->address, address, 16) == 0) {
			place = k;
			break;
		}
		if (k->until_ms < place->until_ms)
			place = k;
	}
	memcpy(place->address, address, 16);
	place->until_ms = now_ms + THROTTLE_KNOWN_MS;
}

/* ---- buckets */

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

int64_t throttle_take(struct throttle *t, const uint8_t address[16], int64_t now_ms)
{
	int64_t wait_ms,
	    wait_all_ms = bf_bucket_lacks(t->all.full_ms, now_ms, t->step_all_ms, t->room_all_ms);
	struct throttle_bucket *b;
	uint8_t settled[16];

	settle(address, settled);
	b = bucket_of(t, settled);
	wait_ms = bf_bucket_lacks(b->full_ms, now_ms, t->step_address_ms, t->room_address_ms);
	if (!is_known(t, settled, now_ms))
		wait_ms = BF_MAX(wait_ms, wait_all_ms);
	if (wait_ms > 0)
		return wait_ms;
	b->full_ms = bf_bucket_less(b->full_ms, now_ms, t->step_address_ms);
	t->of_all = wait_all_ms == 0;
	if (t->of_all)
		t->all.full_ms = bf_bucket_less(t->all.full_ms, now_ms, t->step_all_ms);
	return 0;
}

void throttle_give(struct throttle *t, const uint8_t address[16], int64_t now_ms)
{
	uint8_t settled[16];

	settle(address, settled);
	bucket_of(t, settled)->full_ms -= t->step_address_ms;
	if (t->of_all)
		t->all.full_ms -= t->step_all_ms;
	know(t, settled, now_ms);
}
