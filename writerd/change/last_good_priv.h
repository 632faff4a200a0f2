/*
 * The format of snapshot.last: magic, 32 hex digits that name the copy, then pieces: a length of 32
 * bits and so many sealed bytes. Piece 0 holds the sizes of base and overlay, 64 bits each; the
 * others, one after the other, their bytes.
 */
#pragma once

#include "writerd/change/last_good.h"

#define LAST_GOOD_MAGIC     "bifrost-snapshot-1\n"
#define LAST_GOOD_MAGIC_LEN (sizeof(LAST_GOOD_MAGIC) - 1)
#define LAST_GOOD_PIECE     (1u << 20)
#define LAST_GOOD_PLACE     80

/* What a piece is sealed for. */
struct bf_slice last_good_place(const char *id, uint32_t piece, char out[LAST_GOOD_PLACE]);
