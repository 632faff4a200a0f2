/* Counts durations for report.c. Pure; adding is a shift and two additions. */
#include "tests/support/loadgen/hist.h"

#include "common/base/macros.h"

#define STEPS (1u << HIST_STEP_BITS)

static uint32_t bucket_of(uint64_t value)
{
	uint32_t shift;

	if (value >= 1ull << HIST_TOP_BITS)
		value = (1ull << HIST_TOP_BITS) - 1;
	if (value < 2 * STEPS)
		return (uint32_t)value;
	shift = 63 - HIST_STEP_BITS - (uint32_t)__builtin_clzll(value);
	return shift * STEPS + (uint32_t)(value >> shift);
}

static uint64_t top_of(uint32_t bucket)
{
	uint32_t shift = bucket / STEPS;

	if (bucket < 2 * STEPS)
		return bucket;
	shift--;
	return (((uint64_t)(bucket - shift * STEPS) + 1) << shift) - 1;
}

void hist_add(struct hist *h, uint64_t value)
{
	h->counts[bucket_of(value)]++;
	h->total++;
	h->sum += (double)value;
	h->max = BF_MAX(h->max, value);
}

uint64_t hist_quantile(const struct hist *h, uint32_t per_million)
{
	/* In two parts: the product itself may not fit. */
	uint64_t rank = h->total / 1000000 * per_million +
			(h->total % 1000000 * per_million + 999999) / 1000000;
	uint64_t seen = 0;

	if (!h->total)
		return 0;
	rank = BF_MAX(rank, 1);
	for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen >= rank)
			return BF_MIN(top_of(i), h->max);
	}
	return h->max;
}
