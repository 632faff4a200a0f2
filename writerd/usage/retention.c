/*
 * logs_store.retention_days. Called by turn.c when no rows wait; must never hold the store for
 * longer than one small transaction. Deleted rows leave free pages in the file, which new rows
 * fill: the file does not shrink, it stops growing.
 */
#include "writerd/usage/retention.h"

#include "common/base/macros.h"

#define DAY_NS (INT64_C(86400) * 1000000000)

void retention_init(struct retention *r, int64_t days, int64_t now_ms)
{
	*r = (struct retention){.days = days, .next_ms = now_ms + RETENTION_FIRST_MS};
}

bool retention_due(const struct retention *r, int64_t now_ms)
{
	return r->days > 0 && now_ms >= r->next_ms;
}

static int64_t oldest_kept_ns(int64_t days, int64_t now_wall_ns)
{
	return days > now_wall_ns / DAY_NS ? 0 : now_wall_ns - days * DAY_NS;
}

int retention_run(struct retention *r, struct store *store, int64_t now_ms, int64_t now_wall_ns,
		  bool *ret_finished, struct bf_err *err)
{
	char before[ROW_TIME_LEN + 1];
	struct store_expired deleted = {0, 0};
	int code;

	*ret_finished = false;
	if (!retention_due(r, now_ms))
		return 0;
	if (!r->running)
		r->deleted = 0;
	code = store->ops->expire(store, row_time(oldest_kept_ns(r->days, now_wall_ns), before),
				  RETENTION_BATCH_ROWS, &deleted, err);
	r->deleted += deleted.rows;
	r->running = code == 0 && BF_MAX(deleted.rows, deleted.totals) == RETENTION_BATCH_ROWS;
	if (r->running) {
		r->next_ms = now_ms + RETENTION_PAUSE_MS;
		return 0;
	}
	*ret_finished = true;
	r->next_ms = now_ms + RETENTION_EVERY_MS;
	return code;
}
