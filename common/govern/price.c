/*
 * Prices. Called by proxyd for every request of a key with a budget, and when one is settled. Must
 * never round more than once, nor use floating point.
 */
#include "common/govern/price.h"

__extension__ typedef unsigned __int128 u128;

#define PUSD_PER_NUSD 1000u

/* '*' stands for any text; the last one met may always take a byte more. */
static bool wildcard_fits(struct bf_slice pattern, struct bf_slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = p++;
			resume = t;
		} else if (p < pattern.len && pattern.ptr[p] == text.ptr[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

/* The smaller the better; 0: does not fit. */
static int rank_of(const struct bf_conf_pricing_override *o, struct bf_slice provider,
		   struct bf_slice model)
{
	bool global = o->provider_id.len == 0;
	bool exact = o->match_type == BF_PRICE_EXACT;

	if (!global && !bf_slice_eq(o->provider_id, provider))
		return 0;
	if (exact ? !bf_slice_eq(o->pattern, model) : !wildcard_fits(o->pattern, model))
		return 0;
	return 1 + (global ? 2 : 0) + (exact ? 0 : 1);
}

const struct bf_conf_price *bf_price_find(const struct bf_conf_governance *governance,
					  struct bf_slice provider, struct bf_slice model)
{
	const struct bf_conf_pricing_override *items = governance->pricing_overrides.items;
	const struct bf_conf_price *best = NULL;
	int best_rank = 0;

	for (uint32_t i = 0; i < governance->pricing_overrides.count && best_rank != 1; i++) {
		int rank = rank_of(&items[i], provider, model);

		if (rank == 0 || (best && rank >= best_rank))
			continue;
		best = &items[i].pricing_patch;
		best_rank = rank;
	}
	return best;
}

/* No price is negative, so three products of 64 and 63 bits, two of which share the prompt's
 * tokens, stay below 2^128. */
static u128 product(uint64_t tokens, int64_t pusd)
{
	return pusd > 0 ? (u128)tokens * (uint64_t)pusd : 0;
}

int64_t bf_price_cost_nusd(const struct bf_conf_price *price, uint64_t prompt_tokens,
			   uint64_t completion_tokens, uint64_t cached_tokens)
{
	uint64_t cached = cached_tokens < prompt_tokens ? cached_tokens : prompt_tokens;
	int64_t cached_pusd = price->cache_read_input_token_cost_pusd;

	if (cached_pusd == BF_PRICE_AS_INPUT)
		cached_pusd = price->input_cost_per_token_pusd;
	u128 pusd = product(prompt_tokens - cached, price->input_cost_per_token_pusd) +
		    product(cached, cached_pusd) +
		    product(completion_tokens, price->output_cost_per_token_pusd);
	u128 nusd = pusd / PUSD_PER_NUSD + (pusd % PUSD_PER_NUSD >= PUSD_PER_NUSD / 2);
	return nusd > INT64_MAX ? INT64_MAX : (int64_t)nusd;
}
