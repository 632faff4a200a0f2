/* What rows were charged, by whose they are and where they went: exact, and without reading whole
 * rows. */
#include "tests/unit/writerd/crafted.h"

#include "common/base/macros.h"
#include "writerd/store/store.h"
#include "writerd/store/store_sqlite_charged.h"

#define START_NS INT64_C(1700000000000000000)

static struct crafted c;
static struct store *store;
static uint32_t written;

/* Two keys of a customer, one of them of a team. */
static void own(struct shm_usage_record *r, const char *key)
{
	(void)strncpy(r->virtual_key_id, key, sizeof(r->virtual_key_id) - 1);
	if (strcmp(key, "vk-1") == 0)
		memcpy(r->team_id, "t-blue", 6);
	if (strcmp(key, "vk-1") == 0 || strcmp(key, "vk-2") == 0)
		memcpy(r->customer_id, "c-acme", 6);
}

static void charge(const char *key, const char *provider, const char *model, uint32_t tokens)
{
	struct shm_usage_record r = crafted_record(++written);
	struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted;

	own(&r, key);
	memset(r.provider, 0, sizeof(r.provider));
	memset(r.model, 0, sizeof(r.model));
	memcpy(r.provider, provider, strnlen(provider, sizeof(r.provider)));
	memcpy(r.model, model, strnlen(model, sizeof(r.model)));
	r.started_wall_ns = START_NS + written * INT64_C(1000000000);
	r.tokens_charged = tokens;
	r.requests_charged = 1;
	r.cost_nusd = 7 * (int64_t)tokens;
	row_scratch_init(&scratch);
	if (store_write(store, &item, 1, &scratch, NULL, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	row_scratch_done(&scratch);
}

static int setup(void **state)
{
	(void)state;
	written = 0;
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

static int64_t sum_of(struct bf_limit_rows rows, uint32_t quantity)
{
	struct bf_err err = {0};
	int64_t sum = -1;

	if (store->ops->charged(store, &rows, quantity, START_NS / 1000000,
				START_NS / 1000000 + 3600000, &sum, &err) < 0)
		fail_msg("%s", err.text);
	return sum;
}

#define TOKENS(...) sum_of((struct bf_limit_rows){__VA_ARGS__}, BF_QUANTITY_TOKENS)
#define KEY1        .virtual_key_id = BF_SLICE_LIT("vk-1")
#define OPENAI      .provider = BF_SLICE_LIT("openai")

static void each_owner_has_its_rows(void **state)
{
	(void)state;
	charge("vk-1", "openai", "gpt-4o", 1);
	charge("vk-1", "openai", "gpt-4o-mini", 2);
	charge("vk-1", "mistral", "gpt-4o", 4);
	charge("vk-2", "openai", "GPT-4o", 8);
	charge("", "openai", "gpt-4o", 16);
	charge("vk-gone", "mistral", "m", 32);
	assert_int_equal(TOKENS(KEY1), 7);
	assert_int_equal(TOKENS(.team_id = BF_SLICE_LIT("t-blue")), 7);
	assert_int_equal(TOKENS(.customer_id = BF_SLICE_LIT("c-acme")), 15);
	assert_int_equal(TOKENS(.team_id = BF_SLICE_LIT("T-BLUE")), 0);
	assert_int_equal(TOKENS(OPENAI), 27);
	assert_int_equal(TOKENS(.model = BF_SLICE_LIT("gpt-4O")), 29);
	assert_int_equal(TOKENS(OPENAI, .model = BF_SLICE_LIT("gpt-4o")), 25);
	assert_int_equal(TOKENS(.virtual_key_id = {NULL, 0}), 63);
	assert_int_equal(TOKENS(KEY1, OPENAI), 3);
	assert_int_equal(TOKENS(KEY1, .model = BF_SLICE_LIT("gpt-4o")), 5);
	assert_int_equal(TOKENS(KEY1, OPENAI, .model = BF_SLICE_LIT("gpt-4o")), 1);
	assert_int_equal(sum_of((struct bf_limit_rows){OPENAI}, BF_QUANTITY_REQUESTS), 4);
	assert_int_equal(sum_of((struct bf_limit_rows){OPENAI}, BF_QUANTITY_NUSD), 7 * 27);
	assert_int_equal(sum_of((struct bf_limit_rows){OPENAI}, BF_QUANTITY_CONCURRENT), 0);
}

/* As bf_model_is() does. */
static void names_of_models(void **state)
{
	static const char *const names[] = {
	    "gpt-4o",      "openai/gpt-4o", "OpenAI/GPT-4o",       "mistral/gpt-4o",
	    "gpt-4o-mini", "openai/",       "openai/openai/gpt-4o"};

	(void)state;
	for (unsigned i = 0; i < BF_ARRAY_LEN(names); i++) {
		charge("vk-1", "openai", names[i], 1u << 2 * i);
		charge("vk-1", "other", names[i], 2u << 2 * i);
	}
	for (unsigned k = 0; k < BF_ARRAY_LEN(names); k++) {
		int64_t want = 0;

		for (unsigned i = 0; i < BF_ARRAY_LEN(names); i++) {
			struct bf_slice row = bf_slice_from(names[i]);
			struct bf_slice own = bf_slice_from(names[k]);

			want += bf_model_is(own, row, BF_SLICE_LIT("openai")) ? 1 << 2 * i : 0;
			want += bf_model_is(own, row, BF_SLICE_LIT("other")) ? 2 << 2 * i : 0;
		}
		assert_int_equal(TOKENS(.model = bf_slice_from(names[k])), want);
		assert_int_equal(TOKENS(KEY1, .model = bf_slice_from(names[k])), want);
	}
}

static void names_are_data(void **state)
{
	static char longest[129];

	(void)state;
	memset(longest, 'x', 128);
	charge("vk-1", "it's", "m'); DROP TABLE logs; --", 1);
	charge("vk-1", longest, longest, 2);
	assert_int_equal(TOKENS(.provider = BF_SLICE_LIT("it's")), 1);
	assert_int_equal(TOKENS(.model = BF_SLICE_LIT("m'); DROP TABLE logs; --")), 1);
	assert_int_equal(TOKENS(.provider = {longest, 128}, .model = {longest, 128}), 2);
	assert_int_equal(TOKENS(.team_id = BF_SLICE_LIT("' OR 1 --")), 0);
}

/* ---- the plan of each statement */

static const char *plan_of(struct bf_limit_rows rows, sqlite3 *db, char out[256])
{
	struct charged charged = {{NULL}};
	sqlite3_stmt *st = NULL;
	int64_t sum;
	char *sql = NULL;

	assert_int_equal(charged_sum(&charged, db, &rows, BF_QUANTITY_TOKENS, "2023", "2024", &sum),
			 SQLITE_OK);
	for (unsigned i = 0; i < CHARGED_FILTERS; i++) {
		if (charged.statements[i])
			sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s",
					      sqlite3_sql(charged.statements[i]));
	}
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	(void)snprintf(out, 256, "%s", (const char *)sqlite3_column_text(st, 3));
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	(void)sqlite3_finalize(st);
	sqlite3_free(sql);
	charged_done(&charged);
	return out;
}

/* Rows lie with their bodies, millions of them. */
static void sums_read_indexes(void **state)
{
	const struct {
		struct bf_limit_rows rows;
		const char *want;
	} all[] = {
	    {{KEY1},
	     "COVERING INDEX logs_charges (virtual_key_id=? AND timestamp>? AND timestamp<?)"},
	    {{.team_id = BF_SLICE_LIT("t")},
	     "COVERING INDEX logs_team_charges (team_id=? AND timestamp>? AND timestamp<?)"},
	    {{.customer_id = BF_SLICE_LIT("c")},
	     "COVERING INDEX logs_customer_charges (customer_id=? AND timestamp>? AND "
	     "timestamp<?)"},
	    {{OPENAI},
	     "COVERING INDEX logs_timestamp_provider_status (timestamp>? AND timestamp<?)"},
	    {{.model = BF_SLICE_LIT("m")},
	     "COVERING INDEX logs_timestamp_provider_status (timestamp>? AND timestamp<?)"},
	    {{OPENAI, .model = BF_SLICE_LIT("m")},
	     "COVERING INDEX logs_timestamp_provider_status (timestamp>? AND timestamp<?)"},
	    {{.model = {NULL, 0}},
	     "COVERING INDEX logs_timestamp_provider_status (timestamp>? AND timestamp<?)"},
	    {{KEY1, OPENAI},
	     "INDEX logs_charges (virtual_key_id=? AND timestamp>? AND timestamp<?)"},
	    {{KEY1, OPENAI, .model = BF_SLICE_LIT("m")},
	     "INDEX logs_charges (virtual_key_id=? AND timestamp>? AND timestamp<?)"},
	};
	sqlite3 *db = NULL;
	char out[256];

	(void)state;
	assert_int_equal(sqlite3_open(c.path, &db), SQLITE_OK);
	assert_int_equal(charged_open(db), SQLITE_OK);
	for (unsigned i = 0; i < BF_ARRAY_LEN(all); i++) {
		if (!strstr(plan_of(all[i].rows, db, out), all[i].want))
			fail_msg("%s instead of %s", out, all[i].want);
	}
	(void)sqlite3_close(db);
}

/* A file without the table. */
static void errors_are_told(void **state)
{
	const struct bf_limit_rows rows = {KEY1};
	struct charged charged = {{NULL}};
	sqlite3 *db = NULL;
	int64_t sum = 77;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(charged_open(db), SQLITE_OK);
	assert_int_equal(charged_sum(&charged, db, &rows, 2, "2023", "2024", &sum), SQLITE_ERROR);
	assert_int_equal(sum, 77);
	charged_done(&charged);
	charged_done(&charged);
	(void)sqlite3_close(db);
}

#define CHARGED_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CHARGED_TEST(each_owner_has_its_rows), CHARGED_TEST(names_of_models),
	    CHARGED_TEST(names_are_data),          CHARGED_TEST(sums_read_indexes),
	    CHARGED_TEST(errors_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
