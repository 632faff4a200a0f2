/*
 * Estimates of tokens. Called by limits.c for every request of a key with limits. Must never look
 * at a clock, a segment or a text: numbers only.
 */
#include "proxyd/gate/estimate.h"

#include "common/base/macros.h"

#define BYTES_PER_TOKEN 3u /* text has about 4, code and other scripts fewer */
#define PROMPT_FRAME    8u /* tokens that a provider adds */
#define LENGTHS_KEPT    8192u
#define EXTENSION_MIN   1024u

static uint64_t within(uint64_t tokens)
{
	return BF_MIN(tokens, ESTIMATE_TOKENS_MAX);
}

static uint64_t answers_of(const struct estimate_asked *asked)
{
	uint64_t choices = BF_MAX(BF_MIN(asked->choices, ESTIMATE_CHOICES), 1u);

	return within(choices * BF_MAX(asked->prompts, 1u));
}

/* The length that 99 of 100 answers stay within, as exactly as buckets tell. */
static uint64_t p99(const struct estimate_lengths *lengths)
{
	uint32_t beyond = lengths->count / 100, b = BF_ARRAY_LEN(lengths->bucket) - 1;

	for (uint32_t longer = 0; b > 0; b--) {
		longer += lengths->bucket[b];
		if (longer > beyond)
			break;
	}
	return UINT64_C(1) << b;
}

static uint64_t one_answer(const struct estimate_asked *asked,
			   const struct estimate_lengths *lengths)
{
	uint64_t learned;

	if (asked->bounded)
		return within(asked->max_tokens);
	if (!lengths || lengths->count < ESTIMATE_LEARNED)
		return ESTIMATE_UNKNOWN;
	learned = p99(lengths) * 3 / 2;
	/* Clients choose what is learned: a few short answers must not open the door to long ones
	 * that nothing can be reserved for any more. */
	return asked->streams ? learned : BF_MAX(learned, (uint64_t)ESTIMATE_UNKNOWN);
}

static uint64_t prompt_tokens(uint64_t body_bytes, const struct estimate_asked *asked)
{
	uint64_t bytes = within(body_bytes - BF_MIN(asked->listed_bytes, body_bytes));

	return within((bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN + PROMPT_FRAME +
		      asked->listed_tokens);
}

struct estimate estimate_make(enum shm_usage_object object, uint64_t body_bytes,
			      const struct estimate_asked *asked,
			      const struct estimate_lengths *lengths)
{
	struct estimate e = {.prompt_tokens = prompt_tokens(body_bytes, asked)};

	if (object != SHM_OBJECT_EMBEDDING)
		e.output_tokens = within(one_answer(asked, lengths) * answers_of(asked));
	return e;
}

void estimate_learn(struct estimate_lengths *lengths, const struct estimate_asked *asked,
		    uint64_t output_tokens)
{
	uint64_t each = output_tokens / answers_of(asked);
	uint32_t b = each > 1 ? 64u - (uint32_t)__builtin_clzll(each - 1) : 0;

	if (asked->bounded)
		return; /* it says how much was wanted, not how much the model writes */
	/* The newer half weighs as much as all before it. */
	if (lengths->count >= LENGTHS_KEPT) {
		lengths->count = 0;
		for (uint32_t i = 0; i < BF_ARRAY_LEN(lengths->bucket); i++)
			lengths->count += lengths->bucket[i] /= 2;
	}
	lengths->bucket[BF_MIN(b, BF_ARRAY_LEN(lengths->bucket) - 1)]++;
	lengths->count++;
}

uint64_t estimate_more(uint64_t seen, uint64_t reserved, bool bounded)
{
	seen = within(seen);
	if (bounded ? seen <= reserved : seen * 4 <= reserved * 3)
		return 0;
	/* So much that the next time is not now, however far it jumped. */
	return within(BF_MAX(BF_MAX(reserved, (uint64_t)EXTENSION_MIN), 2 * seen));
}
