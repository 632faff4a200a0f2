/* Writes JSON into a bf_buf. Sticky error: after the first failure every call is a no-op; check
 * once at the end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

#define BF_JSON_WRITER_DEPTH 64

struct bf_json_writer {
	struct bf_buf *out;
	int error; /* 0 or the first error */
	unsigned depth;
	bool need_comma;
	bool after_key;
	uint8_t stack[BF_JSON_WRITER_DEPTH]; /* '{' or '[' */
};

void bf_jw_init(struct bf_json_writer *w, struct bf_buf *out);
void bf_jw_object(struct bf_json_writer *w);
void bf_jw_end_object(struct bf_json_writer *w);
void bf_jw_array(struct bf_json_writer *w);
void bf_jw_end_array(struct bf_json_writer *w);
void bf_jw_key(struct bf_json_writer *w, const char *key);
void bf_jw_key_slice(struct bf_json_writer *w, struct bf_slice key);
/* Invalid UTF-8 is replaced by U+FFFD; control characters are escaped. */
void bf_jw_string(struct bf_json_writer *w, struct bf_slice text);
void bf_jw_cstr(struct bf_json_writer *w, const char *text);
void bf_jw_i64(struct bf_json_writer *w, int64_t value);
void bf_jw_u64(struct bf_json_writer *w, uint64_t value);
void bf_jw_bool(struct bf_json_writer *w, bool value);
void bf_jw_null(struct bf_json_writer *w);
/* Millionths as a decimal number without exponent ("0.25"). */
void bf_jw_micro(struct bf_json_writer *w, int64_t micro);
/* Bytes that are already JSON. */
void bf_jw_raw(struct bf_json_writer *w, struct bf_slice json);
/* 0 when all containers are closed and nothing failed. */
int bf_jw_finish(struct bf_json_writer *w);
