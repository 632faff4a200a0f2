/* Models without a provider, for keys whose provider configs have weights: each config gets its
 * share of such requests, the others are its fallbacks. */
#pragma once

#include "proxyd/exchange.h"
#include "proxyd/provider/provider.h"

struct infer_share {
	struct bf_slice provider;
	int64_t weight_micro; /* 0: only when all have 0 */
};

/*
 * Pure: brings them into the order in which they are tried. The first is drawn, each by its share
 * of the sum; the others follow by descending weight, those of one weight as they stood. random is
 * uniform over 64 bits.
 */
void infer_shares_order(struct infer_share *shares, uint32_t count, uint64_t random);

/*
 * The provider configs of x's key that have a weight, admit the model, and whose provider has a key
 * for it, ordered, as targets. Returns how many: up to max, 0 where there are none, and where
 * memory is out. Nothing is looked at but the configuration: not limits, nor whether anybody is up.
 */
uint32_t infer_weights(struct exchange *x, struct bf_slice model, const struct provider_set *set,
		       struct exchange_target *ret_targets, uint32_t max);

/* Does any of a key's provider configs admit the model, whatever its weight? */
bool infer_weights_admit(const struct bf_conf_virtual_key *key, struct bf_slice model);
