/* Pieces of a price sheet: there and back, full ones, and bytes that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/schema/price_pack.h"

static struct bf_conf_sheet_price entry(const char *key, int64_t input)
{
	struct bf_conf_sheet_price e = {.key = bf_slice_from(key), .mode = BF_PRICE_CHAT};

	memset(&e.price, 0xff, sizeof(e.price));
	e.price.token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN] = input;
	return e;
}

static void same(const struct bf_conf_sheet_price *a, const struct bf_conf_sheet_price *b)
{
	assert_true(bf_slice_eq(a->key, b->key));
	assert_true(bf_slice_eq(a->provider, b->provider));
	assert_true(bf_slice_eq(a->base_model, b->base_model));
	assert_int_equal(a->mode, b->mode);
	assert_memory_equal(&a->price, &b->price, sizeof(a->price));
	assert_memory_equal(&a->facts, &b->facts, sizeof(a->facts));
}

/* Three that differ in what they have. */
static uint32_t make(struct bf_conf_sheet_price items[3])
{
	items[0] = entry("openai/m", 2500000);
	items[0].provider = BF_SLICE_LIT("openai");
	items[1] = entry("n", 0);
	items[1].mode = BF_PRICE_ANY_MODE;
	items[1].base_model = BF_SLICE_LIT("m");
	items[2] = entry("full", 1);
	for (uint16_t i = 0; i < bf_price_fields_table.field_count; i++) {
		const struct bf_field *f = &bf_price_fields_table.fields[i];

		*(int64_t *)(void *)((char *)&items[2].price + f->offset) = f->max;
	}
	items[0].facts.max_output_tokens = 16384;
	items[2].facts =
	    (struct bf_conf_model_facts){BF_MODEL_TOKENS_MAX, 1, BF_MODEL_TOKENS_MAX, UINT32_MAX};
	return 3;
}

static void pack(const struct bf_conf_sheet_price *items, uint32_t count, struct bf_buf *out)
{
	uint32_t taken = 0;

	bf_buf_init(out, 16u << 20);
	for (uint32_t done = 0; done < count; done += taken) {
		assert_int_equal(bf_price_pack(items + done, count - done, out, &taken), 0);
		assert_true(taken > 0);
	}
}

static int unpack(struct bf_slice piece, uint32_t room, struct bf_array *entries,
		  struct bf_arena *arena)
{
	struct bf_err err = {0};
	/* A block of its own: a byte too many is seen. */
	char *copy = malloc(piece.len + 1);
	int r;

	memcpy(copy, piece.ptr, piece.len);
	r = bf_price_unpack((struct bf_slice){copy, piece.len}, arena, room, entries, &err);
	assert_true((r < 0) == (err.text[0] != '\0'));
	free(copy);
	return r;
}

static void there_and_back(void **state BF_UNUSED)
{
	struct bf_conf_sheet_price items[3], back[4];
	uint32_t count = make(items), said;
	struct bf_array entries = {back, 0};
	struct bf_arena arena;
	struct bf_buf out;
	size_t len;

	bf_arena_init(&arena, 1 << 20);
	pack(items, count, &out);
	assert_true(bf_price_piece(bf_buf_slice(&out), &len, &said));
	assert_int_equal(len, bf_buf_len(&out));
	assert_int_equal(said, 3);
	assert_int_equal(unpack(bf_buf_slice(&out), 4, &entries, &arena), 0);
	assert_int_equal(entries.count, 3);
	for (uint32_t i = 0; i < count; i++)
		same(&items[i], &back[i]);
	/* A second one has no room behind it. */
	assert_int_equal(unpack(bf_buf_slice(&out), 4, &entries, &arena), BF_E_LIMIT);
	assert_int_equal(entries.count, 3);
	bf_buf_done(&out);
	bf_arena_done(&arena);
}

static void many_pieces(void **state BF_UNUSED)
{
	enum {
		N = BF_SHEET_ENTRIES_MAX
	};
	struct bf_conf_sheet_price *items = calloc(N, sizeof(*items));
	struct bf_conf_sheet_price *back = calloc(N, sizeof(*back));
	struct bf_array entries = {back, 0};
	static char names[N][257];
	struct bf_slice rest;
	struct bf_arena arena;
	struct bf_buf out;
	uint32_t pieces = 0;

	/* The longest that there are. */
	for (int i = 0; i < N; i++) {
		memset(names[i], 'x', 256);
		(void)snprintf(names[i], 256, "%d", i);
		names[i][strlen(names[i])] = '/';
		items[i].key = items[i].provider = items[i].base_model =
		    (struct bf_slice){names[i], 256};
		memset(&items[i].price, 0, sizeof(items[i].price));
		items[i].price.search_pusd = i;
		items[i].facts = (struct bf_conf_model_facts){1, 2, 3, 4};
	}
	bf_arena_init(&arena, 64 << 20);
	pack(items, N, &out);
	for (rest = bf_buf_slice(&out); rest.len; pieces++) {
		uint32_t count;
		size_t len;

		assert_true(bf_price_piece(rest, &len, &count));
		assert_true(len <= BF_PRICE_PIECE_BYTES);
		assert_int_equal(unpack((struct bf_slice){rest.ptr, len}, N, &entries, &arena), 0);
		rest = (struct bf_slice){rest.ptr + len, rest.len - len};
	}
	assert_int_equal(entries.count, N);
	assert_true(pieces <= BF_PRICE_PIECES_MAX);
	for (int i = 0; i < N; i++)
		same(&items[i], &back[i]);
	bf_buf_done(&out);
	bf_arena_done(&arena);
	free(back);
	free(items);
}

static void cut_and_changed_bytes(void **state BF_UNUSED)
{
	struct bf_conf_sheet_price items[3], back[3];
	uint32_t count = make(items);
	struct bf_arena arena;
	struct bf_buf out;

	bf_arena_init(&arena, 1 << 20);
	pack(items, count, &out);
	for (size_t len = 0; len < bf_buf_len(&out); len++) {
		struct bf_array entries = {back, 0};

		assert_true(
		    unpack((struct bf_slice){out.data + out.start, len}, 3, &entries, &arena) < 0);
		bf_arena_reset(&arena);
	}
	for (size_t i = 0; i < 8 * bf_buf_len(&out); i++) {
		struct bf_array entries = {back, 0};
		char *byte = out.data + out.start + i / 8;

		*byte ^= (char)(1 << i % 8);
		/* What is taken all the same is a price within its bounds. */
		if (unpack(bf_buf_slice(&out), 3, &entries, &arena) == 0)
			for (uint32_t e = 0; e < entries.count; e++)
				for (int r = 0; r < BF_RATES; r++)
					assert_in_range(
					    back[e].price.token_pusd[BF_PRICE_INPUT][r] + 1, 0,
					    1000000000001);
		*byte ^= (char)(1 << i % 8);
		bf_arena_reset(&arena);
	}
	bf_buf_done(&out);
	bf_arena_done(&arena);
}

static void of_another_build(void **state BF_UNUSED)
{
	struct bf_conf_sheet_price item = entry("m", 1), back[1];
	struct bf_array entries = {back, 0};
	struct bf_arena arena;
	struct bf_buf out;

	bf_arena_init(&arena, 1 << 20);
	pack(&item, 1, &out);
	out.data[out.start + 4]++;
	assert_int_equal(unpack(bf_buf_slice(&out), 1, &entries, &arena), BF_E_VERSION);
	bf_buf_done(&out);
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(many_pieces),
	    cmocka_unit_test(cut_and_changed_bytes),
	    cmocka_unit_test(of_another_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
