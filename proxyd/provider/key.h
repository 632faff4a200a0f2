/* Which key of a provider serves a request. */
#pragma once

#include <stdint.h>

#include "common/schema/config.h"

enum provider_key_verdict {
	PROVIDER_KEY_CHOSEN,
	PROVIDER_KEY_NOT_NEEDED, /* the provider has no keys: none is sent */
	PROVIDER_KEY_NONE,       /* none is enabled, usable and admits the model */
};

/*
 * Among the keys that admit the model (blacklisted_models win over models; none or "*" are all), by
 * weight; random is uniform over 64 bits. Keys of weight 0 serve only when all have weight 0.
 */
enum provider_key_verdict provider_key_choose(const struct bf_conf_provider *p,
					      struct bf_slice model, uint64_t random,
					      const struct bf_conf_provider_key **ret_key);

/* Can it stand in a header? */
bool provider_key_is_sendable(const struct bf_conf_provider_key *key);
