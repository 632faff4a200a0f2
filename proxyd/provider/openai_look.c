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

/* What stands behind the last quote of the string whose first one is at i; 0: it has none. */
static size_t skip_string(struct bf_slice json, size_t i)
{
	const char *at = json.ptr + i + 1, *end = json.ptr + json.len;

	while (at < end && (at = memchr(at, '"', (size_t)(end - at))) != NULL) {
		const char *slashes = at;
		while (slashes[-1] == '\\')
			slashes--;
		if ((at++ - slashes) % 2 == 0)
			return (size_t)(at - json.ptr);
	}
	return 0;
}

/* The string that this begins with, as it is written; ptr NULL: it begins with none. */
static struct bf_slice string_at(struct bf_slice json)
{
	size_t end = json.len && json.ptr[0] == '"' ? skip_string(json, 0) : 0;

	return end ? (struct bf_slice){json.ptr + 1, end - 2} : (struct bf_slice){NULL, 0};
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
	type = string_at((struct bf_slice){json.ptr + i, json.len - i});
	return type.ptr && memchr(type.ptr, '\\', type.len) ? none : type;
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

/* ---- how much of the answer an event carries */

/* Most events carry one token, whatever its length; longer pieces are told by their bytes. */
static uint64_t piece_tokens(uint64_t bytes)
{
	if (bytes <= OPENAI_TOKEN_BYTES_MAX)
		return 1;
	return (bytes + OPENAI_BYTES_PER_TOKEN - 1) / OPENAI_BYTES_PER_TOKEN;
}

static bool is_text_key(struct bf_slice key)
{
	static const struct bf_slice keys[] = {
	    BF_SLICE_INIT("content"),
	    BF_SLICE_INIT("arguments"),
	    BF_SLICE_INIT("refusal"),
	    BF_SLICE_INIT("reasoning"),
	    BF_SLICE_INIT("text"),
	    BF_SLICE_INIT("thinking"),
	    BF_SLICE_INIT("input"),
	    BF_SLICE_INIT("transcript"),
	    BF_SLICE_INIT("reasoning_content"),
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(keys); i++) {
		if (bf_slice_eq(key, keys[i]))
			return true;
	}
	return false;
}

/* A delta while it is read. */
struct delta {
	unsigned depth;
	bool frame;  /* within a member that is no piece, or tells another one again */
	bool text;   /* the value of this key is written by the model */
	bool speaks; /* there is a piece of the answer, of whatever kind */
	uint64_t bytes;
};

static void delta_key(struct delta *d, struct bf_slice key)
{
	if (d->depth == 1)
		d->frame = bf_slice_is(key, "role") || bf_slice_is(key, "reasoning_details");
	d->text = !d->frame && is_text_key(key);
}

static void delta_value(struct delta *d, uint64_t bytes)
{
	d->speaks = d->speaks || (bytes && !d->frame);
	d->bytes += d->text ? bytes : 0;
}

/* A string at i, a key or a value. Returns what stands behind; 0: it is cut. */
static size_t delta_string(struct delta *d, struct bf_slice json, size_t i)
{
	size_t end = skip_string(json, i);

	if (!end)
		return 0;
	size_t next = skip_space(json, end);
	if (next < json.len && json.ptr[next] == ':')
		delta_key(d, (struct bf_slice){json.ptr + i + 1, end - i - 2});
	else
		delta_value(d, end - i - 2);
	return end;
}

/* Tokens of the object that *rest begins with, if it is one; moves behind it. */
static uint64_t delta_tokens(struct bf_slice *rest)
{
	struct bf_slice json = *rest;
	struct delta d = {0};
	size_t i = 0;

	if (json.len == 0 || json.ptr[0] != '{')
		return 0;
	do {
		switch (json.ptr[i]) {
		case '"':
			i = delta_string(&d, json, i);
			if (i == 0)
				return 0;
			continue;
		case '{':
			d.speaks = d.speaks || (d.depth && !d.frame);
			d.depth++;
			break;
		case '[':
			d.depth++;
			break;
		case '}':
		case ']':
			d.depth--;
			break;
		default:
			break;
		}
		i++;
	} while (i < json.len && d.depth);
	*rest = (struct bf_slice){json.ptr + i, json.len - i};
	return d.speaks && !d.depth ? piece_tokens(d.bytes) : 0;
}

static uint64_t text_tokens(struct bf_slice json)
{
	uint64_t tokens = 0;

	while ((json = value_behind(json, BF_SLICE_LIT("\"text\""))).ptr) {
		struct bf_slice text = string_at(json);
		tokens += text.len ? piece_tokens(text.len) : 0;
	}
	return tokens;
}

/* Some servers sort the members, and "type" comes last. */
static uint64_t response_tokens(struct bf_slice json)
{
	struct bf_slice type = first_type(json);

	if (!type.ptr)
		type = string_at(value_behind(json, BF_SLICE_LIT("\"type\"")));
	if (!holds(type, BF_SLICE_LIT(".delta")))
		return 0;
	return piece_tokens(string_at(value_behind(json, BF_SLICE_LIT("\"delta\""))).len);
}

uint64_t openai_said_tokens(enum shm_usage_object object, struct bf_slice json)
{
	uint64_t tokens = 0;

	if (object == SHM_OBJECT_RESPONSES)
		return response_tokens(json);
	if (object != SHM_OBJECT_CHAT)
		return text_tokens(json);
	while ((json = value_behind(json, BF_SLICE_LIT("\"delta\""))).ptr)
		tokens += delta_tokens(&json);
	return tokens;
}
