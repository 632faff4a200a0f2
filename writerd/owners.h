/*
 * What owners of rows are called: keys, teams and customers of the configuration by their ids, so
 * that each row gets the names by one look. Whose it is, the row knows itself. Refers to the
 * configuration, which must outlive it.
 */
#pragma once

#include <stdint.h>

#include "common/govern/plan.h"
#include "writerd/row.h"

/* Those of one kind. */
struct owners_index {
	const struct bf_array *list; /* each element begins with its struct bf_conf_owner */
	size_t size;                 /* of an element */
	uint32_t *places;            /* 1 + number of the element; 0: none */
	uint32_t place_count;
};

struct owners {
	struct owners_index kinds[BF_OWNER_COUNT]; /* none of those that are in no row */
};

/* 0 or -ENOMEM. */
int owners_init(struct owners *o, const struct bf_conf_governance *governance);
void owners_done(struct owners *o);

#define OWNERS_NOBODY UINT32_MAX

/* Its number in the list of its kind; OWNERS_NOBODY: there is none with this id. Of several the
 * first. */
uint32_t owners_number(const struct owners *o, enum bf_owner kind, struct bf_slice id);
/* Empty: there is none. */
struct bf_slice owners_name(const struct owners *o, enum bf_owner kind, struct bf_slice id);

/*
 * Names of a rendered row's team and customer, and that of its key whole where the record had no
 * room for it. None (and o may be NULL) of those that the configuration does not know any more.
 */
void owners_fill(const struct owners *o, struct row *row);
