/*
 * The ring of keys. Called by govern.c once for each request that carries a key. Must never grow
 * beyond its bounds, show a value, or take longer for one that is nearly right.
 */
#include "proxyd/gate/keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rand.h"
#include "common/base/siphash.h"
#include "common/crypt/seal.h"
#include "common/log/log.h"
#include "proxyd/gate/place.h"

#define SLOTS_FIRST 64u
#define KEY_MAX     (16u << 20) /* of one key, with all that it names */
/* What an arena takes for what it gives, at least and at most. */
#define KEY_BYTES_LEAST 4096u
#define KEY_ROUNDING    2u

int keyring_open(struct keyring *ring)
{
	*ring = (struct keyring){.slot_count = SLOTS_FIRST,
				 .keys_max = KEYRING_KEYS_MAX,
				 .bytes_max = KEYRING_BYTES_MAX};
	bf_rand_bytes(ring->secret, sizeof(ring->secret));
	ring->slots = calloc(ring->slot_count, sizeof(ring->slots[0]));
	return ring->slots ? 0 : -ENOMEM;
}

void keyring_flush(struct keyring *ring)
{
	for (uint32_t s = 0; s < ring->slot_count; s++) {
		keyring_drop(ring->slots[s].key);
		ring->slots[s].key = NULL;
	}
	ring->count = 0;
	ring->bytes = 0;
}

void keyring_close(struct keyring *ring)
{
	if (ring->slots)
		keyring_flush(ring);
	free(ring->slots);
	*ring = (struct keyring){.slots = NULL};
}

/* ---- the table */

static uint32_t home_of(const struct keyring *ring, uint64_t hash)
{
	return (uint32_t)hash & (ring->slot_count - 1);
}

static uint32_t after(const struct keyring *ring, uint32_t slot)
{
	return (slot + 1) & (ring->slot_count - 1);
}

static uint64_t hash_of(const struct keyring *ring, struct bf_slice value)
{
	return bf_siphash(ring->secret, value.ptr, value.len);
}

/* The slot of a value, or the free one where it would go. */
static uint32_t slot_of(const struct keyring *ring, uint64_t hash, struct bf_slice value)
{
	uint32_t s = home_of(ring, hash);

	for (; ring->slots[s].key; s = after(ring, s)) {
		const struct bf_slice *has = &ring->slots[s].key->value;

		if (ring->slots[s].hash == hash && has->len == value.len &&
		    bf_equal_secret(has->ptr, value.ptr, value.len))
			break;
	}
	return s;
}

/* What stands behind it and could stand there moves up, so that every chain stays whole. */
static void close_gap(struct keyring *ring, uint32_t gap)
{
	for (uint32_t s = after(ring, gap); ring->slots[s].key; s = after(ring, s)) {
		uint32_t home = home_of(ring, ring->slots[s].hash);

		/* Not if its home lies behind the gap, on the way round. */
		if (((s - home) & (ring->slot_count - 1)) < ((s - gap) & (ring->slot_count - 1)))
			continue;
		ring->slots[gap] = ring->slots[s];
		gap = s;
	}
	ring->slots[gap].key = NULL;
}

static void take_out(struct keyring *ring, uint32_t slot)
{
	struct keyring_key *key = ring->slots[slot].key;

	close_gap(ring, slot);
	ring->count--;
	ring->bytes -= key->bytes;
	keyring_drop(key);
}

/* Whoever was not asked for again since the hand came by last: what is used once makes way for what
 * is used often. */
static void evict_one(struct keyring *ring)
{
	for (;; ring->hand = after(ring, ring->hand)) {
		struct keyring_key *key = ring->slots[ring->hand].key;

		if (key && !key->used)
			break;
		if (key)
			key->used = false;
	}
	take_out(ring, ring->hand);
	ring->evicted++;
}

/* False: no memory; the table stays as it is. */
static bool grow(struct keyring *ring)
{
	struct keyring old = *ring;

	ring->slots = calloc((size_t)old.slot_count * 2, sizeof(ring->slots[0]));
	if (!ring->slots) {
		ring->slots = old.slots;
		return false;
	}
	ring->slot_count = old.slot_count * 2;
	ring->hand = 0;
	for (uint32_t s = 0; s < old.slot_count; s++) {
		const struct keyring_slot *from = &old.slots[s];
		uint32_t to = home_of(ring, from->hash);

		while (from->key && ring->slots[to].key)
			to = after(ring, to);
		if (from->key)
			ring->slots[to] = *from;
	}
	free(old.slots);
	return true;
}

static void put_in(struct keyring *ring, uint64_t hash, struct keyring_key *key)
{
	while (ring->count &&
	       (ring->count >= ring->keys_max || ring->bytes + key->bytes > ring->bytes_max))
		evict_one(ring);
	while (ring->count * 2 >= ring->slot_count && !grow(ring))
		evict_one(ring);
	ring->slots[slot_of(ring, hash, key->value)] = (struct keyring_slot){hash, key};
	key->refs++;
	ring->count++;
	ring->bytes += key->bytes;
}

/* ---- making one */

/* What is wrong with a key is for people to mend; *ret_broken. What cannot be read is an error. */
static int key_fill(struct keyring_key *key, const struct bf_snapshot *s,
		    const struct bf_entity *entity, bool *ret_broken, struct bf_err *err)
{
	struct bf_config config;
	int r = bf_snapshot_key_config(s, entity, &key->arena, &config, &key->parts, err);

	*ret_broken = r == BF_E_UNKNOWN;
	if (r == 0 && (entity->flags & BF_ENTITY_QUARANTINED)) {
		*ret_broken = true;
		return bf_err_set(err, BF_E_UNKNOWN,
				  "virtual key \"%.*s\" names what does not exist: mend it",
				  BF_SLICE_FMT(entity->id));
	}
	if (r < 0)
		return r;
	r = bf_plan_make(&key->plan, &config, &key->arena, err);
	*ret_broken = r < 0 && r != -ENOMEM;
	return r;
}

int keyring_make(const struct bf_snapshot *s, const struct bf_entity *entity, struct bf_slice value,
		 struct keyring_key **ret_key)
{
	struct keyring_key key = {.refs = 1}, *made;
	struct bf_err err = {0};
	bool broken = false;
	int r;

	bf_arena_init_nodump(&key.arena, KEY_MAX);
	made = bf_arena_alloc(&key.arena, sizeof(*made));
	key.value = bf_arena_dup(&key.arena, value);
	r = made && key.value.ptr ? key_fill(&key, s, entity, &broken, &err) : -ENOMEM;
	if (broken) {
		key.broken = bf_arena_printf(&key.arena, "%s", err.text);
		r = key.broken ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = places_make(&key.plan, &key.arena);
	if (r < 0) {
		bf_arena_done(&key.arena);
		if (r != -ENOMEM)
			bf_log(BF_LOG_ERROR, "virtual_key_unreadable", "reason=%s",
			       bf_log_quote(err.text));
		return r;
	}
	key.bytes = BF_MAX(KEY_ROUNDING * key.arena.used_bytes, (size_t)KEY_BYTES_LEAST);
	*made = key;
	*ret_key = made;
	return 0;
}

void keyring_free(struct keyring_key *key)
{
	struct bf_arena arena = key->arena;

	bf_arena_done(&arena);
}

/* ---- finding one */

struct keyring_key *keyring_look(struct keyring *ring, uint64_t generation, struct bf_slice value)
{
	uint64_t hash = hash_of(ring, value);
	struct keyring_key *key = ring->slots[slot_of(ring, hash, value)].key;

	if (!key || key->generation != generation)
		return NULL;
	key->used = true;
	key->refs++;
	return key;
}

static int find_entity(const struct bf_snapshot *s, struct bf_slice value,
		       struct bf_entity *ret_entity)
{
	uint8_t secret[BF_HMAC_LEN];
	bool found;

	bf_hmac(bf_snapshot_pepper(s->base), value, secret);
	found = bf_snapshot_find_secret(s, BF_ENTITY_VIRTUAL_KEY, secret, ret_entity);
	bf_wipe(secret, sizeof(secret));
	return found ? 0 : BF_E_UNKNOWN;
}

/* The one of the snapshot, in the ring from now on. */
static int bring(struct keyring *ring, const struct bf_snapshot *s, struct bf_slice value,
		 struct keyring_key **ret_key)
{
	struct bf_entity entity;
	int r = find_entity(s, value, &entity);

	if (r == 0)
		r = keyring_make(s, &entity, value, ret_key);
	if (r < 0)
		return r;
	ring->made++;
	put_in(ring, hash_of(ring, value), *ret_key);
	return 0;
}

int keyring_find(struct keyring *ring, const struct bf_snapshot *s, uint64_t generation,
		 struct bf_slice value, struct keyring_key **ret_key)
{
	uint32_t slot = slot_of(ring, hash_of(ring, value), value);
	struct keyring_key *key = ring->slots[slot].key;
	int r;

	if (key && bf_snapshot_parts_hold(s, &key->parts)) {
		key->used = true;
		key->refs++;
	} else {
		if (key)
			take_out(ring, slot);
		r = bring(ring, s, value, &key);
		if (r < 0)
			return r;
	}
	key->generation = generation;
	*ret_key = key;
	return 0;
}
