/* The strict decoder and its writer: round trips, every cut, every wrong type, every bound. */
#include "table_bed.h"

#include <errno.h>

#include "common/codec/mp.h"

struct state {
	struct bf_arena arena;
	struct bf_buf bytes;
	struct bed in;
};

static int setup(void **ret)
{
	struct state *s = calloc(1, sizeof(*s));

	bf_arena_init(&s->arena, 1 << 20);
	bf_buf_init(&s->bytes, 1 << 20);
	bed_fill(&s->in, &s->arena);
	*ret = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	bf_buf_done(&s->bytes);
	bf_arena_done(&s->arena);
	free(s);
	return 0;
}

static void round_trip_keeps_everything(void **state)
{
	struct state *s = *state;
	struct bf_err err;
	struct bed out;

	assert_int_equal(bf_table_encode_mp(&bed_table, &s->in, 0, &s->bytes), 0);
	assert_int_equal(
	    bf_table_decode_mp(&bed_table, &out, bf_buf_slice(&s->bytes), &s->arena, &err), 0);
	assert_true(bf_table_equal(&bed_table, &s->in, &out, 0));
	assert_int_equal(out.count, UINT64_MAX);
	assert_int_equal(out.raw.len, 3);
	assert_memory_equal(out.raw.ptr, s->in.raw.ptr, 3);
	/* Decoded text is terminated and does not refer to the bytes. */
	assert_int_equal(strlen(out.title.ptr), out.title.len);
	assert_true(out.title.ptr < s->bytes.data ||
		    out.title.ptr >= s->bytes.data + s->bytes.size);
}

static size_t sparse(struct state *s, const struct bed *in)
{
	struct bed out;

	bf_buf_clear(&s->bytes);
	assert_int_equal(bf_table_encode_mp_sparse(&bed_table, in, &s->bytes), 0);
	assert_int_equal(
	    bf_table_decode_mp(&bed_table, &out, bf_buf_slice(&s->bytes), &s->arena, NULL), 0);
	assert_true(bf_table_equal(&bed_table, in, &out, 0));
	return bf_buf_len(&s->bytes);
}

/* What is empty goes without saying, unless it would be something else then. */
static void sparse_reads_the_same(void **state)
{
	struct state *s = *state;
	struct bed nothing = {.size_bytes = 1, .inner.wait_ms = 1};
	size_t most, least;

	most = sparse(s, &s->in);
	least = sparse(s, &nothing);
	assert_null(memmem(s->bytes.data, least, "count", 5));
	assert_null(memmem(s->bytes.data, least, "secret", 6));
	assert_null(memmem(s->bytes.data, least, "named", 5));
	/* Their defaults are others. */
	assert_non_null(memmem(s->bytes.data, least, "weight", 6));
	assert_non_null(memmem(s->bytes.data, least, "title", 5));
	assert_non_null(memmem(s->bytes.data, least, "colour", 6));
	assert_non_null(memmem(s->bytes.data, least, "tags", 4));
	assert_true(least < most);
	assert_int_equal(bf_table_defaults(&bed_table, &nothing, &s->arena), 0);
	(void)sparse(s, &nothing);
}

static void audience_sees_only_its_fields(void **state)
{
	struct state *s = *state;
	struct bed out;

	assert_int_equal(bf_table_encode_mp(&bed_table, &s->in, BF_FOR_WRITERD, &s->bytes), 0);
	assert_null(memmem(s->bytes.data, bf_buf_len(&s->bytes), "hunter3", 7));
	assert_non_null(memmem(s->bytes.data, bf_buf_len(&s->bytes), "hunter2", 7));
	bf_buf_clear(&s->bytes);
	struct bed plain = s->in;
	plain.items = plain.named = (struct bf_array){NULL, 0};
	assert_int_equal(bf_table_encode_mp(&bed_table, &plain, BF_FOR_WRITERD, &s->bytes), 0);
	assert_int_equal(
	    bf_table_decode_mp(&bed_table, &out, bf_buf_slice(&s->bytes), &s->arena, NULL), 0);
	assert_int_equal(out.inner.secret.len, 0);
	assert_int_equal(out.inner.wait_ms, 7000);
}

static void every_cut_is_refused(void **state)
{
	struct state *s = *state;
	struct bf_err err;
	struct bed out;

	assert_int_equal(bf_table_encode_mp(&bed_table, &s->in, 0, &s->bytes), 0);
	size_t len = bf_buf_len(&s->bytes);
	for (size_t cut = 0; cut < len; cut++) {
		/* Exact copies, so that a sanitizer sees a read past the end. */
		char *copy = malloc(cut ? cut : 1);

		memcpy(copy, s->bytes.data, cut);
		assert_true(bf_table_decode_mp(&bed_table, &out, (struct bf_slice){copy, cut},
					       &s->arena, &err) < 0);
		assert_int_not_equal(err.code, 0);
		assert_true(err.text[0] != '\0');
		free(copy);
		bf_arena_reset(&s->arena);
	}
}

static void left_over_bytes_are_refused(void **state)
{
	struct state *s = *state;
	struct bed out;

	assert_int_equal(bf_table_encode_mp(&bed_table, &s->in, 0, &s->bytes), 0);
	assert_int_equal(bf_buf_append(&s->bytes, "\xc0", 1), 0);
	assert_int_equal(
	    bf_table_decode_mp(&bed_table, &out, bf_buf_slice(&s->bytes), &s->arena, NULL),
	    BF_E_SYNTAX);
}

static void every_flipped_byte_is_survived(void **state)
{
	struct state *s = *state;
	struct bed out;

	assert_int_equal(bf_table_encode_mp(&bed_table, &s->in, 0, &s->bytes), 0);
	for (size_t i = 0; i < bf_buf_len(&s->bytes); i++) {
		char was = s->bytes.data[i];

		for (int v = 0; v < 256; v++) {
			s->bytes.data[i] = (char)v;
			(void)bf_table_decode_mp(&bed_table, &out, bf_buf_slice(&s->bytes),
						 &s->arena, NULL);
			bf_arena_reset(&s->arena);
		}
		s->bytes.data[i] = was;
	}
}

/* {name: value} with one member written by hand. */
static int decode_one(struct state *s, const char *name, const char *value, size_t len)
{
	struct bf_mp_writer w;
	struct bf_err err;
	struct bed out;

	bf_buf_clear(&s->bytes);
	bf_mp_writer_init(&w, &s->bytes);
	bf_mp_write_map(&w, 1);
	bf_mp_write_str(&w, bf_slice_from(name));
	assert_int_equal(bf_mp_writer_finish(&w), 0);
	assert_int_equal(bf_buf_append(&s->bytes, value, len), 0);
	int r = bf_table_decode_mp(&bed_table, &out, bf_buf_slice(&s->bytes), &s->arena, &err);
	if (r < 0)
		assert_non_null(strstr(err.text, name));
	return r;
}

#define ONE(name, bytes) decode_one(s, name, bytes, sizeof(bytes) - 1)

static void types_and_bounds(void **state)
{
	struct state *s = *state;

	assert_int_equal(ONE("on", "\xc3"), 0);
	assert_int_equal(ONE("on", "\x01"), BF_E_TYPE);
	assert_int_equal(ONE("on", "\xc0"), BF_E_TYPE);
	assert_int_equal(ONE("level", "\x0a"), 0);
	assert_int_equal(ONE("level", "\x0b"), BF_E_RANGE);
	assert_int_equal(ONE("level", "\xf6"), 0);
	assert_int_equal(ONE("level", "\xf5"), BF_E_RANGE);
	assert_int_equal(ONE("level", "\xa1x"), BF_E_TYPE);
	assert_true(ONE("level", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff") < 0);
	assert_int_equal(ONE("count", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), 0);
	assert_true(ONE("count", "\xff") < 0);
	assert_int_equal(ONE("size", "\x00"), BF_E_RANGE);
	assert_true(ONE("size", "\xcf\x80\x00\x00\x00\x00\x00\x00\x01") < 0);
	assert_int_equal(ONE("weight", "\xce\x00\x1e\x84\x81"), BF_E_RANGE);
	assert_int_equal(ONE("title", "\xb0"
				      "0123456789abcdef"),
			 0);
	assert_int_equal(ONE("title", "\xb1"
				      "0123456789abcdefg"),
			 BF_E_RANGE);
	assert_int_equal(ONE("title", "\xa3"
				      "a\0b"),
			 BF_E_SYNTAX);
	assert_int_equal(ONE("title", "\xc4\x01"
				      "a"),
			 BF_E_TYPE);
	assert_int_equal(ONE("raw", "\xc4\x04"
				    "a\0bc"),
			 0);
	assert_int_equal(ONE("raw", "\xc4\x05"
				    "abcde"),
			 BF_E_RANGE);
	assert_int_equal(ONE("raw", "\xa1"
				    "a"),
			 BF_E_TYPE);
	assert_int_equal(ONE("colour", "\xa3red"), 0);
	assert_int_equal(ONE("colour", "\xa3rad"), BF_E_UNKNOWN);
	assert_int_equal(ONE("colour", "\x00"), BF_E_TYPE);
	assert_int_equal(ONE("tags", "\x93\xa0\xa0\xa0"), 0);
	assert_int_equal(ONE("tags", "\x94\xa0\xa0\xa0\xa0"), BF_E_RANGE);
	assert_int_equal(ONE("tags", "\x91\x01"), BF_E_TYPE);
	assert_int_equal(ONE("tags", "\xa1x"), BF_E_TYPE);
	assert_int_equal(ONE("notes", "\x81\xa1n\xa1v"), 0);
	assert_int_equal(ONE("notes", "\x80"), 0);
	assert_int_equal(ONE("notes", "\x81\xa1n\x01"), BF_E_TYPE);
	assert_int_equal(ONE("notes", "\x81\x01\xa1v"), BF_E_TYPE);
	assert_int_equal(ONE("notes", "\x90"), BF_E_TYPE);
	assert_int_equal(ONE("notes", "\x82\xa1n\xa1v\xa1n\xa1w"), BF_E_DUPLICATE);
	assert_int_equal(ONE("notes", "\x84\xa1n\xa1v\xa1m\xa1v\xa1o\xa1v\xa1p\xa1v"), BF_E_RANGE);
	assert_true(ONE("notes", "\xdf\xff\xff\xff\xff") < 0);
	assert_int_equal(ONE("notes", "\x81\xa1n\xa3"
				      "a\0b"),
			 BF_E_SYNTAX);
	assert_int_equal(ONE("inner", "\x80"), 0);
	assert_int_equal(ONE("inner", "\x90"), BF_E_TYPE);
	assert_int_equal(ONE("tags", "\xdd\xff\xff\xff\xff"), BF_E_LIMIT);
}

static void lists_maps_and_required(void **state)
{
	struct state *s = *state;

	assert_int_equal(ONE("named", "\x91\x81\xa4name\xa1x"), 0);
	assert_int_equal(ONE("named", "\x92\x81\xa4name\xa1x\x81\xa4name\xa1x"), BF_E_DUPLICATE);
	struct bf_err err;
	struct bed out;
	static const char missing[] = "\x81\xa5items\x91\x80";
	assert_int_equal(bf_table_decode_mp(&bed_table, &out,
					    (struct bf_slice){missing, sizeof(missing) - 1},
					    &s->arena, &err),
			 BF_E_MISSING);
	assert_string_equal(err.text, "bed.items.name: a required value is missing");
	static const char twice[] = "\x82\xa2on\xc2\xa2on\xc2";
	assert_int_equal(bf_table_decode_mp(&bed_table, &out,
					    (struct bf_slice){twice, sizeof(twice) - 1}, &s->arena,
					    &err),
			 BF_E_DUPLICATE);
	static const char key_no_text[] = "\x81\x01\xc2";
	assert_int_equal(bf_table_decode_mp(&bed_table, &out,
					    (struct bf_slice){key_no_text, sizeof(key_no_text) - 1},
					    &s->arena, &err),
			 BF_E_TYPE);
}

static void unknown_names_are_skipped(void **state)
{
	struct state *s = *state;
	static const char bytes[] =
	    "\x82\xa3new\x92\x81\xa1x\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xc0\xa5level\x05";
	struct bed out;

	assert_int_equal(bf_table_decode_mp(&bed_table, &out,
					    (struct bf_slice){bytes, sizeof(bytes) - 1}, &s->arena,
					    NULL),
			 0);
	assert_int_equal(out.level, 5);
	assert_true(out.on);
}

static void memory_is_bounded(void **state)
{
	struct state *s = *state;
	struct bf_arena small;
	struct bed out;
	int failed = 0, done = 0;

	assert_int_equal(bf_table_encode_mp(&bed_table, &s->in, 0, &s->bytes), 0);
	for (size_t cap = 0; cap < 4096 && !done; cap += 16) {
		bf_arena_init(&small, cap);
		int r = bf_table_decode_mp(&bed_table, &out, bf_buf_slice(&s->bytes), &small, NULL);
		assert_true(r == 0 || r == -ENOMEM);
		failed += r < 0;
		done = r == 0;
		bf_arena_done(&small);
	}
	assert_true(done && failed > 3);
}

static void writer_refuses_what_it_cannot_name(void **state)
{
	struct state *s = *state;

	s->in.colour = 3;
	assert_int_equal(bf_table_encode_mp(&bed_table, &s->in, 0, &s->bytes), BF_E_RANGE);
	s->in.colour = -1;
	assert_int_equal(bf_table_encode_mp(&bed_table, &s->in, 0, &s->bytes), BF_E_RANGE);
	struct bf_buf tiny;
	s->in.colour = 0;
	bf_buf_init(&tiny, 10);
	assert_int_equal(bf_table_encode_mp(&bed_table, &s->in, 0, &tiny), BF_E_LIMIT);
	bf_buf_done(&tiny);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(round_trip_keeps_everything, setup, teardown),
	    cmocka_unit_test_setup_teardown(sparse_reads_the_same, setup, teardown),
	    cmocka_unit_test_setup_teardown(audience_sees_only_its_fields, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_cut_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(left_over_bytes_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_flipped_byte_is_survived, setup, teardown),
	    cmocka_unit_test_setup_teardown(types_and_bounds, setup, teardown),
	    cmocka_unit_test_setup_teardown(lists_maps_and_required, setup, teardown),
	    cmocka_unit_test_setup_teardown(unknown_names_are_skipped, setup, teardown),
	    cmocka_unit_test_setup_teardown(memory_is_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(writer_refuses_what_it_cannot_name, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
