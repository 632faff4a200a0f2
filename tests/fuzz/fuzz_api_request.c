/* The input as method, path and query of the management API, a line each: it finds an operation or
 * none, its segments and parameters are within their bounds, and what is asked fits its message. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/codec/utf8.h"
#include "proxyd/api/api.h"
#include "proxyd/api/operations.h"
#include "proxyd/gate/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bf_slice take_line(struct bf_slice *text)
{
	const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
	struct bf_slice line = {text->ptr, end ? (size_t)(end - text->ptr) : text->len};
	size_t used = line.len + (end ? 1 : 0);

	*text = (struct bf_slice){text->ptr + used, text->len - used};
	return line;
}

static void check_values(const struct api_operation *op, const struct api_values *v)
{
	for (unsigned i = 0; op->parameters && op->parameters[i].name; i++) {
		const struct api_parameter *p = &op->parameters[i];
		uint64_t n = v->items[i].number;
		struct bf_slice text = v->items[i].text;

		if (!v->items[i].given)
			continue;
		if (p->kind == API_NUMBER && (n < p->min || n > p->max))
			abort();
		if (p->kind == API_FLAG && n > 1)
			abort();
		if (p->kind == API_TEXT && (text.len == 0 || text.len > p->max))
			abort();
		if (!bf_utf8_valid(text.ptr, text.len) ||
		    (text.len && memchr(text.ptr, '\0', text.len)))
			abort();
	}
}

static void check_segments(const struct exchange *x, struct bf_arena *arena)
{
	static const char *const names[] = {"id", "budget_id"};
	struct bf_slice decoded;

	for (size_t i = 0; i < 2; i++) {
		struct bf_slice raw = route_segment(x, names[i]);

		if (raw.len && memchr(raw.ptr, '/', raw.len))
			abort();
		if (raw.len &&
		    (raw.ptr < x->path.ptr || raw.ptr + raw.len > x->path.ptr + x->path.len))
			abort();
		if (percent_decode(raw, false, arena, &decoded) == 0 && decoded.len > raw.len)
			abort();
	}
}

/* Whom a refusal names: what stood there, or what is missing. */
static bool is_named(const struct api_operation *op, struct bf_slice text, struct bf_slice name)
{
	if (name.len <= text.len)
		return true;
	for (unsigned i = 0; op->parameters && op->parameters[i].name; i++)
		if (op->parameters[i].required && bf_slice_is(name, op->parameters[i].name))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bf_slice text = {(const char *)data, size}, method, name = {NULL, 0};
	struct exchange x = {.method = EXCHANGE_GET};
	const struct api_operation *op;
	struct api_values values;
	struct bf_err err = {0};
	struct bf_arena arena;

	if (size > 32768)
		return 0;
	method = take_line(&text);
	for (unsigned m = 0; m < EXCHANGE_OTHER; m++) {
		if (bf_slice_is(method, api_method_name(m)))
			x.method = m;
	}
	x.path = take_line(&text);
	x.route = api_route(x.path, x.method);
	if (!x.route)
		return 0;
	op = api_operation_of(&x);
	bf_arena_init(&arena, 4 << 20);
	check_segments(&x, &arena);
	if (api_parameters_read(op->parameters, text, &arena, &values, &name, &err) == 0)
		check_values(op, &values);
	else if (err.text[0] == '\0' || !is_named(op, text, name))
		abort();
	bf_arena_done(&arena);
	return 0;
}
