/*
 * Costs. Called by proxyd for every request whose price is known: before it, for what it may cost,
 * and after it. Must never round more than once, nor use floating point.
 */
#include "common/govern/price.h"

#include <string.h>

#include "common/base/macros.h"

__extension__ typedef unsigned __int128 u128;

#define PUSD_PER_NUSD 1000u

/* More tokens than this, from the highest step on. */
static const struct {
	uint64_t above;
	enum bf_price_rate rate, priority; /* the same: it has none of its own */
} steps[] = {
    {272000, BF_RATE_ABOVE_272K, BF_RATE_ABOVE_272K_PRIORITY},
    {200000, BF_RATE_ABOVE_200K, BF_RATE_ABOVE_200K_PRIORITY},
    {128000, BF_RATE_ABOVE_128K, BF_RATE_ABOVE_128K},
};
_Static_assert(BF_ARRAY_LEN(steps) + 1 == BF_PRICE_BANDS, "a band below each step, one above");

enum bf_service_tier bf_service_tier_of(struct bf_slice name)
{
	if (bf_slice_is(name, "priority"))
		return BF_TIER_PRIORITY;
	if (bf_slice_is(name, "flex"))
		return BF_TIER_FLEX;
	return bf_slice_is(name, "batch") ? BF_TIER_BATCH : BF_TIER_STANDARD;
}

struct bf_conf_price bf_price_of(int64_t input_pusd, int64_t output_pusd, int64_t cache_read_pusd)
{
	struct bf_conf_price price;

	for (int k = 0; k < BF_PRICE_KINDS; k++)
		for (int r = 0; r < BF_RATES; r++)
			price.token_pusd[k][r] = BF_PRICE_NOT_GIVEN;
	price.cache_write_1hr_pusd = price.request_pusd = price.search_pusd = BF_PRICE_NOT_GIVEN;
	price.audio_input_pusd = price.audio_output_pusd = BF_PRICE_NOT_GIVEN;
	price.reasoning_pusd = BF_PRICE_NOT_GIVEN;
	price.token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN] = input_pusd;
	price.token_pusd[BF_PRICE_OUTPUT][BF_RATE_PLAIN] = output_pusd;
	price.token_pusd[BF_PRICE_CACHE_READ][BF_RATE_PLAIN] = cache_read_pusd;
	return price;
}

bool bf_price_is_whole(const struct bf_conf_price *price, bool embeds)
{
	if (price->request_pusd >= 0)
		return true;
	return price->token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN] >= 0 &&
	       (embeds || price->token_pusd[BF_PRICE_OUTPUT][BF_RATE_PLAIN] >= 0);
}

static int64_t either(int64_t patch, int64_t base)
{
	return patch >= 0 ? patch : base;
}

void bf_price_patch(const struct bf_conf_price *base, const struct bf_conf_price *patch,
		    struct bf_conf_price *ret_price)
{
	for (int k = 0; k < BF_PRICE_KINDS; k++)
		for (int r = 0; r < BF_RATES; r++)
			ret_price->token_pusd[k][r] =
			    either(patch->token_pusd[k][r], base->token_pusd[k][r]);
	ret_price->cache_write_1hr_pusd =
	    either(patch->cache_write_1hr_pusd, base->cache_write_1hr_pusd);
	ret_price->request_pusd = either(patch->request_pusd, base->request_pusd);
	ret_price->search_pusd = either(patch->search_pusd, base->search_pusd);
	ret_price->audio_input_pusd = either(patch->audio_input_pusd, base->audio_input_pusd);
	ret_price->audio_output_pusd = either(patch->audio_output_pusd, base->audio_output_pusd);
	ret_price->reasoning_pusd = either(patch->reasoning_pusd, base->reasoning_pusd);
}

/* The rate that a kind has of its own; BF_PRICE_NOT_GIVEN. */
static int64_t own_rate(const int64_t rates[BF_RATES], enum bf_service_tier tier, uint64_t total)
{
	if (tier == BF_TIER_FLEX && rates[BF_RATE_FLEX] >= 0)
		return rates[BF_RATE_FLEX];
	if (tier == BF_TIER_BATCH && rates[BF_RATE_BATCHES] >= 0)
		return rates[BF_RATE_BATCHES];
	for (size_t i = 0; i < BF_ARRAY_LEN(steps); i++) {
		if (total <= steps[i].above)
			continue;
		if (tier == BF_TIER_PRIORITY && rates[steps[i].priority] >= 0)
			return rates[steps[i].priority];
		if (rates[steps[i].rate] >= 0)
			return rates[steps[i].rate];
	}
	if (tier == BF_TIER_PRIORITY && rates[BF_RATE_PRIORITY] >= 0)
		return rates[BF_RATE_PRIORITY];
	return rates[BF_RATE_PLAIN];
}

int64_t bf_price_rate(const struct bf_conf_price *price, enum bf_price_kind kind,
		      enum bf_service_tier tier, uint64_t total_tokens)
{
	int64_t rate = own_rate(price->token_pusd[kind], tier, total_tokens);

	if (rate < 0 && (kind == BF_PRICE_CACHE_READ || kind == BF_PRICE_CACHE_WRITE))
		rate = own_rate(price->token_pusd[BF_PRICE_INPUT], tier, total_tokens);
	return BF_MAX(rate, (int64_t)0);
}

/* Stays at the most that it can hold. */
static void add(u128 *sum, uint64_t count, int64_t pusd)
{
	u128 product = pusd > 0 ? (u128)count * (uint64_t)pusd : 0;

	if (__builtin_add_overflow(*sum, product, sum))
		*sum = ~(u128)0;
}

static int64_t rounded(u128 pusd)
{
	u128 nusd = pusd / PUSD_PER_NUSD + (pusd % PUSD_PER_NUSD >= PUSD_PER_NUSD / 2);

	return nusd > INT64_MAX ? INT64_MAX : (int64_t)nusd;
}

static uint64_t sum_of(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* It has one rate for all steps: what stays for an hour is never cheaper than what does not. */
static int64_t hour_rate(const struct bf_conf_price *price, int64_t write_pusd)
{
	if (price->cache_write_1hr_pusd > 0)
		return BF_MAX(price->cache_write_1hr_pusd, write_pusd);
	return either(price->cache_write_1hr_pusd, write_pusd);
}

int64_t bf_price_cost_nusd(const struct bf_conf_price *price, const struct bf_price_usage *usage)
{
	uint64_t prompt = usage->prompt_tokens, total = sum_of(prompt, usage->completion_tokens);
	uint64_t read = BF_MIN(usage->cached_read, prompt);
	uint64_t write = BF_MIN(usage->cached_write, prompt - read);
	uint64_t hour = BF_MIN(usage->cached_write_1hr, write);
	uint64_t heard = BF_MIN(usage->audio_prompt, prompt - read - write);
	uint64_t spoken = BF_MIN(usage->audio_completion, usage->completion_tokens);
	uint64_t thought = BF_MIN(usage->reasoning, usage->completion_tokens - spoken);
	int64_t rate[BF_PRICE_KINDS];
	u128 pusd = 0;

	if (usage->reported_nusd > 0)
		return usage->reported_nusd;
	for (int k = 0; k < BF_PRICE_KINDS; k++)
		rate[k] = bf_price_rate(price, (enum bf_price_kind)k, usage->tier, total);
	add(&pusd, prompt - read - write - heard, rate[BF_PRICE_INPUT]);
	add(&pusd, heard, either(price->audio_input_pusd, rate[BF_PRICE_INPUT]));
	add(&pusd, read, rate[BF_PRICE_CACHE_READ]);
	add(&pusd, write - hour, rate[BF_PRICE_CACHE_WRITE]);
	add(&pusd, hour, hour_rate(price, rate[BF_PRICE_CACHE_WRITE]));
	add(&pusd, usage->completion_tokens - spoken - thought, rate[BF_PRICE_OUTPUT]);
	add(&pusd, spoken, either(price->audio_output_pusd, rate[BF_PRICE_OUTPUT]));
	add(&pusd, thought, either(price->reasoning_pusd, rate[BF_PRICE_OUTPUT]));
	add(&pusd, usage->searches, price->search_pusd);
	add(&pusd, 1, price->request_pusd);
	return rounded(pusd);
}

/* ---- the most */

/* A number of tokens within a band. */
static uint64_t total_in(uint32_t band)
{
	return band == 0 ? 0 : steps[BF_ARRAY_LEN(steps) - band].above + 1;
}

static uint32_t band_of(uint64_t total)
{
	uint32_t band = 0;

	while (band + 1 < BF_PRICE_BANDS && total >= total_in(band + 1))
		band++;
	return band;
}

static void bound_raise(const struct bf_conf_price *price, enum bf_service_tier tier, uint32_t band,
			struct bf_price_bound *bound)
{
	static const enum bf_price_kind inputs[] = {BF_PRICE_INPUT, BF_PRICE_CACHE_READ,
						    BF_PRICE_CACHE_WRITE};
	uint64_t total = total_in(band);
	int64_t *input = &bound->input_pusd[band], *output = &bound->output_pusd[band];

	for (size_t i = 0; i < BF_ARRAY_LEN(inputs); i++)
		*input = BF_MAX(*input, bf_price_rate(price, inputs[i], tier, total));
	*input = BF_MAX(*input, BF_MAX(price->cache_write_1hr_pusd, price->audio_input_pusd));
	*output = BF_MAX(*output, bf_price_rate(price, BF_PRICE_OUTPUT, tier, total));
	*output = BF_MAX(*output, BF_MAX(price->audio_output_pusd, price->reasoning_pusd));
}

void bf_price_bound_of(const struct bf_conf_price *price, struct bf_price_bound *ret_bound)
{
	memset(ret_bound, 0, sizeof(*ret_bound));
	ret_bound->request_pusd = BF_MAX(price->request_pusd, (int64_t)0);
	for (uint32_t b = 0; b < BF_PRICE_BANDS; b++) {
		/* It may also take fewer tokens than it may. */
		if (b > 0) {
			ret_bound->input_pusd[b] = ret_bound->input_pusd[b - 1];
			ret_bound->output_pusd[b] = ret_bound->output_pusd[b - 1];
		}
		for (int t = 0; t < BF_TIERS; t++)
			bound_raise(price, (enum bf_service_tier)t, b, ret_bound);
	}
}

void bf_price_bound_widen(struct bf_price_bound *bound, const struct bf_price_bound *other)
{
	for (uint32_t b = 0; b < BF_PRICE_BANDS; b++) {
		bound->input_pusd[b] = BF_MAX(bound->input_pusd[b], other->input_pusd[b]);
		bound->output_pusd[b] = BF_MAX(bound->output_pusd[b], other->output_pusd[b]);
	}
	bound->request_pusd = BF_MAX(bound->request_pusd, other->request_pusd);
}

int64_t bf_price_bound_nusd(const struct bf_price_bound *bound, uint64_t prompt_tokens,
			    uint64_t completion_tokens)
{
	uint32_t band = band_of(sum_of(prompt_tokens, completion_tokens));
	u128 pusd = 0;

	add(&pusd, prompt_tokens, bound->input_pusd[band]);
	add(&pusd, completion_tokens, bound->output_pusd[band]);
	add(&pusd, 1, bound->request_pusd);
	return rounded(pusd);
}
