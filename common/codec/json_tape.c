/*
 * JSON reader: one pass over the text, one token per value. Called on every request body and every
 * answer: 16 bytes at once tell where a string ends (scan_priv.h), and keys are compared only where
 * a filter of 32 bits cannot tell them apart. Never recurses, never copies text, and never reads
 * past the end.
 */
#include "common/codec/json_tape.h"

#include <errno.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/codec/json_keys_priv.h"
#include "common/codec/json_slow_priv.h"
#include "common/codec/scan_priv.h"

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

/*
 * Where the reading stands: what every step touches, apart from the parser so that it stays in
 * registers. While a container is open, its len is the index of the one around it, and while
 * another one is open in it, next and info keep its state.
 */
struct cursor {
	const char *p;
	struct bf_json_token *token; /* the next one to write */
	/* Of the innermost open container. Below: its info, with the values so far, and escaped
	 * when two keys have one bit or a key is escaped, so that they must be compared. Above: a
	 * filter with a bit for each of its keys. */
	uint64_t state;
	uint32_t open; /* its index */
	uint32_t depth;
};

#define STATE_FILTER    32
#define STATE_OF(token) ((char *)(token) + offsetof(struct bf_json_token, next))

/*
 * Room for more tokens after the count that there are: as many as the rest of the text will take if
 * it is like what was read, within bounds that keep a text that changes its mind cheap.
 */
static int grow(struct bf_json_parser *ps, const char *at, size_t count)
{
	size_t max = BF_MIN(ps->limits->max_tokens, INFO_COUNT);
	size_t seen = (size_t)(at - ps->text.ptr) + 1, least = count + count / 2 + FIRST_TOKENS;
	size_t guess = count + count * (ps->text.len - seen + 1) / seen + count / 16;
	size_t room = BF_MAX(BF_MIN(guess, count * GROW_MAX), least);
	void *tokens;

	if (count >= max)
		return bf_json_fail_at(ps, at, BF_E_LIMIT, "too many values");
	room = BF_MIN(room, max);
	while (!(tokens = bf_arena_resize(ps->arena, ps->tokens, count * sizeof(*ps->tokens),
					  room * sizeof(*ps->tokens)))) {
		if (room <= least)
			return bf_json_fail_at(ps, at, -ENOMEM, "no memory for so many values");
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
static INLINE int push(struct bf_json_parser *ps, struct cursor *c, const char *start, size_t len,
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

static __attribute__((noinline)) const char *skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* Whether this byte stands here, after white space; most texts have none. */
static INLINE bool at_byte(const struct bf_json_parser *ps, struct cursor *c, char byte)
{
	if (BF_LIKELY(c->p < ps->end && *c->p == byte))
		return true;
	c->p = skip_space(c->p, ps->end);
	return c->p < ps->end && *c->p == byte;
}

/* The byte after white space, or -1 at the end. */
static INLINE int peek(const struct bf_json_parser *ps, struct cursor *c)
{
	int byte = c->p < ps->end ? (unsigned char)*c->p : -1;

	if (BF_LIKELY(byte > ' '))
		return byte;
	c->p = skip_space(c->p, ps->end);
	return c->p < ps->end ? (unsigned char)*c->p : -1;
}

/* The cursor is at the opening quote. */
static INLINE int read_string(struct bf_json_parser *ps, struct cursor *c)
{
	const char *start = c->p + 1;
	const char *end = bf_scan_short(start, ps->end);

	if (BF_LIKELY(end != NULL)) {
		c->p = end + 1;
		return push(ps, c, start, (size_t)(end - start),
			    (uint32_t)BF_JSON_STRING << INFO_TYPE);
	}
	struct bf_json_string_end e = bf_json_string_end(ps, start);
	if (e.escaped < 0)
		return e.escaped;
	c->p = e.at + 1;
	return push(ps, c, start, (size_t)(e.at - start),
		    (uint32_t)BF_JSON_STRING << INFO_TYPE | (uint32_t)e.escaped << 31);
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

static INLINE int read_number(struct bf_json_parser *ps, struct cursor *c)
{
	const char *start = c->p, *at;
	const char *p = number_end(start, ps->end, &at);

	if (!p)
		return bf_json_unexpected(ps, at, "a digit");
	c->p = p;
	return push(ps, c, start, (size_t)(p - start), (uint32_t)BF_JSON_NUMBER << INFO_TYPE);
}

static INLINE int read_word(struct bf_json_parser *ps, struct cursor *c, struct bf_slice word,
			    enum bf_json_type type)
{
	const char *start = c->p;

	if ((size_t)(ps->end - start) < word.len || memcmp(start, word.ptr, word.len) != 0)
		return bf_json_unexpected(ps, start, "a value");
	c->p += word.len;
	return push(ps, c, start, word.len, (uint32_t)type << INFO_TYPE);
}

static INLINE int read_scalar(struct bf_json_parser *ps, struct cursor *c, int byte)
{
	if (byte == '-' || (byte >= '0' && byte <= '9'))
		return read_number(ps, c);
	if (byte == 't')
		return read_word(ps, c, BF_SLICE_LIT("true"), BF_JSON_TRUE);
	if (byte == 'f')
		return read_word(ps, c, BF_SLICE_LIT("false"), BF_JSON_FALSE);
	if (byte == 'n')
		return read_word(ps, c, BF_SLICE_LIT("null"), BF_JSON_NULL);
	return bf_json_unexpected(ps, c->p, "a value");
}

_Static_assert((BF_JSON_OBJECT & 2) && !(BF_JSON_ARRAY & 2), "one bit tells them apart");

static INLINE bool in_object(const struct cursor *c)
{
	return c->state & UINT64_C(2) << INFO_TYPE;
}

/* Two keys of the object that ended may be equal. */
static int compare_keys(struct bf_json_parser *ps, uint32_t index, const struct bf_json_token *end)
{
	struct bf_json_tape tape = {ps->text, ps->tokens, (uint32_t)(end - ps->tokens)};
	bool undecided = false;

	uint32_t twin = bf_json_keys_pairwise(&tape, index, &undecided);
	if (twin != BF_JSON_NONE)
		return bf_json_fail_at(ps, ps->text.ptr + ps->tokens[twin].start - 1,
				       BF_E_DUPLICATE, "this key stands twice in its object");
	ps->tokens[index].escaped = undecided;
	ps->hash_keys |= undecided;
	return 0;
}

/* The innermost container ends before the cursor. */
static INLINE int close_container(struct bf_json_parser *ps, struct cursor *c)
{
	uint32_t index = c->open, info = (uint32_t)c->state;
	struct bf_json_token *t = &ps->tokens[index];

	c->open = t->len;
	t->len = (uint32_t)(c->p - ps->text.ptr) - t->start;
	t->next = (uint32_t)(c->token - ps->tokens);
	t->info = info & ~INFO_ESCAPED;
	c->depth--;
	if (c->open != BF_JSON_NONE)
		memcpy(&c->state, STATE_OF(&ps->tokens[c->open]), sizeof(c->state));
	return BF_UNLIKELY(info & INFO_ESCAPED) ? compare_keys(ps, index, c->token) : 0;
}

static INLINE int open_container(struct bf_json_parser *ps, struct cursor *c,
				 enum bf_json_type type)
{
	if (BF_UNLIKELY(c->depth >= ps->limits->max_depth))
		return bf_json_fail_at(ps, c->p, BF_E_LIMIT, "nested too deeply");
	if (c->open != BF_JSON_NONE)
		memcpy(STATE_OF(&ps->tokens[c->open]), &c->state, sizeof(c->state));
	int r = push(ps, c, c->p, c->open, 0);
	if (r < 0)
		return r;
	c->open = (uint32_t)(c->token - 1 - ps->tokens);
	c->depth++;
	c->state = (uint64_t)type << INFO_TYPE;
	c->p++;
	return 0;
}

/* The key before the cursor belongs to the innermost object. */
static INLINE void note_key(const struct bf_json_parser *ps, struct cursor *c, struct bf_slice key)
{
	uint64_t bit = UINT64_C(1)
		       << (STATE_FILTER + (bf_json_key_mix(key.ptr, key.len, ps->end) >> 59));

	if (BF_UNLIKELY(c->state & bit || c->token[-1].escaped))
		c->state |= INFO_ESCAPED;
	c->state |= bit;
}

/* A key and its colon. */
static INLINE int read_key(struct bf_json_parser *ps, struct cursor *c)
{
	if (BF_UNLIKELY(!at_byte(ps, c, '"')))
		return bf_json_unexpected(ps, c->p, "a key in quotes");
	const char *start = c->p + 1;
	int r = read_string(ps, c);
	if (r < 0)
		return r;
	if (ps->tell_keys)
		note_key(ps, c, (struct bf_slice){start, (size_t)(c->p - 1 - start)});
	if (BF_UNLIKELY(!at_byte(ps, c, ':')))
		return bf_json_unexpected(ps, c->p, "a colon");
	c->p++;
	return 0;
}

/* From the end of a value to the next one: 1, 0 when the text is read, or an error. */
static INLINE int read_more(struct bf_json_parser *ps, struct cursor *c)
{
	for (;;) {
		int byte = peek(ps, c);
		if (BF_UNLIKELY(c->open == BF_JSON_NONE))
			return byte < 0 ? 0 : bf_json_unexpected(ps, c->p, "the end of the text");
		if (byte == ',') {
			c->p++;
			int r = in_object(c) ? read_key(ps, c) : 0;
			return r < 0 ? r : 1;
		}
		if (BF_UNLIKELY(byte < 0))
			return bf_json_unexpected(ps, c->p, "a comma or a closing bracket");
		if (BF_UNLIKELY(byte != (in_object(c) ? '}' : ']')))
			return bf_json_unexpected(
			    ps, c->p, in_object(c) ? "a comma or '}'" : "a comma or ']'");
		c->p++;
		int r = close_container(ps, c);
		if (BF_UNLIKELY(r < 0))
			return r;
	}
}

/* Whether what comes next, in the root object, is the value of a key that nobody reads. */
static bool is_skimmed(const struct bf_json_parser *ps, const struct bf_json_token *next)
{
	const struct bf_json_token *key = next - 1;
	struct bf_slice text = {ps->text.ptr + key->start, key->len};

	if (key->escaped)
		return false;
	for (const struct bf_slice *name = ps->limits->skimmed; name->len; name++)
		if (bf_slice_eq(text, *name))
			return true;
	return false;
}

static INLINE int read_skimmed(struct bf_json_parser *ps, struct cursor *c, enum bf_json_type type)
{
	const char *start = c->p, *end;
	int r = bf_json_skim_container(ps, start, c->depth, &end);

	if (r < 0)
		return r;
	c->p = end;
	return push(ps, c, start, (size_t)(end - start), (uint32_t)type << INFO_TYPE);
}

/* A value; of a container the bracket, and what stands before its first value. As read_more. */
static INLINE int read_value(struct bf_json_parser *ps, struct cursor *c)
{
	int byte = peek(ps, c);
	if (BF_UNLIKELY(byte < 0))
		return bf_json_unexpected(ps, c->p, "a value");
	c->state++;
	if (BF_LIKELY(byte == '"')) {
		int r = read_string(ps, c);
		return r < 0 ? r : read_more(ps, c);
	}
	if (byte != '{' && byte != '[') {
		int r = read_scalar(ps, c, byte);
		return r < 0 ? r : read_more(ps, c);
	}
	enum bf_json_type type = byte == '{' ? BF_JSON_OBJECT : BF_JSON_ARRAY;
	if (c->depth == 1 && ps->limits->skimmed && in_object(c) && is_skimmed(ps, c->token)) {
		int r = read_skimmed(ps, c, type);
		return r < 0 ? r : read_more(ps, c);
	}
	int r = open_container(ps, c, type);
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

static int read_all(struct bf_json_parser *ps, uint32_t *ret_count)
{
	struct cursor c = {.p = ps->text.ptr, .token = ps->tokens, .open = BF_JSON_NONE};
	int r;

	do
		r = read_value(ps, &c);
	while (r > 0);
	*ret_count = (uint32_t)(c.token - ps->tokens);
	return r;
}

static int check_hashed(struct bf_json_parser *ps, const struct bf_json_tape *tape)
{
	uint32_t twin;
	int r = bf_json_keys_hashed(tape, ps->arena, &twin);

	if (r < 0)
		return bf_json_fail_at(ps, ps->text.ptr, r, "no memory to compare the keys");
	if (twin != BF_JSON_NONE)
		return bf_json_fail_at(ps, ps->text.ptr + tape->tokens[twin].start - 1,
				       BF_E_DUPLICATE, "this key stands twice in its object");
	return 0;
}

int bf_json_parse(struct bf_json_tape *ret_tape, struct bf_slice text, struct bf_arena *arena,
		  const struct bf_json_limits *limits, struct bf_err *err)
{
	struct bf_json_parser ps = {.limits = limits,
				    .tell_keys = limits->reject_duplicate_keys,
				    .arena = arena,
				    .err = err};
	uint32_t count;

	ps.text = (struct bf_slice){text.ptr ? text.ptr : "", text.len};
	ps.end = ps.text.ptr + text.len;
	if (text.len >= UINT32_MAX)
		return bf_err_set(err, BF_E_LIMIT, "1:1: a text of 4 GiB or more");
	int r = read_all(&ps, &count);
	if (r < 0)
		return r;
	/* Gives an unused end back that is worth it; making smaller cannot fail. */
	if ((size_t)(ps.room_end - ps.tokens) - count > FIRST_TOKENS)
		ps.tokens = bf_arena_resize(arena, ps.tokens,
					    (size_t)(ps.room_end - ps.tokens) * sizeof(*ps.tokens),
					    count * sizeof(*ps.tokens));
	struct bf_json_tape tape = {ps.text, ps.tokens, count};
	r = ps.hash_keys ? check_hashed(&ps, &tape) : 0;
	if (r == 0)
		*ret_tape = tape;
	return r;
}
