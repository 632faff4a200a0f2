/* Rows that a limit's meter did not count: written while no plan named it, or admitted by workers
 * that did not know it. None is forgotten, none counts twice. */
#include "tests/unit/writerd/limits_bed.h"

#define MINUTE_NS (INT64_C(60) * 1000000000)

static struct bf_conf_team teams[] = {
    {.own = {.id = {"t-1", 3}, .name = {"blue", 4}, .rate_limit_id = {"r", 1}}},
    {.own = {.id = {"t-2", 3}, .name = {"red", 3}, .rate_limit_id = {"r", 1}}},
};

static int64_t tokens_of_two(const struct limits *l)
{
	uint32_t m = meter_of(l, "vk-2", BF_QUANTITY_TOKENS);
	struct shm_meter_info info = info_of(m);

	assert_true(info.missed_epoch == info.settled_epoch || info.missed == 0);
	return info.settled;
}

static int64_t missed_by_two(const struct limits *l)
{
	struct shm_meter_info info = info_of(meter_of(l, "vk-2", BF_QUANTITY_TOKENS));

	return info.missed_epoch == info.settled_epoch ? info.missed : 0;
}

/* The configuration does not name vk-2 for so long, in which it is charged once. */
static void without_two(int64_t ns)
{
	struct bf_config one = config_of(1);
	struct limits l;

	start(&l, &one, store);
	row_of_two(&l, false, "");
	pass(ns);
	limits_second(&l);
	pass(INT64_C(10) * 1000000000);
	limits_second(&l);
	limits_done(&l);
}

static void given_back_while_its_meter_lives(void **state)
{
	struct bf_config both = config_of(2);
	struct limits l;

	(void)state;
	start(&l, &both, store);
	row_of_two(&l, true, "");
	limits_done(&l);
	for (int64_t times = 1; times <= 3; times++) {
		without_two(MINUTE_NS);
		start(&l, &both, store);
		assert_int_equal(tokens_of_two(&l), 5 + 5 * times);
		/* What it counts itself is not changed: those who count now are not in the way. */
		assert_int_equal(info_of(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS)).value, 0);
		assert_int_equal(missed_by_two(&l), 5 * times);
		limits_done(&l);
	}
	/* Again it changes nothing. */
	start(&l, &both, store);
	assert_int_equal(tokens_of_two(&l), 20);
	assert_int_equal(missed_by_two(&l), 15);
	row_of_two(&l, true, "");
	assert_int_equal(tokens_of_two(&l), 25);
	assert_int_equal(missed_by_two(&l), 15);
	limits_done(&l);
}

static void given_back_after_its_place_was(void **state)
{
	struct bf_config both = config_of(2);
	struct limits l;

	(void)state;
	start(&l, &both, store);
	row_of_two(&l, true, "");
	limits_done(&l);
	without_two(7 * MINUTE_NS);
	start(&l, &both, store);
	assert_int_equal(tokens_of_two(&l), 10);
	assert_int_equal(info_of(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS)).value, 10);
	assert_int_equal(missed_by_two(&l), 0);
	limits_done(&l);
}

/* Killed after the commit, before the meter had it. */
static void what_was_missed_is_said_again(void **state)
{
	struct bf_config both = config_of(2);
	struct limits l;
	uint32_t m, epoch;

	(void)state;
	start(&l, &both, store);
	row_of_two(&l, true, "");
	limits_done(&l);
	without_two(MINUTE_NS);
	start(&l, &both, store);
	m = meter_of(&l, "vk-2", BF_QUANTITY_TOKENS);
	epoch = info_of(m).settled_epoch;
	limits_done(&l);
	shm_meter_set_missed(&c.seg, m, epoch - 1, 0);
	shm_meter_set_settled(&c.seg, m, epoch, 5);
	start(&l, &both, store);
	assert_int_equal(tokens_of_two(&l), 10);
	assert_int_equal(missed_by_two(&l), 5);
	limits_done(&l);
	/* And after a loss of the segment it has missed nothing: it begins with all. */
	shm_meter_retire(&c.seg, m);
	shm_meter_free(&c.seg, m);
	start(&l, &both, store);
	assert_int_equal(tokens_of_two(&l), 10);
	assert_int_equal(counted(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS)), 10);
	assert_int_equal(missed_by_two(&l), 0);
	assert_int_equal(crafted_number(&c, "SELECT missed FROM meter_totals WHERE settled = 10"),
			 0);
	limits_done(&l);
}

/* The store was moved away while the meter lives: what it missed is known to it alone. */
static void a_new_file_learns_what_was_missed(void **state)
{
	struct bf_config both = config_of(2);
	char moved[128];
	struct limits l;

	(void)state;
	start(&l, &both, store);
	row_of_two(&l, true, "");
	limits_done(&l);
	without_two(MINUTE_NS);
	start(&l, &both, store);
	limits_done(&l);
	store->ops->close(store);
	(void)snprintf(moved, sizeof(moved), "%s/old.db", c.folder);
	assert_int_equal(rename(c.path, moved), 0);
	store = crafted_store(&c);
	start(&l, &both, store);
	assert_int_equal(crafted_number(&c, "SELECT sum(settled) FROM meter_totals"), 10);
	assert_int_equal(crafted_number(&c, "SELECT sum(missed) FROM meter_totals"), 5);
	assert_int_equal(missed_by_two(&l), 5);
	limits_done(&l);
}

/* Rows may have been deleted since they were counted. */
static void a_total_never_falls(void **state)
{
	struct bf_config both = config_of(2);
	struct limits l;

	(void)state;
	start(&l, &both, store);
	for (int i = 0; i < 4; i++)
		row_of_two(&l, true, "");
	limits_done(&l);
	without_two(MINUTE_NS);
	(void)crafted_number(&c, "DELETE FROM logs WHERE id < (SELECT max(id) FROM logs)");
	start(&l, &both, store);
	assert_int_equal(tokens_of_two(&l), 20);
	assert_int_equal(missed_by_two(&l), 0);
	limits_done(&l);
}

/* Those of a store of before, where nobody noted who is watched. */
static void who_is_watched_is_noted(void **state)
{
	struct bf_config both = config_of(2), one = config_of(1);
	struct limits l;

	(void)state;
	start(&l, &both, store);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM meter_watched"), 5);
	row_of_two(&l, true, "");
	limits_done(&l);
	(void)crafted_number(&c, "DELETE FROM meter_watched");
	(void)crafted_number(&c, "UPDATE meter_totals SET settled = 1");
	start(&l, &both, store);
	assert_int_equal(tokens_of_two(&l), 5);
	assert_int_equal(missed_by_two(&l), 0); /* it was shown */
	limits_done(&l);
	start(&l, &one, store);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM meter_watched"), 3);
	limits_done(&l);
}

/* ---- requests of older workers */

static void a_new_limit_gets_the_rows_of_older_workers(void **state)
{
	struct bf_config one = config_of(1), both = config_of(2);
	struct limits l;

	(void)state;
	pass(58 * MINUTE_NS);
	start(&l, &one, store);
	row_of_two(&l, false, "");
	limits_done(&l);
	start(&l, &both, store);
	assert_int_equal(info_of(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS)).value, 5);
	row_of_two(&l, false, "");
	row_of_two(&l, true, "");
	assert_int_equal(tokens_of_two(&l), 15);
	assert_int_equal(missed_by_two(&l), 5);
	assert_int_equal(counted(meter_of(&l, "vk-2", BF_QUANTITY_REQUESTS)), 3);
	/* Its window turns: rows of before are not of the new one. */
	wall_ns -= HOUR_NS;
	row_of_two(&l, false, "");
	wall_ns += HOUR_NS;
	assert_int_equal(tokens_of_two(&l), 15);
	/* Nor does a row of a clock that was ahead begin the next. */
	wall_ns += 3 * MINUTE_NS;
	row_of_two(&l, false, "");
	wall_ns -= 3 * MINUTE_NS;
	assert_int_equal(tokens_of_two(&l), 20);
	assert_int_equal(missed_by_two(&l), 10);
	/* No worker of before can be left. */
	pass(6 * MINUTE_NS);
	row_of_two(&l, false, "");
	assert_int_equal(tokens_of_two(&l), 20);
	limits_done(&l);
}

/* The key was moved, its request runs on for the team that it had. */
static void teams_get_what_is_theirs(void **state)
{
	struct bf_config config = config_of(2);
	struct limits l;

	(void)state;
	config.governance.teams = (struct bf_array){teams, 2};
	keys[1].team_id = (struct bf_slice){"t-2", 3};
	start(&l, &config, store);
	row_of_two(&l, true, "t-1");
	row_of_two(&l, true, "t-2");
	row_of_two(&l, true, "t-2");
	row_of_two(&l, true, "t-3");
	row_of_two(&l, true, "");
	assert_int_equal(counted(meter_of(&l, "t-1", BF_QUANTITY_TOKENS)), 5);
	assert_int_equal(counted(meter_of(&l, "t-2", BF_QUANTITY_TOKENS)), 10);
	assert_int_equal(missed_by_two(&l), 0);
	assert_int_equal(tokens_of_two(&l), 25);
	/* The key is gone, its request is not. */
	keys[1].team_id = (struct bf_slice){NULL, 0};
	limits_done(&l);
	config = config_of(1);
	config.governance.teams = (struct bf_array){teams, 2};
	start(&l, &config, store);
	row_of_two(&l, false, "t-1");
	assert_int_equal(counted(meter_of(&l, "t-1", BF_QUANTITY_TOKENS)), 10);
	limits_done(&l);
}

static void without_a_store_the_segment_knows(void **state)
{
	struct bf_config both = config_of(2);
	struct limits l;

	(void)state;
	store->ops->close(store);
	store = store_null_open();
	start(&l, &both, store);
	l.fold.missed(&l,
		      &(struct shm_usage_record){.started_wall_ns = wall_ns,
						 .tokens_charged = 5,
						 .virtual_key_id = "vk-2"},
		      &(struct row){.virtual_key_id = "vk-2", .provider = "mock", .model = "m"});
	fold_publish(&l.fold);
	assert_int_equal(tokens_of_two(&l), 5);
	assert_int_equal(missed_by_two(&l), 5);
	limits_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIMITS_TEST(given_back_while_its_meter_lives),
	    LIMITS_TEST(given_back_after_its_place_was),
	    LIMITS_TEST(what_was_missed_is_said_again),
	    LIMITS_TEST(a_new_file_learns_what_was_missed),
	    LIMITS_TEST(a_total_never_falls),
	    LIMITS_TEST(who_is_watched_is_noted),
	    LIMITS_TEST(a_new_limit_gets_the_rows_of_older_workers),
	    LIMITS_TEST(teams_get_what_is_theirs),
	    LIMITS_TEST(without_a_store_the_segment_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
