/*
 * Choice of a provider key. Called once per request. Must never let a secret out of the
 * configuration except by pointer.
 */
#include "proxyd/provider/key.h"

static bool list_has(const struct bf_array *list, struct bf_slice model)
{
	const struct bf_slice *names = list->items;

	for (uint32_t i = 0; i < list->count; i++) {
		if (bf_slice_is(names[i], "*") || bf_slice_eq(names[i], model))
			return true;
	}
	return false;
}

bool provider_key_is_sendable(const struct bf_conf_provider_key *key)
{
	for (size_t i = 0; i < key->value.len; i++) {
		unsigned char ch = (unsigned char)key->value.ptr[i];
		if (ch <= ' ' || ch >= 0x7f)
			return false;
	}
	return true;
}

static bool key_admits(const struct bf_conf_provider_key *key, struct bf_slice model)
{
	if (!key->enabled || !provider_key_is_sendable(key) ||
	    list_has(&key->blacklisted_models, model))
		return false;
	return key->models.count == 0 || list_has(&key->models, model);
}

/* One of the admitting keys, each having its share of the sum of shares. */
static const struct bf_conf_provider_key *
key_draw(const struct bf_conf_provider *p, struct bf_slice model, uint64_t random, bool weighted)
{
	const struct bf_conf_provider_key *keys = p->keys.items;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->keys.count; i++) {
		if (key_admits(&keys[i], model))
			sum += weighted ? (uint64_t)keys[i].weight_micro : 1;
	}
	if (sum == 0)
		return NULL;
	uint64_t at = random % sum;
	for (uint32_t i = 0; i < p->keys.count; i++) {
		uint64_t share = weighted ? (uint64_t)keys[i].weight_micro : 1;
		if (!key_admits(&keys[i], model))
			continue;
		if (at < share)
			return &keys[i];
		at -= share;
	}
	return NULL;
}

enum provider_key_verdict provider_key_choose(const struct bf_conf_provider *p,
					      struct bf_slice model, uint64_t random,
					      const struct bf_conf_provider_key **ret_key)
{
	*ret_key = NULL;
	if (p->keys.count == 0)
		return PROVIDER_KEY_NOT_NEEDED;
	*ret_key = key_draw(p, model, random, true);
	if (!*ret_key)
		*ret_key = key_draw(p, model, random, false);
	return *ret_key ? PROVIDER_KEY_CHOSEN : PROVIDER_KEY_NONE;
}
