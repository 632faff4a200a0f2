/*
 * The price sheet that was fetched, as entities: a head that tells where it is from, and pieces
 * (common/schema/price_pack.h) that hold its entries. They change together or not at all.
 */
#pragma once

#include "common/schema/price_pack.h"
#include "common/snapshot/snapshot.h"

#define BF_PRICE_HEAD "head" /* the id of the head; those of the pieces: "0", "1", .. */

/* What a BF_ENTITY_PRICING is; a piece has id and entries alone. */
struct bf_price_piece {
	struct bf_slice id;
	struct bf_slice entries;
	struct bf_slice url, etag, date;
	uint64_t models, skipped, pieces;
	int64_t synced_ms;  /* when it came, by the wall clock */
	int64_t checked_ms; /* when the server last said that it is still so */
};

extern const struct bf_table bf_price_piece_table;

/* The id of a piece, in out. */
struct bf_slice bf_price_piece_id(uint32_t number, char out[16]);

/* In the arena. False: nothing was fetched yet. */
bool bf_snapshot_price_head(const struct bf_snapshot *s, struct bf_arena *arena,
			    struct bf_price_piece *ret_head);

/* Changes when the entries did, and only then. 0: there are none. */
uint64_t bf_snapshot_price_mark(const struct bf_snapshot *s);

/* All entries (of struct bf_conf_sheet_price), in the arena: nothing refers to the snapshot. None
 * when nothing was fetched. -ENOMEM; BF_E_*: it is not whole, or of another build. */
int bf_snapshot_prices(const struct bf_snapshot *s, struct bf_arena *arena,
		       struct bf_array *ret_entries, struct bf_err *err);
