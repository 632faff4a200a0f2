/*
 * No request may meet more limits than can be decided at once. Pure. The bound is not the longest
 * path itself: it takes the most of each kind of owner, so that a change costs a walk over numbers
 * and not a plan of everything.
 */
#pragma once

#include "common/base/err.h"
#include "writerd/entity/entities.h"

/* Notes in x how many limits its object has. */
void entity_count_limits(struct entity *x, const void *object);

/*
 * x is to be put in the place of the one with its id. 0, or BF_E_LIMIT with err: how many a request
 * might meet, and whose they are.
 */
int entity_bound(const struct entities *t, const struct entity *x, struct bf_err *err);
/* How many of providers and of models of everybody a request might meet. */
uint32_t entity_bound_everybody(const struct entities *t);
