/*
 * What a call costs. Prices are integers of 1e-12 dollars, multiplied in 128 bits and rounded once
 * per request, half up, to nano-dollars. No floating point.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/config.h"

/* Where a provider serves a request. */
enum bf_service_tier {
	BF_TIER_STANDARD,
	BF_TIER_PRIORITY,
	BF_TIER_FLEX,
	BF_TIER_BATCH,
	BF_TIERS,
};

/* By service_tier of a request or an answer; what it does not know is standard. */
enum bf_service_tier bf_service_tier_of(struct bf_slice name);

/* What is paid for. Parts that would be more than what they are part of count as all of it. */
struct bf_price_usage {
	uint64_t prompt_tokens, completion_tokens;
	uint64_t cached_read;      /* of the prompt's tokens */
	uint64_t cached_write;     /* of its others */
	uint64_t cached_write_1hr; /* of cached_write; never cheaper than the rest of it */
	uint64_t audio_prompt;     /* of the prompt's that were neither read nor written */
	uint64_t audio_completion; /* of the answer's tokens */
	uint64_t reasoning;        /* of its others */
	uint64_t searches;
	enum bf_service_tier tier;
	int64_t reported_nusd; /* what the provider itself says that it costs; 0: it does not */
};

/* A price of which only these are given; BF_PRICE_NOT_GIVEN is allowed. */
struct bf_conf_price bf_price_of(int64_t input_pusd, int64_t output_pusd, int64_t cache_read_pusd);
/* Nothing is given. */
#define BF_PRICE_NONE bf_price_of(BF_PRICE_NOT_GIVEN, BF_PRICE_NOT_GIVEN, BF_PRICE_NOT_GIVEN)

/* Does it say what a request costs: its input and, unless it embeds, its output, or the request as
 * such? */
bool bf_price_is_whole(const struct bf_conf_price *price, bool embeds);
/* What patch gives, else what base does. ret_price may be one of them. */
void bf_price_patch(const struct bf_conf_price *base, const struct bf_conf_price *patch,
		    struct bf_conf_price *ret_price);

/*
 * The rate of a token, at least 0. The whole request is charged at one rate: with more than 272,000
 * tokens, else more than 200,000, else more than 128,000, at the highest of these that the price
 * has. flex and batch have one rate whatever the tokens. priority: at each of these steps first its
 * own rate; below all of them its plain one. What is not given is as the standard tier; tokens read
 * from or written to the cache without a rate of their own are as any input.
 */
int64_t bf_price_rate(const struct bf_conf_price *price, enum bf_price_kind kind,
		      enum bf_service_tier tier, uint64_t total_tokens);

/* Nano-dollars; INT64_MAX where it would be more. */
int64_t bf_price_cost_nusd(const struct bf_conf_price *price, const struct bf_price_usage *usage);

/*
 * The most that a request can cost at a price, whatever its tier is and whatever of its prompt is
 * read from or written to the cache; without searches, which nobody can tell before. By the tokens
 * that it may have: up to 128,000, 200,000, 272,000, more.
 */
#define BF_PRICE_BANDS 4u
struct bf_price_bound {
	int64_t input_pusd[BF_PRICE_BANDS], output_pusd[BF_PRICE_BANDS]; /* never fall */
	int64_t request_pusd;
};

void bf_price_bound_of(const struct bf_conf_price *price, struct bf_price_bound *ret_bound);
/* The higher of both in everything. */
void bf_price_bound_widen(struct bf_price_bound *bound, const struct bf_price_bound *other);
/*
 * At least bf_price_cost_nusd of any usage with at most so many tokens, no searches and no cost of
 * the provider's; grows with both. INT64_MAX where it would be more.
 */
int64_t bf_price_bound_nusd(const struct bf_price_bound *bound, uint64_t prompt_tokens,
			    uint64_t completion_tokens);
