/*
 * Any bytes as a price sheet. What is accepted survives the way to the workers unchanged, every
 * entry of it is found by its own names, no price of it is negative, and what a request costs is at
 * most what would be reserved for it. Every refusal says where and why.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/govern/price_book.h"
#include "common/schema/price_pack.h"
#include "common/schema/price_sheet.h"

#define ARENA_CAP (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_cost(const struct bf_conf_price *price, uint64_t prompt, uint64_t completion)
{
	struct bf_price_bound bound;

	bf_price_bound_of(price, &bound);
	for (int tier = 0; tier < BF_TIERS; tier++) {
		const struct bf_price_usage usage = {.prompt_tokens = prompt,
						     .completion_tokens = completion,
						     .cached_read = prompt / 3,
						     .cached_write = prompt / 2,
						     .cached_write_1hr = prompt / 5,
						     .audio_prompt = prompt / 7,
						     .audio_completion = completion / 3,
						     .reasoning = completion / 2,
						     .tier = (enum bf_service_tier)tier};
		int64_t nusd = bf_price_cost_nusd(price, &usage);

		require(nusd >= 0);
		require(nusd <= bf_price_bound_nusd(&bound, prompt, completion));
	}
}

static void check_entry(const struct bf_price_book *book, const struct bf_conf_sheet_price *e)
{
	struct bf_price_query query = {.model = e->key, .mode = (enum bf_price_mode)e->mode};
	struct bf_price_found found;

	require(e->key.len > 0 && e->mode >= 0 && e->mode < BF_PRICE_MODES);
	if (e->mode == BF_PRICE_ANY_MODE)
		query.mode = BF_PRICE_CHAT;
	(void)bf_price_find(book, &query, &found);
	/* By its key it, or one that stands before it. */
	require(found.base != NULL || e->base_model.len > 0);
	check_cost(&e->price, 1000, 100);
	check_cost(&e->price, 150000, 100);
	check_cost(&e->price, 300000, 300000);
}

static void check_sheet(struct bf_config *config, struct bf_arena *arena)
{
	const struct bf_conf_sheet_price *entries = config->pricing.sheet.entries.items;
	struct bf_config *other = bf_arena_alloc(arena, sizeof(*other));
	struct bf_price_book book;
	struct bf_buf bytes;

	require(bf_price_book_open(&book, config, arena) == 0);
	for (uint32_t i = 0; i < config->pricing.sheet.entries.count; i++)
		check_entry(&book, &entries[i]);
	bf_buf_init(&bytes, ARENA_CAP);
	require(other && bf_table_encode_mp(&bf_config_table, config, BF_FOR_PROXYD, &bytes) == 0);
	require(bf_table_decode_mp(&bf_config_table, other, bf_buf_slice(&bytes), arena, NULL) ==
		0);
	require(bf_table_equal(&bf_config_table, config, other, BF_FOR_PROXYD));
	bf_buf_done(&bytes);
}

/* In pieces, as a sheet that is fetched travels. */
static void check_pieces(const struct bf_conf_sheet *sheet, struct bf_arena *arena)
{
	const struct bf_conf_sheet_price *items = sheet->entries.items;
	uint32_t count = sheet->entries.count, taken = 0;
	struct bf_array back = {bf_arena_alloc(arena, count * sizeof(*items)), 0};
	const struct bf_conf_sheet_price *got = back.items;
	struct bf_buf bytes;

	bf_buf_init(&bytes, BF_PRICE_PIECE_BYTES);
	for (uint32_t done = 0; done < count; done += taken) {
		bf_buf_clear(&bytes);
		require(bf_price_pack(items + done, count - done, &bytes, &taken) == 0);
		require(bf_price_unpack(bf_buf_slice(&bytes), arena, count, &back, NULL) == 0);
	}
	bf_buf_done(&bytes);
	require(back.count == count);
	for (uint32_t i = 0; i < count; i++)
		require(bf_slice_eq(got[i].key, items[i].key) && got[i].mode == items[i].mode &&
			bf_slice_eq(got[i].provider, items[i].provider) &&
			bf_slice_eq(got[i].base_model, items[i].base_model) &&
			memcmp(&got[i].price, &items[i].price, sizeof(got[i].price)) == 0);
}

static void check_any_piece(struct bf_slice piece, struct bf_arena *arena)
{
	enum {
		ROOM = 64
	};
	struct bf_array back = {bf_arena_alloc(arena, ROOM * sizeof(struct bf_conf_sheet_price)),
				0};
	const struct bf_conf_sheet_price *got = back.items;

	if (bf_price_unpack(piece, arena, ROOM, &back, NULL) < 0)
		return;
	for (uint32_t i = 0; i < back.count; i++)
		check_cost(&got[i].price, 1000, 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bf_slice text = {(const char *)data, size};
	struct bf_arena arena;
	struct bf_config config;
	struct bf_err err = {.code = 0};

	bf_arena_init(&arena, ARENA_CAP);
	require(bf_table_defaults(&bf_config_table, &config, &arena) == 0);
	config.pricing.sheet.file = BF_SLICE_LIT("sheet");
	if (bf_price_sheet_read(text, &arena, &config.pricing.sheet, &err) == 0) {
		config.pricing.sheet.file = BF_SLICE_LIT("sheet");
		check_sheet(&config, &arena);
		check_pieces(&config.pricing.sheet, &arena);
	} else {
		require(strstr(err.text, ": error: ") != NULL);
	}
	check_any_piece(text, &arena);
	bf_arena_done(&arena);
	return 0;
}
