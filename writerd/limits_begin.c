/*
 * First sums of meters. Called by limits.c while it places them; must never count a row twice: sums
 * of rows are taken once, in the transaction that notes them as the total of the window.
 */
#include "writerd/limits_begin.h"

#include <stdio.h>

#include "common/base/macros.h"
#include "common/log/log.h"

#define BEGUN_LINES_MAX 32u /* a change may begin thousands */

int limits_known(const struct limits *l, const struct bf_limit *limit, struct limits_begin *ret,
		 struct bf_err *err)
{
	int64_t now = bf_limit_window(limit, limits_now_ms(l, limit));
	const struct store_ops *ops = l->store->ops;
	int r = 0;

	*ret = (struct limits_begin){.window = now};
	if (ops->newest_total)
		r = ops->newest_total(l->store, limit->identity, now,
				      limit->endless ? now : now + BF_EPOCH_AHEAD, &ret->window,
				      &ret->settled, err);
	if (r == 0)
		*ret = (struct limits_begin){.window = now};
	return r;
}

int limits_begin(const struct limits *l, const struct bf_limit *limit, struct limits_begin *ret,
		 struct bf_err *err)
{
	const struct store_ops *ops = l->store->ops;
	int64_t sum = 0;
	int r = limits_known(l, limit, ret, err);

	if (r != 0 || limit->endless || !ops->add_total)
		return BF_MIN(r, 0);
	/* Later rows are of a clock that was set back since. */
	if (ops->charged)
		r = ops->charged(l->store, &limit->rows, limit->quantity,
				 bf_window_start_ms(&limit->window, ret->window),
				 bf_limit_window_end_ms(limit, ret->window), &sum, err);
	if (r == 0)
		r = ops->add_total(l->store, limit->identity, ret->window, sum, &ret->settled, err);
	ret->from_rows = sum > 0;
	return r;
}

static const char *text_of(struct bf_slice text, char out[BF_LIMITS_MAX_TEXT + 1])
{
	(void)snprintf(out, BF_LIMITS_MAX_TEXT + 1, "%.*s", BF_SLICE_FMT(text));
	return out;
}

void limits_begin_tell(struct limits *l, const struct bf_limit *limit,
		       const struct limits_begin *begin)
{
	char owner[BF_LIMITS_MAX_TEXT + 1], id[BF_LIMITS_MAX_TEXT + 1], w[BF_LIMITS_MAX_TEXT + 1];

	if (!begin->from_rows || l->begun_told > BEGUN_LINES_MAX)
		return;
	if (l->begun_told++ == BEGUN_LINES_MAX) {
		bf_log(BF_LOG_INFO, "limits_begun", "effect=%s",
		       bf_log_quote("more limits begin with what was used; see bifrostctl "
				    "limits"));
		return;
	}
	bf_log(BF_LOG_INFO, "limit_begun",
	       "owner=%s owner_id=%s limit_id=%s quantity=%s window=%s used=%lld",
	       bf_owner_name(limit->owner), bf_log_quote(text_of(limit->owner_id, owner)),
	       bf_log_quote(text_of(limit->limit_id, id)), bf_quantity_name(limit->quantity),
	       bf_log_quote(text_of(limit->reset, w)), (long long)begin->settled);
}
