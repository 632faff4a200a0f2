/*
 * Samples of limits. Called for each scrape. Must never let a configuration of many keys take the
 * room of all other numbers: so many are told, the rest is counted.
 */
#include "proxyd/gate/metrics_limits.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "proxyd/gate/govern.h"
#include "proxyd/gate/metrics_text.h"
#include "shm/wall.h"

/* Bytes of a sample beside the names. */
#define SAMPLE_FRAME 192u

/* Limits of many keys' requests come before those of one: they are few, and many depend on them. */
static const struct bf_limit *limit_at(const struct governance *g, uint32_t *cursor)
{
	const struct bf_plan *plan = &g->plan;

	for (; *cursor < 2 * plan->limit_count; ++*cursor) {
		const struct bf_limit *limit = &plan->limits[*cursor % plan->limit_count];

		if ((limit->rows.virtual_key_id.len == 0) == (*cursor < plan->limit_count)) {
			++*cursor;
			return limit;
		}
	}
	return NULL;
}

/* As metrics_label_write() writes it. */
static size_t escaped(struct bf_slice name)
{
	size_t bytes = name.len;

	for (size_t i = 0; i < name.len; i++)
		bytes += name.ptr[i] == '\n' || name.ptr[i] == '"' || name.ptr[i] == '\\';
	return bytes;
}

static size_t sample_bytes(const struct bf_limit *limit)
{
	size_t names = limit->owner == BF_OWNER_VIRTUAL_KEY ? 2 : 1;

	return SAMPLE_FRAME + escaped(limit->owner_id) + names * escaped(limit->owner_name) +
	       escaped(limit->rows.virtual_key_id) + escaped(limit->limit_id) +
	       escaped(limit->reset);
}

/* As many as fit, from the first on: the same in all families. */
static uint32_t limits_told(const struct governance *g)
{
	const struct bf_limit *limit;
	uint32_t n = 0, cursor = 0;
	size_t bytes = 0;

	for (; n < METRICS_LIMITS_MAX && (limit = limit_at(g, &cursor)) != NULL; n++) {
		bytes += sample_bytes(limit);
		if (bytes > METRICS_LIMITS_MAX_BYTES)
			break;
	}
	return n;
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
	const struct governance *g = w->governance;
	uint32_t n = g ? limits_told(g) : 0, cursor = 0;
	int r = 0;

	for (; n > 0 && r == 0; n--) {
		const struct bf_limit *limit = limit_at(g, &cursor);
		struct limit_state s;

		if (!limit_read(w, limit, &s))
			continue;
		r = write_labels(out, family, limit);
		if (r == 0)
			r = write_value(out, limit->quantity, held ? s.held : s.settled);
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
	const struct governance *g = w->governance;

	return bf_buf_printf(out, "bifrost_limits_left_out %" PRIu32 "\n",
			     g ? g->plan.limit_count - limits_told(g) : 0);
}
