/*
 * Reads `usage`. Called with a whole plain answer and with those events of a stream that may hold
 * it. Must never fail an answer: numbers that cannot be read are not there.
 */
#include "proxyd/provider/openai_usage.h"

#include "common/codec/json_tape.h"

static bool is_space(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

static size_t skip_space(struct bf_slice s, size_t i)
{
	while (i < s.len && is_space(s.ptr[i]))
		i++;
	return i;
}

bool openai_usage_maybe(struct bf_slice json)
{
	static const char key[] = "\"usage\"";
	const size_t key_len = sizeof(key) - 1;

	while (json.len >= key_len) {
		const char *at = memmem(json.ptr, json.len, key, key_len);
		if (!at)
			return false;
		size_t i = skip_space(json, (size_t)(at - json.ptr) + key_len);
		if (i < json.len && json.ptr[i] == ':') {
			i = skip_space(json, i + 1);
			if (i < json.len && json.ptr[i] == '{')
				return true;
		}
		json = (struct bf_slice){json.ptr + i, json.len - i};
	}
	return false;
}

static uint64_t usage_number(const struct bf_json_tape *t, uint32_t object, const char *key)
{
	uint32_t i = object == BF_JSON_NONE ? BF_JSON_NONE : bf_json_member(t, object, key);
	int64_t value = 0;

	if (i == BF_JSON_NONE || bf_json_i64(t, i, &value) < 0 || value < 0)
		return 0;
	return (uint64_t)value;
}

bool openai_usage_read(struct bf_slice json, struct bf_arena *scratch,
		       struct openai_usage *ret_usage)
{
	static const struct bf_json_limits limits = {
	    .max_depth = 64, .max_tokens = 1000000, .reject_duplicate_keys = false};
	struct bf_json_tape t;
	uint32_t usage, choices;

	bf_arena_reset(scratch);
	if (bf_json_parse(&t, json, scratch, &limits, NULL) < 0)
		return false;
	usage = bf_json_member(&t, 0, "usage");
	if (usage == BF_JSON_NONE || t.tokens[usage].type != BF_JSON_OBJECT)
		return false;
	choices = bf_json_member(&t, 0, "choices");
	*ret_usage = (struct openai_usage){
	    .prompt_tokens = usage_number(&t, usage, "prompt_tokens"),
	    .completion_tokens = usage_number(&t, usage, "completion_tokens"),
	    .cached_tokens = usage_number(&t, bf_json_member(&t, usage, "prompt_tokens_details"),
					  "cached_tokens"),
	    .alone = choices == BF_JSON_NONE ||
		     (t.tokens[choices].type == BF_JSON_ARRAY && t.tokens[choices].count == 0),
	};
	return true;
}
