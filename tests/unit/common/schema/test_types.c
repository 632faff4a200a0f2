/* Types of fields that may be left out: moments, switches with three states, numbers or nothing. */
#include "table_bed.h"

#include "common/codec/json_writer.h"
#include "common/codec/mp.h"
#include "common/schema/load.h"
#include "common/schema/value.h"

struct thing {
	int64_t at_ms;
	int32_t state;
	int64_t share_micro;
	int64_t nameless; /* no row describes it */
};

static const struct bf_field fields[] = {
    {.name = "at",
     .type = BF_T_TIME,
     .offset = offsetof(struct thing, at_ms),
     .audience = BF_FOR_PROXYD},
    {.name = "state",
     .type = BF_T_TRISTATE,
     .offset = offsetof(struct thing, state),
     .audience = BF_FOR_PROXYD},
    {.name = "share",
     .type = BF_T_DECIMAL,
     .decimals = 6,
     .offset = offsetof(struct thing, share_micro),
     .min = 0,
     .max = 1000000,
     .flags = BF_OR_NULL,
     .audience = BF_FOR_PROXYD},
};

static const struct bf_table table = {
    .name = "thing", .fields = fields, .size = sizeof(struct thing), .field_count = 3};

static struct bf_arena arena;

static int parse(const struct bf_field *f, const char *text, enum bf_text_style style,
		 struct thing *thing, struct bf_err *err)
{
	return bf_value_parse(f, bf_slice_from(text), style, bf_field_slot(f, thing), &arena, err);
}

static void texts(void **state)
{
	static const struct {
		const char *text;
		int64_t at_ms;
	} times[] = {
	    {"2026-11-21T10:00:00Z", INT64_C(1795255200000)},
	    {"2026-11-21T11:00:00.25+01:00", INT64_C(1795255200250)},
	    {"1970-01-01T00:00:00.001Z", 1},
	    {"1970-01-01T00:00:00Z", -1},
	    {"1969-12-31T23:59:59Z", -1},
	    {"2026-02-30T00:00:00Z", -1},
	    {"2026-11-21", -1},
	    {"1795255200", -1},
	    {"", -1},
	};
	struct thing thing = {.at_ms = -1};
	struct bf_err err;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(times); i++) {
		for (enum bf_text_style style = BF_TEXT_PLAIN; style <= BF_TEXT_RESOLVED; style++) {
			int r = parse(&fields[0], times[i].text, style, &thing, &err);

			assert_int_equal(r == 0, times[i].at_ms >= 0);
			if (r == 0)
				assert_true(thing.at_ms == times[i].at_ms);
		}
	}
	assert_int_equal(parse(&fields[1], "true", BF_TEXT_PLAIN, &thing, &err), 0);
	assert_int_equal(thing.state, BF_TRI_TRUE);
	assert_int_equal(parse(&fields[1], "FALSE", BF_TEXT_PLAIN, &thing, &err), 0);
	assert_int_equal(thing.state, BF_TRI_FALSE);
	assert_true(parse(&fields[1], "true", BF_TEXT_QUOTED, &thing, &err) < 0);
	assert_true(parse(&fields[1], "2", BF_TEXT_PLAIN, &thing, &err) < 0);
	assert_int_equal(thing.state, BF_TRI_FALSE);
	assert_true(parse(&fields[2], "-0.000001", BF_TEXT_PLAIN, &thing, &err) < 0);
	assert_int_equal(parse(&fields[2], "0", BF_TEXT_PLAIN, &thing, &err), 0);
	assert_true(thing.share_micro == 0);
}

static void what_was_not_given(void **state)
{
	static const struct bf_table blank = {.name = "thing",
					      .fields = fields,
					      .size = sizeof(struct thing),
					      .field_count = 3,
					      .blank = 0xff};
	struct thing thing;

	(void)state;
	assert_int_equal(bf_table_defaults(&table, &thing, &arena), 0);
	assert_true(thing.at_ms == 0 && thing.nameless == 0);
	assert_int_equal(thing.state, BF_TRI_UNSET);
	assert_true(thing.share_micro == -1);
	assert_int_equal(bf_table_defaults(&blank, &thing, &arena), 0);
	assert_true(thing.nameless == -1);
}

static void both_ways_through_msgpack(void **state)
{
	static const struct thing things[] = {
	    {.share_micro = -1},
	    {.at_ms = 1, .state = BF_TRI_FALSE, .share_micro = 0},
	    {.at_ms = INT64_MAX, .state = BF_TRI_TRUE, .share_micro = 1000000},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(things); i++) {
		struct thing back;
		struct bf_buf out;
		struct bf_err err;

		bf_buf_init(&out, 4096);
		assert_int_equal(bf_table_encode_mp(&table, &things[i], 0, &out), 0);
		assert_int_equal(
		    bf_table_decode_mp(&table, &back, bf_buf_slice(&out), &arena, &err), 0);
		assert_true(bf_table_equal(&table, &things[i], &back, 0));
		for (size_t k = 0; k < BF_ARRAY_LEN(things); k++)
			assert_int_equal(bf_table_equal(&table, &things[k], &back, 0), i == k);
		bf_buf_done(&out);
	}
}

/* A child that was taken over may write anything. */
static void hostile_bytes(void **state)
{
	static const struct {
		const char *name;
		int64_t value;
	} bad[] = {{"at", -1}, {"state", 3}, {"state", -1}, {"share", -2}, {"share", 1000001}};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++) {
		struct bf_mp_writer w;
		struct thing thing;
		struct bf_buf out;
		struct bf_err err;

		bf_buf_init(&out, 4096);
		bf_mp_writer_init(&w, &out);
		bf_mp_write_map(&w, 1);
		bf_mp_write_str(&w, bf_slice_from(bad[i].name));
		bf_mp_write_i64(&w, bad[i].value);
		assert_int_equal(bf_mp_writer_finish(&w), 0);
		assert_true(bf_table_decode_mp(&table, &thing, bf_buf_slice(&out), &arena, &err) <
			    0);
		bf_buf_done(&out);
	}
}

static void as_json(void **state)
{
	static const struct {
		struct thing thing;
		const char *json;
	} cases[] = {
	    {{.share_micro = -1}, "{\"at\":null,\"state\":null,\"share\":null}"},
	    {{.at_ms = 1, .state = BF_TRI_FALSE},
	     "{\"at\":\"1970-01-01T00:00:00.001Z\",\"state\":false,\"share\":0}"},
	    {{.at_ms = INT64_C(253402300799999), .state = BF_TRI_TRUE, .share_micro = 250000},
	     "{\"at\":\"9999-12-31T23:59:59.999Z\",\"state\":true,\"share\":0.25}"},
	    /* No calendar has this year. */
	    {{.at_ms = INT64_MAX, .share_micro = -1},
	     "{\"at\":\"292278994-08-17T07:12:55.807Z\",\"state\":null,\"share\":null}"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct bf_json_writer w;
		struct bf_buf out;

		bf_buf_init(&out, 4096);
		bf_jw_init(&w, &out);
		bf_table_write_json(&table, &cases[i].thing, &w);
		assert_int_equal(bf_jw_finish(&w), 0);
		assert_int_equal(bf_buf_append(&out, "", 1), 0);
		assert_string_equal(out.data, cases[i].json);
		bf_buf_done(&out);
	}
}

static void differences_have_names(void **state)
{
	struct thing a = {.share_micro = -1}, b = {.at_ms = 5, .state = BF_TRI_TRUE};
	struct bf_buf names;

	(void)state;
	bf_buf_init(&names, 4096);
	assert_int_equal(bf_table_diff(&table, &a, &b, BF_FOR_PROXYD, BF_RELOAD_ROLL, &names), 3);
	assert_int_equal(bf_buf_append(&names, "", 1), 0);
	assert_string_equal(names.data, "at, state, share");
	bf_buf_clear(&names);
	assert_int_equal(bf_table_diff(&table, &a, &b, BF_FOR_WRITERD, BF_RELOAD_ROLL, &names), 0);
	bf_buf_done(&names);
}

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(texts),
	    cmocka_unit_test(what_was_not_given),
	    cmocka_unit_test(both_ways_through_msgpack),
	    cmocka_unit_test(hostile_bytes),
	    cmocka_unit_test(as_json),
	    cmocka_unit_test(differences_have_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
