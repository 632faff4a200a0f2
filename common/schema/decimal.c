/*
 * Decimal numbers. Called for values of BF_T_DECIMAL and for the documents that show their bounds.
 * Must never round: what cannot be kept as it was written is refused.
 */
#include "common/schema/decimal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/base/macros.h"

#define EXPONENT_MAX 9999

struct reading {
	struct bf_slice text;
	size_t at;
};

static bool next_is(struct reading *in, char c)
{
	if (in->at == in->text.len || in->text.ptr[in->at] != c)
		return false;
	in->at++;
	return true;
}

static bool at_digit(const struct reading *in)
{
	return in->at < in->text.len && in->text.ptr[in->at] >= '0' && in->text.ptr[in->at] <= '9';
}

/* What was read of the digits: a number up to the last that is not 0, and what came after it. */
struct mantissa {
	uint64_t value;
	int64_t zeros;   /* after it */
	bool over;       /* there are more digits than it holds: */
	int64_t dropped; /* so many behind it, of whatever value */
};

static void take(struct mantissa *m, char digit)
{
	uint64_t value = m->value;

	if (m->over) {
		m->dropped++;
		return;
	}
	if (digit == '0') {
		m->zeros++;
		return;
	}
	for (int64_t i = 0; i <= m->zeros && value && !m->over; i++)
		m->over = __builtin_mul_overflow(value, UINT64_C(10), &value);
	m->over = m->over || __builtin_add_overflow(value, (uint64_t)(digit - '0'), &value);
	if (m->over)
		m->dropped = m->zeros + 1;
	else
		m->value = value;
	m->zeros = 0;
}

static size_t read_digits(struct reading *in, struct mantissa *m)
{
	size_t count = 0;

	for (; at_digit(in); in->at++, count++)
		take(m, in->text.ptr[in->at]);
	return count;
}

static int read_exponent(struct reading *in, int64_t *ret_exponent)
{
	bool negative = next_is(in, '-');
	int64_t value = 0;

	if (!negative)
		(void)next_is(in, '+');
	if (!at_digit(in))
		return BF_E_SYNTAX;
	for (; at_digit(in); in->at++)
		if (value <= EXPONENT_MAX)
			value = value * 10 + (in->text.ptr[in->at] - '0');
	*ret_exponent = negative ? -value : value;
	return 0;
}

/* The number that ends shift digits to the left of the last one kept. */
static int scale(const struct mantissa *m, int64_t shift, bool negative, int64_t *ret_value)
{
	uint64_t value = m->value;

	if (m->value == 0 && !m->over) {
		*ret_value = 0;
		return 0;
	}
	if (shift < 0)
		return BF_E_TYPE;
	if (m->over)
		return BF_E_RANGE;
	for (int64_t i = 0; i < shift; i++)
		if (__builtin_mul_overflow(value, UINT64_C(10), &value))
			return BF_E_RANGE;
	if (value > INT64_MAX)
		return BF_E_RANGE;
	*ret_value = negative ? -(int64_t)value : (int64_t)value;
	return 0;
}

/* A decimal number: digits times 10^shift. */
struct decimal {
	struct mantissa m;
	int64_t shift;
	bool negative;
};

static int read_decimal(struct bf_slice text, struct decimal *ret)
{
	struct reading in = {.text = text};
	struct mantissa m = {.value = 0};
	int64_t exponent = 0, point = 0;
	bool negative = next_is(&in, '-');
	size_t digits = read_digits(&in, &m);

	if (digits == 0 || (digits > 1 && text.ptr[in.at - digits] == '0'))
		return BF_E_SYNTAX;
	if (next_is(&in, '.')) {
		size_t behind = read_digits(&in, &m);

		if (behind == 0)
			return BF_E_SYNTAX;
		point = (int64_t)behind;
	}
	if ((next_is(&in, 'e') || next_is(&in, 'E')) && read_exponent(&in, &exponent) < 0)
		return BF_E_SYNTAX;
	if (in.at != text.len)
		return BF_E_SYNTAX;
	*ret = (struct decimal){m, m.zeros - point + exponent, negative};
	return 0;
}

int bf_decimal_parse(struct bf_slice text, unsigned decimals, int64_t *ret_value)
{
	struct decimal d;
	int r = read_decimal(text, &d);

	return r < 0 ? r : scale(&d.m, d.shift + (int64_t)decimals, d.negative, ret_value);
}

int bf_decimal_parse_nearest(struct bf_slice text, unsigned decimals, int64_t *ret_value)
{
	struct decimal d = {.shift = 0};
	int r = read_decimal(text, &d);
	int64_t shift = d.shift + d.m.dropped + (int64_t)decimals;
	bool half = false, some = d.m.value != 0, cut = shift < 0;

	if (r < 0)
		return r;
	for (; shift < 0 && d.m.value; shift++) {
		half = d.m.value % 10 >= 5;
		d.m.value /= 10;
	}
	/* What does not even reach the place behind the last one is no half of it. */
	d.m.value += half && shift == 0;
	if (some && d.m.value == 0)
		return BF_E_TYPE;
	/* Digits that were dropped are all behind those that were cut off. */
	d.m.over = d.m.over && !cut;
	return scale(&d.m, BF_MAX(shift, (int64_t)0), d.negative, ret_value);
}

const char *bf_decimal_format(int64_t value, unsigned decimals, char out[BF_DECIMAL_BYTES])
{
	uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value, unit = 1;
	unsigned shown = decimals;

	for (; shown > 0 && magnitude % 10 == 0; shown--)
		magnitude /= 10;
	for (unsigned i = 0; i < shown; i++)
		unit *= 10;
	if (shown)
		(void)snprintf(out, BF_DECIMAL_BYTES, "%s%" PRIu64 ".%0*" PRIu64,
			       value < 0 ? "-" : "", magnitude / unit, (int)shown,
			       magnitude % unit);
	else
		(void)snprintf(out, BF_DECIMAL_BYTES, "%s%" PRIu64, value < 0 ? "-" : "",
			       magnitude);
	return out;
}
