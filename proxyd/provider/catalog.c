/*
 * The models that are known. Built when the providers are opened, asked by the gate for names
 * without a provider and for lists. Must never compare all names with all others: 64 providers may
 * have 256 keys of 1024 models, and 4096 names in their lists.
 */
#include "proxyd/provider/catalog.h"

#include <errno.h>
#include <stdlib.h>

#include "proxyd/provider/provider.h"

#define CATALOG_FIRST 64u

/* The place of the next entry of this name at or behind a place, or of the free one behind all of
 * them. */
static uint32_t catalog_probe(const struct catalog *c, struct bf_slice model, uint32_t at)
{
	uint32_t mask = c->slot_count - 1;

	for (at &= mask; c->slots[at]; at = (at + 1) & mask) {
		if (bf_slice_eq(c->entries[c->slots[at] - 1].model, model))
			break;
	}
	return at;
}

/* Behind those of the same name: lookups find them in the order in which they came. */
static void catalog_place(struct catalog *c, uint32_t index)
{
	uint32_t mask = c->slot_count - 1;
	uint32_t at = bf_slice_hash(c->entries[index].model) & mask;

	while (c->slots[at])
		at = (at + 1) & mask;
	c->slots[at] = index + 1;
}

static int catalog_grow(struct catalog *c)
{
	uint32_t size = c->size ? c->size * 2 : CATALOG_FIRST;
	struct catalog_entry *entries = realloc(c->entries, size * sizeof(*entries));
	uint32_t *slots;

	if (!entries)
		return -ENOMEM;
	c->entries = entries;
	slots = calloc((size_t)size * 2, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(c->slots);
	c->slots = slots;
	c->size = size;
	c->slot_count = size * 2;
	for (uint32_t i = 0; i < c->count; i++)
		catalog_place(c, i);
	return 0;
}

const struct catalog_entry *catalog_first(const struct catalog *c, struct bf_slice model)
{
	uint32_t at;

	if (c->count == 0)
		return NULL;
	at = catalog_probe(c, model, bf_slice_hash(model));
	while (c->slots[at] && c->entries[c->slots[at] - 1].is_default)
		at = catalog_probe(c, model, at + 1);
	return c->slots[at] ? &c->entries[c->slots[at] - 1] : NULL;
}

const struct catalog_entry *catalog_find(const struct catalog *c, struct bf_slice provider,
					 struct bf_slice model)
{
	uint32_t at;

	if (c->count == 0)
		return NULL;
	at = catalog_probe(c, model, bf_slice_hash(model));
	while (c->slots[at] && !bf_slice_eq(c->entries[c->slots[at] - 1].provider->name, provider))
		at = catalog_probe(c, model, at + 1);
	return c->slots[at] ? &c->entries[c->slots[at] - 1] : NULL;
}

static int catalog_add(struct catalog *c, const struct bf_conf_provider *provider,
		       struct bf_slice model, bool is_default)
{
	if (catalog_find(c, provider->name, model))
		return 0;
	if (c->count == c->size && catalog_grow(c) < 0)
		return -ENOMEM;
	c->entries[c->count] = (struct catalog_entry){provider, model, is_default};
	catalog_place(c, c->count++);
	return 0;
}

/* The models of a key without those that it refuses. */
static int catalog_add_key(struct catalog *c, const struct bf_conf_provider *provider,
			   const struct bf_conf_provider_key *key)
{
	const struct bf_slice star = BF_SLICE_LIT("*");
	const struct bf_slice *models = key->models.items, *denied = key->blacklisted_models.items;
	struct catalog deny = {0};
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < key->blacklisted_models.count; i++)
		r = catalog_add(&deny, provider, denied[i], false);
	bool all_denied = catalog_find(&deny, provider->name, star) != NULL;
	for (uint32_t i = 0; r == 0 && !all_denied && i < key->models.count; i++) {
		if (!bf_slice_eq(models[i], star) &&
		    !catalog_find(&deny, provider->name, models[i]))
			r = catalog_add(c, provider, models[i], false);
	}
	catalog_close(&deny);
	return r;
}

/* What only the provider's code knew is known to all then. */
static int catalog_add_listed(struct catalog *c, const struct bf_conf_provider *provider,
			      struct bf_slice model)
{
	const struct catalog_entry *found = catalog_find(c, provider->name, model);

	if (!found)
		return catalog_add(c, provider, model, false);
	c->entries[found - c->entries].is_default = false;
	return 0;
}

static int catalog_add_list(struct catalog *c, const struct bf_conf_provider *provider,
			    const struct bf_array *list)
{
	const struct bf_slice *names = list->items;
	bool *served;
	int r;

	if (list->count == 0)
		return 0;
	served = calloc(list->count, sizeof(*served));
	r = served ? catalog_served(provider, list, served) : -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < list->count; i++) {
		if (served[i])
			r = catalog_add_listed(c, provider, names[i]);
	}
	free(served);
	return r;
}

static int catalog_add_lists(struct catalog *c, struct provider *const *providers,
			     const struct bf_array *lists, uint32_t count)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && lists && i < count; i++)
		r = catalog_add_list(c, providers[i]->conf, &lists[i]);
	return r;
}

int catalog_open(struct catalog *c, struct provider *const *providers, const struct bf_array *lists,
		 uint32_t count)
{
	*c = (struct catalog){0};
	for (uint32_t i = 0; i < count; i++) {
		const struct provider *p = providers[i];
		const struct bf_conf_provider_key *keys = p->conf->keys.items;
		int r = 0;
		for (uint32_t k = 0; r == 0 && k < p->conf->keys.count; k++) {
			if (keys[k].enabled)
				r = catalog_add_key(c, p->conf, &keys[k]);
		}
		if (r == 0 && p->ops->default_model)
			r = catalog_add(c, p->conf, bf_slice_from(p->ops->default_model), true);
		if (r < 0)
			return r;
	}
	/* Who names a model comes before who has it besides. */
	return catalog_add_lists(c, providers, lists, count);
}

void catalog_close(struct catalog *c)
{
	free(c->entries);
	free(c->slots);
	*c = (struct catalog){0};
}
