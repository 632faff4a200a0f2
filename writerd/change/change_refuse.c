/*
 * Refusals of changes, as their makers are told. Called by the parts of change.c. Must never name
 * the value of a secret.
 */
#include <stdarg.h>
#include <stdio.h>

#include "writerd/change/change_priv.h"

static void write_problem(struct change_answer *a, const struct bf_problem *p)
{
	bf_buf_clear(&a->json);
	a->http_status = p->http_status;
	a->version = p->version;
	if (bf_problem_write(p, &a->json) < 0)
		a->http_status = 500;
}

void change_refuse(struct change_answer *a, int http_status, const char *type, const char *text)
{
	const struct bf_problem p = {
	    .http_status = http_status, .type = type, .message = bf_slice_from(text)};

	write_problem(a, &p);
}

static struct bf_slice instance_of(const struct change *c)
{
	const char *text = NULL;

	if (c->id.len)
		text = bf_arena_printf(c->arena, "%s/%.*s", c->def->name, BF_SLICE_FMT(c->id));
	return bf_slice_from(text);
}

bool change_no(struct change *c, int http_status, const char *type, const char *fmt, ...)
{
	struct bf_problem p = {
	    .http_status = http_status, .type = type, .instance = instance_of(c)};
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p.message = bf_slice_from(text);
	if (http_status == 409 && c->before)
		p.version = c->before->e.version;
	write_problem(c->answer, &p);
	return false;
}

bool change_no_parts(struct change *c, int http_status, const char *type)
{
	struct bf_array parts = bf_entity_parts(&c->body);
	const struct bf_problem_part *items = parts.items;
	struct bf_problem p = {.http_status = http_status,
			       .type = type,
			       .message = BF_SLICE_LIT("the request does not fit into memory"),
			       .instance = instance_of(c),
			       .parts = items,
			       .part_count = parts.count};

	if (parts.count) {
		p.message = items[0].message;
		if (items[0].pointer.len > 1)
			p.param =
			    (struct bf_slice){items[0].pointer.ptr + 1, items[0].pointer.len - 1};
	}
	write_problem(c->answer, &p);
	return false;
}
