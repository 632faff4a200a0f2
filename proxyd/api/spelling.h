/* What Bifrost's clients write otherwise than entities have it: pure. */
#pragma once

#include "common/codec/json_tape.h"
#include "proxyd/api/operations.h"

#define SPELLING_EDITS_MAX 2u

/*
 * What must be done to a body, which is the object at the root of the tape, so that it says what
 * its client means; edits in order, without overlap. Returns how many.
 */
uint32_t spelling_edits(const struct api_operation *op, const struct bf_json_tape *tape,
			struct exchange_edit edits[SPELLING_EDITS_MAX]);
