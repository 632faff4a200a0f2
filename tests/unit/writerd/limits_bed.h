/* A node's segment and store with two keys and their limits, on a clock of its own. For the tests
 * of limits only. */
#pragma once

#include "tests/unit/writerd/metered.h"

#include "common/base/clock.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "shm/wall.h"
#include "writerd/entity/entity_make.h"
#include "writerd/limits/limits.h"
#include "writerd/store/store_null.h"

#define HOUR_NS (INT64_C(3600) * 1000000000)

static struct crafted c;
static struct store *store;
static struct entities *known; /* what limits follow */
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
	entities_close(known);
	known = NULL;
	bf_clock_set_source(NULL);
	return 0;
}

static struct bf_conf_budget budgets[] = {
    {.id = {"b-hour", 6},
     .max_limit_nusd = 5000,
     .reset_duration = {"1h", 2},
     .quarter_start_month = 1},
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

/* An object of the configuration as an entity, in the place of the one that has its id. */
static inline void put_entity(uint32_t type, const void *object)
{
	static const struct entity_maker maker;
	size_t size = bf_entity_def(type)->table->size;
	struct entity *x = NULL, *old = NULL;
	struct bf_arena arena;
	void *copy;

	bf_arena_init(&arena, 16 << 20);
	copy = bf_arena_alloc(&arena, size);
	assert_non_null(copy);
	memcpy(copy, object, size);
	assert_int_equal(entity_make(&maker, type, copy, NULL, &arena, &x), 0);
	assert_int_equal(entities_put(known, x, &old), 0);
	entity_free(old);
	bf_arena_done(&arena);
}

static inline void put_list(uint32_t type, const struct bf_array *list)
{
	const char *items = list->items;

	for (uint32_t i = 0; i < list->count; i++)
		put_entity(type, items + i * bf_entity_def(type)->table->size);
}

static inline void take_entity(uint32_t type, const char *id)
{
	entity_free(entities_take(known, type, bf_slice_from(id)));
}

/* The entities of this configuration, instead of those of before. */
static inline void know(const struct bf_config *config)
{
	const struct bf_conf_governance *g = &config->governance;

	entities_close(known);
	assert_int_equal(entities_open(&known), 0);
	put_list(BF_ENTITY_RATE_LIMIT, &g->rate_limits);
	put_list(BF_ENTITY_PROVIDER_LIMITS, &g->providers);
	put_list(BF_ENTITY_CUSTOMER, &g->customers);
	put_list(BF_ENTITY_TEAM, &g->teams);
	put_list(BF_ENTITY_VIRTUAL_KEY, &g->virtual_keys);
	put_list(BF_ENTITY_MODEL_CONFIG, &g->model_configs);
}

/* A writerd whose entities are those of the configuration, and in force. */
static inline void start(struct limits *l, const struct bf_config *config, struct store *s)
{
	struct bf_err err = {0};

	know(config);
	if (limits_start(l, &c.seg, s, &known, config->supervisor.drain_timeout_ms + 300000, own,
			 &err) < 0)
		fail_msg("%s", err.text);
	limits_load(l);
	limits_in_force(l);
	limits_second(l);
}

static inline const struct limit *find_limit(const struct limits *l, const char *owner_id,
					     enum bf_quantity quantity)
{
	for (uint32_t i = 0; i < l->table.top; i++) {
		const struct limit *limit = limits_table_at(&l->table, i);

		if (limit && limit->state != LIMIT_LEAVING && limit->quantity == quantity &&
		    bf_slice_is(limited_text(limit->of, limit->owner_id), owner_id))
			return limit;
	}
	return NULL;
}

/* Until the next call but seven. */
static inline const struct bf_limit *limit_of(const struct limits *l, const char *owner_id,
					      enum bf_quantity quantity)
{
	static struct bf_limit some[8];
	static unsigned turn;
	const struct limit *limit = find_limit(l, owner_id, quantity);
	struct bf_limit *whole = &some[turn++ % BF_ARRAY_LEN(some)];

	if (!limit)
		fail_msg("no such limit");
	else
		*whole = limit_whole(limit);
	return whole;
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
	const struct limited *of;
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted;

	r.tokens_charged = tokens;
	r.requests_charged = 1;
	r.cost_nusd = 7;
	of = limits_table_find(&l->table, BF_ENTITY_VIRTUAL_KEY, BF_SLICE_LIT("vk-1"));
	for (uint32_t i = 0; i < of->count; i++) {
		const struct bf_limit whole = limit_whole(&of->limits[i]);

		metered_charge(&r, of->limits[i].place, epoch_of(&whole));
	}
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
