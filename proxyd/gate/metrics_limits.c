/*
 * Samples of limits. Called for each scrape. Must never let many keys take the room of all other
 * numbers: so many are told (told.c), the rest is counted.
 */
#include "proxyd/gate/metrics_limits.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "proxyd/gate/govern.h"
#include "proxyd/gate/metrics_text.h"
#include "proxyd/snapshot.h"
#include "shm/metrics.h"
#include "shm/wall.h"

void metrics_limits_follow(struct worker *w)
{
	struct governance *g = w->governance;
	const struct bf_snapshot *s = g && govern_follow(w) ? snapshots_now(w) : NULL;

	if (s)
		told_follow(&g->told, s, g->generation, &g->everybody->plan, bf_mono_ms());
}

/* What a limit of something else than a key has no word for is empty, which is as if it were not
 * there: what selects by virtual_key_name finds what it always found. */
static int write_labels(struct bf_buf *out, const char *family, const struct bf_limit *limit)
{
	const struct bf_slice none = {NULL, 0};
	bool of_key = limit->owner == BF_OWNER_VIRTUAL_KEY;
	int r = bf_buf_printf(out, "%s{", family);

	if (r == 0)
		r = metrics_label_write(out, "owner", bf_slice_from(bf_owner_name(limit->owner)));
	if (r == 0)
		r = metrics_label_write(out, ",owner_id", limit->owner_id);
	if (r == 0)
		r = metrics_label_write(out, ",owner_name", limit->owner_name);
	if (r == 0)
		r = metrics_label_write(out, ",virtual_key_id", limit->rows.virtual_key_id);
	if (r == 0)
		r = metrics_label_write(out, ",virtual_key_name",
					of_key ? limit->owner_name : none);
	if (r == 0)
		r = metrics_label_write(out, ",limit_id", limit->limit_id);
	if (r == 0)
		r = metrics_label_write(out, ",quantity",
					bf_slice_from(bf_quantity_name(limit->quantity)));
	if (r == 0)
		r = metrics_label_write(out, ",window", limit->reset);
	return r < 0 ? r : bf_buf_append(out, "} ", 2);
}

/* Costs in dollars, exactly. */
static int write_value(struct bf_buf *out, enum bf_quantity quantity, int64_t value)
{
	if (quantity == BF_QUANTITY_NUSD)
		return bf_buf_printf(out, "%" PRId64 ".%09d\n", value / 1000000000,
				     (int)(value % 1000000000));
	return bf_buf_printf(out, "%" PRId64 "\n", value);
}

struct limit_state {
	int64_t settled, held;
};

/* Of the window that the meter counts: what it has of an older one is no longer used. */
static bool limit_read(const struct worker *w, const struct bf_limit *limit,
		       struct limit_state *ret_state)
{
	const struct shm_wall wall = shm_wall_read(w->seg);
	int64_t ms = shm_wall_ms(&wall, bf_boot_ns(), bf_limit_length_ms(limit));
	uint32_t m = shm_meter_find(w->seg, limit->identity), epoch;
	struct shm_meter_info info;

	*ret_state = (struct limit_state){0};
	if (m == SHM_METER_NOWHERE || !shm_meter_read(w->seg, m, &info))
		return false;
	epoch = (uint32_t)bf_limit_window_counted(limit, info.epoch, ms) & BF_EPOCH_MASK;
	if (info.settled_epoch == epoch)
		ret_state->settled = BF_MAX(info.settled, 0);
	ret_state->held = BF_MAX(shm_meter_counted(&info, epoch) - ret_state->settled, 0);
	return true;
}

static int write_family(const struct worker *w, struct bf_buf *out, const char *family, bool held)
{
	const struct told *t = w->governance ? &w->governance->told : NULL;
	int r = 0;

	for (uint32_t i = 0; t && i < t->count && r == 0; i++) {
		struct limit_state s;

		if (!limit_read(w, &t->items[i], &s))
			continue;
		r = write_labels(out, family, &t->items[i]);
		if (r == 0)
			r = write_value(out, t->items[i].quantity, held ? s.held : s.settled);
	}
	return r;
}

int metrics_limits_held(const struct worker *w, struct bf_buf *out)
{
	return write_family(w, out, "bifrost_limit_held", true);
}

int metrics_limits_settled(const struct worker *w, struct bf_buf *out)
{
	return write_family(w, out, "bifrost_limit_settled", false);
}

int metrics_limits_left_out(const struct worker *w, struct bf_buf *out)
{
	const struct told *t = w->governance ? &w->governance->told : NULL;
	int64_t all = shm_metric_sum(w->seg, SHM_M_LIMITS), told = t ? t->count : 0;

	return bf_buf_printf(out, "bifrost_limits_left_out %" PRId64 "\n",
			     BF_MAX(all - told, (int64_t)0));
}
