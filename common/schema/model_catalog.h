/*
 * What a provider is known to have besides the models that its keys name: one list a provider, made
 * by the file or the management API. Keys that serve any model serve these by their bare names.
 */
#pragma once

#include "common/schema/field.h"

#define BF_MODEL_CATALOG_MAX 4096u /* names of one provider */
#define BF_CATALOG_NAME_MAX  255u  /* bytes of one */

/* What a BF_ENTITY_MODEL_CATALOG is; its id is the provider. */
struct bf_model_catalog {
	struct bf_slice provider;
	struct bf_array models; /* of struct bf_slice */
};

extern const struct bf_table bf_model_catalog_table;

/* Could a request name it? 0, or BF_E_SYNTAX with err, to be read after "the name ". */
int bf_model_name_check(struct bf_slice name, struct bf_err *err);

/* The first name that stands there before; count: there is none. -ENOMEM. */
int64_t bf_model_catalog_twice(const struct bf_array *models, struct bf_arena *arena);
