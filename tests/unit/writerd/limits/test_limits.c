/* Places of limits: at the first start, after a restart, after a change; and how they stand. */
#include "tests/unit/writerd/limits_bed.h"

static void first_start(void **state)
{
	struct bf_config config = config_of(2);
	struct limits l;

	(void)state;
	start(&l, &config, store);
	assert_int_equal(l.live, 7);
	assert_in_range(limits_memory(), 1 << 20, 16 << 20);
	assert_int_equal(l.closed, 0);
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

/* Workers of the older configuration admit with them until they have left. */
static void limits_that_are_gone_serve_until_nobody_can_want_them(void **state)
{
	struct bf_config one = config_of(1), both = config_of(2);
	struct limits l;
	uint64_t identity;

	(void)state;
	one.supervisor.drain_timeout_ms = 90000;
	start(&l, &both, store);
	identity = limit_of(&l, "vk-2", BF_QUANTITY_TOKENS)->identity;
	limits_done(&l);
	start(&l, &one, store);
	limits_second(&l);
	assert_true(shm_meter_find(&c.seg, identity) != SHM_METER_NOWHERE);
	pass(INT64_C(90) * 1000000000);
	limits_second(&l);
	assert_true(shm_meter_find(&c.seg, identity) != SHM_METER_NOWHERE);
	/* Another writerd saw less of it. */
	limits_done(&l);
	start(&l, &one, store);
	pass(INT64_C(380) * 1000000000);
	limits_second(&l);
	assert_true(shm_meter_find(&c.seg, identity) != SHM_METER_NOWHERE);
	pass(INT64_C(10) * 1000000000);
	limits_second(&l);
	assert_int_equal(shm_meter_find(&c.seg, identity), SHM_METER_NOWHERE);
	assert_true(meter_of(&l, "vk-1", BF_QUANTITY_TOKENS) != SHM_METER_NOWHERE);
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
	pass(INT64_C(300) * 1000000000);
	limits_second(&l);
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

static void a_clock_that_is_behind_is_told(void **state)
{
	struct bf_config config = config_of(1);
	struct limits l;

	(void)state;
	start(&l, &config, store);
	wall_ns -= INT64_C(100) * 1000000000;
	pass(0);
	limits_second(&l);
	assert_true(is_ill(SHM_H_CLOCK_BEHIND));
	assert_false(is_ill(SHM_H_LIMITS_FROZEN));
	shm_wall_accept(&c.seg, wall_ns, mono_ns);
	limits_second(&l);
	assert_false(is_ill(SHM_H_CLOCK_BEHIND));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIMITS_TEST(first_start),
	    LIMITS_TEST(after_everything_is_gone),
	    LIMITS_TEST(a_clock_that_went_back),
	    LIMITS_TEST(after_a_restart),
	    LIMITS_TEST(limits_that_are_gone_serve_until_nobody_can_want_them),
	    LIMITS_TEST(limits_that_are_gone),
	    LIMITS_TEST(frozen_windows_are_told),
	    LIMITS_TEST(a_clock_that_is_behind_is_told),
	    LIMITS_TEST(pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
