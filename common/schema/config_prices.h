/* What models cost: the prices of a file and of the price sheet. Part of config.h. */
#pragma once

#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/field.h"

enum bf_price_match {
	BF_PRICE_EXACT,
	BF_PRICE_WILDCARD, /* '*' stands for any text */
};

/* Dollars per token, as integers of 1e-12. */
struct bf_conf_price {
	int64_t input_cost_per_token_pusd;
	int64_t output_cost_per_token_pusd;
	int64_t cache_read_input_token_cost_pusd; /* BF_PRICE_AS_INPUT: as any input; the loader
						     writes that price instead */
};

#define BF_PRICE_AS_INPUT (-1)

enum bf_price_scope {
	BF_PRICE_GLOBAL,
	BF_PRICE_PROVIDER,
};

struct bf_conf_pricing_override {
	struct bf_slice id, name;
	int32_t scope_kind;          /* enum bf_price_scope */
	struct bf_slice provider_id; /* scope_kind provider: its name; empty: global */
	int32_t match_type;          /* enum bf_price_match */
	struct bf_slice pattern;     /* of the model's name, without the provider */
	struct bf_conf_price pricing_patch;
};
