/* JSON of an object: text forms, maps as objects, secrets hidden. */
#include "table_bed.h"

#include "common/codec/json_tape.h"
#include "common/codec/json_writer.h"

static void writes_the_text_forms(void **state)
{
	struct bf_arena arena;
	struct bf_json_writer w;
	struct bf_buf out;
	struct bed b;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	bf_buf_init(&out, 1 << 20);
	bed_fill(&b, &arena);
	bf_jw_init(&w, &out);
	bf_table_write_json(&bed_table, &b, &w);
	assert_int_equal(bf_jw_finish(&w), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	assert_string_equal(
	    out.data + out.start,
	    "{\"on\":false,\"level\":-2,\"count\":18446744073709551615,\"wait_in_seconds\":"
	    "\"1500ms\","
	    "\"size\":\"64KiB\",\"weight\":0.5,\"title\":\"\xc3\xa4 "
	    "\\\"q\\\"\",\"secret\":\"***\",\"raw\":\"0001ff\","
	    "\"colour\":\"blue\",\"tags\":[\"x\",\"\"],\"inner\":{\"wait\":\"7s\",\"secret\":\"***"
	    "\"},"
	    "\"items\":[{\"name\":\"one\",\"rank\":-5},{\"name\":\"two\",\"rank\":5}],"
	    "\"named\":{\"one\":{\"rank\":-5},\"two\":{\"rank\":5}},"
	    "\"notes\":{\"n1\":\"***\",\"n2\":\"\"}}");
	bf_buf_done(&out);
	bf_arena_done(&arena);
}

static void an_index_without_a_name_is_null(void **state)
{
	struct bf_arena arena;
	struct bf_json_writer w;
	struct bf_buf out;
	struct bed b;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	bf_buf_init(&out, 1 << 20);
	assert_int_equal(bf_table_defaults(&bed_table, &b, &arena), 0);
	b.colour = 77;
	bf_jw_init(&w, &out);
	bf_table_write_json(&bed_table, &b, &w);
	assert_int_equal(bf_jw_finish(&w), 0);
	assert_non_null(memmem(out.data, bf_buf_len(&out), "\"colour\":null", 13));
	/* An empty secret is shown as empty: "is one set?" is a fair question. */
	assert_non_null(memmem(out.data, bf_buf_len(&out), "\"secret\":\"\"", 11));
	bf_buf_done(&out);
	bf_arena_done(&arena);
}

static void a_full_buffer_is_an_error(void **state)
{
	struct bf_arena arena;
	struct bed b;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	bed_fill(&b, &arena);
	for (size_t cap = 1; cap < 300; cap += 7) {
		struct bf_json_writer w;
		struct bf_buf out;

		bf_buf_init(&out, cap);
		bf_jw_init(&w, &out);
		bf_table_write_json(&bed_table, &b, &w);
		assert_true(bf_jw_finish(&w) < 0);
		bf_buf_done(&out);
	}
	bf_arena_done(&arena);
}

struct seen {
	struct bf_slice shown, hidden, kept;
	int64_t at_ms;
};

static const struct bf_field seen_fields[] = {
    {.name = "shown",
     .type = BF_T_STRING,
     .offset = offsetof(struct seen, shown),
     .audience = BF_FOR_PROXYD},
    {.name = "hidden",
     .type = BF_T_STRING,
     .offset = offsetof(struct seen, hidden),
     .audience = BF_FOR_WRITERD},
    {.name = "kept",
     .type = BF_T_STRING,
     .offset = offsetof(struct seen, kept),
     .flags = BF_INTERNAL,
     .audience = BF_FOR_PROXYD},
    {.name = "at",
     .type = BF_T_TIME,
     .offset = offsetof(struct seen, at_ms),
     .audience = BF_FOR_PROXYD},
};

static const struct bf_table seen_table = {
    .name = "seen", .fields = seen_fields, .size = sizeof(struct seen), .field_count = 4};

static void expect_json(struct bf_buf *out, struct bf_json_writer *w, const char *json)
{
	assert_int_equal(bf_jw_finish(w), 0);
	assert_true(bf_slice_is(bf_buf_slice(out), json));
	bf_buf_clear(out);
	bf_jw_init(w, out);
}

/* What an audience sees; single fields; moments. */
static void shows_what_is_seen(void **state)
{
	const struct seen s = {.shown = BF_SLICE_LIT("a"),
			       .hidden = BF_SLICE_LIT("b"),
			       .kept = BF_SLICE_LIT("c"),
			       .at_ms = 1000};
	struct bf_json_writer w;
	struct bf_buf out;

	(void)state;
	bf_buf_init(&out, 4096);
	bf_jw_init(&w, &out);
	bf_table_show_json(&seen_table, &s, BF_FOR_PROXYD, &w);
	expect_json(&out, &w, "{\"shown\":\"a\",\"at\":\"1970-01-01T00:00:01.000Z\"}");
	bf_table_show_json(&seen_table, &s, BF_FOR_WRITERD, &w);
	expect_json(&out, &w, "{\"hidden\":\"b\"}");
	bf_field_write_json(&seen_fields[1], &s.hidden, &w);
	expect_json(&out, &w, "\"b\"");
	bf_time_write_json(1000, &w);
	expect_json(&out, &w, "\"1970-01-01T00:00:01.000Z\"");
	bf_time_write_json(0, &w);
	expect_json(&out, &w, "null");
	bf_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_the_text_forms),
	    cmocka_unit_test(an_index_without_a_name_is_null),
	    cmocka_unit_test(a_full_buffer_is_an_error),
	    cmocka_unit_test(shows_what_is_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
