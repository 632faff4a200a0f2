/* What rows hold: each name once, bounded, of the newest rows; owners of all of them. */
#include "tests/unit/writerd/crafted.h"

#include <sqlite3.h>

#include "common/base/macros.h"
#include "common/ipc/messages.h"
#include "writerd/store/store_sqlite_facets.h"

static struct crafted c;
static struct store *store;
static sqlite3 *db;
static struct bf_buf out;

static int setup(void **state)
{
	(void)state;
	crafted_init(&c);
	store = crafted_store(&c);
	bf_buf_init(&out, 16u << 20);
	assert_int_equal(sqlite3_open(c.path, &db), SQLITE_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)sqlite3_close(db);
	bf_buf_done(&out);
	store->ops->close(store);
	crafted_done(&c);
	return 0;
}

static void sql(const char *text)
{
	char *why = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
}

/* Row n is the n-th; members: what differs. */
static void put(int n, const char *members, const char *values)
{
	char text[1024];

	(void)snprintf(
	    text, sizeof(text),
	    "INSERT INTO logs (id, timestamp, created_at, object_type, status, stream,"
	    " provider, model, number_of_retries, selected_key_name, http_status, latency,"
	    " prompt_tokens, completion_tokens, total_tokens, cached_read_tokens,"
	    " cost_nusd, worker, crashed, estimated, truncated, client_gone%s)"
	    " VALUES ('%d', printf('2026-01-01T00:00:%%02d.000Z', %d), '',"
	    " 'chat.completion', 'success', 0, 'p%d', 'm', 0, printf('key-%%d', %d), 200,"
	    " 1, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0%s)",
	    members, n, n, n % 2, n, values);
	sql(text);
}

static void expect(uint64_t facets, uint64_t limit, const char *want)
{
	struct bf_json_writer j;

	bf_buf_clear(&out);
	bf_jw_init(&j, &out);
	assert_int_equal(facets_write(db, facets, limit, &j), 0);
	assert_int_equal(bf_jw_finish(&j), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	assert_string_equal(out.data + out.start, want);
}

#define BIT(facet) (UINT64_C(1) << BF_LOGS_##facet)
#define ALL        ((UINT64_C(1) << BF_LOGS_FACETS) - 1)

static void each_name_once(void **state)
{
	(void)state;
	put(1, ", virtual_key_id, virtual_key_name, stop_reason", ", 'vk-b', 'before', 'stop'");
	put(2, ", virtual_key_id, virtual_key_name, selected_key_id", ", 'vk-b', 'after', 'k'");
	put(3, ", virtual_key_id, virtual_key_name, team_id, team_name, selected_key_id",
	    ", 'vk-a', 'other', 't', 'blue', 'k'");
	put(4, ", customer_id, customer_name, error_type, stop_reason",
	    ", 'c', 'acme', 'timeout', 'length'");
	expect(
	    ALL, 1000,
	    "{\"providers\":[\"p0\",\"p1\"],\"models\":[\"m\"],\"status\":[\"success\"],"
	    "\"objects\":[\"chat.completion\"],\"stop_reasons\":[\"length\",\"stop\"],"
	    "\"error_types\":[\"timeout\"],\"selected_keys\":[{\"id\":\"k\",\"name\":\"key-3\"}],"
	    "\"virtual_keys\":[{\"id\":\"vk-a\",\"name\":\"other\"},"
	    "{\"id\":\"vk-b\",\"name\":\"after\"}],"
	    "\"teams\":[{\"id\":\"t\",\"name\":\"blue\"}],"
	    "\"customers\":[{\"id\":\"c\",\"name\":\"acme\"}]}");
	expect(BIT(STOP_REASONS) | BIT(VIRTUAL_KEYS), 1,
	       "{\"stop_reasons\":[\"length\"],"
	       "\"virtual_keys\":[{\"id\":\"vk-a\",\"name\":\"other\"}]}");
}

static void an_empty_store(void **state)
{
	(void)state;
	expect(BIT(MODELS) | BIT(SELECTED_KEYS) | BIT(TEAMS), 10,
	       "{\"models\":[],\"selected_keys\":[],\"teams\":[]}");
}

/* Older rows are not looked at, but for owners. */
static void of_the_newest(void **state)
{
	char text[768];

	(void)state;
	put(1, ", stop_reason, virtual_key_id, virtual_key_name", ", 'old', 'vk', 'name'");
	put(2, "", "");
	(void)snprintf(text, sizeof(text),
		       "WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n"
		       " WHERE i < %d) INSERT INTO logs (id, timestamp, created_at,"
		       " object_type, status, stream, provider, model, number_of_retries,"
		       " selected_key_name, http_status, latency, prompt_tokens,"
		       " completion_tokens, total_tokens, cached_read_tokens, cost_nusd,"
		       " worker, crashed, estimated, truncated, client_gone, stop_reason)"
		       " SELECT i || '', '2026-01-02', '', 'o', 'success', 0, 'p', 'm', 0, '',"
		       " 200, 1, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 'new' FROM n",
		       FACETS_ROWS + 2);
	sql(text);
	expect(BIT(STOP_REASONS) | BIT(PROVIDERS) | BIT(VIRTUAL_KEYS), 10,
	       "{\"providers\":[\"p\",\"p0\",\"p1\"],\"stop_reasons\":[\"new\"],"
	       "\"virtual_keys\":[{\"id\":\"vk\",\"name\":\"name\"}]}");
}

static void what_the_database_says(void **state)
{
	struct bf_json_writer j;

	(void)state;
	sql("ALTER TABLE logs RENAME TO others");
	bf_jw_init(&j, &out);
	assert_int_equal(facets_write(db, BIT(TEAMS), 10, &j), -1);
	assert_non_null(strstr(sqlite3_errmsg(db), "no such table"));
}

/* However many rows an owner has, one step leads to the next one. */
static void owners_are_found_by_their_index(void **state)
{
	static const char *const columns[] = {"virtual_key_id", "team_id", "customer_id"};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(columns); i++) {
		char text[256];
		sqlite3_stmt *st;

		(void)snprintf(text, sizeof(text),
			       "EXPLAIN QUERY PLAN SELECT min(%s) FROM logs WHERE %s > 'x'",
			       columns[i], columns[i]);
		assert_int_equal(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(st), SQLITE_ROW);
		assert_non_null(strstr((const char *)sqlite3_column_text(st, 3), "COVERING INDEX"));
		(void)sqlite3_finalize(st);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_name_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_empty_store, setup, teardown),
	    cmocka_unit_test_setup_teardown(of_the_newest, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_the_database_says, setup, teardown),
	    cmocka_unit_test_setup_teardown(owners_are_found_by_their_index, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
