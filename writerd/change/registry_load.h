/* Loading and review of entities: parts of registry.h. */
#pragma once

#include "writerd/change/registry.h"

/*
 * A new table from the store and the file, reviewed; publishing begins with it. 0; else err says
 * why it could not be, and the table of before (NULL: there is none) stays. BF_E_LIMIT: with the
 * file, a request would meet too many limits of everybody's.
 */
int registry_load(struct registry *r, struct bf_err *err);

/* The same of a store that can be read and not written: what the file says is in memory alone, and
 * nothing can be changed. */
int registry_load_unstored(struct registry *r, struct bf_err *err);

/* The same of the last copy: nothing of the file is taken over, and nothing can be changed. */
int registry_load_copy(struct registry *r, struct bf_err *err);

/* Who names what does not exist is blocked, who does no longer is free; of two keys with one value
 * one is blocked. Changes are noted for publishing. */
void registry_review(struct registry *r);

/* The same of the group that was just committed: only who is blocked, and who changed. */
void registry_review_group(struct registry *r);
