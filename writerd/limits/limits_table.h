/*
 * Which entities have which limits: each entity found by its id, each limit by its number; and what
 * a row may be about. Grows with what is in it. Pure but for memory.
 */
#pragma once

#include "writerd/limits/limited.h"

#define LIMITS_NO_NUMBER UINT32_MAX

struct limits_table {
	struct limit **numbers; /* NULL: a free one */
	uint32_t top, room;     /* above top none is in use */
	uint32_t hole;          /* below it each is in use */
	uint32_t count;         /* of limits, those that leave too */

	struct limited **by_id;   /* chains of next_id */
	struct limited **by_rows; /* of next_rows: what is found by the text of a row */
	struct limited_ref **by_ref;
	uint32_t places; /* of each of the three; a power of two */
	uint32_t entities, models, refs;
};

int limits_table_open(struct limits_table *t); /* 0 or -ENOMEM */
void limits_table_close(struct limits_table *t);

/* Room for an entity with so many limits and references, so that what follows cannot fail. 0 or
 * -ENOMEM. */
int limits_table_reserve(struct limits_table *t, uint32_t limits, uint32_t refs);

/* The entity with its references is found from here on; its limits have no numbers yet. */
void limits_table_enter(struct limits_table *t, struct limited *of);
/* It is not found any more. Freed once none of its limits has a number. */
void limits_table_leave(struct limits_table *t, struct limited *of);

/* Gives it a number, or that of another one, which has none then. */
void limits_table_add(struct limits_table *t, struct limit *limit);
void limits_table_replace(struct limits_table *t, struct limit *limit, struct limit *old);
/* Takes its number; frees what it belongs to with the last one, unless that is found. */
void limits_table_remove(struct limits_table *t, struct limit *limit);

/* NULL: none of this type has this id, or it has no limits. */
struct limited *limits_table_find(const struct limits_table *t, uint32_t type, struct bf_slice id);
/* Of providers that rows call so. Each has to be looked at closely, like those below. */
struct limited *limits_table_provider(const struct limits_table *t, struct bf_slice provider);
/* Model configs of a scope (empty: everybody) that may be about a model as rows have it. Those of
 * any model, and those whose names are too long to be sure, are asked for by these instead. */
#define LIMITS_ANY_MODEL   BF_SLICE_LIT("*")
#define LIMITS_LONG_MODELS BF_SLICE_LIT("\001")
struct limited *limits_table_models(const struct limits_table *t, struct bf_slice scope,
				    struct bf_slice model);
struct limited *limits_table_next(const struct limited *of);
/* Who names the rate limit that has this entity_key(). */
struct limited_ref *limits_table_refs(const struct limits_table *t, uint64_t key);

static inline struct limit *limits_table_at(const struct limits_table *t, uint32_t number)
{
	return number < t->top ? t->numbers[number] : NULL;
}

/* Of all entities the one behind last (NULL: the first), in no order; at starts as 0. Ask for the
 * next before this one leaves; nobody may enter meanwhile. NULL: no more. */
struct limited *limits_table_each(const struct limits_table *t, uint32_t *io_at,
				  struct limited *last);
