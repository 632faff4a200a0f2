/*
 * The fetched price sheet in what is in force. Called by workers after a flip, by the reader to
 * know what it may ask for. Must never hand out half of a sheet.
 */
#include "common/snapshot/prices.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/macros.h"
#include "common/schema/config_owners.h"

#define HEAD_ARENA_BYTES (16u << 10)

static const struct bf_field piece_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_price_piece, id),
     .max = 16,
     .flags = BF_REQUIRED,
     .doc = "head, or the number of the piece."},
    {.name = "entries",
     .type = BF_T_BYTES,
     BF_FIELD(bf_price_piece, entries),
     .max = BF_PRICE_PIECE_BYTES,
     .doc = "Of a piece."},
    {.name = "url",
     .type = BF_T_STRING,
     BF_FIELD(bf_price_piece, url),
     .max = BF_PRICE_SHEET_URL_MAX,
     .doc = "Where it was fetched."},
    {.name = "etag",
     .type = BF_T_STRING,
     BF_FIELD(bf_price_piece, etag),
     .max = BF_PRICE_SHEET_ETAG_MAX,
     .doc = "What the server calls this state of it."},
    {.name = "date",
     .type = BF_T_STRING,
     BF_FIELD(bf_price_piece, date),
     .max = 64,
     .doc = "Of its prices, as it says."},
    {.name = "models",
     .type = BF_T_UINT,
     BF_FIELD(bf_price_piece, models),
     .max = BF_SHEET_ENTRIES_MAX,
     .doc = "In all pieces."},
    {.name = "skipped",
     .type = BF_T_UINT,
     BF_FIELD(bf_price_piece, skipped),
     .max = INT64_MAX,
     .doc = "Entries of models that are not paid for by tokens of text."},
    {.name = "pieces",
     .type = BF_T_UINT,
     BF_FIELD(bf_price_piece, pieces),
     .max = BF_PRICE_PIECES_MAX,
     .doc = "Beside the head."},
    {.name = "synced_ms",
     .type = BF_T_INT,
     BF_FIELD(bf_price_piece, synced_ms),
     .max = INT64_MAX,
     .doc = "When it came, milliseconds since 1970."},
    {.name = "checked_ms",
     .type = BF_T_INT,
     BF_FIELD(bf_price_piece, checked_ms),
     .max = INT64_MAX,
     .doc = "When the server last said that it is still so."},
};

const struct bf_table bf_price_piece_table = {
    .name = "price_sheet",
    .size = sizeof(struct bf_price_piece),
    BF_ROWS(piece_fields),
    .doc = "The price sheet that was fetched, in pieces.",
};

struct bf_slice bf_price_piece_id(uint32_t number, char out[16])
{
	int n = snprintf(out, 16, "%u", number);

	return (struct bf_slice){out, (size_t)n};
}

bool bf_snapshot_price_head(const struct bf_snapshot *s, struct bf_arena *arena,
			    struct bf_price_piece *ret_head)
{
	struct bf_entity e;

	return bf_snapshot_find(s, BF_ENTITY_PRICING, BF_SLICE_LIT(BF_PRICE_HEAD), &e) &&
	       bf_entity_decode(&e, ret_head, arena, NULL) == 0;
}

uint64_t bf_snapshot_price_mark(const struct bf_snapshot *s)
{
	struct bf_entity e;
	uint64_t mark = 0;
	char id[16];

	for (uint32_t i = 0; i < BF_PRICE_PIECES_MAX; i++) {
		if (!bf_snapshot_find(s, BF_ENTITY_PRICING, bf_price_piece_id(i, id), &e))
			break;
		mark = (mark ^ (e.version + 1)) * UINT64_C(0x9e3779b97f4a7c15);
		mark ^= mark >> 29;
	}
	return mark;
}

static int add_piece(const struct bf_snapshot *s, uint32_t number, struct bf_arena *scratch,
		     struct bf_arena *arena, uint32_t room, struct bf_array *entries,
		     struct bf_err *err)
{
	struct bf_price_piece piece;
	struct bf_entity e;
	char id[16];
	int r;

	if (!bf_snapshot_find(s, BF_ENTITY_PRICING, bf_price_piece_id(number, id), &e))
		return bf_err_set(err, BF_E_MISSING, "price sheet: piece %u is missing", number);
	r = bf_entity_decode(&e, &piece, scratch, err);
	return r < 0 ? r : bf_price_unpack(piece.entries, arena, room, entries, err);
}

static int add_pieces(const struct bf_snapshot *s, const struct bf_price_piece *head,
		      struct bf_arena *scratch, struct bf_arena *arena,
		      struct bf_array *ret_entries, struct bf_err *err)
{
	struct bf_array entries = {NULL, 0};
	uint32_t room = (uint32_t)head->models;
	int r = 0;

	entries.items = bf_arena_alloc(arena, room * sizeof(struct bf_conf_sheet_price));
	if (!entries.items)
		return bf_err_sys(err, -ENOMEM, "price sheet");
	for (uint32_t i = 0; i < head->pieces && r == 0; i++) {
		bf_arena_reset(scratch);
		r = add_piece(s, i, scratch, arena, room, &entries, err);
	}
	if (r == 0 && entries.count != room)
		r = bf_err_set(err, BF_E_MISSING, "price sheet: has %u of %u entries",
			       entries.count, room);
	if (r == 0)
		*ret_entries = entries;
	return r;
}

int bf_snapshot_prices(const struct bf_snapshot *s, struct bf_arena *arena,
		       struct bf_array *ret_entries, struct bf_err *err)
{
	struct bf_price_piece head;
	struct bf_arena scratch, texts;
	int r = 0;

	*ret_entries = (struct bf_array){NULL, 0};
	bf_arena_init(&texts, HEAD_ARENA_BYTES);
	bf_arena_init(&scratch, 2 * BF_PRICE_PIECE_BYTES);
	bf_arena_keep(&scratch, 2 * BF_PRICE_PIECE_BYTES);
	if (bf_snapshot_price_head(s, &texts, &head))
		r = add_pieces(s, &head, &scratch, arena, ret_entries, err);
	bf_arena_done(&scratch);
	bf_arena_done(&texts);
	return r;
}
