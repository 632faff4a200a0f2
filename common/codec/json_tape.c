/*
 * JSON reader: one pass over the text, one token per value. Called on every request body, so the
 * time goes into the scan of strings (scan_priv.h). Never recurses, never copies text, and never
 * reads past the end.
 */
#include "common/codec/json_tape.h"

#include <errno.h>

#include "common/base/macros.h"
#include "common/codec/json_keys_priv.h"
#include "common/codec/json_text_priv.h"
#include "common/codec/scan_priv.h"
#include "common/codec/utf8.h"

#define FIRST_TOKENS 64u
/* Objects up to here are checked for duplicate keys at once, pair by pair; larger ones after the
 * pass, by hash. */
#define PAIRWISE_MAX 8u

const struct bf_json_limits bf_json_default_limits = {
    .max_depth = 64,
    .max_tokens = 1000000,
    .reject_duplicate_keys = true,
};

enum expect {
	EXPECT_VALUE,
	EXPECT_KEY,
	EXPECT_MORE, /* a comma, a closing bracket, or the end */
};

struct parser {
	const char *p, *end;
	struct bf_json_token *tokens;
	uint32_t count, room;
	uint32_t open; /* innermost open container; its token's next is its parent meanwhile */
	uint32_t depth;
	enum expect expect;
	bool hash_keys; /* some object must be checked after the pass */
	const struct bf_json_limits *limits;
	struct bf_slice text;
	struct bf_arena *arena;
	struct bf_err *err;
};

static int fail_at(struct parser *ps, const char *at, int code, const char *what)
{
	uint32_t line, col;

	bf_json_position(ps->text, (size_t)(at - ps->text.ptr), &line, &col);
	return bf_err_set(ps->err, code, "%u:%u: %s", line, col, what);
}

/* A byte that cannot stand here, or the end. */
static int unexpected(struct parser *ps, const char *wanted)
{
	uint32_t line, col;
	unsigned char c = ps->p < ps->end ? (unsigned char)*ps->p : 0;

	bf_json_position(ps->text, (size_t)(ps->p - ps->text.ptr), &line, &col);
	if (ps->p == ps->end)
		return bf_err_set(ps->err, BF_E_SYNTAX, "%u:%u: the text ends where %s should be",
				  line, col, wanted);
	if (c > 0x20 && c < 0x7f)
		return bf_err_set(ps->err, BF_E_SYNTAX, "%u:%u: '%c' where %s should be", line, col,
				  c, wanted);
	return bf_err_set(ps->err, BF_E_SYNTAX, "%u:%u: byte 0x%02x where %s should be", line, col,
			  c, wanted);
}

static int grow(struct parser *ps)
{
	uint32_t room = ps->room ? ps->room * 2 : FIRST_TOKENS;

	if (ps->room >= ps->limits->max_tokens)
		return fail_at(ps, ps->p, BF_E_LIMIT, "too many values");
	room = BF_MIN(room, ps->limits->max_tokens);
	void *tokens = bf_arena_resize(ps->arena, ps->tokens, ps->room * sizeof(*ps->tokens),
				       room * sizeof(*ps->tokens));
	if (!tokens)
		return fail_at(ps, ps->p, -ENOMEM, "no memory for so many values");
	ps->tokens = tokens;
	ps->room = room;
	return 0;
}

static inline uint32_t offset_of(const struct parser *ps, const char *at)
{
	return (uint32_t)(at - ps->text.ptr);
}

/* Adds a token of known extent. */
static inline int push(struct parser *ps, enum bf_json_type type, const char *start, size_t len,
		       bool escaped)
{
	if (BF_UNLIKELY(ps->count == ps->room)) {
		int r = grow(ps);
		if (r < 0)
			return r;
	}
	struct bf_json_token *token = &ps->tokens[ps->count];
	token->start = offset_of(ps, start);
	token->len = (uint32_t)len;
	token->next = ps->count + 1;
	token->count = 0;
	token->type = (uint8_t)type;
	token->escaped = escaped;
	ps->count++;
	return 0;
}

static inline void skip_space(struct parser *ps)
{
	const char *p = ps->p;

	while (p < ps->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	ps->p = p;
}

/* What bf_scan_plain stopped at inside a string, when it is not the closing quote. */
static int string_special(struct parser *ps, const char **at)
{
	const char *p = *at;

	if (p == ps->end)
		return fail_at(ps, p, BF_E_SYNTAX, "the text ends inside a string");
	if (*p != '\\')
		return fail_at(ps, p, BF_E_SYNTAX,
			       "a control character in a string must be escaped");
	size_t n = bf_json_escape_length(p, ps->end);
	if (n == 0)
		return fail_at(ps, p, BF_E_SYNTAX, "not a valid escape");
	*at = p + n;
	return 0;
}

/* p is at the opening quote. */
static int read_string(struct parser *ps)
{
	const char *start = ps->p + 1;
	unsigned high = 0;
	const char *p = bf_scan_plain(start, ps->end, &high);
	bool escaped = false;

	while (p == ps->end || *p != '"') {
		/* The two escapes that prose is full of, without a call. */
		if (ps->end - p >= 2 && p[0] == '\\' && (p[1] == 'n' || p[1] == '"')) {
			p += 2;
		} else {
			int r = string_special(ps, &p);
			if (r < 0)
				return r;
		}
		escaped = true;
		p = bf_scan_plain(p, ps->end, &high);
	}
	size_t len = (size_t)(p - start);
	if (high & 0x80) {
		size_t valid = bf_utf8_valid_prefix(start, len);
		if (valid < len)
			return fail_at(ps, start + valid, BF_E_SYNTAX, "not valid UTF-8");
	}
	ps->p = p + 1;
	return push(ps, BF_JSON_STRING, start, len, escaped);
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static int read_number(struct parser *ps)
{
	const char *start = ps->p, *end = ps->end;
	const char *p = start + (*start == '-');
	const char *digits = p;

	p = p < end && *p == '0' ? p + 1 : skip_digits(p, end);
	if (p == digits)
		goto no_digit;
	if (p < end && *p == '.') {
		digits = ++p;
		p = skip_digits(p, end);
		if (p == digits)
			goto no_digit;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		p += p < end && (*p == '+' || *p == '-');
		digits = p;
		p = skip_digits(p, end);
		if (p == digits)
			goto no_digit;
	}
	ps->p = p;
	return push(ps, BF_JSON_NUMBER, start, (size_t)(p - start), false);
no_digit:
	ps->p = p;
	return unexpected(ps, "a digit");
}

static int read_literal(struct parser *ps, struct bf_slice word, enum bf_json_type type)
{
	struct bf_slice rest = {ps->p, (size_t)(ps->end - ps->p)};

	if (!bf_slice_starts(rest, word))
		return unexpected(ps, "a value");
	ps->p += word.len;
	return push(ps, type, rest.ptr, word.len, false);
}

/* The innermost container ends before p. */
static int close_container(struct parser *ps)
{
	uint32_t index = ps->open;
	struct bf_json_token *c = &ps->tokens[index];

	c->len = offset_of(ps, ps->p) - c->start;
	ps->open = c->next;
	c->next = ps->count;
	ps->depth--;
	ps->expect = EXPECT_MORE;
	if (c->type != BF_JSON_OBJECT || c->count < 2 || !ps->limits->reject_duplicate_keys)
		return 0;
	if (c->count > PAIRWISE_MAX) {
		ps->hash_keys = true;
		return 0;
	}
	struct bf_json_tape tape = {ps->text, ps->tokens, ps->count};
	uint32_t twin = bf_json_keys_pairwise(&tape, index, &ps->hash_keys);
	if (twin != BF_JSON_NONE)
		return fail_at(ps, ps->text.ptr + ps->tokens[twin].start - 1, BF_E_DUPLICATE,
			       "this key stands twice in its object");
	return 0;
}

static int open_container(struct parser *ps, enum bf_json_type type, char closing,
			  enum expect inside)
{
	if (ps->depth >= ps->limits->max_depth)
		return fail_at(ps, ps->p, BF_E_LIMIT, "nested too deeply");
	int r = push(ps, type, ps->p, 0, false);
	if (r < 0)
		return r;
	ps->tokens[ps->count - 1].next = ps->open;
	ps->open = ps->count - 1;
	ps->depth++;
	ps->expect = inside;
	ps->p++;
	skip_space(ps);
	if (ps->p < ps->end && *ps->p == closing) {
		ps->p++;
		return close_container(ps);
	}
	return 0;
}

static int read_value(struct parser *ps)
{
	if (ps->open != BF_JSON_NONE && ps->tokens[ps->open].type == BF_JSON_ARRAY)
		ps->tokens[ps->open].count++;
	ps->expect = EXPECT_MORE;
	switch (*ps->p) {
	case '"':
		return read_string(ps);
	case '{':
		return open_container(ps, BF_JSON_OBJECT, '}', EXPECT_KEY);
	case '[':
		return open_container(ps, BF_JSON_ARRAY, ']', EXPECT_VALUE);
	case 't':
		return read_literal(ps, BF_SLICE_LIT("true"), BF_JSON_TRUE);
	case 'f':
		return read_literal(ps, BF_SLICE_LIT("false"), BF_JSON_FALSE);
	case 'n':
		return read_literal(ps, BF_SLICE_LIT("null"), BF_JSON_NULL);
	default:
		if (*ps->p == '-' || (*ps->p >= '0' && *ps->p <= '9'))
			return read_number(ps);
		return unexpected(ps, "a value");
	}
}

static int read_key(struct parser *ps)
{
	if (*ps->p != '"')
		return unexpected(ps, "a key in quotes");
	int r = read_string(ps);
	if (r < 0)
		return r;
	ps->tokens[ps->open].count++;
	skip_space(ps);
	if (ps->p == ps->end || *ps->p != ':')
		return unexpected(ps, "a colon");
	ps->p++;
	ps->expect = EXPECT_VALUE;
	return 0;
}

static int read_more(struct parser *ps)
{
	if (ps->open == BF_JSON_NONE)
		return unexpected(ps, "the end of the text");
	bool object = ps->tokens[ps->open].type == BF_JSON_OBJECT;
	char c = *ps->p;
	if (c == ',') {
		ps->expect = object ? EXPECT_KEY : EXPECT_VALUE;
		ps->p++;
		return 0;
	}
	if (c != (object ? '}' : ']'))
		return unexpected(ps, object ? "a comma or '}'" : "a comma or ']'");
	ps->p++;
	return close_container(ps);
}

static inline int read_next(struct parser *ps)
{
	switch (ps->expect) {
	case EXPECT_KEY:
		return read_key(ps);
	case EXPECT_VALUE:
		return read_value(ps);
	case EXPECT_MORE:
	default:
		return read_more(ps);
	}
}

static int read_all(struct parser *ps)
{
	static const char *const wanted[] = {
	    [EXPECT_VALUE] = "a value",
	    [EXPECT_KEY] = "a key in quotes",
	    [EXPECT_MORE] = "a comma or a closing bracket",
	};

	for (;;) {
		skip_space(ps);
		if (ps->p == ps->end)
			break;
		int r = read_next(ps);
		if (r < 0)
			return r;
	}
	if (ps->expect == EXPECT_MORE && ps->open == BF_JSON_NONE)
		return 0;
	return unexpected(ps, wanted[ps->expect]);
}

int bf_json_parse(struct bf_json_tape *ret_tape, struct bf_slice text, struct bf_arena *arena,
		  const struct bf_json_limits *limits, struct bf_err *err)
{
	struct parser ps = {.p = text.ptr ? text.ptr : "",
			    .open = BF_JSON_NONE,
			    .limits = limits,
			    .arena = arena,
			    .err = err};

	ps.text = (struct bf_slice){ps.p, text.len};
	ps.end = ps.p + text.len;
	if (text.len >= UINT32_MAX)
		return bf_err_set(err, BF_E_LIMIT, "1:1: a text of 4 GiB or more");
	int r = read_all(&ps);
	if (r < 0)
		return r;
	/* Gives the unused end of the tape back; making smaller cannot fail. */
	ps.tokens = bf_arena_resize(arena, ps.tokens, ps.room * sizeof(*ps.tokens),
				    ps.count * sizeof(*ps.tokens));
	struct bf_json_tape tape = {ps.text, ps.tokens, ps.count};
	if (ps.hash_keys) {
		uint32_t twin;
		r = bf_json_keys_hashed(&tape, arena, &twin);
		if (r < 0)
			return fail_at(&ps, ps.text.ptr, r, "no memory to compare the keys");
		if (twin != BF_JSON_NONE)
			return fail_at(&ps, ps.text.ptr + ps.tokens[twin].start - 1, BF_E_DUPLICATE,
				       "this key stands twice in its object");
	}
	*ret_tape = tape;
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
