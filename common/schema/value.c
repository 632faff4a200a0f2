/*
 * One scalar: its bounds and the way from text to a C value. Called by the YAML decoder and for the
 * defaults of tables; the msgpack decoder shares the bounds. Must never show the text of a secret
 * or of a resolved reference.
 */
#include "common/schema/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/base/wall.h"
#include "common/schema/decimal.h"

bool bf_field_admits_i64(const struct bf_field *f, int64_t value)
{
	if (f->min == 0 && f->max == 0)
		return true;
	return value >= f->min && value <= f->max;
}

bool bf_field_admits_u64(const struct bf_field *f, uint64_t value)
{
	if (f->min == 0 && f->max == 0)
		return true;
	return value <= INT64_MAX && bf_field_admits_i64(f, (int64_t)value);
}

bool bf_field_admits_len(const struct bf_field *f, size_t len)
{
	return f->max <= 0 || len <= (uint64_t)f->max;
}

int32_t bf_field_choice(const struct bf_field *f, struct bf_slice text)
{
	for (int32_t i = 0; f->choices && f->choices[i]; i++)
		if (bf_slice_is(text, f->choices[i]))
			return i;
	return -1;
}

static bool is_any_of(struct bf_slice text, const char *const *words)
{
	for (; *words; words++)
		if (bf_slice_is(text, *words))
			return true;
	return false;
}

static const char *const true_words[] = {"true", "True", "TRUE", NULL};
static const char *const false_words[] = {"false", "False", "FALSE", NULL};
static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const float_words[] = {".inf", "-.inf", "+.inf", ".nan", ".Inf", "-.Inf",
					  ".NaN", ".INF",  "-.INF", ".NAN", NULL};

static bool looks_numeric(struct bf_slice text)
{
	size_t i = 0, digits = 0;

	if (i < text.len && (text.ptr[i] == '-' || text.ptr[i] == '+'))
		i++;
	for (; i < text.len && ((text.ptr[i] >= '0' && text.ptr[i] <= '9') || text.ptr[i] == '.');
	     i++)
		digits += text.ptr[i] != '.';
	if (digits && i < text.len && (text.ptr[i] == 'e' || text.ptr[i] == 'E')) {
		size_t exponent = 0;

		i++;
		if (i < text.len && (text.ptr[i] == '-' || text.ptr[i] == '+'))
			i++;
		for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
			exponent++;
		return exponent > 0 && i == text.len;
	}
	size_t dots = 0;
	for (size_t k = 0; k < i; k++)
		dots += text.ptr[k] == '.';
	/* 10.0.0.1 and 1.2.3 are text. */
	return digits > 0 && dots <= 1 && i == text.len;
}

const char *bf_plain_kind(struct bf_slice text)
{
	if (is_any_of(text, null_words))
		return "null";
	if (is_any_of(text, true_words) || is_any_of(text, false_words))
		return "a boolean";
	if (is_any_of(text, float_words) || looks_numeric(text))
		return "a number";
	return NULL;
}

static void format_bound(const struct bf_field *f, int64_t bound, char out[32])
{
	if (f->type == BF_T_DURATION)
		(void)bf_format_duration_ms(bound, out);
	else if (f->type == BF_T_SIZE)
		(void)bf_format_size((uint64_t)bound, out);
	else
		(void)bf_decimal_format(bound, f->type == BF_T_DECIMAL ? f->decimals : 0, out);
}

const char *bf_bounds_text(const struct bf_field *f, char out[96])
{
	char low[32], high[32];

	out[0] = '\0';
	if (f->type > BF_T_DECIMAL || f->type == BF_T_BOOL || (f->min == 0 && f->max == 0))
		return out;
	format_bound(f, f->min, low);
	format_bound(f, f->max, high);
	(void)snprintf(out, 96, "from %s to %s", low, high);
	return out;
}

/* What stood there, for the end of a message; empty for what must not be shown. */
static const char *shown(const struct bf_field *f, struct bf_slice text, enum bf_text_style style,
			 char out[80])
{
	out[0] = '\0';
	if (f->type == BF_T_SECRET || style == BF_TEXT_RESOLVED)
		return out;
	if (text.len > 48)
		(void)snprintf(out, 80, ", not \"%.45s...\"", text.ptr);
	else
		(void)snprintf(out, 80, ", not \"%.*s\"", BF_SLICE_FMT(text));
	return out;
}

struct parse {
	const struct bf_field *f;
	struct bf_slice text;
	enum bf_text_style style;
	struct bf_err *err;
};

/* Only where the quotes are what is wrong. */
static int wrong_type(const struct parse *p, const char *wanted)
{
	char seen[80];
	bool is_bare = p->f->type != BF_T_DURATION && p->f->type != BF_T_SIZE;

	return bf_err_set(p->err, BF_E_TYPE, "must be %s%s%s", wanted,
			  shown(p->f, p->text, p->style, seen),
			  is_bare && p->style == BF_TEXT_QUOTED ? " in quotes" : "");
}

static int out_of_range(const struct parse *p)
{
	char seen[80], bounds[96];

	(void)bf_bounds_text(p->f, bounds);
	return bf_err_set(p->err, BF_E_RANGE, "must be %s%s", bounds[0] ? bounds : "smaller",
			  shown(p->f, p->text, p->style, seen));
}

static int parse_bool(const struct parse *p, void *slot)
{
	bool value = is_any_of(p->text, true_words);

	if (p->style == BF_TEXT_QUOTED || (!value && !is_any_of(p->text, false_words)))
		return wrong_type(p, "true or false");
	*(bool *)slot = value;
	return 0;
}

static int parse_tristate(const struct parse *p, void *slot)
{
	bool value = false;
	int r = parse_bool(p, &value);

	if (r == 0)
		*(int32_t *)slot = value ? BF_TRI_TRUE : BF_TRI_FALSE;
	return r;
}

static int parse_time(const struct parse *p, void *slot)
{
	int64_t value = 0;

	/* 0 stands for a time that was not given. */
	if (bf_wall_parse_ms(p->text, &value) < 0 || value <= 0)
		return wrong_type(p, "a time such as 2026-11-21T10:00:00Z");
	*(int64_t *)slot = value;
	return 0;
}

static int parse_i64(const struct parse *p, void *slot)
{
	int64_t value = 0;
	int r;

	r = bf_parse_i64(p->text, &value);
	if (p->style == BF_TEXT_QUOTED || r == BF_E_SYNTAX)
		return wrong_type(p, "a whole number");
	if (r < 0 || !bf_field_admits_i64(p->f, value))
		return out_of_range(p);
	*(int64_t *)slot = value;
	return 0;
}

static int parse_decimal(const struct parse *p, void *slot)
{
	char wanted[64];
	int64_t value = 0;
	int r = bf_decimal_parse(p->text, p->f->decimals, &value);

	(void)snprintf(wanted, sizeof(wanted), "a decimal number with at most %u decimals",
		       p->f->decimals);
	if (p->style == BF_TEXT_QUOTED || r == BF_E_SYNTAX || r == BF_E_TYPE)
		return wrong_type(p, wanted);
	if (r < 0 || !bf_field_admits_i64(p->f, value))
		return out_of_range(p);
	*(int64_t *)slot = value;
	return 0;
}

static int parse_u64(const struct parse *p, void *slot)
{
	uint64_t value = 0;
	int r = bf_parse_u64(p->text, &value);

	if (p->style == BF_TEXT_QUOTED)
		return wrong_type(p, "a whole number");
	if (r == BF_E_SYNTAX && p->text.len && p->text.ptr[0] == '-' && looks_numeric(p->text))
		return out_of_range(p);
	if (r == BF_E_SYNTAX)
		return wrong_type(p, "a whole number");
	if (r < 0 || !bf_field_admits_u64(p->f, value))
		return out_of_range(p);
	*(uint64_t *)slot = value;
	return 0;
}

/* A bare number counts units; 0 when text is none. */
static int scale_bare(const struct parse *p, uint64_t *ret_value)
{
	uint64_t bare = 0;
	int r = bf_parse_u64(p->text, &bare);

	if (r == BF_E_SYNTAX)
		return r;
	if (p->f->unit == 0 && bare != 0)
		return BF_E_TYPE;
	if (r < 0 || (p->f->unit && bare > INT64_MAX / (uint64_t)p->f->unit))
		return BF_E_RANGE;
	*ret_value = bare * (uint64_t)p->f->unit;
	return 0;
}

static int parse_duration(const struct parse *p, void *slot)
{
	uint64_t scaled = 0;
	int64_t value = 0;
	int r = scale_bare(p, &scaled);

	if (r == 0)
		value = (int64_t)scaled;
	else if (r == BF_E_SYNTAX)
		r = bf_parse_duration_ms(p->text, &value);
	if (r == BF_E_TYPE)
		return wrong_type(p, "a duration with its unit, such as 30s or 500ms");
	if (r == BF_E_SYNTAX)
		return wrong_type(p, "a duration such as 30s, 500ms or 5m");
	if (r < 0 || !bf_field_admits_i64(p->f, value))
		return out_of_range(p);
	*(int64_t *)slot = value;
	return 0;
}

static int parse_size(const struct parse *p, void *slot)
{
	uint64_t value = 0;
	int r = scale_bare(p, &value);

	if (r == BF_E_SYNTAX)
		r = bf_parse_size(p->text, &value);
	if (r == BF_E_TYPE)
		return wrong_type(p, "a size with its unit, such as 64KB or 10MB");
	if (r == BF_E_SYNTAX)
		return wrong_type(p, "a size such as 64KB or 10MB");
	if (r < 0 || !bf_field_admits_u64(p->f, value))
		return out_of_range(p);
	*(uint64_t *)slot = value;
	return 0;
}

static int parse_string(const struct parse *p, struct bf_arena *arena, void *slot)
{
	const char *kind = p->style == BF_TEXT_PLAIN ? bf_plain_kind(p->text) : NULL;

	if (kind)
		return bf_err_set(p->err, BF_E_TYPE, "must be a string, not %s: put it in quotes",
				  kind);
	if (p->text.len && memchr(p->text.ptr, '\0', p->text.len))
		return bf_err_set(p->err, BF_E_SYNTAX, "must not contain a zero byte");
	if (!bf_field_admits_len(p->f, p->text.len))
		return bf_err_set(p->err, BF_E_RANGE,
				  "must have at most %" PRId64 " bytes, not %zu", p->f->max,
				  p->text.len);
	struct bf_slice copy = bf_arena_dup(arena, p->text);
	if (!copy.ptr)
		return bf_err_set(p->err, -ENOMEM, "does not fit into memory");
	*(struct bf_slice *)slot = copy;
	return 0;
}

static int parse_enum(const struct parse *p, void *slot)
{
	char list[256] = "";
	size_t used = 0;
	int32_t index = bf_field_choice(p->f, p->text);

	if (index >= 0) {
		*(int32_t *)slot = index;
		return 0;
	}
	for (int32_t i = 0; p->f->choices && p->f->choices[i]; i++) {
		int n = snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
				 p->f->choices[i]);
		if (n < 0 || (size_t)n >= sizeof(list) - used)
			break;
		used += (size_t)n;
	}
	char seen[80];
	return bf_err_set(p->err, BF_E_UNKNOWN, "must be %s%s%s",
			  p->f->choices && p->f->choices[1] ? "one of " : "", list,
			  shown(p->f, p->text, p->style, seen));
}

int bf_value_parse(const struct bf_field *f, struct bf_slice text, enum bf_text_style style,
		   void *slot, struct bf_arena *arena, struct bf_err *err)
{
	struct parse p = {f, text, style, err};

	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		return parse_bool(&p, slot);
	case BF_T_INT:
		return parse_i64(&p, slot);
	case BF_T_DECIMAL:
		return parse_decimal(&p, slot);
	case BF_T_UINT:
		return parse_u64(&p, slot);
	case BF_T_DURATION:
		return parse_duration(&p, slot);
	case BF_T_SIZE:
		return parse_size(&p, slot);
	case BF_T_TIME:
		return parse_time(&p, slot);
	case BF_T_TRISTATE:
		return parse_tristate(&p, slot);
	case BF_T_STRING:
	case BF_T_SECRET:
		return parse_string(&p, arena, slot);
	case BF_T_ENUM:
		return parse_enum(&p, slot);
	case BF_T_BYTES:
	case BF_T_STRINGS:
	case BF_T_OBJECT:
	case BF_T_LIST:
	case BF_T_MAP:
	case BF_T_PAIRS:
	case BF_T_COUNT:
		break;
	}
	return bf_err_set(err, BF_E_STATE, "is not a single value");
}
