/*
 * How many refused requests may have a row: a client over its limit asks again and again, and must
 * not fill the store that others' rows need. Buckets that fill by the time, one for those who share
 * a number and one for all of this worker. Pure: now is given.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/macros.h"

#define REFUSED_OF_ONE         20u   /* at once */
#define REFUSED_OF_ONE_STEP_MS 1000  /* until there is one more */
#define REFUSED_OF_ALL         1000u /* the same of all */
#define REFUSED_OF_ALL_STEP_MS 20
#define REFUSED_BUCKETS        256u

/* All zero: all are full. */
struct refused_rows {
	int64_t of_all_ms, of_one_ms[REFUSED_BUCKETS]; /* as in common/base/bucket.h */
};

/* May this one have a row? Then it has had it. who: a hash; a few may share a bucket. */
bool refused_may_have_row(struct refused_rows *r, uint64_t who, int64_t now_ms) BF_MUST_CHECK;
