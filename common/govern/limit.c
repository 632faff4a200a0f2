/*
 * One limit: its window, its identity, which window a moment lies in. Called for every admission
 * (the epoch), and by plan_owner.c. Must never let an identity depend on what a person may tune,
 * nor on the machine.
 */
#include "common/govern/plan.h"

#include "common/base/macros.h"
#include "common/base/siphash.h"
#include "common/base/wall.h"
#include "common/govern/limit_priv.h"

#define DAY_MS  INT64_C(86400000)
#define ENDLESS 255u

/* They are part of identities. */
_Static_assert(BF_WINDOW_ROLLING == 0 && BF_WINDOW_DAY == 1 && BF_WINDOW_WEEK == 2 &&
		   BF_WINDOW_MONTH == 3 && BF_WINDOW_QUARTER == 4 && BF_WINDOW_YEAR == 5,
	       "the numbers of windows stand in stores");

static uint64_t first_month(const struct bf_window *w)
{
	bool quarters = w->kind == BF_WINDOW_QUARTER && w->quarter_start_month;

	return quarters ? (w->quarter_start_month - 1) % 3 : 0;
}

/* ---- identity */

static const uint8_t identity_key[16] = {'b', 'i', 'f', 'r', 'o', 's', 't', '-',
					 'm', 'e', 't', 'e', 'r', '-', 'i', 'd'};

static uint64_t hash_text(struct bf_slice text)
{
	return bf_siphash(identity_key, text.ptr, text.len);
}

#define WORDS_MAX 8u

/* The same on every machine. */
static uint64_t hash_words(const uint64_t *words, size_t count)
{
	uint8_t bytes[WORDS_MAX * 8];

	for (size_t i = 0; i < count * 8; i++)
		bytes[i] = (uint8_t)(words[i / 8] >> (i % 8 * 8));
	return bf_siphash(identity_key, bytes, count * 8);
}

uint64_t bf_limit_identity(const struct bf_limit *limit)
{
	const struct bf_window *w = &limit->window;
	bool rolling = !limit->endless && w->kind == BF_WINDOW_ROLLING;
	const uint64_t words[] = {
	    hash_text(bf_slice_from(bf_owner_name(limit->owner))),
	    hash_text(limit->owner_id),
	    hash_text(limit->limit_id),
	    (uint64_t)limit->quantity,
	    limit->endless ? ENDLESS : (uint64_t)w->kind,
	    rolling ? (uint64_t)w->length_ms : 0,
	    rolling ? (uint64_t)w->anchor_ms : 0,
	    limit->endless ? 0 : first_month(w),
	};
	uint64_t identity = hash_words(words, BF_ARRAY_LEN(words));

	return identity < 2 ? identity + 2 : identity;
}

uint64_t bf_limit_about(const struct bf_limit *limit)
{
	const struct bf_limit_rows *rows = &limit->rows;
	const uint64_t words[] = {hash_text(rows->virtual_key_id), hash_text(rows->team_id),
				  hash_text(rows->customer_id), hash_text(rows->provider),
				  hash_text(rows->model)};
	uint64_t about = hash_words(words, BF_ARRAY_LEN(words));

	return about ? about : 1;
}

/* ---- windows */

static int parse_window(struct bf_window *w, const struct limit_window *from)
{
	int r = bf_window_parse(from->reset, from->aligned || from->where_possible, w);

	if (r == BF_E_STATE && !from->aligned)
		r = bf_window_parse(from->reset, false, w);
	return r;
}

static int anchor(struct bf_window *w, struct bf_slice last_reset, struct bf_err *err)
{
	int64_t at = 0;

	if (last_reset.len && bf_wall_parse_ms(last_reset, &at) < 0)
		return bf_err_set(err, BF_E_SYNTAX,
				  "\"%.64s\" is no time: write it like 2026-11-21T10:00:00Z",
				  last_reset.ptr);
	/* Every reset of a lattice names the same lattice, and so the same meter. */
	w->anchor_ms = (at % w->length_ms + w->length_ms) % w->length_ms;
	return 0;
}

int limit_window_make(struct bf_limit *limit, const struct limit_window *from, struct bf_err *err)
{
	struct bf_window w;
	int r = parse_window(&w, from);

	if (r == BF_E_STATE)
		return bf_err_set(err, r,
				  "\"%.*s\" is shorter than a day and cannot follow the calendar: "
				  "remove calendar_aligned, or write 1d or more",
				  BF_SLICE_FMT(from->reset));
	if (r < 0)
		return bf_err_set(err, r,
				  "\"%.*s\" is no window: write 30s, 5m, 1h, 1d, 1w, 1M, 1Q, 1Y "
				  "or daily, weekly, monthly, yearly, up to 100 years",
				  BF_SLICE_FMT(from->reset));
	if (w.kind == BF_WINDOW_ROLLING)
		r = anchor(&w, from->last_reset, err);
	else
		w.length_ms = 0;
	if (w.kind == BF_WINDOW_QUARTER)
		w.quarter_start_month = from->quarter_start_month;
	limit->endless = false;
	limit->window = w;
	limit->reset = from->reset;
	return r;
}

/* ---- moments */

int64_t bf_limit_window(const struct bf_limit *limit, int64_t wall_ms)
{
	return limit->endless ? 0 : bf_window_index(&limit->window, wall_ms);
}

uint32_t bf_limit_epoch(const struct bf_limit *limit, int64_t wall_ms)
{
	return (uint32_t)bf_limit_window(limit, wall_ms) & BF_EPOCH_MASK;
}

int64_t bf_window_nearest(int64_t window, uint32_t epoch)
{
	uint32_t apart = (epoch - (uint32_t)window) & BF_EPOCH_MASK;

	return window + (int64_t)apart - (apart > BF_EPOCH_MASK / 2 ? BF_EPOCH_MASK + 1 : 0);
}

int64_t bf_limit_window_of(const struct bf_limit *limit, uint32_t epoch, int64_t wall_ms)
{
	return limit->endless ? 0 : bf_window_nearest(bf_limit_window(limit, wall_ms), epoch);
}

int64_t bf_limit_window_counted(const struct bf_limit *limit, uint32_t meter_epoch, int64_t wall_ms)
{
	int64_t window = bf_limit_window(limit, wall_ms);
	uint32_t ahead = (meter_epoch - (uint32_t)window) & BF_EPOCH_MASK;

	return !limit->endless && ahead <= BF_EPOCH_AHEAD ? window + ahead : window;
}

int64_t bf_limit_window_end_ms(const struct bf_limit *limit, int64_t window)
{
	return limit->endless ? INT64_MAX : bf_window_start_ms(&limit->window, window + 1);
}

int64_t bf_limit_max_at(const struct bf_limit *limit, int64_t wall_ms)
{
	bool holds = wall_ms >= limit->extra_begin_ms && wall_ms < limit->extra_end_ms;

	return limit->max + (holds ? limit->extra : 0);
}

int64_t bf_limit_extra_windows(const struct bf_limit *limit, int64_t wall_ms)
{
	int64_t end_ms = limit->extra_end_ms;

	if (limit->extra == 0 || end_ms == INT64_MAX || wall_ms >= end_ms)
		return 0;
	wall_ms = BF_MAX(wall_ms, limit->extra_begin_ms);
	return bf_limit_window(limit, end_ms - 1) - bf_limit_window(limit, wall_ms) + 1;
}

int64_t bf_limit_ends_ms(const struct bf_limit *limit, int64_t wall_ms)
{
	return bf_limit_window_end_ms(limit, bf_limit_window(limit, wall_ms));
}

int64_t bf_limit_length_ms(const struct bf_limit *limit)
{
	if (limit->endless)
		return INT64_MAX;
	switch (limit->window.kind) {
	case BF_WINDOW_ROLLING:
		return limit->window.length_ms;
	case BF_WINDOW_DAY:
		return DAY_MS;
	case BF_WINDOW_WEEK:
		return 7 * DAY_MS;
	case BF_WINDOW_MONTH:
		return 28 * DAY_MS;
	case BF_WINDOW_QUARTER:
		/* Those of February to April. */
		return (first_month(&limit->window) == 1 ? 89 : 90) * DAY_MS;
	case BF_WINDOW_YEAR:
		break;
	}
	return 365 * DAY_MS;
}

const char *bf_quantity_name(enum bf_quantity quantity)
{
	switch (quantity) {
	case BF_QUANTITY_REQUESTS:
		return "requests";
	case BF_QUANTITY_TOKENS:
		return "tokens";
	case BF_QUANTITY_CONCURRENT:
		return "concurrent_requests";
	case BF_QUANTITY_NUSD:
		return "cost";
	}
	return NULL;
}
