/* Words and message texts for the mock provider. Pure. */
#pragma once

#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/slice.h"
#include "common/codec/json_tape.h"

uint64_t mock_count_words(struct bf_slice s);

/* Takes one word from the front, with the blanks behind it (and before it, at the very start). */
struct bf_slice mock_next_word(struct bf_slice *left);

/* The text of a message: its string, or the text parts of its array joined; empty when there is
 * none. */
struct bf_slice mock_message_text(const struct bf_json_tape *t, uint32_t message,
				  struct bf_arena *arena);
