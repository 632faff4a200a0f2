/*
 * The meters' part of the segment. Included by shm/layout.h alone.
 */
#pragma once

#include "shm/cas128.h"
#include "shm/meter.h"

/* One meter of a request in flight: the holder's alone, after its death the sweeper's. */
struct shm_meter_entry {
	uint32_t meter;
	uint32_t epoch; /* of the window that was charged */
	uint32_t config;
	uint32_t reserved;
	int64_t amount; /* reserved */
	int64_t delta;  /* what is being added to the meter's value */
	int64_t target; /* amount once an extension counts */
};

/* See meter_op.c. Looked at by every admission; then what is only shown. */
struct shm_meter {
	struct shm_u128 word;    /* settled + reserved; {epoch:24, writer:8, seq:32} */
	_Atomic uint32_t config; /* version: odd while it changes */
	_Atomic uint32_t granted;
	_Atomic int64_t limit;
	struct shm_u128 remote;    /* used by other nodes; {epoch:24, version:40}; one writer */
	struct shm_u128 allowance; /* sum of grants, likewise */
	/* what people are shown: written by writerd alone */
	struct shm_u128 settled; /* fold of rows; {epoch:24, version:40} */
	_Atomic uint64_t owner;  /* keyed hash of whose meter it is; 0: free */
	uint8_t reserved[40];
};
