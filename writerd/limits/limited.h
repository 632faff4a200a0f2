/*
 * The limits of one entity: of a key with its provider configs, a team, a customer, a provider, a
 * model config. Made of the entity and of the rate limits that it names, by the same plan as
 * workers make (common/govern/plan.h), and kept in one small block: there may be a million. Pure
 * but for memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/govern/plan.h"
#include "writerd/entity/entities.h"

/* How far a limit has come; it is in the list of its state (limits.h), but for LIMIT_BEGUN. */
enum limit_state {
	LIMIT_UNPLACED, /* it has no meter yet */
	LIMIT_PLACED,   /* its total is not known to be whole */
	LIMIT_BEGUN,    /* its total is whole, and so does the store say */
	LIMIT_LEAVING,  /* nobody names it: its meter serves those who knew it */
};

struct limited;

/* More than its maximum, for a time. */
struct limit_extra {
	struct bf_list node; /* limits.h, while it holds */
	struct limit *limit;
	int64_t amount, begin_ms, end_ms;
};

/* A limit and its meter. */
struct limit {
	struct bf_list node;       /* of its state */
	struct limited *of;        /* whose it is */
	struct limit_extra *extra; /* NULL: none, as with nearly all */
	uint64_t identity;
	int64_t max;
	int64_t retire_at_ms; /* LIMIT_LEAVING: monotonic; 0: not known yet */
	struct bf_window window;
	uint32_t number; /* in the table */
	uint32_t place;  /* its meter, unless LIMIT_UNPLACED */
	uint32_t reset, owner_id, owner_name, limit_id, provider, model; /* texts of the block */
	uint8_t quantity, owner, state;
	bool endless;
	bool open;    /* others find its meter */
	bool watched; /* LIMIT_LEAVING: the store still says so */
	bool doubled; /* LIMIT_UNPLACED: another one has its identity */
};

/* Of the rate limits that an entity names: when one of them changes, so does what it has. */
struct limited_ref {
	struct limited_ref *next, **at; /* of those that name the same */
	uint64_t key;                   /* entity_key() */
	struct limited *who;
};

/* Its texts lie behind its limits, what they have extra, and references. */
struct limited {
	struct limited *next_id, *next_rows; /* limits_table.c */
	uint64_t id_hash, rows_hash;
	struct limited_ref *refs;
	const char *texts;
	uint32_t type; /* enum bf_entity_type */
	uint32_t id, scope;
	uint32_t count, ref_count;
	uint32_t held;  /* of its limits, by the table: with none left it is freed */
	uint32_t round; /* when it was last seen: limits_follow.c */
	bool known;     /* the table finds it */
	struct limit limits[];
};

/* What limits of this type of entity are planned for. */
bool limited_may_be(uint32_t type);

/*
 * ret: NULL where x has no limits and names no rate limit. A rate limit that it names and that does
 * not exist is none: the entity is blocked then, or will be. arena: for the work alone. 0, -ENOMEM,
 * or what bf_plan_make() and bf_entity_decode() say, with err.
 */
int limited_make(const struct entities *t, const struct entity *x, struct bf_arena *arena,
		 struct limited **ret, struct bf_err *err);

static inline struct bf_slice limited_text(const struct limited *of, uint32_t text)
{
	return bf_slice_from(of->texts + text);
}

/* As the plan said it; its texts live as long as the block. */
struct bf_limit limit_whole(const struct limit *limit);
/* The rows that it is about. */
struct bf_limit_rows limit_rows(const struct limit *limit);
