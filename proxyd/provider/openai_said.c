/*
 * Reads what a row and the relay need of an answer. Called with a whole plain answer and with those
 * events of a stream that may hold it. Must never fail an answer: what cannot be read is not there.
 */
#include "proxyd/provider/openai_said.h"

#include <string.h>

#include "common/base/macros.h"
#include "common/base/num.h"
#include "common/codec/json_tape.h"
#include "proxyd/provider/openai_paid.h"

static bool is_type(const struct bf_json_tape *t, uint32_t i, enum bf_json_type type)
{
	return i != BF_JSON_NONE && t->tokens[i].type == type;
}

static struct bf_slice member_text(const struct bf_json_tape *t, uint32_t object, const char *key,
				   struct bf_arena *scratch)
{
	uint32_t i = object == BF_JSON_NONE ? BF_JSON_NONE : bf_json_member(t, object, key);
	struct bf_slice text = {NULL, 0};

	if (is_type(t, i, BF_JSON_STRING))
		(void)bf_json_string(t, i, scratch, &text);
	return text;
}

static bool usage_number(const struct bf_json_tape *t, uint32_t i, uint64_t *ret_value)
{
	int64_t value = 0;

	if (i == BF_JSON_NONE || bf_json_i64(t, i, &value) < 0 || value < 0 ||
	    value > (int64_t)OPENAI_TOKENS_MAX)
		return false;
	*ret_value = (uint64_t)value;
	return true;
}

/* The members of usage that tell tokens, as each API names them. */
enum usage_member {
	USAGE_PROMPT,
	USAGE_COMPLETION,
	USAGE_TOTAL,
	USAGE_DETAILS,
	USAGE_COUNT,
};

static const struct bf_slice usage_keys[] = {
    [USAGE_PROMPT] = BF_SLICE_INIT("prompt_tokens"),
    [USAGE_COMPLETION] = BF_SLICE_INIT("completion_tokens"),
    [USAGE_TOTAL] = BF_SLICE_INIT("total_tokens"),
    [USAGE_DETAILS] = BF_SLICE_INIT("prompt_tokens_details"),
};
static const struct bf_slice usage_keys_responses[] = {
    [USAGE_PROMPT] = BF_SLICE_INIT("input_tokens"),
    [USAGE_COMPLETION] = BF_SLICE_INIT("output_tokens"),
    [USAGE_TOTAL] = BF_SLICE_INIT("total_tokens"),
    [USAGE_DETAILS] = BF_SLICE_INIT("input_tokens_details"),
};

static void read_tokens(enum shm_usage_object object, const struct bf_json_tape *t, uint32_t usage,
			struct openai_said *said)
{
	uint32_t at[USAGE_COUNT];

	bf_json_find_all(t, usage,
			 object == SHM_OBJECT_RESPONSES ? usage_keys_responses : usage_keys,
			 USAGE_COUNT, at);
	said->usage = true;
	said->prompt_known = usage_number(t, at[USAGE_PROMPT], &said->prompt_tokens);
	said->completion_known = usage_number(t, at[USAGE_COMPLETION], &said->completion_tokens);
	(void)usage_number(t, at[USAGE_TOTAL], &said->total_tokens);
	if (object == SHM_OBJECT_EMBEDDING)
		said->completion_known = true; /* there are none */
	if (at[USAGE_DETAILS] != BF_JSON_NONE)
		(void)usage_number(t, bf_json_member(t, at[USAGE_DETAILS], "cached_tokens"),
				   &said->cached_tokens);
	openai_paid_read(t, usage, said);
	if (said->cached_tokens > said->prompt_tokens)
		said->cached_tokens = said->prompt_tokens;
}

/* What the object root says about its cost: usage, and the tier it was served at. */
static void read_usage(enum shm_usage_object object, const struct bf_json_tape *t, uint32_t root,
		       struct bf_arena *scratch, struct openai_said *said)
{
	static const struct bf_slice keys[] = {BF_SLICE_INIT("usage"),
					       BF_SLICE_INIT("service_tier")};
	uint32_t at[BF_ARRAY_LEN(keys)];

	bf_json_find_all(t, root, keys, BF_ARRAY_LEN(keys), at);
	if (!is_type(t, at[0], BF_JSON_OBJECT))
		return;
	read_tokens(object, t, at[0], said);
	if (is_type(t, at[1], BF_JSON_STRING))
		(void)bf_json_string(t, at[1], scratch, &said->service_tier);
}

/* "finish_reason" of the last choice that has one. */
static void read_choices(const struct bf_json_tape *t, uint32_t choices, struct bf_arena *scratch,
			 struct openai_said *said)
{
	said->alone = choices == BF_JSON_NONE ||
		      (t->tokens[choices].type == BF_JSON_ARRAY && t->tokens[choices].count == 0);
	if (!is_type(t, choices, BF_JSON_ARRAY))
		return;
	for (uint32_t i = bf_json_first(choices); i < t->tokens[choices].next;
	     i = t->tokens[i].next) {
		struct bf_slice reason = member_text(t, i, "finish_reason", scratch);
		if (reason.len)
			said->stop_reason = reason;
	}
}

static void read_response(const struct bf_json_tape *t, uint32_t root, struct bf_arena *scratch,
			  struct openai_said *said)
{
	struct bf_slice why =
	    member_text(t, bf_json_member(t, root, "incomplete_details"), "reason", scratch);

	said->stop_reason = why.len ? why : member_text(t, root, "status", scratch);
}

/* ---- errors */

/* What a code means as a status; 0: nothing. */
static int status_of_text(struct bf_slice code)
{
	uint64_t number = 0;

	if (bf_parse_u64(code, &number) == 0)
		return number >= 400 && number <= 599 ? (int)number : 0;
	if (bf_slice_starts(code, BF_SLICE_LIT("rate_limit")))
		return 429;
	if (bf_slice_is(code, "invalid_api_key"))
		return 401;
	return 0;
}

static int status_of(const struct bf_json_tape *t, uint32_t object, const char *key)
{
	uint32_t i = object == BF_JSON_NONE ? BF_JSON_NONE : bf_json_member(t, object, key);

	if (i == BF_JSON_NONE)
		return 0;
	if (t->tokens[i].type == BF_JSON_STRING)
		return status_of_text(
		    (struct bf_slice){t->text.ptr + t->tokens[i].start, t->tokens[i].len});
	return t->tokens[i].type == BF_JSON_NUMBER ? status_of_text(bf_json_raw(t, i)) : 0;
}

/* error: an object, or a text; its code may stand beside it. */
static void read_error(const struct bf_json_tape *t, uint32_t error, struct bf_arena *scratch,
		       struct openai_said *said)
{
	static const char *const keys[] = {"code", "status", "status_code", "type"};
	int status = 0;

	for (size_t i = 0; i < BF_ARRAY_LEN(keys) && !status; i++)
		status = status_of(t, error, keys[i]);
	if (!status && error != 0)
		status = status_of(t, 0, "status");
	said->verdict = OPENAI_ERROR;
	said->error_status = status ? status : 502;
	said->error_text = member_text(t, error, "message", scratch);
	if (is_type(t, error, BF_JSON_STRING))
		(void)bf_json_string(t, error, scratch, &said->error_text);
}

/* ---- a plain answer: is it one, and how much did the model write? */

static uint32_t member_of(const struct bf_json_tape *t, uint32_t object, const char *key)
{
	return object == BF_JSON_NONE ? BF_JSON_NONE : bf_json_member(t, object, key);
}

/* The list that makes an object an answer. */
static uint32_t answer_list(enum shm_usage_object object, const struct bf_json_tape *t)
{
	if (object == SHM_OBJECT_EMBEDDING)
		return bf_json_member(t, 0, "data");
	return bf_json_member(t, 0, object == SHM_OBJECT_RESPONSES ? "output" : "choices");
}

/* What would make it an answer and is missing; NULL: nothing. */
static const char *answer_missing(enum shm_usage_object object, const struct bf_json_tape *t,
				  uint32_t list, struct bf_arena *scratch)
{
	if (is_type(t, list, BF_JSON_ARRAY))
		return NULL;
	if (object == SHM_OBJECT_EMBEDDING)
		return "the provider's answer has no list \"data\"";
	if (object != SHM_OBJECT_RESPONSES)
		return "the provider's answer has no list \"choices\"";
	return bf_slice_is(member_text(t, 0, "object", scratch), "response")
		   ? NULL
		   : "the provider's answer has no list \"output\"";
}

static void judge_whole(enum shm_usage_object object, const struct bf_json_tape *t, uint32_t list,
			struct bf_arena *scratch, struct openai_said *said)
{
	said->problem = answer_missing(object, t, list, scratch);
	if (!said->problem)
		return;
	uint32_t error = bf_json_member(t, 0, "error");
	if (error != BF_JSON_NONE && t->tokens[error].type != BF_JSON_NULL)
		read_error(t, error, scratch, said);
	else if (bf_slice_is(member_text(t, 0, "object", scratch), "error"))
		read_error(t, 0, scratch, said);
}

static uint64_t text_bytes(const struct bf_json_tape *t, uint32_t object, const char *key,
			   struct bf_arena *scratch)
{
	uint32_t i = member_of(t, object, key);
	struct bf_slice text = {NULL, 0};

	if (!is_type(t, i, BF_JSON_STRING))
		return 0;
	/* Without memory to unescape it its own length must do. */
	return bf_json_string(t, i, scratch, &text) == 0 ? text.len : t->tokens[i].len;
}

/* A text, or a list of parts that have one. */
static uint64_t parts_bytes(const struct bf_json_tape *t, uint32_t object, const char *key,
			    struct bf_arena *scratch)
{
	uint32_t list = member_of(t, object, key);
	uint64_t bytes = text_bytes(t, object, key, scratch);

	if (!is_type(t, list, BF_JSON_ARRAY))
		return bytes;
	for (uint32_t i = bf_json_first(list); i < t->tokens[list].next; i = t->tokens[i].next)
		bytes += text_bytes(t, i, "text", scratch) + text_bytes(t, i, "refusal", scratch);
	return bytes;
}

static uint64_t choice_bytes(const struct bf_json_tape *t, uint32_t choice,
			     struct bf_arena *scratch)
{
	uint32_t message = member_of(t, choice, "message");
	uint32_t tools = member_of(t, message, "tool_calls");
	uint64_t bytes = text_bytes(t, choice, "text", scratch) +
			 parts_bytes(t, message, "content", scratch) +
			 text_bytes(t, message, "refusal", scratch) +
			 text_bytes(t, message, "reasoning_content", scratch);

	if (!is_type(t, tools, BF_JSON_ARRAY))
		return bytes;
	for (uint32_t i = bf_json_first(tools); i < t->tokens[tools].next; i = t->tokens[i].next)
		bytes += text_bytes(t, member_of(t, i, "function"), "arguments", scratch);
	return bytes;
}

/* What there is to estimate the tokens of an answer from. */
static uint64_t answer_bytes(enum shm_usage_object object, const struct bf_json_tape *t,
			     uint32_t list, struct bf_arena *scratch)
{
	bool responses = object == SHM_OBJECT_RESPONSES;
	uint64_t bytes = 0;

	if (object == SHM_OBJECT_EMBEDDING || !is_type(t, list, BF_JSON_ARRAY))
		return 0;
	for (uint32_t i = bf_json_first(list); i < t->tokens[list].next; i = t->tokens[i].next) {
		if (responses)
			bytes += parts_bytes(t, i, "content", scratch) +
				 parts_bytes(t, i, "summary", scratch) +
				 text_bytes(t, i, "arguments", scratch);
		else
			bytes += choice_bytes(t, i, scratch);
	}
	return bytes;
}

/* ---- an event, or an answer */

enum openai_verdict openai_verdict_of_type(struct bf_slice type)
{
	if (bf_slice_is(type, "response.completed") || bf_slice_is(type, "response.incomplete"))
		return OPENAI_COMPLETED;
	if (bf_slice_is(type, "response.failed"))
		return OPENAI_FAILED;
	return bf_slice_is(type, "error") ? OPENAI_ERROR : OPENAI_GOES_ON;
}

/* An event of a stream: is it one that ends it? Returns the object that holds status and usage. */
static uint32_t read_event(enum shm_usage_object object, const struct bf_json_tape *t,
			   struct bf_arena *scratch, struct openai_said *said)
{
	uint32_t error = bf_json_member(t, 0, "error");
	uint32_t response = 0;

	if (object == SHM_OBJECT_RESPONSES) {
		said->verdict = openai_verdict_of_type(member_text(t, 0, "type", scratch));
		response = bf_json_member(t, 0, "response");
		if (!is_type(t, response, BF_JSON_OBJECT))
			response = 0;
	}
	if (is_type(t, error, BF_JSON_OBJECT) || is_type(t, error, BF_JSON_STRING))
		read_error(t, error, scratch, said);
	else if (said->verdict == OPENAI_ERROR ||
		 bf_slice_is(member_text(t, 0, "object", scratch), "error"))
		read_error(t, 0, scratch, said);
	if (said->verdict == OPENAI_FAILED)
		said->error_text =
		    member_text(t, bf_json_member(t, response, "error"), "message", scratch);
	return response;
}

/* code: why it could not be read; 0: it is no object. */
static void note_problem(struct bf_slice json, int code, struct openai_said *said)
{
	if (json.len == 0)
		said->problem = "the provider's answer is empty";
	else if (code == BF_E_SYNTAX)
		said->problem = "the provider's answer is no complete JSON";
	else if (code == 0)
		said->problem = "the provider's answer is no JSON object";
	said->broken = said->problem && code < 0;
}

bool openai_said_read(enum shm_usage_object object, struct bf_slice json, bool whole,
		      struct bf_arena *scratch, struct openai_said *ret_said)
{
	static const struct bf_json_limits limits = {.max_depth = 64,
						     .max_tokens = 1000000,
						     .reject_duplicate_keys = false,
						     .lenient_text = true};
	struct bf_json_tape t;
	uint32_t root = 0;

	*ret_said = (struct openai_said){0};
	bf_arena_reset(scratch);
	int r = bf_json_parse(&t, json, scratch, &limits, NULL);
	if (r < 0 || t.tokens[0].type != BF_JSON_OBJECT) {
		note_problem(json, r, ret_said);
		return false;
	}
	uint32_t list = answer_list(object, &t);
	if (whole)
		judge_whole(object, &t, list, scratch, ret_said);
	else
		root = read_event(object, &t, scratch, ret_said);
	if (!is_type(&t, root, BF_JSON_OBJECT))
		return true;
	read_usage(object, &t, root, scratch, ret_said);
	if (object == SHM_OBJECT_RESPONSES)
		read_response(&t, root, scratch, ret_said);
	else
		read_choices(&t, object == SHM_OBJECT_EMBEDDING ? BF_JSON_NONE : list, scratch,
			     ret_said);
	if (whole && !ret_said->completion_known)
		ret_said->text_bytes = answer_bytes(object, &t, list, scratch);
	return true;
}
