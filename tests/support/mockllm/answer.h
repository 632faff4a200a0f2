/*
 * Renders what the script wants: a whole plain answer, or a stream event by event. Pure: bytes into
 * a buffer, and where in them the tokens are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "tests/support/mockllm/ask.h"
#include "tests/support/mockllm/script.h"

enum answer_step {
	ANSWER_PREAMBLE,
	ANSWER_WORDS,
	ANSWER_FINISH,
	ANSWER_USAGE,
	ANSWER_DONE,
	ANSWER_LATE_USAGE,
	ANSWER_LAST_CHUNK,
	ANSWER_OVER,
};

struct answer {
	struct script script;
	struct ask ask; /* refers to the request's body */
	int status;
	bool stream; /* events; false for anything but 200 */
	bool close;  /* the answer ends with its connection */
	bool chunked;
	uint64_t prompt_tokens, completion_tokens; /* as told */

	/* Plain: where its words are, counted from the answer's first byte. */
	uint64_t text_at, words;
	uint32_t word_width;

	/* Stream. */
	enum answer_step step;
	uint64_t next_word;
	uint64_t event_words;
	char *prefix, *suffix; /* around the words of an event: in the request's arena */
	size_t prefix_len, suffix_len;
	size_t size_len, bare_len; /* of the prefix' chunk size; of an event without its words */
};

/*
 * Decides: status by the bearer, by fail_first (failed: requests of this user so far) or by the
 * script. arena holds what must live as long as the answer. 0 or -ENOMEM.
 */
int answer_init(struct answer *a, const struct script *s, const struct ask *ask,
		struct bf_slice bearer, uint64_t asked_before, struct bf_arena *arena);

/* The whole answer. 0 or a negative code of the buffer. */
int answer_plain(struct answer *a, struct bf_buf *out);
/* An answer of the mock's own: 400, 404. */
int answer_refusal(struct bf_buf *out, int status, const char *text);

int answer_stream_head(struct answer *a, struct bf_buf *out);
/*
 * The next event, or the end of the framing (*ret_event false). *ret_words: how many it carries. 1:
 * a piece was written, 0: the stream is over, negative: the buffer's code.
 */
int answer_stream_next(struct answer *a, struct bf_buf *out, bool *ret_event, uint32_t *ret_words);
