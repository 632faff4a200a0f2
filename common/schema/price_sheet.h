/*
 * Price sheets: JSON maps of "provider/model" to prices, as Bifrost's datasheet and LiteLLM's price
 * map have them. Read by the helper that loads the configuration; proxyd gets what is left of them.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/schema/config.h"

#define BF_SHEET_MAX_BYTES (16u << 20)

/*
 * ret_sheet but for its file, in the arena. Members of an entry that are not read have no meaning
 * here; entries of models that are not paid for by tokens of text are skipped and counted. Numbers
 * finer than 1e-12 dollars are rounded; 0 beside a price of the same kind is one that nobody knew,
 * and one of sound or thoughts that repeats that of text is none of its own. A member "date" that
 * is a text is the date of the prices, "note" is for people. BF_E_* and err "LINE:COL: error: entry
 * ...: what" for whatever else.
 */
int bf_price_sheet_read(struct bf_slice bytes, struct bf_arena *arena,
			struct bf_conf_sheet *ret_sheet, struct bf_err *err);
