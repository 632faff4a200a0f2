/*
 * JSON reader: one pass over the text, one token per value. Called on every request body: strings
 * end where a mask of 64 bytes says so (scan_priv.h), and keys are compared only where a filter of
 * 32 bits cannot tell them apart. Never recurses, never copies text, and never reads past the end.
 */
#include "common/codec/json_tape.h"

#include <errno.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/codec/json_keys_priv.h"
#include "common/codec/json_text_priv.h"
#include "common/codec/scan_priv.h"
#include "common/codec/utf8.h"

/* The steps between two tokens are one function to the compiler. */
#define INLINE inline __attribute__((always_inline))

#define FIRST_TOKENS 64u
#define GROW_MAX     128u /* at once, times what there is: from the first tokens to 128 KiB */
/* The parts of a token's info, which has them in the order of the struct. */
#define INFO_COUNT   ((1u << 28) - 1)
#define INFO_TYPE    28
#define INFO_ESCAPED (1u << 31)
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the bits of struct bf_json_token stand the other way round here"
#endif

const struct bf_json_limits bf_json_default_limits = {
    .max_depth = 64,
    .max_tokens = 1000000,
    .reject_duplicate_keys = true,
};

struct parser {
	const char *end;
	struct bf_json_token *tokens, *room_end;
	bool hash_keys; /* some object must be checked after the pass */
	const struct bf_json_limits *limits;
	struct bf_slice text;
	struct bf_arena *arena;
	struct bf_err *err;
};

/*
 * Where the reading stands: what every step touches, apart from the parser so that it stays in
 * registers. A token is written as two words: start and len, next and info. While a container is
 * open, its len is the index of the one around it, and while another one is open in it, next and
 * info keep its state.
 */
struct cursor {
	const char *p;
	struct bf_json_token *token; /* the next one to write */
	struct bf_scan_block block;
	/* Of the innermost open container. Below: a filter with a bit for each of its keys. Above:
	 * its info, with the values so far, and escaped when two keys have one bit or a key is
	 * escaped, so that they must be compared. */
	uint64_t state;
	uint32_t open; /* its index */
	uint32_t depth;
};

#define STATE_INFO      32
#define STATE_OF(token) ((char *)(token) + offsetof(struct bf_json_token, next))

static int fail_at(struct parser *ps, const char *at, int code, const char *what)
{
	uint32_t line, col;

	bf_json_position(ps->text, (size_t)(at - ps->text.ptr), &line, &col);
	return bf_err_set(ps->err, code, "%u:%u: %s", line, col, what);
}

/* A byte that cannot stand here, or the end. */
static int unexpected(struct parser *ps, const char *at, const char *wanted)
{
	uint32_t line, col;
	unsigned char c = at < ps->end ? (unsigned char)*at : 0;

	bf_json_position(ps->text, (size_t)(at - ps->text.ptr), &line, &col);
	if (at == ps->end)
		return bf_err_set(ps->err, BF_E_SYNTAX, "%u:%u: the text ends where %s should be",
				  line, col, wanted);
	if (c > 0x20 && c < 0x7f)
		return bf_err_set(ps->err, BF_E_SYNTAX, "%u:%u: '%c' where %s should be", line, col,
				  c, wanted);
	return bf_err_set(ps->err, BF_E_SYNTAX, "%u:%u: byte 0x%02x where %s should be", line, col,
			  c, wanted);
}

/*
 * Room for more tokens after the count that there are: as many as the rest of the text will take if
 * it is like what was read, within bounds that keep a text that changes its mind cheap.
 */
static int grow(struct parser *ps, const char *at, size_t count)
{
	size_t max = BF_MIN(ps->limits->max_tokens, INFO_COUNT);
	size_t seen = (size_t)(at - ps->text.ptr) + 1, least = count + count / 2 + FIRST_TOKENS;
	size_t guess = count + count * (ps->text.len - seen + 1) / seen + count / 16;
	size_t room = BF_MAX(BF_MIN(guess, count * GROW_MAX), least);
	void *tokens;

	if (count >= max)
		return fail_at(ps, at, BF_E_LIMIT, "too many values");
	room = BF_MIN(room, max);
	while (!(tokens = bf_arena_resize(ps->arena, ps->tokens, count * sizeof(*ps->tokens),
					  room * sizeof(*ps->tokens)))) {
		if (room <= least)
			return fail_at(ps, at, -ENOMEM, "no memory for so many values");
		room = least;
	}
	ps->tokens = tokens;
	ps->room_end = ps->tokens + room;
	return 0;
}

static INLINE uint64_t two_words(uint64_t low, uint64_t high)
{
	return low | high << 32;
}

static INLINE void put(struct bf_json_token *token, uint64_t start_len, uint64_t next_info)
{
	memcpy(token, &start_len, sizeof(start_len));
	memcpy((char *)token + sizeof(start_len), &next_info, sizeof(next_info));
}

/* Adds a token of known extent. */
static INLINE int push(struct parser *ps, struct cursor *c, const char *start, size_t len,
		       uint32_t info)
{
	size_t index = (size_t)(c->token - ps->tokens);

	if (BF_UNLIKELY(c->token == ps->room_end)) {
		int r = grow(ps, c->p, index);
		if (r < 0)
			return r;
		c->token = ps->tokens + index;
	}
	put(c->token++, two_words((size_t)(start - ps->text.ptr), len), two_words(index + 1, info));
	return 0;
}

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* Whether this byte stands here, after white space; most texts have none. */
static INLINE bool at_byte(const struct parser *ps, struct cursor *c, char byte)
{
	if (BF_LIKELY(c->p < ps->end && *c->p == byte))
		return true;
	c->p = skip_space(c->p, ps->end);
	return c->p < ps->end && *c->p == byte;
}

/* The byte after white space, or -1 at the end. */
static INLINE int peek(const struct parser *ps, struct cursor *c)
{
	int byte = c->p < ps->end ? (unsigned char)*c->p : -1;

	if (BF_LIKELY(byte > ' '))
		return byte;
	c->p = skip_space(c->p, ps->end);
	return c->p < ps->end ? (unsigned char)*c->p : -1;
}

/* What bf_scan_next stopped at inside a string, when it is not the closing quote: the length of the
 * escape, or an error. */
static int string_special(struct parser *ps, const char *p)
{
	if (p >= ps->end)
		return fail_at(ps, ps->end, BF_E_SYNTAX, "the text ends inside a string");
	if (*p != '\\')
		return fail_at(ps, p, BF_E_SYNTAX,
			       "a control character in a string must be escaped");
	size_t n = bf_json_escape_length(p, ps->end, ps->limits->lenient_text);
	if (n == 0)
		return fail_at(ps, p, BF_E_SYNTAX, "not a valid escape");
	return (int)n;
}

static int check_utf8(struct parser *ps, const char *start, size_t len)
{
	size_t valid = bf_utf8_valid_prefix(start, len);

	return valid < len ? fail_at(ps, start + valid, BF_E_SYNTAX, "not valid UTF-8") : 0;
}

/* The cursor is at the opening quote. */
static INLINE int read_string(struct parser *ps, struct cursor *c)
{
	const char *start = c->p + 1;
	uint32_t info = (uint32_t)BF_JSON_STRING << INFO_TYPE;
	uint64_t high = 0;
	const char *p = bf_scan_next(&c->block, start, ps->end, &high);

	while (BF_UNLIKELY(p >= ps->end || *p != '"')) {
		int n = 2;
		/* The two escapes that prose is full of, without a call. */
		if (ps->end - p < 2 || p[0] != '\\' || (p[1] != 'n' && p[1] != '"')) {
			n = string_special(ps, p);
			if (n < 0)
				return n;
		}
		info |= INFO_ESCAPED;
		p = bf_scan_next(&c->block, p + n, ps->end, &high);
	}
	if (BF_UNLIKELY(high) && !ps->limits->lenient_text) {
		int r = check_utf8(ps, start, (size_t)(p - start));
		if (r < 0)
			return r;
	}
	c->p = p + 1;
	return push(ps, c, start, (size_t)(p - start), info);
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* The end of the number at start; NULL where a digit is missing, and *ret_at tells where. */
static const char *number_end(const char *start, const char *end, const char **ret_at)
{
	const char *p = start + (*start == '-');
	const char *digits = p;

	p = p < end && *p == '0' ? p + 1 : skip_digits(p, end);
	if (p > digits && p < end && *p == '.') {
		digits = ++p;
		p = skip_digits(p, end);
	}
	if (p > digits && p < end && (*p | 0x20) == 'e') {
		p++;
		p += p < end && (*p == '+' || *p == '-');
		digits = p;
		p = skip_digits(p, end);
	}
	*ret_at = p;
	return p > digits ? p : NULL;
}

static INLINE int read_number(struct parser *ps, struct cursor *c)
{
	const char *start = c->p, *at;
	const char *p = number_end(start, ps->end, &at);

	if (!p)
		return unexpected(ps, at, "a digit");
	c->p = p;
	return push(ps, c, start, (size_t)(p - start), (uint32_t)BF_JSON_NUMBER << INFO_TYPE);
}

static INLINE int read_word(struct parser *ps, struct cursor *c, struct bf_slice word,
			    enum bf_json_type type)
{
	const char *start = c->p;

	if ((size_t)(ps->end - start) < word.len || memcmp(start, word.ptr, word.len) != 0)
		return unexpected(ps, start, "a value");
	c->p += word.len;
	return push(ps, c, start, word.len, (uint32_t)type << INFO_TYPE);
}

static INLINE int read_scalar(struct parser *ps, struct cursor *c, int byte)
{
	if (BF_LIKELY(byte == '"'))
		return read_string(ps, c);
	if (byte == '-' || (byte >= '0' && byte <= '9'))
		return read_number(ps, c);
	if (byte == 't')
		return read_word(ps, c, BF_SLICE_LIT("true"), BF_JSON_TRUE);
	if (byte == 'f')
		return read_word(ps, c, BF_SLICE_LIT("false"), BF_JSON_FALSE);
	if (byte == 'n')
		return read_word(ps, c, BF_SLICE_LIT("null"), BF_JSON_NULL);
	return unexpected(ps, c->p, "a value");
}

_Static_assert((BF_JSON_OBJECT & 2) && !(BF_JSON_ARRAY & 2), "one bit tells them apart");

static INLINE bool in_object(const struct cursor *c)
{
	return c->state & UINT64_C(2) << (STATE_INFO + INFO_TYPE);
}

/* Two keys of the object that ended may be equal. */
static int compare_keys(struct parser *ps, uint32_t index, const struct bf_json_token *end)
{
	struct bf_json_tape tape = {ps->text, ps->tokens, (uint32_t)(end - ps->tokens)};
	bool undecided = false;

	if (!ps->limits->reject_duplicate_keys)
		return 0;
	uint32_t twin = bf_json_keys_pairwise(&tape, index, &undecided);
	if (twin != BF_JSON_NONE)
		return fail_at(ps, ps->text.ptr + ps->tokens[twin].start - 1, BF_E_DUPLICATE,
			       "this key stands twice in its object");
	ps->tokens[index].escaped = undecided;
	ps->hash_keys |= undecided;
	return 0;
}

/* The innermost container ends before the cursor. */
static INLINE int close_container(struct parser *ps, struct cursor *c)
{
	uint32_t index = c->open, info = (uint32_t)(c->state >> STATE_INFO);
	struct bf_json_token *t = &ps->tokens[index];
	uint64_t len = (uint64_t)(c->p - ps->text.ptr) - t->start;

	c->open = t->len;
	put(t, two_words(t->start, len),
	    two_words((size_t)(c->token - ps->tokens), info & ~INFO_ESCAPED));
	c->depth--;
	if (c->open != BF_JSON_NONE)
		memcpy(&c->state, STATE_OF(&ps->tokens[c->open]), sizeof(c->state));
	return BF_UNLIKELY(info & INFO_ESCAPED) ? compare_keys(ps, index, c->token) : 0;
}

static INLINE int open_container(struct parser *ps, struct cursor *c, enum bf_json_type type)
{
	if (BF_UNLIKELY(c->depth >= ps->limits->max_depth))
		return fail_at(ps, c->p, BF_E_LIMIT, "nested too deeply");
	if (c->open != BF_JSON_NONE)
		memcpy(STATE_OF(&ps->tokens[c->open]), &c->state, sizeof(c->state));
	int r = push(ps, c, c->p, c->open, 0);
	if (r < 0)
		return r;
	c->open = (uint32_t)(c->token - 1 - ps->tokens);
	c->depth++;
	c->state = (uint64_t)type << (STATE_INFO + INFO_TYPE);
	c->p++;
	return 0;
}

/* A key and its colon. */
static INLINE int read_key(struct parser *ps, struct cursor *c)
{
	if (BF_UNLIKELY(!at_byte(ps, c, '"')))
		return unexpected(ps, c->p, "a key in quotes");
	const char *start = c->p + 1;
	int r = read_string(ps, c);
	if (r < 0)
		return r;
	size_t len = (size_t)(c->p - 1 - start);
	uint64_t bit = UINT64_C(1) << (bf_json_key_mix(start, len, ps->end) >> 59);
	if (BF_UNLIKELY(c->state & bit || c->token[-1].escaped))
		c->state |= (uint64_t)INFO_ESCAPED << STATE_INFO;
	c->state |= bit;
	if (BF_UNLIKELY(!at_byte(ps, c, ':')))
		return unexpected(ps, c->p, "a colon");
	c->p++;
	return 0;
}

/* From the end of a value to the next one: 1, 0 when the text is read, or an error. */
static INLINE int read_more(struct parser *ps, struct cursor *c)
{
	for (;;) {
		int byte = peek(ps, c);
		if (BF_UNLIKELY(c->open == BF_JSON_NONE))
			return byte < 0 ? 0 : unexpected(ps, c->p, "the end of the text");
		if (byte == ',') {
			c->p++;
			int r = in_object(c) ? read_key(ps, c) : 0;
			return r < 0 ? r : 1;
		}
		if (BF_UNLIKELY(byte < 0))
			return unexpected(ps, c->p, "a comma or a closing bracket");
		if (BF_UNLIKELY(byte != (in_object(c) ? '}' : ']')))
			return unexpected(ps, c->p,
					  in_object(c) ? "a comma or '}'" : "a comma or ']'");
		c->p++;
		int r = close_container(ps, c);
		if (BF_UNLIKELY(r < 0))
			return r;
	}
}

/* A value; of a container the bracket, and what stands before its first value. As read_more. */
static INLINE int read_value(struct parser *ps, struct cursor *c)
{
	int byte = peek(ps, c);
	if (BF_UNLIKELY(byte < 0))
		return unexpected(ps, c->p, "a value");
	c->state += UINT64_C(1) << STATE_INFO;
	if (byte != '{' && byte != '[') {
		int r = read_scalar(ps, c, byte);
		return r < 0 ? r : read_more(ps, c);
	}
	int r = open_container(ps, c, byte == '{' ? BF_JSON_OBJECT : BF_JSON_ARRAY);
	if (r < 0)
		return r;
	if (peek(ps, c) == (in_object(c) ? '}' : ']')) {
		c->p++;
		r = close_container(ps, c);
		return r < 0 ? r : read_more(ps, c);
	}
	r = in_object(c) ? read_key(ps, c) : 0;
	return r < 0 ? r : 1;
}

static int read_all(struct parser *ps, uint32_t *ret_count)
{
	struct cursor c = {.p = ps->text.ptr, .token = ps->tokens, .open = BF_JSON_NONE};
	int r;

	bf_scan_block_at(&c.block, c.p, ps->end);
	do
		r = read_value(ps, &c);
	while (r > 0);
	*ret_count = (uint32_t)(c.token - ps->tokens);
	return r;
}

static int check_hashed(struct parser *ps, const struct bf_json_tape *tape)
{
	uint32_t twin;
	int r = bf_json_keys_hashed(tape, ps->arena, &twin);

	if (r < 0)
		return fail_at(ps, ps->text.ptr, r, "no memory to compare the keys");
	if (twin != BF_JSON_NONE)
		return fail_at(ps, ps->text.ptr + tape->tokens[twin].start - 1, BF_E_DUPLICATE,
			       "this key stands twice in its object");
	return 0;
}

int bf_json_parse(struct bf_json_tape *ret_tape, struct bf_slice text, struct bf_arena *arena,
		  const struct bf_json_limits *limits, struct bf_err *err)
{
	struct parser ps = {.limits = limits, .arena = arena, .err = err};
	uint32_t count;

	ps.text = (struct bf_slice){text.ptr ? text.ptr : "", text.len};
	ps.end = ps.text.ptr + text.len;
	if (text.len >= UINT32_MAX)
		return bf_err_set(err, BF_E_LIMIT, "1:1: a text of 4 GiB or more");
	int r = read_all(&ps, &count);
	if (r < 0)
		return r;
	/* Gives the unused end of the tape back; making smaller cannot fail. */
	ps.tokens = bf_arena_resize(arena, ps.tokens,
				    (size_t)(ps.room_end - ps.tokens) * sizeof(*ps.tokens),
				    count * sizeof(*ps.tokens));
	struct bf_json_tape tape = {ps.text, ps.tokens, count};
	r = ps.hash_keys ? check_hashed(&ps, &tape) : 0;
	if (r == 0)
		*ret_tape = tape;
	return r;
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
