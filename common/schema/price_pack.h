/*
 * Entries of a price sheet as bytes, for the way from who fetched it to the workers: pieces that
 * can be read fast, because a worker reads all of them between two requests. In the byte order of
 * the machine.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/schema/config.h"

#define BF_PRICE_PIECE_BYTES (192u << 10) /* of one piece at most */
#define BF_PRICE_PIECES_MAX  64u          /* of a sheet: room for the longest entries */

/* Appends one piece with as many of the entries as it may hold. 0, or what bf_buf_append says. */
int bf_price_pack(const struct bf_conf_sheet_price *items, uint32_t count, struct bf_buf *out,
		  uint32_t *ret_taken);

/* How long the piece is that these bytes begin with, and how many entries it says it has. False:
 * there is no whole one. */
bool bf_price_piece(struct bf_slice bytes, size_t *ret_len, uint32_t *ret_count);

/*
 * Appends a piece's entries to io_entries (items with room for `room`). They refer to a copy of the
 * bytes in the arena. 0; -ENOMEM; BF_E_VERSION: of another build; BF_E_SYNTAX or BF_E_LIMIT: it is
 * none, or has more.
 */
int bf_price_unpack(struct bf_slice piece, struct bf_arena *arena, uint32_t room,
		    struct bf_array *io_entries, struct bf_err *err);
