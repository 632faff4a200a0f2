/*
 * What a meter begins with that nobody counted before: the total of its window or, where another
 * meter counted this window until now (a window, an anchor or an id was changed), the sum of what
 * the rows that the limit is about were charged in it.
 */
#pragma once

#include "writerd/limits.h"

struct limits_begin {
	int64_t window, settled;
	bool from_rows; /* no total was known */
};

/* The newest window from now on that the store knows: a clock that was set back must not begin a
 * window anew that has been used. 1; 0 and the window of now when there is none; or the store's
 * error. */
int limits_known(const struct limits *l, const struct bf_limit *limit, struct limits_begin *ret,
		 struct bf_err *err);
/* Within a transaction: the same or the sum of rows, which is noted as the total. Rows that are not
 * written yet are not in it: they go to the meters that they name. 0 or the store's error. */
int limits_begin(const struct limits *l, const struct bf_limit *limit, struct limits_begin *ret,
		 struct bf_err *err);
/* After it was opened: a line for the log when there were rows. */
void limits_begin_tell(struct limits *l, const struct bf_limit *limit,
		       const struct limits_begin *begin);
