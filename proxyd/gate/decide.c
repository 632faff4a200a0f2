/*
 * Decisions about keys. Called once per request for the key's state, and for each target before its
 * limits are looked at. Must never let a model pass that its deny-list names in another spelling.
 */
#include "proxyd/gate/decide.h"

#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/schema/model_list.h"

enum decide_state decide_state(const struct bf_conf_virtual_key *key, int64_t wall_ms)
{
	if (!key->is_active)
		return DECIDE_INACTIVE;
	if (!bf_is_expired(key->expires_at_ms, wall_ms))
		return DECIDE_IN_FORCE;
	return key->delete_after_expire ? DECIDE_GONE : DECIDE_EXPIRED;
}

/* ---- where it may go */

const struct bf_conf_provider_config *decide_config(const struct bf_conf_virtual_key *key,
						    struct bf_slice provider)
{
	const struct bf_conf_provider_config *configs = key->provider_configs.items;

	for (uint32_t i = 0; i < key->provider_configs.count; i++) {
		if (bf_slice_eq(configs[i].provider, provider))
			return &configs[i];
	}
	return NULL;
}

enum decide_verdict decide_target(const struct bf_conf_virtual_key *key, struct bf_slice provider,
				  struct bf_slice model)
{
	const struct bf_conf_provider_config *config;

	if (key->provider_configs.count == 0)
		return key->allow_all_providers ? DECIDE_ALLOWED : DECIDE_NO_PROVIDERS;
	config = decide_config(key, provider);
	if (!config)
		return key->allow_all_providers ? DECIDE_ALLOWED : DECIDE_OTHER_PROVIDER;
	if (bf_models_deny(&config->blacklisted_models, provider, model))
		return DECIDE_MODEL_DENIED;
	return bf_models_allow(&config->allowed_models, provider, model) ? DECIDE_ALLOWED
									 : DECIDE_OTHER_MODEL;
}

const struct bf_array *decide_key_ids(const struct bf_conf_virtual_key *key,
				      struct bf_slice provider)
{
	const struct bf_conf_provider_config *config = decide_config(key, provider);
	const struct bf_slice *ids;

	if (!config)
		return NULL;
	ids = config->key_ids.items;
	for (uint32_t i = 0; i < config->key_ids.count; i++) {
		if (bf_slice_is(ids[i], "*"))
			return NULL;
	}
	return &config->key_ids;
}

/* ---- what is said about it */

/* Names are cut: a text has room for all of them. */
#define NAME(text)  (int)BF_MIN((text).len, 48u), ((text).ptr ? (text).ptr : "")
#define MODEL(text) (int)BF_MIN((text).len, 64u), ((text).ptr ? (text).ptr : "")

void decide_state_text(const struct bf_conf_virtual_key *key, enum decide_state state,
		       char out[DECIDE_TEXT])
{
	time_t at = (time_t)(key->expires_at_ms / 1000);
	char when[32] = "";
	struct tm tm;

	if (state == DECIDE_INACTIVE) {
		(void)snprintf(out, DECIDE_TEXT,
			       "virtual key \"%.*s\" is inactive: set its is_active to true",
			       NAME(key->own.name));
		return;
	}
	if (gmtime_r(&at, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)snprintf(out, DECIDE_TEXT,
		       "virtual key \"%.*s\" expired at %s: set a later expires_at, or use "
		       "another key",
		       NAME(key->own.name), when);
}

static const struct {
	const char *type, *why;
	bool names_model;
} verdicts[DECIDE_COUNT] = {
    [DECIDE_NO_PROVIDERS] = {"provider_blocked",
			     "it has no provider_configs; add one for the provider, or set "
			     "allow_all_providers",
			     false},
    [DECIDE_OTHER_PROVIDER] = {"provider_blocked",
			       "none of its provider_configs is for it; add one, or set "
			       "allow_all_providers",
			       false},
    [DECIDE_MODEL_DENIED] = {"model_blocked", "it is in blacklisted_models of its provider config",
			     true},
    [DECIDE_OTHER_MODEL] = {"model_blocked",
			    "it is not in allowed_models of its provider config; add it there",
			    true},
    [DECIDE_PROVIDER_KEY] = {"provider_key_blocked",
			     "none of the provider's keys that would serve it is in key_ids of "
			     "its provider config; add one",
			     true},
};

const char *decide_type(enum decide_verdict verdict)
{
	return verdicts[verdict].type;
}

void decide_text(const struct bf_conf_virtual_key *key, struct bf_slice provider,
		 struct bf_slice model, enum decide_verdict verdict, char out[DECIDE_TEXT])
{
	const char *why = verdicts[verdict].why;

	if (verdicts[verdict].names_model)
		(void)snprintf(out, DECIDE_TEXT,
			       "virtual key \"%.*s\" may not use model \"%.*s\" of provider "
			       "\"%.*s\": %s",
			       NAME(key->own.name), MODEL(model), NAME(provider), why);
	else
		(void)snprintf(out, DECIDE_TEXT,
			       "virtual key \"%.*s\" may not use provider \"%.*s\": %s",
			       NAME(key->own.name), NAME(provider), why);
}
