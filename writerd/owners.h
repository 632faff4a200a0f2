/*
 * Whose a row is: the virtual keys of the plan by their ids, so that each row gets its team and its
 * customer by one look. Refers to the plan, which must outlive it.
 */
#pragma once

#include <stdint.h>

#include "common/govern/plan.h"
#include "writerd/row.h"

struct owners {
	const struct bf_plan *plan;
	uint32_t *places; /* 1 + number of the key; 0: none */
	uint32_t place_count;
};

/* 0 or -ENOMEM. */
int owners_init(struct owners *o, const struct bf_plan *plan);
void owners_done(struct owners *o);

/* id as rows have it: its first bytes when it is longer. NULL: no such key. Of several keys whose
 * ids begin alike for that long, the first. */
const struct bf_plan_key *owners_find(const struct owners *o, struct bf_slice id);

/* Team and customer of a rendered row; none (and o may be NULL) when its key is not known. */
void owners_fill(const struct owners *o, struct row *row);
