/*
 * What a virtual key may do: whether it is in force, and where it may go. Pure: a key as the loader
 * left it in, a verdict out; texts are made only for those who are refused.
 *
 * A provider config names a provider that the key may use, with which models and which of the
 * provider's keys. Without one a provider may be used only with allow_all_providers, and then
 * without restrictions. The deny-list counts before the list of what is allowed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/config.h"

enum decide_state {
	DECIDE_IN_FORCE,
	DECIDE_INACTIVE,
	DECIDE_EXPIRED, /* from expires_at on */
	DECIDE_GONE,    /* that, and delete_after_expire: as if there were none */
};

enum decide_state decide_state(const struct bf_conf_virtual_key *key, int64_t wall_ms);

enum decide_verdict {
	DECIDE_ALLOWED,
	DECIDE_NO_PROVIDERS,   /* it has no provider configs and may use nobody else */
	DECIDE_OTHER_PROVIDER, /* its provider configs are of others */
	DECIDE_MODEL_DENIED,   /* by blacklisted_models */
	DECIDE_OTHER_MODEL,    /* not among allowed_models */
	DECIDE_PROVIDER_KEY,   /* of the keys that would serve, none is in key_ids; not by
				  decide_target(), which knows no keys */
	DECIDE_COUNT,
};

/* It may go anywhere with anything: what most keys are, told without a call. */
static inline bool decide_is_free(const struct bf_conf_virtual_key *key)
{
	return key->provider_configs.count == 0 && key->allow_all_providers;
}

enum decide_verdict decide_target(const struct bf_conf_virtual_key *key, struct bf_slice provider,
				  struct bf_slice model);
/* The ids and names of the provider's keys that it may use; NULL: any. */
const struct bf_array *decide_key_ids(const struct bf_conf_virtual_key *key,
				      struct bf_slice provider);
/* NULL: none. */
const struct bf_conf_provider_config *decide_config(const struct bf_conf_virtual_key *key,
						    struct bf_slice provider);

#define DECIDE_TEXT 320

/* One line for a person: whose fault it is and what to mend. */
void decide_state_text(const struct bf_conf_virtual_key *key, enum decide_state state,
		       char out[DECIDE_TEXT]);
void decide_text(const struct bf_conf_virtual_key *key, struct bf_slice provider,
		 struct bf_slice model, enum decide_verdict verdict, char out[DECIDE_TEXT]);
/* Of an error's body: provider_blocked, model_blocked, provider_key_blocked; NULL: allowed. */
const char *decide_type(enum decide_verdict verdict);
