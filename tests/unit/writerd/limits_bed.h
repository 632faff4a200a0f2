/* A node's segment and store with two keys and their limits, on a clock of its own. For the tests
 * of limits only. */
#pragma once

#include "tests/unit/writerd/metered.h"

#include "common/base/clock.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "shm/wall.h"
#include "writerd/limits.h"
#include "writerd/store_null.h"

#define HOUR_NS (INT64_C(3600) * 1000000000)

static struct crafted c;
static struct store *store;
static uint32_t own;
static int64_t wall_ns, mono_ns;

static inline int64_t fake_mono(void *ctx)
{
	(void)ctx;
	return mono_ns;
}

static inline int64_t fake_wall(void *ctx)
{
	(void)ctx;
	return wall_ns;
}

static inline void pass(int64_t ns)
{
	wall_ns += ns;
	mono_ns += ns;
	(void)shm_wall_update(&c.seg, wall_ns, mono_ns);
}

static inline int setup(void **state)
{
	static const struct bf_clock_source source = {fake_mono, fake_wall, NULL};

	(void)state;
	wall_ns = INT64_C(1800000000) * 1000000000;
	mono_ns = INT64_C(1000000000);
	bf_clock_set_source(&source);
	crafted_init(&c);
	pass(0);
	own = crafted_worker(&c);
	store = crafted_store(&c);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	store->ops->close(store);
	crafted_done(&c);
	bf_clock_set_source(NULL);
	return 0;
}

static struct bf_conf_budget budgets[] = {
    {.id = {"b-hour", 6}, .max_limit_nusd = 5000, .reset_duration = {"1h", 2}},
};
static struct bf_conf_rate_limit rates[] = {
    {.id = {"r", 1},
     .token_max_limit = 1000,
     .token_reset_duration = {"1h", 2},
     .request_max_limit = 10,
     .request_reset_duration = {"1m", 2},
     .concurrent_max_limit = 3},
};
static struct bf_conf_virtual_key keys[] = {
    {.own.id = {"vk-1", 4},
     .own.name = {"one", 3},
     .is_active = true,
     .own.rate_limit_id = {"r", 1},
     .own.budgets = {budgets, 1}},
    {.own.id = {"vk-2", 4},
     .own.name = {"two", 3},
     .is_active = true,
     .own.rate_limit_id = {"r", 1}},
};

static inline struct bf_config config_of(uint32_t key_count)
{
	struct bf_config config = {0};

	config.governance.virtual_keys = (struct bf_array){keys, key_count};
	config.governance.rate_limits = (struct bf_array){rates, 1};
	return config;
}

static inline void start(struct limits *l, const struct bf_config *config, struct store *s)
{
	struct bf_err err = {0};

	if (limits_start(l, &c.seg, s, config, own, &err) < 0)
		fail_msg("%s", err.text);
}

static inline const struct bf_limit *limit_of(const struct limits *l, const char *key,
					      enum bf_quantity quantity)
{
	for (uint32_t i = 0; i < l->plan.limit_count; i++) {
		if (l->plan.limits[i].quantity == quantity &&
		    bf_slice_is(l->plan.limits[i].owner_id, key))
			return &l->plan.limits[i];
	}
	fail_msg("no such limit");
	abort(); /* what a compiler does not know: that was the end of the test */
}

static inline uint32_t meter_of(const struct limits *l, const char *key, enum bf_quantity quantity)
{
	return shm_meter_find(&c.seg, limit_of(l, key, quantity)->identity);
}

static inline struct shm_meter_info info_of(uint32_t m)
{
	struct shm_meter_info info;

	assert_true(m != SHM_METER_NOWHERE);
	assert_true(shm_meter_read(&c.seg, m, &info));
	return info;
}

/* What it counts of the window that is shown. */
static inline int64_t counted(uint32_t m)
{
	struct shm_meter_info info = info_of(m);

	return shm_meter_counted(&info, info.settled_epoch);
}

static inline uint32_t epoch_of(const struct bf_limit *limit)
{
	struct shm_wall wall = shm_wall_read(&c.seg);

	return bf_limit_epoch(limit, shm_wall_ms(&wall, mono_ns, bf_limit_length_ms(limit)));
}

/* A row of vk-1 that its meters were charged. */
static inline void write_row(struct limits *l, uint32_t n, uint32_t tokens)
{
	struct shm_usage_record r = crafted_record(n);
	struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted;

	r.tokens_charged = tokens;
	r.requests_charged = 1;
	r.cost_nusd = 7;
	for (uint32_t i = 0; i < l->plan.keys[0].own.limit_count; i++)
		metered_charge(&r, l->places[i], epoch_of(&l->plan.limits[i]));
	row_scratch_init(&scratch);
	if (store_write(l->store, &item, 1, &scratch, &l->fold, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	row_scratch_done(&scratch);
}

static uint32_t rows_of_two;

/* A row of vk-2, of 5 tokens; l: whose plan writes it. named: the tokens of vk-2 were admitted
 * there. */
static inline void row_of_two(struct limits *l, bool named, const char *team)
{
	struct shm_usage_record r = crafted_record(++rows_of_two);
	struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted;

	memcpy(r.virtual_key_id, "vk-2", 4);
	memcpy(r.team_id, team, strlen(team));
	r.started_wall_ns = wall_ns;
	r.tokens_charged = 5;
	r.requests_charged = 1;
	if (named) {
		uint32_t m = meter_of(l, "vk-2", BF_QUANTITY_TOKENS);

		metered_charge(&r, m, epoch_of(limit_of(l, "vk-2", BF_QUANTITY_TOKENS)));
	}
	row_scratch_init(&scratch);
	if (store_write(l->store, &item, 1, &scratch, &l->fold, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	row_scratch_done(&scratch);
}

static inline bool is_ill(enum shm_health_bit bit)
{
	return shm_health_all(&c.seg) & UINT64_C(1) << bit;
}

#define LIMITS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
