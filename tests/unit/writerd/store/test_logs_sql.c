/* Searches as SQL: what a client wrote is bound, never part of the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "writerd/store/logs_sql.h"

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

static void expect_sql(const struct bf_msg_logs_query *q, const char *want, unsigned binds)
{
	struct logs_where w;
	struct bf_slice got;

	assert_int_equal(logs_where_build(&w, q), 0);
	got = bf_buf_slice(&w.sql);
	if (!bf_slice_is(got, want))
		fail_msg("%.*s", BF_SLICE_FMT(got));
	assert_int_equal(w.bind_count, binds);
	logs_where_done(&w);
}

static void no_condition_no_text(void **state)
{
	struct bf_msg_logs_query q = any();

	(void)state;
	expect_sql(&q, "", 0);
}

static void each_condition_alone(void **state)
{
	struct bf_slice two[] = {{"a", 1}, {"b", 1}};
	const struct {
		size_t offset;
		const char *want;
	} lists[] = {
	    {offsetof(struct bf_msg_logs_query, providers), " WHERE provider IN (?1, ?2)"},
	    {offsetof(struct bf_msg_logs_query, models), " WHERE model IN (?1, ?2)"},
	    {offsetof(struct bf_msg_logs_query, status), " WHERE status IN (?1, ?2)"},
	    {offsetof(struct bf_msg_logs_query, stop_reasons), " WHERE stop_reason IN (?1, ?2)"},
	    {offsetof(struct bf_msg_logs_query, error_types), " WHERE error_type IN (?1, ?2)"},
	    {offsetof(struct bf_msg_logs_query, objects), " WHERE object_type IN (?1, ?2)"},
	    {offsetof(struct bf_msg_logs_query, selected_key_ids),
	     " WHERE selected_key_id IN (?1, ?2)"},
	    {offsetof(struct bf_msg_logs_query, virtual_key_ids),
	     " WHERE virtual_key_id IN (?1, ?2)"},
	    {offsetof(struct bf_msg_logs_query, team_ids), " WHERE team_id IN (?1, ?2)"},
	    {offsetof(struct bf_msg_logs_query, customer_ids), " WHERE customer_id IN (?1, ?2)"},
	};
	const struct {
		size_t offset;
		const char *want;
	} bounds[] = {
	    {offsetof(struct bf_msg_logs_query, start_ms), " WHERE timestamp >= ?1"},
	    {offsetof(struct bf_msg_logs_query, end_ms), " WHERE timestamp <= ?1"},
	    {offsetof(struct bf_msg_logs_query, min_latency_us), " WHERE latency * 1000 >= ?1"},
	    {offsetof(struct bf_msg_logs_query, max_latency_us), " WHERE latency * 1000 <= ?1"},
	    {offsetof(struct bf_msg_logs_query, min_tokens), " WHERE total_tokens >= ?1"},
	    {offsetof(struct bf_msg_logs_query, max_tokens), " WHERE total_tokens <= ?1"},
	    {offsetof(struct bf_msg_logs_query, min_cost_nusd), " WHERE cost_nusd >= ?1"},
	    {offsetof(struct bf_msg_logs_query, max_cost_nusd), " WHERE cost_nusd <= ?1"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(lists); i++) {
		struct bf_msg_logs_query q = any();

		*(struct bf_array *)(void *)((char *)&q + lists[i].offset) =
		    (struct bf_array){two, 2};
		expect_sql(&q, lists[i].want, 2);
	}
	for (size_t i = 0; i < BF_ARRAY_LEN(bounds); i++) {
		struct bf_msg_logs_query q = any();

		*(int64_t *)(void *)((char *)&q + bounds[i].offset) = 0;
		expect_sql(&q, bounds[i].want, 1);
	}
	struct bf_msg_logs_query q = any();
	q.parent_request_id = BF_SLICE_LIT("x");
	expect_sql(&q, " WHERE parent_request_id = ?1", 1);
	q.request_id = BF_SLICE_LIT("y");
	expect_sql(&q, " WHERE request_id = ?1 AND parent_request_id = ?2", 2);
}

static void conditions_are_joined(void **state)
{
	struct bf_slice one[] = {{"'; DROP TABLE logs; --", 22}};
	struct bf_msg_logs_query q = any();

	(void)state;
	q.start_ms = 1700000000123;
	q.providers = (struct bf_array){one, 1};
	q.content_search = BF_SLICE_LIT("'\"x");
	expect_sql(&q,
		   " WHERE timestamp >= ?1 AND provider IN (?2) AND (input_history LIKE ?3 ESCAPE "
		   "'\\' OR output_message LIKE ?3 ESCAPE '\\')",
		   3);
}

static void what_is_bound(void **state)
{
	struct bf_slice one[] = {{"openai", 6}};
	struct bf_msg_logs_query q = any();
	struct logs_where w;

	(void)state;
	q.start_ms = 1700000000123;
	q.end_ms = INT64_MAX;
	q.providers = (struct bf_array){one, 1};
	q.min_tokens = 42;
	q.content_search = BF_SLICE_LIT("50%_\\x");
	assert_int_equal(logs_where_build(&w, &q), 0);
	assert_true(bf_slice_is(w.binds[0].text, "2023-11-14T22:13:20.123Z"));
	assert_true(bf_slice_is(w.binds[1].text, "2262-04-11T23:47:16.000Z"));
	assert_true(bf_slice_is(w.binds[2].text, "openai"));
	assert_null(w.binds[3].text.ptr);
	assert_int_equal(w.binds[3].number, 42);
	assert_true(bf_slice_is(w.binds[4].text, "%50\\%\\_\\\\x%"));
	logs_where_done(&w);
}

/* The most that a message can hold fits; more is an error, not an overrun. */
static void the_longest_search(void **state)
{
	static char text[BF_LOGS_MAX_TEXT + 1];
	struct bf_slice many[BF_LOGS_MAX_VALUES + 32];
	struct bf_msg_logs_query q = any();
	struct logs_where w;

	(void)state;
	memset(text, '%', sizeof(text));
	for (size_t i = 0; i < BF_ARRAY_LEN(many); i++)
		many[i] = (struct bf_slice){text, BF_LOGS_MAX_TEXT};
	q.providers = q.models = q.status = q.stop_reasons = q.error_types = q.objects =
	    q.selected_key_ids = q.virtual_key_ids = q.team_ids = q.customer_ids =
		(struct bf_array){many, BF_LOGS_MAX_VALUES};
	q.request_id = q.parent_request_id = q.content_search = many[0];
	q.start_ms = q.end_ms = q.min_latency_us = q.max_latency_us = q.min_tokens = q.max_tokens =
	    q.min_cost_nusd = q.max_cost_nusd = 1;
	assert_int_equal(logs_where_build(&w, &q), 0);
	assert_int_equal(w.bind_count, 10 * BF_LOGS_MAX_VALUES + 11);
	assert_int_equal(w.binds[w.bind_count - 1].text.len, 2 * BF_LOGS_MAX_TEXT + 2);
	logs_where_done(&w);
	q.content_search.len++;
	assert_int_equal(logs_where_build(&w, &q), BF_E_LIMIT);
	logs_where_done(&w);
	q.content_search.len--;
	q.providers.count = BF_ARRAY_LEN(many);
	assert_int_equal(logs_where_build(&w, &q), BF_E_LIMIT);
	logs_where_done(&w);
}

static void order_and_page(void **state)
{
	static const char *const want[] = {
	    "SELECT id FROM logs WHERE total_tokens >= ?1 ORDER BY timestamp DESC, inc_number DESC "
	    "LIMIT ?2 OFFSET ?3",
	    "SELECT id FROM logs WHERE total_tokens >= ?1 ORDER BY latency DESC, inc_number DESC "
	    "LIMIT ?2 OFFSET ?3",
	    "SELECT id FROM logs WHERE total_tokens >= ?1 ORDER BY total_tokens DESC, inc_number "
	    "DESC LIMIT ?2 OFFSET ?3",
	    "SELECT id FROM logs WHERE total_tokens >= ?1 ORDER BY cost_nusd DESC, inc_number DESC "
	    "LIMIT ?2 OFFSET ?3",
	};
	struct bf_msg_logs_query q = any();
	struct logs_where w;
	struct bf_buf out;

	(void)state;
	q.min_tokens = 1;
	assert_int_equal(logs_where_build(&w, &q), 0);
	bf_buf_init(&out, 4096);
	for (int32_t i = 0; i < 4; i++) {
		q.sort_by = i;
		bf_buf_clear(&out);
		assert_int_equal(logs_sql_page(&w, &q, "id", &out), 0);
		assert_true(bf_slice_is(bf_buf_slice(&out), want[i]));
	}
	q.ascending = true;
	q.sort_by = 77;
	bf_buf_clear(&out);
	assert_int_equal(logs_sql_page(&w, &q, "id", &out), 0);
	assert_true(bf_slice_is(bf_buf_slice(&out),
				"SELECT id FROM logs WHERE total_tokens >= ?1 ORDER BY timestamp "
				"ASC, inc_number ASC LIMIT ?2 OFFSET ?3"));
	bf_buf_done(&out);
	bf_buf_init(&out, 10);
	assert_int_equal(logs_sql_page(&w, &q, "id", &out), BF_E_LIMIT);
	bf_buf_done(&out);
	logs_where_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_condition_no_text),  cmocka_unit_test(each_condition_alone),
	    cmocka_unit_test(conditions_are_joined), cmocka_unit_test(what_is_bound),
	    cmocka_unit_test(the_longest_search),    cmocka_unit_test(order_and_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
