/* Token numbers in an answer or in an event of a stream. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/slice.h"

struct openai_usage {
	uint64_t prompt_tokens, completion_tokens, cached_tokens;
	bool alone; /* beside it there are no choices: a chunk that only the asker should see */
};

/* Could there be numbers in it? Cheap, for every event of a stream: no is certain. */
bool openai_usage_maybe(struct bf_slice json);
/* False: none, or no JSON. scratch is reset. */
bool openai_usage_read(struct bf_slice json, struct bf_arena *scratch,
		       struct openai_usage *ret_usage);
