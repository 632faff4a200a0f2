/* What a request asks of the mock provider. */
#pragma once

#include <stdbool.h>

#include "proxyd/exchange.h"

/* Refers to the body and the exchange's arena. */
struct mock_asked {
	struct bf_slice echo; /* what the last user says */
	uint64_t prompt_tokens;
	/* Of a call for embeddings. */
	struct bf_slice *inputs;
	size_t input_count;
	uint64_t dimensions; /* 0: not said */
	bool base64;
};

/* Reads x->body as x->object, by way of the worker's tape_arena. False: no memory. */
bool mock_read(struct exchange *x, struct mock_asked *ret_asked) BF_MUST_CHECK;
