/*
 * How often passwords may be tried: buckets that fill by the minute, one for each address (of IPv6
 * its network of 64 bits, which is one customer's) and one for all of this worker. From where the
 * right password came within a day others cannot shut anybody out. Pure: now is given.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_ADDRESSES   256u
#define THROTTLE_PER_ADDRESS 5u  /* a minute, over all workers */
#define THROTTLE_PER_NODE    60u /* a minute, over all workers */
/* At once, of each worker, however many there are: else one slip of the finger would be too many.
 */
#define THROTTLE_LEAST_OF_ADDRESS 3u
#define THROTTLE_LEAST_OF_NODE    10u

#define THROTTLE_KNOWN    16u
#define THROTTLE_KNOWN_MS (24 * 3600 * 1000)

struct throttle_bucket {
	uint8_t address[16];
	int64_t full_ms; /* when it will be full again; that and before: it is */
};

struct throttle_known {
	uint8_t address[16];
	int64_t until_ms;
};

struct throttle {
	int64_t step_address_ms, step_all_ms; /* one try comes back after so long */
	int64_t room_address_ms, room_all_ms; /* all of them */
	struct throttle_bucket all;
	struct throttle_bucket addresses[THROTTLE_ADDRESSES];
	struct throttle_known known[THROTTLE_KNOWN];
	bool of_all; /* the last try was taken from the bucket of all too */
};

/* workers: among how many the rates are divided. */
void throttle_open(struct throttle *t, uint32_t workers);

/* 0: this address may try now, which counts. Else in how many milliseconds it may. A full table
 * forgets the address that has been quiet for longest. */
int64_t throttle_take(struct throttle *t, const uint8_t address[16], int64_t now_ms);
/* The last try that was taken was right: it does not count, and its address is known from now on.
 */
void throttle_give(struct throttle *t, const uint8_t address[16], int64_t now_ms);
