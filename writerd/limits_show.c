/*
 * How limits stand, for bifrostctl limits. Called by control.c. Must never change anything: what it
 * tells are words that others write.
 */
#include <errno.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/ipc/messages.h"
#include "writerd/limits.h"

static struct bf_slice cut(struct bf_slice text, size_t most)
{
	text.len = BF_MIN(text.len, most);
	return text;
}

static bool is_asked(const struct bf_limit *limit, struct bf_slice key)
{
	return key.len == 0 || bf_slice_eq(limit->owner_id, key) ||
	       bf_slice_eq(limit->owner_name, key);
}

static void tell_numbers(const struct limits *l, uint32_t i, int64_t now_ms,
			 struct bf_msg_limit *out)
{
	const struct bf_limit *limit = &l->plan.limits[i];
	struct shm_meter_info info = {.epoch = 0};
	int64_t window, value = 0;

	if (l->open[i])
		(void)shm_meter_read(l->seg, l->places[i], &info);
	window = bf_limit_window_counted(limit, info.epoch, now_ms);
	if (info.epoch == ((uint32_t)window & BF_EPOCH_MASK))
		value = info.value;
	if (info.settled_epoch == ((uint32_t)window & BF_EPOCH_MASK))
		out->used = info.settled;
	/* Below 0 only between the row and the end of what was more than reserved: not hidden, as
	 * used + held is what the limiter counts. */
	out->held = value - out->used;
	out->left = BF_MAX(limit->max - BF_MAX(value, out->used), 0);
	if (!limit->endless) {
		out->start_ms = bf_window_start_ms(&limit->window, window);
		out->end_ms = bf_limit_window_end_ms(limit, window);
	}
}

static void tell(const struct limits *l, uint32_t i, const struct shm_wall *wall,
		 struct bf_msg_limit *out)
{
	const struct bf_limit *limit = &l->plan.limits[i];
	int64_t length_ms = bf_limit_length_ms(limit);

	*out = (struct bf_msg_limit){
	    .virtual_key_id = cut(limit->owner_id, BF_LIMITS_MAX_TEXT),
	    .virtual_key_name = cut(limit->owner_name, BF_LIMITS_MAX_TEXT),
	    .limit_id = cut(limit->limit_id, BF_LIMITS_MAX_TEXT),
	    .quantity = bf_slice_from(bf_quantity_name(limit->quantity)),
	    .window = cut(limit->reset, 32),
	    .max = limit->max,
	    .frozen = !limit->endless && shm_wall_frozen(wall, length_ms),
	    .placed = l->open[i],
	};
	tell_numbers(l, i, shm_wall_ms(wall, bf_boot_ns(), length_ms), out);
}

static bool knows_key(const struct limits *l, struct bf_slice key)
{
	for (uint32_t i = 0; i < l->plan.key_count; i++) {
		const struct bf_conf_virtual_key *conf = l->plan.keys[i].conf;

		if (bf_slice_eq(conf->own.id, key) || bf_slice_eq(conf->own.name, key))
			return true;
	}
	return key.len == 0;
}

int limits_page(const struct limits *l, const struct bf_msg_limits_get *ask,
		struct bf_msg_limits *ret_page, struct bf_arena *arena, struct bf_err *err)
{
	struct bf_msg_limit *items = bf_arena_alloc(arena, BF_LIMITS_PAGE * sizeof(*items));
	struct shm_wall wall = shm_wall_read(l->seg);
	uint32_t n = 0, i = (uint32_t)BF_MIN(ask->from, (uint64_t)l->plan.limit_count);

	if (!items)
		return bf_err_set(err, -ENOMEM, "out of memory");
	if (!knows_key(l, ask->virtual_key))
		return bf_err_set(err, BF_E_UNKNOWN,
				  "no virtual key has this id or name: see bifrostctl limits");
	for (; i < l->plan.limit_count && n < BF_LIMITS_PAGE; i++) {
		if (is_asked(&l->plan.limits[i], ask->virtual_key))
			tell(l, i, &wall, &items[n++]);
	}
	*ret_page = (struct bf_msg_limits){
	    .next = i < l->plan.limit_count ? i : 0,
	    .clock_ahead_ms = wall.ahead_ns / 1000000,
	    .items = {items, n},
	};
	return 0;
}
