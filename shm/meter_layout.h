/*
 * The meters' part of the segment. Included by shm/layout.h alone.
 */
#pragma once

#include "shm/cas128.h"
#include "shm/meter.h"

/* One meter of a request in flight: the holder's alone, after its death the sweeper's. */
struct shm_meter_entry {
	_Atomic uint32_t meter;
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
	_Atomic uint64_t owner;  /* what searches compare, see meter_directory.c */
	_Atomic uint64_t claim;  /* the identity whose place it is; 0: nobody's */
	_Atomic uint32_t place;  /* enum meter_place */
	_Atomic uint32_t quantity;
	_Atomic uint64_t
	    resets; /* of its usage, that `settled` and `missed` know; {epoch:24, count:40} */
	/* charged by rows whose workers did not know this meter, less what was forgiven;
	 * {epoch:24, version:40}. Looked at only where `granted` says so: it lies beyond the line
	 * that admissions read. */
	struct shm_u128 missed;
};

/* What `granted` says. */
#define METER_GRANTED 1u /* the allowance bounds the limit */
#define METER_MISSED  2u /* the word `missed` may hold something */

#define SHM_METER_PAGE 32u /* meters to a page of memory */

/* Which pages of meters were ever used: others are not to be touched, even by reading. */
struct shm_meter_map {
	_Atomic uint64_t pages[SHM_METERS / SHM_METER_PAGE / 64];
};
