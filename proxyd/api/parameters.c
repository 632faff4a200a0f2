/*
 * Query strings. Called by every handler of the API. Must refuse what it does not know: a filter
 * that is skipped would show, or change, what nobody asked for.
 */
#include "proxyd/api/parameters.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/base/num.h"
#include "proxyd/gate/query.h"

static int find(const struct api_parameter *table, struct bf_slice name)
{
	for (int i = 0; table && table[i].name; i++) {
		if (bf_slice_is(name, table[i].name))
			return i;
	}
	return -1;
}

static int read_number(const struct api_parameter *p, struct bf_slice text, uint64_t *ret_number,
		       struct bf_err *err)
{
	if (bf_parse_u64(text, ret_number) == 0 && *ret_number >= p->min && *ret_number <= p->max)
		return 0;
	return bf_err_set(err, BF_E_RANGE,
			  "%s: must be a whole number from %" PRIu64 " to %" PRIu64, p->name,
			  p->min, p->max);
}

static int read_flag(const struct api_parameter *p, struct bf_slice text, uint64_t *ret_number,
		     struct bf_err *err)
{
	*ret_number = bf_slice_is(text, "true");
	if (*ret_number || bf_slice_is(text, "false"))
		return 0;
	return bf_err_set(err, BF_E_SYNTAX, "%s: must be true or false", p->name);
}

static int check_text(const struct api_parameter *p, struct bf_slice text, struct bf_err *err)
{
	if (text.len == 0)
		return bf_err_set(err, BF_E_SYNTAX, "%s: is empty: leave it out", p->name);
	if (text.len <= p->max)
		return 0;
	return bf_err_set(err, BF_E_RANGE, "%s: is longer than %" PRIu64 " bytes", p->name, p->max);
}

static int read_value(const struct api_parameter *p, struct bf_slice raw, struct bf_arena *arena,
		      struct api_values *v, unsigned at, struct bf_err *err)
{
	struct bf_slice text;
	int r = percent_decode(raw, true, arena, &text);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return bf_err_set(err, BF_E_SYNTAX, "%s: is not a percent-encoded UTF-8 text",
				  p->name);
	v->items[at].given = true;
	v->items[at].text = text;
	if (p->kind == API_NUMBER)
		return read_number(p, text, &v->items[at].number, err);
	if (p->kind == API_FLAG)
		return read_flag(p, text, &v->items[at].number, err);
	return check_text(p, text, err);
}

static int read_pair(const struct api_parameter *table, struct bf_slice pair,
		     struct bf_arena *arena, struct api_values *v, struct bf_slice *ret_name,
		     struct bf_err *err)
{
	const char *equals = memchr(pair.ptr, '=', pair.len);
	struct bf_slice value = {NULL, 0};
	int at;

	*ret_name = (struct bf_slice){pair.ptr, equals ? (size_t)(equals - pair.ptr) : pair.len};
	if (equals)
		value = (struct bf_slice){equals + 1, pair.len - ret_name->len - 1};
	at = find(table, *ret_name);
	if (at < 0)
		return bf_err_set(err, BF_E_UNKNOWN, "%.*s: this operation has no such parameter",
				  (int)BF_MIN(ret_name->len, 64), ret_name->ptr);
	if (v->items[at].given)
		return bf_err_set(err, BF_E_DUPLICATE, "%s: is given twice", table[at].name);
	return read_value(&table[at], value, arena, v, (unsigned)at, err);
}

/* Is there all that must be? */
static int check_required(const struct api_values *v, struct bf_slice *ret_name, struct bf_err *err)
{
	for (unsigned i = 0; v->table && v->table[i].name; i++) {
		if (!v->table[i].required || v->items[i].given)
			continue;
		*ret_name = bf_slice_from(v->table[i].name);
		return bf_err_set(err, BF_E_MISSING, "%s: is required", v->table[i].name);
	}
	return 0;
}

int api_parameters_read(const struct api_parameter *table, struct bf_slice query,
			struct bf_arena *arena, struct api_values *ret_values,
			struct bf_slice *ret_name, struct bf_err *err)
{
	int r = 0;

	memset(ret_values, 0, sizeof(*ret_values));
	ret_values->table = table;
	for (unsigned i = 0; table && table[i].name; i++)
		ret_values->items[i].number = table[i].dflt;
	while (query.len && r == 0) {
		const char *amp = memchr(query.ptr, '&', query.len);
		size_t len = amp ? (size_t)(amp - query.ptr) : query.len;

		if (len)
			r = read_pair(table, (struct bf_slice){query.ptr, len}, arena, ret_values,
				      ret_name, err);
		query.ptr += len + (amp ? 1 : 0);
		query.len -= len + (amp ? 1 : 0);
	}
	return r == 0 ? check_required(ret_values, ret_name, err) : r;
}

struct bf_slice api_text(const struct api_values *values, const char *name)
{
	int at = find(values->table, bf_slice_from(name));

	return at < 0 ? (struct bf_slice){NULL, 0} : values->items[at].text;
}

uint64_t api_number(const struct api_values *values, const char *name)
{
	int at = find(values->table, bf_slice_from(name));

	return at < 0 ? 0 : values->items[at].number;
}
