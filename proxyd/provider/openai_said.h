/* What an answer, or an event of a stream, says beside its content: tokens, why it stopped, errors;
 * whether it is an answer at all. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/slice.h"
#include "common/govern/price.h"
#include "shm/usage.h"

#define OPENAI_TOKENS_MAX 1000000000u /* a larger number is no count of tokens */
/* Where the provider tells no numbers: about this many bytes of text (or JSON) are a token. */
#define OPENAI_BYTES_PER_TOKEN 4u
#define OPENAI_TOKEN_BYTES_MAX 16u /* a piece of a stream that is no longer is one token */

enum openai_verdict {
	OPENAI_GOES_ON,
	OPENAI_COMPLETED, /* a responses stream's last event */
	OPENAI_FAILED,    /* the same, of an answer that failed */
	OPENAI_ERROR,     /* an error object instead of content */
};

struct openai_said {
	bool usage;                          /* there is an object of that name */
	bool prompt_known, completion_known; /* numbers that can be true */
	uint64_t prompt_tokens, completion_tokens, cached_tokens;
	uint64_t total_tokens;        /* as the provider adds them up; 0: it does not */
	struct bf_price_usage paid;   /* what else it says about its cost; no tokens, no tier */
	struct bf_slice service_tier; /* that it was served at; empty: it does not say */
	bool alone; /* usage without choices: a chunk that only the asker should see */
	struct bf_slice stop_reason; /* finish_reason, or status of a response; empty: none */
	enum openai_verdict verdict;
	int error_status; /* ERROR: what its code says, else 502 */
	struct bf_slice error_text;
	/* Of a plain answer: */
	const char
	    *problem; /* why it cannot be one: a literal; NULL: nothing is known against it */
	bool broken;  /* problem: it ends too early, or is no JSON */
	uint64_t text_bytes; /* of what the model wrote; 0 when completion_known */
};

/*
 * Is there anything to read in it? Cheap, for every event of a stream: no is certain where keys are
 * written without escapes. first: the first event, which may be an error of any shape.
 */
bool openai_said_maybe(enum shm_usage_object object, struct bf_slice json, bool first);
/*
 * About how many tokens of the answer an event carries; 0: only its frame. Cheap: each choice with
 * a piece of text counts one, or what the bytes of a long one say.
 */
uint64_t openai_said_tokens(enum shm_usage_object object, struct bf_slice json);
/* What the type of a responses stream's event means. */
enum openai_verdict openai_verdict_of_type(struct bf_slice type);
/*
 * Reads one event of a stream, or (whole) a plain answer. False: no JSON object, or one that is too
 * large to be read. Texts lie in json or in scratch, which is reset. Numbers that cannot be read
 * are not there.
 */
bool openai_said_read(enum shm_usage_object object, struct bf_slice json, bool whole,
		      struct bf_arena *scratch, struct openai_said *ret_said);
