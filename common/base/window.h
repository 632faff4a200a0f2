/*
 * Windows of limits: which one a moment lies in, when it began and when it ends. Pure, UTC, integer
 * milliseconds since 1970. Every process and node must come to the same number, so nothing here
 * looks at a clock or at a time zone.
 *
 * Two kinds. Rolling: anchor + k x length, on a lattice that never drifts. Calendar: days, weeks
 * from Monday, months, quarters (from a month of choice), years.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

enum bf_window_kind {
	BF_WINDOW_ROLLING,
	BF_WINDOW_DAY,
	BF_WINDOW_WEEK,
	BF_WINDOW_MONTH,
	BF_WINDOW_QUARTER,
	BF_WINDOW_YEAR,
};

struct bf_window {
	enum bf_window_kind kind;
	int64_t length_ms;            /* rolling; at least 1 */
	int64_t anchor_ms;            /* rolling; where window 0 begins */
	uint32_t quarter_start_month; /* quarters: 1..12, a month in which one begins; 0: January */
};

/*
 * A reset_duration: Go's form below a day ("30s", "1h30m"), or a number, perhaps with decimals, of
 * d (24 h), w, M (30 days), Q (90 days), Y (365 days); or daily, weekly, monthly, yearly. Aligned
 * to the calendar it becomes a kind of its own, whose number does not count; shorter than a day it
 * cannot be aligned. BF_E_SYNTAX, BF_E_RANGE (none, or above 100 years), BF_E_STATE (aligned and
 * too short).
 */
int bf_window_parse(struct bf_slice text, bool calendar_aligned, struct bf_window *ret_window);

/* Meters and rows name a window by its epoch, the low bits of its index. A meter whose epoch is at
 * most so many windows ahead of a clock goes on with it: the clock was set back. */
#define BF_EPOCH_BITS  24
#define BF_EPOCH_MASK  ((1u << BF_EPOCH_BITS) - 1)
#define BF_EPOCH_AHEAD 16u

/* The window of a moment; counts up with time, negative before the anchor. */
int64_t bf_window_index(const struct bf_window *w, int64_t wall_ms);
/* Its first millisecond; it ends where the next begins. */
int64_t bf_window_start_ms(const struct bf_window *w, int64_t index);
