/*
 * Values of a JSON tape: strings unescaped, numbers, members. Called by whoever needs a value; the
 * reader itself only checks escapes. Never trusts an index to be of the right type.
 */
#include <errno.h>

#include "common/base/macros.h"
#include "common/base/num.h"
#include "common/codec/json_tape.h"
#include "common/codec/json_text_priv.h"
#include "common/codec/utf8.h"

/* The 4 hex digits at p, or -1. */
static int32_t hex4(const char *p, const char *end)
{
	int32_t value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0'
			    : (p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f'
				? (p[i] | 0x20) - 'a' + 10
				: -1;
		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* One half of a surrogate pair alone: no character, but six bytes that some writers leave behind.
 */
static size_t lone_half(uint32_t *ret_cp)
{
	*ret_cp = 0xfffd;
	return 6;
}

/* The character of the escape at p and its length in the text; 0 when it is not valid. */
static size_t read_escape(const char *p, const char *end, bool lone_passes, uint32_t *ret_cp)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";

	if (end - p < 2)
		return 0;
	if (p[1] != 'u') {
		const char *at = p[1] ? strchr(from, p[1]) : NULL;
		if (!at)
			return 0;
		*ret_cp = (unsigned char)to[at - from];
		return 2;
	}
	int32_t high = hex4(p + 2, end);
	if (high < 0)
		return 0;
	if (high >= 0xdc00 && high <= 0xdfff)
		return lone_passes ? lone_half(ret_cp) : 0;
	if (high < 0xd800 || high > 0xdfff) {
		*ret_cp = (uint32_t)high;
		return 6;
	}
	int32_t low = end - p < 12 || p[6] != '\\' || p[7] != 'u' ? -1 : hex4(p + 8, end);
	if (low < 0xdc00 || low > 0xdfff)
		return lone_passes ? lone_half(ret_cp) : 0;
	*ret_cp = 0x10000 + ((uint32_t)(high - 0xd800) << 10 | (uint32_t)(low - 0xdc00));
	return 12;
}

size_t bf_json_escape_length(const char *p, const char *end, bool lone_passes)
{
	uint32_t cp;

	return read_escape(p, end, lone_passes, &cp);
}

size_t bf_json_unescape(struct bf_slice raw, char *out)
{
	const char *p = raw.ptr, *end = raw.len ? raw.ptr + raw.len : raw.ptr;
	char *to = out;

	while (p < end) {
		const char *slash = memchr(p, '\\', (size_t)(end - p));
		size_t plain = (size_t)((slash ? slash : end) - p);
		memcpy(to, p, plain);
		to += plain;
		p += plain;
		if (!slash)
			break;
		uint32_t cp = 0;
		size_t n = read_escape(p, end, true, &cp);
		char utf8[4];
		size_t len = bf_utf8_encode(cp, utf8);
		memcpy(to, utf8, len);
		to += len;
		p += n ? n : 1;
	}
	return (size_t)(to - out);
}

bool bf_json_unescaped_is(struct bf_slice raw, struct bf_slice text)
{
	const char *p = raw.ptr, *end = raw.len ? raw.ptr + raw.len : raw.ptr;
	size_t at = 0;

	/* An escape has at most 6 bytes for each byte it means, a plain byte has one. */
	if (raw.len < text.len || raw.len / 6 > text.len)
		return false;
	while (p < end) {
		uint32_t cp = 0;
		char utf8[4] = {*p};
		size_t n = *p == '\\' ? read_escape(p, end, true, &cp) : 1;
		size_t len = *p == '\\' ? bf_utf8_encode(cp, utf8) : 1;
		if (len > text.len - at || memcmp(text.ptr + at, utf8, len) != 0)
			return false;
		at += len;
		p += n ? n : 1;
	}
	return at == text.len;
}

static struct bf_slice token_text(const struct bf_json_tape *t, const struct bf_json_token *token)
{
	return (struct bf_slice){t->text.ptr + token->start, token->len};
}

uint32_t bf_json_find(const struct bf_json_tape *t, uint32_t obj, struct bf_slice key)
{
	const struct bf_json_token *tokens = t->tokens, *found = NULL;
	char first = key.len ? *key.ptr : '"'; /* behind an empty key stands its quote */

	if (obj >= t->count || tokens[obj].type != BF_JSON_OBJECT)
		return BF_JSON_NONE;
	const struct bf_json_token *end = tokens + tokens[obj].next;
	for (const struct bf_json_token *k = tokens + bf_json_first(obj); k < end;
	     k = tokens + k[1].next) {
		const char *text = t->text.ptr + k->start;
		if (BF_UNLIKELY(k->escaped)) {
			if (bf_json_unescaped_is(token_text(t, k), key))
				found = k;
		} else if (k->len == key.len && *text == first &&
			   memcmp(text, key.ptr, key.len) == 0) {
			found = k;
		}
	}
	return found ? (uint32_t)(found - tokens) + 1 : BF_JSON_NONE;
}

/* A bit for each length; those of longer keys share them. */
static inline uint64_t length_bit(size_t len)
{
	return UINT64_C(1) << (len & 63);
}

/* The keys that have this text: all of them, as one may be asked for twice. */
static inline void note_key(struct bf_slice text, uint32_t value, const struct bf_slice *keys,
			    uint32_t count, uint32_t *values)
{
	for (uint32_t i = 0; i < count; i++)
		if (keys[i].len == text.len && memcmp(keys[i].ptr, text.ptr, text.len) == 0)
			values[i] = value;
}

static void note_escaped_key(struct bf_slice raw, uint32_t value, const struct bf_slice *keys,
			     uint32_t count, uint32_t *values)
{
	for (uint32_t i = 0; i < count; i++)
		if (bf_json_unescaped_is(raw, keys[i]))
			values[i] = value;
}

void bf_json_find_all(const struct bf_json_tape *t, uint32_t obj, const struct bf_slice *keys,
		      uint32_t count, uint32_t *ret_values)
{
	const struct bf_json_token *tokens = t->tokens;
	uint64_t lengths = 0;

	for (uint32_t i = 0; i < count; i++) {
		ret_values[i] = BF_JSON_NONE;
		lengths |= length_bit(keys[i].len);
	}
	if (obj >= t->count || tokens[obj].type != BF_JSON_OBJECT)
		return;
	const struct bf_json_token *end = tokens + tokens[obj].next;
	for (const struct bf_json_token *k = tokens + bf_json_first(obj); k < end;
	     k = tokens + k[1].next) {
		uint32_t value = (uint32_t)(k - tokens) + 1;
		if (BF_UNLIKELY(k->escaped))
			note_escaped_key(token_text(t, k), value, keys, count, ret_values);
		else if (lengths & length_bit(k->len))
			note_key(token_text(t, k), value, keys, count, ret_values);
	}
}

struct bf_slice bf_json_raw(const struct bf_json_tape *t, uint32_t index)
{
	if (index >= t->count)
		return (struct bf_slice){NULL, 0};
	struct bf_slice text = token_text(t, &t->tokens[index]);
	if (t->tokens[index].type == BF_JSON_STRING) {
		text.ptr--;
		text.len += 2;
	}
	return text;
}

int bf_json_string(const struct bf_json_tape *t, uint32_t index, struct bf_arena *arena,
		   struct bf_slice *ret_text)
{
	if (index >= t->count || t->tokens[index].type != BF_JSON_STRING)
		return BF_E_TYPE;
	struct bf_slice raw = token_text(t, &t->tokens[index]);
	if (!t->tokens[index].escaped) {
		*ret_text = raw;
		return 0;
	}
	char *out = bf_arena_alloc(arena, (size_t)raw.len + 1);
	if (!out)
		return -ENOMEM;
	*ret_text = (struct bf_slice){out, bf_json_unescape(raw, out)};
	return 0;
}

int bf_json_i64(const struct bf_json_tape *t, uint32_t index, int64_t *ret_value)
{
	if (index >= t->count || t->tokens[index].type != BF_JSON_NUMBER)
		return BF_E_TYPE;
	/* The reader accepted it as a number: what is no integer has a fraction or an exponent. */
	int r = bf_parse_i64(token_text(t, &t->tokens[index]), ret_value);
	return r == BF_E_SYNTAX ? BF_E_TYPE : r;
}

int bf_json_bool(const struct bf_json_tape *t, uint32_t index, bool *ret_value)
{
	if (index >= t->count)
		return BF_E_TYPE;
	uint8_t type = t->tokens[index].type;
	if (type != BF_JSON_TRUE && type != BF_JSON_FALSE)
		return BF_E_TYPE;
	*ret_value = type == BF_JSON_TRUE;
	return 0;
}

void bf_json_position(struct bf_slice text, size_t offset, uint32_t *ret_line, uint32_t *ret_col)
{
	uint32_t line = 1;
	size_t line_start = 0;

	for (size_t i = 0; i < offset && i < text.len; i++)
		if (text.ptr[i] == '\n') {
			line++;
			line_start = i + 1;
		}
	*ret_line = line;
	*ret_col = (uint32_t)(offset - line_start + 1);
}
