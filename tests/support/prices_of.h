/* A fetched price sheet in a snapshot, as writerd would put it there. */
#pragma once

#include <string.h>

#include "common/snapshot/prices.h"
#include "tests/support/snapshot_of.h"

static inline void prices_of_entry(uint32_t number, char name[16], struct bf_conf_sheet_price *e)
{
	(void)snprintf(name, 16, "p/m%u", number);
	*e = (struct bf_conf_sheet_price){
	    .key = bf_slice_from(name), .provider = {name, 1}, .mode = BF_PRICE_CHAT};
	memset(&e->price, 0xff, sizeof(e->price));
	e->price.token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN] = number;
	e->price.token_pusd[BF_PRICE_OUTPUT][BF_RATE_PLAIN] = number;
}

/* Models p/m0, p/m1, .. of `count`, each at its number, of the address ""; without the last `lost`
 * pieces. */
static inline struct bf_snapshot_blob *prices_of(uint64_t version, uint32_t count, uint32_t lost)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(false, version);
	struct bf_conf_sheet_price *items = calloc(count, sizeof(*items));
	char(*names)[16] = calloc(count, 16);
	struct bf_price_piece head = {
	    .id = BF_SLICE_LIT(BF_PRICE_HEAD), .models = count, .checked_ms = 1};
	struct bf_buf bytes;
	uint32_t taken = 0;

	for (uint32_t i = 0; i < count; i++)
		prices_of_entry(i, names[i], &items[i]);
	for (uint32_t done = 0; done < count; done += taken, head.pieces++) {
		struct bf_price_piece piece = {.models = 0};
		char id[16];

		bf_buf_init(&bytes, BF_PRICE_PIECE_BYTES);
		if (bf_price_pack(items + done, count - done, &bytes, &taken) < 0)
			abort();
		piece.id = bf_price_piece_id((uint32_t)head.pieces, id);
		piece.entries = bf_buf_slice(&bytes);
		if (done + taken < count || lost == 0)
			snapshot_of_add(b, BF_ENTITY_PRICING, &piece, version);
		bf_buf_done(&bytes);
	}
	snapshot_of_add(b, BF_ENTITY_PRICING, &head, version);
	free(names);
	free(items);
	return snapshot_of_end(b);
}
