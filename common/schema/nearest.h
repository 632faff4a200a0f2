/* "Did you mean": the valid name closest to a mistyped one. */
#pragma once

#include "common/base/slice.h"

struct bf_nearest {
	struct bf_slice wanted;
	struct bf_slice best; /* ptr NULL: nothing is close */
	unsigned best_distance;
};

void bf_nearest_init(struct bf_nearest *n, struct bf_slice wanted);
void bf_nearest_offer(struct bf_nearest *n, struct bf_slice candidate);

/*
 * Edits (insert, delete, replace, swap two neighbours) between two names, case, '_' and '-' not
 * counted, so that initialPoolSize equals initial_pool_size. UINT_MAX for names longer than 64
 * bytes.
 */
unsigned bf_name_distance(struct bf_slice a, struct bf_slice b);
