/* Checked parsing of numbers, durations and sizes; all return 0, BF_E_SYNTAX or BF_E_RANGE. And
 * their texts. */
#pragma once

#include <stdint.h>

#include "common/base/slice.h"

int bf_parse_i64(struct bf_slice text, int64_t *ret_value);
int bf_parse_u64(struct bf_slice text, uint64_t *ret_value);

/* "1500ms", "30s", "5m", "2h", "1d", also Go forms such as "1h30m" and "1.5s". No bare numbers.
 * Never negative. */
int bf_parse_duration_ms(struct bf_slice text, int64_t *ret_ms);

/* "512", "64KiB", "64KB", "10MB", "2GB": K/M/G/T with or without B or iB are all powers of 1024. */
int bf_parse_size(struct bf_slice text, uint64_t *ret_bytes);

/* Decimal number such as "0.25" or "1" in millionths; at most 6 decimals, never through floating
 * point. */
int bf_parse_micro(struct bf_slice text, int64_t *ret_micro);

/* Shortest exact text of a duration ("90s", "1500ms", "1h30m0s" is written "90m"). Returns out. */
const char *bf_format_duration_ms(int64_t ms, char out[32]);
const char *bf_format_size(uint64_t bytes, char out[32]);

/* Decimal digits that end before `end`, at most 20, without a terminator. Returns the first. Any
 * context: nothing but these bytes is touched. */
char *bf_format_u64_before(char *end, uint64_t value);

/* Two lower-case hex digits for each byte, without a terminator. Returns where the next byte would
 * go. */
char *bf_format_hex(const uint8_t *bytes, size_t len, char *out);
