/*
 * Which provider names which model: what the keys' `models` lists say, each pair once, in the order
 * of the file, and an index over the names. Built once per worker.
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
	bool is_default; /* of the provider's code, not of the file: bare names do not find it */
};

struct catalog {
	struct catalog_entry *entries; /* those of one provider stand together */
	uint32_t count, size;
	uint32_t *slots; /* index + 1 by hash, linear probing; 0: free */
	uint32_t slot_count;
};

/* Of providers in the order of the file. 0 or -ENOMEM (close it then too). */
int catalog_open(struct catalog *c, struct provider *const *providers,
		 uint32_t count) BF_MUST_CHECK;
/* Accepts a zeroed catalog. */
void catalog_close(struct catalog *c);

/* The first entry of this name that the file gave; NULL: none. */
const struct catalog_entry *catalog_first(const struct catalog *c, struct bf_slice model);
/* The entry of this pair; NULL: none. */
const struct catalog_entry *catalog_find(const struct catalog *c, struct bf_slice provider,
					 struct bf_slice model);
