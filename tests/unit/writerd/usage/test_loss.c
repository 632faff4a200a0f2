/*
 * The power goes: at every write and every sync that the store makes, with nothing, all or some of
 * what was not synced lost. Whatever is found then is a sound database in which each total is the
 * sum of its rows, and it holds every row that was reported as committed.
 */
#include "tests/support/disk_remains.h"
#include "tests/unit/writerd/metered.h"

enum {
	OPENINGS = 2, /* closing writes the log back into the file and removes it */
	COMMITS = 4,  /* of each */
	ROWS = 3,     /* of a commit */
};

struct promise {
	size_t ops; /* that had been made when the commit was reported */
	int64_t rows;
};

static struct promise promises[1 + OPENINGS * COMMITS];
static unsigned promise_count;

static struct shm_usage_record charged_row(uint32_t n, uint32_t tokens, uint32_t money)
{
	struct shm_usage_record r = crafted_record(n);

	r.tokens_charged = n % 7;
	r.cost_nusd = n % 5;
	metered_charge(&r, tokens, n % 3);
	metered_charge(&r, money, 1);
	return r;
}

/* One row of each commit is that of the commit before: it counts once. */
static void write_commits(struct crafted *c, struct store *store, struct fold *fold, uint32_t first)
{
	static char body[5000];
	uint32_t tokens = shm_meter_find(&c->seg, 100), money = shm_meter_find(&c->seg, 101);
	struct row_scratch scratch;
	unsigned inserted;

	row_scratch_init(&scratch);
	memset(body, 'x', sizeof(body));
	for (uint32_t k = 0; k < COMMITS; k++) {
		struct shm_usage_record records[ROWS];
		struct store_item items[ROWS];
		struct bf_err err = {0};

		for (uint32_t i = 0; i < ROWS; i++) {
			records[i] = charged_row(first + k * (ROWS - 1) + i, tokens, money);
			items[i] = (struct store_item){.record = &records[i],
						       .input = {body, sizeof(body)}};
		}
		if (store_write(store, items, ROWS, &scratch, fold, &inserted, &err) < 0)
			fail_msg("%s", err.text);
		promises[promise_count] =
		    (struct promise){disk.count, promises[promise_count - 1].rows + inserted};
		promise_count++;
	}
	row_scratch_done(&scratch);
}

static int64_t number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	return n;
}

static int64_t promised(size_t count)
{
	int64_t rows = 0;

	for (unsigned i = 0; i < promise_count; i++) {
		if (promises[i].ops <= count)
			rows = promises[i].rows;
	}
	return rows;
}

/* Returns the rows that were found. */
static int64_t look(const char *path, size_t count, enum disk_loss loss)
{
	static const char *const sums[][2] = {
	    {"SELECT coalesce(sum(settled), 0) FROM meter_totals WHERE identity = 100",
	     "SELECT coalesce(sum(charged_tokens), 0) FROM logs"},
	    {"SELECT coalesce(sum(settled), 0) FROM meter_totals WHERE identity = 101",
	     "SELECT coalesce(sum(cost_nusd), 0) FROM logs"},
	};
	sqlite3 *db = NULL;
	int64_t rows;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL), SQLITE_OK);
	if (number(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check") != 1)
		fail_msg("cut at %zu, loss %d: the database is damaged", count, (int)loss);
	for (size_t i = 0; i < BF_ARRAY_LEN(sums); i++) {
		int64_t total = number(db, sums[i][0]), sum = number(db, sums[i][1]);

		if (total != sum)
			fail_msg("cut at %zu, loss %d: total %lld, sum of rows %lld", count,
				 (int)loss, (long long)total, (long long)sum);
	}
	rows = number(db, "SELECT count(*) FROM logs");
	if (rows < promised(count))
		fail_msg("cut at %zu, loss %d: %lld rows of %lld that were committed", count,
			 (int)loss, (long long)rows, (long long)promised(count));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return rows;
}

static void test_power_goes_anywhere(void **state)
{
	struct crafted c;
	struct fold fold;
	char left[128];
	size_t begun = 0;
	int64_t most[DISK_LOSSES] = {0}, rows;
	unsigned steps = 0;

	(void)state;
	crafted_init(&c);
	(void)metered_open(&c, 100, BF_QUANTITY_TOKENS, 0);
	(void)metered_open(&c, 101, BF_QUANTITY_NUSD, 1);
	metered_fold(&fold, &c);
	(void)snprintf(left, sizeof(left), "%s/left.db", c.folder);
	disk_begin(c.path);
	for (uint32_t k = 0; k < OPENINGS; k++) {
		struct store *store = crafted_store(&c);

		if (k == 0) {
			begun = disk.count;
			promises[promise_count++] = (struct promise){begun, 0};
		}
		write_commits(&c, store, &fold, 1 + k * COMMITS * (ROWS - 1));
		store->ops->close(store);
	}
	assert_int_equal(promises[promise_count - 1].rows, OPENINGS * COMMITS * (ROWS - 1) + 1);
	for (size_t count = begun; count <= disk.count; count++) {
		for (enum disk_loss loss = 0; loss < DISK_LOSSES; loss++) {
			struct disk_image images[DISK_FILES] = {{NULL, 0, false}};

			/* Nothing new since the last sync is lost again. */
			if (loss == DISK_LOSES_ALL && count > begun &&
			    disk.ops[count - 1].kind == DISK_WRITE)
				continue;
			disk_remains(count, loss, (uint32_t)count, images);
			disk_lay_out(images, left);
			rows = look(left, count, loss);
			disk_free(images);
			steps += loss == DISK_LOSES_ALL && rows > most[loss];
			most[loss] = BF_MAX(most[loss], rows);
		}
	}
	/* It was worth looking: rows came commit by commit, and all of them in the end. */
	for (enum disk_loss loss = 0; loss < DISK_LOSSES; loss++)
		assert_int_equal(most[loss], OPENINGS * COMMITS * (ROWS - 1) + 1);
	assert_int_equal(steps, OPENINGS * COMMITS);
	print_message("%zu moments, %u kinds of loss each\n", disk.count - begun + 1,
		      (unsigned)DISK_LOSSES);
	disk_end();
	fold_done(&fold);
	crafted_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_power_goes_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
