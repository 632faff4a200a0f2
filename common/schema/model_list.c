/*
 * Names of models against lists of them. Called by proxyd for each target of a request whose key
 * has lists. Must never let a model pass that a list denies in another spelling.
 */
#include "common/schema/model_list.h"

#include "common/govern/plan.h"
#include "common/schema/provider_name.h"

bool bf_models_deny(const struct bf_array *list, struct bf_slice provider, struct bf_slice model)
{
	const struct bf_slice *names = list->items;

	for (uint32_t i = 0; i < list->count; i++) {
		if (bf_slice_is(names[i], "*") || bf_model_is(names[i], model, provider))
			return true;
	}
	return false;
}

/* The whole name, not only what stands behind its vendor. */
static bool is_all_of(struct bf_slice named, struct bf_slice model, struct bf_slice provider)
{
	return bf_slice_eq_nocase(bf_model_bare(named, provider), bf_model_bare(model, provider));
}

bool bf_models_allow(const struct bf_array *list, struct bf_slice provider, struct bf_slice model)
{
	const struct bf_slice *names = list->items;

	for (uint32_t i = 0; i < list->count; i++) {
		if (bf_slice_is(names[i], "*"))
			return true;
		if (bf_model_is(names[i], model, provider) &&
		    (is_all_of(names[i], model, provider) || bf_provider_names_vendors(provider)))
			return true;
	}
	return false;
}
