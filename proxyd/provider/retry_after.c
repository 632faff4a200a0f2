/*
 * Retry-After: delta-seconds, or the one date form that is sent today (RFC 9110: IMF-fixdate).
 * Called when the head of an answer is complete. Must never use the process's time zone or locale.
 */
#include "proxyd/provider/retry_after.h"

#include <stdbool.h>

#include "common/base/macros.h"
#include "common/base/num.h"

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
#define DATE_LEN 29u

static unsigned bounded(int64_t seconds)
{
	return (unsigned)BF_MIN(BF_MAX(seconds, (int64_t)0), (int64_t)RETRY_AFTER_MAX_S);
}

/* count digits at at; -1: not digits. */
static int64_t date_number(const char *at, size_t count)
{
	int64_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (at[i] < '0' || at[i] > '9')
			return -1;
		n = n * 10 + (at[i] - '0');
	}
	return n;
}

static int64_t date_month(const char *at)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int64_t m = 0; m < 12; m++) {
		if (memcmp(at, names + 3 * m, 3) == 0)
			return m + 1;
	}
	return -1;
}

/* Days since 1970-01-01 of a Gregorian date: years counted from March, so that leap days come last.
 */
static int64_t date_days(int64_t year, int64_t month, int64_t day)
{
	year -= month <= 2;
	int64_t era = year / 400, of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool date_read(struct bf_slice v, int64_t *ret_wall_s)
{
	if (v.len != DATE_LEN || memcmp(v.ptr + 3, ", ", 2) != 0 ||
	    memcmp(v.ptr + 25, " GMT", 4) != 0 || v.ptr[7] != ' ' || v.ptr[11] != ' ' ||
	    v.ptr[16] != ' ' || v.ptr[19] != ':' || v.ptr[22] != ':')
		return false;
	int64_t day = date_number(v.ptr + 5, 2), month = date_month(v.ptr + 8);
	int64_t year = date_number(v.ptr + 12, 4), hour = date_number(v.ptr + 17, 2);
	int64_t minute = date_number(v.ptr + 20, 2), second = date_number(v.ptr + 23, 2);
	if (day < 1 || day > 31 || month < 0 || year < 1970 || hour < 0 || hour > 23 ||
	    minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	*ret_wall_s = date_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return true;
}

unsigned retry_after_seconds(struct bf_slice value, int64_t now_wall_s)
{
	uint64_t seconds = 0;
	int64_t at_wall_s = 0;

	if (bf_parse_u64(value, &seconds) == 0)
		return bounded((int64_t)BF_MIN(seconds, (uint64_t)RETRY_AFTER_MAX_S));
	return date_read(value, &at_wall_s) ? bounded(at_wall_s - now_wall_s) : 0;
}

unsigned retry_after_ms_seconds(struct bf_slice value)
{
	uint64_t ms = 0;

	if (bf_parse_u64(value, &ms) < 0)
		return 0;
	return bounded((int64_t)BF_MIN(ms / 1000 + (ms % 1000 != 0), (uint64_t)RETRY_AFTER_MAX_S));
}
