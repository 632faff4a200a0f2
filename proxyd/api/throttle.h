/*
 * How often passwords may be tried: buckets that fill by the minute, one for each address and one
 * for all of this worker. Pure: now is given.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_ADDRESSES   256u
#define THROTTLE_PER_ADDRESS 5u  /* a minute, over all workers */
#define THROTTLE_PER_NODE    60u /* a minute, over all workers */

struct throttle_bucket {
	uint8_t address[16];
	int64_t full_ms; /* when it will be full again; that and before: it is */
};

struct throttle {
	int64_t step_address_ms, step_all_ms; /* one try comes back after so long */
	int64_t room_address_ms, room_all_ms; /* all of them */
	struct throttle_bucket all;
	struct throttle_bucket addresses[THROTTLE_ADDRESSES];
};

/* workers: among how many the rates are divided; each has at least one try. */
void throttle_open(struct throttle *t, uint32_t workers);

/* 0: this address may try now, which counts. Else in how many milliseconds it may. A full table
 * forgets the address that has been quiet for longest. */
int64_t throttle_take(struct throttle *t, const uint8_t address[16], int64_t now_ms);
/* That try was no failure: it does not count. */
void throttle_give(struct throttle *t, const uint8_t address[16]);
