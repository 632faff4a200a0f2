/* Shared by the parts of entity_parse.h. */
#pragma once

#include "common/schema/config_owners.h"
#include "common/schema/entity_parse.h"
#include "common/schema/owners.h"

/* The own of an object whose table has limits; NULL: it has none. */
struct bf_conf_owner *entity_own(const struct bf_table *table, void *object);

/* Before the members of the body are decoded over the object: what stands for the same in another
 * form goes. */
void entity_replace(const struct bf_entity_body *body, void *object);
/* Afterwards: ids of what was replaced by the same again. */
void entity_keep_ids(struct bf_entity_body *body, void *object);

/* ---- providers and their keys: entity_provider.c */

/* Bifrost calls the name of a provider "provider". */
void entity_rename(const struct bf_entity_body *body);
/* What answers show in place of a secret stands for the one that there is. */
void entity_keep_secrets(struct bf_entity_body *body, void *object);
void entity_complete_provider(struct bf_entity_body *body, const struct bf_config *config,
			      struct bf_conf_provider *provider);

/* Texts of the loader name where something would stand in a file; here that is the body. */
void entity_strip_place(struct bf_entity_body *body, const char *block);
