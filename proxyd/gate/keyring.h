/*
 * Virtual keys as this worker needs them: each is assembled from the snapshot when it is first
 * used, with all that its requests meet, and kept while it is used. Found by its value, of which
 * only requests know that it exists: what nobody asks for takes no memory here.
 *
 * A key that was found is looked at again after each flip, and assembled anew when something that
 * it is made of changed. Requests in flight hold the one that they were admitted by.
 */
#pragma once

#include "common/govern/plan.h"
#include "common/snapshot/snapshot.h"

#define KEYRING_KEYS_MAX  16384u
#define KEYRING_BYTES_MAX (UINT64_C(128) << 20)

struct keyring_key {
	uint32_t refs;
	bool used;           /* asked for again since the hand came by */
	uint64_t generation; /* of the snapshot in which it was last seen to be true */
	uint64_t bytes;
	struct bf_slice value;
	struct bf_plan plan; /* of this key alone */
	struct bf_snapshot_parts parts;
	const char *broken;    /* NULL, or why nobody may use it: it names what does not exist */
	struct bf_arena arena; /* no-dump; all of this lies in it */
};

static inline const struct bf_plan_key *keyring_plan_key(const struct keyring_key *key)
{
	return key->broken ? NULL : &key->plan.keys[0];
}

struct keyring_slot {
	uint64_t hash;
	struct keyring_key *key; /* NULL: free */
};

/* Keys by hashes that only this process knows; linear probing. */
struct keyring {
	uint8_t secret[16];
	struct keyring_slot *slots;
	uint32_t slot_count, count; /* count: at most half of the slots */
	uint32_t hand;              /* of the clock that finds who gives way */
	uint32_t keys_max;
	uint64_t bytes, bytes_max;
	uint64_t made, evicted;
};

/* 0 or -ENOMEM. */
int keyring_open(struct keyring *ring) BF_MUST_CHECK;
/* Accepts a zeroed ring. Who still holds a key keeps it. */
void keyring_close(struct keyring *ring);
/* Forgets all: values have other hashes in the snapshot now. */
void keyring_flush(struct keyring *ring);

/*
 * The key of a value in a snapshot that has this generation, held for the caller. 0; BF_E_UNKNOWN:
 * nobody's; -ENOMEM; BF_E_*: what the snapshot has cannot be read. Compares in a time that depends
 * on lengths alone.
 */
int keyring_find(struct keyring *ring, const struct bf_snapshot *s, uint64_t generation,
		 struct bf_slice value, struct keyring_key **ret_key);
/* A key that is in the ring and true in this generation, held; NULL: keyring_find() must look. */
struct keyring_key *keyring_look(struct keyring *ring, uint64_t generation, struct bf_slice value);

/* One that is in no ring, of an entity of the snapshot; value may be empty. Codes as above. */
int keyring_make(const struct bf_snapshot *s, const struct bf_entity *entity, struct bf_slice value,
		 struct keyring_key **ret_key);

void keyring_free(struct keyring_key *key);

/* Accepts NULL. */
static inline void keyring_drop(struct keyring_key *key)
{
	if (key && --key->refs == 0)
		keyring_free(key);
}
