/* State of bifrost-clusterd. */
#pragma once

#include "common/proc/child.h"
#include "shm/segment.h"

struct clusterd {
	struct shm_segment seg;
	char host[65]; /* as uname(1) -n gives it */
};

/* How this node stands in its cluster, for `bifrostctl status`. */
void clusterd_status(struct bf_child *child, struct bf_array *items, struct bf_arena *arena);
