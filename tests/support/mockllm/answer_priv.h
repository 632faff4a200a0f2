/* Between answer.c (plain answers, decisions) and answer_stream.c. */
#pragma once

#include "tests/support/mockllm/answer.h"

const char *answer_reason(int status);
/* `,"usage":{...}` as the script wants it, with its comma; nothing for usage=none. */
int answer_usage(const struct answer *a, struct bf_buf *out);
/* Templates of a stream's word events. 0 or -ENOMEM. */
int answer_stream_init(struct answer *a, struct bf_arena *arena);
