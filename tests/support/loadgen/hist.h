/*
 * Log-linear histogram of durations: exact below 2,048, then 1,024 steps per doubling (three digits
 * hold), up to 2^42 ns (73 minutes; what is longer counts as that).
 */
#pragma once

#include <stdint.h>

#define HIST_STEP_BITS 10
#define HIST_TOP_BITS  42
#define HIST_BUCKETS   ((HIST_TOP_BITS - HIST_STEP_BITS + 1) << HIST_STEP_BITS)

struct hist {
	uint64_t counts[HIST_BUCKETS];
	uint64_t total;
	uint64_t max; /* exact */
	double sum;
};

void hist_add(struct hist *h, uint64_t value);
/*
 * The value that a share of per_million of all values does not exceed (nearest rank), as the upper
 * edge of its step, never above max. 0 when nothing was added.
 */
uint64_t hist_quantile(const struct hist *h, uint32_t per_million);
