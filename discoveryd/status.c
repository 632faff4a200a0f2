/*
 * What discoveryd answers to a status question. Called by the child runtime. A configuration with
 * cluster_config is refused before any child starts, so there is nothing to look for.
 */
#include "discoveryd/discoveryd.h"

void discoveryd_status(struct bf_child *child, struct bf_array *items, struct bf_arena *arena)
{
	(void)child;
	bf_status_add(items, arena, "sources", "0");
	bf_status_add(items, arena, "peers", "0");
}
