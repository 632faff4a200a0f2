/*
 * One entity as a client of the management API writes it: JSON to the struct of its table, with the
 * checks and the completion that the same entry of the configuration file gets. Everything that is
 * wrong is told at once, each with the member that it is about.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/codec/problem.h"
#include "common/govern/plan.h"
#include "common/schema/config.h"
#include "common/schema/load.h"

struct bf_node;

struct bf_entity_body {
	const struct bf_table *table;
	struct bf_arena *arena;
	const void *before;        /* what is changed; NULL: it is new */
	uint64_t expected_version; /* as the body says; 0: it does not */
	/* The parser's own: */
	struct bf_node *root;
	struct bf_diags diags;
};

/*
 * json: an object. Of a new entity (before NULL) members that it lacks get their defaults; else
 * ret_object is what before was, with the members that json has: a list replaces the whole list,
 * null makes a member what it is when it is not given, and so does {} of a rate limit or a single
 * budget. What answers show and nobody can change (version, created_at, usage) is passed over.
 * Budgets and provider configs that have no id keep that of the one with the same window or
 * provider, so that what was used stays known. 0, or BF_E_SYNTAX: bf_entity_parts() says why.
 */
int bf_entity_parse(const struct bf_table *table, struct bf_slice json, const void *before,
		    struct bf_arena *arena, void *ret_object, struct bf_entity_body *ret_body);

/* What a client asks of several keys of a provider at once. */
struct bf_keys_batch {
	struct bf_array key_ids;
	bool enabled;
};
extern const struct bf_table bf_keys_batch_table;

/* Does the body have this member, and is it not null? */
bool bf_entity_gives(const struct bf_entity_body *body, const char *member);

/*
 * Makes ids and defaults that depend on each other, as the loader does: budgets stand at their
 * owner afterwards, every limit has an id and a window. Looks at the providers and the version of
 * config alone: whether others that it names exist, is the caller's to find out. 0 or BF_E_SYNTAX.
 */
int bf_entity_complete(struct bf_entity_body *body, const struct bf_config *config, void *object);

/* The last characters of a secret, as answers show them: "…abcd"; "…" of a short one. */
#define BF_SECRET_HINT_BYTES 8
const char *bf_secret_hint(struct bf_slice value, char out[BF_SECRET_HINT_BYTES]);

/* A provider that was put together: what its keys lack is made, and whether it can be served at all
 * is looked at. 0, or BF_E_* with err. */
int bf_provider_settle(const struct bf_config *config, struct bf_conf_provider *provider,
		       struct bf_arena *arena, struct bf_err *err);

/*
 * Says that a member (NULL: all of it) is wrong, after a check of the caller's own. member is a
 * name or a path such as "provider_configs[1].provider".
 */
void bf_entity_blame(struct bf_entity_body *body, const char *member, const char *text);

/* What is wrong, in the order of the body; in its arena. */
struct bf_array bf_entity_parts(struct bf_entity_body *body); /* of struct bf_problem_part */

/* The same of a provider config: was its id made of its key's and its provider's name? */
bool bf_provider_config_is_own(struct bf_slice key_id, struct bf_slice provider, struct bf_slice id,
			       struct bf_arena *arena);

/* Did a rate limit of the file stand at its owner? Then its id was made of the owner's. */
bool bf_rate_limit_is_own(enum bf_owner kind, struct bf_slice owner_id, struct bf_slice id,
			  struct bf_arena *arena);
