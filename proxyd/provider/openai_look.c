/*
 * Cheap looks at the events of a stream, most of which need not be read. Called for every event.
 * Must never say that there is nothing to read where there is, nor read over the end of a text.
 */
#include "proxyd/provider/openai_said.h"

#include <string.h>

#include "common/base/macros.h"

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

static bool responses_maybe(struct bf_slice json, bool first)
{
	struct bf_slice type = first_type(json);

	if (type.ptr && !first)
		return openai_verdict_of_type(type) != OPENAI_GOES_ON;
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

/* What stands behind the next of these keys (with quotes); ptr NULL: there is none. */
static struct bf_slice value_behind(struct bf_slice json, struct bf_slice key)
{
	const char *at = memmem(json.ptr, json.len, key.ptr, key.len);
	size_t i;

	if (!at)
		return (struct bf_slice){NULL, 0};
	i = skip_space(json, (size_t)(at - json.ptr) + key.len);
	if (i < json.len && json.ptr[i] == ':')
		i = skip_space(json, i + 1);
	return (struct bf_slice){json.ptr + i, json.len - i};
}

/* The end of a string whose first quote is at i; json.len when it has none. */
static size_t skip_string(struct bf_slice json, size_t i)
{
	for (i++; i < json.len && json.ptr[i] != '"'; i++)
		i += json.ptr[i] == '\\';
	return BF_MIN(i + 1, json.len);
}

/* Has the object that this begins with a member that is a piece of text, or calls a tool? */
static bool delta_speaks(struct bf_slice json)
{
	size_t i = skip_space(json, 0);

	if (i == json.len || json.ptr[i] != '{')
		return false;
	i = skip_space(json, i + 1);
	while (i < json.len && json.ptr[i] == '"') {
		size_t key = i + 1, end = skip_string(json, i);
		if (end == json.len)
			return false;
		bool role = bf_slice_is((struct bf_slice){json.ptr + key, end - 1 - key}, "role");
		i = skip_space(json, end);
		i = i < json.len && json.ptr[i] == ':' ? skip_space(json, i + 1) : i;
		if (i < json.len && json.ptr[i] == '"') {
			end = skip_string(json, i);
			if (!role && end - i > 2)
				return true;
			i = skip_space(json, end);
		} else if (bf_slice_starts((struct bf_slice){json.ptr + i, json.len - i},
					   BF_SLICE_LIT("null"))) {
			i = skip_space(json, i + 4);
		} else {
			return true;
		}
		if (i == json.len || json.ptr[i] != ',')
			return false;
		i = skip_space(json, i + 1);
	}
	return false;
}

static bool text_speaks(struct bf_slice value)
{
	return value.len > 1 && value.ptr[0] == '"' && value.ptr[1] != '"';
}

bool openai_said_delta(enum shm_usage_object object, struct bf_slice json)
{
	struct bf_slice key = BF_SLICE_LIT("\"delta\"");
	struct bf_slice rest = json;

	if (object == SHM_OBJECT_RESPONSES)
		return holds(first_type(json), BF_SLICE_LIT(".delta"));
	if (object != SHM_OBJECT_CHAT)
		return text_speaks(value_behind(json, BF_SLICE_LIT("\"text\"")));
	while ((rest = value_behind(rest, key)).ptr) {
		if (delta_speaks(rest))
			return true;
	}
	return false;
}
