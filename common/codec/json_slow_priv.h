/* What the JSON reader calls rarely: errors, all but short plain strings, skims. Private to
 * common/codec. */
#pragma once

#include "common/codec/json_tape.h"

struct bf_json_parser {
	const char *end;
	struct bf_json_token *tokens, *room_end;
	bool tell_keys; /* two of one object may not be equal */
	bool hash_keys; /* some object must be checked after the pass */
	const struct bf_json_limits *limits;
	struct bf_slice text;
	struct bf_arena *arena;
	struct bf_err *err;
};

/* Sets the error "line:col: what" of a place; code. */
int bf_json_fail_at(struct bf_json_parser *ps, const char *at, int code, const char *what);

/* The same for a byte that cannot stand there, or the end: BF_E_SYNTAX. */
int bf_json_unexpected(struct bf_json_parser *ps, const char *at, const char *wanted);

struct bf_json_string_end {
	const char *at; /* the closing quote */
	int escaped;    /* whether, or an error */
};

/* Where the string ends that begins at start, whatever stands in it. */
struct bf_json_string_end bf_json_string_end(struct bf_json_parser *ps, const char *start);

/* The end of the container at start, which stands within so many others: 0 or an error. */
int bf_json_skim_container(struct bf_json_parser *ps, const char *start, uint32_t depth,
			   const char **ret_end);
