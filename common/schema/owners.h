/*
 * All owners of limits of a configuration in one row, whatever list they stand in, so that what is
 * true of every owner is written once. Made and used by the parts of complete_governance.c.
 */
#pragma once

#include "common/govern/plan.h"
#include "common/schema/config_priv.h"

struct bf_owner_ref {
	enum bf_owner kind;
	uint32_t index; /* in the list of its kind; of a provider config: in that of its key */
	uint32_t key;   /* of a provider config: index of the virtual key */
	struct bf_conf_owner *own;
	const struct bf_node *node;     /* where it stands; may be NULL */
	const struct bf_node **budgets; /* where each of its budgets stood; NULL until they were
					   moved */
};

struct bf_owners {
	struct bf_owner_ref *items; /* by kind, then as in the file */
	uint32_t count;
	uint32_t first[BF_OWNER_COUNT + 1]; /* of each kind */
	uint32_t *configs;                  /* the first provider config of each virtual key */
	struct bf_refs ids[BF_OWNER_COUNT]; /* sorted, once they were named */
	const struct bf_node **rates;       /* where each of governance.rate_limits stood */
};

/* 0, or it was reported. */
int bf_owners_collect(struct bf_whole *w);
void bf_owners_done(struct bf_whole *w);

struct bf_owner_ref *bf_owner_at(const struct bf_whole *w, enum bf_owner kind, uint32_t key,
				 uint32_t index);
static inline struct bf_conf_virtual_key *bf_key_of(const struct bf_owner_ref *owner)
{
	return (struct bf_conf_virtual_key *)owner->own;
}

#define BF_OWNER_PATH_MAX 96

/* "governance.virtual_keys[0].provider_configs[1]". Returns out. */
const char *bf_owner_path(const struct bf_owner_ref *owner, char out[BF_OWNER_PATH_MAX]);
/* "virtual key" */
const char *bf_owner_noun(enum bf_owner kind);
/* Its list within governance; of provider configs the one of the keys. */
const char *bf_owner_block(enum bf_owner kind);

/* Ids and names where they are missing, each only once. */
void bf_owners_name(struct bf_whole *w);
/* Rate limits that stand at their owner to governance.rate_limits. */
void bf_rates_complete(struct bf_whole *w);
/* Is there what one entry names of another? */
void bf_references_check(struct bf_whole *w);
/* The same for one that names an owner by its id; where: the path of the member. True: there is. */
bool bf_owner_reference(struct bf_whole *w, const char *where, struct bf_pos pos,
			enum bf_owner kind, struct bf_slice id);
/* ": did you mean "x"?" of texts, or otherwise. */
const char *bf_hint(struct bf_whole *w, const struct bf_refs *refs, struct bf_slice wanted,
		    const char *otherwise);
