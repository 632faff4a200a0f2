/*
 * What owners of rows are called: keys, teams and customers by their ids, so that each row gets the
 * names by one look. Whose it is, the row knows itself.
 */
#pragma once

#include <stdint.h>

#include "writerd/entity/entities.h"
#include "writerd/row/row.h"

struct owners {
	struct entities *const *t; /* as they are now; *t NULL: nobody is known */
};

/* Empty: none of this type has this id. Until entities change. */
struct bf_slice owners_name(const struct owners *o, uint32_t type, struct bf_slice id);

/*
 * Names of a rendered row's team and customer, and that of its key whole where the record had no
 * room for it. None (and o may be NULL) of those that are not known any more.
 */
void owners_fill(const struct owners *o, struct row *row);
