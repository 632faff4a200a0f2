/* What an answer's body said: events, words, usage, and whether a stream came to its end. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

#define SEEN_TEXT_MAX (512u << 20)

struct seen {
	struct bf_buf text; /* a line that is not whole; a plain body */
	bool stream;
	bool keeps;  /* a plain body is kept, for its usage and words */
	bool verify; /* words are mockllm's, numbered, with this hash */
	uint32_t hash;
	uint64_t events; /* data of a stream, its terminal event included */
	uint64_t tokens; /* words that were verified; else pieces of text */
	bool terminal, error, garbled, has_usage;
	uint64_t prompt_tokens, completion_tokens;
};

void seen_init(struct seen *s);
void seen_done(struct seen *s);
/* For the next answer. */
void seen_start(struct seen *s, bool keeps, bool verify, uint32_t hash);
/* 0 or a negative code of the buffer. */
int seen_feed(struct seen *s, struct bf_slice bytes);
/* The body is over: reads a plain one. */
void seen_end(struct seen *s);
