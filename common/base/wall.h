/* Points in time as people and other programs write them. No time zone but the one in the text. */
#pragma once

#include <stdint.h>

#include "common/base/slice.h"

/*
 * RFC 3339: "2026-11-21T10:00:00Z", "...+01:00", with or without a fraction (beyond milliseconds it
 * is cut), from 1970 to 9999; a leap second counts as the next minute's first. BF_E_SYNTAX, also
 * for days that no calendar has.
 */
int bf_wall_parse_ms(struct bf_slice text, int64_t *ret_wall_ms);
