/* Between limit.c and plan_owner.c. */
#pragma once

#include "common/govern/plan.h"

/* How a window was written. */
struct limit_window {
	struct bf_slice reset;      /* "1h" */
	struct bf_slice last_reset; /* RFC 3339 or empty */
	bool aligned;               /* to the calendar; refused below a day */
	bool where_possible;        /* aligned unless it is too short */
	uint32_t quarter_start_month;
};

/* Fills window, reset and endless of a limit. 0, or BF_E_SYNTAX, BF_E_RANGE, BF_E_STATE with err.
 */
int limit_window_make(struct bf_limit *limit, const struct limit_window *from, struct bf_err *err);
