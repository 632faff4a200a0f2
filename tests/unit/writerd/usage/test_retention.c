/* Old rows leave: the schedule by a clock that only these tests move, the deletion in real SQLite.
 */
#include "tests/unit/writerd/crafted.h"

#include "writerd/usage/retention.h"

#define DAY_NS  (INT64_C(86400) * 1000000000)
#define BORN_NS INT64_C(1700000000000000000) /* of all crafted records */

static struct crafted c;
static struct store *store;

static int setup(void **state)
{
	(void)state;
	crafted_init(&c);
	store = crafted_store(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store->ops->close(store);
	crafted_done(&c);
	return 0;
}

/* Rows first .. first + count - 1, started so long after the others. */
static void write_rows(uint32_t first, uint32_t count, int64_t later_ns)
{
	struct row_scratch scratch;
	struct bf_err err = {0};

	row_scratch_init(&scratch);
	for (uint32_t n = first; n < first + count; n += 100) {
		struct shm_usage_record records[100];
		struct store_item items[100];
		unsigned inserted;

		for (uint32_t i = 0; i < 100; i++) {
			records[i] = crafted_record(n + i);
			records[i].started_wall_ns += later_ns;
			items[i] = (struct store_item){.record = &records[i]};
		}
		assert_int_equal(store_write(store, items, 100, &scratch, NULL, &inserted, &err),
				 0);
		assert_int_equal(inserted, 100);
	}
	row_scratch_done(&scratch);
}

static void old_rows_leave_in_small_pieces(void **state)
{
	int64_t now_wall_ns = BORN_NS + 8 * DAY_NS, now_ms = 0;
	struct bf_err err = {0};
	bool finished = false;
	struct retention r;
	int pieces = 0;

	(void)state;
	write_rows(1, 1100, 0);
	write_rows(2001, 100, 2 * DAY_NS);
	retention_init(&r, 7, now_ms);
	assert_false(retention_due(&r, now_ms));
	while (!finished && pieces < 10) {
		uint64_t before = r.running ? r.deleted : 0;

		now_ms = r.next_ms;
		assert_int_equal(retention_run(&r, store, now_ms, now_wall_ns, &finished, &err), 0);
		assert_true(r.deleted - before <= RETENTION_BATCH_ROWS);
		pieces++;
	}
	assert_int_equal(pieces, 3);
	assert_int_equal(r.deleted, 1100);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 100);
	assert_int_equal(r.next_ms, now_ms + RETENTION_EVERY_MS);
	assert_false(retention_due(&r, r.next_ms - 1));
	/* The next pass counts anew, and finds the rest when its time has come. */
	now_ms = r.next_ms;
	assert_int_equal(retention_run(&r, store, now_ms, now_wall_ns, &finished, &err), 0);
	assert_int_equal(r.deleted, 0);
	assert_int_equal(
	    retention_run(&r, store, r.next_ms, now_wall_ns + 2 * DAY_NS, &finished, &err), 0);
	assert_int_equal(r.deleted, 100);
}

static void the_youngest_second_counts(void **state)
{
	struct bf_err err = {0};
	struct retention r;
	bool finished;

	(void)state;
	write_rows(1, 100, 0);
	retention_init(&r, 1, 0);
	assert_int_equal(retention_run(&r, store, 5000, BORN_NS + DAY_NS, &finished, &err), 0);
	assert_int_equal(r.deleted, 0);
	assert_int_equal(
	    retention_run(&r, store, r.next_ms, BORN_NS + DAY_NS + 1000000, &finished, &err), 0);
	assert_int_equal(r.deleted, 100);
}

static void rows_may_stay_for_ever(void **state)
{
	struct bf_err err = {0};
	struct retention r;
	bool finished;

	(void)state;
	write_rows(1, 100, 0);
	retention_init(&r, 0, 0);
	assert_false(retention_due(&r, INT64_MAX));
	retention_init(&r, INT64_MAX, 0);
	assert_int_equal(retention_run(&r, store, 10000, BORN_NS, &finished, &err), 0);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 100);
}

/* A clock that stands before the epoch, or at the end of time, deletes nothing and all. */
static void a_broken_clock(void **state)
{
	struct bf_err err = {0};
	struct retention r;
	bool finished;

	(void)state;
	write_rows(1, 100, 0);
	retention_init(&r, 7, 0);
	assert_int_equal(retention_run(&r, store, 5000, -1, &finished, &err), 0);
	assert_int_equal(retention_run(&r, store, r.next_ms, INT64_MIN, &finished, &err), 0);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 100);
}

static void a_store_that_refuses_is_left_until_the_next_pass(void **state)
{
	struct bf_err err = {0};
	sqlite3 *other = NULL;
	struct retention r;
	bool finished = false;

	(void)state;
	write_rows(1, 100, 0);
	retention_init(&r, 7, 0);
	assert_int_equal(sqlite3_open(c.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(retention_run(&r, store, 5000, BORN_NS + 8 * DAY_NS, &finished, &err),
			 BF_E_TIMEOUT);
	assert_true(finished);
	assert_int_equal(r.next_ms, 5000 + RETENTION_EVERY_MS);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_int_equal(retention_run(&r, store, r.next_ms, BORN_NS + 8 * DAY_NS, &finished, &err),
			 0);
	assert_int_equal(r.deleted, 100);
}

#define RETENTION_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    RETENTION_TEST(old_rows_leave_in_small_pieces),
	    RETENTION_TEST(the_youngest_second_counts),
	    RETENTION_TEST(rows_may_stay_for_ever),
	    RETENTION_TEST(a_broken_clock),
	    RETENTION_TEST(a_store_that_refuses_is_left_until_the_next_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
