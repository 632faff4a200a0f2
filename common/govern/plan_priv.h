/* Between the files of the plan. */
#pragma once

#include "common/govern/plan.h"

/* Beside its budgets an owner has at most a limit of requests, one of tokens, one of those that
 * run. */
#define PLAN_RATES_PER_OWNER 3u

/* ---- plan_ids.c: entries of a list by their ids */

struct plan_id {
	struct bf_slice id;
	uint32_t index;
};

struct plan_ids {
	struct plan_id *items; /* sorted; of equal ones the first of the list comes first */
	uint32_t count;
};

#define PLAN_ID_NONE UINT32_MAX

/* Of a list whose items are `stride` bytes long and hold their id at `offset`. 0 or -ENOMEM. */
int plan_ids_make(struct plan_ids *ret_ids, const struct bf_array *list, size_t stride,
		  size_t offset, struct bf_arena *arena);
/* The index in the list; PLAN_ID_NONE. */
uint32_t plan_ids_find(const struct plan_ids *ids, struct bf_slice id);

/* ---- plan.c: one plan on its way */

struct plan_maker {
	const struct bf_conf_governance *governance;
	struct bf_arena *arena;
	struct bf_plan *plan;
	const struct bf_plan_report *report; /* NULL: stops at the first fault */
	int first;                           /* the first fault's code */
	struct bf_plan_fault fault;          /* of the owner that is being made */
	struct bf_err err;
	struct plan_ids rates, teams, customers, keys;
	/* One for each entry of the configuration. */
	struct bf_plan_owner *provider_owners, *team_owners, *customer_owners;
	struct bf_plan_model_config *models;
	struct bf_plan_provider_config *configs; /* of all keys, one after the other */
};

/* What a configuration needs room for, at most. */
struct plan_counts {
	uint32_t keys, configs, limits, always, slots;
};

/* ---- plan_size.c */

struct plan_counts plan_counts_of(const struct bf_conf_governance *governance);

/* ---- plan_fault.c */

/* The owner's fault is told, or stops the plan: then its code, else 0. */
int plan_judge(struct plan_maker *m, int code);
/* What is wrong of whom, for plan_judge(). m->err holds the words. Returns code. */
int plan_no(struct plan_maker *m, enum bf_plan_part part, int code);
/* The fault that stopped it, as one line of err. Returns code. */
int plan_say(const struct plan_maker *m, int code, struct bf_err *err);
/* Turns the fault to whoever has this limit. */
void plan_seat_of(struct plan_maker *m, const struct bf_limit *limit);

/* "3 of team \"blue\", 40 of virtual_key \"Key\"": as many as fit. */
void plan_name_owners(char *text, size_t size, const struct bf_limit *const *items, uint32_t count);

/* ---- plan_owner.c */

/* Who gets limits, and the rows that these are about. */
struct plan_owned {
	enum bf_owner kind;
	const struct bf_conf_owner *conf;
	struct bf_limit_rows rows;
};

/* 0, or a code when a fault stops the plan. An owner with a fault has no limits. */
int plan_owner_add(struct plan_maker *m, const struct plan_owned *o, uint32_t index, uint32_t key,
		   struct bf_plan_owner *ret_own);

/* ---- plan_owners.c */

/* All owners with their limits. 0, or a code when the first fault stops it. */
int plan_owners_make(struct plan_maker *m);

/* ---- plan_index.c: owners whose limits depend on where a request goes */

/* The kinds of targets, in the order in which they are decided; bits of `targets`. */
enum plan_target {
	PLAN_TARGET_MODEL_AT,     /* a model at a provider */
	PLAN_TARGET_MODEL,        /* a model anywhere */
	PLAN_TARGET_ANY_MODEL_AT, /* "*" at a provider */
	PLAN_TARGET_ANY_MODEL,    /* "*" */
	PLAN_TARGET_PROVIDER,
	PLAN_TARGET_COUNT,
	PLAN_TARGET_CONFIG = PLAN_TARGET_COUNT, /* a key's provider config; has no entries */
};

#define PLAN_TARGETS_OF_MODELS 15u

/* An owner with limits. Those of one target are a chain, in the order of the configuration. */
struct plan_entry {
	uint64_t hash;
	uint32_t next; /* 1 + entry of the same target; 0: the last */
	enum plan_target target;
	struct bf_slice provider, model; /* what the target has of them */
	const struct bf_plan_owner *own;
};

struct bf_plan_index {
	struct plan_entry *entries;
	uint32_t entry_count;
	uint32_t *slots; /* 1 + first entry of a chain; 0: free */
	uint32_t slot_mask;
};

/* Names, hashed once for all lookups of a request. */
struct plan_names {
	struct bf_slice provider, model;
	struct bf_slice last; /* of a model "vendor/name" the name; else empty */
	uint64_t provider_hash, model_hash, last_hash;
};

/* The most entries, slots and indexes of a configuration: that of everybody and those of keys. */
uint32_t plan_index_entries(const struct bf_conf_governance *governance);
uint32_t plan_index_slots(uint32_t entries);
uint32_t plan_index_count(const struct bf_conf_governance *governance);
int plan_index_make(struct plan_maker *m);
/* Of a bare model of this provider's. */
struct plan_names plan_names_of(struct bf_slice provider, struct bf_slice bare_model);
/* The first of a target's owners; NULL: it has none. Those of names->last are another target. */
const struct plan_entry *plan_index_find(const struct bf_plan_index *index, enum plan_target target,
					 const struct plan_names *names);
/* The same names with names->last as the model. */
static inline struct plan_names plan_names_last(const struct plan_names *names)
{
	return (struct plan_names){.provider = names->provider,
				   .model = names->last,
				   .provider_hash = names->provider_hash,
				   .model_hash = names->last_hash};
}
static inline const struct plan_entry *plan_index_next(const struct bf_plan_index *index,
						       const struct plan_entry *entry)
{
	return entry->next ? &index->entries[entry->next - 1] : NULL;
}

/* Where a model configuration applies: at one target, or, when it names "openai/gpt-4o" of any
 * provider, also at openai's gpt-4o. No request meets both. */
struct plan_place {
	enum plan_target target;
	struct bf_slice provider, model;
};

#define PLAN_PLACES_MAX 2u

unsigned plan_places_of(const struct bf_conf_model_config *conf,
			struct plan_place ret_places[PLAN_PLACES_MAX]);

/* ---- plan_path.c */

/* A path that is being laid: count goes on beyond what there is room for. */
struct plan_lane {
	const struct bf_limit **items;
	uint32_t room, count;
	bool has_budget;
	bool by_target; /* some of it depends on the target */
};

/* The limits of one target. */
void plan_lane_target(struct plan_lane *lane, const struct bf_plan_index *index,
		      enum plan_target target, const struct plan_names *names);
/* All of them. */
void plan_lane_lay(struct plan_lane *lane, const struct bf_plan *plan,
		   const struct bf_plan_key *key, const struct plan_names *names);
/* What keys meet always. 0 or -ENOMEM. */
int plan_always_make(struct plan_maker *m);

/* ---- plan_bound.c: no request meets more limits than can be decided at once */

/* 0, a code when the first fault stops it, or -ENOMEM. */
int plan_bound_check(struct plan_maker *m);
/* The most bytes that it takes. */
uint64_t plan_bound_worst(const struct bf_conf_governance *governance);
