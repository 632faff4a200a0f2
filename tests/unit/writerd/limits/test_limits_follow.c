/* Limits follow entities as they change: what comes is open at once, what goes serves those who
 * knew it, and the sums are those of the rows whatever happens in between. */
#include "tests/unit/writerd/limits_live.h"

#define SECOND_NS INT64_C(1000000000)
#define MINUTE_NS (60 * SECOND_NS)

static void two_goes(void)
{
	drop(BF_ENTITY_VIRTUAL_KEY, "vk-2");
	limits_settle(&l);
}

static struct shm_meter_info tokens_of_two(void)
{
	return info_of(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS));
}

static void what_comes_is_open_at_once(void **state)
{
	(void)state;
	assert_int_equal(l.live, 4);
	assert_int_equal(watched(), 3);
	row_of_two(&l, false, "");
	two_comes();
	assert_int_equal(l.live, 7);
	assert_int_equal(l.closed, 0);
	assert_int_equal(watched(), 5);
	assert_int_equal(tokens_of_two().limit, 1000);
	/* With what was charged before. */
	assert_int_equal(tokens_of_two().value, 5);
	/* Requests that do not know it yet come with their rows, as long as there may be any. */
	row_of_two(&l, false, "");
	assert_int_equal(tokens_of_two().settled, 10);
	assert_int_equal(tokens_of_two().missed, 5);
	pass(10 * MINUTE_NS);
	row_of_two(&l, false, "");
	assert_int_equal(tokens_of_two().missed, 10);
	limits_in_force(&l);
	pass(4 * MINUTE_NS);
	row_of_two(&l, false, "");
	assert_int_equal(tokens_of_two().missed, 15);
	pass(2 * MINUTE_NS);
	row_of_two(&l, false, "");
	assert_int_equal(tokens_of_two().missed, 15);
}

static void another_maximum_is_told(void **state)
{
	uint32_t m = meter_of(&l, "vk-1", BF_QUANTITY_NUSD), tokens, other, before;

	(void)state;
	tokens = meter_of(&l, "vk-1", BF_QUANTITY_TOKENS);
	other = shm_meter_config(&c.seg, tokens);
	before = shm_meter_config(&c.seg, m);
	write_row(&l, 1, 40);
	budgets[0].max_limit_nusd = 6000;
	change(BF_ENTITY_VIRTUAL_KEY, &keys[0], "vk-1");
	limits_settle(&l);
	budgets[0].max_limit_nusd = 5000;
	assert_int_equal(meter_of(&l, "vk-1", BF_QUANTITY_NUSD), m);
	assert_int_equal(info_of(m).limit, 6000);
	assert_int_equal(info_of(m).settled, 7);
	assert_true(shm_meter_config(&c.seg, m) != before);
	assert_int_equal(shm_meter_config(&c.seg, tokens), other);
	assert_int_equal(l.live, 4);
}

/* A rate limit has no meter: those who name it have. */
static void who_names_a_rate_limit_follows_it(void **state)
{
	struct bf_conf_rate_limit rate = rates[0];

	(void)state;
	two_comes();
	rate.token_max_limit = 77;
	rate.concurrent_max_limit = 0;
	change(BF_ENTITY_RATE_LIMIT, &rate, "r");
	limits_settle(&l);
	assert_int_equal(tokens_of_two().limit, 77);
	assert_int_equal(info_of(meter_of(&l, "vk-1", BF_QUANTITY_TOKENS)).limit, 77);
	assert_null(find_limit(&l, "vk-1", BF_QUANTITY_CONCURRENT));
	assert_int_equal(l.live, 5);
	/* Without it only the budget is left; with it all is as before. */
	drop(BF_ENTITY_RATE_LIMIT, "r");
	limits_settle(&l);
	assert_int_equal(l.live, 1);
	assert_int_equal(watched(), 1);
	change(BF_ENTITY_RATE_LIMIT, &rates[0], "r");
	limits_settle(&l);
	assert_int_equal(l.live, 7);
	assert_int_equal(tokens_of_two().limit, 1000);
}

static void a_moved_window_keeps_what_was_used(void **state)
{
	struct bf_conf_rate_limit rate = rates[0];
	uint32_t before;

	(void)state;
	two_comes();
	row_of_two(&l, true, "");
	before = meter_of(&l, "vk-2", BF_QUANTITY_TOKENS);
	rate.token_reset_duration = BF_SLICE_LIT("2h");
	change(BF_ENTITY_RATE_LIMIT, &rate, "r");
	limits_settle(&l);
	assert_int_not_equal(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS), before);
	assert_int_equal(tokens_of_two().value, 5);
	/* The older one serves on. */
	assert_int_not_equal(shm_meter_identity(&c.seg, before), 0);
	assert_int_equal(l.table.count, l.live + 2);
}

static struct bf_conf_model_config model_of(const char *name)
{
	return (struct bf_conf_model_config){.own.id = BF_SLICE_LIT("mc"),
					     .own.rate_limit_id = BF_SLICE_LIT("r"),
					     .own.budgets = {budgets, 1},
					     .model_name = bf_slice_from(name)};
}

static void becomes(const char *name)
{
	const struct bf_conf_model_config model = model_of(name);

	change(BF_ENTITY_MODEL_CONFIG, &model, "mc");
	limits_settle(&l);
}

/* Its meter goes on with the sum of the rows that it is about now. */
static void of_another_model_it_knows_what_was_used(void **state)
{
	uint32_t m;

	(void)state;
	row_of_two(&l, false, ""); /* of the model "m" */
	becomes("other");
	m = meter_of(&l, "mc", BF_QUANTITY_TOKENS);
	assert_int_equal(info_of(m).settled, 0);
	becomes("m");
	assert_int_equal(meter_of(&l, "mc", BF_QUANTITY_TOKENS), m);
	assert_int_equal(info_of(m).settled, 5);
	assert_int_equal(counted(m), 5);
	/* Of the next ones it is told, once. */
	row_of_two(&l, false, "");
	assert_int_equal(counted(m), 10);
	limits_settle(&l);
	assert_int_equal(info_of(m).settled, 10);
	becomes("other");
	assert_int_equal(info_of(m).settled, 0);
	assert_int_equal(counted(m), 0);
	row_of_two(&l, false, "");
	assert_int_equal(counted(m), 0);
	becomes("m");
	assert_int_equal(info_of(m).settled, 15);
	assert_int_equal(counted(m), 15);
	assert_int_equal(watched(), 6);
}

/* A file that says it is read by another writerd, and so is what a killed one stored. */
static void of_another_model_the_next_writerd_knows(void **state)
{
	struct bf_conf_model_config model = model_of("m");
	struct bf_config config = config_of(1);
	uint32_t m;

	(void)state;
	config.governance.model_configs = (struct bf_array){&model, 1};
	row_of_two(&l, false, "");
	becomes("m");
	m = meter_of(&l, "mc", BF_QUANTITY_TOKENS);
	assert_int_equal(counted(m), 5);
	for (int round = 0; round < 2; round++) {
		limits_done(&l);
		model.model_name = BF_SLICE_LIT("other");
		start(&l, &config, store);
		assert_int_equal(info_of(m).settled, 0);
		assert_int_equal(counted(m), 0);
	}
	/* One that died before it could tell the meter. */
	limits_done(&l);
	shm_meter_set_resets(&c.seg, m, info_of(m).epoch, 0);
	shm_meter_set_settled(&c.seg, m, info_of(m).epoch, 77);
	start(&l, &config, store);
	assert_int_equal(info_of(m).settled, 0);
	limits_done(&l);
	model.model_name = BF_SLICE_LIT("m");
	start(&l, &config, store);
	assert_int_equal(info_of(m).settled, 5);
	assert_int_equal(counted(m), 5);
}

static void what_goes_serves_those_who_knew_it(void **state)
{
	uint64_t identity;
	uint32_t m;

	(void)state;
	two_comes();
	limits_in_force(&l);
	m = meter_of(&l, "vk-2", BF_QUANTITY_TOKENS);
	identity = limit_of(&l, "vk-2", BF_QUANTITY_TOKENS)->identity;
	row_of_two(&l, true, "");
	two_goes();
	assert_int_equal(l.live, 4);
	assert_int_equal(watched(), 3);
	assert_int_equal(shm_metric_sum(&c.seg, SHM_M_LIMITS), 4);
	/* As long as it is in force anywhere. */
	pass(HOUR_NS);
	limits_second(&l);
	assert_int_equal(shm_meter_find(&c.seg, identity), m);
	limits_in_force(&l);
	pass(299 * SECOND_NS);
	limits_second(&l);
	assert_int_equal(shm_meter_find(&c.seg, identity), m);
	pass(2 * SECOND_NS);
	limits_second(&l);
	assert_int_equal(shm_meter_find(&c.seg, identity), SHM_METER_NOWHERE);
	pass(10 * SECOND_NS);
	limits_second(&l);
	assert_int_equal(shm_meter_identity(&c.seg, m), 0);
	assert_int_equal(l.table.count, 4);
}

/* Rows of newer requests do not name it: it learns of them when it is given back. */
static void given_back_it_knows_what_was_spent(void **state)
{
	(void)state;
	two_comes();
	row_of_two(&l, true, "");
	for (int64_t times = 1; times <= 3; times++) {
		two_goes();
		limits_in_force(&l);
		row_of_two(&l, false, "");
		pass(MINUTE_NS);
		limits_second(&l);
		two_comes();
		assert_int_equal(tokens_of_two().settled, 5 + 5 * times);
		assert_int_equal(tokens_of_two().missed, 5 * times);
	}
	assert_int_equal(l.table.count, l.live);
	/* Its time did not run while it was there. */
	pass(5 * MINUTE_NS);
	limits_second(&l);
	assert_int_equal(tokens_of_two().settled, 20);
	two_goes();
	limits_in_force(&l);
	pass(6 * MINUTE_NS);
	limits_second(&l);
	row_of_two(&l, false, "");
	two_comes();
	assert_int_equal(tokens_of_two().settled, 25);
	assert_int_equal(counted(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS)), 25);
}

/* All in one transaction, as a group of changes is. */
static void there_and_back_in_one_group(void **state)
{
	(void)state;
	two_comes();
	row_of_two(&l, true, "");
	drop(BF_ENTITY_VIRTUAL_KEY, "vk-2");
	assert_int_equal(l.to_unwatch, 2);
	two_comes();
	assert_int_equal(l.to_unwatch, 0);
	assert_int_equal(watched(), 5);
	assert_int_equal(tokens_of_two().settled, 5);
	assert_int_equal(tokens_of_two().missed, 0);
}

static void a_store_that_does_not_answer(void **state)
{
	struct bf_err err = {0};
	sqlite3 *other = NULL;

	(void)state;
	assert_int_equal(sqlite3_open(c.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	two_comes();
	assert_int_equal(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS), SHM_METER_NOWHERE);
	assert_int_equal(l.closed, 3);
	assert_true(limits_ready(&l, &err) < 0); /* no row is written */
	two_goes();
	assert_int_equal(l.closed, 0);
	drop(BF_ENTITY_VIRTUAL_KEY, "vk-1");
	limits_settle(&l);
	limits_in_force(&l);
	pass(10 * MINUTE_NS);
	limits_second(&l);
	/* It is not forgotten before the store was told. */
	assert_int_equal(l.to_unwatch, 3);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(other);
	limits_second(&l);
	assert_int_equal(watched(), 0);
	limits_second(&l);
	assert_int_equal(l.table.count, 0);
}

/* A new load of everything: who is not in it goes. */
static void loaded_anew(void **state)
{
	struct bf_config both = config_of(2);
	uint32_t m;

	(void)state;
	two_comes();
	m = meter_of(&l, "vk-2", BF_QUANTITY_TOKENS);
	row_of_two(&l, true, "");
	know(&both);
	take_entity(BF_ENTITY_VIRTUAL_KEY, "vk-1");
	limits_load(&l);
	assert_int_equal(l.live, 3);
	assert_int_equal(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS), m);
	assert_int_equal(tokens_of_two().settled, 5);
	assert_int_equal(watched(), 2);
}

/* Until something is loaded nobody knows who is nobody's. */
static void nothing_is_loaded(void **state)
{
	struct entities *none = NULL;
	struct bf_err err = {0};
	uint32_t m = meter_of(&l, "vk-1", BF_QUANTITY_TOKENS);

	(void)state;
	limits_done(&l);
	assert_int_equal(limits_start(&l, &c.seg, store, &none, 1000, own, &err), 0);
	limits_load(&l);
	limits_in_force(&l);
	limits_change(&l, BF_ENTITY_VIRTUAL_KEY, BF_SLICE_LIT("vk-1"));
	assert_int_equal(limits_ready(&l, &err), 0);
	assert_int_equal(watched(), 0); /* rows that are written now are missed by some */
	pass(10 * MINUTE_NS);
	limits_second(&l);
	assert_int_not_equal(shm_meter_quantity(&c.seg, m), 0);
	assert_int_equal(shm_meter_find(&c.seg, shm_meter_identity(&c.seg, m)), m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIVE_TEST(what_comes_is_open_at_once),
	    LIVE_TEST(another_maximum_is_told),
	    LIVE_TEST(who_names_a_rate_limit_follows_it),
	    LIVE_TEST(a_moved_window_keeps_what_was_used),
	    LIVE_TEST(of_another_model_it_knows_what_was_used),
	    LIVE_TEST(of_another_model_the_next_writerd_knows),
	    LIVE_TEST(what_goes_serves_those_who_knew_it),
	    LIVE_TEST(given_back_it_knows_what_was_spent),
	    LIVE_TEST(there_and_back_in_one_group),
	    LIVE_TEST(a_store_that_does_not_answer),
	    LIVE_TEST(loaded_anew),
	    LIVE_TEST(nothing_is_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
