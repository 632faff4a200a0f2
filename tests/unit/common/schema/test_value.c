/* One scalar: types, quoting, units, bounds, and what must not be shown. */
#include "table_bed.h"

#include <errno.h>

#include "common/schema/value.h"

static struct bf_arena arena;
static struct bf_err err;

static const struct bf_field *field(const char *name)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(bed_fields); i++)
		if (strcmp(bed_fields[i].name, name) == 0)
			return &bed_fields[i];
	fail_msg("no field %s", name);
	return NULL;
}

static int parse(const char *name, const char *text, enum bf_text_style style, void *slot)
{
	err.text[0] = '\0';
	return bf_value_parse(field(name), bf_slice_from(text), style, slot, &arena, &err);
}

static void booleans(void **state)
{
	bool on = false;

	(void)state;
	assert_int_equal(parse("on", "true", BF_TEXT_PLAIN, &on), 0);
	assert_true(on);
	assert_int_equal(parse("on", "FALSE", BF_TEXT_RESOLVED, &on), 0);
	assert_false(on);
	assert_int_equal(parse("on", "yes", BF_TEXT_PLAIN, &on), BF_E_TYPE);
	assert_string_equal(err.text, "must be true or false, not \"yes\"");
	assert_int_equal(parse("on", "true", BF_TEXT_QUOTED, &on), BF_E_TYPE);
	assert_string_equal(err.text, "must be true or false, not \"true\" in quotes");
}

static void numbers(void **state)
{
	int64_t level = 99, micro = 99;
	uint64_t count = 99;

	(void)state;
	assert_int_equal(parse("level", "-10", BF_TEXT_PLAIN, &level), 0);
	assert_int_equal(level, -10);
	assert_int_equal(parse("level", "11", BF_TEXT_PLAIN, &level), BF_E_RANGE);
	assert_string_equal(err.text, "must be from -10 to 10, not \"11\"");
	assert_int_equal(level, -10);
	assert_int_equal(parse("level", "5", BF_TEXT_QUOTED, &level), BF_E_TYPE);
	assert_int_equal(parse("level", "5", BF_TEXT_RESOLVED, &level), 0);
	assert_int_equal(parse("level", "1.5", BF_TEXT_PLAIN, &level), BF_E_TYPE);
	assert_int_equal(parse("level", "99999999999999999999", BF_TEXT_PLAIN, &level), BF_E_RANGE);
	assert_int_equal(parse("level", "", BF_TEXT_PLAIN, &level), BF_E_TYPE);
	assert_int_equal(parse("count", "18446744073709551615", BF_TEXT_PLAIN, &count), 0);
	assert_int_equal(count, UINT64_MAX);
	assert_int_equal(parse("count", "-1", BF_TEXT_PLAIN, &count), BF_E_RANGE);
	assert_int_equal(parse("weight", "0.25", BF_TEXT_PLAIN, &micro), 0);
	assert_int_equal(micro, 250000);
	assert_int_equal(parse("weight", "2.000001", BF_TEXT_PLAIN, &micro), BF_E_RANGE);
	assert_string_equal(err.text, "must be from 0 to 2, not \"2.000001\"");
	assert_int_equal(parse("weight", "heavy", BF_TEXT_PLAIN, &micro), BF_E_TYPE);
}

static void durations_and_sizes(void **state)
{
	int64_t ms = 0;
	uint64_t bytes = 0;

	(void)state;
	assert_int_equal(parse("wait_in_seconds", "30", BF_TEXT_PLAIN, &ms), 0);
	assert_int_equal(ms, 30000);
	assert_int_equal(parse("wait_in_seconds", "1m30s", BF_TEXT_QUOTED, &ms), 0);
	assert_int_equal(ms, 90000);
	assert_int_equal(parse("wait_in_seconds", "3601", BF_TEXT_PLAIN, &ms), BF_E_RANGE);
	assert_string_equal(err.text, "must be from 0s to 1h, not \"3601\"");
	assert_int_equal(parse("wait_in_seconds", "99999999999999999", BF_TEXT_PLAIN, &ms),
			 BF_E_RANGE);
	assert_int_equal(parse("wait_in_seconds", "soon", BF_TEXT_PLAIN, &ms), BF_E_TYPE);
	assert_int_equal(parse("wait_in_seconds", "-1s", BF_TEXT_PLAIN, &ms), BF_E_TYPE);
	/* Without a unit of its own a bare number would be a guess. */
	assert_int_equal(parse("size", "64", BF_TEXT_PLAIN, &bytes), BF_E_TYPE);
	assert_int_equal(parse("size", "64KB", BF_TEXT_PLAIN, &bytes), 0);
	assert_int_equal(bytes, 65536);
	assert_int_equal(parse("size", "2GB", BF_TEXT_PLAIN, &bytes), BF_E_RANGE);
	assert_int_equal(parse("size", "much", BF_TEXT_QUOTED, &bytes), BF_E_TYPE);
	assert_string_equal(err.text, "must be a size such as 64KB or 10MB, not \"much\"");
}

static void strings_and_choices(void **state)
{
	struct bf_slice text = {NULL, 0};
	int32_t colour = -1;

	(void)state;
	assert_int_equal(parse("title", "plain words", BF_TEXT_PLAIN, &text), 0);
	assert_string_equal(text.ptr, "plain words");
	assert_int_equal(parse("title", "10.0.0.1", BF_TEXT_PLAIN, &text), 0);
	assert_int_equal(parse("title", "12", BF_TEXT_PLAIN, &text), BF_E_TYPE);
	assert_string_equal(err.text, "must be a string, not a number: put it in quotes");
	assert_int_equal(parse("title", "1e3", BF_TEXT_PLAIN, &text), BF_E_TYPE);
	assert_int_equal(parse("title", "true", BF_TEXT_PLAIN, &text), BF_E_TYPE);
	assert_int_equal(parse("title", "12", BF_TEXT_QUOTED, &text), 0);
	assert_int_equal(parse("title", "12345678901234567", BF_TEXT_QUOTED, &text), BF_E_RANGE);
	struct bf_slice zero = {"a\0b", 3};
	assert_int_equal(bf_value_parse(field("title"), zero, BF_TEXT_QUOTED, &text, &arena, &err),
			 BF_E_SYNTAX);
	assert_int_equal(parse("colour", "blue", BF_TEXT_PLAIN, &colour), 0);
	assert_int_equal(colour, 2);
	assert_int_equal(parse("colour", "pink", BF_TEXT_PLAIN, &colour), BF_E_UNKNOWN);
	assert_string_equal(err.text, "must be one of red, green, blue, not \"pink\"");
	assert_int_equal(parse("raw", "x", BF_TEXT_PLAIN, &text), BF_E_STATE);
}

static void secrets_are_never_shown(void **state)
{
	static const char *const numeric[] = {"on",   "level",  "count", "wait_in_seconds",
					      "size", "weight", "colour"};
	char room[16];
	struct bf_slice text;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(numeric); i++) {
		assert_true(parse(numeric[i], "hunter2", BF_TEXT_RESOLVED, room) < 0);
		assert_null(strstr(err.text, "hunter2"));
	}
	static const char longest[] = "hunter2hunter2hunter2hunter2hunter2";
	assert_int_equal(parse("secret", longest, BF_TEXT_QUOTED, &text), BF_E_RANGE);
	assert_null(strstr(err.text, "hunter2"));
}

static void plain_kinds(void **state)
{
	(void)state;
	assert_string_equal(bf_plain_kind(BF_SLICE_LIT("")), "null");
	assert_string_equal(bf_plain_kind(BF_SLICE_LIT("~")), "null");
	assert_string_equal(bf_plain_kind(BF_SLICE_LIT("False")), "a boolean");
	assert_string_equal(bf_plain_kind(BF_SLICE_LIT("-1.5e+3")), "a number");
	assert_string_equal(bf_plain_kind(BF_SLICE_LIT(".inf")), "a number");
	assert_null(bf_plain_kind(BF_SLICE_LIT("1.2.3")));
	assert_null(bf_plain_kind(BF_SLICE_LIT("1e")));
	assert_null(bf_plain_kind(BF_SLICE_LIT("30s")));
	assert_null(bf_plain_kind(BF_SLICE_LIT("-")));
	assert_null(bf_plain_kind(BF_SLICE_LIT(".")));
	assert_null(bf_plain_kind(BF_SLICE_LIT("yes")));
}

static void out_of_memory_is_an_error(void **state)
{
	struct bf_arena none;
	struct bf_slice text = {NULL, 0};

	(void)state;
	bf_arena_init(&none, 0);
	assert_int_equal(
	    bf_value_parse(field("title"), BF_SLICE_LIT("abc"), BF_TEXT_QUOTED, &text, &none, &err),
	    -ENOMEM);
	assert_null(text.ptr);
	bf_arena_done(&none);
}

static void defaults_fill_everything(void **state)
{
	struct bed b;

	(void)state;
	memset(&b, 0x5a, sizeof(b));
	assert_int_equal(bf_table_defaults(&bed_table, &b, &arena), 0);
	assert_true(b.on);
	assert_int_equal(b.level, -2);
	assert_int_equal(b.count, 0);
	assert_int_equal(b.wait_ms, 1500);
	assert_int_equal(b.size_bytes, 65536);
	assert_int_equal(b.weight_micro, 500000);
	assert_string_equal(b.title.ptr, "none");
	assert_int_equal(b.secret.len, 0);
	assert_int_equal(b.colour, 1);
	assert_int_equal(b.tags.count, 2);
	assert_string_equal(((struct bf_slice *)b.tags.items)[1].ptr, "bc");
	assert_int_equal(b.inner.wait_ms, 7000);
	assert_null(b.items.items);
	struct bf_arena none;
	bf_arena_init(&none, 0);
	assert_int_equal(bf_table_defaults(&bed_table, &b, &none), -ENOMEM);
	bf_arena_done(&none);
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
	    cmocka_unit_test(booleans),
	    cmocka_unit_test(numbers),
	    cmocka_unit_test(durations_and_sizes),
	    cmocka_unit_test(strings_and_choices),
	    cmocka_unit_test(secrets_are_never_shown),
	    cmocka_unit_test(plain_kinds),
	    cmocka_unit_test(out_of_memory_is_an_error),
	    cmocka_unit_test(defaults_fill_everything),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
