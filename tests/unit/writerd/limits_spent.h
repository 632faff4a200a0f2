/* Money and tokens of vk-1 that are reserved, charged and written as by a worker: its meters move.
 * For the tests of resets only. */
#pragma once

#include "tests/unit/writerd/limits_bed.h"

#include "shm/inflight.h"
#include "writerd/limits/limits_reset.h"

static struct shm_meter_writer spender;

/* By its numbers alone: whoever took it may be dead. */
struct taken {
	int entry;
	uint32_t n;
	int64_t amount;
	uint32_t meters[SHM_METERS_PER_REQUEST], epochs[SHM_METERS_PER_REQUEST];
};

static inline void spender_enter(void)
{
	shm_meter_enter(&spender, &c.seg, own);
}

/* false: there is no room. */
static inline bool take(const struct limits *l, uint32_t n, int64_t amount, struct taken *ret)
{
	static const enum bf_quantity quantities[] = {BF_QUANTITY_TOKENS, BF_QUANTITY_NUSD};
	struct shm_usage_record r = crafted_record(n);
	struct shm_meter_want wants[2];
	unsigned which;

	*ret = (struct taken){.n = n, .amount = amount};
	for (int k = 0; k < 2; k++) {
		uint32_t m = meter_of(l, "vk-1", quantities[k]);

		assert_true(m != SHM_METER_NOWHERE);
		wants[k] =
		    (struct shm_meter_want){.meter = m,
					    .config = shm_meter_config(&c.seg, m),
					    .epoch = epoch_of(limit_of(l, "vk-1", quantities[k])),
					    .amount = amount};
	}
	ret->entry = shm_inflight_begin(&c.seg, own, &r);
	assert_true(ret->entry >= 0);
	if (shm_meter_admit(&spender, ret->entry, wants, 2, &which) != SHM_METER_OK) {
		shm_inflight_cancel(&c.seg, own, ret->entry);
		return false;
	}
	(void)shm_meter_names(&spender, ret->entry, ret->meters, ret->epochs);
	return true;
}

/* named: of its meters. */
static inline void write_named(struct limits *l, const struct taken *t, int64_t amount, int named)
{
	struct shm_usage_record r = crafted_record(t->n);
	struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted;

	memcpy(r.virtual_key_id, "vk-1", 4);
	r.started_wall_ns = wall_ns;
	r.tokens_charged = (uint64_t)amount;
	r.cost_nusd = amount;
	for (int k = 0; k < named; k++)
		metered_charge(&r, t->meters[k], t->epochs[k]);
	row_scratch_init(&scratch);
	if (store_write(l->store, &item, 1, &scratch, &l->fold, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	row_scratch_done(&scratch);
}

static inline void write_taken(struct limits *l, const struct taken *t, int64_t amount)
{
	write_named(l, t, amount, 2);
}

static inline void give(struct limits *l, const struct taken *t, int64_t amount)
{
	const int64_t actual[] = {amount, amount};

	shm_meter_closing(&spender, t->entry, actual);
	write_taken(l, t, amount);
	shm_meter_close(&spender, t->entry);
	shm_inflight_end(&c.seg, own, t->entry);
}

static inline bool spend(struct limits *l, uint32_t n, int64_t amount)
{
	struct taken t;

	if (!take(l, n, amount, &t))
		return false;
	give(l, &t, amount);
	return true;
}

/* Returns the verdict; *ret_sum is what was forgiven of all. */
static inline enum limits_reset_verdict forgive(struct limits *l, const char *limit_id,
						int64_t *ret_sum)
{
	struct bf_arena arena;
	struct limits_reset reset = {.type = BF_ENTITY_VIRTUAL_KEY,
				     .id = BF_SLICE_LIT("vk-1"),
				     .limit_id = bf_slice_from(limit_id),
				     .arena = &arena};
	const struct limits_forgiven *items;
	enum limits_reset_verdict v;

	bf_arena_init(&arena, 1 << 20);
	v = limits_reset(l, &reset);
	items = reset.forgiven.items;
	*ret_sum = 0;
	for (uint32_t i = 0; v == LIMITS_RESET_DONE && i < reset.forgiven.count; i++)
		*ret_sum += items[i].amount;
	bf_arena_done(&arena);
	return v;
}

static inline int64_t used_money(const struct limits *l)
{
	return info_of(meter_of(l, "vk-1", BF_QUANTITY_NUSD)).settled;
}

static inline int64_t counted_money(const struct limits *l)
{
	return counted(meter_of(l, "vk-1", BF_QUANTITY_NUSD));
}
