/*
 * The one member that each object must have. Called once the body is on the tape. Must never be
 * stricter than it takes to name a mistake that every provider would refuse.
 */
#include "proxyd/gate/infer_content.h"

#include "proxyd/gate/route.h"

static int content_message(const struct bf_json_tape *t, uint32_t m, uint32_t index,
			   struct infer_error *e)
{
	uint32_t role;

	if (t->tokens[m].type != BF_JSON_OBJECT)
		return infer_invalid(e, "messages[%u] must be an object", index);
	role = bf_json_member(t, m, "role");
	if (role == BF_JSON_NONE || t->tokens[role].type != BF_JSON_STRING)
		return infer_invalid(e, "messages[%u].role is required", index);
	return 0;
}

static int content_messages(const struct infer_body *b, struct infer_error *e)
{
	const struct bf_json_tape *t = &b->tape;
	uint32_t list = b->at[INFER_MESSAGES], index = 0;

	if (list == BF_JSON_NONE || t->tokens[list].type != BF_JSON_ARRAY ||
	    t->tokens[list].count == 0)
		return infer_invalid(e, "messages is required: an array with at least one message");
	for (uint32_t m = bf_json_first(list); m < t->tokens[list].next; m = t->tokens[m].next) {
		if (content_message(t, m, index++, e) < 0)
			return -1;
	}
	return 0;
}

static bool is_text_or_list(const struct infer_body *b, enum infer_member member)
{
	uint32_t i = b->at[member];

	return i != BF_JSON_NONE && (b->tape.tokens[i].type == BF_JSON_STRING ||
				     b->tape.tokens[i].type == BF_JSON_ARRAY);
}

static int content_prompt(const struct infer_body *b, struct infer_error *e)
{
	if (is_text_or_list(b, INFER_PROMPT))
		return 0;
	return infer_invalid(e, "prompt is required: a string or an array");
}

static bool is_token_list(const struct bf_json_tape *t, uint32_t list)
{
	uint32_t end = t->tokens[list].next;

	for (uint32_t i = bf_json_first(list); i < end; i = t->tokens[i].next) {
		if (t->tokens[i].type != BF_JSON_NUMBER)
			return false;
	}
	return t->tokens[list].count > 0;
}

/* Strings and token arrays, one or many. */
static int content_embedding(const struct infer_body *b, struct infer_error *e)
{
	const struct bf_json_tape *t = &b->tape;
	uint32_t input = b->at[INFER_INPUT], index = 0;

	if (!is_text_or_list(b, INFER_INPUT))
		return infer_invalid(
		    e, "input is required: a string, an array of strings, or arrays of tokens");
	if (t->tokens[input].type == BF_JSON_STRING ? t->tokens[input].len == 0
						    : t->tokens[input].count == 0)
		return infer_invalid(e, "input must not be empty");
	if (t->tokens[input].type == BF_JSON_STRING || is_token_list(t, input))
		return 0;
	for (uint32_t i = bf_json_first(input); i < t->tokens[input].next; i = t->tokens[i].next) {
		if (t->tokens[i].type != BF_JSON_STRING &&
		    (t->tokens[i].type != BF_JSON_ARRAY || !is_token_list(t, i)))
			return infer_invalid(e, "input[%u] must be a string or an array of tokens",
					     index);
		index++;
	}
	return 0;
}

static int content_responses(const struct infer_body *b, struct infer_error *e)
{
	if (is_text_or_list(b, INFER_INPUT))
		return 0;
	if (!infer_member_given(b, INFER_INPUT) &&
	    (infer_member_given(b, INFER_PROMPT) || infer_member_given(b, INFER_PREVIOUS_RESPONSE)))
		return 0;
	return infer_invalid(e, "input is required: a string or an array (or give prompt or "
				"previous_response_id)");
}

int infer_content(const struct exchange *x, const struct infer_body *b, struct infer_error *e)
{
	static int (*const content_of[])(const struct infer_body *b, struct infer_error *e) = {
	    [SHM_OBJECT_CHAT] = content_messages,
	    [SHM_OBJECT_COMPLETION] = content_prompt,
	    [SHM_OBJECT_EMBEDDING] = content_embedding,
	    [SHM_OBJECT_RESPONSES] = content_responses,
	};

	return content_of[x->route->object](b, e);
}
