/* How much a call may take before anybody knows: what is reserved of its key's limits. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/usage.h"

#define ESTIMATE_UNKNOWN    4096u /* output tokens of a model that nothing is known of */
#define ESTIMATE_LEARNED    32u   /* answers after which a model's own lengths count */
#define ESTIMATE_TOKENS_MAX (UINT64_C(1) << 30)
#define ESTIMATE_CHOICES    1024u /* more answers to one question nobody gives */

/* How long the answers of a model get: bucket b counts those of up to 2^b tokens. */
struct estimate_lengths {
	uint32_t count;
	uint32_t bucket[22];
};

/* What the client says about its prompt and the length of its answer. */
struct estimate_asked {
	bool streams;        /* more can be reserved while the answer comes */
	bool bounded;        /* it gave a maximum: */
	uint64_t max_tokens; /* of one choice */
	uint32_t choices;    /* for each prompt; 0: it did not say, which is one */
	uint32_t prompts;    /* each has answers of its own; 0 is one */
	/* Tokens that it gave as numbers, and their bytes. */
	uint32_t listed_tokens, listed_bytes;
};

struct estimate {
	uint64_t prompt_tokens, output_tokens;
};

/* lengths may be NULL. */
struct estimate estimate_make(enum shm_usage_object object, uint64_t body_bytes,
			      const struct estimate_asked *asked,
			      const struct estimate_lengths *lengths);

/* An answer to a client that gave no maximum took so many tokens. */
void estimate_learn(struct estimate_lengths *lengths, const struct estimate_asked *asked,
		    uint64_t output_tokens);

/* What to reserve on top when a stream has seen output tokens of so many reserved; 0: enough is. A
 * client's maximum is believed until it is passed. */
uint64_t estimate_more(uint64_t seen, uint64_t reserved, bool bounded);
