/*
 * What clusterd answers to a status question. Called by the child runtime. A configuration with
 * cluster_config is refused before any child starts, so a node that runs is a node alone.
 */
#include "clusterd/clusterd.h"

void clusterd_status(struct bf_child *child, struct bf_array *items, struct bf_arena *arena)
{
	const struct clusterd *d = child->daemon;

	bf_status_add(items, arena, "mode", "standalone");
	bf_status_add(items, arena, "members", "1");
	bf_status_add(items, arena, "host", "%s", d->host);
}
