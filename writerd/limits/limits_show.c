/*
 * How limits stand, for bifrostctl limits. Called by control.c. Must never change anything: what it
 * tells are words that others write.
 */
#include <errno.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/ipc/messages.h"
#include "writerd/limits/limits.h"

#define LOOKS_MOST 65536u /* at limits, for one page: who asks goes on behind them */

/* ---- what is asked for */

static struct bf_slice key_name(const struct limits *l, const struct bf_limit *limit)
{
	if (limit->owner == BF_OWNER_VIRTUAL_KEY)
		return limit->owner_name;
	return owners_name(&l->owners, BF_ENTITY_VIRTUAL_KEY, limit->rows.virtual_key_id);
}

static bool is_asked(const struct limits *l, const struct bf_limit *limit,
		     const struct bf_msg_limits_get *ask)
{
	if (ask->owner.len && !bf_slice_is(ask->owner, bf_owner_name(limit->owner)))
		return false;
	if (ask->owner_id.len && !bf_slice_eq(limit->owner_id, ask->owner_id) &&
	    !bf_slice_eq(limit->owner_name, ask->owner_id))
		return false;
	return ask->virtual_key.len == 0 ||
	       bf_slice_eq(limit->rows.virtual_key_id, ask->virtual_key) ||
	       bf_slice_eq(key_name(l, limit), ask->virtual_key);
}

/* Of these only those with limits are known by name. */
static bool knows_provider_config(const struct limits *l, struct bf_slice what)
{
	for (uint32_t i = 0; i < l->table.top; i++) {
		const struct limit *limit = limits_table_at(&l->table, i);

		if (limit && limit->state != LIMIT_LEAVING &&
		    limit->owner == BF_OWNER_PROVIDER_CONFIG &&
		    (bf_slice_eq(limited_text(limit->of, limit->owner_id), what) ||
		     bf_slice_eq(limited_text(limit->of, limit->owner_name), what)))
			return true;
	}
	return false;
}

static bool knows_owner(const struct limits *l, enum bf_owner owner, struct bf_slice what)
{
	static const uint32_t types[BF_OWNER_COUNT] = {
	    [BF_OWNER_PROVIDER] = BF_ENTITY_PROVIDER_LIMITS,
	    [BF_OWNER_MODEL_CONFIG] = BF_ENTITY_MODEL_CONFIG,
	    [BF_OWNER_VIRTUAL_KEY] = BF_ENTITY_VIRTUAL_KEY,
	    [BF_OWNER_TEAM] = BF_ENTITY_TEAM,
	    [BF_OWNER_CUSTOMER] = BF_ENTITY_CUSTOMER,
	};

	if (!*l->t)
		return false;
	if (owner == BF_OWNER_PROVIDER_CONFIG)
		return knows_provider_config(l, what);
	return entities_live(*l->t, types[owner], what) ||
	       entities_named(*l->t, types[owner], what);
}

/* Who asks for what is not there would take no answer for no limits. */
static int check_ask(const struct limits *l, const struct bf_msg_limits_get *ask,
		     struct bf_err *err)
{
	unsigned owner = 0;

	if (ask->virtual_key.len && !knows_owner(l, BF_OWNER_VIRTUAL_KEY, ask->virtual_key))
		return bf_err_set(err, BF_E_UNKNOWN,
				  "no virtual key has this id or name: see bifrostctl limits");
	if (ask->owner.len == 0)
		return 0;
	while (owner < BF_OWNER_COUNT && !bf_slice_is(ask->owner, bf_owner_name(owner)))
		owner++;
	if (owner == BF_OWNER_COUNT)
		return bf_err_set(err, BF_E_UNKNOWN,
				  "no such kind of owner: give provider, model_config, "
				  "provider_config, virtual_key, team or customer");
	if (ask->owner_id.len && !knows_owner(l, owner, ask->owner_id))
		return bf_err_set(err, BF_E_UNKNOWN,
				  "no %s has this id or name: see bifrostctl limits --owner %s",
				  bf_owner_name(owner), bf_owner_name(owner));
	return 0;
}

/* ---- what is told */

static void tell_numbers(const struct limits *l, const struct limit *at,
			 const struct bf_limit *limit, int64_t now_ms, struct bf_msg_limit *out)
{
	struct shm_meter_info info = {.epoch = 0};
	int64_t window, value;
	uint32_t epoch;

	if (at->open)
		(void)shm_meter_read(l->seg, at->place, &info);
	window = bf_limit_window_counted(limit, info.epoch, now_ms);
	epoch = (uint32_t)window & BF_EPOCH_MASK;
	value = shm_meter_counted(&info, epoch);
	if (info.settled_epoch == epoch)
		out->used = info.settled;
	/* Below 0 only between the row and the end of what was more than reserved: not hidden, as
	 * used + held is what the limiter counts. */
	out->held = value - out->used;
	out->left = BF_MAX(out->max - BF_MAX(value, out->used), 0);
	if (!limit->endless) {
		out->start_ms = bf_window_start_ms(&limit->window, window);
		out->end_ms = bf_limit_window_end_ms(limit, window);
	}
}

static void tell(const struct limits *l, const struct limit *at, const struct bf_limit *limit,
		 const struct shm_wall *wall, struct bf_msg_limit *out)
{
	int64_t length_ms = bf_limit_length_ms(limit);
	int64_t now_ms = shm_wall_ms(wall, bf_boot_ns(), length_ms);
	int64_t max = bf_limit_max_at(limit, now_ms);

	*out = (struct bf_msg_limit){
	    .owner = bf_slice_from(bf_owner_name(limit->owner)),
	    .owner_id = row_text_cut(limit->owner_id, BF_LIMITS_MAX_TEXT),
	    .owner_name = row_text_cut(limit->owner_name, BF_LIMITS_MAX_TEXT),
	    .virtual_key_id = row_text_cut(limit->rows.virtual_key_id, BF_LIMITS_MAX_TEXT),
	    .virtual_key_name = row_text_cut(key_name(l, limit), BF_LIMITS_MAX_TEXT),
	    .provider = row_text_cut(limit->rows.provider, BF_LIMITS_MAX_TEXT),
	    .model = row_text_cut(limit->rows.model, BF_LIMITS_MAX_TEXT),
	    .limit_id = row_text_cut(limit->limit_id, BF_LIMITS_MAX_TEXT),
	    .quantity = bf_slice_from(bf_quantity_name(limit->quantity)),
	    .window = row_text_cut(limit->reset, 32),
	    .max = max,
	    .extra = max - limit->max,
	    .extra_end_ms =
		max > limit->max && limit->extra_end_ms < INT64_MAX ? limit->extra_end_ms : 0,
	    .frozen = !limit->endless && shm_wall_frozen(wall, length_ms),
	    .placed = at->open,
	};
	tell_numbers(l, at, limit, now_ms, out);
}

/* The next behind *io_number that is asked for; false: none among those that are looked at. */
static bool next_asked(const struct limits *l, const struct bf_msg_limits_get *ask, uint32_t end,
		       uint32_t *io_number, struct bf_limit *ret_limit)
{
	for (; *io_number < end; (*io_number)++) {
		const struct limit *limit = limits_table_at(&l->table, *io_number);

		if (!limit || limit->state == LIMIT_LEAVING)
			continue;
		*ret_limit = limit_whole(limit);
		if (is_asked(l, ret_limit, ask))
			return true;
	}
	return false;
}

int limits_page(const struct limits *l, const struct bf_msg_limits_get *ask,
		struct bf_msg_limits *ret_page, struct bf_arena *arena, struct bf_err *err)
{
	struct bf_msg_limit *items = bf_arena_alloc(arena, BF_LIMITS_PAGE * sizeof(*items));
	uint32_t n = 0, i = (uint32_t)BF_MIN(ask->from, (uint64_t)l->table.top);
	uint32_t end = i + BF_MIN(l->table.top - i, LOOKS_MOST);
	struct shm_wall wall = shm_wall_read(l->seg);
	struct bf_limit limit;
	int r;

	if (!items)
		return bf_err_set(err, -ENOMEM, "out of memory");
	r = check_ask(l, ask, err);
	if (r < 0)
		return r;
	for (; n < BF_LIMITS_PAGE && next_asked(l, ask, end, &i, &limit); i++)
		tell(l, limits_table_at(&l->table, i), &limit, &wall, &items[n++]);
	*ret_page = (struct bf_msg_limits){
	    .next = i < l->table.top ? i : 0,
	    .clock_ahead_ms = wall.ahead_ns / 1000000,
	    .items = {items, n},
	};
	return 0;
}
