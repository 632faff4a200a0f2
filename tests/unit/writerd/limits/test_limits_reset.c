/* Usage that is forgiven: what was charged counts no more, what runs does, and no restart, loss or
 * death makes more or less of it. */
#include "tests/unit/writerd/limits_spent.h"

#define HOUR_LIMIT 1000 /* of tokens: the money is 5000 */

static struct limits l;

static int begin(void **state)
{
	struct bf_config one = config_of(1);

	if (setup(state) < 0)
		return -1;
	start(&l, &one, store);
	spender_enter();
	return 0;
}

static int end(void **state)
{
	limits_done(&l);
	return teardown(state);
}

#define RESET_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

static void restart(void)
{
	struct bf_config one = config_of(1);

	limits_done(&l);
	start(&l, &one, store);
}

/* As after a reboot: the segment is gone, and what it knew. */
static void lose_meters(void)
{
	for (uint32_t m = 0; (m = shm_meter_next(&c.seg, m)) != SHM_METER_NOWHERE; m++) {
		shm_meter_retire(&c.seg, m);
		shm_meter_free(&c.seg, m);
	}
}

static void what_was_used_is_to_be_had_again(void **state)
{
	struct taken running;
	int64_t sum;

	(void)state;
	assert_true(spend(&l, 1, 600));
	assert_true(take(&l, 2, 300, &running));
	assert_false(spend(&l, 3, 101));
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	assert_int_equal(sum, 1200);
	assert_int_equal(used_money(&l), 0);
	assert_int_equal(counted_money(&l), 300);
	assert_false(spend(&l, 3, 701));
	assert_true(spend(&l, 4, 700));
	/* What ran is charged, and not forgiven. */
	give(&l, &running, 290);
	assert_int_equal(used_money(&l), 990);
	assert_int_equal(counted_money(&l), 990);
	assert_false(spend(&l, 5, 11));
	/* Rows are what they were. */
	assert_int_equal(crafted_number(&c, "SELECT sum(cost_nusd) FROM logs"), 1590);
	assert_int_equal(crafted_number(&c, "SELECT max(settled) FROM meter_totals"), 1590);
	/* Again, and then there is nothing to forgive. */
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	assert_int_equal(sum, 1980);
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	assert_int_equal(sum, 0);
	assert_int_equal(crafted_number(&c, "SELECT max(resets) FROM meter_totals"), 2);
	assert_true(spend(&l, 6, HOUR_LIMIT));
	assert_false(spend(&l, 7, 1));
}

static void one_limit_alone(void **state)
{
	int64_t sum;

	(void)state;
	assert_true(spend(&l, 1, 400));
	assert_int_equal(forgive(&l, "b-hour", &sum), LIMITS_RESET_DONE);
	assert_int_equal(sum, 400);
	assert_int_equal(used_money(&l), 0);
	assert_int_equal(info_of(meter_of(&l, "vk-1", BF_QUANTITY_TOKENS)).settled, 400);
	assert_int_equal(forgive(&l, "r", &sum), LIMITS_RESET_DONE);
	assert_int_equal(sum, 400);
	assert_int_equal(forgive(&l, "b-day", &sum), LIMITS_RESET_UNKNOWN);
}

static void it_ends_with_its_window(void **state)
{
	struct taken late;
	int64_t sum;

	(void)state;
	assert_true(spend(&l, 1, 900));
	assert_true(take(&l, 2, 50, &late));
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	pass(HOUR_NS);
	limits_second(&l);
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	assert_int_equal(sum, 0);
	assert_false(spend(&l, 3, HOUR_LIMIT + 1));
	assert_true(spend(&l, 4, 800));
	/* One of the window before is charged there. */
	give(&l, &late, 50);
	assert_int_equal(used_money(&l), 800);
	assert_int_equal(counted_money(&l), 800);
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	assert_int_equal(sum, 1600);
}

static void it_is_remembered(void **state)
{
	char moved[128];
	int64_t sum;

	(void)state;
	assert_true(spend(&l, 1, 900));
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	assert_true(spend(&l, 2, 100));
	restart();
	assert_int_equal(used_money(&l), 100);
	assert_int_equal(counted_money(&l), 100);
	/* Without its segment. */
	limits_done(&l);
	lose_meters();
	spender_enter();
	restart();
	assert_int_equal(used_money(&l), 100);
	assert_int_equal(counted_money(&l), 100);
	assert_true(spend(&l, 3, 50));
	assert_int_equal(counted_money(&l), 150);
	restart();
	assert_int_equal(counted_money(&l), 150);
	/* Without its file: the meters know, also how often. */
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	assert_true(spend(&l, 4, 30));
	limits_done(&l);
	store->ops->close(store);
	(void)snprintf(moved, sizeof(moved), "%s/old.db", c.folder);
	assert_int_equal(rename(c.path, moved), 0);
	store = crafted_store(&c);
	restart();
	assert_int_equal(used_money(&l), 30);
	assert_int_equal(counted_money(&l), 30);
	assert_int_equal(crafted_number(&c, "SELECT max(resets) FROM meter_totals"), 2);
	restart();
	assert_int_equal(counted_money(&l), 30);
	assert_true(spend(&l, 5, HOUR_LIMIT - 30));
	assert_false(spend(&l, 6, 1));
}

/* A limit that goes and comes again is summed up anew. */
static void given_back_it_is_still_forgiven(void **state)
{
	struct bf_config none = config_of(0), one = config_of(1);
	struct taken t;
	int64_t sum;

	(void)state;
	assert_true(spend(&l, 1, 900));
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	assert_true(take(&l, 2, 70, &t));
	limits_done(&l);
	start(&l, &none, store);
	write_taken(&l, &t, 70);
	limits_done(&l);
	start(&l, &one, store);
	assert_int_equal(used_money(&l), 70);
}

static void without_a_store(void **state)
{
	struct bf_config one = config_of(1);
	struct limits other;
	struct store *none = store_null_open();
	int64_t sum;

	(void)state;
	start(&other, &one, none);
	assert_int_equal(forgive(&other, "", &sum), LIMITS_RESET_NO_STORE);
	limits_done(&other);
	none->ops->close(none);
	restart();
}

static void a_store_that_refuses(void **state)
{
	sqlite3 *db = NULL;
	int64_t sum;

	(void)state;
	assert_true(spend(&l, 1, 900));
	assert_int_equal(sqlite3_open(c.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "CREATE TRIGGER no BEFORE UPDATE ON meter_totals BEGIN "
				      "SELECT RAISE(ABORT, 'no'); END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_FAILED);
	assert_int_equal(counted_money(&l), 900);
	assert_int_equal(used_money(&l), 900);
	assert_int_equal(sqlite3_exec(db, "DROP TRIGGER no", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	assert_int_equal(counted_money(&l), 0);
}

/* ---- anything in any order */

/* What is true, counted one thing after the other. */
struct model {
	int64_t used, held;
	bool open[4];
	struct taken taken[4];
	uint64_t random;
	bool moved; /* the store is another one since this window began */
	uint32_t rows, refused, resets, files;
};

static uint64_t below(struct model *m, uint64_t n)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return (m->random >> 8) % n;
}

static void play_request(struct model *m, uint32_t i)
{
	struct taken *t = &m->taken[i];
	int64_t amount = (int64_t)below(m, 300);

	if (m->open[i]) {
		give(&l, t, amount);
		m->held -= t->amount;
		m->used += amount;
		m->open[i] = false;
		return;
	}
	m->open[i] = take(&l, ++m->rows, amount, t);
	assert_int_equal(m->open[i], m->used + m->held + amount <= HOUR_LIMIT);
	m->held += m->open[i] ? amount : 0;
	m->refused += !m->open[i];
}

static bool any_open(const struct model *m)
{
	return m->open[0] || m->open[1] || m->open[2] || m->open[3];
}

static void play_reset(struct model *m)
{
	int64_t sum;

	assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
	assert_int_equal(sum, 2 * m->used);
	m->used = 0;
	m->resets++;
}

/* A row of a worker that did not know the limit. */
static void play_unnamed(struct model *m)
{
	struct taken nobody = {.n = ++m->rows};
	int64_t amount = (int64_t)below(m, 200);

	write_named(&l, &nobody, amount, 0);
	m->used += amount;
}

/* A time without the limit; its place is given back, or not. */
static void play_gone(struct model *m)
{
	struct bf_config none = config_of(0), one = config_of(1);

	limits_done(&l);
	start(&l, &none, store);
	play_unnamed(m);
	for (int i = 0; i < 2 && !any_open(m) && below(m, 2); i++) {
		pass(INT64_C(400) * 1000000000);
		limits_second(&l);
	}
	limits_done(&l);
	start(&l, &one, store);
}

/* Somebody moves the store away: the meters know. */
static void play_moved(struct model *m)
{
	char moved[160];

	limits_done(&l);
	store->ops->close(store);
	(void)snprintf(moved, sizeof(moved), "%s/old%u.db", c.folder, m->files++);
	assert_int_equal(rename(c.path, moved), 0);
	store = crafted_store(&c);
	restart();
	m->moved = true;
}

/* The next window, in which one runs. What ends there is of the one before. */
static void play_window(struct model *m)
{
	for (int i = 0; i < 4; i++)
		if (m->open[i])
			write_taken(&l, &m->taken[i], 10);
	pass(HOUR_NS);
	for (int i = 0; i < 4; i++)
		if (m->open[i])
			give(&l, &m->taken[i], 10);
	restart();
	*m = (struct model){.random = m->random,
			    .rows = m->rows + 1,
			    .refused = m->refused,
			    .resets = m->resets,
			    .files = m->files,
			    .open = {true},
			    .held = 1};
	assert_true(take(&l, m->rows, 1, &m->taken[0]));
}

/* In the window of now. */
static void agree(const struct model *m)
{
	struct shm_meter_info info = info_of(meter_of(&l, "vk-1", BF_QUANTITY_NUSD));
	uint32_t epoch = epoch_of(limit_of(&l, "vk-1", BF_QUANTITY_NUSD));

	assert_int_equal(info.settled_epoch == epoch ? info.settled : 0, m->used);
	assert_int_equal(shm_meter_counted(&info, epoch), m->used + m->held);
}

static void play_step(struct model *m)
{
	uint64_t dice = below(m, 60);

	if (dice == 0) {
		restart();
	} else if (dice < 6) {
		play_reset(m);
	} else if (dice < 9) {
		play_unnamed(m);
	} else if (dice < 11 && !any_open(m)) {
		limits_done(&l);
		lose_meters();
		spender_enter();
		restart();
	} else if (dice < 13 && !m->moved) {
		/* Rows that were moved away cannot be summed up again. */
		play_gone(m);
	} else if (dice == 14) {
		play_moved(m);
	} else if (dice == 15) {
		play_window(m);
	} else {
		play_request(m, (uint32_t)below(m, 4));
	}
	agree(m);
}

static void anything_agrees_with_a_count(void **state)
{
	uint32_t refused = 0, resets = 0;

	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct model m = {.random = seed * UINT64_C(0x9e3779b97f4a7c15)};

		for (int step = 0; step < 300; step++)
			play_step(&m);
		refused += m.refused;
		resets += m.resets;
		assert_int_equal(end(state), 0);
		assert_int_equal(begin(state), 0);
	}
	assert_true(refused > 50 && resets > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    RESET_TEST(what_was_used_is_to_be_had_again),
	    RESET_TEST(one_limit_alone),
	    RESET_TEST(it_ends_with_its_window),
	    RESET_TEST(it_is_remembered),
	    RESET_TEST(given_back_it_is_still_forgiven),
	    RESET_TEST(without_a_store),
	    RESET_TEST(a_store_that_refuses),
	    RESET_TEST(anything_agrees_with_a_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
