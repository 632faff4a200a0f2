/*
 * Which provider has which model: what the keys' `models` lists say, in the order of the file, then
 * what the providers are known to have besides, as far as a key serves it; each pair once, and an
 * index over the names. Built once per worker and set of providers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/macros.h"
#include "common/schema/config.h"

struct provider;

struct catalog_entry {
	const struct bf_conf_provider *provider;
	struct bf_slice model;
	bool is_default; /* of the provider's code alone: bare names do not find it */
};

struct catalog {
	/* Those that keys name, provider by provider, then those of lists likewise. */
	struct catalog_entry *entries;
	uint32_t count, size;
	uint32_t *slots; /* index + 1 by hash, linear probing; 0: free */
	uint32_t slot_count;
};

/* Of providers in the order of the file. lists: by provider, of struct bf_slice, which outlive the
 * catalog; NULL: there are none. 0 or -ENOMEM (close it then too). */
int catalog_open(struct catalog *c, struct provider *const *providers, const struct bf_array *lists,
		 uint32_t count) BF_MUST_CHECK;
/* Accepts a zeroed catalog. */
void catalog_close(struct catalog *c);

/* The first entry of this name; NULL: none. */
const struct catalog_entry *catalog_first(const struct catalog *c, struct bf_slice model);
/* The entry of this pair; NULL: none. */
const struct catalog_entry *catalog_find(const struct catalog *c, struct bf_slice provider,
					 struct bf_slice model);

/* ---- catalog_served.c */

/*
 * Which of the names a provider serves because no key of it names them: those that a key which
 * serves any model does not refuse, or all where none is needed. ret_served: one for each name,
 * false before. 0 or -ENOMEM.
 */
int catalog_served(const struct bf_conf_provider *provider, const struct bf_array *names,
		   bool *ret_served) BF_MUST_CHECK;
