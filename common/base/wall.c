/*
 * Points in time. Called for the anchors of limits and for questions about rows. Must never depend
 * on a time zone of this machine.
 */
#include "common/base/wall.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/err.h"

struct cursor {
	struct bf_slice text;
	size_t at;
	bool bad;
};

static int64_t digits(struct cursor *c, size_t count, int64_t least, int64_t most)
{
	int64_t value = 0;

	for (size_t i = 0; i < count; i++, c->at++) {
		char ch = c->at < c->text.len ? c->text.ptr[c->at] : 'x';

		if (ch < '0' || ch > '9') {
			c->bad = true;
			return 0;
		}
		value = value * 10 + (ch - '0');
	}
	if (value < least || value > most)
		c->bad = true;
	return value;
}

static bool next_is(struct cursor *c, const char *any)
{
	if (c->at < c->text.len && strchr(any, c->text.ptr[c->at]) && c->text.ptr[c->at]) {
		c->at++;
		return true;
	}
	return false;
}

static void need(struct cursor *c, const char *any)
{
	if (!next_is(c, any))
		c->bad = true;
}

/* Days since 1970-01-01 (Howard Hinnant's days_from_civil). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400, yoe = y % 400;
	int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int64_t days_in(int64_t year, int64_t month)
{
	static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

static int64_t fraction_ms(struct cursor *c)
{
	int64_t ms = 0, unit = 100;

	if (!next_is(c, "."))
		return 0;
	if (c->at >= c->text.len || !strchr("0123456789", c->text.ptr[c->at]))
		c->bad = true;
	while (next_is(c, "0123456789")) {
		ms += unit * (c->text.ptr[c->at - 1] - '0');
		unit /= 10;
	}
	return ms;
}

static int64_t zone_ms(struct cursor *c)
{
	int64_t sign, hours, minutes;

	if (next_is(c, "Zz"))
		return 0;
	sign = next_is(c, "-") ? -1 : 1;
	if (sign > 0)
		need(c, "+");
	hours = digits(c, 2, 0, 23);
	need(c, ":");
	minutes = digits(c, 2, 0, 59);
	return sign * (hours * 60 + minutes) * 60000;
}

int bf_wall_parse_ms(struct bf_slice text, int64_t *ret_wall_ms)
{
	struct cursor c = {.text = text};
	int64_t year, month, day, hour, minute, second, ms;

	year = digits(&c, 4, 1970, 9999);
	need(&c, "-");
	month = digits(&c, 2, 1, 12);
	need(&c, "-");
	day = digits(&c, 2, 1, 31);
	need(&c, "Tt ");
	hour = digits(&c, 2, 0, 23);
	need(&c, ":");
	minute = digits(&c, 2, 0, 59);
	need(&c, ":");
	second = digits(&c, 2, 0, 60);
	ms = fraction_ms(&c);
	ms -= zone_ms(&c);
	if (c.bad || c.at != text.len || day > days_in(year, month))
		return BF_E_SYNTAX;
	*ret_wall_ms =
	    ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60000 + second * 1000 + ms;
	return 0;
}
