/* Rows as JSON: whatever a column holds, the document stays whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "writerd/row/logs_json.h"

static struct bf_buf out;
static struct bf_arena arena;

static int setup(void **state)
{
	(void)state;
	bf_buf_init(&out, 1 << 20);
	bf_arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_buf_done(&out);
	bf_arena_done(&arena);
	return 0;
}

/* The same value for every column; the number of columns asked for. */
struct row {
	struct logs_value value;
	unsigned asked;
};

static struct logs_value fetch(void *ctx, unsigned column)
{
	struct row *row = ctx;

	assert_int_equal(column, row->asked++);
	return row->value;
}

static struct bf_json_tape render(struct row *row, bool with_content)
{
	struct bf_json_tape tape;
	struct bf_json_writer j;
	struct bf_err err = {0};

	bf_buf_clear(&out);
	row->asked = 0;
	bf_jw_init(&j, &out);
	logs_json_row(&j, fetch, row, with_content);
	assert_int_equal(bf_jw_finish(&j), 0);
	if (bf_json_parse(&tape, bf_buf_slice(&out), &arena, &bf_json_default_limits, &err) < 0)
		fail_msg("%s in %.*s", err.text, BF_SLICE_FMT(bf_buf_slice(&out)));
	return tape;
}

static void expect(const struct bf_json_tape *t, const char *name, const char *raw)
{
	struct bf_slice got = bf_json_raw(t, bf_json_member(t, 0, name));

	if (!bf_slice_is(got, raw))
		fail_msg("%s: %.*s instead of %s", name, BF_SLICE_FMT(got), raw);
}

static unsigned commas(const char *text)
{
	unsigned n = 1;

	for (; *text; text++)
		n += *text == ',';
	return n;
}

static void columns_and_members_are_as_many(void **state)
{
	struct row row = {.value = {.kind = LOGS_NULL}};
	struct bf_json_tape t = render(&row, false);

	(void)state;
	/* nullif(cost_nusd, 0) has a comma of its own. */
	assert_int_equal(row.asked, commas(LOGS_JSON_COLUMNS) - 1);
	assert_int_equal(t.tokens[0].count, row.asked);
	expect(&t, "cost", "null");
	t = render(&row, true);
	assert_int_equal(row.asked, commas(LOGS_JSON_COLUMNS ", " LOGS_JSON_CONTENT) - 1);
	expect(&t, "output_message", "null");
}

static void forms_of_numbers(void **state)
{
	struct row row = {.value = {.kind = LOGS_INTEGER, .integer = 1}};
	struct bf_json_tape t = render(&row, false);

	(void)state;
	expect(&t, "stream", "true");
	expect(&t, "http_status", "1");
	expect(&t, "cost", "0.000000001");
	row.value.integer = INT64_MIN;
	t = render(&row, false);
	expect(&t, "cost", "-9223372036.854775808");
	row.value = (struct logs_value){.kind = LOGS_REAL, .real = 1.5};
	t = render(&row, false);
	expect(&t, "latency", "1.500");
	row.value.real = 1e308;
	(void)render(&row, false);
	row.value.real = 1e308 * 10;
	t = render(&row, false);
	expect(&t, "latency", "null");
}

static void trees_only_when_they_are_whole(void **state)
{
	static const struct {
		const char *text, *raw;
	} cases[] = {
	    {"{\"a\":1}", "{\"a\":1}"},
	    {"[]", "[]"},
	    {"{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}"},
	    {"{\"a\":1", "\"{\\\"a\\\":1\""},
	    {"{},{}", "\"{},{}\""},
	    {"12", "\"12\""},
	    {"", "\"\""},
	    {"data: {}\n\n", "\"data: {}\\n\\n\""},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct row row = {
		    .value = {.kind = LOGS_TEXT, .text = bf_slice_from(cases[i].text)}};
		struct bf_json_writer j;

		bf_buf_clear(&out);
		bf_jw_init(&j, &out);
		logs_json_row(&j, fetch, &row, true);
		assert_int_equal(bf_jw_finish(&j), 0);
		assert_int_equal(bf_buf_append(&out, "", 1), 0);
		char want[128];
		(void)snprintf(want, sizeof(want), "\"output_message\":%s}", cases[i].raw);
		if (!strstr(out.data + out.start, want))
			fail_msg("%s in %s", want, out.data + out.start);
		/* Nothing else is ever taken for a tree. */
		assert_null(strstr(out.data + out.start, "\"model\":{"));
	}
}

/* Every cut of a tree is a string. */
static void a_cut_tree_is_a_text(void **state)
{
	const char whole[] = "[[\"key \\u00e9\",200,12.5],{\"x\":null}]";

	(void)state;
	for (size_t len = 0; len <= sizeof(whole) - 1; len++) {
		struct row row = {.value = {.kind = LOGS_TEXT, .text = {whole, len}}};
		struct bf_json_tape t = render(&row, false);
		uint32_t at = bf_json_member(&t, 0, "attempt_trail");

		assert_int_equal(t.tokens[at].type,
				 len == sizeof(whole) - 1 ? BF_JSON_ARRAY : BF_JSON_STRING);
		bf_arena_reset(&arena);
	}
}

static void bytes_that_are_no_text(void **state)
{
	char bytes[256];
	struct row row = {.value = {.kind = LOGS_TEXT, .text = {bytes, sizeof(bytes)}}};

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	(void)render(&row, true);
}

static void totals(void **state)
{
	const struct bf_msg_logs_query q = {.limit = 7, .offset = 9, .sort_by = BF_LOGS_BY_COST};
	const struct logs_totals t = {8, 2, 1.25, 1e6, 2500000000., true};
	const struct logs_totals none = {0};
	struct bf_json_writer j;

	(void)state;
	bf_jw_init(&j, &out);
	bf_jw_object(&j);
	logs_json_totals(&j, &q, &t);
	bf_jw_end_object(&j);
	assert_int_equal(bf_jw_finish(&j), 0);
	assert_true(bf_slice_is(
	    bf_buf_slice(&out),
	    "{\"pagination\":{\"limit\":7,\"offset\":9,\"sort_by\":\"cost\",\"order\":\"desc\","
	    "\"total_count\":8},\"stats\":{\"total_requests\":8,\"success_rate\":25.00,"
	    "\"average_latency\":1.250,\"total_tokens\":1000000,\"total_cost\":2.500000000},"
	    "\"has_logs\":true}"));
	bf_buf_clear(&out);
	bf_jw_init(&j, &out);
	bf_jw_object(&j);
	logs_json_totals(&j, &q, &none);
	bf_jw_end_object(&j);
	assert_int_equal(bf_jw_finish(&j), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	assert_non_null(strstr(out.data + out.start, "\"success_rate\":0.00"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(columns_and_members_are_as_many, setup, teardown),
	    cmocka_unit_test_setup_teardown(forms_of_numbers, setup, teardown),
	    cmocka_unit_test_setup_teardown(trees_only_when_they_are_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_cut_tree_is_a_text, setup, teardown),
	    cmocka_unit_test_setup_teardown(bytes_that_are_no_text, setup, teardown),
	    cmocka_unit_test_setup_teardown(totals, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
