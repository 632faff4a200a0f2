/*
 * All entities as writerd knows them: found by id, by name and by the hash of their secret, listed
 * by type in the order in which they came. Pure; bodies of types that hold secrets lie in no-dump
 * memory. Tombstones are found by id alone: versions go on behind them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/snapshot/entity.h"

#define ENTITIES_MAX 2000000u /* of all types, tombstones too */

struct entities;

struct entity {
	struct bf_entity e; /* its slices refer to memory of its own */
	uint64_t hlc;       /* of its last change: milliseconds since 1970 << 16, and a counter */
	/* Of the entry of the configuration file that it was last made of; all zero: of none. */
	uint8_t file_hash[32];
	uint8_t limits;        /* of it that one request may meet at most */
	uint8_t places;        /* of a model config: what it is about: entity_bound.c */
	bool doubled;          /* has_secret: another one's counts: nobody finds it by its own */
	uint32_t walked;       /* the walk that saw it, or who was in its place */
	uint32_t change_at[2]; /* publish.c: 1 + its place among what changed; 0: none */
	uint64_t group;        /* of a model config: entity_bound.c */

	/* The table's own: */
	struct bf_list of_type; /* empty for tombstones */
	struct entity *next_id, *next_name, *next_secret;
	uint64_t *names; /* whom it names: entity_key() of each */
	uint32_t name_count;
	uint32_t need_count; /* those that must exist, which stand first */
	size_t bytes;        /* of the block that it is */
};

static inline bool entity_is_live(const struct entity *x)
{
	return !(x->e.flags & BF_ENTITY_DELETED);
}

/* A copy that is in no table yet; names: entity_key() of those that it refers to. NULL: no memory.
 */
struct entity *entity_new(const struct bf_entity *e, const uint64_t *names, uint32_t name_count);
void entity_free(struct entity *x); /* accepts NULL */

/* What stands for (type, id). Equal keys are equal but for a coincidence that looks must allow. */
uint64_t entity_key(uint32_t type, struct bf_slice id);

int entities_open(struct entities **ret_entities); /* 0 or -ENOMEM */
void entities_close(struct entities *t);           /* accepts NULL; frees what is in it */

/*
 * Puts x into the table, which owns it then, in the place of the one with its id, which is handed
 * back: the caller frees it, or puts it back. 0, -ENOMEM, or BF_E_FULL beyond ENTITIES_MAX.
 */
int entities_put(struct entities *t, struct entity *x, struct entity **ret_old);
/* Takes out the one with this id; NULL: there is none. */
struct entity *entities_take(struct entities *t, uint32_t type, struct bf_slice id);

/* Also a tombstone. NULL: none. */
struct entity *entities_find(const struct entities *t, uint32_t type, struct bf_slice id);
/* Those that live. */
struct entity *entities_live(const struct entities *t, uint32_t type, struct bf_slice id);
struct entity *entities_named(const struct entities *t, uint32_t type, struct bf_slice name);
/* The hash is keyed with a secret of ours: who can guess it needs no timing. */
struct entity *entities_with_secret(const struct entities *t, uint32_t type,
				    const uint8_t secret[BF_ENTITY_SECRET_LEN]);

/* A walk over all that live, type by type, which goes on while the table changes: each id is seen
 * once at most, as it is then, and those that stay are; one that comes may be seen or not. One at a
 * time. */
struct entities_walk {
	uint32_t type;
	struct entity *last; /* seen; NULL: none of this type yet */
};
void entities_walk_begin(struct entities *t, struct entities_walk *walk);
void entities_walk_end(struct entities *t);
/* NULL: that was the last. */
struct entity *entities_walk_next(struct entities *t);

/* The one that lives and has this entity_key(). */
struct entity *entities_with_key(const struct entities *t, uint64_t key);
/* Others that live, of the same type and with the same secret: the one behind last (NULL: the
 * first). NULL: no more. */
struct entity *entities_other_with_secret(const struct entities *t, const struct entity *x,
					  const struct entity *last);

/* The next one of a type that lives, behind x (NULL: the first); NULL: no more. */
struct entity *entities_next(const struct entities *t, uint32_t type, const struct entity *x);
/* All with tombstones, in no order; at starts as 0. */
struct entity *entities_each(const struct entities *t, uint64_t *io_at);

uint32_t entities_count(const struct entities *t, uint32_t type); /* that live */
uint32_t entities_total(const struct entities *t);                /* with tombstones */
uint64_t entities_bytes(const struct entities *t);
/* Of those of a type that live or lived none has more limits. */
uint32_t entities_peak(const struct entities *t, uint32_t type);

/* Does x name (type, id)? May say yes once in 2^64. */
bool entity_names(const struct entity *x, uint64_t key);
