/* Decimal numbers as integers of 10^-decimals: money, weights. Never through floating point. */
#pragma once

#include <stdint.h>

#include "common/base/slice.h"

#define BF_DECIMALS_MAX  18u
#define BF_DECIMAL_BYTES 32u

/*
 * "0.25", "1", "1.5e-07". BF_E_SYNTAX; BF_E_TYPE for more decimals than that (zeros at the end do
 * not count); BF_E_RANGE.
 */
int bf_decimal_parse(struct bf_slice text, unsigned decimals, int64_t *ret_value);

/*
 * The same for numbers that others wrote, with digits that no such integer has: rounded half up;
 * BF_E_TYPE where that makes 0 of what is more.
 */
int bf_decimal_parse_nearest(struct bf_slice text, unsigned decimals, int64_t *ret_value);

/* Shortest exact text, without an exponent. Returns out. */
const char *bf_decimal_format(int64_t value, unsigned decimals, char out[BF_DECIMAL_BYTES]);
