/*
 * Parameters of a search. Called by logs.c. Must refuse what it does not know: a filter that is
 * skipped would show rows that nobody asked for.
 */
#include "proxyd/gate/logs_query.h"

#include <errno.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/base/num.h"
#include "common/base/rand.h"
#include "common/codec/utf8.h"

struct reading {
	struct bf_arena *arena;
	struct bf_msg_logs_query *q;
	int64_t now_ms;
	struct bf_err *err;
};

struct parameter {
	const char *name;
	size_t offset; /* in struct bf_msg_logs_query */
	int (*read)(const struct reading *in, const struct parameter *p, struct bf_slice value);
	bool repeats; /* may be given more than once */
};

static void *place(const struct reading *in, const struct parameter *p)
{
	return (char *)in->q + p->offset;
}

static int no(const struct reading *in, const struct parameter *p, const char *how)
{
	return bf_err_set(in->err, BF_E_SYNTAX, "%s: %s", p->name, how);
}

static int hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch = (char)(ch | 0x20);
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* Percent signs undone, and pluses where they stand for spaces. */
static int decode(struct bf_arena *arena, struct bf_slice in, bool pluses,
		  struct bf_slice *ret_text)
{
	char *out = bf_arena_alloc(arena, in.len + 1);
	size_t n = 0;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < in.len; i++) {
		char ch = in.ptr[i];

		if (ch == '%') {
			int high = i + 2 < in.len ? hex_digit(in.ptr[i + 1]) : -1;
			int low = i + 2 < in.len ? hex_digit(in.ptr[i + 2]) : -1;

			if (high < 0 || low < 0)
				return BF_E_SYNTAX;
			ch = (char)(high << 4 | low);
			i += 2;
		} else if (pluses && ch == '+') {
			ch = ' ';
		}
		if (ch == '\0')
			return BF_E_SYNTAX;
		out[n++] = ch;
	}
	out[n] = '\0';
	*ret_text = (struct bf_slice){out, n};
	return bf_utf8_valid(out, n) ? 0 : BF_E_SYNTAX;
}

static int add(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	struct bf_array *list = place(in, p);
	struct bf_slice *items = list->items;

	if (value.len == 0)
		return no(in, p, "holds an empty value: separate values by one comma");
	if (value.len > BF_LOGS_MAX_TEXT)
		return no(in, p, "holds a value longer than 256 bytes");
	if (list->count == BF_LOGS_MAX_VALUES)
		return no(in, p, "more than 32 values");
	if (!items)
		items = bf_arena_alloc(in->arena, BF_LOGS_MAX_VALUES * sizeof(*items));
	if (!items)
		return -ENOMEM;
	items[list->count++] = value;
	list->items = items;
	return 0;
}

static int read_list(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	int r = 0;

	while (r == 0) {
		const char *comma = value.len ? memchr(value.ptr, ',', value.len) : NULL;
		size_t len = comma ? (size_t)(comma - value.ptr) : value.len;

		r = add(in, p, (struct bf_slice){value.ptr, len});
		if (!comma)
			break;
		value.ptr += len + 1;
		value.len -= len + 1;
	}
	return r;
}

static int read_status(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	int r = read_list(in, p, value);
	const struct bf_slice *items = in->q->status.items;

	for (uint32_t i = 0; r == 0 && i < in->q->status.count; i++) {
		if (!bf_slice_is(items[i], "success") && !bf_slice_is(items[i], "error") &&
		    !bf_slice_is(items[i], "processing"))
			r = no(in, p, "must be success, error or processing");
	}
	return r;
}

static int read_text(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	if (value.len == 0)
		return no(in, p, "is empty: leave it out");
	if (value.len > BF_LOGS_MAX_TEXT)
		return no(in, p, "longer than 256 bytes");
	*(struct bf_slice *)place(in, p) = value;
	return 0;
}

static int read_time(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	if (logs_time_parse(value, place(in, p)) < 0)
		return no(in, p,
			  "is no time: write 2026-11-21T10:00:00Z, or seconds or milliseconds "
			  "since 1970");
	return 0;
}

static int read_period(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	int64_t ms;

	if (bf_parse_duration_ms(value, &ms) < 0 || ms == 0 || ms > in->now_ms)
		return no(in, p, "is no duration: write 15m, 24h or 7d");
	if (in->q->start_ms != BF_LOGS_ANY)
		return no(in, p, "and start_time both say where to begin: give one of them");
	in->q->start_ms = in->now_ms - ms;
	return 0;
}

/* Decimal, in thousandths of what it counts. */
static int read_milli(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	int64_t micro;

	if (bf_parse_micro(value, &micro) < 0 || micro < 0)
		return no(in, p, "must be a number of milliseconds, such as 250 or 0.5");
	*(int64_t *)place(in, p) = micro / 1000;
	return 0;
}

static int read_money(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	int64_t micro;

	if (bf_parse_micro(value, &micro) < 0 || micro < 0 || micro > INT64_MAX / 1000)
		return no(in, p, "must be dollars with at most 6 decimals, such as 0.05");
	*(int64_t *)place(in, p) = micro * 1000;
	return 0;
}

static int read_count(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	int64_t n;

	if (bf_parse_i64(value, &n) < 0 || n < 0)
		return no(in, p, "must be a whole number, 0 or more");
	*(int64_t *)place(in, p) = n;
	return 0;
}

static int read_offset(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	uint64_t n;

	if (bf_parse_u64(value, &n) < 0 || n > INT64_MAX)
		return no(in, p, "must be a whole number, 0 or more");
	in->q->offset = n;
	return 0;
}

static int read_limit(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	uint64_t n;

	if (bf_parse_u64(value, &n) < 0 || n == 0 || n > BF_LOGS_MAX_LIMIT)
		return no(in, p, "must be a whole number from 1 to 1000");
	in->q->limit = n;
	return 0;
}

static int read_sort(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	for (int32_t i = 0; bf_logs_sorts[i]; i++) {
		if (bf_slice_is(value, bf_logs_sorts[i])) {
			in->q->sort_by = i;
			return 0;
		}
	}
	return no(in, p, "must be timestamp, latency, tokens or cost");
}

static int read_order(const struct reading *in, const struct parameter *p, struct bf_slice value)
{
	in->q->ascending = bf_slice_is(value, "asc");
	if (!in->q->ascending && !bf_slice_is(value, "desc"))
		return no(in, p, "must be asc or desc");
	return 0;
}

#define AT(member) offsetof(struct bf_msg_logs_query, member)

/* A bit each in the set of those that were given: at most 32. */
static const struct parameter parameters[] = {
    {"providers", AT(providers), read_list, true},
    {"models", AT(models), read_list, true},
    {"status", AT(status), read_status, true},
    {"stop_reasons", AT(stop_reasons), read_list, true},
    {"error_types", AT(error_types), read_list, true},
    {"objects", AT(objects), read_list, true},
    {"selected_key_ids", AT(selected_key_ids), read_list, true},
    {"virtual_key_ids", AT(virtual_key_ids), read_list, true},
    {"team_ids", AT(team_ids), read_list, true},
    {"customer_ids", AT(customer_ids), read_list, true},
    {"request_id", AT(request_id), read_text, false},
    {"parent_request_id", AT(parent_request_id), read_text, false},
    {"content_search", AT(content_search), read_text, false},
    {"start_time", AT(start_ms), read_time, false},
    {"end_time", AT(end_ms), read_time, false},
    {"period", AT(start_ms), read_period, false},
    {"min_latency", AT(min_latency_us), read_milli, false},
    {"max_latency", AT(max_latency_us), read_milli, false},
    {"min_tokens", AT(min_tokens), read_count, false},
    {"max_tokens", AT(max_tokens), read_count, false},
    {"min_cost", AT(min_cost_nusd), read_money, false},
    {"max_cost", AT(max_cost_nusd), read_money, false},
    {"limit", 0, read_limit, false},
    {"offset", 0, read_offset, false},
    {"sort_by", 0, read_sort, false},
    {"order", 0, read_order, false},
};
_Static_assert(BF_ARRAY_LEN(parameters) <= 32, "a bit each");

static int read_pair(const struct reading *in, struct bf_slice pair, uint32_t *given)
{
	const char *equals = memchr(pair.ptr, '=', pair.len);
	struct bf_slice name = {pair.ptr, equals ? (size_t)(equals - pair.ptr) : pair.len};
	struct bf_slice value = {NULL, 0};
	int r = 0;

	for (uint32_t i = 0; i < BF_ARRAY_LEN(parameters); i++) {
		const struct parameter *p = &parameters[i];

		if (!bf_slice_is(name, p->name))
			continue;
		if ((*given & (1u << i)) && !p->repeats)
			return no(in, p, "is given twice");
		*given |= 1u << i;
		if (equals)
			r = decode(in->arena,
				   (struct bf_slice){equals + 1, pair.len - name.len - 1}, true,
				   &value);
		if (r == BF_E_SYNTAX)
			return no(in, p, "is not a percent-encoded UTF-8 text");
		return r < 0 ? r : p->read(in, p, value);
	}
	return bf_err_set(in->err, BF_E_UNKNOWN, "%.*s: no such parameter of /api/logs",
			  (int)BF_MIN(name.len, 64), name.ptr);
}

static void set_defaults(struct bf_msg_logs_query *q)
{
	*q = (struct bf_msg_logs_query){
	    .start_ms = BF_LOGS_ANY,
	    .end_ms = BF_LOGS_ANY,
	    .min_latency_us = BF_LOGS_ANY,
	    .max_latency_us = BF_LOGS_ANY,
	    .min_tokens = BF_LOGS_ANY,
	    .max_tokens = BF_LOGS_ANY,
	    .min_cost_nusd = BF_LOGS_ANY,
	    .max_cost_nusd = BF_LOGS_ANY,
	    .limit = LOGS_DEFAULT_LIMIT,
	};
}

int logs_query_parse(struct bf_slice query, int64_t now_wall_ms, struct bf_arena *arena,
		     struct bf_msg_logs_query *ret_query, struct bf_err *err)
{
	const struct reading in = {arena, ret_query, now_wall_ms, err};
	uint32_t given = 0;
	int r = 0;

	set_defaults(ret_query);
	while (query.len && r == 0) {
		const char *amp = memchr(query.ptr, '&', query.len);
		size_t len = amp ? (size_t)(amp - query.ptr) : query.len;

		if (len)
			r = read_pair(&in, (struct bf_slice){query.ptr, len}, &given);
		query.ptr += len + (amp ? 1 : 0);
		query.len -= len + (amp ? 1 : 0);
	}
	return r;
}

int logs_id_parse(struct bf_slice text, int64_t now_wall_ms, struct bf_arena *arena,
		  struct bf_msg_logs_query *ret_query)
{
	struct bf_slice id = {NULL, 0};
	char uuid[BF_UUID_TEXT_LEN + 1];
	struct bf_uuid parsed;
	int r = 0;

	(void)logs_query_parse(id, now_wall_ms, arena, ret_query, NULL);
	if (bf_uuid_parse(text.ptr, text.len, &parsed) == 0) {
		bf_uuid_format(&parsed, uuid);
		id = bf_arena_dup(arena, bf_slice_from(uuid));
		r = id.ptr ? 0 : -ENOMEM;
	} else if (text.len && !memchr(text.ptr, '/', text.len)) {
		r = decode(arena, text, false, &id);
	}
	if (r < 0)
		return r;
	if (id.len == 0 || id.len > LOGS_ID_MAX)
		return BF_E_SYNTAX;
	for (size_t i = 0; i < id.len; i++) {
		if (id.ptr[i] <= ' ' || id.ptr[i] > '~')
			return BF_E_SYNTAX;
	}
	ret_query->id = id;
	return 0;
}
