/* Names of models out of what a provider answers when it is asked for them. Pure. */
#pragma once

#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/slice.h"

struct listing_names {
	struct bf_slice *names; /* in the arena; each once, in the provider's order */
	uint32_t count;
	uint32_t left_out; /* entries that no request could name */
};

/*
 * {"data": [{"id": NAME, ..}, ..], ..}. The names may refer to text. scratch is for the reading: it
 * may be emptied afterwards. 0, or BF_E_SYNTAX (no such list), BF_E_LIMIT (more than
 * BF_MODEL_CATALOG_MAX entries, or more of a text than is read), -ENOMEM; err says what, for the
 * one who asked.
 */
int listing_read(struct listing_names *ret_list, struct bf_slice text, struct bf_arena *scratch,
		 struct bf_arena *arena, struct bf_err *err);
