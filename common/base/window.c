/*
 * Window arithmetic. Called by whoever admits, folds or shows a limit. Must never use the C
 * library's calendar, which knows time zones.
 */
#include "common/base/window.h"

#include <string.h>

#include "common/base/err.h"
#include "common/base/macros.h"
#include "common/base/num.h"

#define DAY_MS         INT64_C(86400000)
#define LENGTH_MAX_MS  (100 * 365 * DAY_MS)
#define MONTHS         12
#define MONTHS_QUARTER 3

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;

	return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

/* ---- the calendar: months are counted from January 1970, years begin in March inside, so that the
 * leap day is the last of its year */

/* Days from 1970-01-01 to the first of a month. */
static int64_t days_of_month(int64_t month)
{
	int64_t year = 1970 + floor_div(month, MONTHS);
	int64_t m = month - floor_div(month, MONTHS) * MONTHS; /* 0: January */
	int64_t march_year = m < 2 ? year - 1 : year;
	int64_t march_month = (m + 10) % MONTHS; /* 0: March */
	int64_t leaps =
	    floor_div(march_year, 4) - floor_div(march_year, 100) + floor_div(march_year, 400);

	return march_year * 365 + leaps + (153 * march_month + 2) / 5 - 719468;
}

/* The month that a day lies in: a guess from the mean length, which is at most one too low. */
static int64_t month_of_day(int64_t day)
{
	int64_t month = floor_div(day * 4800, 146097); /* 4800 months in 400 years */

	while (days_of_month(month) > day)
		month--;
	while (days_of_month(month + 1) <= day)
		month++;
	return month;
}

/* Months in a window of this kind, and the month that one of them begins in. */
static void months_of(const struct bf_window *w, int64_t *ret_months, int64_t *ret_first)
{
	*ret_first = 0;
	*ret_months = 1;
	if (w->kind == BF_WINDOW_YEAR) {
		*ret_months = MONTHS;
	} else if (w->kind == BF_WINDOW_QUARTER) {
		*ret_months = MONTHS_QUARTER;
		*ret_first = w->quarter_start_month ? (w->quarter_start_month - 1) % 3 : 0;
	}
}

/* 1970-01-01 was a Thursday: weeks begin three days before it. */
#define WEEK_FIRST_DAY (-3)

int64_t bf_window_index(const struct bf_window *w, int64_t wall_ms)
{
	int64_t day = floor_div(wall_ms, DAY_MS), months, first;

	switch (w->kind) {
	case BF_WINDOW_ROLLING:
		return floor_div(wall_ms - w->anchor_ms, w->length_ms);
	case BF_WINDOW_DAY:
		return day;
	case BF_WINDOW_WEEK:
		return floor_div(day - WEEK_FIRST_DAY, 7);
	case BF_WINDOW_MONTH:
	case BF_WINDOW_QUARTER:
	case BF_WINDOW_YEAR:
		break;
	}
	months_of(w, &months, &first);
	return floor_div(month_of_day(day) - first, months);
}

int64_t bf_window_start_ms(const struct bf_window *w, int64_t index)
{
	int64_t months, first;

	switch (w->kind) {
	case BF_WINDOW_ROLLING:
		return w->anchor_ms + index * w->length_ms;
	case BF_WINDOW_DAY:
		return index * DAY_MS;
	case BF_WINDOW_WEEK:
		return (index * 7 + WEEK_FIRST_DAY) * DAY_MS;
	case BF_WINDOW_MONTH:
	case BF_WINDOW_QUARTER:
	case BF_WINDOW_YEAR:
		break;
	}
	months_of(w, &months, &first);
	return days_of_month(first + index * months) * DAY_MS;
}

/* ---- text */

struct window_unit {
	char letter;
	enum bf_window_kind kind;
	int64_t days;
};

static const struct window_unit units[] = {
    {'d', BF_WINDOW_DAY, 1},      {'w', BF_WINDOW_WEEK, 7},   {'M', BF_WINDOW_MONTH, 30},
    {'Q', BF_WINDOW_QUARTER, 90}, {'Y', BF_WINDOW_YEAR, 365},
};

static const struct {
	const char *name;
	const char *text;
} aliases[] = {{"daily", "1d"}, {"weekly", "1w"}, {"monthly", "1M"}, {"yearly", "1Y"}};

static const struct window_unit *unit_of(struct bf_slice text)
{
	for (size_t i = 0; text.len && i < BF_ARRAY_LEN(units); i++) {
		if (text.ptr[text.len - 1] == units[i].letter)
			return &units[i];
	}
	return NULL;
}

static int parse_days(struct bf_slice text, const struct window_unit *u, bool aligned,
		      struct bf_window *w)
{
	int64_t micro = 0;
	int r = bf_parse_micro((struct bf_slice){text.ptr, text.len - 1}, &micro);

	if (r < 0)
		return r;
	if (micro <= 0 || micro > LENGTH_MAX_MS / (u->days * DAY_MS) * 1000000)
		return BF_E_RANGE;
	/* Millionths of a day are whole tenths of a millisecond: 86.4 ms each. */
	w->length_ms = micro * u->days * (DAY_MS / 1000) / 1000;
	w->kind = aligned ? u->kind : BF_WINDOW_ROLLING;
	return w->length_ms > 0 ? 0 : BF_E_RANGE;
}

int bf_window_parse(struct bf_slice text, bool calendar_aligned, struct bf_window *ret_window)
{
	struct bf_window w = {.kind = BF_WINDOW_ROLLING};
	const struct window_unit *u;
	int r;

	for (size_t i = 0; i < BF_ARRAY_LEN(aliases); i++) {
		if (bf_slice_is(text, aliases[i].name))
			text = bf_slice_from(aliases[i].text);
	}
	u = unit_of(text);
	if (u) {
		r = parse_days(text, u, calendar_aligned, &w);
	} else {
		r = bf_parse_duration_ms(text, &w.length_ms);
		if (r == 0 && (w.length_ms <= 0 || w.length_ms > LENGTH_MAX_MS))
			r = BF_E_RANGE;
		if (r == 0 && calendar_aligned)
			r = BF_E_STATE;
	}
	if (r == 0)
		*ret_window = w;
	return r;
}
