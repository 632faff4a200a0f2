/* The members of a body that the gate reads, found in one walk over it. */
#pragma once

#include "common/codec/json_tape.h"

enum infer_member {
	INFER_MODEL,
	INFER_FALLBACKS,
	INFER_MESSAGES,
	INFER_PROMPT,
	INFER_INPUT,
	INFER_PREVIOUS_RESPONSE,
	INFER_BACKGROUND,
	INFER_STREAM,
	INFER_STREAM_OPTIONS,
	INFER_SERVICE_TIER,
	INFER_MAX_COMPLETION_TOKENS,
	INFER_MAX_TOKENS,
	INFER_MAX_OUTPUT_TOKENS,
	INFER_N,
	INFER_BEST_OF,
	INFER_MEMBERS,
};

/* A body on the tape; its root is an object. */
struct infer_body {
	struct bf_json_tape tape;
	uint32_t at[INFER_MEMBERS]; /* their values, or BF_JSON_NONE */
};

/* Fills body->at from body->tape. */
void infer_members_find(struct infer_body *body);
/* What a member is called; a literal. */
const char *infer_member_name(enum infer_member member);

/* Neither absent nor null. */
static inline bool infer_member_given(const struct infer_body *b, enum infer_member member)
{
	return b->at[member] != BF_JSON_NONE && b->tape.tokens[b->at[member]].type != BF_JSON_NULL;
}
