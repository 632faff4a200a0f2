/* Places of limits: at the first start, after a restart, after a change, when the store refuses. */
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

static int64_t fake_mono(void *ctx)
{
	(void)ctx;
	return mono_ns;
}

static int64_t fake_wall(void *ctx)
{
	(void)ctx;
	return wall_ns;
}

static void pass(int64_t ns)
{
	wall_ns += ns;
	mono_ns += ns;
	(void)shm_wall_update(&c.seg, wall_ns, mono_ns);
}

static int setup(void **state)
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

static int teardown(void **state)
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
    {.id = {"vk-1", 4},
     .name = {"one", 3},
     .is_active = true,
     .rate_limit_id = {"r", 1},
     .budgets = {budgets, 1}},
    {.id = {"vk-2", 4}, .name = {"two", 3}, .is_active = true, .rate_limit_id = {"r", 1}},
};

static struct bf_config config_of(uint32_t key_count)
{
	struct bf_config config = {0};

	config.governance.virtual_keys = (struct bf_array){keys, key_count};
	config.governance.rate_limits = (struct bf_array){rates, 1};
	return config;
}

static void start(struct limits *l, const struct bf_config *config, struct store *s)
{
	struct bf_err err = {0};

	if (limits_start(l, &c.seg, s, config, own, &err) < 0)
		fail_msg("%s", err.text);
}

static const struct bf_limit *limit_of(const struct limits *l, const char *key,
				       enum bf_quantity quantity)
{
	for (uint32_t i = 0; i < l->plan.limit_count; i++) {
		if (l->plan.limits[i].quantity == quantity &&
		    bf_slice_is(l->plan.limits[i].owner_id, key))
			return &l->plan.limits[i];
	}
	fail_msg("no such limit");
	return NULL;
}

static uint32_t meter_of(const struct limits *l, const char *key, enum bf_quantity quantity)
{
	return shm_meter_find(&c.seg, limit_of(l, key, quantity)->identity);
}

static struct shm_meter_info info_of(uint32_t m)
{
	struct shm_meter_info info;

	assert_true(m != SHM_METER_NOWHERE);
	assert_true(shm_meter_read(&c.seg, m, &info));
	return info;
}

static uint32_t epoch_of(const struct bf_limit *limit)
{
	struct shm_wall wall = shm_wall_read(&c.seg);

	return bf_limit_epoch(limit, shm_wall_ms(&wall, mono_ns, bf_limit_length_ms(limit)));
}

/* A row of vk-1 that its meters were charged. */
static void write_row(struct limits *l, uint32_t n, uint32_t tokens)
{
	struct shm_usage_record r = crafted_record(n);
	struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted;

	r.tokens_charged = tokens;
	r.requests_charged = 1;
	r.cost_nusd = 7;
	for (uint32_t i = 0; i < l->plan.keys[0].limit_count; i++)
		metered_charge(&r, l->places[i], epoch_of(&l->plan.limits[i]));
	row_scratch_init(&scratch);
	if (store_write(l->store, &item, 1, &scratch, &l->fold, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	row_scratch_done(&scratch);
}

static void first_start(void **state)
{
	struct bf_config config = config_of(2);
	struct limits l;

	(void)state;
	start(&l, &config, store);
	assert_int_equal(l.plan.limit_count, 7);
	assert_in_range(limits_memory(), 1 << 20, 16 << 20);
	assert_int_equal(l.unplaced, 0);
	assert_int_equal(info_of(meter_of(&l, "vk-1", BF_QUANTITY_NUSD)).limit, 5000);
	assert_int_equal(info_of(meter_of(&l, "vk-2", BF_QUANTITY_CONCURRENT)).limit, 3);
	assert_int_equal(info_of(meter_of(&l, "vk-1", BF_QUANTITY_TOKENS)).epoch,
			 epoch_of(limit_of(&l, "vk-1", BF_QUANTITY_TOKENS)));
	assert_int_equal(shm_metric_sum(&c.seg, SHM_M_LIMITS), 7);
	/* The store knows the windows of all but those that have none. */
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM meter_totals"), 5);
	limits_done(&l);
}

/* The segment is new: what was used stands in the store alone. */
static void after_everything_is_gone(void **state)
{
	struct bf_config config = config_of(2);
	struct limits l;
	struct shm_meter_info info;

	(void)state;
	start(&l, &config, store);
	write_row(&l, 1, 40);
	write_row(&l, 2, 2);
	limits_done(&l);
	shm_segment_detach(&c.seg);
	(void)close(c.fd);
	c.fd = memfd_create("segment", MFD_CLOEXEC);
	assert_int_equal(shm_segment_create(c.fd, (const uint8_t[16]){2}, NULL), 0);
	assert_int_equal(shm_segment_attach(c.fd, false, NULL, &c.seg, NULL), 0);
	pass(1000000);
	own = crafted_worker(&c);
	start(&l, &config, store);
	info = info_of(meter_of(&l, "vk-1", BF_QUANTITY_TOKENS));
	assert_int_equal(info.value, 42);
	assert_int_equal(info.settled, 42);
	assert_int_equal(info_of(meter_of(&l, "vk-1", BF_QUANTITY_NUSD)).value, 14);
	assert_int_equal(info_of(meter_of(&l, "vk-1", BF_QUANTITY_REQUESTS)).value, 2);
	assert_int_equal(info_of(meter_of(&l, "vk-1", BF_QUANTITY_CONCURRENT)).value, 0);
	assert_int_equal(info_of(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS)).value, 0);
	limits_done(&l);
}

/* The clock was set back over the end of a window while all was down. */
static void a_clock_that_went_back(void **state)
{
	struct bf_config config = config_of(1);
	struct limits l;

	(void)state;
	start(&l, &config, store);
	write_row(&l, 1, 40);
	limits_done(&l);
	shm_segment_detach(&c.seg);
	(void)close(c.fd);
	c.fd = memfd_create("segment", MFD_CLOEXEC);
	assert_int_equal(shm_segment_create(c.fd, (const uint8_t[16]){2}, NULL), 0);
	assert_int_equal(shm_segment_attach(c.fd, false, NULL, &c.seg, NULL), 0);
	pass(-HOUR_NS);
	own = crafted_worker(&c);
	start(&l, &config, store);
	assert_int_equal(info_of(meter_of(&l, "vk-1", BF_QUANTITY_TOKENS)).value, 40);
	limits_done(&l);
}

/* writerd alone was replaced: meters live on; a limit that changed is told, others are not. */
static void after_a_restart(void **state)
{
	struct bf_config config = config_of(2);
	struct shm_meter_info info;
	struct limits l;
	uint32_t m, tokens, untouched;

	(void)state;
	start(&l, &config, store);
	write_row(&l, 1, 40);
	m = meter_of(&l, "vk-1", BF_QUANTITY_NUSD);
	tokens = meter_of(&l, "vk-1", BF_QUANTITY_TOKENS);
	untouched = shm_meter_config(&c.seg, tokens);
	/* As if it had been killed before it could show the sum. */
	shm_meter_set_settled(&c.seg, tokens, info_of(tokens).settled_epoch, 3);
	limits_done(&l);
	budgets[0].max_limit_nusd = 6000;
	start(&l, &config, store);
	budgets[0].max_limit_nusd = 5000;
	assert_int_equal(meter_of(&l, "vk-1", BF_QUANTITY_NUSD), m);
	assert_int_equal(info_of(m).limit, 6000);
	assert_int_equal(shm_meter_config(&c.seg, tokens), untouched);
	info = info_of(tokens);
	assert_int_equal(info.settled, 40);
	assert_int_equal(info.value, 0); /* nobody reserved in this test */
	limits_done(&l);
}

/* A record of it still waits when the limit is gone: its place and its charge are not lost. */
static void limits_that_are_gone(void **state)
{
	struct bf_config config = config_of(1), both = config_of(2);
	const struct shm_usage_record *waiting;
	struct shm_usage_record r = crafted_record(9);
	struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted = 0;
	struct limits l;
	uint64_t identity;
	uint32_t m;

	(void)state;
	start(&l, &both, store);
	m = meter_of(&l, "vk-2", BF_QUANTITY_TOKENS);
	identity = limit_of(&l, "vk-2", BF_QUANTITY_TOKENS)->identity;
	r.tokens_charged = 11;
	metered_charge(&r, m, epoch_of(limit_of(&l, "vk-2", BF_QUANTITY_TOKENS)));
	assert_int_equal(shm_usage_push(&c.seg, own, &r), 0);
	limits_done(&l);
	start(&l, &config, store);
	assert_int_equal(shm_meter_find(&c.seg, identity), SHM_METER_NOWHERE);
	assert_int_equal(shm_meter_identity(&c.seg, m), identity);
	assert_true(l.retired_left);
	row_scratch_init(&scratch);
	if (store_write(store, &item, 1, &scratch, &l.fold, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	row_scratch_done(&scratch);
	assert_int_equal(crafted_number(&c, "SELECT max(settled) FROM meter_totals"), 11);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM meter_totals"), 5);
	assert_int_equal(shm_usage_peek(&c.seg, own, &waiting, 1), 1);
	shm_usage_release(&c.seg, own, 1);
	pass(INT64_C(10) * 1000000000);
	limits_second(&l);
	assert_false(l.retired_left);
	assert_int_equal(shm_meter_identity(&c.seg, m), 0);
	limits_done(&l);
	/* It comes back within its window and goes on where it was. */
	start(&l, &both, store);
	assert_int_equal(info_of(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS)).value, 11);
	limits_done(&l);
}

/* ---- a store that refuses, for a while */

static struct {
	struct store base;
	bool refuses;
} moody;

static int moody_begin(struct store *s, struct bf_err *err)
{
	(void)s;
	return moody.refuses ? bf_err_set(err, BF_E_FULL, "full") : store->ops->begin(store, err);
}

static int moody_commit(struct store *s, struct bf_err *err)
{
	(void)s;
	return store->ops->commit(store, err);
}

static void moody_rollback(struct store *s)
{
	(void)s;
	store->ops->rollback(store);
}

static int moody_add(struct store *s, uint64_t identity, int64_t window, int64_t amount,
		     int64_t *ret_settled, struct bf_err *err)
{
	(void)s;
	return store->ops->add_total(store, identity, window, amount, ret_settled, err);
}

static int moody_newest(struct store *s, uint64_t identity, int64_t least, int64_t most,
			int64_t *ret_window, int64_t *ret_settled, struct bf_err *err)
{
	(void)s;
	return moody.refuses ? bf_err_set(err, BF_E_FULL, "full")
			     : store->ops->newest_total(store, identity, least, most, ret_window,
							ret_settled, err);
}

static const struct store_ops moody_ops = {
    .begin = moody_begin,
    .commit = moody_commit,
    .rollback = moody_rollback,
    .add_total = moody_add,
    .newest_total = moody_newest,
};

static bool is_ill(enum shm_health_bit bit)
{
	return shm_health_all(&c.seg) & UINT64_C(1) << bit;
}

static void a_store_that_does_not_tell(void **state)
{
	struct bf_config one = config_of(1), both = config_of(2);
	struct limits l;

	(void)state;
	start(&l, &one, store);
	limits_done(&l);
	moody.base.ops = &moody_ops;
	moody.refuses = true;
	start(&l, &both, &moody.base);
	/* What lived serves on; the others are not opened with a guess. */
	assert_int_equal(l.unplaced, 3);
	assert_true(meter_of(&l, "vk-1", BF_QUANTITY_TOKENS) != SHM_METER_NOWHERE);
	assert_int_equal(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS), SHM_METER_NOWHERE);
	assert_true(is_ill(SHM_H_LIMITS_UNPLACED));
	assert_int_equal(shm_metric_sum(&c.seg, SHM_M_LIMITS_UNPLACED), 3);
	limits_second(&l);
	assert_int_equal(l.unplaced, 3);
	moody.refuses = false;
	limits_second(&l);
	assert_int_equal(l.unplaced, 0);
	assert_true(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS) != SHM_METER_NOWHERE);
	assert_false(is_ill(SHM_H_LIMITS_UNPLACED));
	limits_done(&l);
}

/* Somebody moves the file away: a new one is made, and nothing that was used is forgotten. */
static void a_file_that_is_moved_away(void **state)
{
	struct bf_config config = config_of(1);
	char moved[128];
	struct bf_err err = {0};
	struct limits l;
	uint32_t m;

	(void)state;
	start(&l, &config, store);
	m = meter_of(&l, "vk-1", BF_QUANTITY_TOKENS);
	write_row(&l, 1, 40);
	(void)snprintf(moved, sizeof(moved), "%s/old.db", c.folder);
	assert_int_equal(rename(c.path, moved), 0);
	assert_true(store->ops->begin(store, &err) < 0);
	assert_int_equal(store->ops->mend(store, &err), 0);
	assert_int_equal(limits_keep(&l, &err), 0);
	assert_int_equal(limits_keep(&l, &err), 0);
	assert_int_equal(crafted_number(&c, "SELECT max(settled) FROM meter_totals"), 40);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 0);
	write_row(&l, 2, 2);
	assert_int_equal(info_of(m).settled, 42);
	limits_done(&l);
	/* The same while nobody ran. */
	store->ops->close(store);
	assert_int_equal(rename(c.path, moved), 0);
	store = crafted_store(&c);
	start(&l, &config, store);
	assert_int_equal(info_of(m).settled, 42);
	assert_int_equal(crafted_number(&c, "SELECT max(settled) FROM meter_totals"), 42);
	limits_done(&l);
}

static void without_a_store(void **state)
{
	struct bf_config config = config_of(1);
	struct limits l;
	uint32_t m;

	(void)state;
	start(&l, &config, store_null_open());
	m = meter_of(&l, "vk-1", BF_QUANTITY_TOKENS);
	write_row(&l, 1, 40);
	write_row(&l, 2, 2);
	assert_int_equal(info_of(m).settled, 42);
	limits_done(&l);
	start(&l, &config, store_null_open());
	assert_int_equal(info_of(m).settled, 42);
	limits_done(&l);
}

/* ---- how limits stand */

static void frozen_windows_are_told(void **state)
{
	struct bf_config config = config_of(1);
	struct limits l;

	(void)state;
	start(&l, &config, store);
	assert_false(is_ill(SHM_H_LIMITS_FROZEN));
	/* More than a minute, less than an hour: the budget and the tokens go on. */
	wall_ns += INT64_C(600) * 1000000000;
	pass(0);
	limits_second(&l);
	assert_true(is_ill(SHM_H_LIMITS_FROZEN));
	assert_int_equal(shm_metric_sum(&c.seg, SHM_M_LIMITS_FROZEN), 1);
	shm_wall_accept(&c.seg, wall_ns, mono_ns);
	limits_second(&l);
	assert_false(is_ill(SHM_H_LIMITS_FROZEN));
	limits_done(&l);
}

static void pages(void **state)
{
	struct bf_msg_limits_get ask = {.virtual_key = {"one", 3}};
	struct bf_config config = config_of(2);
	struct bf_msg_limits page;
	const struct bf_msg_limit *items;
	struct bf_arena arena;
	struct bf_err err = {0};
	struct limits l;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	start(&l, &config, store);
	write_row(&l, 1, 40);
	assert_int_equal(limits_page(&l, &ask, &page, &arena, &err), 0);
	items = page.items.items;
	assert_int_equal(page.items.count, 4);
	assert_int_equal(page.next, 0);
	assert_true(bf_slice_is(items[0].quantity, "requests"));
	assert_int_equal(items[0].used, 1);
	assert_int_equal(items[0].left, 9);
	assert_int_equal(items[0].end_ms - items[0].start_ms, 60000);
	assert_in_range(wall_ns / 1000000, items[0].start_ms, items[0].end_ms - 1);
	assert_true(items[0].placed);
	assert_true(bf_slice_is(items[1].window, "1h"));
	assert_int_equal(items[1].used, 40);
	assert_int_equal(items[2].start_ms, 0);
	/* The window turns: nothing is used in the new one. */
	pass(HOUR_NS);
	assert_int_equal(limits_page(&l, &ask, &page, &arena, &err), 0);
	items = page.items.items;
	assert_int_equal(items[1].used, 0);
	assert_int_equal(items[1].left, 1000);
	ask.virtual_key = (struct bf_slice){"vk-2", 4};
	assert_int_equal(limits_page(&l, &ask, &page, &arena, &err), 0);
	assert_int_equal(page.items.count, 3);
	ask = (struct bf_msg_limits_get){.from = 5};
	assert_int_equal(limits_page(&l, &ask, &page, &arena, &err), 0);
	assert_int_equal(page.items.count, 2);
	ask = (struct bf_msg_limits_get){.from = UINT64_MAX};
	assert_int_equal(limits_page(&l, &ask, &page, &arena, &err), 0);
	assert_int_equal(page.items.count, 0);
	ask = (struct bf_msg_limits_get){.virtual_key = {"x", 1}};
	assert_int_equal(limits_page(&l, &ask, &page, &arena, &err), BF_E_UNKNOWN);
	limits_done(&l);
	bf_arena_done(&arena);
}

#define LIMITS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIMITS_TEST(first_start),
	    LIMITS_TEST(after_everything_is_gone),
	    LIMITS_TEST(a_clock_that_went_back),
	    LIMITS_TEST(after_a_restart),
	    LIMITS_TEST(limits_that_are_gone),
	    LIMITS_TEST(a_store_that_does_not_tell),
	    LIMITS_TEST(a_file_that_is_moved_away),
	    LIMITS_TEST(without_a_store),
	    LIMITS_TEST(frozen_windows_are_told),
	    LIMITS_TEST(pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
