/*
 * Shares of providers. Called for models that name no provider, and when such a request is
 * explained. Must never send a key's request where its lists do not admit the model.
 */
#include "proxyd/gate/infer_weights.h"

#include <string.h>

#include "common/base/rand.h"
#include "proxyd/gate/decide.h"

/* ---- the order */

/* Index of the one whose turn it is. */
static uint32_t share_draw(const struct infer_share *shares, uint32_t count, uint64_t random)
{
	uint64_t sum = 0, at;

	for (uint32_t i = 0; i < count; i++)
		sum += (uint64_t)shares[i].weight_micro;
	if (sum == 0)
		return (uint32_t)(random % count);
	at = random % sum;
	for (uint32_t i = 0; i < count; i++) {
		if (at < (uint64_t)shares[i].weight_micro)
			return i;
		at -= (uint64_t)shares[i].weight_micro;
	}
	return 0;
}

/* The share at `from` comes to `to`, before it; those between move up by one. */
static void share_move(struct infer_share *shares, uint32_t from, uint32_t to)
{
	struct infer_share moved = shares[from];

	memmove(&shares[to + 1], &shares[to], (from - to) * sizeof(moved));
	shares[to] = moved;
}

void infer_shares_order(struct infer_share *shares, uint32_t count, uint64_t random)
{
	if (count < 2)
		return;
	share_move(shares, share_draw(shares, count, random), 0);
	for (uint32_t i = 2; i < count; i++) {
		uint32_t to = i;

		while (to > 1 && shares[to - 1].weight_micro < shares[i].weight_micro)
			to--;
		share_move(shares, i, to);
	}
}

/* ---- who takes part */

static bool has_key(const struct exchange *x, const struct provider *p, struct bf_slice model)
{
	const struct bf_conf_virtual_key *key = x->virtual_key->conf;
	const struct provider_key_pin pin = {x->pin_key_id, x->pin_key_name};
	struct key_set candidates;

	return provider_key_candidates_of(p->conf, &p->keys.usable,
					  decide_key_ids(key, p->conf->name), model, &pin,
					  &candidates) <= PROVIDER_KEY_NOT_NEEDED;
}

static bool takes_part(const struct exchange *x, const struct provider_set *set,
		       const struct bf_conf_provider_config *config, struct bf_slice model)
{
	const struct provider *p;

	if (config->weight_micro < 0 ||
	    decide_target(x->virtual_key->conf, config->provider, model) != DECIDE_ALLOWED)
		return false;
	p = provider_find(set, config->provider);
	return p && has_key(x, p, model);
}

bool infer_weights_admit(const struct bf_conf_virtual_key *key, struct bf_slice model)
{
	const struct bf_conf_provider_config *configs = key->provider_configs.items;

	for (uint32_t i = 0; i < key->provider_configs.count; i++) {
		if (decide_target(key, configs[i].provider, model) == DECIDE_ALLOWED)
			return true;
	}
	return false;
}

uint32_t infer_weights(struct exchange *x, struct bf_slice model, const struct provider_set *set,
		       struct exchange_target *ret_targets, uint32_t max)
{
	const struct bf_array *list = &x->virtual_key->conf->provider_configs;
	const struct bf_conf_provider_config *configs = list->items;
	struct infer_share *shares = bf_arena_alloc(&x->arena, list->count * sizeof(*shares));
	uint32_t count = 0;
	uint64_t random;

	for (uint32_t i = 0; shares && i < list->count; i++) {
		if (takes_part(x, set, &configs[i], model))
			shares[count++] =
			    (struct infer_share){configs[i].provider, configs[i].weight_micro};
	}
	if (count == 0)
		return 0;
	bf_rand_bytes(&random, sizeof(random));
	infer_shares_order(shares, count, random);
	count = BF_MIN(count, max);
	for (uint32_t i = 0; i < count; i++)
		ret_targets[i] = (struct exchange_target){shares[i].provider, model};
	return count;
}
