/* What an answer says about its cost beside its tokens. Pure. For openai_said.c. */
#pragma once

#include "common/codec/json_tape.h"
#include "proxyd/provider/openai_said.h"

/* Fills said->paid from a usage object. What cannot be true is not there. */
void openai_paid_read(const struct bf_json_tape *t, uint32_t usage, struct openai_said *said);
