/*
 * W3C Trace Context (level 1, and the random flag of level 2). Called by input for every request.
 * Must never pass on a byte of a header that it did not check.
 */
#include "proxyd/front/trace.h"

#include <string.h>

#include "common/base/num.h"

#define TRACE_VERSION 0
#define TRACE_ID      3 /* offsets within a traceparent */
#define TRACE_SPAN    36
#define TRACE_FLAGS   53
#define TRACE_SAMPLED 0x01
#define TRACE_RANDOM  0x02

/* Lower case alone is allowed here. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (hex_digit(text[i]) < 0)
			return false;
	}
	return true;
}

static bool is_zero(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '0')
			return false;
	}
	return true;
}

static bool is_id(const char *text, size_t len)
{
	return is_hex(text, len) && !is_zero(text, len);
}

/* Zero stands for "no id"; once in 2^64. */
static void put_id(char *to, const uint8_t *bytes, size_t len)
{
	(void)bf_format_hex(bytes, len, to);
	if (is_zero(to, 2 * len))
		to[2 * len - 1] = '1';
}

static bool parent_is_valid(struct bf_slice v)
{
	const char *p = v.ptr;

	if (v.len < TRACE_TEXT_LEN || !is_hex(p + TRACE_VERSION, 2) || memcmp(p, "ff", 2) == 0)
		return false;
	/* Version 00 ends here; a later one may add fields behind a dash. */
	if (v.len > TRACE_TEXT_LEN && (memcmp(p, "00", 2) == 0 || p[TRACE_TEXT_LEN] != '-'))
		return false;
	return p[TRACE_ID - 1] == '-' && p[TRACE_SPAN - 1] == '-' && p[TRACE_FLAGS - 1] == '-' &&
	       is_id(p + TRACE_ID, 32) && is_id(p + TRACE_SPAN, 16) && is_hex(p + TRACE_FLAGS, 2);
}

/* The one traceparent, or len 0. */
static struct bf_slice find_parent(const struct exchange_header *headers, uint32_t count)
{
	struct bf_slice found = {NULL, 0};
	unsigned seen = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!bf_slice_eq_nocase(headers[i].name, BF_SLICE_LIT("traceparent")))
			continue;
		found = headers[i].value;
		seen++;
	}
	return seen == 1 && parent_is_valid(found) ? found : (struct bf_slice){NULL, 0};
}

static bool member_is_clean(struct bf_slice m)
{
	const char *mark = memchr(m.ptr, '=', m.len);

	if (!mark || mark == m.ptr)
		return false;
	for (const char *p = m.ptr; p < m.ptr + m.len; p++) {
		if (*p < ' ' || *p > '~' || (*p == ' ' && p < mark) || (*p == '=' && p > mark))
			return false;
	}
	return true;
}

static struct bf_slice trim(struct bf_slice s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = (struct bf_slice){s.ptr + 1, s.len - 1};
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

struct state_writer {
	struct trace *trace;
	unsigned items;
	bool full, bad;
};

static void state_add(struct state_writer *w, struct bf_slice member)
{
	struct trace *t = w->trace;
	size_t need = member.len + (t->state_len > 0);

	if (!member_is_clean(member)) {
		w->bad = true;
		return;
	}
	/* What comes later is older: nothing may be left out of the middle. */
	if (w->full || w->items == TRACE_STATE_ITEMS || need > sizeof(t->state) - t->state_len) {
		w->full = true;
		return;
	}
	if (t->state_len)
		t->state[t->state_len++] = ',';
	memcpy(t->state + t->state_len, member.ptr, member.len);
	t->state_len += member.len;
	w->items++;
}

/* One header; there may be several, which count as one list. */
static void state_add_list(struct state_writer *w, struct bf_slice list)
{
	while (list.len && !w->bad) {
		const char *comma = memchr(list.ptr, ',', list.len);
		size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
		struct bf_slice member = trim((struct bf_slice){list.ptr, len});
		size_t used = comma ? len + 1 : len;
		if (member.len)
			state_add(w, member);
		list = (struct bf_slice){list.ptr + used, list.len - used};
	}
}

static void take_state(const struct exchange_header *headers, uint32_t count, struct trace *t)
{
	struct state_writer w = {.trace = t};

	for (uint32_t i = 0; i < count && !w.bad; i++) {
		if (bf_slice_eq_nocase(headers[i].name, BF_SLICE_LIT("tracestate")))
			state_add_list(&w, headers[i].value);
	}
	if (w.bad)
		t->state_len = 0;
}

void trace_take(const struct exchange_header *headers, uint32_t count,
		const uint8_t random[TRACE_RANDOM_LEN], struct trace *ret_trace)
{
	struct trace *t = ret_trace;
	struct bf_slice parent = find_parent(headers, count);
	uint8_t flags = 0;

	t->state_len = 0;
	memcpy(t->parent, "00-", TRACE_ID);
	if (parent.len) {
		memcpy(t->parent + TRACE_ID, parent.ptr + TRACE_ID, 32);
		flags = (uint8_t)(hex_digit(parent.ptr[TRACE_FLAGS + 1]) &
				  (TRACE_SAMPLED | TRACE_RANDOM));
		take_state(headers, count, t);
	} else {
		put_id(t->parent + TRACE_ID, random, 16);
	}
	t->parent[TRACE_SPAN - 1] = '-';
	put_id(t->parent + TRACE_SPAN, random + 16, 8);
	t->parent[TRACE_FLAGS - 1] = '-';
	(void)bf_format_hex(&flags, 1, t->parent + TRACE_FLAGS);
	t->parent[TRACE_TEXT_LEN] = '\0';
}
