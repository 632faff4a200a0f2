/* The bytes of counters by name: included by layout.h alone. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "shm/series.h"

/* A name that has counters of its own; see series.c. */
#define SHM_SERIES_TEXT_WORDS 16u
struct shm_series_place {
	_Atomic uint64_t identity; /* keyed hash; 0: free; never freed again */
	_Atomic uint32_t named;    /* text and method are whole */
	_Atomic uint32_t method;
	_Atomic uint64_t text[SHM_SERIES_TEXT_WORDS];
	uint8_t reserved[112];
};
_Static_assert(sizeof(struct shm_series_place) == 256, "layout 3");

/* A slot's numbers. */
struct shm_series_shard {
	_Atomic int64_t value[SHM_SERIES][SHM_SERIES_NUMBERS];
};
_Static_assert(sizeof(struct shm_series_shard) == 16384, "layout 3");
