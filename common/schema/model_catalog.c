/*
 * Lists of models, of the file and of entities. Called by whoever makes or checks one. Must never
 * let a name in that no request could carry, or that would break a line of a log.
 */
#include "common/schema/model_catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/macros.h"
#include "common/schema/config_owners.h"

/* ---- names */

int bf_model_name_check(struct bf_slice name, struct bf_err *err)
{
	if (name.len == 0)
		return bf_err_set(err, BF_E_SYNTAX, "is empty");
	if (name.len > BF_CATALOG_NAME_MAX)
		return bf_err_set(err, BF_E_SYNTAX, "is longer than %u bytes", BF_CATALOG_NAME_MAX);
	for (size_t i = 0; i < name.len; i++) {
		unsigned char ch = (unsigned char)name.ptr[i];

		if (ch < ' ' || ch == 0x7f)
			return bf_err_set(err, BF_E_SYNTAX, "holds control characters");
	}
	if (name.ptr[0] == ' ' || name.ptr[name.len - 1] == ' ')
		return bf_err_set(err, BF_E_SYNTAX, "begins or ends with a blank");
	if (bf_slice_is(name, "*"))
		return bf_err_set(err, BF_E_SYNTAX,
				  "stands for all models in lists of keys, and is none itself");
	return 0;
}

static int settle_name(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	(void)arena;
	return bf_model_name_check(*text, err);
}

/* ---- twice */

/* Alike ones stand in the order of the list. */
static int compare(const void *va, const void *vb)
{
	const struct bf_slice *a = *(const struct bf_slice *const *)va;
	const struct bf_slice *b = *(const struct bf_slice *const *)vb;
	int r = bf_slice_compare(*a, *b);

	return r ? r : (a > b) - (a < b);
}

int64_t bf_model_catalog_twice(const struct bf_array *models, struct bf_arena *arena)
{
	const struct bf_slice *names = models->items;
	const struct bf_slice **sorted =
	    bf_arena_alloc(arena, (models->count + 1u) * sizeof(struct bf_slice *));
	int64_t first = models->count;

	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < models->count; i++)
		sorted[i] = &names[i];
	qsort(sorted, models->count, sizeof(*sorted), compare);
	for (uint32_t i = 1; i < models->count; i++)
		if (bf_slice_eq(*sorted[i - 1], *sorted[i]))
			first = BF_MIN(first, sorted[i] - names);
	return first;
}

/* ---- the table */

static const struct bf_field catalog_fields[] = {
    {.name = "provider",
     .type = BF_T_STRING,
     BF_FIELD(bf_model_catalog, provider),
     .max = BF_PROVIDER_NAME_MAX,
     .flags = BF_REQUIRED,
     .audience = BF_FOR_WRITERD,
     .doc = "Name of the provider."},
    {.name = "models",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_model_catalog, models),
     .max = BF_MODEL_CATALOG_MAX,
     .settle = settle_name,
     .audience = BF_FOR_WRITERD,
     .doc = "Names of models that the provider has, each once and without the provider in front; "
	    "keys that serve any model serve these by their bare names."},
};

const struct bf_table bf_model_catalog_table = {
    .name = "governance.model_catalogs",
    .size = sizeof(struct bf_model_catalog),
    BF_ROWS(catalog_fields),
    .doc = "Models that a provider is known to have, besides those that its keys name.",
};
