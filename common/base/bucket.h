/*
 * Buckets of tokens that fill by the time. A bucket is the moment at which it will be full again:
 * that alone says how much is in it, and one of 0 is full. Pure: now is given.
 */
#pragma once

#include <stdint.h>

#include "common/base/macros.h"

/* How long until one fits: one comes back after step_ms, all of them after room_ms. 0: now. */
static inline int64_t bf_bucket_lacks(int64_t full_ms, int64_t now_ms, int64_t step_ms,
				      int64_t room_ms)
{
	return BF_MAX(full_ms - now_ms + step_ms - room_ms, 0);
}

/* The bucket with one less in it. */
static inline int64_t bf_bucket_less(int64_t full_ms, int64_t now_ms, int64_t step_ms)
{
	return BF_MAX(full_ms, now_ms) + step_ms;
}
