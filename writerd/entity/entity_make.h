/*
 * Entities of objects: the body, the hash of the secret, whom it names. Pure but for memory; no
 * value of a secret outlives the call.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/err.h"
#include "writerd/entity/entities.h"

/* What bodies and hashes are made with. */
struct entity_maker {
	uint8_t pepper[32];
	uint8_t file_key[32]; /* of hashes of what the file says about sealed ones */
	bool seals;           /* sealed ones are kept; else the file's live in memory alone */
};

/*
 * An entity of an object of its table, as it is to be kept: version, times and hlc are the
 * caller's. A value that the object still has becomes hash and hint; without one, those of before
 * (NULL: it is new) stay. Empties the value in object. 0, -ENOMEM, BF_E_LIMIT: too large.
 */
int entity_make(const struct entity_maker *m, uint32_t type, void *object,
		const struct entity *before, struct bf_arena *arena, struct entity **ret_entity);

#define ENTITY_FILE_HASHES "bifrost file hashes" /* what their key is for */
/* Makes m->file_key what it is without an encryption_key. */
void entity_plain_file_key(struct entity_maker *m);

/* What the file says of one, so that it can be told whether it says something else. */
void entity_file_hash(const struct entity_maker *m, const struct entity *x, uint8_t ret_hash[32]);

/* Of one that was stored or copied: e is whole. BF_E_*: its body is none of its type. */
int entity_restore(const struct bf_entity *e, struct bf_arena *arena, struct entity **ret_entity,
		   struct bf_err *err);

/* The tombstone of x, of the next version. NULL: no memory. */
struct entity *entity_tombstone(const struct entity *x);

/* 2^16 a millisecond, and never the same again. */
uint64_t entity_hlc(int64_t now_ms);

/* Its object, in the arena; NULL: no memory, or no body. */
void *entity_object(const struct entity *x, struct bf_arena *arena);
