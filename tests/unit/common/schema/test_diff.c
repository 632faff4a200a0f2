/* Equality and names of differing fields, by audience and reload class. */
#include "table_bed.h"

#include "common/schema/load.h"

static struct bf_arena arena;
static struct bf_buf names;

static int diff(const struct bed *a, const struct bed *b, uint16_t audience, enum bf_reload reload)
{
	bf_buf_clear(&names);
	int n = bf_table_diff(&bed_table, a, b, audience, reload, &names);
	assert_int_equal(bf_buf_append(&names, "", 1), 0);
	return n;
}

static const char *text(void)
{
	return names.data + names.start;
}

static void every_type_makes_a_difference(void **state)
{
	struct bed a, b;
	static struct bf_slice tags[2] = {{"x", 1}, {"y", 1}};
	static struct bf_conf_pair notes[2] = {{{"n1", 2}, {"hunter4", 7}}, {{"n2", 2}, {"!", 1}}};

	(void)state;
	bed_fill(&a, &arena);
	bed_fill(&b, &arena);
	assert_true(bf_table_equal(&bed_table, &a, &b, 0));
	assert_int_equal(diff(&a, &b, 0, BF_RELOAD_ROLL), 0);
	b.on = true;
	b.level = 9;
	b.count = 1;
	b.wait_ms = 1;
	b.size_bytes = 1;
	b.weight_micro = 1;
	b.title = BF_SLICE_LIT("t");
	b.secret = BF_SLICE_LIT("s");
	b.raw = BF_SLICE_LIT("r");
	b.colour = 0;
	b.tags = (struct bf_array){tags, 2};
	b.notes = (struct bf_array){notes, 2};
	assert_false(bf_table_equal(&bed_table, &a, &b, 0));
	assert_int_equal(diff(&a, &b, 0, BF_RELOAD_ROLL), 12);
	assert_string_equal(
	    text(),
	    "on, level, count, wait_in_seconds, size, weight, title, secret, raw, colour, tags, "
	    "notes");
}

static void audience_and_class_select(void **state)
{
	struct bed a, b;

	(void)state;
	bed_fill(&a, &arena);
	bed_fill(&b, &arena);
	b.inner.secret = BF_SLICE_LIT("other");
	b.inner.wait_ms = 5;
	assert_int_equal(diff(&a, &b, 0, BF_RELOAD_START), 1);
	assert_string_equal(text(), "inner.wait");
	assert_int_equal(diff(&a, &b, 0, BF_RELOAD_ROLL), 1);
	assert_string_equal(text(), "inner.secret");
	assert_int_equal(diff(&a, &b, BF_FOR_WRITERD, BF_RELOAD_ROLL), 0);
	assert_int_equal(diff(&a, &b, BF_FOR_CLUSTERD, BF_RELOAD_START), 0);
	b.inner.wait_ms = a.inner.wait_ms;
	assert_true(bf_table_equal(&bed_table, &a, &b, BF_FOR_WRITERD));
	assert_false(bf_table_equal(&bed_table, &a, &b, BF_FOR_PROXYD));
}

static void lists_and_maps(void **state)
{
	static struct bed_item items[3] = {{{"one", 3}, -5}, {{"two", 3}, 4}, {{"three", 5}, 0}};
	struct bed a, b;

	(void)state;
	bed_fill(&a, &arena);
	bed_fill(&b, &arena);
	b.items = (struct bf_array){items, 2};
	b.named = (struct bf_array){items, 2};
	assert_int_equal(diff(&a, &b, 0, BF_RELOAD_LIVE), 2);
	assert_string_equal(text(), "items[1].rank, named.two.rank");
	b.items.count = b.named.count = 3;
	assert_int_equal(diff(&a, &b, 0, BF_RELOAD_LIVE), 1);
	assert_string_equal(text(), "named");
	assert_int_equal(diff(&a, &b, 0, BF_RELOAD_ROLL), 1);
	assert_string_equal(text(), "items");
	assert_false(bf_table_equal(&bed_table, &a, &b, 0));
}

static void bundle_travels(void **state)
{
	struct bf_bundle in = {.ok = true,
			       .diagnostics = BF_SLICE_LIT("x:1:1: warning: y\n"),
			       .for_proxyd = BF_SLICE_LIT("\x80")},
			 out;
	struct bf_buf bytes;
	struct bf_err err;

	(void)state;
	bf_buf_init(&bytes, 1 << 20);
	assert_int_equal(bf_table_encode_mp(&bf_bundle_table, &in, 0, &bytes), 0);
	assert_int_equal(
	    bf_table_decode_mp(&bf_bundle_table, &out, bf_buf_slice(&bytes), &arena, &err), 0);
	assert_true(bf_table_equal(&bf_bundle_table, &in, &out, 0));
	/* ok must be said. */
	assert_int_equal(
	    bf_table_decode_mp(&bf_bundle_table, &out, BF_SLICE_LIT("\x80"), &arena, &err),
	    BF_E_MISSING);
	bf_buf_done(&bytes);
}

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 1 << 20);
	bf_buf_init(&names, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_buf_done(&names);
	bf_arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_type_makes_a_difference),
	    cmocka_unit_test(audience_and_class_select),
	    cmocka_unit_test(lists_and_maps),
	    cmocka_unit_test(bundle_travels),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
