/*
 * Reads what a row and the relay need of an answer. Called with a whole plain answer and with those
 * events of a stream that may hold it. Must never fail an answer: what cannot be read is not there.
 */
#include "proxyd/provider/openai_said.h"

#include <string.h>

#include "common/base/macros.h"
#include "common/base/num.h"
#include "common/codec/json_tape.h"

/* ---- cheap looks */

static size_t skip_space(struct bf_slice s, size_t i)
{
	while (i < s.len &&
	       (s.ptr[i] == ' ' || s.ptr[i] == '\t' || s.ptr[i] == '\n' || s.ptr[i] == '\r'))
		i++;
	return i;
}

static bool holds(struct bf_slice s, struct bf_slice needle)
{
	return s.len >= needle.len && memmem(s.ptr, s.len, needle.ptr, needle.len) != NULL;
}

/* Is there a member of this name (with quotes) whose value begins with ch? */
static bool member_begins(struct bf_slice json, struct bf_slice key, char ch)
{
	while (json.len >= key.len) {
		const char *at = memmem(json.ptr, json.len, key.ptr, key.len);
		if (!at)
			return false;
		size_t i = skip_space(json, (size_t)(at - json.ptr) + key.len);
		if (i < json.len && json.ptr[i] == ':') {
			i = skip_space(json, i + 1);
			if (i < json.len && json.ptr[i] == ch)
				return true;
		}
		json = (struct bf_slice){json.ptr + i, json.len - i};
	}
	return false;
}

static bool begins_with_error(struct bf_slice json)
{
	size_t i = skip_space(json, 0);

	if (i == json.len || json.ptr[i] != '{')
		return false;
	i = skip_space(json, i + 1);
	return bf_slice_starts((struct bf_slice){json.ptr + i, json.len - i},
			       BF_SLICE_LIT("\"error\""));
}

/* The value of "type" where it stands first, as it does in practice; ptr NULL: elsewhere. */
static struct bf_slice first_type(struct bf_slice json)
{
	static const char begin[] = "{\"type\":";
	struct bf_slice none = {NULL, 0}, type;
	size_t i = sizeof(begin) - 1;

	if (!bf_slice_starts(json, BF_SLICE_LIT("{\"type\":")))
		return none;
	i = skip_space(json, i);
	if (i == json.len || json.ptr[i] != '"')
		return none;
	type.ptr = json.ptr + i + 1;
	const char *end = memchr(type.ptr, '"', json.len - i - 1);
	if (!end)
		return none;
	type.len = (size_t)(end - type.ptr);
	return memchr(type.ptr, '\\', type.len) ? none : type;
}

static enum openai_verdict verdict_of_type(struct bf_slice type)
{
	if (bf_slice_is(type, "response.completed") || bf_slice_is(type, "response.incomplete"))
		return OPENAI_COMPLETED;
	if (bf_slice_is(type, "response.failed"))
		return OPENAI_FAILED;
	return bf_slice_is(type, "error") ? OPENAI_ERROR : OPENAI_GOES_ON;
}

static bool responses_maybe(struct bf_slice json, bool first)
{
	struct bf_slice type = first_type(json);

	if (type.ptr && !first)
		return verdict_of_type(type) != OPENAI_GOES_ON;
	return holds(json, BF_SLICE_LIT("\"response.completed\"")) ||
	       holds(json, BF_SLICE_LIT("\"response.incomplete\"")) ||
	       holds(json, BF_SLICE_LIT("\"response.failed\"")) ||
	       holds(json, BF_SLICE_LIT("\"error\""));
}

bool openai_said_maybe(enum shm_usage_object object, struct bf_slice json, bool first)
{
	if (object == SHM_OBJECT_RESPONSES)
		return responses_maybe(json, first);
	return (first && holds(json, BF_SLICE_LIT("\"error\""))) || begins_with_error(json) ||
	       member_begins(json, BF_SLICE_LIT("\"finish_reason\""), '"') ||
	       member_begins(json, BF_SLICE_LIT("\"usage\""), '{');
}

bool openai_said_delta(struct bf_slice json)
{
	return holds(first_type(json), BF_SLICE_LIT(".delta"));
}

/* ---- reading */

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

static bool usage_number(const struct bf_json_tape *t, uint32_t object, const char *key,
			 uint64_t *ret_value)
{
	uint32_t i = object == BF_JSON_NONE ? BF_JSON_NONE : bf_json_member(t, object, key);
	int64_t value = 0;

	if (i == BF_JSON_NONE || bf_json_i64(t, i, &value) < 0 || value < 0 ||
	    value > (int64_t)OPENAI_TOKENS_MAX)
		return false;
	*ret_value = (uint64_t)value;
	return true;
}

static void read_usage(enum shm_usage_object object, const struct bf_json_tape *t, uint32_t root,
		       struct openai_said *said)
{
	bool responses = object == SHM_OBJECT_RESPONSES;
	uint32_t usage = bf_json_member(t, root, "usage");

	if (!is_type(t, usage, BF_JSON_OBJECT))
		return;
	said->usage = true;
	said->prompt_known = usage_number(t, usage, responses ? "input_tokens" : "prompt_tokens",
					  &said->prompt_tokens);
	said->completion_known = usage_number(
	    t, usage, responses ? "output_tokens" : "completion_tokens", &said->completion_tokens);
	if (object == SHM_OBJECT_EMBEDDING)
		said->completion_known = true; /* there are none */
	(void)usage_number(
	    t,
	    bf_json_member(t, usage, responses ? "input_tokens_details" : "prompt_tokens_details"),
	    "cached_tokens", &said->cached_tokens);
	if (said->cached_tokens > said->prompt_tokens)
		said->cached_tokens = said->prompt_tokens;
}

/* "finish_reason" of the last choice that has one. */
static void read_choices(const struct bf_json_tape *t, struct bf_arena *scratch,
			 struct openai_said *said)
{
	uint32_t choices = bf_json_member(t, 0, "choices");

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

/* An event of a stream: is it one that ends it? Returns the object that holds status and usage. */
static uint32_t read_event(enum shm_usage_object object, const struct bf_json_tape *t,
			   struct bf_arena *scratch, struct openai_said *said)
{
	uint32_t error = bf_json_member(t, 0, "error");
	uint32_t response = 0;

	if (object == SHM_OBJECT_RESPONSES) {
		said->verdict = verdict_of_type(member_text(t, 0, "type", scratch));
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

bool openai_said_read(enum shm_usage_object object, struct bf_slice json, bool whole,
		      struct bf_arena *scratch, struct openai_said *ret_said)
{
	static const struct bf_json_limits limits = {
	    .max_depth = 64, .max_tokens = 1000000, .reject_duplicate_keys = false};
	struct bf_json_tape t;
	uint32_t root = 0;

	*ret_said = (struct openai_said){0};
	bf_arena_reset(scratch);
	if (bf_json_parse(&t, json, scratch, &limits, NULL) < 0 ||
	    t.tokens[0].type != BF_JSON_OBJECT)
		return false;
	if (!whole)
		root = read_event(object, &t, scratch, ret_said);
	if (!is_type(&t, root, BF_JSON_OBJECT))
		return true;
	read_usage(object, &t, root, ret_said);
	if (object == SHM_OBJECT_RESPONSES)
		read_response(&t, root, scratch, ret_said);
	else
		read_choices(&t, scratch, ret_said);
	return true;
}
