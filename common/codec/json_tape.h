/*
 * One pass over a JSON text (RFC 8259) into a flat tape of tokens that refer to the input bytes.
 * Nothing is copied or unescaped until asked for. Strict: valid UTF-8, no lone surrogates, no NaN,
 * no trailing commas, no duplicate keys when asked ("a" and "\u0061" are one key), bounded depth
 * and token count.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/slice.h"

enum bf_json_type {
	BF_JSON_NULL,
	BF_JSON_FALSE,
	BF_JSON_TRUE,
	BF_JSON_NUMBER,
	BF_JSON_STRING,
	BF_JSON_ARRAY,
	BF_JSON_OBJECT,
};

struct bf_json_token {
	uint32_t start; /* first byte; for strings the byte after the quote */
	uint32_t len; /* bytes; for strings without quotes; for containers including the brackets */
	uint32_t next; /* index of the token after this value and all it contains */
	union {
		struct {
			uint32_t count : 28; /* array: elements; object: members */
			enum bf_json_type type : 3;
			bool escaped : 1; /* string: holds a backslash */
		};
		uint32_t info; /* the three in one word, for the reader alone */
	};
};

struct bf_json_limits {
	uint32_t max_depth;  /* nesting of containers */
	uint32_t max_tokens; /* size of the tape; 2^28 - 1 at most */
	bool reject_duplicate_keys;
	/* Half a surrogate pair and bytes that are no UTF-8 pass within strings: for answers that
	 * are passed on as they came, because their writer is not here to mend them. */
	bool lenient_text;
	/*
	 * Members of a root object that are not read, where they are containers: one token tells
	 * type and extent, with count 0 and nothing in it. Of what stands in them strings,
	 * brackets and depth are checked; not the order of values and commas, nor numbers, nor
	 * duplicates. Names, then an empty one; NULL: none.
	 */
	const struct bf_slice *skimmed;
};

/* 64 levels, 1,000,000 tokens, duplicates refused. */
extern const struct bf_json_limits bf_json_default_limits;

struct bf_json_tape {
	struct bf_slice text;
	struct bf_json_token *tokens; /* in the arena; token 0 is the root */
	uint32_t count;
};

/*
 * Reads the whole text. 0, or BF_E_SYNTAX, BF_E_LIMIT, BF_E_DUPLICATE, -ENOMEM with err "line:col:
 * what". The tape lives in the arena and refers to text. An object member is its key token followed
 * by its value. Texts end below 4 GiB.
 */
int bf_json_parse(struct bf_json_tape *ret_tape, struct bf_slice text, struct bf_arena *arena,
		  const struct bf_json_limits *limits, struct bf_err *err);

#define BF_JSON_NONE UINT32_MAX

/*
 * Index of the value of the member key of object obj, or BF_JSON_NONE (also when obj is no object).
 * Where duplicates were not refused it is the last one, as most other readers have it.
 */
uint32_t bf_json_find(const struct bf_json_tape *t, uint32_t obj, struct bf_slice key);

static inline uint32_t bf_json_member(const struct bf_json_tape *t, uint32_t obj, const char *key)
{
	return bf_json_find(t, obj, bf_slice_from(key));
}

/* The same for several members in one walk: ret_values[i] is that of keys[i], or BF_JSON_NONE. */
void bf_json_find_all(const struct bf_json_tape *t, uint32_t obj, const struct bf_slice *keys,
		      uint32_t count, uint32_t *ret_values);

/* First child of a container, then its siblings by tokens[i].next; stop at tokens[container].next.
 */
static inline uint32_t bf_json_first(uint32_t container)
{
	return container + 1;
}

/* The raw bytes of a value, quotes included for strings. */
struct bf_slice bf_json_raw(const struct bf_json_tape *t, uint32_t index);

/* The text of a string, unescaped: the input bytes themselves when nothing is escaped. BF_E_TYPE,
 * -ENOMEM. */
int bf_json_string(const struct bf_json_tape *t, uint32_t index, struct bf_arena *arena,
		   struct bf_slice *ret_text);

/* BF_E_TYPE for other types and for numbers with a fraction or exponent, BF_E_RANGE. */
int bf_json_i64(const struct bf_json_tape *t, uint32_t index, int64_t *ret_value);
int bf_json_bool(const struct bf_json_tape *t, uint32_t index, bool *ret_value);

/* "line:col" of a byte offset, 1-based, columns in bytes. */
void bf_json_position(struct bf_slice text, size_t offset, uint32_t *ret_line, uint32_t *ret_col);
