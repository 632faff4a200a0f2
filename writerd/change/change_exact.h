/*
 * The longest path that a key's requests can take, exactly: for a change that the bound of
 * entity_bound.h would refuse. Takes a plan of the key and of everybody's limits.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/err.h"
#include "writerd/entity/entities.h"

/* x: a key, or a model config of one; it is to be put in the place of the one with its id. 0, or
 * BF_E_LIMIT and other codes with err: what is too much, and whose. */
int change_exact(const struct entities *t, const struct entity *x, struct bf_arena *arena,
		 struct bf_err *err);
/* The same of what every request meets, with and without a key. */
int change_exact_everybody(const struct entities *t, struct bf_arena *arena, struct bf_err *err);
