/* Windows: every boundary of four centuries against the C library's calendar, texts, lattices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/window.h"

#define DAY_MS INT64_C(86400000)

static struct bf_window parsed(const char *text, bool aligned)
{
	struct bf_window w = {.length_ms = -1};

	assert_int_equal(bf_window_parse(bf_slice_from(text), aligned, &w), 0);
	return w;
}

static int64_t at(int year, int month, int day, int hour)
{
	struct tm tm = {
	    .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour};

	return (int64_t)timegm(&tm) * 1000;
}

/* start(index(t)) <= t < start(index(t) + 1), and both ends belong where they should. */
static void lies_within(const struct bf_window *w, int64_t t)
{
	int64_t i = bf_window_index(w, t);
	int64_t start = bf_window_start_ms(w, i), next = bf_window_start_ms(w, i + 1);

	assert_true(start <= t && t < next);
	assert_int_equal(bf_window_index(w, start), i);
	assert_int_equal(bf_window_index(w, next - 1), i);
	assert_int_equal(bf_window_index(w, next), i + 1);
}

static void months_of_four_centuries(void **state)
{
	struct bf_window month = {.kind = BF_WINDOW_MONTH}, year = {.kind = BF_WINDOW_YEAR};

	(void)state;
	for (int y = 1800; y <= 2300; y++) {
		assert_int_equal(bf_window_start_ms(&year, y - 1970), at(y, 1, 1, 0));
		for (int m = 1; m <= 12; m++) {
			int64_t i = (y - 1970) * 12 + m - 1;
			assert_int_equal(bf_window_start_ms(&month, i), at(y, m, 1, 0));
			lies_within(&month, at(y, m, 1, 0));
			lies_within(&month, at(y, m, 28, 23));
			lies_within(&year, at(y, m, 15, 12));
		}
	}
}

static void weeks_begin_on_monday(void **state)
{
	struct bf_window week = {.kind = BF_WINDOW_WEEK};

	(void)state;
	for (int64_t day = -200000; day < 200000; day += 13) {
		int64_t start = bf_window_start_ms(&week, bf_window_index(&week, day * DAY_MS));
		time_t s = (time_t)(start / 1000);
		struct tm tm;
		assert_non_null(gmtime_r(&s, &tm));
		assert_int_equal(tm.tm_wday, 1);
		assert_int_equal(tm.tm_hour, 0);
		lies_within(&week, day * DAY_MS + 5);
	}
}

static void quarters_begin_where_they_are_told(void **state)
{
	(void)state;
	for (uint32_t first = 0; first <= 12; first++) {
		struct bf_window q = {.kind = BF_WINDOW_QUARTER, .quarter_start_month = first};
		for (int m = 1; m <= 12; m++) {
			int64_t t = at(2026, m, 17, 3);
			time_t s = (time_t)(bf_window_start_ms(&q, bf_window_index(&q, t)) / 1000);
			struct tm tm;
			assert_non_null(gmtime_r(&s, &tm));
			assert_int_equal(tm.tm_mday, 1);
			assert_int_equal((tm.tm_mon + 12 - (int)(first ? first - 1 : 0)) % 3, 0);
			lies_within(&q, t);
		}
	}
}

static void lattices_do_not_drift(void **state)
{
	struct bf_window w = parsed("1h30m", false);

	(void)state;
	assert_int_equal(w.length_ms, 5400000);
	w.anchor_ms = at(2026, 11, 21, 10) + 7;
	assert_int_equal(bf_window_index(&w, w.anchor_ms), 0);
	assert_int_equal(bf_window_index(&w, w.anchor_ms - 1), -1);
	assert_int_equal(bf_window_index(&w, w.anchor_ms + 1000000 * w.length_ms - 1), 999999);
	for (int64_t t = w.anchor_ms - 20000000; t < w.anchor_ms + 20000000; t += 333333)
		lies_within(&w, t);
}

static void texts(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
	    {"30s", 30000},           {"5m", 300000},         {"1h", 3600000},
	    {"1d", DAY_MS},           {"1.5d", 129600000},    {"2w", 14 * DAY_MS},
	    {"1M", 30 * DAY_MS},      {"1Q", 90 * DAY_MS},    {"1Y", 365 * DAY_MS},
	    {"daily", DAY_MS},        {"weekly", 7 * DAY_MS}, {"monthly", 30 * DAY_MS},
	    {"yearly", 365 * DAY_MS}, {"0.5w", 302400000},    {"100Y", 36500 * DAY_MS},
	};
	static const char *const bad[] = {
	    "",      "d",     "-1d", "0d",  "101Y", "1y",   "1D",
	    "month", "Daily", "1 d", "1dd", "0s",   "1e3d", "9999999999999999999d"};
	struct bf_window w;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		w = parsed(good[i].text, false);
		assert_int_equal(w.kind, BF_WINDOW_ROLLING);
		assert_int_equal(w.length_ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(bf_window_parse(bf_slice_from(bad[i]), false, &w) < 0);
}

static void aligned_texts_become_kinds(void **state)
{
	struct bf_window w;

	(void)state;
	assert_int_equal(parsed("1d", true).kind, BF_WINDOW_DAY);
	assert_int_equal(parsed("weekly", true).kind, BF_WINDOW_WEEK);
	assert_int_equal(parsed("3M", true).kind, BF_WINDOW_MONTH);
	assert_int_equal(parsed("1Q", true).kind, BF_WINDOW_QUARTER);
	assert_int_equal(parsed("yearly", true).kind, BF_WINDOW_YEAR);
	assert_int_equal(bf_window_parse(bf_slice_from("1h"), true, &w), BF_E_STATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(months_of_four_centuries),
	    cmocka_unit_test(weeks_begin_on_monday),
	    cmocka_unit_test(quarters_begin_where_they_are_told),
	    cmocka_unit_test(lattices_do_not_drift),
	    cmocka_unit_test(texts),
	    cmocka_unit_test(aligned_texts_become_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
