/*
 * The words of the clock of windows. Included by shm/layout.h alone.
 */
#pragma once

#include <stdatomic.h>

#include "shm/wall.h"

/* The clock of windows, see wall.c. */
struct shm_wall_words {
	_Atomic int64_t offset_ns[SHM_WALL_CLASSES];
	_Atomic int64_t wall_ns;    /* the wall clock less the time since boot, as last seen */
	_Atomic int64_t updated_ns; /* time since boot */
	_Atomic uint32_t set;       /* the words were written once */
	uint8_t reserved[60];
};
