/* What an answer says about its cost beside its tokens. Pure. For openai_said.c. */
#pragma once

#include "common/codec/json_tape.h"
#include "proxyd/provider/openai_said.h"

/*
 * Fills said->paid and service_tier from the object that holds them (root) and its usage, which may
 * be BF_JSON_NONE. What cannot be true is not there. Texts as in openai_said_read.
 */
void openai_paid_read(const struct bf_json_tape *t, uint32_t root, uint32_t usage,
		      struct bf_arena *scratch, struct openai_said *said);
