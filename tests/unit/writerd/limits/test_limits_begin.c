/* What meters begin with: the rows of their key, once, where no total of their own is known. */
#include "tests/unit/writerd/limits_bed.h"

#define MINUTE_NS (INT64_C(60) * 1000000000)

/* A row of a key, charged to nobody's meter. */
static void charge(uint32_t n, const char *key, int64_t at_ns, uint32_t tokens)
{
	struct shm_usage_record r = crafted_record(n);
	struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted;

	memset(r.virtual_key_id, 0, sizeof(r.virtual_key_id));
	memcpy(r.virtual_key_id, key, strnlen(key, sizeof(r.virtual_key_id)));
	r.started_wall_ns = at_ns;
	r.tokens_charged = tokens;
	r.requests_charged = 1;
	r.cost_nusd = 7;
	row_scratch_init(&scratch);
	if (store_write(store, &item, 1, &scratch, NULL, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(inserted, 1);
	row_scratch_done(&scratch);
}

static int64_t value_of(const struct limits *l, const char *key, enum bf_quantity quantity)
{
	return counted(meter_of(l, key, quantity));
}

static void rows_of_the_window_count(void **state)
{
	struct bf_config config = config_of(2);
	struct limits l;
	struct shm_meter_info info;

	(void)state;
	charge(1, "vk-1", wall_ns - MINUTE_NS, 1000); /* of the window before */
	charge(2, "vk-1", wall_ns, 40);
	charge(3, "vk-1", wall_ns + MINUTE_NS, 2);
	charge(4, "vk-10", wall_ns, 500);
	charge(6, "vk-1", wall_ns + HOUR_NS, 1000); /* the clock was there once */
	charge(5, "", wall_ns, 500);
	pass(2 * MINUTE_NS);
	start(&l, &config, store);
	info = info_of(meter_of(&l, "vk-1", BF_QUANTITY_TOKENS));
	assert_int_equal(info.value, 42);
	assert_int_equal(info.settled, 42);
	assert_int_equal(value_of(&l, "vk-1", BF_QUANTITY_NUSD), 14);
	/* Its windows are minutes: both requests lie in older ones. */
	assert_int_equal(value_of(&l, "vk-1", BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(value_of(&l, "vk-1", BF_QUANTITY_CONCURRENT), 0);
	assert_int_equal(value_of(&l, "vk-2", BF_QUANTITY_TOKENS), 0);
	assert_int_equal(crafted_number(&c, "SELECT sum(settled) FROM meter_totals"), 42 + 14);
	assert_int_equal(l.begun_told, 2);
	limits_done(&l);
}

static void a_changed_window_keeps_what_was_used(void **state)
{
	static const char *const windows[] = {"2h", "1d", "90m", "1h"};
	struct bf_config config = config_of(1);
	struct limits l;

	(void)state;
	charge(1, "vk-1", wall_ns, 40);
	start(&l, &config, store);
	limits_done(&l);
	charge(2, "vk-1", wall_ns, 2);
	for (unsigned i = 0; i < BF_ARRAY_LEN(windows); i++) {
		rates[0].token_reset_duration = bf_slice_from(windows[i]);
		start(&l, &config, store);
		assert_int_equal(value_of(&l, "vk-1", BF_QUANTITY_TOKENS), 42);
		limits_done(&l);
	}
}

/* A row keeps the longest id that there is. */
static void a_long_id(void **state)
{
	static char id[ROW_OWNER_ID_LEN + 1];
	struct bf_config config = config_of(1);
	struct limits l;

	(void)state;
	memset(id, 'k', ROW_OWNER_ID_LEN);
	keys[0].own.id = bf_slice_from(id);
	charge(1, id, wall_ns, 40);
	start(&l, &config, store);
	assert_int_equal(value_of(&l, id, BF_QUANTITY_TOKENS), 40);
	keys[0].own.id = (struct bf_slice){"vk-1", 4};
	limits_done(&l);
}

/* What a worker wrote may be any number. */
static void sums_have_a_bound(void **state)
{
	struct bf_config config = config_of(1);
	struct limits l;

	(void)state;
	charge(1, "vk-1", wall_ns, 1);
	(void)crafted_number(&c, "UPDATE logs SET charged_tokens = 9223372036854775807");
	start(&l, &config, store);
	assert_int_equal(value_of(&l, "vk-1", BF_QUANTITY_TOKENS), SHM_METER_AMOUNT_MAX);
	limits_done(&l);
}

/* Rows lie with their bodies, millions of them: none is read for a sum. */
static void sums_need_no_rows(void **state)
{
	const char *sql = "EXPLAIN QUERY PLAN SELECT sum(charged_tokens), sum(charged_requests),"
			  " sum(cost_nusd) FROM logs WHERE virtual_key_id = ?1 AND timestamp >= ?2";
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;

	(void)state;
	assert_int_equal(sqlite3_open(c.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_non_null(strstr((const char *)sqlite3_column_text(st, 3),
			       "COVERING INDEX logs_charges (virtual_key_id=? AND timestamp>?)"));
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIMITS_TEST(rows_of_the_window_count),
	    LIMITS_TEST(a_changed_window_keeps_what_was_used),
	    LIMITS_TEST(a_long_id),
	    LIMITS_TEST(sums_have_a_bound),
	    LIMITS_TEST(sums_need_no_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
