/*
 * Keys of a provider: which may serve a request, which one does, and how they fare. Called by the
 * gate before each attempt and after it. Must never let a secret out of the configuration except by
 * pointer: what stands in shared memory is a keyed hash.
 */
#include "proxyd/provider/key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/siphash.h"
#include "common/schema/model_list.h"
#include "proxyd/worker.h"

/* ---- who may */

bool provider_key_is_sendable(const struct bf_conf_provider_key *key)
{
	return bf_slice_is_visible(key->value);
}

struct key_set provider_keys_usable(const struct bf_conf_provider *p)
{
	const struct bf_conf_provider_key *keys = p->keys.items;
	struct key_set set = {{0}};

	for (uint32_t i = 0; i < p->keys.count && i < KEY_MAX; i++) {
		if (keys[i].enabled && provider_key_is_sendable(&keys[i]))
			key_set_add(&set, (int)i);
	}
	return set;
}

static bool key_admits(const struct bf_conf_provider *p, const struct bf_conf_provider_key *key,
		       struct bf_slice model)
{
	/* Looked at before the provider's name is: this is paid per key and request. */
	if (key->vllm.model_name.len && !bf_slice_eq(key->vllm.model_name, model) &&
	    bf_conf_key_server(p, key) == &key->vllm)
		return false;
	if (key->blacklisted_models.count &&
	    bf_models_deny(&key->blacklisted_models, p->name, model))
		return false;
	return key->models.count == 0 || bf_models_allow(&key->models, p->name, model);
}

/* Index of the pinned key; -1: there is none of that id or name. */
static int key_pinned(const struct bf_conf_provider *p, const struct provider_key_pin *pin)
{
	const struct bf_conf_provider_key *keys = p->keys.items;

	for (uint32_t i = 0; i < p->keys.count && i < KEY_MAX; i++) {
		if (pin->id.len ? bf_slice_eq(keys[i].id, pin->id)
				: bf_slice_eq(keys[i].name, pin->name))
			return (int)i;
	}
	return -1;
}

static enum provider_key_verdict candidates_pinned(const struct bf_conf_provider *p,
						   const struct key_set *usable,
						   struct bf_slice model,
						   const struct provider_key_pin *pin,
						   struct key_set *ret_keys)
{
	const struct bf_conf_provider_key *keys = p->keys.items;
	int i = key_pinned(p, pin);

	if (i < 0)
		return PROVIDER_KEY_PIN_UNKNOWN;
	if (!key_set_has(usable, i) || !key_admits(p, &keys[i], model))
		return PROVIDER_KEY_PIN_UNFIT;
	key_set_add(ret_keys, i);
	return PROVIDER_KEY_SOME;
}

enum provider_key_verdict provider_key_candidates(const struct bf_conf_provider *p,
						  const struct key_set *usable,
						  struct bf_slice model,
						  const struct provider_key_pin *pin,
						  struct key_set *ret_keys)
{
	const struct bf_conf_provider_key *keys = p->keys.items;
	bool any = false;

	*ret_keys = (struct key_set){{0}};
	if (pin->id.len || pin->name.len)
		return candidates_pinned(p, usable, model, pin, ret_keys);
	for (int i = key_set_next(usable, 0); i >= 0; i = key_set_next(usable, i + 1)) {
		if (key_admits(p, &keys[i], model)) {
			key_set_add(ret_keys, i);
			any = true;
		}
	}
	if (any)
		return PROVIDER_KEY_SOME;
	/* One that was made without its keys is not asked without one. */
	if (p->keys.count == 0 ? !bf_provider_needs_key(p) : p->custom_provider_config.is_key_less)
		return PROVIDER_KEY_NOT_NEEDED;
	return PROVIDER_KEY_NONE;
}

struct key_set provider_keys_listed(const struct bf_conf_provider *p, const struct bf_array *ids)
{
	const struct bf_conf_provider_key *keys = p->keys.items;
	const struct bf_slice *list = ids->items;
	struct key_set set = {{0}};

	for (uint32_t i = 0; i < p->keys.count && i < KEY_MAX; i++) {
		for (uint32_t k = 0; k < ids->count; k++) {
			if (bf_slice_eq(list[k], keys[i].id) || bf_slice_eq(list[k], keys[i].name))
				key_set_add(&set, (int)i);
		}
	}
	return set;
}

enum provider_key_verdict
provider_key_candidates_of(const struct bf_conf_provider *p, const struct key_set *usable,
			   const struct bf_array *ids, struct bf_slice model,
			   const struct provider_key_pin *pin, struct key_set *ret_keys)
{
	enum provider_key_verdict all = provider_key_candidates(p, usable, model, pin, ret_keys);
	bool pinned = pin->id.len || pin->name.len;
	struct key_set listed;

	if (!ids)
		return all;
	listed = provider_keys_listed(p, ids);
	/* Whether there are other keys is nobody's business who may not use them. */
	if (pinned && !key_set_has(&listed, key_pinned(p, pin))) {
		*ret_keys = (struct key_set){{0}};
		return PROVIDER_KEY_BLOCKED;
	}
	if (all != PROVIDER_KEY_SOME)
		return all;
	*ret_keys = key_set_common(ret_keys, &listed);
	return key_set_next(ret_keys, 0) >= 0 ? PROVIDER_KEY_SOME : PROVIDER_KEY_BLOCKED;
}

/* ---- who does */

static int draw_coolest(const struct key_set *from, const int64_t *cooling_until)
{
	int best = key_set_next(from, 0);

	for (int i = best; i >= 0; i = key_set_next(from, i + 1)) {
		if (cooling_until[i] < cooling_until[best])
			best = i;
	}
	return best;
}

/* Each its share of the sum of shares. -1: the sum is 0. */
static int draw_share(const struct bf_conf_provider *p, const struct key_set *from,
		      const int64_t *cooling_until, uint64_t random, bool weighted)
{
	const struct bf_conf_provider_key *keys = p->keys.items;
	uint64_t sum = 0, at = 0;

	for (int turn = 0; turn < 2; turn++) {
		for (int i = key_set_next(from, 0); i >= 0; i = key_set_next(from, i + 1)) {
			uint64_t share = weighted ? (uint64_t)keys[i].weight_micro : 1;
			if (cooling_until && cooling_until[i])
				continue;
			if (turn == 0)
				sum += share;
			else if (at < share)
				return i;
			else
				at -= share;
		}
		if (sum == 0)
			return -1;
		at = random % sum;
	}
	return -1;
}

int provider_key_draw(const struct bf_conf_provider *p, const struct key_set *from,
		      const int64_t *cooling_until, uint64_t random)
{
	int key = draw_share(p, from, cooling_until, random, true);

	if (key < 0)
		key = draw_share(p, from, cooling_until, random, false);
	if (key < 0 && cooling_until)
		key = draw_coolest(from, cooling_until);
	return key;
}

/* ---- how they fare */

static uint64_t hash_text(const uint8_t *secret, struct bf_slice text)
{
	return bf_siphash(secret, text.ptr, text.len);
}

/* Provider, id and secret: a key whose secret was changed is another one. */
static uint64_t key_identity(const uint8_t *secret, const struct bf_conf_provider *p,
			     const struct bf_conf_provider_key *key)
{
	const uint64_t parts[] = {hash_text(secret, p->name), hash_text(secret, key->id),
				  hash_text(secret, key->value)};

	return bf_siphash(secret, parts, sizeof(parts));
}

void provider_keys_without_health(struct provider_keys *keys, const struct bf_conf_provider *p)
{
	*keys = (struct provider_keys){.usable = provider_keys_usable(p)};
}

int provider_keys_open(struct provider_keys *keys, const struct bf_conf_provider *p,
		       struct worker *w)
{
	const struct bf_conf_provider_key *conf = p->keys.items;
	const uint8_t *secret = shm_segment_secret(w->seg);
	int64_t now = bf_mono_ms();

	provider_keys_without_health(keys, p);
	if (p->keys.count == 0)
		return 0;
	keys->health = calloc(p->keys.count, sizeof(keys->health[0]));
	if (!keys->health)
		return -ENOMEM;
	keys->count = BF_MIN(p->keys.count, KEY_MAX);
	for (uint32_t i = 0; i < keys->count; i++) {
		keys->health[i] = shm_key_find(w->seg, key_identity(secret, p, &conf[i]), now);
		if (keys->health[i].index < 0)
			worker_count(w, SHM_M_KEYS_UNTRACKED);
	}
	return 0;
}

void provider_keys_close(struct provider_keys *keys)
{
	free(keys->health);
	*keys = (struct provider_keys){.count = 0};
}

void provider_keys_cooling(const struct provider_keys *keys, const struct worker *w,
			   const struct key_set *of, int64_t now_mono_ms,
			   int64_t cooling_until[KEY_MAX])
{
	for (int i = key_set_next(of, 0); i >= 0; i = key_set_next(of, i + 1))
		cooling_until[i] =
		    (uint32_t)i < keys->count
			? shm_key_cooling_until(w->seg, &keys->health[i], now_mono_ms)
			: 0;
}

void provider_keys_report(struct provider_keys *keys, struct worker *w, int key,
			  const struct shm_key_report *report, int64_t now_mono_ms)
{
	if (key >= 0 && (uint32_t)key < keys->count)
		shm_key_report(w->seg, &keys->health[key], report, now_mono_ms);
}
