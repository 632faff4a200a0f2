/*
 * What a call costs. Prices are integers of 1e-12 dollars per token, multiplied in 128 bits and
 * rounded once per request, half up, to nano-dollars. No floating point.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/config.h"

/*
 * The price of a model (its name without the provider) at a provider. Of the overrides that fit,
 * those of the provider come before global ones; among these an exact pattern before wildcards;
 * among these the one that stands first. NULL: no price is known.
 */
const struct bf_conf_price *bf_price_find(const struct bf_conf_governance *governance,
					  struct bf_slice provider, struct bf_slice model);

/* Nano-dollars; cached_tokens are part of prompt_tokens (more of them count as all). INT64_MAX
 * where it would be more. */
int64_t bf_price_cost_nusd(const struct bf_conf_price *price, uint64_t prompt_tokens,
			   uint64_t completion_tokens, uint64_t cached_tokens);
