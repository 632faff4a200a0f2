/* What nobody will ask for any more goes while writerd runs. Part of registry.h. */
#pragma once

#include "writerd/change/registry.h"

#define REGISTRY_FORGET_MS (INT64_C(31) * 24 * 3600 * 1000) /* a session lives 30 days */
#define REGISTRY_FORGETS   64u                              /* at once */

/*
 * Sessions that were logged out so long ago that they have ended, the oldest first, from the store
 * and from the table: no snapshot is made for it, the next base is without them. Once a second,
 * between groups.
 */
void registry_forget(struct registry *r);
