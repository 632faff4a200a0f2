/*
 * Which names of a list of models a provider's keys serve without naming them. Called by catalog.c,
 * once for a provider and set. Must never say of a name what provider_key_candidates() would not,
 * nor compare all names with all that all keys refuse.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/govern/plan.h"
#include "proxyd/provider/catalog.h"
#include "proxyd/provider/key.h"

/* What a key refuses, without the provider in front, sorted: case does not matter. */
struct refused {
	struct bf_slice *names;
	uint32_t count;
};

static int compare(const void *va, const void *vb)
{
	const struct bf_slice *a = va, *b = vb;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->len ? strncasecmp(a->ptr, b->ptr, a->len) : 0;
}

static int refused_open(struct refused *r, const struct bf_conf_provider *provider,
			const struct bf_conf_provider_key *key)
{
	const struct bf_slice *names = key->blacklisted_models.items;

	*r = (struct refused){.count = key->blacklisted_models.count};
	if (r->count == 0)
		return 0;
	r->names = calloc(r->count, sizeof(*r->names));
	if (!r->names)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->count; i++)
		r->names[i] = bf_model_bare(names[i], provider->name);
	qsort(r->names, r->count, sizeof(*r->names), compare);
	return 0;
}

static bool refused_has(const struct refused *r, struct bf_slice name)
{
	return r->count && bsearch(&name, r->names, r->count, sizeof(*r->names), compare);
}

/* As bf_models_deny(): also a name of which only the vendor in front is not said. */
static bool refused_is(const struct refused *r, const struct bf_conf_provider *provider,
		       struct bf_slice model)
{
	struct bf_slice bare = bf_model_bare(model, provider->name);
	const char *slash = bare.len ? memrchr(bare.ptr, '/', bare.len) : NULL;
	size_t skip = slash ? (size_t)(slash - bare.ptr) + 1 : bare.len;
	struct bf_slice last = {bare.ptr + skip, bare.len - skip};

	return refused_has(r, bare) || (last.len && refused_has(r, last));
}

static int serve(const struct bf_conf_provider *provider, const struct bf_conf_provider_key *key,
		 const struct bf_array *names, bool *served)
{
	const struct bf_slice *items = names->items;
	struct refused refused;
	int r = refused_open(&refused, provider, key);

	for (uint32_t i = 0; r == 0 && i < names->count; i++) {
		if (!served[i])
			served[i] = !refused_is(&refused, provider, items[i]);
	}
	free(refused.names);
	return r;
}

/* Those of a set that serve any model: who names models serves those alone. */
static struct key_set of_any_model(const struct bf_conf_provider *provider,
				   const struct key_set *set,
				   enum provider_key_verdict *ret_verdict)
{
	const struct provider_key_pin any = {.id = {NULL, 0}};
	struct key_set keys;

	*ret_verdict = provider_key_candidates(provider, set, PROVIDER_KEY_ANY_MODEL, &any, &keys);
	return keys;
}

static bool needs_no_key(const struct bf_conf_provider *provider)
{
	const struct key_set none = {{0}};
	enum provider_key_verdict verdict;

	(void)of_any_model(provider, &none, &verdict);
	return verdict == PROVIDER_KEY_NOT_NEEDED;
}

int catalog_served(const struct bf_conf_provider *provider, const struct bf_array *names,
		   bool *ret_served)
{
	const struct bf_conf_provider_key *keys = provider->keys.items;
	const struct key_set usable = provider_keys_usable(provider);
	enum provider_key_verdict verdict;
	const struct key_set serving = of_any_model(provider, &usable, &verdict);
	int r = 0;

	if (needs_no_key(provider)) {
		memset(ret_served, true, names->count);
		return 0;
	}
	for (int k = -1; r == 0 && (k = key_set_next(&serving, k + 1)) >= 0;)
		r = serve(provider, &keys[k], names, ret_served);
	return r;
}
