/*
 * Rows of refused requests: which may be written. Called by record.c for each refusal of somebody
 * known. Must never let one client's refusals take the place of all others'.
 */
#include "proxyd/record/refused.h"

#include "common/base/bucket.h"

bool refused_may_have_row(struct refused_rows *r, uint64_t who, int64_t now_ms)
{
	const int64_t room_ms = (int64_t)REFUSED_OF_ONE * REFUSED_OF_ONE_STEP_MS,
		      all_room_ms = (int64_t)REFUSED_OF_ALL * REFUSED_OF_ALL_STEP_MS;
	int64_t *one_ms = &r->of_one_ms[who % REFUSED_BUCKETS];

	if (bf_bucket_lacks(*one_ms, now_ms, REFUSED_OF_ONE_STEP_MS, room_ms) > 0 ||
	    bf_bucket_lacks(r->of_all_ms, now_ms, REFUSED_OF_ALL_STEP_MS, all_room_ms) > 0)
		return false;
	*one_ms = bf_bucket_less(*one_ms, now_ms, REFUSED_OF_ONE_STEP_MS);
	r->of_all_ms = bf_bucket_less(r->of_all_ms, now_ms, REFUSED_OF_ALL_STEP_MS);
	return true;
}
