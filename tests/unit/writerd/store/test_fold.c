/* Totals of meters: sums of inserted rows, in their transaction, shown after it. */
#include "tests/unit/writerd/metered.h"

enum {
	TOKENS = 100,
	REQUESTS,
	MONEY,
	AT_ONCE
};

static struct crafted c;
static struct fold fold;
static struct row_scratch scratch;
static struct store *store;
static uint32_t meters[4];

static int setup(void **state)
{
	(void)state;
	crafted_init(&c);
	meters[0] = metered_open(&c, TOKENS, BF_QUANTITY_TOKENS, 5);
	meters[1] = metered_open(&c, REQUESTS, BF_QUANTITY_REQUESTS, 5);
	meters[2] = metered_open(&c, MONEY, BF_QUANTITY_NUSD, 5);
	meters[3] = metered_open(&c, AT_ONCE, BF_QUANTITY_CONCURRENT, 0);
	metered_fold(&fold, &c);
	row_scratch_init(&scratch);
	store = crafted_store(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store->ops->close(store);
	row_scratch_done(&scratch);
	fold_done(&fold);
	crafted_done(&c);
	return 0;
}

static struct shm_usage_record record(uint32_t n, uint32_t epoch)
{
	struct shm_usage_record r = crafted_record(n);

	r.cost_nusd = 1000;
	r.tokens_charged = 30;
	r.requests_charged = 1;
	for (unsigned k = 0; k < 4; k++)
		metered_charge(&r, meters[k], k == 3 ? 0 : epoch);
	return r;
}

static unsigned write_rows(const struct shm_usage_record *r, size_t n)
{
	struct store_item items[8] = {{.record = NULL}};
	struct bf_err err = {0};
	unsigned inserted = 0;

	for (size_t i = 0; i < n; i++)
		items[i].record = &r[i];
	if (store_write(store, items, n, &scratch, &fold, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	return inserted;
}

static int64_t total(int identity, int window)
{
	char sql[128];

	(void)snprintf(sql, sizeof(sql),
		       "SELECT settled FROM meter_totals WHERE identity = %d AND window = %d",
		       identity, window);
	return crafted_number(&c, sql);
}

static void rows_are_summed(void **state)
{
	struct shm_usage_record r[] = {record(1, 5), record(2, 5), record(3, 6)};

	(void)state;
	assert_int_equal(write_rows(r, 3), 3);
	assert_int_equal(total(TOKENS, 5), 60);
	assert_int_equal(total(TOKENS, 6), 30);
	assert_int_equal(total(REQUESTS, 5), 2);
	assert_int_equal(total(MONEY, 5), 2000);
	assert_int_equal(total(AT_ONCE, 0), -1);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM meter_totals"), 6);
	/* Shown is the newest window. */
	assert_int_equal(metered_settled(&c, meters[0]), 30);
	assert_int_equal(metered_settled(&c, meters[2]), 1000);
}

static void a_row_counts_once(void **state)
{
	struct shm_usage_record r[] = {record(1, 5), record(1, 5), record(2, 5)};

	(void)state;
	assert_int_equal(write_rows(r, 3), 2);
	assert_int_equal(write_rows(r, 3), 0);
	assert_int_equal(total(TOKENS, 5), 60);
	assert_int_equal(metered_settled(&c, meters[0]), 60);
}

static void an_older_window_is_not_shown(void **state)
{
	struct shm_usage_record newer = record(1, 7), late = record(2, 5);

	(void)state;
	assert_int_equal(write_rows(&newer, 1), 1);
	assert_int_equal(write_rows(&late, 1), 1);
	assert_int_equal(total(TOKENS, 5), 30);
	assert_int_equal(total(TOKENS, 7), 30);
	assert_int_equal(metered_settled(&c, meters[0]), 30);
}

static void a_transaction_that_fails_changes_nothing(void **state)
{
	struct shm_usage_record r = record(1, 5);
	struct store_item item = {.record = &r};
	struct bf_err err = {0};
	unsigned inserted = 0;
	sqlite3 *db = NULL;

	(void)state;
	assert_int_equal(sqlite3_open(c.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "CREATE TRIGGER no BEFORE INSERT ON meter_totals BEGIN "
				      "SELECT raise(ABORT, 'no'); END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_true(store_write(store, &item, 1, &scratch, &fold, &inserted, &err) < 0);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 0);
	assert_int_equal(metered_settled(&c, meters[0]), 0);
	assert_int_equal(sqlite3_exec(db, "DROP TRIGGER no", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(write_rows(&r, 1), 1);
	assert_int_equal(total(TOKENS, 5), 30);
}

static void nonsense_of_a_worker_is_bounded(void **state)
{
	struct shm_usage_record r = record(1, 5);

	(void)state;
	r.tokens_charged = UINT64_MAX;
	r.cost_nusd = INT64_MIN;
	r.meters[1] = UINT32_MAX;
	r.meters[3] = (meters[3] + 1) % SHM_METERS;
	r.epochs[0] = UINT32_MAX;
	assert_int_equal(write_rows(&r, 1), 1);
	assert_int_equal(total(TOKENS, 0xffffff), SHM_METER_AMOUNT_MAX);
	assert_int_equal(total(MONEY, 5), -1);
	assert_int_equal(fold.unknown, 2);
	r = record(2, 5);
	r.meter_count = UINT32_MAX;
	assert_int_equal(write_rows(&r, 1), 1);
	assert_int_equal(total(TOKENS, 5), 30);
	/* A sum ends where the meters' does. */
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(c.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE meter_totals SET settled = 2305843009213693951",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	r = record(3, 5);
	assert_int_equal(write_rows(&r, 1), 1);
	assert_int_equal(total(TOKENS, 5), SHM_METER_LIMIT_MAX);
}

/* Whoever knows what a row is about besides what it names. */
static void miss_money(void *owner, const struct shm_usage_record *r, const struct row *row)
{
	assert_ptr_equal(owner, &fold);
	assert_string_equal(row->model, "m");
	if (r->meter_count == 0)
		fold_miss(&fold, meters[2], 5, shm_usage_charge(r, BF_QUANTITY_NUSD));
}

static void what_a_row_does_not_name_is_missed(void **state)
{
	struct shm_usage_record r[] = {record(1, 5), record(2, 5), record(2, 5), record(3, 4)};
	struct shm_meter_info info;

	(void)state;
	fold.missed = miss_money;
	fold.owner = &fold;
	r[1].meter_count = r[2].meter_count = 0;
	assert_int_equal(write_rows(r, 4), 3);
	assert_int_equal(total(MONEY, 5), 2000);
	assert_int_equal(total(TOKENS, 5), 30);
	assert_int_equal(crafted_number(&c, "SELECT sum(missed) FROM meter_totals"), 1000);
	assert_true(shm_meter_read(&c.seg, meters[2], &info));
	assert_int_equal(info.missed, 1000);
	assert_int_equal(info.missed_epoch, 5);
	assert_int_equal(info.settled, 2000);
	r[0] = record(4, 5);
	r[0].meter_count = 0;
	assert_int_equal(write_rows(r, 1), 1);
	assert_true(shm_meter_read(&c.seg, meters[2], &info));
	assert_int_equal(info.missed, 2000);
	/* Of another row the meter has missed nothing. */
	r[0] = record(5, 5);
	assert_int_equal(write_rows(r, 1), 1);
	assert_true(shm_meter_read(&c.seg, meters[2], &info));
	assert_int_equal(info.missed, 2000);
	assert_int_equal(info.settled, 4000);
}

/* Many meters and windows in one transaction, against a plain table. */
static void sums_of_many(void **state)
{
	static int64_t wanted[32][16];
	uint32_t many[32], seed = 1;

	(void)state;
	memset(wanted, 0, sizeof(wanted));
	for (uint32_t m = 0; m < 32; m++)
		many[m] = metered_open(&c, 1000 + m, BF_QUANTITY_TOKENS, 0);
	for (int round = 0; round < 3; round++) {
		fold_clear(&fold);
		memset(wanted, 0, sizeof(wanted));
		for (uint32_t n = 0; n < FOLD_ROWS_MAX; n++) {
			struct shm_usage_record r = {.tokens_charged = n};

			for (unsigned k = 0; k < 5; k++) {
				uint32_t m, e;

				seed = seed * 1664525u + 1013904223u;
				m = seed >> 27;
				e = seed >> 20 & 15;
				metered_charge(&r, many[m], e);
				wanted[m][e] += n;
			}
			fold_add(&fold, &r, NULL);
		}
		assert_in_range(fold.count, 1, 512);
		for (uint32_t i = 0; i < fold.count; i++) {
			const struct fold_sum *s = &fold.sums[i];
			uint64_t m = shm_meter_identity(&c.seg, s->meter) - 1000;

			assert_int_equal(s->more.used, wanted[m][s->epoch]);
			wanted[m][s->epoch] = 0;
		}
		for (uint32_t m = 0; m < 32; m++) {
			for (uint32_t e = 0; e < 16; e++)
				assert_int_equal(wanted[m][e], 0);
		}
	}
}

static void old_totals_leave_but_two(void **state)
{
	struct store_expired gone = {0, 0};
	struct bf_err err = {0};

	(void)state;
	for (uint32_t n = 0; n < 5; n++) {
		struct shm_usage_record r = record(1 + n, 5 + n);

		assert_int_equal(write_rows(&r, 1), 1);
	}
	assert_int_equal(store->ops->expire(store, "2000-01-01T00:00:00.000Z", 100, &gone, &err),
			 0);
	assert_int_equal(gone.totals, 0);
	assert_int_equal(store->ops->expire(store, "9999-01-01T00:00:00.000Z", 2, &gone, &err), 0);
	assert_int_equal(gone.totals, 2);
	assert_int_equal(gone.rows, 2);
	assert_int_equal(store->ops->expire(store, "9999-01-01T00:00:00.000Z", 100, &gone, &err),
			 0);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM meter_totals"), 6);
	assert_int_equal(total(TOKENS, 8), 30);
	assert_int_equal(total(TOKENS, 9), 30);
}

#define FOLD_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FOLD_TEST(rows_are_summed),
	    FOLD_TEST(a_row_counts_once),
	    FOLD_TEST(an_older_window_is_not_shown),
	    FOLD_TEST(a_transaction_that_fails_changes_nothing),
	    FOLD_TEST(nonsense_of_a_worker_is_bounded),
	    FOLD_TEST(what_a_row_does_not_name_is_missed),
	    FOLD_TEST(sums_of_many),
	    FOLD_TEST(old_totals_leave_but_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
