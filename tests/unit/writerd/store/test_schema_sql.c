/* Migrations of logs.db: a row of every older version is still there, and means the same. */
#include "tests/unit/writerd/crafted.h"

#include "common/base/macros.h"
#include "writerd/store/schema_sql.h"
#include "writerd/store/store_sqlite_db.h"

static struct crafted c;
static struct bf_err err;

static int setup(void **state)
{
	(void)state;
	crafted_init(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	crafted_done(&c);
	return 0;
}

static void make_row_of_version(unsigned version)
{
	const struct schema old = {schema_logs.store, schema_logs.steps, version};
	sqlite3 *db = NULL;

	assert_int_equal(sqlite_db_open(c.path, &old, &db, &err), 0);
	assert_int_equal(
	    sqlite3_exec(db,
			 "INSERT INTO logs (id, timestamp, created_at, object_type, status, stream,"
			 " provider, model, number_of_retries, selected_key_name, http_status,"
			 " latency, prompt_tokens, completion_tokens, total_tokens,"
			 " cached_read_tokens, cost_nusd, worker, crashed, estimated, truncated,"
			 " client_gone, input_history) VALUES"
			 " ('00000000-0000-0000-0000-000001000000', '2023-11-14T22:13:21.000Z', '',"
			 " 'chat_completion', 'success', 0, 'mock', 'm', 0, 'k', 200, 1.5, 2, 3, 5,"
			 " 1, 7000000000, 0, 0, 0, 0, 0, '[1]')",
			 NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite_db_close(&db);
}

static void rows_of_older_versions_are_kept(void **state)
{
	struct store *store;

	(void)state;
	for (unsigned version = 1; version < schema_logs.count; version++) {
		make_row_of_version(version);
		store = crafted_store(&c);
		assert_int_equal(
		    crafted_number(&c, "SELECT count(*) FROM logs WHERE request_id IS NULL AND "
				       "parent_request_id IS NULL AND fallback_index = 0 AND "
				       "selected_key_id = '' AND error_type IS NULL AND "
				       "content_truncated = 0 AND cost = 7.0 AND "
				       "virtual_key_id IS NULL AND team_id IS NULL AND "
				       "team_name IS NULL AND customer_id IS NULL AND "
				       "customer_name IS NULL AND charged_tokens = 0 AND "
				       "json_extract(token_usage, '$.total_tokens') = 5 AND "
				       "input_history = '[1]'"),
		    1);
		assert_int_equal(crafted_number(&c, "SELECT max(version) FROM schema_migrations"),
				 schema_logs.count);
		store->ops->close(store);
		assert_int_equal(unlink(c.path), 0);
	}
}

/* What was charged before there were owners is still a key's, a provider's and a model's. */
static void charges_of_before_are_counted(void **state)
{
	const struct bf_limit_rows rows[] = {
	    {.virtual_key_id = BF_SLICE_LIT("vk-1")},
	    {.provider = BF_SLICE_LIT("mock")},
	    {.provider = BF_SLICE_LIT("mock"), .model = BF_SLICE_LIT("M")},
	    {.virtual_key_id = BF_SLICE_LIT("vk-1"), .model = BF_SLICE_LIT("m")},
	    {.team_id = BF_SLICE_LIT("t")},
	    {.customer_id = BF_SLICE_LIT("c")},
	};
	static const int64_t want[] = {42, 42, 42, 42, 0, 0};
	struct store *store;
	int64_t sum;

	(void)state;
	for (unsigned version = 5; version < schema_logs.count; version++) {
		make_row_of_version(version);
		(void)crafted_number(&c, "UPDATE logs SET virtual_key_id = 'vk-1',"
					 " virtual_key_name = 'one', charged_tokens = 42");
		store = crafted_store(&c);
		for (unsigned i = 0; i < BF_ARRAY_LEN(rows); i++) {
			assert_int_equal(store->ops->charged(store, &rows[i], BF_QUANTITY_TOKENS, 0,
							     INT64_MAX, &sum, &err),
					 0);
			assert_int_equal(sum, want[i]);
		}
		store->ops->close(store);
		assert_int_equal(unlink(c.path), 0);
	}
}

/* What was used before anything could be forgiven is used, and nothing of it is. */
static void totals_of_before_are_kept(void **state)
{
	(void)state;
	for (unsigned version = 8; version < schema_logs.count; version++) {
		struct store_total total;
		struct store *store;
		int64_t window;

		make_row_of_version(version);
		(void)crafted_number(&c, "INSERT INTO meter_totals (identity, window, settled,"
					 " missed, created_at) VALUES (77, 5, 500, 20, '')");
		(void)crafted_number(&c, "INSERT INTO meter_watched (identity) VALUES (77)");
		store = crafted_store(&c);
		assert_int_equal(store->ops->newest_total(store, 77, 0, 9, &window, &total, &err),
				 1);
		assert_int_equal(window, 5);
		assert_int_equal(store_total_used(&total), 500);
		assert_int_equal(store_total_missed(&total), 20);
		assert_int_equal(store_total_resets(&total), 0);
		assert_int_equal(crafted_number(&c, "SELECT count(*) FROM meter_watched"), 1);
		store->ops->close(store);
		assert_int_equal(unlink(c.path), 0);
	}
}

static void versions_have_no_gaps(void **state)
{
	const struct schema *schemas[] = {&schema_logs, &schema_config};

	(void)state;
	for (size_t s = 0; s < 2; s++) {
		for (size_t i = 0; i < schemas[s]->count; i++)
			assert_int_equal(schemas[s]->steps[i].version, i + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(rows_of_older_versions_are_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(charges_of_before_are_counted, setup, teardown),
	    cmocka_unit_test_setup_teardown(totals_of_before_are_kept, setup, teardown),
	    cmocka_unit_test(versions_have_no_gaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
