/* Searches in real databases: the answers, what a reader does not need, and what stands in its way.
 */
#include "tests/unit/writerd/crafted.h"

#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "writerd/store/store_sqlite_db.h"
#include "writerd/store/store_sqlite_search.h"

static struct crafted c;
static struct store *store;
static struct search *s;
static struct bf_buf out;
static struct bf_arena arena;
static struct bf_json_tape tape;
static struct bf_err err;
static unsigned alive_calls;

static void alive(void *owner)
{
	assert_ptr_equal(owner, &c);
	alive_calls++;
}

static int setup(void **state)
{
	(void)state;
	crafted_init(&c);
	bf_buf_init(&out, SEARCH_MAX_BYTES);
	bf_arena_init(&arena, 64 << 20);
	s = search_new(c.path, alive, &c);
	assert_non_null(s);
	store = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_clock_set_source(NULL);
	search_free(s);
	if (store)
		store->ops->close(store);
	bf_buf_done(&out);
	bf_arena_done(&arena);
	crafted_done(&c);
	return 0;
}

static struct bf_msg_logs_query any(void)
{
	return (struct bf_msg_logs_query){
	    .start_ms = BF_LOGS_ANY,
	    .end_ms = BF_LOGS_ANY,
	    .min_latency_us = BF_LOGS_ANY,
	    .max_latency_us = BF_LOGS_ANY,
	    .min_tokens = BF_LOGS_ANY,
	    .max_tokens = BF_LOGS_ANY,
	    .min_cost_nusd = BF_LOGS_ANY,
	    .max_cost_nusd = BF_LOGS_ANY,
	    .limit = 50,
	};
}

static int run(const struct bf_msg_logs_query *q)
{
	int r;

	bf_buf_clear(&out);
	bf_arena_reset(&arena);
	r = search_run(s, q, &out, &err);
	if (r == 0)
		assert_int_equal(
		    bf_json_parse(&tape, bf_buf_slice(&out), &arena, &bf_json_default_limits, &err),
		    0);
	return r;
}

static uint32_t member(uint32_t object, const char *name)
{
	uint32_t at = bf_json_member(&tape, object, name);

	assert_int_not_equal(at, BF_JSON_NONE);
	return at;
}

static int64_t number(uint32_t object, const char *name)
{
	int64_t n = -1;

	assert_int_equal(bf_json_i64(&tape, member(object, name), &n), 0);
	return n;
}

/* Cuts the answer down to the numbers of its rows, which their ids end in: "3 2 1". */
static const char *numbers(void)
{
	static char text[256];
	uint32_t logs = member(0, "logs");
	size_t n = 0;

	text[0] = '\0';
	for (uint32_t i = bf_json_first(logs); i < tape.tokens[logs].next;
	     i = tape.tokens[i].next) {
		struct bf_slice id;
		char tail[9] = {0};

		assert_int_equal(bf_json_string(&tape, member(i, "id"), &arena, &id), 0);
		assert_int_equal(id.len, 36);
		memcpy(tail, id.ptr + 28, 8);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%ld", n ? " " : "",
				      strtol(tail, NULL, 16) >> 24);
	}
	return text;
}

/* Row n is n s younger, took n ms, cost n cents. */
static struct shm_usage_record record_of(uint32_t n)
{
	struct shm_usage_record r = crafted_record(n);

	r.started_wall_ns += n * INT64_C(1000000000);
	r.latency_us = n * 1000;
	r.prompt_tokens = n;
	r.completion_tokens = 0;
	r.cost_nusd = n * INT64_C(10000000);
	return r;
}

static void put(struct shm_usage_record *r, const char *input, const char *output)
{
	struct row_scratch scratch;
	unsigned inserted = 0;
	const struct store_item item = {r, bf_slice_from(input), bf_slice_from(output)};

	row_scratch_init(&scratch);
	assert_int_equal(store_write(store, &item, 1, &scratch, NULL, &inserted, &err), 0);
	assert_int_equal(inserted, 1);
	row_scratch_done(&scratch);
}

static void put_five(void)
{
	store = crafted_store(&c);
	for (uint32_t n = 1; n <= 5; n++) {
		struct shm_usage_record r = record_of(n);

		(void)snprintf(r.provider, sizeof(r.provider), n == 1 ? "openai" : "groq");
		(void)snprintf(r.model, sizeof(r.model), "m-%u", n % 2);
		(void)snprintf(r.stop_reason, sizeof(r.stop_reason), n == 2 ? "length" : "stop");
		(void)snprintf(r.key_id, sizeof(r.key_id), "k-%u", n);
		if (n == 3)
			(void)snprintf(r.parent_id, sizeof(r.parent_id), "the-parent");
		if (n == 4) {
			r.status = SHM_USAGE_ERROR;
			r.http_status = 429;
		}
		r.object_type = n == 5 ? SHM_OBJECT_EMBEDDING : SHM_OBJECT_CHAT;
		put(&r, n == 2 ? "[\"50% _off_\"]" : "[\"fifty\"]", NULL);
	}
}

static void expect(const struct bf_msg_logs_query *q, const char *want)
{
	if (run(q) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(numbers(), want);
}

static void filters(void **state)
{
	struct bf_slice v[] = {{"x", 1},     {"groq", 4},      {"m-1", 3},
			       {"error", 5}, {"length", 6},    {"k-1", 3},
			       {"k-5", 3},   {"embedding", 9}, {"provider_rate_limited", 21}};
	struct bf_msg_logs_query q;

	(void)state;
	put_five();
#define WITH(want, ...)           \
	do {                      \
		q = any();        \
		__VA_ARGS__;      \
		expect(&q, want); \
	} while (0)
	WITH("5 4 3 2 1", (void)0);
	WITH("5 4 3 2", q.providers = ((struct bf_array){v, 2}));
	WITH("5 3 1", q.models = ((struct bf_array){v + 2, 1}));
	WITH("4", q.status = ((struct bf_array){v + 3, 1}));
	WITH("2", q.stop_reasons = ((struct bf_array){v + 4, 1}));
	WITH("5 1", q.selected_key_ids = ((struct bf_array){v + 5, 2}));
	WITH("4", q.error_types = ((struct bf_array){v + 8, 1}));
	WITH("", q.error_types = ((struct bf_array){v, 1}));
	WITH("5", q.objects = ((struct bf_array){v + 7, 1}));
	WITH("3", q.parent_request_id = BF_SLICE_LIT("the-parent"));
	WITH("", q.parent_request_id = BF_SLICE_LIT("' OR 1=1 --"));
	WITH("5 4", q.start_ms = 1700000004000);
	WITH("1", q.end_ms = 1700000001000);
	WITH("4 3", q.min_latency_us = 3000, q.max_latency_us = 4000);
	WITH("4 3", q.min_tokens = 3, q.max_tokens = 4);
	WITH("4 3", q.min_cost_nusd = 30000000, q.max_cost_nusd = 40000000);
	WITH("2", q.content_search = BF_SLICE_LIT("50% _OFF_"));
	WITH("", q.content_search = BF_SLICE_LIT("f_fty"));
	WITH("5 4 3 1", q.content_search = BF_SLICE_LIT("ift"));
	WITH("1 2 3 4 5", q.ascending = true);
	WITH("5 4 3 2 1", q.sort_by = BF_LOGS_BY_LATENCY);
	WITH("1 2 3 4 5", q.sort_by = BF_LOGS_BY_COST, q.ascending = true);
	WITH("3 2", q.sort_by = BF_LOGS_BY_TOKENS, q.limit = 2, q.offset = 2);
	WITH("", q.offset = UINT64_MAX);
#undef WITH
}

static void pages_and_totals(void **state)
{
	struct bf_msg_logs_query q = any();
	struct bf_slice ok[] = {{"success", 7}};

	(void)state;
	put_five();
	q.limit = 2;
	q.offset = 1;
	expect(&q, "4 3");
	uint32_t row = bf_json_first(member(0, "logs"));
	assert_true(bf_slice_is(bf_json_raw(&tape, member(row, "error_type")),
				"\"provider_rate_limited\""));
	assert_int_equal(number(member(0, "pagination"), "total_count"), 5);
	assert_int_equal(number(member(0, "stats"), "total_tokens"), 15);
	assert_true(
	    bf_slice_is(bf_json_raw(&tape, member(member(0, "stats"), "success_rate")), "80.00"));
	assert_true(bf_slice_is(bf_json_raw(&tape, member(member(0, "stats"), "total_cost")),
				"0.150000000"));
	q.status = (struct bf_array){ok, 1};
	q.min_tokens = 100;
	expect(&q, "");
	assert_int_equal(number(member(0, "pagination"), "total_count"), 0);
	assert_true(bf_slice_is(bf_json_raw(&tape, member(0, "has_logs")), "true"));
}

static void an_empty_store(void **state)
{
	struct bf_msg_logs_query q = any();

	(void)state;
	store = crafted_store(&c);
	expect(&q, "");
	assert_true(bf_slice_is(bf_json_raw(&tape, member(0, "has_logs")), "false"));
}

static void one_row_with_its_content(void **state)
{
	struct shm_usage_record r = record_of(9);
	struct bf_msg_logs_query q = any();

	(void)state;
	store = crafted_store(&c);
	(void)snprintf(r.attempt_trail, sizeof(r.attempt_trail), "[[\"first\",429,3]]");
	r.cached_tokens = 4;
	r.flags = SHM_USAGE_CONTENT_CUT;
	put(&r, "[{\"role\":\"user\"}]", "data: x\n\n");
	q.id = BF_SLICE_LIT("00000000-0000-0000-0000-000009000000");
	assert_int_equal(run(&q), 0);
	assert_int_equal(number(0, "total_tokens"), 9);
	assert_int_equal(tape.tokens[member(0, "attempt_trail")].type, BF_JSON_ARRAY);
	assert_int_equal(tape.tokens[member(0, "input_history")].type, BF_JSON_ARRAY);
	assert_int_equal(tape.tokens[member(0, "output_message")].type, BF_JSON_STRING);
	assert_true(bf_slice_is(bf_json_raw(&tape, member(0, "cost")), "0.090000000"));
	assert_true(bf_slice_is(bf_json_raw(&tape, member(0, "content_truncated")), "true"));
	uint32_t usage = member(0, "token_usage");
	assert_int_equal(number(usage, "prompt_tokens"), 9);
	assert_int_equal(number(member(usage, "prompt_tokens_details"), "cached_tokens"), 4);
	q.id = BF_SLICE_LIT("00000000-0000-0000-0000-000008000000");
	assert_int_equal(run(&q), BF_E_UNKNOWN);
	assert_non_null(strstr(err.text, "no row has the id"));
}

static void a_row_without_a_price_costs_null(void **state)
{
	struct shm_usage_record r = record_of(1);
	struct bf_msg_logs_query q = any();

	(void)state;
	store = crafted_store(&c);
	r.cost_nusd = 0;
	put(&r, NULL, NULL);
	q.id = BF_SLICE_LIT("00000000-0000-0000-0000-000001000000");
	assert_int_equal(run(&q), 0);
	assert_true(bf_slice_is(bf_json_raw(&tape, member(0, "cost")), "null"));
	assert_int_equal(crafted_number(&c, "SELECT cost IS NULL FROM logs"), 1);
}

/* The reader does not touch what the writer has not brought up to date. */
static void an_older_version_is_not_read(void **state)
{
	struct bf_msg_logs_query q = any();
	const struct schema first = {schema_logs.store, schema_logs.steps, 1};
	sqlite3 *db = NULL;

	(void)state;
	assert_int_equal(sqlite_db_open(c.path, &first, &db, &err), 0);
	assert_int_equal(run(&q), BF_E_STATE);
	assert_non_null(strstr(err.text, "schema version 1"));
	sqlite_db_close(&db);
}

static void a_file_that_comes_later(void **state)
{
	struct bf_msg_logs_query q = any();

	(void)state;
	assert_int_equal(run(&q), BF_E_STATE);
	assert_non_null(strstr(err.text, "not there yet"));
	assert_int_not_equal(access(c.path, F_OK), 0);
	put_five();
	expect(&q, "5 4 3 2 1");
}

static void rows_that_come_later_are_seen(void **state)
{
	struct bf_msg_logs_query q = any();

	(void)state;
	store = crafted_store(&c);
	for (uint32_t n = 1; n <= 300; n++) {
		struct shm_usage_record r = record_of(n);

		put(&r, NULL, NULL);
		assert_int_equal(run(&q), 0);
		assert_int_equal(number(member(0, "pagination"), "total_count"), n);
	}
}

static void another_file_at_the_path(void **state)
{
	struct bf_msg_logs_query q = any();
	char moved[128];

	(void)state;
	put_five();
	expect(&q, "5 4 3 2 1");
	store->ops->close(store);
	(void)snprintf(moved, sizeof(moved), "%s.old", c.path);
	assert_int_equal(rename(c.path, moved), 0);
	assert_int_equal(run(&q), BF_E_STATE);
	store = crafted_store(&c);
	expect(&q, "");
	search_tick(s);
	expect(&q, "");
}

static void damage_is_told_and_mended(void **state)
{
	struct bf_msg_logs_query q = any();
	FILE *f = fopen(c.path, "w");

	(void)state;
	assert_non_null(f);
	for (int i = 0; i < 4096; i++)
		(void)fputs("no database ", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(run(&q), BF_E_CORRUPT);
	assert_null(strchr(err.text, '\n'));
	assert_int_equal(unlink(c.path), 0);
	put_five();
	expect(&q, "5 4 3 2 1");
}

/* What the sandbox gives: folder and files for reading only. Not as root, who may write anyway. */
static void nothing_is_written_beside_the_file(void **state)
{
	struct bf_msg_logs_query q = any();
	struct stat before, after;
	char shm[128];

	(void)state;
	put_five();
	(void)snprintf(shm, sizeof(shm), "%s-shm", c.path);
	assert_int_equal(chmod(shm, 0400), 0);
	assert_int_equal(chmod(c.folder, 0500), 0);
	assert_int_equal(stat(shm, &before), 0);
	expect(&q, "5 4 3 2 1");
	assert_int_equal(stat(shm, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(chmod(c.folder, 0700), 0);
	/* The writer can empty its log: nobody holds an old view. */
	assert_int_equal(crafted_number(&c, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
	expect(&q, "5 4 3 2 1");
}

/* A clock that jumps on by a second with every look. */
static int64_t racing_mono(void *ctx)
{
	*(int64_t *)ctx += 1000000000;
	return *(int64_t *)ctx;
}

static int64_t standing_wall(void *ctx)
{
	(void)ctx;
	return INT64_C(1700000000000000000);
}

static void an_endless_search_is_given_up(void **state)
{
	int64_t now = 0;
	const struct bf_clock_source racing = {racing_mono, standing_wall, &now};
	struct bf_msg_logs_query q = any();
	char body[4096];

	(void)state;
	store = crafted_store(&c);
	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	assert_int_equal(store->ops->begin(store, &err), 0);
	for (uint32_t n = 1; n <= 3000; n++) {
		struct shm_usage_record r = record_of(n);
		struct row_scratch scratch;
		struct row row;
		bool fresh;

		row_scratch_init(&scratch);
		row_render(&r, bf_slice_from(body), (struct bf_slice){NULL, 0}, &scratch, &row);
		assert_int_equal(store->ops->append(store, &row, &fresh, &err), 0);
		row_scratch_done(&scratch);
	}
	assert_int_equal(store->ops->commit(store, &err), 0);
	assert_int_equal(run(&q), 0);
	alive_calls = 0;
	bf_clock_set_source(&racing);
	q.content_search = BF_SLICE_LIT("absent");
	assert_int_equal(run(&q), BF_E_TIMEOUT);
	assert_non_null(strstr(err.text, "narrow the time range"));
	assert_true(alive_calls > 0);
	bf_clock_set_source(NULL);
	/* It is only that one search. */
	assert_int_equal(run(&q), 0);
	assert_int_equal(number(member(0, "pagination"), "total_count"), 0);
}

static void an_answer_that_is_too_large(void **state)
{
	struct bf_msg_logs_query q = any();

	(void)state;
	put_five();
	bf_buf_done(&out);
	bf_buf_init(&out, 1000);
	assert_int_equal(run(&q), BF_E_LIMIT);
	assert_non_null(strstr(err.text, "fewer rows"));
}

static void strange_paths(void **state)
{
	struct bf_msg_logs_query q = any();

	(void)state;
	search_free(s);
	(void)snprintf(c.path, sizeof(c.path), "%s/a b?c#d%%25&mode=rw.db", c.folder);
	s = search_new(c.path, NULL, NULL);
	put_five();
	expect(&q, "5 4 3 2 1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(filters),
	    TEST(pages_and_totals),
	    TEST(an_empty_store),
	    TEST(one_row_with_its_content),
	    TEST(a_row_without_a_price_costs_null),
	    TEST(an_older_version_is_not_read),
	    TEST(a_file_that_comes_later),
	    TEST(rows_that_come_later_are_seen),
	    TEST(another_file_at_the_path),
	    TEST(damage_is_told_and_mended),
	    TEST(nothing_is_written_beside_the_file),
	    TEST(an_endless_search_is_given_up),
	    TEST(an_answer_that_is_too_large),
	    TEST(strange_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
