/*
 * What is in force, as every process sees it: an immutable blob in a sealed memfd (base), and a
 * small one with what changed since (overlay), which is looked at first. Made by writerd alone
 * (builder.h), mapped by workers and by the reader. Holds provider keys in clear: mappings are
 * read-only, excluded from core files, and never shown.
 *
 * Position-independent: docs/snapshot.md has the format. A blob is not believed: what it says of
 * itself is checked when it is mapped, what a record says when it is read, so that bytes of any
 * kind cost its sender an error and nobody a crash.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/schema/config.h"
#include "common/snapshot/entity.h"

#define BF_SNAPSHOT_MAX_BYTES  (UINT64_C(4) << 30)
#define BF_SNAPSHOT_PEPPER_LEN 32u

struct bf_snapshot_blob; /* one mapped memfd */

/*
 * Maps and checks a sealed memfd; fd stays the caller's. BF_E_SYNTAX with err for bytes that are no
 * blob, BF_E_STATE for a memfd that is not sealed, -errno.
 */
int bf_snapshot_map(int fd, struct bf_snapshot_blob **ret_blob, struct bf_err *err);
void bf_snapshot_unmap(struct bf_snapshot_blob *blob); /* accepts NULL */

/* Of a base its own; of an overlay the one of the base that it lies over. */
uint64_t bf_snapshot_base_id(const struct bf_snapshot_blob *blob);
bool bf_snapshot_is_overlay(const struct bf_snapshot_blob *blob);
uint64_t bf_snapshot_bytes(const struct bf_snapshot_blob *blob);
uint64_t bf_snapshot_count(const struct bf_snapshot_blob *blob, uint32_t type); /* records */
const uint8_t *bf_snapshot_pepper(const struct bf_snapshot_blob *blob);

/* What is in force: a base and perhaps an overlay of the same base. Borrows both. */
struct bf_snapshot {
	const struct bf_snapshot_blob *base, *overlay; /* overlay may be NULL */
};

/*
 * Each fills ret_entity, whose slices live as long as the blobs, and returns true; false: there is
 * none, or it was deleted. A quarantined one is found.
 */
bool bf_snapshot_find(const struct bf_snapshot *s, uint32_t type, struct bf_slice id,
		      struct bf_entity *ret_entity);
/* By the HMAC-SHA256 of its value; compared in constant time. */
bool bf_snapshot_find_secret(const struct bf_snapshot *s, uint32_t type,
			     const uint8_t secret[BF_ENTITY_SECRET_LEN],
			     struct bf_entity *ret_entity);

/* Walks the entities of a type (cursor starts as {0}): those of the base in the order in which they
 * were added to it, each as the overlay has it now, then those that are new in the overlay. */
struct bf_snapshot_cursor {
	uint64_t at;
	bool in_overlay;
};
bool bf_snapshot_next(const struct bf_snapshot *s, uint32_t type, struct bf_snapshot_cursor *cursor,
		      struct bf_entity *ret_entity);
/* The same over those of a scope: the model configs of a key. */
bool bf_snapshot_next_of(const struct bf_snapshot *s, uint32_t type, struct bf_slice scope,
			 struct bf_snapshot_cursor *cursor, struct bf_entity *ret_entity);
/* How many of a type are in force. Looks through the overlay. */
uint64_t bf_snapshot_live(const struct bf_snapshot *s, uint32_t type);

/* Changes when an entity of a common type (entity.h) did, and only then. Looks through the overlay:
 * to be asked once after a flip. */
uint64_t bf_snapshot_common(const struct bf_snapshot *s);

/* The same of one type, by all its entities: for types of few. 0: there are none. */
uint64_t bf_snapshot_sum(const struct bf_snapshot *s, uint32_t type);
/* The same of one entity. */
uint64_t bf_snapshot_mark(const struct bf_snapshot *s, const struct bf_entity *entity);

/* What an assembled configuration was made of, to see cheaply whether it is still true. */
struct bf_snapshot_part {
	uint32_t type;
	uint32_t flags;
	uint64_t version; /* 0: there was none */
	int64_t updated_ms;
	struct bf_slice id;
};
struct bf_snapshot_parts {
	struct bf_snapshot_part *items; /* in the arena; the first is the key */
	uint32_t count;
	uint64_t scoped; /* of the model configs of the key: changes when one of them did */
};
/* Also whether the key still has the value by which it was found: with another its version is
 * another. */
bool bf_snapshot_parts_hold(const struct bf_snapshot *s, const struct bf_snapshot_parts *parts);

/*
 * ret_config.governance of one virtual key alone, for bf_plan_make(): the key, its team and
 * customer, the rate limits that any of them names, its model configs; everything complete, all in
 * the arena: nothing refers to the snapshot. What it names and does not exist, or is quarantined
 * itself: BF_E_UNKNOWN with err (the key is then blocked), and ret_parts tells until when. Whether
 * the key is quarantined itself, its caller sees. BF_E_*: a body that is none; -ENOMEM.
 */
int bf_snapshot_key_config(const struct bf_snapshot *s, const struct bf_entity *key,
			   struct bf_arena *arena, struct bf_config *ret_config,
			   struct bf_snapshot_parts *ret_parts, struct bf_err *err);
/*
 * The same of what everybody meets: limits of providers, model configs of global scope, overrides
 * of prices. A rate limit that is named and does not exist is left out, and the budgets beside it
 * stay; overrides that are quarantined are left out. What the
 * governance block says of unpriced models is no entity.
 */
int bf_snapshot_common_config(const struct bf_snapshot *s, struct bf_arena *arena,
			      struct bf_config *ret_config, struct bf_err *err);
