/*
 * Lists of models: what a key may use, and what it must not. One reading of both for the keys of
 * the gateway and those of providers.
 */
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"
#include "common/schema/field.h"

/*
 * Both compare by bf_model_is() (common/govern/plan.h), and "*" is any. A list that denies goes by
 * all of it; in a list that allows, a name without a vendor is that of any vendor's only at
 * providers that put vendors before the names of their models (bf_provider_names_vendors()):
 * elsewhere "x/small" is another model than "small".
 */
bool bf_models_deny(const struct bf_array *list, struct bf_slice provider, struct bf_slice model);
bool bf_models_allow(const struct bf_array *list, struct bf_slice provider, struct bf_slice model);
