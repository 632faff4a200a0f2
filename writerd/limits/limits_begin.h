/*
 * What meters begin with: the total of their window or, where nobody watched it until now (a limit
 * is new or was given back, a window, an anchor or an id was changed), the sum of what the rows
 * that the limit is about were charged in it.
 */
#pragma once

#include "writerd/limits/limits.h"

/*
 * Those that leave are watched no more; all that have a place and are not begun begin: total and
 * that it is watched are noted, in one transaction; then the meter has it, and is open. Rows that
 * are not written yet are not in it: they come with the fold. 0 or the store's error; it may be
 * begun again after a death at any step.
 */
int limits_begin(struct limits *l, struct bf_err *err);
/* No identity is watched but those of limits that have a place. 0, -ENOMEM or the store's error. */
int limits_forget_others(struct limits *l, struct bf_err *err);
