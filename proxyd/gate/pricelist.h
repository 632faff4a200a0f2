/*
 * The prices of the sheet that was fetched, as one worker has them. One object for as long as they
 * stay the same, whatever else changes; requests in flight hold it by everybody.h.
 */
#pragma once

#include "common/govern/price_book.h"
#include "common/snapshot/prices.h"

struct pricelist {
	uint32_t refs;
	uint64_t mark; /* bf_snapshot_price_mark() of what it was made of */
	struct bf_arena arena;
	struct bf_price_index index;
};

/*
 * Of a snapshot, with one reference; before (accepts NULL) is held again when it is still true.
 * *ret_list is NULL when nothing was fetched, or what was is not whole, which the log tells: then
 * the sheet of the file counts. 0 or -ENOMEM.
 */
int pricelist_of(const struct bf_snapshot *s, struct pricelist *before,
		 struct pricelist **ret_list);

void pricelist_free(struct pricelist *list);

/* Accepts NULL. */
static inline void pricelist_drop(struct pricelist *list)
{
	if (list && --list->refs == 0)
		pricelist_free(list);
}
