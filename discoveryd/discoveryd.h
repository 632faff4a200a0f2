/* State of bifrost-discoveryd. */
#pragma once

#include "common/proc/child.h"
#include "shm/segment.h"

struct discoveryd {
	struct shm_segment seg;
};

/* Where peers are looked for, for `bifrostctl status`. */
void discoveryd_status(struct bf_child *child, struct bf_array *items, struct bf_arena *arena);
