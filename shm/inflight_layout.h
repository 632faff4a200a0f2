/*
 * The in-flight tables' part of the segment. Included by shm/layout.h alone.
 */
#pragma once

#include <stdatomic.h>

#include "shm/inflight.h"
#include "shm/meter_layout.h"

/* Whom a request in flight is with, once that is no longer what its record says. */
struct shm_inflight_key {
	char key_name[48];
	char key_id[48];
	uint32_t attempts;
	uint8_t reserved[28];
};

/* One request in flight. Room is left for further prices. */
struct shm_inflight_entry {
	/* what the holder learns on the way, readable at any time */
	_Atomic uint64_t prompt_tokens;
	_Atomic uint64_t completion_tokens;
	_Atomic int64_t started_wall_ns;
	_Atomic uint32_t flags;
	_Atomic uint32_t meter_state; /* enum shm_meter_state */
	_Atomic uint32_t meter_count;
	uint8_t reserved0[28];
	struct shm_usage_record record; /* stable while the entry is held */
	struct shm_meter_entry meters[SHM_METERS_PER_REQUEST];
	/* 1e-12 dollars per token; 0: no price is known */
	_Atomic int64_t input_pusd, output_pusd;
	uint8_t reserved_prices[176];
	/* 0: the record's own; else 1 + which of keys is true */
	_Atomic uint32_t key_now;
	uint8_t reserved1[60];
	struct shm_inflight_key keys[2];
	uint8_t reserved2[256];
};
